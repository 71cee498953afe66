"""A disk that is full, files that may not grow: errors that name file and cause, no short file under a final name, and the next
run, with room, does the rest."""
import contextlib
import gzip
import json
import os
import resource
import signal

import pytest
from bulk.downloads import LARGE, SMALL, body, files_in, names_in, running
from bulk.origin import Origin, answer, chunked
from bulk.range_servers import Ranged
from core.process_tools import in_child
from exhaustion.scarce import Ran, Unavailable, apart, command, larger_disk, private_disk

import qhttp
from qhttp.bulk import session as session_module
from qhttp.bulk.session import Session
from qhttp.cli import exits

MIB = 1 << 20
DISK, LARGER = MIB, 16 * MIB
FULL = "No space left on device"


@pytest.fixture
def disk(tmp_path):
    """A folder that `on_disk` makes a small disk of."""
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def on_disk(disk, work, n_bytes=DISK):
    """Calls it in a child for which the folder is a disk of that size."""
    def run():
        try:
            private_disk(disk, n_bytes)
        except Unavailable as error:
            return error
        return work()

    outcome = in_child(run)
    if isinstance(outcome, Unavailable):
        pytest.skip(f"no private mount here: {outcome}")
    return outcome


class Twice:
    """Runs the command on a full disk, and again with room: what each came to, and what was there then."""

    def __init__(self, disk, origin, *words):
        listed = disk.parent / "list"
        listed.write_text("".join(origin.url(path) + "\n" for path in origin.answers))

        def work():
            found = []
            for _ in range(2):
                ran = command("-i", listed, "-d", disk, *words)
                found += [ran, files_in(disk), list(origin_log(disk.parent / "log"))]
                larger_disk(disk, LARGER)
            return found

        self.first, self.there, self.log, self.second, self.last, _ = on_disk(disk, work)


def origin_log(path):
    return map(json.loads, path.read_text().splitlines()) if path.exists() else ()


BODIES = {f"/{n}": body(size, n) for n, size in enumerate([SMALL, 200_000, LARGE, LARGE * 2, 200_000, LARGE] * 2)}
KINDS = {
    "plain": lambda data: answer(200, data, ("ETag", '"x"')),
    "chunked": lambda data: chunked(data, ("ETag", '"x"'), piece=10_000),
    "coded": lambda data: answer(200, gzip.compress(data, 1), ("Content-Encoding", "gzip")),
    "ranges": lambda data: Ranged(data, etag='"x"'),
}


@pytest.mark.parametrize("kind, words", [
    ("plain", ["--session", "DISK/session"]), ("chunked", ["--session", "ASIDE/session", "--hash", "sha256"]),
    ("coded", ["--session", "DISK/session"]), ("ranges", ["--session", "ASIDE/session"]),
    ("ranges", ["--session", "DISK/session", "--split", "4", "--min-split-size", "50k"]),
    ("ranges", ["--no-session", "--skip-existing", "--split", "4", "--min-split-size", "50k", "--fsync"]),
], ids=lambda value: value if isinstance(value, str) else "+".join(word.strip("-") for word in value if "/" not in word))
def test_command_on_a_full_disk_says_so_and_the_next_run_does_the_rest(kind, words, disk):
    words = [word.replace("DISK", str(disk)).replace("ASIDE", str(disk.parent)) for word in words]
    with Origin({path: KINDS[kind](data) for path, data in BODIES.items()}) as origin:
        ran = Twice(disk, origin, *words, "--log-json", disk.parent / "log", "-j", "4")
    final = {f"/{name}": data for name, data in ran.there.items() if name.isdigit()}
    assert ran.first.status == exits.DISK and "Traceback" not in ran.first.err
    assert 0 < len(final) < len(BODIES) and final.items() <= BODIES.items()      # those that fit are there, and whole
    failed = {entry["url"].rpartition("/")[2]: entry["errormsg"] for entry in ran.log if entry["error"]}
    assert {f"/{name}" for name in failed} == BODIES.keys() - final.keys()
    assert all(FULL in text or "disk is full" in text for text in failed.values())
    assert any(FULL in line and f"{disk}/" in line for line in ran.first.err.splitlines())
    if "--no-session" in words:
        assert ran.there.keys() == {path[1:] for path in final}                  # no part that nobody can continue
    assert (ran.second.status, "Traceback" in ran.second.err) == (exits.ALL_DONE, False), ran.second.err
    assert {f"/{name}": data for name, data in ran.last.items() if not name.startswith("session")} == BODIES


def test_downloader_goes_on_in_the_same_run_when_there_is_room_again(disk):
    with Origin({path: Ranged(data, etag='"x"') for path, data in BODIES.items()}) as origin:
        def work():
            with running([origin.url(path) for path in BODIES], dir=disk, session=disk / "session") as (downloader, seen):
                downloader.run()
                n_failed = len(seen.failed)
                larger_disk(disk, LARGER)
                downloader.feed(list(downloader.left()))
                downloader.run()
            return n_failed, len(seen.failed), files_in(disk)

        n_first, n_second, files = on_disk(disk, work)
    assert 0 < n_first == n_second
    assert {f"/{name}": data for name, data in files.items() if not name.startswith("session")} == BODIES


def test_downloader_whose_session_cannot_be_written_says_so_when_it_is_closed(disk):
    """What failed is remembered with the next transaction: the last one is that of close()."""
    with Origin({"/a": answer(200, body(SMALL))}) as origin:
        def work():
            rows, settings = [origin.url("/a")], {"dir": disk, "session": disk / "session"}
            with pytest.raises(qhttp.FileError) as raised, running(rows, **settings) as (downloader, seen):
                with open(disk / "filler", "wb", buffering=0) as filler, contextlib.suppress(OSError):
                    while filler.write(bytes(4096)) == 4096:
                        pass
                downloader.run()
            return str(seen.failed[0].error), str(raised.value), names_in(disk)

        failure, last, names = on_disk(disk, work)
    assert failure == f"{disk}/a cannot be written: {FULL}" and names == ["filler"]
    assert last == f"the session file {disk}/session cannot be used: database or disk is full"


# -- where the body goes to a file of the caller's
class Device:
    def __init__(self, path):
        self._file = open(path, "wb", buffering=0)

    def write(self, data):
        return self._file.write(data)


@pytest.mark.parametrize("make", [answer, chunked], ids=["length", "chunked"])
@pytest.mark.parametrize("opened", [lambda path: open(path, "wb", buffering=0), lambda path: open(path, "wb"), Device],
                         ids=["raw", "buffered", "object"])
def test_qhttp_destination_on_a_full_disk_is_an_error_and_the_next_request_works(opened, make, disk):
    data = body(DISK * 2)
    large = answer(200, data) if make is answer else chunked(data, piece=50_000)
    with Origin({"/a": large, "/b": answer(200, b"b")}) as origin:
        def work():
            file, ended = opened(disk / "a"), []
            http = qhttp.QHttp("127.0.0.1", origin.port)
            http.requestFinished.connect(lambda *_: ended.append((int(http.error()), http.errorString())))
            http.get("/a", file)
            qhttp.run()
            http.get("/b")
            qhttp.run()
            return ended[0], bytes(http.readAll()), files_in(disk)["a"]

        (error, text), last, start = on_disk(disk, work)
    assert error == int(qhttp.QHttp.Error.UnknownError) and text.startswith("Error writing response to device: ")
    assert last == b"b" and data.startswith(start)


# -- a limit on the size of files: EFBIG, and SIGXFSZ, which would end the process
def test_command_beyond_the_size_that_files_may_have_is_an_error(tmp_path):
    def limits():
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGE, LARGE))

    with Origin({"/a": answer(200, body(LARGE * 2)), "/b": answer(200, body(SMALL))}) as origin:
        ran = command(origin.url("/a"), origin.url("/b"), "-d", tmp_path, "--no-session", limits=limits)
    assert ran.status == exits.DISK and f"{tmp_path}/a.part cannot be written: File too large" in ran.err
    assert files_in(tmp_path) == {"b": body(SMALL)}


def test_command_with_a_session_that_may_not_grow_begins_nothing_and_then_works(tmp_path):
    def limits():
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    with Origin({"/b": answer(200, body(SMALL))}) as origin:
        words = [origin.url("/b"), "-d", tmp_path / "files", "--session", tmp_path / "session"]
        ran: Ran = command(*words, limits=limits)
        assert ran.status == exits.DISK and "nothing was begun" in ran.err and "Traceback" not in ran.err
        assert command(*words).status == exits.ALL_DONE and files_in(tmp_path / "files") == {"b": body(SMALL)}


# -- a network file system, which tells when a file is closed what it had no room for
@pytest.mark.parametrize("n", [200_000, LARGE * 2], ids=["memory", "part"])
def test_file_for_which_there_was_no_room_after_all_is_not_there_and_is_not_continued(n, tmp_path, preload):
    with Origin({"/a": Ranged(body(n), etag='"x"')}) as origin:
        settings = {"dir": str(tmp_path), "session": str(tmp_path / "session")}
        ended, _ = apart("exhaustion.work:fetch_with", [origin.url("/a")], settings, preload=preload, QH_CLOSE="28")
        assert ended == {origin.url("/a"): ("FileError", f"{tmp_path}/a cannot be written: {FULL}")}
        assert names_in(tmp_path) == []
        ended, _ = apart("exhaustion.work:fetch_with", [origin.url("/a")], settings)
    assert ended == {origin.url("/a"): None} and (tmp_path / "a").read_bytes() == body(n)


# -- the session
def test_session_that_cannot_be_written_holds_little_and_does_not_try_each_time(tmp_path, monkeypatch):
    n_tries = [0]

    def fail(self, work=None):
        n_tries[0] += 1
        raise qhttp.FileError("the disk is full")

    with Session(tmp_path / "session") as session:
        with monkeypatch.context() as patch:
            patch.setattr(session_module.Session, "_commit", fail)
            for n in range(10 * session_module.HELD_CAP):
                try:
                    session.note_failed(f"http://a.test/{n}", f"/{n}", "x", {})
                    session.put_part(f"/{n}", "http://a.test/", n, '"x"', None, None)
                except qhttp.FileError:
                    continue
        assert n_tries[0] <= 20 and len(session._failures) <= 2 * session_module.HELD_CAP >= len(session._parts)
        assert session.part(f"/{n}") is not None
        assert len(session.failed()) >= session_module.HELD_CAP         # the newest, once there is room
    assert os.path.exists(tmp_path / "session")
