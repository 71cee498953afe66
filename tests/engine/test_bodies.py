"""Bodies larger than every buffer, and every kind of destination: not a byte wrong, missing or too many."""
import io
import os
import threading

import pytest
from engine.recording import noise
from soak.gauges import forget_peak, peaks, resident
from support import faults
from support.actions import Close, Pause, ReceiveRequest, Reset, Send
from support.loops import turn_until
from support.sanitizers import IS_SANITIZED

import qhttp

HUGE = 64 << 20
MIDDLE = 3 << 20
CHUNK = 100_003
N_ONES = 1_000_000                                       # chunks of one byte
MOST_FOR_ONES = 8_000_000 if not IS_SANITIZED else 64_000_000    # bytes of memory that they may take


@pytest.fixture(scope="module")
def huge():
    return noise(HUGE)


def script(body, framing):
    """A script that answers one request with this body."""
    if framing == "length":
        return [ReceiveRequest(), Send(faults.head(b"Content-Length: %d" % len(body))), Send(body)]
    if framing == "chunked":
        pieces = [faults.chunk(body[n:n + CHUNK]) for n in range(0, len(body), CHUNK)]
        return [ReceiveRequest(), Send(faults.head(b"Transfer-Encoding: chunked")), Send(b"".join(pieces)), Send(b"0\r\n\r\n")]
    return [ReceiveRequest(), Send(faults.head()), Send(body), Close()]


FRAMINGS = ["length", "chunked", "close"]


# -- into memory
@pytest.mark.parametrize("framing", FRAMINGS)
def test_huge_body_into_memory_is_whole(scripted_server, client, huge, framing):
    recorded = client(scripted_server(script(huge, framing)))
    error, body = recorded.get()
    assert error == "NoError"
    assert len(body) == HUGE and body == huge
    total = HUGE if framing == "length" else 0
    assert recorded.read_progress[-1] == (HUGE, total)
    assert all(a < b for (a, _), (b, _) in zip(recorded.read_progress, recorded.read_progress[1:], strict=False))


@pytest.mark.parametrize("framing", FRAMINGS)
def test_huge_body_read_as_it_comes_is_whole(scripted_server, client, huge, framing):
    recorded, got = client(scripted_server(script(huge, framing))), []
    recorded.http.readyRead.connect(lambda: got.append(recorded.http.readAll()))
    assert recorded.get() == ("NoError", b"")
    assert b"".join(got) == huge


def test_body_read_in_parts_while_it_comes_is_whole(scripted_server, client):
    body, got = noise(MIDDLE), []
    recorded = client(scripted_server(script(body, "length")))
    recorded.http.readyRead.connect(lambda: got.append(recorded.http.read(50_001)))
    error, rest = recorded.get()
    assert error == "NoError" and b"".join(got) + rest == body


@pytest.mark.parametrize("size", [0, 1, 16 << 10, (16 << 10) + 1, 64 << 10, (64 << 10) + 1, 256 << 10, (256 << 10) + 1,
                                  1 << 20])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_body_of_a_size_at_a_border_is_whole_and_the_next_one_too(scripted_server, client, size, framing):
    first, second = noise(size), noise(size, seed=2)
    server = scripted_server(*([script(first, framing), script(second, framing)] if framing == "close"
                               else [script(first, framing) + script(second, framing)]))
    recorded = client(server)
    assert [recorded.get(), recorded.get()] == [("NoError", first), ("NoError", second)]


def test_body_that_was_handed_out_is_not_touched_by_the_next_request(scripted_server, client):
    first, second = noise(MIDDLE), noise(MIDDLE, seed=2)
    recorded = client(scripted_server(script(first, "length") + script(second, "length")))
    kept = recorded.get()[1]
    assert recorded.get()[1] == second
    assert kept == first


def test_body_nobody_read_is_gone_with_the_next_request(scripted_server, client):
    recorded = client(scripted_server(faults.answer(noise(100_000), b"two")))
    recorded.http.get("/")
    recorded.wait()
    assert recorded.http.bytesAvailable() == 100_000
    assert recorded.get() == ("NoError", b"two")


def test_body_cut_after_much_of_it_gives_what_has_come(scripted_server, client):
    body = noise(MIDDLE)
    head = faults.head(b"Content-Length: %d" % (MIDDLE + 1))
    recorded = client(scripted_server([ReceiveRequest(), Send(head), Send(body), Close()]))
    error, got = recorded.get()
    assert error == "WrongContentLength" and got == body


def test_body_of_bad_chunks_after_much_of_it_gives_only_good_bytes(scripted_server, client):
    body = noise(MIDDLE)
    pieces = b"".join(faults.chunk(body[n:n + CHUNK]) for n in range(0, len(body), CHUNK))
    recorded = client(scripted_server([ReceiveRequest(), Send(faults.head(b"Transfer-Encoding: chunked")), Send(pieces),
                                       Send(b"5\r\nhelloBAD\r\n"), Close()]))
    error, got = recorded.get()
    assert error == "WrongContentLength"
    assert (body + b"hello").startswith(got)


def test_claim_of_a_huge_length_takes_no_memory_for_it(scripted_server, client):
    recorded = client(scripted_server(faults.claimed_length(1 << 50)))
    assert recorded.get() == ("WrongContentLength", faults.BODY)


# -- in pieces as small as can be
@pytest.fixture(scope="module")
def ones():
    """A body, and the same as one chunk for each byte."""
    body = noise(N_ONES)
    return body, b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"


@pytest.mark.parametrize("to", ["memory", "reader", "file", "object"])
def test_body_of_a_million_chunks_is_whole_and_takes_its_own_size(scripted_server, client, tmp_path, ones, to):
    body, chunks = ones
    recorded = client(scripted_server([ReceiveRequest(), Send(faults.head(b"Transfer-Encoding: chunked") + chunks)]))
    pieces, destination = [], None
    if to == "reader":
        recorded.http.readyRead.connect(lambda: pieces.append(recorded.http.readAll()))
    elif to != "memory":
        destination = open(tmp_path / "file", "w+b", buffering=0) if to == "file" else io.BytesIO()
    forget_peak()
    before = resident()
    error, got = recorded.get(to=destination)
    assert error == "NoError" and peaks()[0] - before < MOST_FOR_ONES
    if destination is not None:
        destination.seek(0)
        got = destination.read()
        destination.close()
    assert b"".join([*pieces, got]) == body


# -- into a real file
def test_claim_of_a_huge_length_takes_no_room_in_a_file(scripted_server, client, tmp_path):
    recorded = client(scripted_server([ReceiveRequest(), Send(faults.head(b"Content-Length: %d" % (1 << 33)) + noise(MIDDLE)),
                                       Close()]))
    with open(tmp_path / "file", "wb", buffering=0) as file:
        assert recorded.get(to=file) == ("WrongContentLength", b"")
        about = os.fstat(file.fileno())
    assert about.st_size == MIDDLE and about.st_blocks * 512 < 2 * MIDDLE


@pytest.mark.parametrize("framing", FRAMINGS)
def test_huge_body_into_a_file_is_whole(scripted_server, client, tmp_path, huge, framing):
    path = tmp_path / "file"
    recorded = client(scripted_server(script(huge, framing)))
    with open(path, "wb") as file:
        assert recorded.get(to=file) == ("NoError", b"")
        assert file.tell() == HUGE
        file.write(b"behind")
    assert path.stat().st_size == HUGE + 6
    assert path.read_bytes() == huge + b"behind"


@pytest.mark.parametrize("mode", ["r+b", "w+b"])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_body_into_a_file_begins_at_its_position(scripted_server, client, tmp_path, mode, framing):
    path, body, old = tmp_path / "file", noise(MIDDLE), noise(MIDDLE + 5000, seed=2)
    path.write_bytes(old)
    recorded = client(scripted_server(script(body, framing)))
    with open(path, mode) as file:
        if mode == "w+b":
            file.write(old)
        file.seek(1234)
        assert recorded.get(to=file) == ("NoError", b"")
        assert file.tell() == 1234 + MIDDLE
        assert file.read(10) == old[1234 + MIDDLE:][:10]
        file.seek(0)
        assert file.read() == old[:1234] + body + old[1234 + MIDDLE:]


def test_body_into_a_file_that_was_read_from_before_is_what_is_read_after(scripted_server, client, tmp_path):
    path, body = tmp_path / "file", noise(100)
    path.write_bytes(b"o" * 5000)
    recorded = client(scripted_server(faults.answer(body)))
    with open(path, "r+b") as file:
        file.read(10)                   # the buffer now holds all of the old content
        assert recorded.get(to=file) == ("NoError", b"")
        file.seek(10)
        assert file.read(110) == body + b"o" * 10


def test_body_into_a_file_comes_behind_what_was_not_flushed(scripted_server, client, tmp_path):
    path = tmp_path / "file"
    recorded = client(scripted_server(faults.answer()))
    with open(path, "wb") as file:
        file.write(b"before ")
        assert recorded.get(to=file)[0] == "NoError"
        file.write(b" after")
    assert path.read_bytes() == b"before " + faults.BODY + b" after"


def test_body_into_an_unbuffered_file_is_whole(scripted_server, client, tmp_path):
    path, body = tmp_path / "file", noise(MIDDLE)
    recorded = client(scripted_server(script(body, "chunked")))
    with open(path, "wb", buffering=0) as file:
        assert recorded.get(to=file)[0] == "NoError"
        assert file.tell() == MIDDLE
    assert path.read_bytes() == body


@pytest.mark.parametrize("mode", ["ab", "a+b"])
def test_body_into_a_file_that_appends_is_appended(scripted_server, client, tmp_path, mode):
    path, body = tmp_path / "file", noise(MIDDLE)
    path.write_bytes(b"old")
    recorded = client(scripted_server(script(body, "length")))
    with open(path, mode) as file:
        file.seek(0)
        assert recorded.get(to=file)[0] == "NoError"
        file.write(b"behind")
    assert path.read_bytes() == b"old" + body + b"behind"


def test_bodies_one_after_the_other_into_one_file_are_joined(scripted_server, client, tmp_path):
    recorded = client(scripted_server(faults.answer(b"one", b"two", b"three")))
    with open(tmp_path / "file", "w+b") as file:
        for _ in range(3):
            recorded.http.get("/", file)
        recorded.wait()
        file.seek(0)
        assert file.read() == b"onetwothree"


def test_body_into_a_file_aborted_leaves_neither_length_nor_reserved_space(scripted_server, client, tmp_path):
    path = tmp_path / "file"
    head = faults.head(b"Content-Length: %d" % (200 << 20))
    recorded = client(scripted_server([ReceiveRequest(), Send(head), Send(noise(MIDDLE)), Pause(30)]))
    with open(path, "wb") as file:
        recorded.http.get("/", file)
        turn_until(lambda: recorded.read_progress and recorded.read_progress[-1][0] == MIDDLE)
        recorded.http.abort()
        assert recorded.wait() == "Aborted"
        assert file.tell() == MIDDLE
    status = os.stat(path)
    assert status.st_size == MIDDLE
    assert status.st_blocks * 512 <= MIDDLE + (1 << 20)
    assert path.read_bytes() == noise(MIDDLE)


def test_body_into_a_file_cut_is_as_long_as_what_came(scripted_server, client, tmp_path):
    path, body = tmp_path / "file", noise(MIDDLE)
    head = faults.head(b"Content-Length: %d" % (100 << 20))
    recorded = client(scripted_server([ReceiveRequest(), Send(head), Send(body), Close()]))
    with open(path, "wb") as file:
        assert recorded.get(to=file)[0] == "WrongContentLength"
        assert file.tell() == MIDDLE
    assert path.read_bytes() == body
    assert os.stat(path).st_blocks * 512 <= MIDDLE + (1 << 20)


def test_body_into_a_full_device_is_an_error_that_says_so(scripted_server, client):
    server = scripted_server(script(noise(MIDDLE), "length"), faults.answer())
    recorded = client(server)
    with open("/dev/full", "wb", buffering=0) as file:
        assert recorded.get(to=file)[0] == "UnknownError"
    assert recorded.http.errorString() == "Error writing response to device: No space left on device"
    server.wait_for(lambda: server.connections and server.connections[0].how_ended is not None)
    assert recorded.get() == ("NoError", faults.BODY)


def test_body_into_a_file_opened_for_reading_is_an_error(scripted_server, client, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    recorded = client(scripted_server(beyond=faults.answer()))
    for buffering in (0, -1):
        with open(path, "rb", buffering=buffering) as file:
            assert recorded.get(to=file)[0] == "UnknownError"
            assert recorded.http.errorString().startswith("Error writing response to device")
    assert path.read_bytes() == b"old"


def test_body_into_a_file_that_is_closed_is_an_error(scripted_server, client, tmp_path):
    recorded = client(scripted_server(beyond=faults.answer()))
    with open(tmp_path / "file", "wb") as file:
        pass
    assert recorded.get(to=file)[0] == "UnknownError"


def test_body_into_a_file_closed_in_a_slot_never_reaches_another_file(scripted_server, client, tmp_path):
    """Its number goes to the next file that is opened: a descriptor of one's own is needed."""
    body, other = noise(MIDDLE), []
    server = scripted_server([ReceiveRequest(), Send(faults.head(b"Content-Length: %d" % MIDDLE) + body[:1000]), Pause(0.05),
                              Send(body[1000:])])
    recorded = client(server)
    file = open(tmp_path / "file", "wb")

    def swap():
        number = file.fileno()
        file.close()
        other.append(os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT))
        if other[0] != number:
            os.dup2(other[0], number)
            other.append(number)
        recorded.http.responseHeaderReceived.disconnect(swap)

    recorded.http.responseHeaderReceived.connect(swap)
    recorded.get(to=file)
    for fd in other:
        os.close(fd)
    assert (tmp_path / "other").read_bytes() == b""


def test_body_into_a_pipe_goes_through_write(scripted_server, client):
    body, got = noise(30_000), []
    read_fd, write_fd = os.pipe()
    reader = threading.Thread(target=lambda: got.append(open(read_fd, "rb").read()))
    reader.start()
    recorded = client(scripted_server(faults.answer(body)))
    with open(write_fd, "wb") as pipe:
        assert recorded.get(to=pipe)[0] == "NoError"
    reader.join()
    assert got == [body]


# -- to an object that has write()
class Writer:
    """Keeps what it is given; `answer` tells what write returns."""

    def __init__(self, answer=lambda data: len(data)):
        self.pieces, self.answer = [], answer

    def write(self, data):
        assert type(data) is bytes and data
        self.pieces.append(data)
        return self.answer(data)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_huge_body_to_an_object_is_whole_and_comes_in_pieces(scripted_server, client, huge, framing):
    recorded, writer = client(scripted_server(script(huge, framing))), Writer()
    assert recorded.get(to=writer) == ("NoError", b"")
    assert b"".join(writer.pieces) == huge
    assert max(map(len, writer.pieces)) <= 4 << 20


def test_body_to_an_object_that_returns_none_is_whole(scripted_server, client):
    recorded, writer = client(scripted_server(faults.answer(noise(100_000)))), Writer(lambda data: None)
    assert recorded.get(to=writer) == ("NoError", b"")
    assert b"".join(writer.pieces) == noise(100_000)


@pytest.mark.parametrize("make", [io.BytesIO, lambda: io.BufferedWriter(io.BytesIO())])
def test_body_to_a_stream_of_io_is_whole(scripted_server, client, make):
    body, stream = noise(MIDDLE), make()
    stream.write(b"before")
    recorded = client(scripted_server(script(body, "chunked")))
    assert recorded.get(to=stream)[0] == "NoError"
    stream.flush()
    memory = stream if isinstance(stream, io.BytesIO) else stream.raw
    assert memory.getvalue() == b"before" + body


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("answer, text", [
    (lambda data: len(data) - 1, "it took"),
    (lambda data: 0, "it took 0 of"),
    (lambda data: -1, "it took -1 of"),
    (lambda data: 1 // 0, "division"),
    (lambda data: (_ for _ in ()).throw(OSError(28, "No space")), "No space"),
])
def test_body_to_an_object_that_fails_is_an_error_that_says_so(scripted_server, client, framing, answer, text):
    server = scripted_server(script(noise(MIDDLE), framing), faults.answer())
    recorded, writer = client(server), Writer(answer)
    assert recorded.get(to=writer)[0] == "UnknownError"
    assert recorded.http.errorString().startswith("Error writing response to device") and text in recorded.http.errorString()
    assert len(writer.pieces) == 1
    server.wait_for(lambda: server.connections and server.connections[0].how_ended is not None)
    assert recorded.get() == ("NoError", faults.BODY)


def test_body_to_an_object_that_fails_late_is_an_error(scripted_server, client):
    writer = Writer(lambda data: len(data) if len(writer.pieces) < 3 else 0)
    recorded = client(scripted_server(script(noise(MIDDLE), "length")))
    assert recorded.get(to=writer)[0] == "UnknownError"
    assert len(writer.pieces) == 3


def test_body_to_an_object_that_aborts_ends_there(scripted_server, client):
    recorded = client(scripted_server(script(noise(MIDDLE), "length"), faults.answer()))
    writer = Writer(lambda data: recorded.http.abort())
    assert recorded.get(to=writer)[0] == "Aborted"
    assert len(writer.pieces) == 1 and recorded.done == [True]
    assert recorded.get() == ("NoError", faults.BODY)


def test_body_to_an_object_that_is_interrupted_raises_and_ends(scripted_server, client):
    def interrupt(data):
        raise KeyboardInterrupt

    recorded = client(scripted_server(script(noise(MIDDLE), "length"), faults.answer()))
    recorded.http.get("/", Writer(interrupt))
    with pytest.raises(KeyboardInterrupt):
        qhttp.run()
    recorded.wait()
    assert recorded.finished[-1] == (recorded.started[0], True)
    assert recorded.get() == ("NoError", faults.BODY)


def test_body_to_an_object_is_told_as_progress_only(scripted_server, client):
    told = []
    recorded = client(scripted_server(faults.answer(noise(100_000))))
    recorded.http.readyRead.connect(told.append)
    assert recorded.get(to=Writer())[0] == "NoError"
    assert told == [] and recorded.read_progress[-1] == (100_000, 100_000)


@pytest.mark.parametrize("status", [b"HTTP/1.1 204 No Content\r\n", b"HTTP/1.1 304 Not Modified\r\n",
                                    b"HTTP/1.1 205 Reset\r\n"])
def test_answer_without_a_body_writes_nothing(scripted_server, client, tmp_path, status):
    recorded, writer = client(scripted_server([ReceiveRequest(), Send(faults.head(status=status))] * 2)), Writer()
    assert recorded.get(to=writer)[0] == "NoError"
    with open(tmp_path / "file", "wb") as file:
        assert recorded.get(to=file)[0] == "NoError"
        assert file.tell() == 0
    assert writer.pieces == []


@pytest.mark.parametrize("status", [401, 407])
def test_answer_that_asks_for_a_user_writes_nothing(scripted_server, client, tmp_path, status):
    answer = faults.whole(b"page", status=b"HTTP/1.1 %d x\r\n" % status)
    recorded, writer = client(scripted_server(beyond=[ReceiveRequest(), Send(answer)])), Writer()
    assert recorded.get(to=writer)[0] != "NoError"
    with open(tmp_path / "file", "w+b") as file:
        file.write(b"old")
        assert recorded.get(to=file)[0] != "NoError"
        assert file.tell() == 3
    assert writer.pieces == [] and (tmp_path / "file").read_bytes() == b"old"


def test_reset_in_a_file_body_keeps_a_true_beginning(scripted_server, client, tmp_path):
    body = noise(MIDDLE)
    recorded = client(scripted_server([ReceiveRequest(), Send(faults.head(b"Content-Length: %d" % (MIDDLE * 2))), Send(body),
                                       Pause(0.02), Reset()]))
    with open(tmp_path / "file", "w+b") as file:
        assert recorded.get(to=file)[0] == "WrongContentLength"
        file.seek(0)
        assert body.startswith(file.read())
