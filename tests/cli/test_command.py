"""A run with a fake downloader: what is told of it, its exit status, and what it leaves behind."""
import json
import os
import tempfile

import pytest
from cli.fake import WAIT

from qhttp import errors

URL, OTHER, THIRD = "http://example.org/a", "http://example.org/b", "http://example.org/c"
SECRET = "http://example.org/s?secret"
HAS_FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_run_that_is_done_says_what_it_came_to(command):
    ran = command(URL, OTHER, outcomes={URL: {"size": 999}})
    assert (ran.status, ran.out) == (0, "")
    assert ran.err.startswith("qhttp: 2 files; 999 B in 0:00")
    assert ran.downloader.is_closed


def test_run_that_is_quiet_says_nothing(command):
    assert (command(URL, "-q").err, command(URL, "-q").status) == ("", 0)


@pytest.mark.parametrize("failures, status", [
    ([errors.HTTPStatusError("the server answered 404", 404)], 3), ([errors.HostNotFound("no")], 4),
    ([errors.TimeoutError("late")], 5),
    ([errors.ChecksumMismatch("no"), errors.Truncated("no")], 6), ([errors.ResumeError("no")], 8),
    ([errors.FileError("full")], 9),
    ([errors.ProtocolError("no")], 1), ([errors.TimeoutError("late"), errors.HostNotFound("no")], 1),
])
def test_run_with_failures_has_their_status(command, failures, status):
    ran = command(URL, OTHER, THIRD, outcomes=dict(zip((URL, OTHER), failures, strict=False)))
    assert ran.status == status
    assert ran.err.count("qhttp: http://example.org/") == len(failures)


def test_failure_names_the_url_the_cause_and_what_to_do(command):
    ran = command(SECRET, "-q", outcomes={SECRET: errors.HTTPStatusError("the server answered 404.", 404)})
    assert ran.err == "qhttp: http://example.org/s: the server answered 404; check the URL\n"


def test_failure_of_a_file_that_is_there_names_the_options(command, tmp_path):
    (tmp_path / "a").touch()
    ran = command(URL, OTHER, outcomes=dict.fromkeys((URL, OTHER), errors.FileError("it cannot be")))
    first, second, _ = ran.err.splitlines()
    assert first.endswith("see --skip-existing and --overwrite")
    assert second.endswith("check the folder, its rights and its space")


def test_failures_beyond_the_bound_are_counted(command, tmp_path):
    (tmp_path / "list").write_text("".join(f"http://example.org/{n}\n" for n in range(105)))
    ran = command("-i", "list", "-q", outcomes={f"http://example.org/{n}": errors.HostNotFound("no") for n in range(105)})
    *first, hint, count = ran.err.splitlines()
    assert (len(first), count) == (100, "qhttp: 5 more errors were not shown")
    assert "--log-json" in hint and ran.status == 4


@pytest.fixture
def failing(tmp_path):
    """A list of more failures than are shown, one of which cannot be saved; its outcomes."""
    rows = [{"url": f"http://example.org/{n}"} for n in range(105)] + [{"url": URL, "headers": [["X", "a\nb"]]}]
    (tmp_path / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {row["url"]: errors.HostNotFound("no") for row in rows}


@pytest.mark.parametrize("words, said", [
    (["--save-session", "rest"], "a could not be saved as something that is left"),
    (["--save-session", "no/such/rest"], "no/such/rest cannot be written"),
    pytest.param(["--log-json", "/dev/full"], "the log cannot be written", marks=HAS_FULL),
])
def test_failures_beyond_the_bound_hide_nothing_else(command, failing, words, said):
    ran = command("-i", "list.jsonl", *words, outcomes=failing)
    assert said in ran.err and ran.err.endswith("qhttp: 6 more errors were not shown\n")


def test_session_that_cannot_be_closed_is_told_beyond_the_bound(command, failing):
    def refuse(downloader):
        downloader.close = raising

    def raising():
        raise errors.FileError("the session is full")

    assert "may be done again" in command("-i", "list.jsonl", outcomes=failing, before=refuse).err


def test_failures_while_the_rest_is_saved_are_counted(command, tmp_path):
    (tmp_path / "list.jsonl").write_text(f'{{"url": "{URL}"}}\n' + "nonsense\n" * 105)
    ran = command("-i", "list.jsonl", "--save-session", "rest",
                  before=lambda downloader: downloader.finished.connect(lambda transfer: downloader.stop()))
    assert ran.status == 1 and ran.err.endswith("qhttp: 5 more errors were not shown\n")


def test_verbose_run_has_a_line_for_each_transfer_and_retry(command):
    def retry(downloader):
        downloader.finished.connect(
            lambda transfer: downloader.retrying.emit(transfer, 1.25, errors.UnexpectedClose("closed.")), 1)

    ran = command(SECRET, OTHER, THIRD, "-v", before=retry, outcomes={
        SECRET: {"size": 2048, "n_resumed": 1024, "n_retries": 2, "checksums": {"sha256": "ab"}, "time_total": 2.0},
        OTHER: {"was_skipped": True}})
    assert "http://example.org/s: closed; again in 1.2 s" in ran.err
    assert "http://example.org/s -> s (2 KiB, 1 KiB of it from before, 2 retries, sha256:ab, 0:02)" in ran.err
    assert "http://example.org/b -> b (is there)" in ran.err and "secret" not in ran.err
    assert "qhttp: 2 files, 1 already there;" in ran.err


def test_run_listens_to_no_more_than_it_tells(command):
    downloader = command(URL).downloader
    assert [str(signal) for signal in (downloader.started, downloader.progress, downloader.finished, downloader.retrying)
            if "with 0 slots" not in repr(signal)] == []


# -- lines on stdout
def test_dry_run_prints_what_would_go_where(command):
    ran = command(SECRET, OTHER, "--dry-run", outcomes={OTHER: {"was_skipped": True}})
    assert ran.settings == {"dry_run": True, "session": os.path.join(".", ".qhttp-session")}
    assert ran.out == "http://example.org/s?secret -> s\nhttp://example.org/b -> b (is there)\n"
    assert (ran.status, ran.err) == (0, "")


def test_head_prints_status_and_size(command):
    ran = command(URL, OTHER, THIRD, "--head", outcomes={
        URL: {"headers": [("Content-Length", "12")]}, OTHER: {}, THIRD: errors.HTTPStatusError("the server answered 404", 404)})
    assert ran.out == f"200 12 {URL}\n200 - {OTHER}\n404 - {THIRD}\n"
    assert ran.status == 3 and ran.err.count("\n") == 1


# -- logs
def test_log_json_has_every_end(command, tmp_path):
    ran = command(URL, OTHER, "--log-json", "log", outcomes={OTHER: errors.HostNotFound("no")})
    assert ran.status == 4
    assert lines((tmp_path / "log").read_text()) == [{"url": URL, "error": None}, {"url": OTHER, "error": "HostNotFound"}]
    command(URL, "--log-json", "log")
    assert len(lines((tmp_path / "log").read_text())) == 3


def test_json_timings_are_printed(command):
    ran = command(URL, "--json-timings", "-q")
    assert lines(ran.out) == [{"url": URL, "error": None}] and ran.err == ""


def test_log_that_cannot_be_opened_begins_nothing(command):
    ran = command(URL, "--log-json", "no/such/log")
    assert (ran.status, ran.downloader) == (9, None)
    assert "no/such/log" in ran.err and "No such file" in ran.err and ran.err.count("\n") == 1


@HAS_FULL
def test_log_that_is_full_stops_the_run_and_is_told_once(command):
    ran = command(URL, OTHER, "--log-json", "/dev/full", outcomes={OTHER: WAIT})
    assert ran.status == 9 and ran.downloader.was_stopped
    assert ran.err.count("the log cannot be written: No space left on device") == 1


def test_progress_as_json_ends_with_an_object(command):
    ran = command(URL, "--progress", "json", outcomes={URL: errors.HostNotFound("no")})
    error, end = lines(ran.err)
    assert error["event"] == "error" and error["message"].startswith(URL)
    assert (end["event"], end["failed"], end["done"]) == ("end", 1, 0)


def test_dry_run_prints_names_that_are_no_text(command):
    ran = command(URL, "--dry-run", outcomes={URL: {"path": "/caf\udce9"}})
    assert ran.status == 0 and "Traceback" not in ran.err and f"{URL} -> /caf" in ran.out


# -- what is left
def test_save_session_has_what_failed(command, tmp_path):
    ran = command(URL, OTHER, "--save-session", "rest", outcomes={URL: errors.HTTPStatusError("no", 500)})
    assert ran.status == 3
    assert (tmp_path / "rest").read_text() == f"{URL}\n"
    assert os.stat(tmp_path / "rest").st_mode & 0o077 == 0


def test_save_session_of_a_run_that_is_done_is_empty(command, tmp_path):
    assert command(URL, "--save-session", "rest").status == 0
    assert (tmp_path / "rest").read_text() == ""


def test_save_session_has_the_name_that_was_given(command, tmp_path):
    ran = command("-o", "sub/f", URL, "--save-session", "rest", outcomes={URL: errors.HTTPStatusError("no", 500)})
    assert ran.status == 3
    assert (tmp_path / "rest").read_text() == f"{URL}\n out=f\n"


def test_save_session_may_be_the_list_that_is_read(command, tmp_path):
    (tmp_path / "real").write_text(f"{URL}\n{OTHER}\n{THIRD}\n")
    (tmp_path / "list").symlink_to("real")
    ran = command("-i", "list", "--save-session", "list", "--fail-fast", outcomes={URL: errors.HostNotFound("no")},
                  before=lambda downloader: downloader.failed.connect(lambda transfer: downloader.stop()))
    assert ran.status == 4
    assert (tmp_path / "real").read_text() == f"{URL}\n{OTHER}\n{THIRD}\n" and (tmp_path / "list").is_symlink()


@pytest.mark.parametrize("row", ["http://joe:secret@example.org/b", "http://example.org/caf\xe9", f"{OTHER}\n checksum=md5=a"])
@pytest.mark.parametrize("words", [["-i", "list"], ["-i", "link"], [URL, "-i", "list"]])
def test_save_session_into_a_list_with_an_unreadable_row_leaves_it_as_it_is(command, tmp_path, words, row):
    text = f"{URL}\n{row}\n".encode("latin-1")
    (tmp_path / "list").write_bytes(text)
    (tmp_path / "link").symlink_to("list")
    ran = command(*words, "--save-session", "list")
    assert ran.status == 1 and (tmp_path / "list").read_bytes() == text
    assert "line 2" in ran.err or "line 3" in ran.err
    assert "give another FILE" in ran.err and "secret" not in ran.err
    assert sorted(os.listdir()) == ["link", "list"]


def test_save_session_into_a_list_with_a_row_that_cannot_be_saved_leaves_it_as_it_is(command, tmp_path):
    text = json.dumps({"url": URL, "headers": [["X", "a\nb"]]}) + "\n"
    (tmp_path / "list.jsonl").write_text(text)
    ran = command("-i", "list.jsonl", "--save-session", "list.jsonl", outcomes={URL: errors.HostNotFound("no")})
    assert ran.status == 1 and (tmp_path / "list.jsonl").read_text() == text and "give another FILE" in ran.err


def test_save_session_has_no_row_with_a_user(command, tmp_path):
    (tmp_path / "list").write_text(f"{URL}\nhttp://joe:secret@example.org/b\n")
    ran = command("-i", "list", "--save-session", "rest", outcomes={URL: errors.HostNotFound("no")})
    assert (tmp_path / "rest").read_text() == f"{URL}\n"
    assert ran.status == 1 and "line 2: url must be text, and without user information" in ran.err and "secret" not in ran.err


def test_save_session_leaves_out_what_a_list_cannot_say(command, tmp_path):
    rows = {"url": URL, "headers": [["X", "a\nb"]]}, {"url": OTHER}
    (tmp_path / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ran = command("-i", "list.jsonl", "--save-session", "rest", outcomes=dict.fromkeys((URL, OTHER), errors.HostNotFound("no")))
    assert (tmp_path / "rest").read_text() == f"{OTHER}\n"
    assert f"{URL} could not be saved" in ran.err


@pytest.mark.parametrize("is_there", [False, True])
def test_save_session_takes_the_place_of_no_file_that_was_downloaded(command, tmp_path, is_there):
    def download(transfer):
        (tmp_path / "new").write_text("downloaded")
        (tmp_path / "new").rename(tmp_path / "a")

    if is_there:
        (tmp_path / "a").touch()
    ran = command(URL, "--save-session", "a", before=lambda downloader: downloader.finished.connect(download))
    assert ran.status == 9 and "a cannot be written: another file has come there" in ran.err
    assert (tmp_path / "a").read_text() == "downloaded" and os.listdir() == ["a"]


@pytest.mark.parametrize("outcomes, status", [({}, 9), ({URL: errors.HostNotFound("no")}, 1)])
def test_save_session_that_cannot_be_written_is_a_failure(command, outcomes, status):
    ran = command(URL, "--save-session", "no/such/rest", outcomes=outcomes)
    assert ran.status == status and "--save-session: no/such/rest cannot be written" in ran.err


def test_row_that_cannot_be_read_while_the_rest_is_saved_is_a_failure(command, tmp_path):
    (tmp_path / "list.jsonl").write_text(f'{{"url": "{URL}"}}\nnonsense\n')
    ran = command("-i", "list.jsonl", "--save-session", "rest",
                  before=lambda downloader: downloader.finished.connect(lambda transfer: downloader.stop()))
    assert ran.status == 1 and "list.jsonl, line 2" in ran.err


def test_save_session_into_a_pipe_is_written_there(command):
    read_fd, write_fd = os.pipe()
    command(URL, "-q", "--save-session", f"/dev/fd/{write_fd}", outcomes={URL: errors.HostNotFound("no")})
    os.close(write_fd)
    with open(read_fd) as pipe:
        assert pipe.read() == f"{URL}\n"


def test_save_session_to_stdout_is_appended_there(command):
    ran = command(URL, OTHER, "--json-timings", "--save-session", "/dev/stdout", outcomes={OTHER: errors.HostNotFound("no")})
    assert ran.out.splitlines()[2:] == [OTHER]


def test_save_session_to_an_open_file_is_appended_there(command, tmp_path):
    with open(tmp_path / "rest", "w") as file:
        file.write("before\n")
        file.flush()
        command(URL, "--save-session", f"/dev/fd/{file.fileno()}", outcomes={URL: errors.HostNotFound("no")})
    assert (tmp_path / "rest").read_text() == f"before\n{URL}\n"


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="there is no /dev/shm")
def test_save_session_into_a_list_below_dev_takes_its_place(command):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = os.path.join(folder, "list")
        with open(path, "w") as file:
            file.write(f"{URL}\n{OTHER}\n")
        command("-i", path, "--save-session", path, outcomes={URL: errors.HostNotFound("no")})
        with open(path) as file:
            assert file.read() == f"{URL}\n"
        assert os.stat(path).st_mode & 0o077 == 0


# -- sessions
def make_session(path, *urls):
    from qhttp.bulk.session import Session
    with Session(path) as session:
        session.begin_batch([(f"/{n}", url, 1, 1, None, None) for n, url in enumerate(urls)])
        session.end_batch()


def with_session(*urls):
    return lambda downloader: make_session(downloader.settings["session"], *urls)


@pytest.mark.parametrize("content", [None, b"no database" * 100])
def test_knows_only_of_what_is_no_session_is_false(tmp_path, content):
    from qhttp.cli.rest import knows_only
    if content is not None:
        (tmp_path / "s").write_bytes(content)
    assert not knows_only(str(tmp_path / "s"), [URL])
    assert (tmp_path / "s").exists() == (content is not None)


def files():
    return sorted(os.listdir())


def test_session_of_the_command_line_goes_when_all_is_done(command):
    ran = command(URL, before=with_session(URL))
    assert ran.settings["session"] == os.path.join(".", ".qhttp-session") and files() == []


def test_session_of_the_command_line_stays_when_something_failed(command):
    command(URL, before=with_session(URL), outcomes={URL: errors.HostNotFound("no")})
    assert files() == [".qhttp-session"]
    command(URL)
    assert files() == []


@pytest.mark.parametrize("words", [["-i", "list"], [URL, "--session", ".qhttp-session"]])
def test_session_of_a_list_or_with_a_name_stays(command, tmp_path, words):
    (tmp_path / "list").write_text(f"{URL}\n")
    command(*words, before=with_session(URL))
    assert ".qhttp-session" in files()


def test_session_that_knows_other_files_stays(command):
    make_session(".qhttp-session", URL, OTHER)
    command(URL)
    assert files() == [".qhttp-session"]
    command(URL, OTHER)
    assert files() == []


def test_session_in_use_is_not_waited_for(command):
    def refuse(downloader):
        if downloader.settings["session"] == os.path.join(".", ".qhttp-session"):
            raise errors.FileError(".qhttp-session is in use by another run: wait for its end")
        with_session(URL)(downloader)

    ran = command(URL, before=refuse, outcomes={URL: errors.HostNotFound("no")})
    [own] = files()
    assert own.startswith(".qhttp-session-") and ran.settings["session"].endswith(own)
    assert command(URL).settings["session"].endswith(own)           # it knows the parts
    assert files() == []


@pytest.mark.parametrize("words", [["-i", "list"], [URL, "--session", "s"]])
def test_session_in_use_that_was_asked_for_is_an_error(command, tmp_path, words):
    def refuse(downloader):
        raise errors.FileError("it is in use by another run: wait for its end")

    (tmp_path / "list").write_text(f"{URL}\n")
    ran = command(*words, before=refuse)
    assert (ran.status, ran.err) == (9, "qhttp: it is in use by another run: wait for its end; nothing was begun\n")


# -- rows
def test_unreadable_row_is_a_failure(command, tmp_path):
    (tmp_path / "list.jsonl").write_text(f'nonsense\n{{"url": "{URL}"}}\n')
    ran = command("-i", "list.jsonl")
    assert ran.status == 1 and ran.downloader.n_done == 1
    ran = command("-i", "list.jsonl", "--fail-fast")
    assert ran.status == 1 and ran.downloader.n_done == 0
