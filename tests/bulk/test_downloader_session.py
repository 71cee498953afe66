"""Runs one after the other with one session: what is done is not asked for again, parts are continued, changes are noticed."""
import hashlib
import os
import threading

import pytest
from bulk.downloads import LARGE, LIMIT_S, SMALL, Quick, body, both_paths, download, files_in, names_in, one, running
from bulk.origin import OLD, Each, Origin, Versioned, answer
from core.process_tools import fork
from support.actions import Close, Pause, Send

import qhttp

N, CUT = LARGE * 2, LARGE + 50_000
DATA, OTHER = body(N), body(N, 2)


@pytest.fixture
def kept(tmp_path):
    """Settings of all runs of a test."""
    return {"dir": tmp_path / "files", "session": tmp_path / "state" / "session.db"}


def break_off(origin, kept, path="/a", **settings):
    """A run that leaves a part behind."""
    transfer = one(origin.url(path), retries=0, **kept, **settings)
    assert isinstance(transfer.error, qhttp.Truncated)
    return transfer


def listed(kept):
    return files_in(kept["dir"])


# -- what is done
@both_paths
def test_session_done_rows_are_not_asked_for_again(n, kept):
    with Origin({f"/{name}": answer(200, body(n), ("ETag", '"x"')) for name in "abc"}) as origin:
        rows = [origin.url(path) for path in origin.answers]
        download(rows[:2], **kept)
        seen = download(rows, **kept)
        assert origin.paths.count("/a") == origin.paths.count("/b") == origin.paths.count("/c") == 1
    assert (seen.downloader.n_skipped, seen.downloader.n_done, seen.downloader.n_failed) == (2, 1, 0)
    assert {os.path.basename(transfer.path): transfer.was_skipped for transfer in seen.finished} == {
        "a": True,
        "b": True,
        "c": False,
    }
    assert [transfer.size for transfer in seen.finished] == [n] * 3 and seen.had_errors == [False]


@pytest.mark.parametrize("existing", ["error", "skip", "overwrite"])
def test_session_done_rows_are_done_whatever_is_to_be_done_with_others(existing, kept):
    with Origin({"/a": answer(200, b"x")}) as origin:
        download([origin.url("/a")], **kept)
        seen = download([origin.url("/a")], existing=existing, **kept)
        assert len(origin.log) == 1 and seen.ended[0].was_skipped


@both_paths
@pytest.mark.parametrize("how", ["removed", "shorter", "longer"])
def test_session_file_that_is_not_as_it_was_is_not_done(how, n, kept):
    with Origin({"/a": answer(200, body(n))}) as origin:
        path = one(origin.url("/a"), **kept).path
        if how == "removed":
            os.unlink(path)
        else:
            os.truncate(path, n + (1 if how == "longer" else -1))
        transfer = one(origin.url("/a"), existing="overwrite", **kept)
        assert len(origin.log) == 2 and not transfer.was_skipped
    assert listed(kept) == {"a": body(n)}


@both_paths
@pytest.mark.parametrize("existing", ["error", "skip", "overwrite"])
@pytest.mark.parametrize("newer, error", [
    ({"size": 0}, "BodyError"), ({"checksum": "sha256:" + "0" * 64}, "ChecksumMismatch"), ({"size": None}, None),
    ({"checksum": None}, None), ({"checksum": "sha512:" + "0" * 128}, "ChecksumMismatch"),
    ({"checksum": ["md5:" + "0" * 32]}, "ChecksumMismatch"),
    ({"checksum": ["sha-256=" + "0" * 64, "md5:" + "0" * 32]}, "ChecksumMismatch")])
def test_session_done_row_of_which_a_newer_list_says_something_else_is_an_error(newer, error, existing, n, kept):
    data = body(n)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    row = {"size": n, "checksum": digest} | {name: value for name, value in newer.items() if value is not None}
    with Origin({"/a": answer(200, data)}) as origin:
        one({"url": origin.url("/a"), "checksum": digest}, **kept)
        transfer = one({"url": origin.url("/a"), **row}, existing=existing, **kept)
        assert len(origin.log) == 1
    assert (type(transfer.error).__name__ if transfer.error else None, transfer.was_skipped) == (error, error is None)
    assert listed(kept) == {"a": data}


@pytest.mark.parametrize("is_sound", [True, False])
def test_session_done_row_that_has_a_checksum_by_now_is_looked_at(is_sound, kept):
    data = body(LARGE)
    with Origin({"/a": answer(200, data)}) as origin:
        path = one(origin.url("/a"), **kept).path
        if not is_sound:
            with open(path, "r+b") as file:
                file.write(bytes([data[0] ^ 1]))
        transfer = one({"url": origin.url("/a"), "checksum": f"sha256:{hashlib.sha256(data).hexdigest()}"}, **kept)
        assert len(origin.log) == 1
    assert (transfer.error is None) is transfer.was_skipped is is_sound


def test_session_other_url_of_the_same_name_is_not_done(kept):
    with Origin({"/x/a": answer(200, b"one"), "/y/a": answer(200, b"two")}) as origin:
        download([origin.url("/x/a")], **kept)
        seen = download([origin.url("/y/a")], **kept)
    assert seen.kinds == {"a": "FileError"} and listed(kept) == {"a": b"one"}


def test_session_failures_are_tried_again_by_the_next_run(kept):
    with Origin({"/a": Each(answer(404), answer(200, b"x"))}) as origin:
        assert download([origin.url("/a")], **kept).kinds == {"a": "HTTPStatusError"}
        assert download([origin.url("/a")], **kept).kinds == {"a": None}


def test_session_of_many_files_in_two_runs(kept):
    names = [str(number) for number in range(300)]
    with Origin({f"/{name}": answer(200, b"of " + name.encode()) for name in names}) as origin:
        rows = [origin.url(f"/{name}") for name in names]
        with running(rows, **kept) as (downloader, seen):
            downloader.start()
            downloader.turn_until(lambda: len(origin.log) >= 100)
            downloader.stop()
            downloader.run()
        assert seen.downloader.n_done < 300
        second = download(rows, **kept)
        assert (
            second.downloader.n_skipped == seen.downloader.n_done and second.downloader.n_done == 300 - seen.downloader.n_done
        )
    assert listed(kept) == {name: b"of " + name.encode() for name in names}


@pytest.mark.parametrize("existing", ["error", "skip", "overwrite"])
@pytest.mark.parametrize("end", ["", "-journal", "-wal", "-shm", "-lock"])
def test_session_row_that_has_the_name_of_one_of_its_files_is_an_error(end, existing, tmp_path):
    kept = {"dir": tmp_path, "session": tmp_path / "s", "existing": existing}
    with Origin({"/a": answer(200, b"x"), f"/s{end}": answer(200, b"not a session")}) as origin:
        rows = [origin.url(f"/s{end}"), origin.url("/a")]
        seen = download(rows, **kept)
        assert [type(transfer.error) for transfer in seen.failed] == [qhttp.FileError]
        assert "session" in str(seen.failed[0].error) and origin.paths == ["/a"]
        assert download(rows, **kept).downloader.n_skipped == 1


def test_session_name_in_an_answer_is_an_error(tmp_path):
    named = answer(200, b"not a session", ("Content-Disposition", 'attachment; filename="s-journal"'))
    with Origin({"/a": named}) as origin:
        seen = download([origin.url("/a")], dir=tmp_path, session=tmp_path / "s", content_disposition=True)
    assert "session" in str(seen.failed[0].error) and "s-journal" not in names_in(tmp_path)


def test_session_that_is_in_use_is_an_error(kept):
    with running([], **kept), pytest.raises(qhttp.FileError, match="use"):
        qhttp.Downloader([], proxy=None, **kept)
    with running([], **kept):
        pass


def test_session_that_is_none_is_an_error(tmp_path):
    (tmp_path / "session").write_text("no database " * 100)
    with pytest.raises(qhttp.FileError, match="session"):
        qhttp.Downloader([], proxy=None, session=tmp_path / "session")
    assert (tmp_path / "session").read_text() == "no database " * 100


# -- parts
@pytest.mark.parametrize("validators", [{"etag": '"one"'}, {"etag": None, "last_modified": OLD}])
@pytest.mark.parametrize("settings", [{}, {"limit_rate": 10**9}])
def test_session_part_is_continued_by_the_next_run(settings, validators, kept):
    versioned = Versioned(DATA, cuts=[CUT], **validators)
    with Origin({"/a": versioned}) as origin:
        break_off(origin, kept, **settings)
        assert names_in(kept["dir"]) == ["a.part"]
        transfer = one(origin.url("/a"), **kept, **settings)
    assert (
        transfer.error is None
        and listed(kept) == {"a": DATA}
        and transfer.n_resumed > LARGE
        and versioned.n_sent[1] < N - LARGE
    )


def test_session_part_of_an_unknown_version_does_not_stay(kept):
    versioned = Versioned(DATA, cuts=[CUT], etag=None)
    with Origin({"/a": versioned}) as origin:
        break_off(origin, kept)
        assert names_in(kept["dir"]) == []
        assert one(origin.url("/a"), **kept).error is None and versioned.n_sent == [CUT, N]


def test_session_part_does_not_stay_where_resuming_is_turned_off(kept):
    with Origin({"/a": Versioned(DATA, cuts=[CUT])}) as origin:
        break_off(origin, kept, resume=False)
    assert names_in(kept["dir"]) == []


def test_without_a_session_no_part_stays(tmp_path):
    with Origin({"/a": Versioned(DATA, cuts=[CUT])}) as origin:
        assert isinstance(one(origin.url("/a"), dir=tmp_path, retries=0).error, qhttp.Truncated)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("what", ["another version", "another length", "smaller", "416", "404", "503"])
def test_session_part_of_a_file_that_has_changed_is_no_mixture(what, kept):
    versioned = Versioned(DATA, cuts=[CUT])
    with Origin({"/a": versioned}) as origin:
        break_off(origin, kept)
        new = {"another version": OTHER, "another length": body(N + 7, 3), "smaller": body(LARGE, 4)}.get(what)
        if new is not None:
            versioned.data, versioned.etag = new, '"two"'
        elif what == "416":
            new = body(SMALL)
            origin.answers["/a"] = lambda request: answer(416) if request.get("range") else answer(200, new, ("ETag", '"two"'))
        else:
            origin.answers["/a"] = answer(int(what))
        transfer = one(origin.url("/a"), retries=1, **kept)
        if new is None:
            assert transfer.error.status == int(what) and names_in(kept["dir"]) in ([], ["a.part"])
            origin.answers["/a"] = versioned
            transfer, new = one(origin.url("/a"), **kept), DATA
    assert transfer.error is None and listed(kept) == {"a": new}


@pytest.mark.parametrize("how", ["removed", "other file", "longer than the whole", "last byte", "emptied"])
def test_session_part_that_is_not_as_it_was_is_not_continued(how, kept):
    with Origin({"/a": Versioned(DATA, cuts=[CUT])}) as origin:
        break_off(origin, kept)
        part = kept["dir"] / "a.part"
        content = part.read_bytes()
        if how == "removed":
            part.unlink()
        elif how == "other file":
            (kept["dir"] / "new").write_bytes(OTHER[:len(content)])
            (kept["dir"] / "new").rename(part)
        elif how == "longer than the whole":
            os.truncate(part, N + 1)
        elif how == "last byte":
            with open(part, "r+b") as file:
                file.seek(-1, 2)
                file.write(bytes([content[-1] ^ 1]))
        else:
            os.truncate(part, 0)
        transfer = one(origin.url("/a"), **kept)
    assert transfer.error is None and listed(kept) == {"a": DATA}


def test_session_part_of_another_url_is_not_continued(kept):
    """Of the same name, of the same ETag, and with equal bytes where they are compared."""
    other = body(200_000, 5) + DATA[200_000:CUT + 50_000] + body(N - CUT - 50_000, 6)
    with Origin({"/x/a": Versioned(DATA, cuts=[CUT]), "/y/a": Versioned(other)}) as origin:
        break_off(origin, kept, "/x/a")
        transfer = one(origin.url("/y/a"), **kept)
    assert transfer.error is None and listed(kept) == {"a": other}


def test_session_whole_part_is_put_in_its_place(kept):
    """Everything had come when the connection broke."""
    head = answer(200, b"", ("ETag", '"one"'), ("Transfer-Encoding", "chunked"), length=-1)
    with Origin({"/a": [head, Send(b"%x\r\n%b\r\n" % (N, DATA)), Close()]}) as origin:
        break_off(origin, kept)
        origin.answers["/a"] = versioned = Versioned(DATA)
        transfer = one(origin.url("/a"), **kept)
    assert transfer.error is None and listed(kept) == {"a": DATA} and versioned.n_sent[0] <= 16 << 10


# -- a kill
class Reached:
    """Waits, in the server's thread, until a condition of the part holds, and then for the client's end."""

    def __init__(self, kept, condition):
        self._part, self._condition, self._event = kept["dir"] / "a.part", condition, threading.Event()

    def __call__(self, peer):
        while not self._condition(self._part.read_bytes() if self._part.exists() else b""):
            peer.pause(0.01)
        peer.pause(0.05)            # what is recorded with it has been by then, or is late
        self._event.set()
        peer.pause(LIMIT_S)

    def wait(self):
        assert self._event.wait(LIMIT_S)


def killed_run(origin, kept, reached, **settings):
    """A run in a child that is killed when the server has reached that point."""
    pid = fork()
    if pid == 0:
        try:
            Quick([origin.url("/a")], proxy=None, **kept, **settings).run(8000)
        finally:
            os._exit(1)
    try:
        reached.wait()
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


@pytest.mark.parametrize("settings", [{}, {"limit_rate": 10**9}])
def test_session_after_a_kill_the_file_is_whole(settings, kept):
    reached = Reached(kept, lambda part: len(part) > LARGE)
    with Origin({"/a": [answer(200, DATA[:CUT], ("ETag", '"one"'), length=N), reached]}) as origin:
        killed_run(origin, kept, reached, **settings)
        assert "a" not in listed(kept)
        origin.answers["/a"] = Versioned(DATA)
        assert one(origin.url("/a"), **kept, **settings).error is None
    assert listed(kept) == {"a": DATA}


@pytest.mark.parametrize("settings", [{}, {"limit_rate": 10**9}, {"host_limit_rate": 10**9}])
def test_session_part_is_forgotten_before_it_gets_bytes_of_another_version(settings, kept):
    """Version one leaves a part; version two is under way when the run is killed; version one comes back; both end alike."""
    two = body(LARGE, 7) + DATA[LARGE:CUT + 9000] + body(N - CUT - 9000, 8)
    versioned = Versioned(DATA, cuts=[CUT])
    reached = Reached(kept, lambda part: len(part) > LARGE and two.startswith(part))
    with Origin({"/a": versioned}) as origin:
        break_off(origin, kept)
        origin.answers["/a"] = [answer(200, two[:CUT], ("ETag", '"two"'), length=N), reached]
        killed_run(origin, kept, reached, **settings)
        origin.answers["/a"] = versioned
        assert one(origin.url("/a"), **kept).error is None
    assert listed(kept) == {"a": DATA}


def test_session_part_of_which_nothing_came_is_forgotten_before_it_gets_bytes_of_another_version(kept):
    """The part was opened for version one, which then broke off before its first byte."""
    two = body(LARGE, 7) + DATA[LARGE:CUT + 9000] + body(N - CUT - 9000, 8)
    reached = Reached(kept, lambda part: len(part) > LARGE)
    one_cut = [answer(200, b"", ("ETag", '"one"'), length=N), Pause(1.2), Close()]     # a second, and it is noted
    with Origin({"/a": Each(one_cut, [answer(200, two[:CUT], ("ETag", '"two"'), length=N), reached])}) as origin:
        killed_run(origin, kept, reached)
        origin.answers["/a"] = Versioned(DATA)
        assert one(origin.url("/a"), **kept).error is None
    assert listed(kept) == {"a": DATA}


# -- names
def test_session_knows_a_file_from_any_working_folder(kept, tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    with Origin({"/a": answer(200, b"x")}) as origin:
        monkeypatch.chdir(tmp_path)
        download([origin.url("/a")], dir="files", session=kept["session"])
        monkeypatch.chdir(tmp_path / "sub")
        assert one(origin.url("/a"), dir="../files", session=kept["session"]).was_skipped


def test_session_knows_a_name_that_came_with_the_answer(kept):
    """Without asking it cannot be known; but the file that is there is not fetched again, and is no error."""
    with Origin({"/a": answer(200, body(LARGE), ("Content-Disposition", "attachment; filename=n"))}) as origin:
        download([origin.url("/a")], content_disposition=True, **kept)
        seen = download([origin.url("/a")], content_disposition=True, **kept)
    assert seen.kinds == {"a": None} and listed(kept) == {"n": body(LARGE)}


def test_session_of_bytes_is_of_no_use_and_no_harm(kept):
    with Origin({"/a": answer(200, b"x")}) as origin:
        assert [one(origin.url("/a"), into="bytes", session=kept["session"]).content for _ in range(2)] == [b"x", b"x"]


def test_session_slow_answer_is_not_waited_for_at_the_end(kept):
    with Origin({"/a": [answer(200, DATA[:CUT], ("ETag", '"one"'), length=N), Pause(8)]}) as origin:
        with running([origin.url("/a")], **kept) as (downloader, seen):
            downloader.progress.connect(lambda transfer, n_done, _: n_done == CUT and downloader.stop())
            downloader.run()
        assert names_in(kept["dir"]) == ["a.part"] and seen.ended == []
        origin.answers["/a"] = versioned = Versioned(DATA)
        transfer = one(origin.url("/a"), **kept)
    assert transfer.error is None and transfer.n_resumed > 0 and listed(kept) == {"a": DATA} and versioned.n_sent[0] < N
