"""Where a request's body comes from: bytes of every kind, files, objects with read, and those that lie about their size, give
too much, too little or no bytes at all. What is sent is exactly one request, or nothing that could be taken for one."""
import array
import io
import mmap
import os
import threading

import pytest
from support.actions import Close, CloseAtOnce, HalfClose, ReceiveBody, ReceiveHead, ReceiveRequest, Reset, Send
from support.apart import run_apart
from support.faults import BODY, head, reset_mid_upload, whole
from support.scripted_server import ScriptedServer

import qhttp
from qhttp import QHttp

READ_ERROR = "Error reading from device"
KINDS = ["post", "request"]
REFUSED = b"HTTP/1.1 413 No\r\n"


class Readable:
    """The least that a source is: a read(n)."""

    def __init__(self, data):
        self.file, self.asked = io.BytesIO(data), []

    def read(self, n):
        self.asked.append(n)
        return self.file.read(n)


class Sized(Readable):
    """One that tells its size, or what a test wants it to tell; it cannot seek."""

    def __init__(self, data, size=None):
        super().__init__(data)
        self.told = len(data) if size is None else size

    def size(self):
        if isinstance(self.told, Exception):
            raise self.told
        return self.told


class ManyBytes(bytes):
    """What a program may have instead of plain bytes."""


@pytest.fixture
def upload(make, finish, scripted_server):
    """Sends a body and gives (object, head, body) as the server took them: upload(data)."""
    def send(data, kind="post", header=None):
        server = scripted_server([ReceiveRequest(), Send(whole()), Close()])
        http = make(server)
        post(http, data, kind, header)
        finish(http)
        server.wait_for(lambda: (server.connections and server.connections[0].how_ended) or server.requests[0])
        lines, _, body = server.requests[0][0].partition(b"\r\n\r\n")
        return http, lines.decode(), body
    return send


def post(http, data, kind="post", header=None):
    if kind == "post":
        return http.post("/", data)
    return http.request(header or qhttp.QHttpRequestHeader("PUT", "/"), data)


# -- bytes
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("data", [b"", b"x", b"\r\n\r\nGET /evil HTTP/1.1\r\n\r\n", bytes(range(256)) * 300,
                                  bytearray(b"array"),
                                  memoryview(b"view"), memoryview(b"012345678")[::2], memoryview(array.array("I", [1, 2]))],
                         ids=lambda data: f"{type(data).__name__}{len(data)}")
def test_bytes_like_body_sent_with_its_length(upload, data, kind):
    http, head, body = upload(data, kind)
    assert body == bytes(data) and f"content-length: {len(bytes(data))}" in head.split("\r\n")
    assert (http.error(), http.readAll()) == (QHttp.NoError, BODY)


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_subclass_body_sent(upload, kind):
    http, _, body = upload(ManyBytes(b"many"), kind)
    assert body == b"many" and http.error() == QHttp.NoError


def test_bytearray_changed_after_the_call_sent_as_it_was(make, scripted_server, finish):
    server = scripted_server([ReceiveRequest(), Send(whole())])
    http, data = make(server), bytearray(b"before")
    http.post("/", data)
    data[:] = b"after!"
    data.clear()                    # not locked either
    finish(http)
    assert server.requests[0][0].endswith(b"\r\n\r\nbefore")


def test_none_as_body_sends_no_length(upload):
    _, head, body = upload(None)
    assert body == b"" and "length" not in head.lower()


@pytest.mark.parametrize("data", ["text", 5, object(), [1], {}, 1.5, array.array("b", [1]), io.StringIO("text")],
                         ids=lambda data: type(data).__name__)
def test_body_of_wrong_type_refused_by_name_at_the_call(make, data):
    http = make("h")
    for kind in KINDS:
        with pytest.raises(TypeError, match="data must be"):
            post(http, data, kind)
    assert http.currentId() == 0


def test_text_file_as_body_refused_by_name_at_the_call(make, tmp_path):
    (tmp_path / "f").write_text("text")
    with open(tmp_path / "f") as file, pytest.raises(TypeError, match="data must be"):
        make("h").post("/", file)


# -- devices
@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 300_000])
@pytest.mark.parametrize("wrap", [io.BytesIO, Sized])
def test_device_sent_whole_with_its_length(upload, size, wrap):
    data = os.urandom(size)
    _, head, body = upload(wrap(data))
    assert body == data and f"content-length: {size}" in head.split("\r\n")


@pytest.mark.parametrize("buffering", [-1, 0])
def test_file_sent_from_its_start_and_left_open(upload, tmp_path, buffering):
    data = os.urandom(50_000)
    (tmp_path / "f").write_bytes(data)
    with open(tmp_path / "f", "rb", buffering) as file:
        file.seek(1000)
        _, _, body = upload(file)
        assert body == data and not file.closed


def test_mmap_sent_whole(upload, tmp_path):
    (tmp_path / "f").write_bytes(b"mapped" * 1000)
    with open(tmp_path / "f", "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        _, _, body = upload(data)
        assert body == b"mapped" * 1000


def test_device_without_size_or_seek_sent_chunked(make, scripted_server, finish):
    server = scripted_server([ReceiveHead(), ReceiveBody(), Send(whole())])
    http = make(server)
    sent = []
    http.dataSendProgress.connect(lambda done, total: sent.append((done, total)))
    http.post("/", Readable(b"x" * 10_000))
    finish(http)
    assert http.error() == QHttp.NoError and b"Transfer-Encoding: chunked" in server.requests[0][0]
    assert b"length" not in server.requests[0][0].lower()
    counts = [done for done, _ in sent]
    assert counts == sorted(set(counts)) and counts[-1] > 10_000
    assert {total for _, total in sent} == {0}      # unknown, as documented


def test_pipe_sent_chunked(make, scripted_server, finish):
    server = scripted_server([ReceiveHead(), ReceiveBody(), Send(whole())])
    http = make(server)
    reading, writing = os.pipe()
    os.write(writing, b"through a pipe")
    os.close(writing)
    with open(reading, "rb") as file:
        http.post("/", file)
        finish(http)
    received = bytes(server.connections[0].received).partition(b"\r\n\r\n")[2]
    assert received == b"e\r\nthrough a pipe\r\n0\r\n\r\n" and http.error() == QHttp.NoError


def test_device_of_unknown_size_in_http10_request_refused_and_nothing_sent(make, scripted_server, finish):
    server = scripted_server([ReceiveHead(), ReceiveBody(), Send(whole())])
    http = make(server)
    http.request(qhttp.QHttpRequestHeader("PUT", "/", 1, 0), Readable(b"data"))     # HTTP/1.0 knows no chunks
    finish(http)
    assert http.error() == QHttp.UnknownError and not any(server.requests)


def test_device_shared_by_two_requests_sent_twice(make, scripted_server, finish):
    server = scripted_server([ReceiveRequest(), Send(whole()), ReceiveRequest(), Send(whole())])
    http, data = make(server), io.BytesIO(b"twice")
    http.post("/", data)
    http.post("/", data)
    finish(http)
    assert [request.partition(b"\r\n\r\n")[2] for request in server.requests[0]] == [b"twice"] * 2


def test_device_read_only_when_its_request_starts(make, path_server, finish):
    http = make(path_server)
    data = io.BytesIO(b"at first")
    http.get(path_server.path("whole"))
    http.requestFinished.connect(lambda: data.getvalue() == b"at first" and (data.seek(0), data.write(b"changed!")))
    http.post(path_server.path("whole"), data)
    finish(http)
    assert path_server.connections[-1].taken[-1] == b"changed!"


# -- devices that do not keep their word
def sent_bodies(server):
    """Everything that came behind the head, as far as it has come."""
    return b"".join(bytes(connection.received).partition(b"\r\n\r\n")[2] for connection in server.connections)


def assert_refused(http, told, server, n_most):
    """UnknownError about the device, no more than the announced bytes on the wire, the connection closed."""
    assert [error for _, error in told.finished] == [True] and http.error() == QHttp.UnknownError
    assert http.errorString().startswith(READ_ERROR)
    server.wait_for(lambda: all(connection.how_ended for connection in server.connections))
    assert len(sent_bodies(server)) <= n_most


@pytest.mark.parametrize("answer", [lambda n: b"x" * (n + 1), lambda n: b"x" * 5000, lambda n: b"x" * 100_000])
def test_device_that_gives_more_than_asked_for_error_and_no_surplus_sent(make, scripted_server, record, answer):
    server = scripted_server([lambda peer: [peer.more() for _ in iter(int, 1)]])
    http = make(server)
    told = record(http)
    source = Sized(b"", 10)
    source.read = answer
    http.post("/", source)
    http.waitForDone(300)
    http.abort()
    assert_refused(http, told, server, 10)


@pytest.mark.parametrize("n_missing", [1, 10, 5000, 10_000])
def test_device_that_ends_early_error(make, scripted_server, record, finish, n_missing):
    server = scripted_server([lambda peer: [peer.more() for _ in iter(int, 1)]])
    http = make(server)
    told = record(http)
    http.post("/", Sized(b"x" * (10_000 - n_missing), 10_000))
    finish(http)
    assert_refused(http, told, server, 10_000 - n_missing)
    assert str(n_missing) in http.errorString()


IMPOSSIBLE_SIZES = [-1, -2, -3, -4, -2**63, 2**63, None, "10", 10.5, OSError("no size"), ValueError("no size")]


def play_size(size):
    """POSTs a source of that size; (whether it ended, the error, its text, the bytes that the server got)."""
    with ScriptedServer([lambda peer: [peer.more() for _ in iter(int, 1)]]) as server:
        http = QHttp(server.host, server.port)
        source = Sized(b"abcdef")
        source.told = size
        http.post("/", source)
        ended = http.waitForDone(300)
        http.abort()
        server.wait_for(lambda: all(connection.how_ended for connection in server.connections))
        return ended, http.error().name, http.errorString(), [bytes(connection.received) for connection in server.connections]


@pytest.fixture(scope="module")
def played_sizes():
    return dict(run_apart("face.test_qhttp_uploads:play_size", {repr(size): (size,) for size in IMPOSSIBLE_SIZES}, at_once=4,
                          limit_s=5))


@pytest.mark.limit(20)
@pytest.mark.parametrize("size", [repr(size) for size in IMPOSSIBLE_SIZES])
def test_device_with_an_impossible_size_error_and_nothing_sent(played_sizes, size):
    assert played_sizes[size].crash is None
    ended, error, text, received = played_sizes[size].value
    assert (ended, error, b"".join(received)) == (True, "UnknownError", b"") and text.startswith(READ_ERROR)


@pytest.mark.parametrize("piece", [5, "text", 1.5, object(), [300], True], ids=repr)
def test_device_that_gives_no_bytes_error(make, scripted_server, record, piece):
    server = scripted_server([lambda peer: [peer.more() for _ in iter(int, 1)]])
    http = make(server)
    told = record(http)
    source = Sized(b"", 5)
    source.read = lambda n: piece
    http.post("/", source)
    http.waitForDone(300)
    http.abort()
    assert_refused(http, told, server, 0)


@pytest.mark.parametrize("n_good", [0, 1, 2])
def test_device_that_raises_error_and_next_request_fine(make, path_server, record, finish, n_good):
    def read(n, good=[]):  # noqa: B006
        good.append(1)
        if len(good) > n_good:
            raise OSError("bad sector")
        return b"x" * n

    http = make(path_server)
    told = record(http)
    source = Sized(b"", 20_000)
    source.read = read
    number = http.post(path_server.path("whole"), source)
    finish(http)
    assert told.finished == [(number, True)] and http.error() == QHttp.UnknownError
    assert http.errorString() == f"{READ_ERROR}: bad sector"
    path = path_server.path("whole")
    http.get(path)
    finish(http)
    assert http.error() == QHttp.NoError and http.readAll() == path_server.body(path)


def test_device_closed_before_its_request_starts_error(make, path_server, record, finish, tmp_path):
    http = make(path_server)
    told = record(http)
    (tmp_path / "f").write_bytes(b"x")
    with open(tmp_path / "f", "rb") as file:
        http.post(path_server.path("whole"), file)
    finish(http)
    assert http.error() == QHttp.UnknownError and http.errorString().startswith(READ_ERROR)
    assert told.of("done") == [True]


def test_file_opened_for_writing_only_as_source_error(make, path_server, finish, tmp_path):
    http = make(path_server)
    with open(tmp_path / "f", "wb") as file:
        file.write(b"data")
        http.post(path_server.path("whole"), file)
        finish(http)
    assert http.error() == QHttp.UnknownError and http.errorString().startswith(READ_ERROR)


def test_file_that_shrinks_while_it_is_sent_error(make, scripted_server, record, finish, tmp_path):
    server = scripted_server([lambda peer: [peer.more() for _ in iter(int, 1)]])
    http = make(server)
    told = record(http)
    (tmp_path / "f").write_bytes(b"x" * 50_000)
    with open(tmp_path / "f", "rb", 0) as file:
        http.dataSendProgress.connect(lambda: os.truncate(tmp_path / "f", 10_000))
        http.post("/", file)
        finish(http)
    assert_refused(http, told, server, 50_000)


def test_file_that_grows_while_it_is_sent_announced_bytes_sent(make, scripted_server, finish, tmp_path):
    server = scripted_server([ReceiveRequest(), Send(whole())])
    http = make(server)
    (tmp_path / "f").write_bytes(b"x" * 50_000)
    with open(tmp_path / "f", "rb", 0) as file:
        def grow():
            with open(tmp_path / "f", "ab") as more:
                more.write(b"y" * 10_000)

        http.dataSendProgress.connect(grow)
        http.post("/", file)
        finish(http)
    assert http.error() == QHttp.NoError and sent_bodies(server) == b"x" * 50_000


# -- sent again
@pytest.mark.parametrize("data", [b"again" * 10_000, io.BytesIO(b"again" * 10_000)], ids=["bytes", "device"])
@pytest.mark.parametrize("loss", [Reset(), CloseAtOnce()], ids=repr)
def test_put_without_answer_body_sent_again_from_its_start(make, scripted_server, finish, data, loss):
    server = scripted_server([ReceiveHead(), loss], [ReceiveRequest(), loss], [ReceiveRequest(), Send(whole())])
    http = make(server)
    http.request(qhttp.QHttpRequestHeader("PUT", "/"), data)
    finish(http)
    assert (http.error(), http.readAll()) == (QHttp.NoError, BODY)
    assert server.requests[2][0].partition(b"\r\n\r\n")[2] == b"again" * 10_000


def test_put_without_answer_device_that_cannot_seek_error_that_says_so(make, scripted_server, finish):
    server = scripted_server([ReceiveRequest(), Reset()], beyond=[ReceiveRequest(), Send(whole())])
    http = make(server)
    http.request(qhttp.QHttpRequestHeader("PUT", "/"), Sized(b"x" * 5000))
    finish(http)
    assert http.error() == QHttp.UnknownError and "seek" in http.errorString()


@pytest.mark.parametrize("data", [b"once", io.BytesIO(b"once")], ids=["bytes", "device"])
def test_post_without_answer_never_sent_again(make, scripted_server, finish, data):
    server = scripted_server([ReceiveRequest(), Reset()], beyond=[ReceiveRequest(), Send(whole())])
    http = make(server)
    http.post("/", data)
    finish(http)
    assert http.error() == QHttp.UnexpectedClose and len(server.connections) == 1


# -- the answer comes first
@pytest.mark.parametrize("data", [b"x" * (8 << 20), io.BytesIO(b"x" * (8 << 20))], ids=["bytes", "device"])
def test_answer_before_the_body_was_sent_delivered_and_connection_not_used_again(make, scripted_server, finish, data):
    server = scripted_server([ReceiveHead(), Send(whole(b"stop", status=b"HTTP/1.1 413 No\r\n")), HalfClose(), ReceiveBody()],
                             [ReceiveRequest(), Send(whole(b"next"))])
    http = make(server)
    http.post("/", data)
    finish(http)
    assert (http.lastResponse().statusCode(), http.readAll(), http.error()) == (413, b"stop", QHttp.NoError)
    http.get("/")
    finish(http)
    assert http.readAll() == b"next" and len(server.connections) == 2


def test_refusal_that_comes_while_the_device_is_asked_nothing_more_sent(make, scripted_server, record, finish):
    gate = threading.Event()
    server = scripted_server([ReceiveHead(), lambda peer: gate.wait(5),
                              Send(head(b"Content-Length: 4", status=REFUSED) + b"st"),
                              lambda peer: peer.server.wait_for(lambda: more), Send(b"op"), HalfClose(), ReceiveBody()])
    http = make(server)
    told, more = record(http), []

    def read(n):
        if not gate.is_set():
            gate.set()
            while "Reading" not in told.states:
                qhttp.loop().run(1)
        return b"x" * n

    source = Sized(b"", 100_000)
    source.read = read
    http.post("/", source)
    http.readyRead.connect(lambda: (more.append(1), server._notify()))
    finish(http)
    assert http.error() == QHttp.NoError and http.readAll() == b"stop"
    assert "dataSendProgress" not in told.names[told.names.index("responseHeaderReceived"):]


def test_reset_during_upload_error_and_next_request_fine(make, scripted_server, finish):
    server = scripted_server(reset_mid_upload(), [ReceiveRequest(), Send(whole(b"next"))])
    http = make(server)
    http.post("/", b"x" * (8 << 20))
    finish(http)
    assert http.error() == QHttp.UnexpectedClose
    http.get("/")
    finish(http)
    assert http.readAll() == b"next"


def test_source_and_destination_in_one_request_both_used(make, scripted_server, finish, tmp_path):
    server = scripted_server([ReceiveRequest(), Send(whole(b"answer"))])
    http = make(server)
    with open(tmp_path / "f", "w+b") as file:
        file.write(b"question")
        http.post("/", file, file)              # one file for both: sent first, then written behind what was sent
        finish(http)
        assert server.requests[0][0].endswith(b"\r\n\r\nquestion")
    assert http.error() == QHttp.NoError and b"answer" in (tmp_path / "f").read_bytes()


def test_upload_large_from_a_slow_reader_arrives_whole(make, scripted_server, finish):
    data = os.urandom(4 << 20)
    gate = threading.Event()
    server = scripted_server([ReceiveHead(), lambda peer: gate.wait(5), lambda peer: peer.take(len(data)), Send(whole())])
    http = make(server)
    http.post("/", data)
    http.waitForDone(20)            # the socket is full
    gate.set()
    finish(http)
    assert http.error() == QHttp.NoError and server.requests[0][1] == data
