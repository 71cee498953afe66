"""The file thread: files in their places, in order, in batches; what goes wrong is the error of one file, never its own end."""
import os
import resource
import socket
import threading

import pytest
from bulk.downloads import Quick, Seen, body, download, files_in, n_descriptors, names_in
from bulk.origin import Origin, answer
from core.process_tools import in_child
from support.loops import turn_until
from support.watchdog import limited

import qhttp
from qhttp.bulk import filed, verify
from qhttp.bulk import files as files_module
from qhttp.bulk.files import FileThread, OpenPart, file_error, open_locked
from qhttp.bulk.retry import RetryPolicy
from qhttp.bulk.session import Session
from qhttp.errors import ChecksumMismatch, FileError


@pytest.fixture
def thread():
    with limited(10):
        made = FileThread(qhttp.loop(), lambda: None)
        yield made
        made.close()


def call(thread, function):
    """What a call gave: (result, error)."""
    told = []
    thread.call(function, lambda *outcome: told.append(outcome))
    turn_until(lambda: bool(told))
    return told[0]


# -- calls
def test_call_is_made_on_the_thread_and_told_in_the_loop(thread):
    here, told = threading.get_ident(), []
    thread.call(threading.get_ident, lambda result, error: told.append((result, error, threading.get_ident())))
    turn_until(lambda: bool(told))
    [(there, error, teller)] = told
    assert there != here == teller and error is None


def test_call_of_many_keeps_their_order(thread):
    made, told = [], []
    for number in range(1000):
        thread.call(lambda number=number: made.append(number), lambda result, error, number=number: told.append(number))
    turn_until(lambda: len(told) == 1000)
    assert made == told == list(range(1000)) and thread.n_waiting == 0


@pytest.mark.parametrize("error", [KeyError("mine"), OSError(28, "full"), MemoryError(), ValueError()])
def test_call_that_raises_hands_that_on(error, thread):
    def broken():
        raise error
    assert call(thread, broken) == (None, error)
    assert call(thread, lambda: 5) == (5, None)


def test_callback_that_raises_is_told_by_the_loop(thread):
    told = []

    def broken(_result, _error):
        raise KeyError("mine")
    thread.call(int, broken)
    thread.call(int, lambda *outcome: told.append(outcome))
    with pytest.raises(KeyError):
        turn_until(lambda: bool(told))
    turn_until(lambda: bool(told))
    assert told == [(0, None)] and thread.n_waiting == 0


@pytest.mark.parametrize(
    "number, words",
    [
        (17, "exists already"),
        (21, "folder"),
        (20, "not a folder"),
        (28, "space"),
        (13, "ermission"),
        (36, "too long"),
        (11, "another run"),
    ],
)
def test_file_error_says_what_and_where(number, words):
    error = file_error(b"/data/x\xff", number)
    assert isinstance(error, FileError) and words in str(error) and "/data/x" in str(error)


# -- locks of parts
def test_open_locked_is_for_one_at_a_time(tmp_path):
    part = os.fsencode(tmp_path / "x.part")
    fd = open_locked(part)
    with pytest.raises(OSError) as refusal:
        open_locked(part)
    assert refusal.value.errno == 11
    os.close(fd)
    os.close(open_locked(part))


@pytest.mark.parametrize("kind", ["folder", "fifo", "link", "socket"])
def test_open_locked_of_what_is_no_file_is_an_error(kind, tmp_path):
    part = tmp_path / "x.part"
    if kind == "folder":
        part.mkdir()
    elif kind == "fifo":
        os.mkfifo(part)
    elif kind == "link":
        (tmp_path / "target").write_bytes(b"mine")
        part.symlink_to(tmp_path / "target")
    else:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(part))
    before = n_descriptors()
    with limited(5), pytest.raises(OSError):
        open_locked(os.fsencode(part))
    assert n_descriptors() == before


def test_open_locked_keeps_what_is_in_it(tmp_path):
    (tmp_path / "x.part").write_bytes(b"mine")
    os.close(open_locked(os.fsencode(tmp_path / "x.part")))
    assert (tmp_path / "x.part").read_bytes() == b"mine"


def test_leave_part_removes_it_while_it_is_still_its_own(tmp_path, monkeypatch):
    """Once the lock is gone the name may be the part of another program."""
    part, seen = os.fsencode(tmp_path / "x.part"), []

    def look(name):
        try:
            os.close(open_locked(name))
            seen.append("free")
        except BlockingIOError:
            seen.append("locked")
        os.unlink(name)
    monkeypatch.setattr(filed, "unlink", look)
    filed.leave_part(OpenPart(open_locked(part), 0, b""), part, str(tmp_path / "x"), None, False)
    assert seen == ["locked"] and names_in(tmp_path) == []


# -- many at once, through the whole
@pytest.mark.parametrize("session", [False, True])
@pytest.mark.parametrize("is_inline", [False, True])
def test_many_files_are_placed(is_inline, session, tmp_path, monkeypatch):
    if is_inline:
        def refuse(*_):
            raise RuntimeError("can't start new thread")
        monkeypatch.setattr(files_module, "start_new_thread", refuse)
    settings = {"session": tmp_path / "session"} if session else {}
    pages = {f"/{number}": answer(200, body(number)) for number in range(300)} | {"/large": answer(200, body(300 << 10))}
    with Origin(pages) as origin:
        seen = download([origin.url(path) for path in pages], dir=tmp_path / "files", **settings)
        again = download([origin.url(path) for path in pages], dir=tmp_path / "files", existing="skip", **settings)
    assert len(seen.finished) == 301 == again.downloader.n_skipped
    assert files_in(tmp_path / "files") == {
        path[1:]: body(int(path[1:])) if path != "/large" else body(300 << 10) for path in pages
    }


def test_few_descriptors_are_enough_for_many_files_and_a_session(tmp_path):

    def work():
        resource.setrlimit(resource.RLIMIT_NOFILE, (n_descriptors() + 25,) * 2)
        seen = download(rows, dir=tmp_path / "files", session=tmp_path / "session", per_host=2)
        return {transfer.error and str(transfer.error) for transfer in seen.ended}, len(seen.finished)
    with Origin({f"/{number}": answer(200, b"x") for number in range(300)}) as origin:
        rows = [origin.url(path) for path in origin.answers]
        assert in_child(work) == ({None}, 300)


class Broken:
    """A session whose file has gone bad: each method raises."""

    names = ()

    def __init__(self, error, of):
        self.error, self.of = error, of

    def __getattr__(self, name):
        def method(*_arguments, **_options):
            if name in self.of:
                raise self.error
        return method


@pytest.mark.parametrize(
    "error", [FileError("the session is full"), AttributeError("broken"), UnicodeEncodeError("utf-8", "\udcff", 0, 1, "no")]
)
@pytest.mark.parametrize(
    "of", [("begin_batch",), ("end_batch",), ("flush",), ("note_failed",), ("put_part_of", "put_part", "drop_part")]
)
@pytest.mark.parametrize("n", [100, 300 << 10])
def test_session_that_breaks_is_no_end_of_the_thread(n, of, error, tmp_path):
    with Origin({"/a": answer(200, body(n), ("ETag", '"x"')), "/b": answer(404)}) as origin, limited(10):
        downloader = Quick([origin.url("/a"), origin.url("/b")], dir=tmp_path, proxy=None)
        seen = Seen(downloader)
        downloader.set_parts(identity=None, choose_proxy=None, policy=RetryPolicy(), session=Broken(error, of))
        try:
            assert downloader.run()
        finally:
            downloader.close()
    assert set(seen.kinds) == {"a", "b"} and seen.kinds["b"] == "HTTPStatusError"
    if "begin_batch" in of:
        assert isinstance(seen.failed[-1].error, FileError) or seen.kinds["a"] == "FileError"
        assert names_in(tmp_path) == []
    elif seen.kinds["a"] is None:
        assert files_in(tmp_path) == {"a": body(n)}


@pytest.mark.parametrize(
    "error", [ChecksumMismatch("x"), OSError(5, "I/O"), ValueError("strange"), MemoryError(), AttributeError("x")]
)
@pytest.mark.parametrize("n", [100, 300 << 10])
def test_check_that_raises_is_the_error_of_its_file(n, error, tmp_path, monkeypatch):

    def broken(*_):
        raise error
    with Origin({"/a": answer(200, body(n)), "/b": answer(200, b"b")}) as origin, monkeypatch.context() as patch:
        patch.setattr(verify.Check, "__call__", broken)
        seen = download(
            [{"url": origin.url("/a"), "checksum": "md5:" + "0" * 32}, origin.url("/b")], dir=tmp_path, retries=0
        )
    assert seen.kinds["b"] is None and issubclass(type(seen.failed[0].error), qhttp.QHttpError) and names_in(tmp_path) == ["b"]


def test_session_holds_what_is_done_after_each_run(tmp_path):
    with Origin({f"/{number}": answer(200, body(number), ("ETag", f'"{number}"')) for number in range(20)}) as origin:
        download(
            [origin.url(path) for path in origin.answers],
            dir=tmp_path / "files",
            session=tmp_path / "session",
            hashes=("sha256",),
        )
        with Session(tmp_path / "session") as session:
            for number in range(20):
                done = session.lookup(f"{tmp_path}/files/{number}")
                assert (done.url, done.size, done.etag, len(done.sha256)) == (
                    origin.url(f"/{number}"),
                    number,
                    f'"{number}"',
                    64,
                )
                assert done.ino == (tmp_path / "files" / str(number)).stat().st_ino


# -- its end
def test_close_does_what_is_left(tmp_path):
    made = []
    thread = FileThread(qhttp.loop(), lambda: None)
    for number in range(100):
        thread.call(lambda number=number: made.append(number), lambda *_: None)
    thread.close()
    thread.close()
    assert made == list(range(100))


def test_close_of_one_that_never_had_work():
    FileThread(qhttp.loop(), lambda: None).close()


def test_idle_is_told_when_all_is_done():
    told = []
    thread = FileThread(qhttp.loop(), lambda: told.append("idle"))
    with limited(10):
        for number in range(10):
            thread.call(lambda: None, lambda result, error, number=number: told.append(number))
        turn_until(lambda: "idle" in told)
        thread.close()
    assert told == [*range(10), "idle"]


def test_part_that_nobody_has_taken_is_closed_with_its_object(tmp_path):
    opened = OpenPart(open_locked(bytes(tmp_path / "x.part")), 0, b"")
    with pytest.raises(OSError, match="unavailable"):
        open_locked(bytes(tmp_path / "x.part"))
    del opened
    os.close(open_locked(bytes(tmp_path / "x.part")))
