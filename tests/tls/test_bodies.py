"""Bodies over TLS: the same bytes however the records are cut, uploads with their progress, pipelining, a slow reader."""
import io
import random
import socket

import pytest
from support.actions import Drain, ReceiveBody, ReceiveHead, ReceiveRequest, Send
from support.loops import turn_until
from tls.peers import (
    TLS_1_2,
    TLS_1_3,
    Gate,
    Passed,
    SendRecords,
    Shake,
    Tampered,
    answer,
    answers,
    close_notify,
    head,
    joined,
    whole,
)

import qhttp

versions = pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])
BIG = random.Random(7).randbytes(4 << 20)
ODD = 16384, 1, 4097, 16383, 7, 511, 12345
N_SMALL = 3000
RECEIVED_MIN = 4 << 10      # in one piece, of a body that is there; but for the last one


def chunks(data, size):
    pieces = [data[at:at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])


FRAMED = {
    "length": lambda data: answer(data),
    "chunked": lambda data: head(b"Transfer-Encoding: chunked") + chunks(data, 10007),
    "until_close": lambda data: head(b"Connection: close") + data,
}


class Device:
    """A device of the user's own: only write()."""

    def __init__(self):
        self.pieces = []

    def write(self, data):
        self.pieces.append(bytes(data))
        return len(data)

    def getvalue(self):
        return b"".join(self.pieces)


@pytest.fixture
def serve(certificates, scripted_server):
    def run(data, sizes, version=TLS_1_3, framing="length"):
        end = [close_notify] if framing == "until_close" else []
        return scripted_server([Shake(certificates.server(version=version)), ReceiveRequest(),
                                SendRecords(FRAMED[framing](data), sizes), *end])
    return run


# -- downloads
@versions
@pytest.mark.parametrize("framing", FRAMED)
@pytest.mark.parametrize("to", ["memory", "file", "device"])
def test_tls_big_body_in_odd_records_equal(serve, client, tmp_path, version, framing, to):
    one = client(serve(BIG, ODD, version, framing))
    if to == "memory":
        error, body = one.get()
    elif to == "file":
        with open(tmp_path / "got", "wb") as file:
            error, body = one.get(to=file)[0], None
        body = (tmp_path / "got").read_bytes()
    else:
        device = Device()
        error, body = one.get(to=device)[0], device.getvalue()
    assert (error, len(body), body == BIG) == ("NoError", len(BIG), True)


@versions
@pytest.mark.parametrize("framing", FRAMED)
def test_tls_records_of_one_byte_body_equal(serve, client, version, framing):
    assert client(serve(BIG[:N_SMALL], (1,), version, framing)).get() == ("NoError", BIG[:N_SMALL])


@pytest.mark.parametrize("framing", FRAMED)
def test_tls_many_records_at_once_body_equal(certificates, scripted_server, client, framing):
    data = FRAMED[framing](BIG[:N_SMALL])
    step = joined(*(whole(data[n:n + 1]) for n in range(len(data))))
    end = [lambda peer: peer.end("fin")] if framing == "until_close" else [Drain(5)]
    one = client(scripted_server(beyond=[Tampered(certificates.server("expired"), (step,)), *end])).ignores()
    assert one.get() == ("NoError", BIG[:N_SMALL])


HINTS, LONG_HINTS = b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: " + b"x" * 20_000 + b"\r\n\r\n"


@pytest.mark.parametrize("records", [
    [HINTS, answer()], [HINTS + HINTS, HINTS, answer()], [HINTS, LONG_HINTS, answer()], [HINTS[:9], HINTS[9:], answer()],
    [HINTS + answer()[:5], answer()[5:]],
], ids=["two", "three", "long", "cut", "across"])
@pytest.mark.parametrize("is_pipelining", [False, True])
def test_tls_interim_answers_in_records_that_come_together_final_one_found(
        certificates, scripted_server, client, records, is_pipelining):
    """The socket is empty after the first receive: who holds the other records has to be asked."""
    step = joined(*map(whole, records))
    one = client(scripted_server(beyond=[Tampered(certificates.server("expired"), (step,)), Drain(5)])).ignores()
    one.http.setTransferTimeout(2000)
    one.http.setPipelining(8 if is_pipelining else 1)
    assert one.get() == ("NoError", b"ok")


def test_tls_two_requests_after_a_big_one_equal(certificates, scripted_server, client):
    server = scripted_server(answers(certificates.server(), BIG, b"2", b"3"))
    one = client(server)
    assert one.get() == ("NoError", BIG)
    assert [one.get(), one.get(), len(server.connections)] == [("NoError", b"2"), ("NoError", b"3"), 1]


def test_tls_head_and_no_body_accepted(certificates, scripted_server, client):
    server = scripted_server([Shake(certificates.server()), ReceiveRequest(), Send(head(b"Content-Length: 5")),
                              ReceiveRequest(), Send(b"HTTP/1.1 204 No Content\r\n\r\n"), ReceiveRequest(), Send(answer(b"3"))])
    one = client(server)
    one.http.head("/")
    assert [one.wait(), one.get(), one.get()] == ["NoError", ("NoError", b""), ("NoError", b"3")]


def test_tls_abort_in_a_body_next_request_on_another_connection(certificates, scripted_server, client):
    server = scripted_server(answers(certificates.server(), BIG), answers(certificates.server(), b"2"))
    one = client(server)
    one.http.dataReadProgress.connect(lambda *_: one.http.abort())
    assert one.get()[0] == "Aborted"
    assert one.get()[1] == b"2" or one.http.error() == one.http.Aborted


# -- uploads
class Progress:
    def __init__(self, http):
        self.told = []
        http.dataSendProgress.connect(lambda *both: self.told.append(both))

    def check(self, n_head, n_body):
        done, totals = [n for n, _ in self.told], {total for _, total in self.told}
        assert totals == {n_head + n_body}
        assert done == sorted(set(done)) and done[-1] == n_head + n_body


def received_body(certificates, scripted_server, version=TLS_1_3):
    """A server that keeps the head and the body of one request, and the list of both."""
    got = []

    def keep(peer):
        head = bytes(peer.taken[-1])
        n = int(head.lower().partition(b"content-length:")[2].split()[0])
        got.extend([head, bytes(peer.take(n))])

    return scripted_server([Shake(certificates.server(version=version)), ReceiveHead(), keep, Send(answer())]), got


@versions
@pytest.mark.parametrize("kind", ["bytes", "device", "file"])
@pytest.mark.parametrize("n", [1, 70_000, 3 << 20])
def test_tls_upload_arrives_whole_with_its_progress(certificates, scripted_server, client, tmp_path, version, kind, n):
    server, got = received_body(certificates, scripted_server, version)
    one = client(server)
    progress = Progress(one.http)
    data = BIG[:n]
    (tmp_path / "up").write_bytes(data)
    with open(tmp_path / "up", "rb") as file:
        one.http.post("/", {"bytes": data, "device": io.BytesIO(data), "file": file}[kind])
        assert one.wait() == "NoError"
    assert got[1] == data
    progress.check(len(got[0]), n)


def test_tls_upload_to_a_server_that_reads_slowly_whole(certificates, scripted_server, client):
    """The socket takes only a part of what is encrypted."""
    gate, got = Gate(), []

    def slow(peer):
        n, body = len(BIG), bytearray(peer.pending)
        while len(body) < n:
            body += peer.sock.recv(4096)
        got.append(bytes(body))

    server = scripted_server([Shake(certificates.server()), ReceiveHead(), gate, slow, Send(answer())])
    server._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one = client(server)
    one.http.post("/", BIG)
    qhttp.loop().run(30)
    gate.open()
    assert (one.wait(), got[0] == BIG) == ("NoError", True)


def test_tls_upload_refused_early_answer_taken(certificates, scripted_server, client):
    refusal = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 4\r\n\r\nstop"
    server = scripted_server([Shake(certificates.server()), ReceiveHead(), Send(refusal), ReceiveBody(), Drain(5)])
    one = client(server)
    one.http.post("/", BIG * 4)
    assert (one.wait(), one.http.lastResponse().statusCode(), bytes(one.http.readAll())) == ("NoError", 413, b"stop")


# -- pipelining
def pipelined(one, n, depth=4):
    """n requests in one queue: the error, and the body of each."""
    bodies, ids = {}, []
    one.http.setPipelining(depth)
    one.http.requestFinished.connect(lambda id, error: bodies.update({id: (error, bytes(one.http.readAll()))}))
    ids.extend(one.http.get(f"/{k}") for k in range(n))
    return one.wait(), [bodies[id] for id in ids]


@versions
def test_tls_pipelined_answers_each_its_own(certificates, scripted_server, client, version):
    server = scripted_server(answers(certificates.server(version=version), *(b"%d" % n for n in range(12))))
    error, bodies = pipelined(client(server), 12)
    assert (error, bodies) == ("NoError", [(False, b"%d" % n) for n in range(12)])
    assert len(server.connections) == 1


@pytest.mark.parametrize("cut", [1, 7, 4096])
def test_tls_pipelined_answers_that_come_together_each_its_own(certificates, scripted_server, client, cut):
    first, rest = answer(b"0"), b"".join(answer(BIG[n:n + 3000]) for n in range(1, 5))
    server = scripted_server([Shake(certificates.server()), ReceiveRequest(), Send(first), *[ReceiveRequest()] * 4,
                              SendRecords(rest, (cut,))])
    error, bodies = pipelined(client(server), 5)
    assert (error, bodies) == ("NoError", [(False, b"0"), *((False, BIG[n:n + 3000]) for n in range(1, 5))])


def test_tls_pipelined_connection_ends_early_rest_on_another(certificates, scripted_server, client):
    context = certificates.server()
    server = scripted_server([*answers(context, b"0", b"1"), close_notify], answers(context, b"2", b"3"))
    assert pipelined(client(server), 4) == ("NoError", [(False, b"%d" % n) for n in range(4)])


@pytest.mark.parametrize("signal", ["responseHeaderReceived", "readyRead", "dataReadProgress"])
def test_tls_pipelined_request_queued_in_a_slot_of_the_one_before_answered(certificates, scripted_server, client, signal):
    """It is encrypted, and not yet written, when the answer before it ends."""
    server = scripted_server(beyond=answers(certificates.server(), b"0", b"1", b"2", b"3"))
    one, more = client(server), iter(range(2, 4))
    one.http.setPipelining(4)
    assert one.get() == ("NoError", b"0")
    bodies = []
    getattr(one.http, signal).connect(lambda *_: [one.http.get(f"/{n}") for n in [next(more, None)] if n])
    one.http.requestFinished.connect(lambda *_: bodies.append(bytes(one.http.readAll())))
    one.http.get("/1")
    assert (one.wait(), bodies, len(server.connections)) == ("NoError", [b"1", b"2", b"3"], 1)


def test_tls_pipelined_request_queued_in_a_slot_poison_behind_the_answer_not_taken(certificates, scripted_server, client):
    context = certificates.server()
    server = scripted_server([Shake(context), ReceiveRequest(), Send(answer(b"0")), ReceiveRequest(),
                              SendRecords(answer(b"1") + answer(b"poison"), (len(answer(b"1")), 100)), Drain(5)],
                             answers(context, b"2"))
    one, ids, bodies = client(server), [], []
    one.http.setPipelining(4)
    assert one.get() == ("NoError", b"0")
    sent = server.connections[0]
    one.http.stateChanged.connect(
        lambda state: state == one.http.Reading and server.wait_for(lambda: sent.n_played >= 5))
    one.http.readyRead.connect(lambda *_: ids or ids.append(one.http.get("/2")))
    one.http.requestFinished.connect(lambda *_: bodies.append(bytes(one.http.readAll())))
    one.http.get("/1")
    assert (one.wait(), [body for body in bodies if body]) == ("NoError", [b"1", b"2"])


@pytest.mark.parametrize("framing", FRAMED)
def test_tls_body_behind_a_small_one_comes_in_large_pieces(certificates, scripted_server, client, framing):
    """Its head comes alone: the block of the small body is no measure of what is received for this one."""
    data, gate = FRAMED[framing](BIG), Gate()
    n = data.index(b"\r\n\r\n") + 4
    server = scripted_server([Shake(certificates.server()), ReceiveRequest(), Send(answer(b"small")), ReceiveRequest(),
                              Send(data[:n]), gate, Send(data[n:]), close_notify])
    one, got, told = client(server), bytearray(), []
    one.http.readyRead.connect(lambda *_: got.extend(one.http.readAll()))
    assert one.get("/small") == ("NoError", b"")
    one.http.responseHeaderReceived.connect(lambda *_: gate.open())
    one.http.dataReadProgress.connect(told.append)
    assert (one.get("/big"), got == b"small" + BIG) == (("NoError", b""), True)
    assert len(told) < 2 * len(BIG) / RECEIVED_MIN


# -- a reader that is slow
@versions
@pytest.mark.parametrize("framing", FRAMED)
def test_tls_read_buffer_full_pauses_and_goes_on(certificates, scripted_server, client, version, framing):
    data = BIG[:1 << 18]
    end = [close_notify] if framing == "until_close" else []
    server = scripted_server([Shake(certificates.server(version=version)), ReceiveRequest(),
                              SendRecords(FRAMED[framing](data), ODD), *end])
    one, got, most = client(server), bytearray(), 0
    one.http.setReadBufferSize(50_000)
    one.http.get("/")
    while one.http.hasPendingRequests() or one.http.currentId():
        turn_until(lambda: one.http.bytesAvailable() >= 50_000 or not one.http.currentId())
        most = max(most, one.http.bytesAvailable())
        got += one.http.read(30_000)
    got += one.http.readAll()
    assert (one.http.error().name, got == data) == ("NoError", True)
    assert most < 50_000 + (1 << 17)


def test_tls_read_buffer_full_at_once_with_all_records_there_goes_on(certificates, scripted_server, client):
    """Nothing more comes from the socket: what is left is in memory."""
    passed = Passed()
    server = scripted_server([Tampered(certificates.server(), (whole(answer(BIG[:15_000])),)), passed, Drain(5)])
    one, got = client(server), bytearray()
    one.http.setReadBufferSize(1000)
    one.http.get("/")
    turn_until(lambda: one.http.bytesAvailable() >= 1000 or not one.http.currentId())
    passed.wait()
    while one.http.currentId():
        qhttp.loop().run(2)
        got += one.http.read(700)
    got += one.http.readAll()
    assert (one.http.error().name, got == BIG[:15_000]) == ("NoError", True)


@versions
def test_tls_transfer_timeout_in_a_body_error(certificates, scripted_server, client, version):
    server = scripted_server([Shake(certificates.server(version=version)), ReceiveRequest(),
                              Send(head(b"Content-Length: 9") + b"some"), Drain(5)])
    one = client(server)
    one.http.setTransferTimeout(150)
    error, _ = one.get()
    assert (error, one.text) == ("UnknownError", "no byte came for 150 ms")


