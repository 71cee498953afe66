"""The session file: what it knows after a kill at any moment, and who may have it."""
import fcntl
import itertools
import os
import random
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from core.process_tools import Child, fork, in_child, in_thread

from qhttp.bulk import session as session_module
from qhttp.bulk.resume import Version
from qhttp.bulk.session import Done, Failed, Part, Session
from qhttp.errors import FileError

URL = "https://a.test/x?token=1"
N_KILLS = 30


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.session"


@pytest.fixture
def session(path):
    with Session(path) as session:
        yield session


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


def received(folder, *names):
    """The rows of files that are parts as yet."""
    rows = []
    for name in names:
        path = os.path.join(os.fspath(folder), name)
        Path(path + ".part").write_bytes(os.fsencode(name))
        about = os.stat(path + ".part")
        rows.append((path, URL, about.st_size, about.st_ino, '"tag"', None))
    return rows


def place(*rows):
    for path, *_ in rows:
        os.rename(path + ".part", path)


def done_of(row):
    return Done(*row[1:])


def finish(session, rows, *failed):
    """A batch from its beginning to its end: all files get their names but the failed ones."""
    session.begin_batch(rows)
    place(*(row for row in rows if row not in failed))
    session.end_batch([row[0] for row in failed])


def left_by_a_kill(session):
    """The path of another session file: what a kill would leave of this one."""
    copy = f"{session.path}-{len(os.listdir(os.path.dirname(session.path)))}"
    for ending in ("", "-wal"):
        shutil.copyfile(session.path + ending, copy + ending)
    return copy


def as_killed(session):
    return Session(left_by_a_kill(session))


# -- the file
def test_session_that_is_new_says_so_and_is_for_its_owner_only(path):
    old = os.umask(0)
    try:
        session = Session(path)
    finally:
        os.umask(old)
    assert session.is_new
    assert {stat.S_IMODE(os.stat(path.parent / name).st_mode) for name in os.listdir(path.parent)} == {0o600}
    session.close()
    assert os.listdir(path.parent) == [path.name]
    with Session(path) as again:
        assert again.is_new


@pytest.mark.parametrize("record", [
    lambda session: session.begin_batch([("/nowhere/a", URL, 1, 1, None, None)]) or session.end_batch(),
    lambda session: session.put_part("/nowhere/a", URL, 1, None, None, None),
    lambda session: session.note_failed(URL, None, "x", {"url": URL}),
    lambda session: session.set_left([{"url": URL}]),
], ids=["done", "part", "failed", "left"])
def test_session_with_anything_recorded_is_not_new(path, record):
    with Session(path) as session:
        record(session)
    with Session(path) as session:
        assert not session.is_new


@pytest.mark.parametrize("name", [":memory:", "file:x?mode=ro", b"\xff.session"])
def test_session_name_is_a_file_name_whatever_it_looks_like(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Session(name).close()
    assert os.listdir(os.fsencode(tmp_path)) == [os.fsencode(name)]


def state_of(folder):
    """Its files, what is in them and when that was written; not so of the index, where readers note how far they read."""
    return {file: (file.stat().st_mtime_ns, file.read_bytes() if file.suffix != ".session-shm" else b"")
            for file in folder.iterdir() if file.is_file()}


@pytest.mark.parametrize("is_killed", [False, True])
def test_session_that_is_copied_is_read_with_its_log_and_stays_as_it_is(session, path, folder, is_killed):
    """Of a run that goes on, and of one that was killed before it said that its files have their names."""
    session.put_part("/part", URL, 1, '"tag"', None, 10)
    rows = received(folder, "placed", "lost")
    session.begin_batch(rows)
    place(rows[0])
    if is_killed:
        path = Path(shutil.copytree(path.parent, path.parent.with_name("killed"))) / path.name
    before = state_of(path.parent)
    with Session(path, is_copy=True) as copy:
        assert copy.lookup(rows[0][0]) is not None and copy.lookup(rows[1][0]) is None
        assert copy.part("/part") is not None and not copy.is_new
        copy.drop_part("/part")
    assert state_of(path.parent) == before
    assert session.part("/part") is not None


def test_session_that_is_closed_is_copied_without_a_log(path):
    with Session(path) as session:
        session.put_part("/part", URL, 1, '"tag"', None, 10)
    before = state_of(path.parent)
    with Session(path, is_copy=True) as copy:
        assert copy.part("/part") is not None
        assert state_of(path.parent) == before
    assert state_of(path.parent) == before


def test_session_of_another_process_is_refused_until_that_is_killed(path):
    opened = []
    with Child(lambda: opened.append(Session(path))) as child:
        with pytest.raises(FileError, match=r"run\.session is in use by another run"):
            Session(path)
        os.kill(child.pid, signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        Session(path).close()
    assert os.listdir(path.parent) == [path.name]


def test_session_whose_lock_would_be_a_file_of_the_users_is_an_error(path):
    lock = Path(f"{path}-lock")
    lock.write_text("mine")
    with pytest.raises(FileError, match="of something else"):
        Session(path)
    assert lock.read_text() == "mine"


def test_session_whose_lock_file_is_removed_meanwhile_makes_another(path, monkeypatch):
    flock = fcntl.flock

    def after_the_last_owner(fd, how):
        monkeypatch.setattr(fcntl, "flock", flock)
        os.unlink(f"{path}-lock")
        flock(fd, how)

    monkeypatch.setattr(fcntl, "flock", after_the_last_owner)
    with Session(path), pytest.raises(FileError, match="in use"):
        Session(path)


def database(path, script):
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()


@pytest.mark.parametrize("make, expected", [
    (lambda path: path.write_bytes(b"http://a.test/\n" * 100), "is no session file: remove it"),
    (lambda path: path.write_bytes(b"x"), "is no session file: remove it"),
    (lambda path: database(path, "CREATE TABLE done (path)"), "is the database of something else"),
    (lambda path: database(path, "PRAGMA user_version = 1; CREATE TABLE a (b)"), "is the database of something else"),
    (lambda path: Session(path).close() or database(path, "PRAGMA user_version = 99"), r"\(format 99, not 1\): remove it"),
    (lambda path: path.mkdir(), "cannot be opened as a session file"),
    (lambda path: Session(path).close() or os.truncate(path, 4096), "cannot be used: .* is malformed: remove it"),
])
def test_session_file_that_is_something_else_is_refused_and_stays(path, make, expected):
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(FileError, match=expected):
        Session(path)
    assert os.listdir(path.parent) == [path.name]
    assert before is None or path.read_bytes() == before


def test_session_in_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(FileError, match="cannot be made: No such file"):
        Session(tmp_path / "missing" / "run.session")


@pytest.mark.parametrize("call", [
    lambda session: session.lookup("a"), lambda session: session.begin_batch([("a", URL, 1, 1, None, None)]),
    lambda session: session.failed(), lambda session: session.part("a"),
    lambda session: session.set_left([]), lambda session: list(session.left()),
])
def test_session_that_is_closed_says_so(session, call):
    session.close()
    session.close()
    session.note_failed(URL, None, "x", {})
    with pytest.raises(ValueError, match="the session is closed"):
        call(session)


@pytest.mark.parametrize("sync, expected", [(False, 0), (True, 2)])
def test_session_syncs_as_it_is_told(path, sync, expected):
    with Session(path, sync=sync) as session:
        assert session._query("PRAGMA synchronous") + session._query("PRAGMA journal_mode") == [(expected,), ("wal",)]


def test_session_module_loads_no_sqlite_before_it_is_used():
    code = (f"import sys; sys.path.insert(0, {str(Path(session_module.__file__).parents[2])!r}); import qhttp.bulk.session;"
            "print(sorted({'sqlite3', 'json', 'fcntl', 'typing'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# -- batches
def test_batch_is_found_by_later_runs_and_not_by_its_own(path, folder):
    rows = received(folder, "b", "a")
    with Session(path) as session:
        session.begin_batch([])
        finish(session, rows)
        session.flush()
        assert [session.lookup(row[0]) for row in rows] == [None, None]
    for _ in range(2):
        with Session(path) as session:
            found = in_thread(lambda session=session: [session.lookup(row[0]) for row in rows])
            assert found == [done_of(row) for row in rows] and session.lookup(str(folder / "c")) is None


@pytest.mark.parametrize("before", [(), ("a", "failed")])
def test_batch_killed_between_renames_is_what_the_disk_says(session, folder, before):
    earlier, rows = received(folder, *before), received(folder, "not", "there", "another", "longer")
    finish(session, earlier, *earlier[1:])
    session.begin_batch(rows)
    place(rows[1], rows[3])
    (folder / "another").write_text("another")
    (folder / "longer").write_text("longer by some")
    with as_killed(session) as after:
        assert [after.lookup(row[0]) for row in rows] == [None, done_of(rows[1]), None, None]


@pytest.mark.parametrize("settle", [
    lambda session: session.flush(), lambda session: session.begin_batch([("/x", URL, 1, 1, None, None)]),
    lambda session: session.close()], ids=["flush", "begin_batch", "close"])
def test_batch_that_is_through_is_looked_up_no_more(session, path, folder, settle):
    good, failed = received(folder, "good", "failed")
    finish(session, [good, failed], failed)
    os.unlink(good[0])
    settle(session)
    with as_killed(session) if session._writer else Session(path) as after:
        assert after.lookup(good[0]) == done_of(good)
        assert after.lookup(failed[0]) is None


def test_batch_that_never_ended_is_looked_up_by_the_next(session, folder):
    rows = received(folder, "there", "not")
    session.begin_batch(rows)
    place(rows[0])
    session.begin_batch(received(folder, "more"))
    os.unlink(rows[0][0])
    with as_killed(session) as after:
        assert [after.lookup(row[0]) for row in rows] == [done_of(rows[0]), None]


@pytest.mark.parametrize("are_placed", [*itertools.product([False, True], repeat=2)])
def test_batches_of_one_path_leave_what_was_placed_last(path, folder, are_placed):
    last = None
    for _ in range(3):
        with Session(path) as session:
            assert session.lookup(str(folder / "a")) == last
            for is_placed in are_placed:
                [row] = received(folder, "a")
                finish(session, [row], *[row] * (not is_placed))
                last = done_of(row) if is_placed else last


def test_batch_is_taken_back_without_a_look_at_those_before(session, folder):
    [row], steps, counts = received(folder, "a"), [], []
    session._writer.set_progress_handler(lambda: steps.append(1), 1)
    for _ in range(2):
        finish(session, [row], row)
        steps.clear()
        session.flush()
        counts.append(len(steps))
        session.begin_batch([(f"/{n}", URL, 1, 1, None, None) for n in range(1000)])
        session.end_batch()
    assert 0 < counts[1] < 2 * counts[0]


def test_batch_that_cannot_be_recorded_changes_nothing(session, folder):
    good, failed = received(folder, "good", "failed")
    finish(session, [good, failed], failed)
    session.put_part("/p", URL, 1, None, None, None)
    with pytest.raises(FileError, match=r"the session file .*run\.session cannot be used"):
        session.begin_batch([(str(folder / "x"), URL, 1, 1, object(), None)])
    session.end_batch([good[0]])        # of the batch that did not begin
    session.flush()
    with as_killed(session) as after:
        assert after.lookup(good[0]) == done_of(good) and after.lookup(failed[0]) is None
    assert session.part("/p") is not None
    session.begin_batch(received(folder, "y"))


def test_batch_of_names_and_numbers_that_are_no_text_or_large_is_found(path, folder):
    name = os.fsdecode(b"\xff\xfe-\xc3\xa4")
    [(file_path, _, size, ino, etag, sha256)] = received(folder, name)
    rows = [(file_path, "http://a.test/\ud800", size, ino, etag, sha256), ("/large", URL, 2**63 - 1, 2**64 - 1, None, "00")]
    with Session(path) as session:
        session.begin_batch(rows)
        place(rows[0])
        with as_killed(session) as after:
            assert after.lookup(file_path) == done_of(rows[0]) and after.lookup("/large") is None
        session.end_batch()
    with Session(path) as session:
        assert [session.lookup(row[0]) for row in rows] == [done_of(row) for row in rows]


# -- kills
def work_until_killed(path, folder, fd, seed):
    """Batch after batch, of which some renames fail; one byte through `fd` for each step."""
    signal.alarm(20)
    rng = random.Random(seed)
    session = Session(path)
    for n in itertools.count():
        rows = received(folder, *(f"{seed}-{n}-{i}" for i in range(rng.randint(1, 7))))
        session.put_part(rows[0][0], URL, rows[0][3], None, None, None)
        os.write(fd, b".")
        session.begin_batch(rows)
        os.write(fd, b".")
        failed = [row for row in rows if rng.random() < 0.2]
        for row in rows:
            if row not in failed:
                place(row)
                os.write(fd, b".")
        session.end_batch([row[0] for row in failed])
        os.write(fd, b".")


def look_up_all(session, folder, start=""):
    """(how many files are there and known, how many are neither) of those of which there is, or was, a part."""
    counts = [0, 0]
    for name in {name.removesuffix(".part") for name in os.listdir(folder) if name.startswith(start)}:
        final, done = folder / name, session.lookup(str(folder / name))
        if final.exists():
            assert done == Done(URL, final.stat().st_size, final.stat().st_ino, '"tag"', None), name
            assert session.part(str(final)) is None, name
        else:
            assert done is None, name
        counts[done is None] += 1
    return tuple(counts)


def test_session_killed_at_any_moment_knows_what_is_there_and_nothing_else(path, folder):
    rng, counts = random.Random(7), []
    for seed in range(N_KILLS):
        read_fd, write_fd = os.pipe()
        pid = fork()
        if pid == 0:
            try:
                work_until_killed(path, folder, write_fd, seed)
            finally:
                os._exit(1)
        os.close(write_fd)
        with open(read_fd, "rb") as steps:
            told = steps.read(rng.randint(1, 300))
        os.kill(pid, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL and told
        with Session(path) as session:
            counts.append(look_up_all(session, folder, f"{seed}-"))
    with Session(path) as session:
        totals = look_up_all(session, folder)
    assert totals == tuple(map(sum, zip(*counts, strict=True))) and min(totals) > N_KILLS


def test_session_killed_while_it_merges_loses_nothing(path, monkeypatch):
    merge, inodes, copies = Session._merge, {f"/{n * 7919 % 1000}": n for n in range(600)}, []

    def merge_and_copy(session, run):
        run.execute("PRAGMA cache_size = 1")        # pages go to the log long before the commit
        run.set_progress_handler(lambda: copies.append(left_by_a_kill(session)), 2000)
        merge(session, run)
        copies.append(left_by_a_kill(session))

    for n_run in range(2):
        with Session(path) as session:
            session.begin_batch([(name, URL, 1, ino, None, None) for name, ino in inodes.items() if ino % 2 == n_run])
            session.end_batch()
    with monkeypatch.context() as patch:
        patch.setattr(Session, "_merge", merge_and_copy)
        Session(path).close()
    assert len(copies) > 5 and len({os.stat(f"{copy}-wal").st_size for copy in copies}) > 3
    for copy in (*copies, path):
        with Session(copy) as session:
            assert {name: session.lookup(name).ino for name in inodes} == inodes and not session._has("fresh")


def test_session_on_a_disk_that_is_full_says_so_and_keeps_what_it_had(path, folder):
    [row] = received(folder, "a")

    def work():
        session = Session(path)
        finish(session, [row])
        session.flush()
        resource.setrlimit(resource.RLIMIT_FSIZE, (os.stat(f"{path}-wal").st_size + 4096,) * 2)
        try:
            for n in range(100):
                session.begin_batch([(f"/{n}-{i}" * 10, URL, 1, 1, None, None) for i in range(100)])
        except FileError as error:
            return str(error)

    assert in_child(work).startswith(f"the session file {path} cannot be used: ")
    with Session(path) as session:
        assert session.lookup(row[0]) == done_of(row)


# -- parts
@pytest.mark.parametrize("is_mixed", [False, True])
@pytest.mark.parametrize("name", ["/a", os.fsdecode(b"/\xff")])
def test_part_is_remembered_with_the_next_transaction(session, name, is_mixed):
    part = Part(URL, 2**64 - 1, '"e"', "Sun, 06 Nov 1994 08:49:37 GMT", 10, [[0, 5], [7, 9]], is_mixed)
    session.put_part(name, *part)
    assert session.part(name) == part
    with as_killed(session) as after:
        assert after.part(name) is None
    session.flush()
    with as_killed(session) as after:
        assert in_thread(lambda: session.part(name)) == after.part(name) == part


def test_part_of_an_open_file_is_remembered_with_its_inode(session, tmp_path):
    with open(tmp_path / "a.part", "w") as file:
        session.put_part_of("/a", URL, file.fileno(), Version('"e"', None, 10))
        assert session.part("/a") == Part(URL, os.fstat(file.fileno()).st_ino, '"e"', None, 10, None)


def test_part_that_is_dropped_is_forgotten_at_once(session):
    for is_flushed in (True, False):
        session.put_part("/a", URL, 5, None, None, None)
        if is_flushed:
            session.flush()
        session.drop_part("/a")
        assert session.part("/a") is None
        with as_killed(session) as after:
            assert after.part("/a") is None
    session.drop_part("/never")


def test_part_is_forgotten_when_its_file_is_there_and_no_earlier(session, folder):
    rows = received(folder, "there", "failed")
    for row in rows:
        session.put_part(row[0], URL, row[3], None, None, None)
    session.begin_batch(rows)
    with as_killed(session) as after:       # not renamed: they can be continued
        assert after.part(rows[0][0]) and after.part(rows[1][0])
    place(rows[0])
    with as_killed(session) as after:
        assert after.part(rows[0][0]) is None and after.part(rows[1][0])
    session.end_batch([rows[1][0]])
    session.flush()
    assert session.part(rows[0][0]) is None and session.part(rows[1][0])


def test_part_of_a_file_that_is_fetched_again_stays(session, folder):
    [row] = received(folder, "a")
    finish(session, [row])
    session.put_part(row[0], URL, 77, None, None, None)
    session.flush()
    session.flush()
    assert session.part(row[0]).ino == 77


def test_records_that_are_held_are_written_before_they_are_too_many(session, monkeypatch):
    monkeypatch.setattr(session_module, "HELD_CAP", 10)
    for n in range(11):
        (session.note_failed(URL, f"/{n}", "x", {}) if n % 2 else session.put_part(f"/{n}", URL, n, None, None, None))
    with as_killed(session) as after:
        assert [n for n in range(11) if after.part(f"/{n}")] == [0, 2, 4, 6, 8]
        assert len(after.failed()) == 5


# -- what failed, and what is left
def test_failures_are_told_with_their_rows_until_their_files_are_there(path, folder):
    [row] = received(folder, "a")
    with Session(path) as session:
        session.note_failed(URL, None, "replaced", {"url": "other"})
        session.flush()
        session.note_failed(URL, None, "first", {"url": URL})
        session.note_failed(URL, row[0], FileError("disk"), {"url": URL, "headers": [["A", "b"]]})
        session.note_failed("http://b.test/\ud800", row[0], "other \udcff", {"url": "\ud800", 5: b"x"})
    with Session(path) as session:
        other = Failed("http://b.test/\ud800", row[0], "other \udcff", {"url": "\ud800", "5": "b'x'"})
        assert sorted(session.failed(), key=lambda failed: failed.cause) == [
            Failed(URL, row[0], "FileError: disk", {"url": URL, "headers": [["A", "b"]]}),
            Failed(URL, None, "first", {"url": URL}), other]
        finish(session, [row])
        assert session.failed() == [other]


def test_left_is_what_was_set_last_in_its_order(path):
    rows = [{"url": str(n)} for n in range(3 * session_module.PAGE_ROWS + 1)]
    with Session(path) as session:
        session.set_left([{"url": "old"}])
        session.set_left(iter(rows))
        assert in_thread(lambda: list(session.left())) == rows
    with Session(path) as session:
        assert list(session.left()) == rows
        session.set_left(itertools.chain([{"url": "running"}], itertools.islice(session.left(), 2, None)))
        assert list(session.left()) == [{"url": "running"}, *rows[2:]]
        session.set_left([])
        assert list(session.left()) == []


def test_left_stays_where_the_new_rows_cannot_be_had(session):
    session.set_left([{"url": "a"}])
    with pytest.raises(ZeroDivisionError):
        session.set_left({"url": 1 // n} for n in (1, 0))
    assert list(session.left()) == [{"url": "a"}]
    session.set_left([{"url": "c"}])
    assert list(session.left()) == [{"url": "c"}]
