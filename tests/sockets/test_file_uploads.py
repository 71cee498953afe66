"""Uploads of real files, which the system sends by itself, and answers that come before an upload has ended."""
import errno
import io
import os
import signal

import pytest
from engine.recording import noise, request
from support import faults
from support.actions import Close, CloseAtOnce, Drain, Pause, ReceiveBody, ReceiveHead, Reset, Send
from support.loops import turn_for, turn_until

OK = ("NoError", faults.BODY)
SIZES = [0, 1, 4096, 65_536, 3 << 20]


@pytest.fixture
def file(tmp_path):
    """Makes files, opened for reading: file(data, how)."""
    opened = []

    def make(data, how=lambda path: open(path, "rb")):
        path = tmp_path / f"file{len(opened)}"
        path.write_bytes(data)
        opened.append(how(path))
        return opened[-1]

    yield make
    for thing in opened:
        thing.close()


def post(recorded, data, method="POST"):
    recorded.http.request(request(method, "/up"), data)
    return recorded.wait(), bytes(recorded.http.readAll())


def body(server, number=0):
    return server.connections[number].taken[0].partition(b"\r\n\r\n")[2]


# -- whole files
@pytest.mark.parametrize("how", [lambda path: open(path, "rb"), lambda path: open(path, "rb", buffering=0), io.FileIO],
                         ids=["open", "unbuffered", "FileIO"])
@pytest.mark.parametrize("size", SIZES)
def test_file_goes_out_whole_from_its_start(scripted_server, client, file, how, size):
    server, device = scripted_server(faults.answer(faults.BODY, faults.BODY)), file(noise(size), how)
    device.seek(size // 2)
    recorded = client(server)
    assert post(recorded, device) == OK
    assert body(server) == noise(size)
    n = len(server.connections[0].taken[0])
    told = [done for done, total in recorded.send_progress]
    assert told == sorted(told) and recorded.send_progress[-1] == (n, n)
    assert recorded.get() == OK         # the connection is kept
    assert len(server.connections) == 1


def test_file_twice_at_once_goes_out_whole_twice(scripted_server, client, file):
    server, device = scripted_server(faults.answer(faults.BODY, faults.BODY)), file(noise(1 << 20))
    recorded = client(server)
    for _ in range(2):
        recorded.http.post("/", device)
    assert recorded.wait() == "NoError"
    assert [taken[-(1 << 20):] for taken in server.requests[0]] == [noise(1 << 20)] * 2


@pytest.mark.parametrize("base", [io.FileIO, io.BufferedReader])
def test_file_of_a_class_of_its_own_is_read_by_its_read(scripted_server, client, file, base):
    class Own(base):
        def read(self, n=-1):
            return super().read(n).swapcase()

    how = Own if base is io.FileIO else lambda path: Own(io.FileIO(path))
    server = scripted_server(faults.answer())
    assert post(client(server), file(b"abc" * 5000, how)) == OK
    assert body(server) == b"ABC" * 5000


def test_reader_over_a_class_of_its_own_is_read_by_its_read(scripted_server, client, file):
    class Own(io.FileIO):
        def readinto(self, room):
            n = super().readinto(room)
            room[:n] = bytes(room[:n]).swapcase()
            return n

    server = scripted_server(faults.answer())
    assert post(client(server), file(b"abc" * 5000, lambda path: io.BufferedReader(Own(path)))) == OK
    assert body(server) == b"ABC" * 5000


def test_file_larger_than_32_bits_is_announced_whole(scripted_server, client, file):
    def sparse(path):
        os.truncate(path, 3 << 30)
        return open(path, "rb")

    server = scripted_server([ReceiveHead(), ReceiveBody(1 << 20), Pause(30)])
    recorded = client(server)
    recorded.http.post("/", file(b"", sparse))
    turn_until(lambda: recorded.send_progress and recorded.send_progress[-1][0] > 1 << 20)
    recorded.http.abort()
    head = server.connections[0].taken[0]
    assert b"\r\ncontent-length: %d\r\n" % (3 << 30) in head
    assert recorded.send_progress[-1][1] == (3 << 30) + len(head)


# -- files that change
def test_file_that_shrinks_is_an_error_that_says_so(scripted_server, client, file, tmp_path):
    server = scripted_server([ReceiveHead(), Pause(0.3), Drain(5)])
    device = file(noise(16 << 20))
    recorded = client(server)
    recorded.http.post("/", device)
    turn_until(lambda: len(recorded.send_progress) > 2)
    os.truncate(tmp_path / "file0", 10)
    assert recorded.wait() == "UnknownError"
    assert "early" in recorded.http.errorString()


def test_file_that_grows_is_sent_as_announced(scripted_server, client, file, tmp_path):
    server = scripted_server(faults.answer(faults.BODY, faults.BODY))
    device = file(noise(1 << 20))
    recorded = client(server)

    def grow(*_):
        with open(tmp_path / "file0", "ab") as more:
            more.write(b"more" * 1000)

    recorded.http.dataSendProgress.connect(grow)
    assert post(recorded, device) == OK
    assert body(server) == noise(1 << 20)
    recorded.http.dataSendProgress.disconnect()
    assert recorded.get() == OK


def test_file_closed_while_sent_never_sends_another_ones_bytes(scripted_server, client, file, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret!!" * (1 << 20))
    found = []

    def look(peer):                     # what the server remembers is only the beginning
        n = 0
        while n < 8 << 20:
            if not peer.pending:
                peer.more()
            found.append(b"secret!!" in peer.pending)
            n += peer.drop()

    server = scripted_server([ReceiveHead(), Pause(0.2), look, Send(faults.whole())])
    device, others = file(noise(8 << 20)), []
    recorded = client(server)
    recorded.http.post("/", device)
    turn_until(lambda: len(recorded.send_progress) > 2)
    number = device.fileno()
    device.close()
    others.append(open(tmp_path / "secret", "rb"))
    assert others[0].fileno() == number
    assert recorded.wait() == "NoError"
    assert found and not any(found)
    others[0].close()


# -- answers that come early
@pytest.mark.parametrize("kind", ["file", "bytes", "device"])
def test_refusal_stops_the_upload_and_closes(scripted_server, client, file, kind):
    data = noise(32 << 20)
    device = {"file": lambda: file(data), "bytes": lambda: data, "device": lambda: io.BytesIO(data)}[kind]()
    refusal = faults.whole(status=b"HTTP/1.1 413 Too Large\r\n")
    until_next = lambda peer: peer.server.wait_for(lambda: len(peer.server.connections) > 1)    # and reads no more
    server = scripted_server([ReceiveHead(), Send(refusal), until_next, Close()], faults.answer())
    recorded = client(server)
    assert post(recorded, device) == OK
    assert recorded.statuses == [413] and recorded.states[-2:] == ["Closing", "Unconnected"]
    turn_for(0.05)
    assert recorded.get() == OK
    assert server.connections[0].n_received < 32 << 20


@pytest.mark.parametrize("kind", ["file", "bytes", "device"])
@pytest.mark.parametrize("waits", [True, False])
def test_early_success_goes_on_sending_while_its_body_comes(scripted_server, client, file, kind, waits):
    """The body of the answer has its end behind that of the request, or before it; only then the connection is kept."""
    data, down = noise(8 << 20) if waits else bytes(64 << 20), noise(1 << 20, 2)     # more than any buffer on the way takes
    device = {"file": lambda: file(data), "bytes": lambda: data, "device": lambda: io.BytesIO(data)}[kind]()
    answer = faults.whole(down)
    until_next = lambda peer: peer.server.wait_for(lambda: len(peer.server.connections) > 1)    # and reads no more
    rest = [ReceiveBody(), Send(answer[-1000:])] if waits else [Send(answer[-1000:]), until_next, Close()]
    server = scripted_server([ReceiveHead(), Send(answer[:-1000]), *rest, *(faults.answer() if waits else [])], faults.answer())
    recorded = client(server)
    assert post(recorded, device) == ("NoError", down)
    assert recorded.states[-1] == ("Connected" if waits else "Unconnected")
    if waits:
        assert recorded.send_progress[-1][0] == recorded.send_progress[-1][1]
    assert recorded.get() == OK
    assert len(server.connections) == (1 if waits else 2)


@pytest.mark.parametrize("end", [Close(), CloseAtOnce(), Reset()], ids=repr)
@pytest.mark.parametrize("kind", ["file", "bytes", "device"])
def test_early_success_of_a_server_that_goes_is_taken(scripted_server, client, file, kind, end):
    data = noise(8 << 20)
    device = {"file": lambda: file(data), "bytes": lambda: data, "device": lambda: io.BytesIO(data)}[kind]()
    server = scripted_server([ReceiveHead(), Send(faults.whole()), Pause(0.05), end], faults.answer())
    recorded = client(server)
    assert post(recorded, device) == OK
    assert recorded.get() == OK


@pytest.mark.parametrize("kind", ["file", "bytes"])
def test_send_error_while_a_reader_is_slow_answer_is_whole(scripted_server, client, file, kind):
    """The reader has paused the answer when the server stops reading the upload for good."""
    data, down = noise(32 << 20), noise(150_000, 2)
    server = scripted_server([ReceiveHead(), Send(faults.whole(down)), Close()])
    recorded = client(server)
    recorded.http.setReadBufferSize(1000)
    recorded.http.post("/", file(data) if kind == "file" else data)
    got = bytearray()
    turn_for(1.3)                       # the server has closed meanwhile
    while recorded.http.hasPendingRequests() or recorded.http.currentId():
        got += recorded.http.readAll()
        turn_for(0.001)
    got += recorded.http.readAll()
    assert len(got) <= len(down) and down.startswith(got)
    assert recorded.http.error().name == ("NoError" if len(got) == len(down) else "WrongContentLength")


def test_upload_to_a_server_that_goes_raises_no_sigpipe(scripted_server, client, file):
    server = scripted_server([ReceiveHead(), Reset()])
    seen, before = [], signal.getsignal(signal.SIGPIPE)
    signal.signal(signal.SIGPIPE, lambda *_: seen.append(errno.EPIPE))
    try:
        assert post(client(server), file(noise(32 << 20)))[0] == "UnexpectedClose"
    finally:
        signal.signal(signal.SIGPIPE, before)
    assert seen == []
