"""The wall clock is set, by a day or by years: no limit of time changes, and dates are held against the server's own clock."""
import email.utils
import time

import pytest
from bulk.downloads import SMALL, body, files_in
from bulk.origin import Each, Origin, answer
from clocks.downloads import begun
from engine.recording import Recorded
from support.actions import Pause, ReceiveRequest
from support.scripted_server import ScriptedServer

import qhttp
from qhttp.engine import resolver as resolver_module

DAY_S, YEAR_S = 86_400, 365 * 86_400
JUMPS = [-DAY_S, DAY_S, -30 * YEAR_S, 5 * YEAR_S]
NO_LIMITS = {"min_speed": (0, 0), "idle_timeout": 0}
FINE = answer(200, b"fine")


def http_date(seconds: float) -> str:
    return email.utils.formatdate(seconds, usegmt=True)


def refusing(after_s, date_s=None):
    """503 until a date, from a server whose clock says `date_s`; None: it does not say."""
    fields = [("Retry-After", http_date(after_s))]
    return Each(answer(503, b"", *fields, *([] if date_s is None else [("Date", http_date(date_s))])), FINE)


@pytest.mark.parametrize("jump", JUMPS)
def test_limits_of_a_request_do_not_move(clock, jump):
    with ScriptedServer([ReceiveRequest()]) as server:
        recorded = Recorded(server.host, server.port)
        recorded.http.setTransferTimeout(60_000)
        recorded.http.get("/")
        clock.until(lambda: server.connections and server.connections[0].taken)
        clock.advance(20)
        clock.set_wall(time.time() + jump)
        clock.goes_off(40, lambda: recorded.done)


@pytest.mark.parametrize("jump", JUMPS)
def test_limits_and_waits_of_a_download_do_not_move(clock, folder, jump):
    with Origin({"/a": Each(answer(503, b"", ("Retry-After", "100")), [Pause(60)])}) as origin, \
            begun([origin.url("/a")], folder, idle_timeout=30, retries=1) as (downloader, seen):
        downloader.jitter = 0.0
        clock.until(lambda: seen.delays)
        clock.advance(50)
        clock.set_wall(time.time() + jump)
        clock.goes_off(50, lambda: len(origin.log) == 2)
        clock.set_wall(time.time() + jump)
        clock.goes_off(30, lambda: seen.failed, late_s=1)


@pytest.mark.parametrize("jump", JUMPS)
def test_names_are_known_as_long_as_they_were(clock, jump):
    asked = []
    with ScriptedServer(beyond=[]) as server:
        resolver_module.look_up = lambda host, port: asked.append(host) or [(2, (server.host, server.port))]
        for passed, n_asked in [(0, 1), (29, 1), (2, 2)]:
            clock.advance(passed)
            clock.set_wall(time.time() + jump)
            recorded = Recorded("name.test", 80)
            recorded.http.setTotalTimeout(1000)
            recorded.http.get("/")
            clock.until(lambda recorded=recorded: "Sending" in recorded.states)
            assert len(asked) == n_asked
            recorded.http.abort()


# -- dates
@pytest.mark.parametrize("jump", [0, *JUMPS])
def test_retry_after_as_a_date_is_held_against_the_servers_clock(clock, folder, jump):
    """Whatever ours says: the two dates of one answer are of one clock."""
    server_s = 1_800_000_000
    clock.set_wall(server_s + jump)
    with Origin({"/a": refusing(server_s + 120, server_s)}) as origin, \
            begun([origin.url("/a")], folder, **NO_LIMITS) as (downloader, seen):
        downloader.jitter = 0.0
        clock.until(lambda: seen.delays)
        assert seen.delays == [120]
        clock.goes_off(120, lambda: len(origin.log) == 2)
        clock.until(lambda: seen.finished)


@pytest.mark.parametrize("date_s, waited", [(None, 120), (-1, 120)])
def test_retry_after_as_a_date_without_a_date_of_the_answer_is_held_against_ours(clock, folder, date_s, waited):
    clock.set_wall(1_800_000_000)
    fields = [("Date", "some day")] if date_s == -1 else []
    page = Each(answer(503, b"", ("Retry-After", http_date(1_800_000_120)), *fields), FINE)
    with Origin({"/a": page}) as origin, begun([origin.url("/a")], folder, **NO_LIMITS) as (downloader, seen):
        downloader.jitter = 0.0
        clock.until(lambda: seen.delays)
        assert seen.delays == [waited]


@pytest.mark.parametrize("after_s, waited", [(-DAY_S, 0), (10 * DAY_S, 3600)])
def test_retry_after_as_a_date_that_is_far_is_nothing_or_an_hour(clock, folder, after_s, waited):
    server_s = 1_800_000_000
    with Origin({"/a": refusing(server_s + after_s, server_s)}) as origin, \
            begun([origin.url("/a")], folder, **NO_LIMITS) as (downloader, seen):
        downloader.jitter = 0.0
        clock.until(lambda: seen.delays)
        assert seen.delays == [waited]


# -- files
@pytest.mark.parametrize("jump", JUMPS)
def test_file_of_an_earlier_run_is_overwritten_whatever_the_clock_says_now(clock, folder, jump):
    """Also where it was made while the clock was ahead, and is of tomorrow now."""
    (folder / "a").write_bytes(b"old")
    clock.set_wall(time.time() + jump)
    with Origin({"/a": answer(200, b"new")}) as origin, begun([origin.url("/a")], folder, existing="overwrite") as (_, seen):
        clock.until(lambda: seen.ended)
        assert [transfer.error for transfer in seen.ended] == [None]
    assert files_in(folder) == {"a": b"new"}


@pytest.mark.parametrize("jump", [0, *JUMPS])
@pytest.mark.parametrize("when", ["before", "between"])
def test_file_of_this_run_is_not_overwritten_by_another_url(clock, folder, jump, when):
    """The clock is set before the first file is made, or between the two. The kernel's, by which files are dated, does not
    move here: so ours is wrong first."""
    kernel_s = time.time()
    if when == "before":
        clock.set_wall(kernel_s - jump)
    with Origin({"/a": answer(200, b"one"), "/x/a": answer(200, b"two")}) as origin, \
            begun([], folder, existing="overwrite") as (downloader, seen):
        clock.settle()
        if when == "before":
            clock.set_wall(kernel_s)
        downloader.add(origin.url("/a"))
        clock.until(lambda: len(seen.ended) == 1)
        if when == "between":
            clock.set_wall(kernel_s + jump)
        downloader.add({"url": origin.url("/x/a"), "out": "a"})
        clock.until(lambda: len(seen.ended) == 2)
        assert isinstance(seen.ended[1].error, qhttp.errors.FileError)
    assert files_in(folder) == {"a": b"one"}


@pytest.mark.parametrize("jump", JUMPS)
def test_part_is_gone_on_with_whatever_the_clock_says(clock, folder, jump):
    data = body(400 * SMALL)
    cut = Each([answer(200, data[:300 * SMALL], ("ETag", '"1"'), length=len(data)), lambda peer: peer.end("fin")],
               lambda request: answer(206, data[int(request.get("range")[6:-1]):], ("ETag", '"1"'), (
                   "Content-Range", f"bytes {request.get('range')[6:-1]}-{len(data) - 1}/{len(data)}")))

    def page(request):
        found = cut(request)
        return found(request) if callable(found) else found

    with Origin({"/a": page}) as origin:
        for n in range(2):
            with begun([origin.url("/a")], folder, retries=0, session=folder / "session") as (_, seen):
                clock.until(lambda: seen.had_errors)
            if n == 0:
                clock.set_wall(time.time() + jump)
        assert seen.finished and seen.finished[0].n_resumed > 0
    assert (folder / "a").read_bytes() == data


@pytest.mark.parametrize("jump, sent", [(0, True), (DAY_S, False), (-DAY_S, True)])
def test_cookie_that_has_expired_by_the_wall_clock_is_not_sent(clock, folder, jump, sent):
    """A cookie's date is absolute, as in browsers; Max-Age counts from when it came, by the same clock."""
    clock.set_wall(1_800_000_000)
    with Origin({"/a": answer(200, b"a", ("Set-Cookie", "k=v; Max-Age=3600")), "/b": FINE}) as origin, \
            begun([origin.url("/a")], folder, cookies=True) as (downloader, seen):
        clock.until(lambda: seen.finished)
        clock.set_wall(1_800_000_000 + jump)
        downloader.add(origin.url("/b"))
        clock.until(lambda: len(seen.finished) == 2)
        assert (origin.log[1].get("cookie") == "k=v") is sent
