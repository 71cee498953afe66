"""Standard streams and logs that are closed, full, or pipes that nobody reads: one line says so, and the exit status does."""
import os
import subprocess

import pytest
from bulk.downloads import SMALL, body, files_in, names_in
from bulk.origin import Origin, answer
from exhaustion.scarce import command

from qhttp.cli import exits

FULL = "No space left on device"
N_FILES = 5
DATA = {str(n): body(SMALL, n) for n in range(N_FILES)}


@pytest.fixture(scope="module")
def origin():
    with Origin({f"/{name}": answer(200, data) for name, data in DATA.items()}) as origin:
        yield origin


@pytest.fixture
def urls(origin):
    return [origin.url(f"/{name}") for name in DATA]


def closed(*fds):
    """For `limits`: the process begins without these."""
    return lambda: [os.close(fd) for fd in fds]


def ran_into_full(*words, **options):
    """The command with a stdout that takes nothing."""
    with open("/dev/full", "w") as full:
        return command(*words, streams={"stdout": full}, **options)


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["--completion", "bash"]], ids=lambda words: words[0])
def test_help_where_stdout_is_full_or_closed_is_an_error_of_one_line(words):
    ran = ran_into_full(*words)
    assert (ran.status, ran.err) == (exits.DISK, f"qhttp: stdout cannot be written: {FULL}\n")
    ran = command(*words, limits=closed(1))
    assert (ran.status, ran.err) == (exits.DISK, "qhttp: stdout cannot be written: it is closed\n")


@pytest.mark.parametrize("how", ["--dry-run", "--head"])
def test_lines_that_stdout_does_not_take_stop_the_run_with_one_message(how, urls, tmp_path):
    for ran in (ran_into_full(how, "-d", tmp_path, *urls), command(how, "-d", tmp_path, *urls, limits=closed(1))):
        [line] = [line for line in ran.err.splitlines() if "stdout" in line]
        assert ran.status == exits.DISK and line.startswith("qhttp: stdout cannot be written: ") and "Traceback" not in ran.err


def test_lines_into_a_pipe_that_nobody_reads_stop_the_run(urls, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    ran = command("--dry-run", "-d", tmp_path, *urls, streams={"stdout": writing})
    os.close(writing)
    assert ran.status == exits.DISK and ran.err.startswith("qhttp: stdout cannot be written: Broken pipe")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("words", [["--log-json", "/dev/full"], ["--json-timings"]], ids=lambda words: words[0])
def test_log_that_is_full_is_an_error_at_the_end_and_the_files_are_there(words, urls, tmp_path):
    ran = ran_into_full(*words, "-d", tmp_path, "--no-session", *urls)
    assert ran.status == exits.DISK and f"qhttp: the log cannot be written: {FULL}\n" in ran.err
    assert files_in(tmp_path) == DATA


def test_log_on_a_stdout_that_is_closed_is_an_error_before_anything_is_begun(urls, tmp_path):
    ran = command("--json-timings", "-d", tmp_path, *urls, limits=closed(1))
    assert (ran.status, ran.err) == (exits.DISK, "qhttp: the log cannot be opened: stdout is closed; nothing was begun\n")
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("how", ["auto", "plain", "json", "none"])
@pytest.mark.parametrize("fds", [(2,), (0, 1, 2)], ids=str)
def test_closed_streams_are_no_obstacle_and_no_file_takes_their_place(fds, how, urls, tmp_path):
    """A file that was opened as descriptor 2 would get whatever is written there."""
    ran = command("-v", "--progress", how, "-d", tmp_path, "--no-session", *urls, limits=closed(*fds))
    assert ran.status == exits.ALL_DONE and files_in(tmp_path) == DATA


@pytest.mark.parametrize("how", ["plain", "json"])
def test_messages_into_a_full_stderr_are_lost_and_nothing_else(how, urls, tmp_path):
    with open("/dev/full", "w") as full:
        ran = command("-v", "--progress", how, "-d", tmp_path, "--no-session", *urls, urls[0] + "nothing",
                      streams={"stderr": full})
    assert ran.status == exits.STATUS and files_in(tmp_path) == DATA


def test_list_from_a_stdin_that_is_closed_is_a_usage_error(tmp_path):
    ran = command("-i", "-", "-d", tmp_path, limits=closed(0))
    assert (ran.status, ran.err) == (exits.USAGE, "qhttp: -i -: stdin is closed\n")


def test_wrong_usage_without_a_stderr_has_its_status():
    assert command("--nonsense", limits=closed(2)).status == exits.USAGE


def test_rows_that_are_left_and_cannot_be_saved_are_told(urls, tmp_path):
    ran = command("-d", tmp_path, "--no-session", *urls, "--save-session", "/dev/full", "--max-size", SMALL - 1)
    assert ran.status == exits.OTHER and f"--save-session: /dev/full cannot be written: {FULL}" in ran.err


def test_list_in_a_pipe_is_read_where_no_thread_can_be_started(urls, tmp_path, preload):
    reading, writing = os.pipe()
    os.write(writing, "\n".join(urls).encode())
    os.close(writing)
    ran = command("-i", "-", "-d", tmp_path, "--no-session", streams={"stdin": reading, "stderr": subprocess.PIPE},
                  preload=preload, QH_NO_THREADS="1")
    os.close(reading)
    assert (ran.status, files_in(tmp_path)) == (exits.ALL_DONE, DATA), ran.err
