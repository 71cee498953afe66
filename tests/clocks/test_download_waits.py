"""What the downloader waits for between tries: grown and spread, what the server asks for, an hour at most, each to the
nanosecond."""
import time

import pytest
from bulk.origin import Each, Origin, answer
from clocks.downloads import Jittered, begun

HOUR_S, DAY_S = 3600, 86_400
JITTER = 1.1                # of what a server asked for, at most so much is waited
NO_LIMITS = {"min_speed": (0, 0), "idle_timeout": 0}
FINE = answer(200, b"fine")


def refusing(*fields, status=503, n=1):
    return Each(*[answer(status, b"", *fields)] * n, FINE)


@pytest.mark.parametrize("jitter", [1.0, 0.5, 1e-6])
def test_waits_between_tries_are_doubled_up_to_a_minute(clock, folder, jitter):
    """0.5, 1, 2 ... 60 s, times what the dice say."""
    with Origin({"/a": Each(*[answer(500)] * 10, FINE)}) as origin, begun([origin.url("/a")], folder, retries=10) as (
            downloader, seen):
        downloader.jitter = jitter
        for n in range(10):
            clock.until(lambda n=n: len(seen.delays) == n + 1)
            expected = min(60, 0.5 * 2 ** n) * jitter
            assert seen.delays[n] == pytest.approx(expected)
            clock.goes_off(seen.delays[n] - 1e-9, lambda n=n: len(origin.log) == n + 2, late_s=2e-9)
        clock.until(lambda: seen.finished)


@pytest.mark.parametrize("jitter", [0.0, 1.0])
@pytest.mark.parametrize("asked, waited", [("0", 0), ("1", 1), ("60", 60), ("3600", HOUR_S), ("3601", HOUR_S),
                                           ("999999999", HOUR_S), ("1e9", 0), ("-5", 0), ("nonsense", 0)])
@pytest.mark.parametrize("status", [503, 429])
def test_retry_after_is_obeyed_up_to_an_hour(clock, folder, asked, waited, status, jitter):
    with Origin({"/a": refusing(("Retry-After", asked), status=status)}) as origin, \
            begun([origin.url("/a")], folder, **NO_LIMITS) as (downloader, seen):
        downloader.jitter = jitter
        clock.until(lambda: seen.delays)
        if waited:
            clock.goes_off(waited * (1 + 0.1 * jitter), lambda: len(origin.log) == 2)
        else:
            clock.advance(1)
        clock.until(lambda: seen.finished)
        assert len(origin.log) == 2


def test_host_that_asks_for_an_hour_is_left_alone_by_all_its_files(clock, folder):
    pages = {f"/{n}": FINE for n in range(20)} | {"/a": refusing(("Retry-After", "3600"))}
    with Origin(pages) as origin, Origin({"/b": FINE}) as other:
        rows = [origin.url("/a"), *(origin.url(f"/{n}") for n in range(20)), other.url("/b")]
        with begun(rows, folder, per_host=1, **NO_LIMITS) as (downloader, seen):
            downloader.jitter = 0.0
            clock.until(lambda: seen.delays and len(seen.finished) == 1)        # the other host has nothing to do with it
            clock.goes_off(HOUR_S, lambda: len(origin.log) > 1)
            clock.until(lambda: len(seen.finished) == 22)


def test_pause_of_a_host_without_retry_after_is_doubled_up_to_half_a_minute(clock, folder):
    with Origin({"/a": Each(*[answer(503)] * 12, FINE), "/b": FINE}) as origin, \
            begun([origin.url("/a"), origin.url("/b")], folder, per_host=1, retries=12, **NO_LIMITS) as (_, seen):
        for n in range(12):
            clock.until(lambda n=n: len(seen.delays) == n + 1)
            asked = len(origin.asked("/a"))
            if n == 0:
                clock.goes_off(0.1, lambda: origin.asked("/b"))
            clock.advance(max(seen.delays[n], 30))
            clock.until(lambda asked=asked: len(origin.asked("/a")) == asked + 1)
        clock.until(lambda: len(seen.finished) == 2)


def test_no_try_begins_after_its_time(clock, folder):
    with Origin({"/a": answer(500)}) as origin, begun([origin.url("/a")], folder, retries=50, retry_max_time=100) as (_, seen):
        for n in range(1, 50):
            clock.until(lambda n=n: seen.failed or len(seen.delays) == n)
            if seen.failed:
                break
            clock.advance(seen.delays[-1])
    assert seen.delays == [0.5, 1, 2, 4, 8, 16, 32]         # 64 more would be too long


def test_stop_ends_a_wait_of_an_hour_at_once(clock, folder):
    with Origin({"/a": refusing(("Retry-After", "3600"))}) as origin, begun([origin.url("/a")], folder) as (downloader, seen):
        clock.until(lambda: seen.delays)
        downloader.stop()
        clock.until(lambda: seen.had_errors)
        assert [row["url"] for row in downloader.left()] == [origin.url("/a")]
        clock.advance(DAY_S)
        clock.settle()
        assert len(origin.log) == 1 and clock.next_timer_ns == 0


def test_run_itself_waits_the_hours(clock, folder):
    """As a caller meets it: run() comes back when all is there, hours later."""
    clock.skip(200)         # longer than an answer takes where others compute, too
    began = time.monotonic_ns()     # a difference of floats may be a rounding less
    with Origin({"/a": refusing(("Retry-After", "3000"), n=5)}) as origin, \
            Jittered([origin.url("/a")], proxy=None, dir=folder, **NO_LIMITS) as downloader:
        downloader.jitter = 0.0
        assert downloader.run()
        assert (downloader.n_done, downloader.n_retries) == (1, 5)
    assert 15_000 <= (time.monotonic_ns() - began) / 10**9 < 2 * 15_000     # one may be skipped while a thread writes the file
