"""Where an answer goes: real files in every mode and at every position, objects with write, full disks, pipes, and files that
are closed, or replaced by others, while the answer comes."""
import gzip
import io
import os
import sys
import tempfile
import threading

import pytest
from support.actions import ReceiveRequest, Send
from support.faults import head

from qhttp import QHttp

SIZE = 5000
STYLES = ["whole", "thirds", "chunked", "chunks", "close"]
WRITE_ERROR = "Error writing response to device"


class WriteOnly:
    """The least that a destination is: a write that takes everything."""

    def __init__(self, answer=None):
        self.pieces, self.answer = [], answer

    def write(self, data):
        assert type(data) is bytes and data
        self.pieces.append(data)
        return self.answer(data) if callable(self.answer) else self.answer

    @property
    def data(self):
        return b"".join(self.pieces)


@pytest.fixture
def fetch(make, path_server, finish):
    """Fetches a path into a destination and gives (object, body): fetch(to, style, size)."""
    def get(to, style="thirds", size=SIZE):
        http = make(path_server)
        path = path_server.path(style, size)
        http.get(path, to)
        finish(http)
        return http, path_server.body(path)
    return get


def assert_next_request_fine(http, server, finish, told):
    """After an error the connection is closed, and the same object goes on with a new one."""
    assert told.states[-2:] == ["Closing", "Unconnected"] and http.state() == QHttp.Unconnected
    path = server.path("thirds", 50, "next")
    http.get(path)
    finish(http)
    assert (http.error(), http.errorString(), http.readAll()) == (QHttp.NoError, "Unknown error", server.body(path))


# -- files
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("mode, buffering", [("wb", -1), ("wb", 0), ("w+b", -1), ("xb", -1), ("wb", 10)])
def test_file_opened_for_writing_holds_the_body_and_stands_behind_it(fetch, tmp_path, mode, buffering, style):
    with open(tmp_path / "f", mode, buffering) as file:
        http, body = fetch(file, style)
        assert http.error() == QHttp.NoError and file.tell() == SIZE
        assert (tmp_path / "f").read_bytes() == body        # it is there without a flush
        file.write(b"end")
    assert (tmp_path / "f").read_bytes() == body + b"end"


@pytest.mark.parametrize("offset", [0, 1, 7, 5000, 9000, 20_000])
def test_file_r_plus_b_at_an_offset_overwrites_from_there(fetch, tmp_path, offset):
    old = os.urandom(10_000)
    (tmp_path / "f").write_bytes(old)
    with open(tmp_path / "f", "r+b") as file:
        file.seek(offset)
        _, body = fetch(file)
        assert file.tell() == offset + SIZE
        assert file.read() == old[offset + SIZE:]
    expected = (old + bytes(max(0, offset - len(old))))[:offset] + body + old[offset + SIZE:]
    assert (tmp_path / "f").read_bytes() == expected


def test_file_read_from_before_and_after_sees_the_new_bytes(fetch, tmp_path):
    (tmp_path / "f").write_bytes(b"0123456789" * 1000)
    with open(tmp_path / "f", "r+b") as file:
        assert file.read(3) == b"012"           # the file object has read ahead
        _, body = fetch(file, size=40)
        file.seek(0)
        assert file.read(50) == b"012" + body + b"3456789"


def test_file_written_to_before_and_after_order_kept(fetch, tmp_path):
    with open(tmp_path / "f", "wb") as file:
        file.write(b"before")                   # still in the buffer of the file object
        _, body = fetch(file)
        file.write(b"after")
    assert (tmp_path / "f").read_bytes() == b"before" + body + b"after"


@pytest.mark.parametrize("mode", ["ab", "a+b"])
@pytest.mark.parametrize("buffering", [-1, 0])
def test_file_opened_for_appending_body_goes_to_the_end(fetch, tmp_path, mode, buffering):
    (tmp_path / "f").write_bytes(b"old")
    with open(tmp_path / "f", mode, buffering) as file:
        file.seek(0)                            # does not matter to an appending file
        _, body = fetch(file)
        file.write(b"end")
    assert (tmp_path / "f").read_bytes() == b"old" + body + b"end"


def test_file_two_answers_after_one_another(make, path_server, finish, tmp_path):
    http = make(path_server)
    paths = [path_server.path(style, SIZE, style) for style in STYLES]
    with open(tmp_path / "f", "wb") as file:
        for path in paths:
            http.get(path, file)
        finish(http)
        assert file.tell() == SIZE * len(paths)
    assert (tmp_path / "f").read_bytes() == b"".join(map(path_server.body, paths))


def test_file_larger_than_the_answer_not_cut(fetch, tmp_path):
    (tmp_path / "f").write_bytes(b"x" * 9000)
    with open(tmp_path / "f", "r+b") as file:
        _, body = fetch(file, size=100)
    assert (tmp_path / "f").read_bytes() == body + b"x" * 8900


def test_file_large_body_no_longer_than_what_came(fetch, tmp_path):
    with open(tmp_path / "f", "wb") as file:
        _, body = fetch(file, "body", 9_000_000)
    assert (tmp_path / "f").read_bytes() == body


def test_file_cut_body_file_is_a_beginning_and_position_behind_it(fetch, tmp_path):
    with open(tmp_path / "f", "wb") as file:
        http, body = fetch(file, "cut")
        assert http.error() == QHttp.WrongContentLength
        assert file.tell() == SIZE // 3 == os.fstat(file.fileno()).st_size
    assert body.startswith((tmp_path / "f").read_bytes())


def test_file_position_right_in_requestfinished(make, path_server, finish, tmp_path):
    http = make(path_server)
    with open(tmp_path / "f", "wb") as file:
        positions = []
        http.requestFinished.connect(lambda: positions.append(file.tell()))
        http.get(path_server.path("thirds", SIZE), file)
        http.get(path_server.path("cut", SIZE), file)
        finish(http)
        assert positions == [SIZE, SIZE + SIZE // 3]


def test_file_closed_in_requestfinished_fine(make, path_server, finish, tmp_path):
    http = make(path_server)
    with open(tmp_path / "f", "wb") as file:
        http.requestFinished.connect(lambda: http.currentDestinationDevice().close())
        http.get(path_server.path("thirds", SIZE), file)
        finish(http)
        assert file.closed and http.error() == QHttp.NoError
    assert (tmp_path / "f").stat().st_size == SIZE


# -- files that are closed meanwhile
@pytest.mark.parametrize("buffering", [-1, 0])
@pytest.mark.parametrize("place", ["requestStarted", "dataSendProgress", "responseHeaderReceived", "dataReadProgress"])
def test_file_closed_meanwhile_error_and_other_files_untouched(make, scripted_server, finish, tmp_path, place, buffering):
    gate = threading.Event()
    server = scripted_server([ReceiveRequest(), Send(head(b"Content-Length: 10") + b"abcde"), lambda peer: gate.wait(5),
                              Send(b"fghij")])
    http = make(server)
    file = open(tmp_path / "f", "wb", buffering)
    others = []

    def replace():
        if not others:
            file.close()
            others.extend(open(tmp_path / f"other{n}", "wb") for n in range(3))     # one of them gets its descriptor

    getattr(http, place).connect(replace)
    http.dataReadProgress.connect(gate.set)
    http.get("/", file)
    try:
        assert http.waitForDone(2000)
        assert [os.fstat(other.fileno()).st_size for other in others] == [0, 0, 0]
        assert [other.tell() for other in others] == [0, 0, 0]
        # Either whole, since a descriptor of one's own was kept, or an error that says so.
        if (tmp_path / "f").read_bytes() != b"abcdefghij":
            assert http.error() == QHttp.UnknownError and http.errorString().startswith(WRITE_ERROR)
    finally:
        gate.set()
        for other in others:
            other.close()


def test_file_closed_before_its_request_starts_error(make, path_server, record, finish, tmp_path):
    http = make(path_server)
    told = record(http)
    with open(tmp_path / "f", "wb") as file:
        number = http.get(path_server.path("whole"), file)
    finish(http)
    assert told.finished == [(number, True)] and http.error() == QHttp.UnknownError
    assert http.errorString().startswith(WRITE_ERROR)


def test_file_opened_for_reading_error(make, path_server, record, finish, tmp_path):
    (tmp_path / "f").write_bytes(b"old")
    for buffering in (-1, 0):
        http = make(path_server)
        told = record(http)
        with open(tmp_path / "f", "rb", buffering) as file:
            http.get(path_server.path("whole"), file)
            finish(http)
        assert http.error() == QHttp.UnknownError and http.errorString().startswith(WRITE_ERROR)
        assert_next_request_fine(http, path_server, finish, told)
    assert (tmp_path / "f").read_bytes() == b"old"


# -- full disks
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("buffering", [-1, 0])
def test_full_disk_error_connection_closed_and_next_request_fine(make, path_server, record, finish, style, buffering):
    http = make(path_server)
    told = record(http)
    file = open("/dev/full", "wb", buffering)
    numbers = [http.get(path_server.path(style, SIZE), file), http.get(path_server.path("whole"))]
    finish(http)
    assert told.finished == [(numbers[0], True)] and told.of("done") == [True]
    assert http.error() == QHttp.UnknownError and http.errorString().startswith(WRITE_ERROR)
    assert "Connected" not in told.states
    assert_next_request_fine(http, path_server, finish, told)
    file.close()                    # nothing is left in its buffer that could not be written


def test_full_disk_head_request_needs_no_room(make, path_server, finish):
    http = make(path_server)
    with open("/dev/full", "wb", 0) as file:
        http.get(path_server.path("whole", 0), file)
        finish(http)
    assert http.error() == QHttp.NoError


# -- objects
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("answer", [None, len])
def test_object_with_write_alone_given_every_byte(fetch, style, answer):
    to = WriteOnly(answer)
    http, body = fetch(to, style)
    assert http.error() == QHttp.NoError and to.data == body and http.bytesAvailable() == 0


def test_bytesio_written_at_its_position(fetch):
    to = io.BytesIO(b"0123456789")
    to.seek(5)
    _, body = fetch(to, size=20)
    assert (to.getvalue(), to.tell()) == (b"01234" + body, 25)


@pytest.mark.parametrize("wrap", [
    tempfile.SpooledTemporaryFile, tempfile.TemporaryFile, tempfile.NamedTemporaryFile, lambda: io.BufferedRandom(io.BytesIO()),
    lambda: io.BufferedRWPair(io.BytesIO(), io.BytesIO())])
def test_file_likes_of_the_library_given_every_byte(fetch, wrap):
    with wrap() as file:
        http, body = fetch(file)
        assert http.error() == QHttp.NoError
        if not isinstance(file, io.BufferedRWPair):
            file.seek(0)
            assert file.read() == body


class InvertingFile(io.FileIO):
    """A file whose own write must not be passed over."""

    def write(self, data):
        return super().write(bytes(byte ^ 0xFF for byte in bytes(data)))


@pytest.mark.parametrize("wrap", [lambda raw: raw, io.BufferedWriter])
def test_file_with_a_write_of_its_own_written_through_it(fetch, tmp_path, wrap):
    with wrap(InvertingFile(tmp_path / "f", "w")) as file:
        http, body = fetch(file)
        assert http.error() == QHttp.NoError
    assert (tmp_path / "f").read_bytes() == bytes(byte ^ 0xFF for byte in body)


def test_gzip_file_given_every_byte(fetch, tmp_path):
    with gzip.open(tmp_path / "f.gz", "wb") as file:
        _, body = fetch(file)
    assert gzip.decompress((tmp_path / "f.gz").read_bytes()) == body


@pytest.mark.parametrize("answer", [lambda data: len(data) - 1, lambda data: 0, lambda data: len(data) + 1, lambda data: -1])
def test_object_that_takes_another_number_of_bytes_error(make, path_server, record, finish, answer):
    http = make(path_server)
    told = record(http)
    number = http.get(path_server.path("thirds"), WriteOnly(answer))
    finish(http)
    assert told.finished == [(number, True)] and http.error() == QHttp.UnknownError
    assert http.errorString().startswith(WRITE_ERROR)
    assert_next_request_fine(http, path_server, finish, told)


@pytest.mark.parametrize("kind", [OSError, ValueError, ZeroDivisionError, MemoryError, StopIteration])
def test_object_that_raises_error_not_an_exception(make, path_server, record, finish, kind):
    def fail(data):
        raise kind("no room")

    http = make(path_server)
    told = record(http)
    http.get(path_server.path("thirds"), WriteOnly(fail))
    finish(http)                    # raises nothing
    assert http.error() == QHttp.UnknownError and http.errorString().startswith(WRITE_ERROR)
    assert_next_request_fine(http, path_server, finish, told)


def test_object_that_raises_keyboardinterrupt_comes_out_and_request_ends(make, path_server, record):
    def fail(data):
        raise KeyboardInterrupt

    http = make(path_server)
    told = record(http)
    number = http.get(path_server.path("thirds"), WriteOnly(fail))
    with pytest.raises(KeyboardInterrupt):
        http.waitForDone(2000)
    assert http.waitForDone(2000) and told.finished == [(number, True)]


# -- pipes
def test_pipe_given_every_byte(fetch):
    reading, writing = os.pipe()
    with open(reading, "rb") as source, open(writing, "wb") as to:
        http, body = fetch(to)
        to.close()
        assert http.error() == QHttp.NoError and source.read() == body


def test_pipe_without_reader_error(make, path_server, finish):
    reading, writing = os.pipe()
    os.close(reading)
    http = make(path_server)
    with open(writing, "wb", 0) as to:
        http.get(path_server.path("whole"), to)
        finish(http)
    assert http.error() == QHttp.UnknownError and http.errorString().startswith(WRITE_ERROR)


def test_pipe_full_and_not_blocking_error_and_no_byte_lost_silently(make, path_server, finish):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writing, bytes(65536))
    http = make(path_server)
    with open(reading, "rb"), open(writing, "wb", 0) as to:      # its write() gives None: nothing was taken
        http.get(path_server.path("whole"), to)
        finish(http)
        assert http.error() == QHttp.UnknownError and http.errorString().startswith(WRITE_ERROR)


# -- what is refused
@pytest.mark.parametrize("to", ["path", b"path", 5, object(), [], io.StringIO(), io.TextIOWrapper(io.BytesIO())],
                         ids=lambda to: type(to).__name__)
def test_destination_of_wrong_type_refused_by_name_at_the_call(make, to):
    http = make("h")
    for call in (lambda: http.get("/", to), lambda: http.post("/", b"x", to)):
        with pytest.raises(TypeError, match="to must be"):
            call()
    assert http.currentId() == 0


def test_text_file_refused_by_name_at_the_call(make, tmp_path):
    with open(tmp_path / "f", "w") as file, pytest.raises(TypeError, match="to must be"):
        make("h").get("/", to=file)


# -- which is current
def test_current_devices_at_every_stage(make, path_server, finish):
    http = make(path_server)
    source, to = io.BytesIO(b"data"), io.BytesIO()
    seen = []
    for signal in (http.requestStarted, http.requestFinished, http.stateChanged, http.responseHeaderReceived,
                   http.dataSendProgress,
                   http.dataReadProgress, http.done):
        signal.connect(lambda *_: seen.append((http.currentId(), http.currentSourceDevice(), http.currentDestinationDevice())))
    path = path_server.path("whole")
    assert http.currentSourceDevice() is http.currentDestinationDevice() is None
    numbers = [http.post(path, source, to), http.post(path, b"bytes", to), http.get(path), http.setHost("h"), http.close()]
    assert http.currentSourceDevice() is source and http.currentDestinationDevice() is to      # the first one is current
    finish(http)
    assert http.currentSourceDevice() is http.currentDestinationDevice() is None
    expected = {numbers[0]: (source, to), numbers[1]: (None, to)}
    assert all((a, b) == expected.get(number, (None, None)) for number, a, b in seen)
    assert {number for number, _, _ in seen} == {*numbers, 0}


def test_current_devices_in_a_failed_requestfinished(make, path_server, finish):
    http = make(path_server)
    source, to = io.BytesIO(b"data"), io.BytesIO()
    seen = []
    for signal in (http.requestFinished, http.done):
        signal.connect(lambda *_: seen.append((http.currentSourceDevice(), http.currentDestinationDevice())))
    http.post(path_server.path("cut"), source, to)
    finish(http)
    assert seen == [(source, to), (None, None)]


def test_devices_let_go_when_the_request_is_over(make, path_server, finish):
    http, to, source = make(path_server), io.BytesIO(), io.BytesIO(b"x")
    before = sys.getrefcount(to), sys.getrefcount(source)
    http.post(path_server.path("thirds"), source, to)
    http.post(path_server.path("cut"), source, to)
    http.post(path_server.path("whole"), source, to)
    finish(http)
    assert (sys.getrefcount(to), sys.getrefcount(source)) == before
