"""The command waits as the downloader does, and its displays go on meanwhile."""
import io
import json
import time
from contextlib import redirect_stderr, redirect_stdout

import pytest
from bulk.origin import Each, Origin, answer

from qhttp.cli import main

SKIP_MS = 2                 # the command has a beat, which is cheap and often


def download(*arguments) -> str:
    """What a run says that must succeed."""
    told = io.StringIO()
    with redirect_stdout(told), redirect_stderr(told):
        status = main(list(map(str, arguments)))
    assert status == 0, told.getvalue()
    return told.getvalue()


def busy(n_tries, after_s):
    return Each(*[answer(503, b"", ("Retry-After", str(after_s)))] * n_tries, answer(200, b"there"))


def test_command_waits_and_succeeds(clock, folder):
    clock.skip(SKIP_MS)
    began = time.monotonic_ns()
    with Origin({"/a": busy(2, 100)}) as origin:
        download("-q", "-d", folder, origin.url("/a"))
    assert (folder / "a").read_bytes() == b"there"
    assert 200 <= (time.monotonic_ns() - began) / 10**9 < 1000      # a beat may be skipped to before the answer is there


def test_command_that_waits_says_so_now_and_then(clock, folder):
    clock.skip(SKIP_MS)
    with Origin({"/a": busy(1, 150)}) as origin:
        said = download("--progress", "plain", "-d", folder, origin.url("/a"))
    assert 10 <= said.count("\n") < 200


@pytest.mark.parametrize("jump", [-86_400, 0, 86_400])
def test_times_that_are_told_do_not_mind_the_wall_clock(clock, folder, jump):
    clock.skip(SKIP_MS)
    page = busy(1, 100)

    def answer_and_set(request):
        clock.set_wall(time.time() + jump)
        return page(request)

    with Origin({"/a": answer_and_set}) as origin:
        download("-q", "--log-json", folder / "log", "-d", folder, origin.url("/a"))
    line, = map(json.loads, (folder / "log").read_text().splitlines())
    assert 100 <= line["time_total"] < 1000
