"""Request bodies from bytes and from every kind of source: just what was announced goes out, or an error says why not."""
import io
import os

import pytest
from core.process_tools import in_child
from engine.recording import Recorded, noise, request
from support import faults
from support.actions import Close, Pause, ReceiveBody, ReceiveHead, ReceiveRequest, Reset, Send
from support.request_reading import LAST_CHUNK

import qhttp

BIG = 8 << 20
OK = ("NoError", faults.BODY)


class TakeChunked:
    """Takes a request whose body is chunked, as one entry of `taken`."""

    def __call__(self, peer):
        while not peer.pending.endswith(LAST_CHUNK):
            peer.more()
        peer.take(len(peer.pending))


def decoded(body):
    """The bytes of a chunked body, which must be well-formed to the last byte."""
    data, at = bytearray(), 0
    while True:
        end = body.index(b"\r\n", at)
        size = int(body[at:end], 16)
        at = end + 2
        data += body[at:at + size]
        assert body[at + size:at + size + 2] == b"\r\n"
        at += size + 2
        if size == 0:
            assert at == len(body)
            return bytes(data)


class Stream:
    """A source that can neither seek nor tell its length; `steps` bounds what one read gives."""

    def __init__(self, data, step=1 << 20):
        self.inner, self.step, self.wanted = io.BytesIO(data), step, []

    def read(self, n):
        self.wanted.append(n)
        return self.inner.read(min(n, self.step))


class Sized(Stream):
    """The same with a size()."""

    def __init__(self, data, size, step=1 << 20):
        super().__init__(data, step)
        self.size = lambda: size


def post(recorded, data, wait=True):
    recorded.http.post("/up", data)
    return (recorded.wait(), bytes(recorded.http.readAll())) if wait else None


def sent(server, number=0):
    """Head and body of a request that was taken."""
    head, _, body = server.connections[number].taken[0].partition(b"\r\n\r\n")
    return head, body


def no_second_request(server, number=0):
    """Nothing but the one request went out on a connection."""
    connection = server.connections[number]
    return len(connection.taken) == 1 and connection.rest == b""


# -- what goes out
@pytest.mark.parametrize("size", [0, 1, 65_000, 65_536, 70_000, BIG])
def test_body_of_bytes_goes_out_whole(scripted_server, client, size):
    data, server = noise(size), scripted_server(faults.answer())
    recorded = client(server)
    assert post(recorded, data) == OK
    head, body = sent(server)
    assert body == data and b"\r\ncontent-length: %d" % size in head.lower()
    assert no_second_request(server)


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_body_that_could_change_is_sent_as_it_was(scripted_server, client, kind):
    data, server = bytearray(noise(100_000)), scripted_server(faults.answer())
    recorded = client(server)
    recorded.http.post("/up", kind(data))
    data[:] = bytes(len(data))
    assert recorded.wait() == "NoError"
    assert sent(server)[1] == noise(100_000)


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 8192, 100_000, BIG])
def test_body_of_a_seekable_source_goes_out_from_its_start(scripted_server, client, size):
    data, server = noise(size), scripted_server(faults.answer())
    source = io.BytesIO(data)
    source.seek(size // 2)
    assert post(client(server), source) == OK
    head, body = sent(server)
    assert body == data and b"content-length: %d" % size in head


def test_body_of_a_real_file_goes_out_whole(scripted_server, client, tmp_path):
    data, server = noise(BIG), scripted_server(faults.answer())
    (tmp_path / "file").write_bytes(data)
    with open(tmp_path / "file", "rb") as file:
        file.read(10)
        assert post(client(server), file) == OK
    assert sent(server)[1] == data


@pytest.mark.parametrize("step", [1, 100, 5000])
@pytest.mark.parametrize("size", [0, 1, 4096, 10_000])
def test_body_of_unknown_length_goes_out_chunked(scripted_server, client, size, step):
    data, server = noise(size), scripted_server([TakeChunked(), Send(faults.whole())])
    assert post(client(server), Stream(data, step)) == OK
    head, body = sent(server)
    assert b"Transfer-Encoding: chunked" in head and b"content-length" not in head.lower()
    assert decoded(body) == data


def test_body_of_unknown_length_that_is_big_goes_out_whole(scripted_server, client):
    data, server = noise(BIG), scripted_server([TakeChunked(), Send(faults.whole())])
    recorded = client(server)
    assert post(recorded, Stream(data)) == OK
    assert decoded(sent(server)[1]) == data
    assert recorded.send_progress[-1] == (len(server.connections[0].taken[0]), 0)      # the total is not known


def test_body_of_a_pipe_goes_out_chunked(scripted_server, client):
    read_fd, write_fd = os.pipe()
    os.write(write_fd, b"through a pipe")
    os.close(write_fd)
    server = scripted_server([TakeChunked(), Send(faults.whole())])
    with open(read_fd, "rb") as pipe:
        assert post(client(server), pipe) == OK
    assert decoded(sent(server)[1]) == b"through a pipe"


@pytest.mark.parametrize("step", [1, 1000, 1 << 20])
def test_body_of_a_source_with_a_size_goes_out_with_it(scripted_server, client, step):
    data, server = noise(10_000), scripted_server(faults.answer())
    assert post(client(server), Sized(data, len(data), step)) == OK
    assert sent(server)[1] == data


def test_body_of_a_source_larger_than_its_size_is_cut_there(scripted_server, client):
    server, source = scripted_server([*faults.answer(), *faults.answer()]), Sized(noise(10_000), 5000)
    recorded = client(server)
    assert post(recorded, source) == OK
    assert sent(server)[1] == noise(10_000)[:5000]
    assert recorded.get() == OK


def test_source_is_asked_only_for_what_is_missing(scripted_server, client):
    source = Sized(noise(10_000), 10_000)
    post(client(scripted_server(faults.answer())), source)
    assert source.wanted == [4096, 4096, 10_000 - 8192]


def test_progress_of_an_upload_rises_to_the_whole_request(scripted_server, client):
    server = scripted_server(faults.answer())
    recorded = client(server)
    post(recorded, noise(BIG))
    whole = len(server.connections[0].taken[0])
    assert recorded.send_progress[-1] == (whole, whole)
    assert all(a[0] < b[0] for a, b in zip(recorded.send_progress, recorded.send_progress[1:], strict=False))
    assert {total for _, total in recorded.send_progress} == {whole}


def test_connection_is_kept_after_an_upload(scripted_server, client):
    server = scripted_server(faults.answer(*[faults.BODY] * 3))
    recorded = client(server)
    assert [post(recorded, noise(100_000)), post(recorded, io.BytesIO(noise(5000))), recorded.get()] == [OK] * 3
    assert len(server.connections) == 1


# -- sources that fail
class Failing:
    """A source of `size` bytes that raises in its n-th read."""

    def __init__(self, error, size=None, n_good=1):
        self.error, self.n_good = error, n_good
        if size is not None:
            self.size = lambda: size

    def read(self, n):
        self.n_good -= 1
        if self.n_good < 0:
            raise self.error
        return bytes(n)


def failed_upload(scripted_server, client, source):
    """The text of the error; checks that the object works afterwards."""
    server = scripted_server([ReceiveHead(), ReceiveBody()], faults.answer())
    recorded = client(server)
    recorded.http.setTransferTimeout(500)
    assert post(recorded, source)[0] == "UnknownError"
    text = recorded.http.errorString()
    assert text.startswith("Error reading from device: ")
    assert recorded.done == [True]
    if server.connections:
        server.wait_for(lambda: server.connections and server.connections[0].how_ended is not None)
    recorded.http.setHost("127.0.0.1", scripted_server(faults.answer()).port)
    assert recorded.get() == OK
    return text


def test_source_that_ends_early_is_an_error_that_says_so(scripted_server, client):
    text = failed_upload(scripted_server, client, Sized(noise(10_000), 20_000))
    assert text == "Error reading from device: it ended 10000 bytes early"


def test_file_that_shrinks_is_an_error(scripted_server, client, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(BIG))
    server = scripted_server([ReceiveHead(), Pause(30)])
    recorded = client(server)
    with open(path, "rb", buffering=0) as file:
        recorded.http.stateChanged.connect(lambda state: state.name == "Sending" and os.truncate(path, 100))
        assert post(recorded, file)[0] == "UnknownError"
    assert "early" in recorded.http.errorString()


@pytest.mark.parametrize("size", [None, 100_000])
@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), ValueError("on purpose"), RuntimeError("x")])
def test_source_that_raises_is_an_error_that_says_so(scripted_server, client, size, error):
    text = failed_upload(scripted_server, client, Failing(error, size))
    assert text == f"Error reading from device: {error}"


def test_source_that_raises_at_once_is_an_error(scripted_server, client):
    failed_upload(scripted_server, client, Failing(OSError("x"), 10, n_good=0))


@pytest.mark.parametrize("block", ["text", [1, 2, 999], object()])
def test_source_that_gives_no_bytes_is_an_error(scripted_server, client, block):
    source = type("Source", (), {"read": lambda self, n: block, "size": lambda self: 10})()
    failed_upload(scripted_server, client, source)


def test_source_that_gives_a_number_is_an_error(scripted_server, client):
    source = type("Source", (), {"read": lambda self, n: n, "size": lambda self: 10})()
    failed_upload(scripted_server, client, source)


@pytest.mark.parametrize("block", [bytearray(b"0123456789"), memoryview(b"0123456789")])
def test_source_that_gives_another_kind_of_bytes_works(scripted_server, client, block):
    source = type("Source", (), {"read": lambda self, n: block, "size": lambda self: 10})()
    server = scripted_server(faults.answer())
    assert post(client(server), source) == OK
    assert sent(server)[1] == b"0123456789"


def test_source_that_gives_more_than_asked_never_sends_more_than_announced(scripted_server, client):
    """What goes out behind the announced length would be read as another request."""
    smuggled = b"0123456789GET /evil HTTP/1.1\r\nHost: h\r\n\r\n"
    source = type("Source", (), {"read": lambda self, n: smuggled, "size": lambda self: 10})()
    server = scripted_server([ReceiveRequest()])
    recorded = client(server)
    recorded.http.setTransferTimeout(200)
    post(recorded, source)
    server.wait_for(lambda: server.connections and server.connections[0].how_ended is not None)
    assert b"evil" not in server.connections[0].received


@pytest.mark.parametrize("size", [-1, -2, -3, -100, 2**63, 2**70, 1.5, "10", None])
def test_source_with_an_impossible_size_is_an_error_and_nothing_is_sent(scripted_server, size):
    server = scripted_server([ReceiveRequest(), Send(faults.whole())])

    def child():                        # one of them once ended the process
        recorded = Recorded(server.host, server.port)
        recorded.http.setTransferTimeout(300)
        return post(recorded, Sized(b"0123456789", size))[0]

    assert in_child(child) == "UnknownError"
    assert server.requests in ([], [[]])


@pytest.mark.parametrize("verb", ["seek", "seekable"])
def test_source_whose_seek_fails_is_an_error_and_nothing_is_sent(scripted_server, client, verb):
    def fail(*_):
        raise OSError("cannot")

    source = type("Source", (io.BytesIO,), {verb: fail})(b"data")
    server = scripted_server(faults.answer())
    recorded = client(server)
    assert post(recorded, source)[0] == "UnknownError"
    assert recorded.http.errorString() == "Error reading from device: cannot"
    assert server.connections == []


def test_source_that_aborts_while_read_ends_there(scripted_server, client):
    recorded = client(scripted_server([ReceiveHead(), Pause(30)]))
    source = type("Source", (), {"read": lambda self, n: (recorded.http.abort(), bytes(n))[1], "size": lambda self: BIG})()
    assert post(recorded, source)[0] == "Aborted"
    assert recorded.done == [True]


@pytest.mark.parametrize("verb", ["read", "seek", "size"])
def test_source_that_is_interrupted_raises_and_ends(scripted_server, client, verb):
    def interrupt(*_):
        raise KeyboardInterrupt

    source = type("Source", (io.BytesIO,), {verb: interrupt})(bytes(10_000))
    recorded = client(scripted_server([ReceiveHead(), ReceiveBody()]))
    recorded.http.post("/", source)
    with pytest.raises(KeyboardInterrupt):
        qhttp.run()
    assert recorded.http.waitForDone(1000)
    assert recorded.finished == [(recorded.started[0], True)]
    recorded.http.setHost("127.0.0.1", scripted_server(faults.answer()).port)
    assert recorded.get() == OK


# -- answers that do not wait
@pytest.mark.parametrize("data", [
    lambda: bytes(32 << 20), lambda: io.BytesIO(bytes(32 << 20)), lambda: Stream(bytes(32 << 20)),
], ids=["bytes", "source", "stream"])
def test_answer_before_the_upload_has_ended_is_taken(scripted_server, client, data):
    server = scripted_server(faults.early_answer(), faults.answer())
    recorded = client(server)
    assert post(recorded, data()) == ("NoError", b"large")
    assert recorded.statuses == [413]
    assert recorded.http.state().name == "Unconnected"
    assert recorded.get() == OK
    assert len(server.connections) == 2


def test_answer_before_the_upload_has_ended_closes_even_a_kept_connection(scripted_server, client):
    """The server says nothing of closing; but what is left of the body would be read as a request."""
    server = scripted_server([ReceiveHead(), Send(faults.whole(b"early"))], faults.answer())
    recorded = client(server)
    assert post(recorded, bytes(32 << 20)) == ("NoError", b"early")
    server.wait_for(lambda: server.connections and server.connections[0].how_ended is not None)
    assert recorded.get() == OK


def test_big_answer_before_the_upload_has_ended_is_whole(scripted_server, client):
    body = noise(3 << 20)
    server = scripted_server([ReceiveHead(), Send(faults.whole(body, b"Connection: close")), Close()])
    assert post(client(server), bytes(32 << 20)) == ("NoError", body)


def test_answer_of_a_server_that_resets_the_upload_is_taken_where_it_came(scripted_server, client):
    server = scripted_server([ReceiveHead(), Send(faults.whole(b"no", b"Connection: close")), Pause(0.05), Reset()])
    recorded = client(server)
    assert post(recorded, bytes(32 << 20))[0] in ("NoError", "UnexpectedClose")


def test_reset_in_an_upload_is_an_unexpected_close(scripted_server, client):
    server = scripted_server(faults.reset_mid_upload())
    assert post(client(server), bytes(32 << 20))[0] == "UnexpectedClose"
    assert len(server.connections) == 1


def test_continue_while_the_upload_goes_on_does_not_end_it(scripted_server, client):
    interim = Send(b"HTTP/1.1 100 Continue\r\n\r\n")
    data = noise(BIG)

    def take_body(peer):
        peer.take(BIG)

    server = scripted_server([ReceiveHead(), interim, take_body, Send(faults.whole())])
    recorded = client(server)
    assert post(recorded, data) == OK
    assert server.connections[0].taken[1] == data


def test_abort_in_an_upload_closes_the_connection(scripted_server, client):
    server = scripted_server([ReceiveHead(), ReceiveBody()])
    recorded = client(server)
    recorded.http.dataSendProgress.connect(lambda done, total: done > 100_000 and recorded.http.abort())
    assert post(recorded, bytes(32 << 20))[0] == "Aborted"
    server.wait_for(lambda: server.connections and server.connections[0].how_ended is not None)


# -- request() with a header of one's own
@pytest.mark.parametrize("length", ["3", "100000"])
def test_length_in_the_header_is_replaced_by_the_bodys_own(scripted_server, client, length):
    server = scripted_server(faults.answer())
    recorded = client(server)
    header = request("PUT", "/x")
    header.setValue("Content-Length", length)
    recorded.http.request(header, io.BytesIO(b"0123456789"))
    assert recorded.wait() == "NoError"
    head, body = sent(server)
    assert b"Content-Length: 10" in head and body == b"0123456789"


def test_length_in_the_header_is_dropped_for_a_body_of_unknown_length(scripted_server, client):
    server = scripted_server([TakeChunked(), Send(faults.whole())])
    recorded = client(server)
    header = request("PUT", "/x")
    header.setValue("Content-Length", "10")
    recorded.http.request(header, Stream(b"0123456789"))
    assert recorded.wait() == "NoError"
    head, body = sent(server)
    assert b"content-length" not in head.lower() and decoded(body) == b"0123456789"
