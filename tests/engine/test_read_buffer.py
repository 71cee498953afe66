"""setReadBufferSize: what is unread stays bounded, the connection waits, and every byte comes in the end."""
import threading
import time

import pytest
from engine.recording import noise
from support import faults
from support.actions import Close, Pause, ReceiveRequest, Reset, Send
from support.loops import turn_for, turn_until
from support.pipelined import Gate

import qhttp

SIZE = 3 << 20                  # more than the sockets take while the reader waits
RECEIVED_MIN = 16 << 10          # in one piece, of a body that is there; but for the last one
SLACK = 64 << 10                # one receive with the head may bring so much at once


def answers(body):
    """The same body in each framing."""
    pieces = [body[n:n + 9000] for n in range(0, len(body), 9000)]
    return {"length": [ReceiveRequest(), Send(faults.whole(body))],
            "chunked": [ReceiveRequest(), Send(faults.chunked(*pieces))],
            "close": [ReceiveRequest(), Send(faults.head() + body), Close()]}


def read_all(recorded, how_many):
    """Reads in pieces of so many bytes until the request is over, and what is left then."""
    got, n_before = bytearray(), 0
    end = time.monotonic() + 15
    while True:
        over = bool(recorded.done)
        while data := recorded.http.read(how_many):
            got += data
        if over:
            return bytes(got)
        assert time.monotonic() < end, f"{len(got)} bytes so far"
        qhttp.run(0 if len(got) > n_before else 2)
        n_before = len(got)


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("limit", [1000, 100_000, 1 << 20])
def test_unread_bytes_stay_within_the_limit_and_all_come(scripted_server, client, framing, limit):
    body = noise(SIZE)
    server = scripted_server(answers(body)[framing])
    recorded = client(server)
    recorded.http.setReadBufferSize(limit)
    most = []
    recorded.http.dataReadProgress.connect(lambda: most.append(recorded.http.bytesAvailable()))
    recorded.http.get("/")
    turn_until(lambda: recorded.http.bytesAvailable() >= limit)
    turn_for(0.05)
    assert limit <= recorded.http.bytesAvailable() <= limit + SLACK
    assert recorded.done == []
    assert read_all(recorded, 50_000) == body
    assert max(most) <= limit + SLACK
    assert recorded.http.error().name == "NoError"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_read_in_small_pieces_gets_every_byte(scripted_server, client, size):
    body = noise(20_000)
    recorded = client(scripted_server(faults.answer(body)))
    recorded.http.setReadBufferSize(5000)
    recorded.http.get("/")
    assert read_all(recorded, size) == body


def test_limit_of_one_byte_works(scripted_server, client):
    body = noise(300)
    recorded = client(scripted_server([ReceiveRequest(), Send(faults.head(b"Content-Length: 300")), Pause(0.01), Send(body)]))
    recorded.http.setReadBufferSize(1)
    recorded.http.get("/")
    assert read_all(recorded, 1) == body


def test_reader_who_waits_holds_the_server_up(scripted_server, client):
    server = scripted_server([ReceiveRequest(), Send(faults.whole(bytes(32 << 20)))])
    recorded = client(server)
    recorded.http.setReadBufferSize(10_000)
    recorded.http.get("/")
    turn_until(lambda: recorded.http.bytesAvailable() >= 10_000)
    turn_for(0.1)
    assert server.connections[0].n_sent < 32 << 20
    recorded.http.setReadBufferSize(0)
    assert recorded.wait() == "NoError"
    assert len(recorded.http.readAll()) == 32 << 20


def test_reader_who_waits_costs_no_turns(scripted_server, client):
    recorded = client(scripted_server(faults.answer(noise(SIZE))))
    recorded.http.setReadBufferSize(1000)
    recorded.http.get("/")
    turn_until(lambda: recorded.http.bytesAvailable() >= 1000)
    before = time.thread_time()
    qhttp.run(150)
    turning = time.thread_time() - before
    recorded.http.abort()
    qhttp.run()
    assert turning < 0.1


def test_reading_inside_ready_read_goes_on_by_itself(scripted_server, client):
    body, got = noise(SIZE), bytearray()
    recorded = client(scripted_server(faults.answer(body)))
    recorded.http.setReadBufferSize(10_000)
    recorded.http.readyRead.connect(lambda: got.extend(recorded.http.readAll()))
    recorded.http.get("/")
    assert recorded.wait() == "NoError"
    assert bytes(got) == body


def test_reading_all_but_a_rest_inside_ready_read_goes_on_by_itself(scripted_server, client):
    body, got = noise(400_000), bytearray()
    recorded = client(scripted_server(faults.answer(body)))
    recorded.http.setReadBufferSize(10_000)
    recorded.http.readyRead.connect(lambda: got.extend(recorded.http.read(max(0, recorded.http.bytesAvailable() - 9000))))
    recorded.http.get("/")
    assert recorded.wait() == "NoError"
    assert bytes(got) + recorded.http.readAll() == body


def test_limit_raised_or_taken_away_goes_on(scripted_server, client):
    body = noise(SIZE)
    recorded = client(scripted_server(faults.answer(body)))
    recorded.http.setReadBufferSize(1000)
    recorded.http.get("/")
    turn_until(lambda: recorded.http.bytesAvailable() >= 1000)
    recorded.http.setReadBufferSize(200_000)
    turn_until(lambda: recorded.http.bytesAvailable() >= 200_000)
    recorded.http.setReadBufferSize(0)
    assert recorded.wait() == "NoError"
    assert recorded.http.readAll() == body


def test_limit_set_during_the_body_holds_from_then_on(scripted_server, client):
    body = noise(8 << 20)
    head = faults.head(b"Content-Length: %d" % len(body))
    recorded = client(scripted_server([ReceiveRequest(), Send(head), Send(body[:100_000]), Pause(0.05), Send(body[100_000:])]))
    recorded.http.get("/")
    turn_until(lambda: recorded.http.bytesAvailable() >= 100_000)
    recorded.http.setReadBufferSize(200_000)
    turn_for(0.15)
    assert recorded.http.bytesAvailable() <= 200_000 + SLACK
    assert read_all(recorded, 100_000) == body


def test_limit_lowered_below_what_is_there_holds_when_most_was_read(scripted_server, client):
    """What was read leaves a large block behind, which must not be filled again."""
    body = noise(8 << 20)
    recorded = client(scripted_server(answers(body)["length"]))
    recorded.http.setReadBufferSize(1 << 20)
    recorded.http.get("/")
    turn_until(lambda: recorded.http.bytesAvailable() >= 1 << 20)
    recorded.http.setReadBufferSize(5000)
    got = recorded.http.read(recorded.http.bytesAvailable() - 1000)
    turn_until(lambda: recorded.http.bytesAvailable() >= 5000)
    turn_for(0.05)
    assert recorded.http.bytesAvailable() <= 5000 + SLACK
    assert got + read_all(recorded, 100_000) == body


def test_limit_holds_in_spite_of_a_larger_answer_before(scripted_server, client):
    body = noise(SIZE)
    recorded = client(scripted_server([*faults.answer(bytes(200_000)), *answers(body)["length"]]))
    recorded.http.get("/")
    assert recorded.wait() == "NoError"
    recorded.done.clear()
    recorded.http.setReadBufferSize(1000)
    recorded.http.get("/")              # nobody has read the first answer: its memory is used again
    turn_until(lambda: len(recorded.statuses) == 2 and recorded.http.bytesAvailable() >= 1000)
    turn_for(0.05)
    assert recorded.http.bytesAvailable() <= 1000 + SLACK
    assert read_all(recorded, 100_000) == body


def test_answer_smaller_than_the_limit_is_done_without_reading(scripted_server, client):
    recorded = client(scripted_server(faults.answer()))
    recorded.http.setReadBufferSize(len(faults.BODY) + 1)
    assert recorded.get() == ("NoError", faults.BODY)


def test_answer_of_just_the_limit_ends_with_all_its_bytes(scripted_server, client):
    head = faults.head(b"Content-Length: 1000")
    recorded = client(scripted_server([ReceiveRequest(), Send(head), Pause(0.01), Send(bytes(1000))]))
    recorded.http.setReadBufferSize(1000)
    assert recorded.get() == ("NoError", bytes(1000))


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_server_that_leaves_while_the_reader_waits_loses_nothing(scripted_server, client, framing):
    body = noise(200_000)
    server = scripted_server([*answers(body)[framing][:2], lambda peer: peer.half_close()])
    recorded = client(server)
    recorded.http.setReadBufferSize(1000)
    recorded.http.get("/")
    turn_until(lambda: server.connections and server.connections[0].n_played == 3)
    turn_for(0.02)
    assert recorded.done == []
    assert read_all(recorded, 5000) == body
    assert recorded.http.error().name == "NoError"


def test_reset_while_the_reader_waits_is_told_when_he_goes_on(scripted_server, client):
    body = noise(SIZE)
    recorded = client(scripted_server([ReceiveRequest(), Send(faults.head(b"Content-Length: %d" % len(body)) + body[:50_000]),
                                       Pause(0.02), Reset()]))
    recorded.http.setReadBufferSize(1000)
    recorded.http.get("/")
    turn_until(lambda: recorded.http.bytesAvailable() >= 1000)
    turn_for(0.05)
    got = read_all(recorded, 5000)
    assert recorded.http.error().name == "WrongContentLength"
    assert body.startswith(got)


def test_abort_while_the_reader_waits_ends_it_and_keeps_what_was_told(scripted_server, client):
    body = noise(SIZE)
    server = scripted_server(faults.answer(body), faults.answer())
    recorded = client(server)
    recorded.http.setReadBufferSize(1000)
    recorded.http.get("/")
    turn_until(lambda: recorded.http.bytesAvailable() >= 1000)
    recorded.http.abort()
    assert recorded.wait() == "Aborted"
    assert body.startswith(recorded.http.readAll())
    server.wait_for(lambda: server.connections and server.connections[0].how_ended is not None)
    recorded.http.setReadBufferSize(0)
    assert recorded.get() == ("NoError", faults.BODY)


def test_limit_does_not_hold_for_a_device(scripted_server, client, tmp_path):
    body = noise(SIZE)
    recorded = client(scripted_server(faults.answer(body, body)))
    recorded.http.setReadBufferSize(1000)
    with open(tmp_path / "f", "w+b") as file:
        assert recorded.get(to=file) == ("NoError", b"")
        file.seek(0)
        assert file.read() == body
    pieces = []
    writer = type("Writer", (), {"write": lambda self, data: pieces.append(data)})()
    assert recorded.get(to=writer) == ("NoError", b"")
    assert b"".join(pieces) == body


def test_read_of_nothing_or_of_a_bad_number(scripted_server, client):
    recorded = client(scripted_server(faults.answer()))
    assert (recorded.http.read(0), recorded.http.read(10), recorded.http.readAll()) == (b"", b"", b"")
    recorded.http.get("/")
    recorded.wait()
    assert recorded.http.read(0) == b""
    with pytest.raises(ValueError, match="maxlen"):
        recorded.http.read(-1)
    with pytest.raises(TypeError, match="maxlen"):
        recorded.http.read("1")
    assert recorded.http.read(2**70) == faults.BODY


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_read_body_behind_a_small_one_comes_in_large_pieces(scripted_server, client, framing):
    """The block of the small body is no measure of what is received for the next one."""
    body, head_has_come = noise(SIZE), threading.Event()
    receive, send, *rest = answers(body)[framing]
    n = send.data.index(b"\r\n\r\n") + 4
    server = scripted_server([receive, Send(faults.whole(b"small")), receive, Send(send.data[:n]), Gate(head_has_come),
                              Send(send.data[n:]), *rest])
    recorded, got = client(server), bytearray()
    recorded.http.readyRead.connect(lambda: got.extend(recorded.http.readAll()))
    recorded.http.get("/small")
    turn_until(lambda: recorded.done)
    recorded.http.responseHeaderReceived.connect(head_has_come.set)
    n_told = []
    recorded.http.dataReadProgress.connect(n_told.append)
    recorded.http.get("/large")
    turn_until(lambda: len(recorded.done) == 2)
    assert got == b"small" + body
    assert len(n_told) < 2 * SIZE / RECEIVED_MIN
