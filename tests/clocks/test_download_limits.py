"""The limits of time of the downloader: it looks once a second, or four times in a shorter limit, and never too early."""
import pytest
from bulk.downloads import LARGE, body
from bulk.origin import Each, Origin, answer
from clocks.downloads import begun
from engine.recording import Blackhole
from support.actions import Close, Pause, Send

import qhttp

HOUR_S, DAY_S = 3600, 86_400
DATA = body(LARGE)
OFF = {"min_speed": (0, 0), "idle_timeout": 0}      # the limits that a test is not about


def stuck(data=b"", n=LARGE):
    """An answer of which only so much comes."""
    return [Send(answer(200, data, ("ETag", '"one"'), length=n)), Pause(60)]


def message(seen):
    transfer, = seen.failed
    return str(transfer.error)


@pytest.mark.parametrize("limit_s, tick_s", [(60, 1), (1, 0.25), (0.04, 0.01), (DAY_S, 1)])
@pytest.mark.parametrize("n_sent", [None, 0, 1000, LARGE - 1])
def test_idle_limit(clock, folder, limit_s, tick_s, n_sent):
    script = [Pause(60)] if n_sent is None else stuck(DATA[:n_sent])
    with Origin({"/a": script}) as origin, begun([origin.url("/a")], folder, retries=0, min_speed=(0, 0),
                                                 idle_timeout=limit_s) as (downloader, seen):
        clock.until(lambda: origin.log and (not n_sent or downloader.n_bytes == n_sent))
        clock.goes_off(limit_s, lambda: seen.failed, late_s=tick_s)
    assert message(seen) == f"no byte came for {limit_s:g} s"


def test_idle_limit_is_a_minute_without_being_set(clock, folder):
    with Origin({"/a": [Pause(60)]}) as origin, begun([origin.url("/a")], folder, retries=0) as (_, seen):
        clock.until(lambda: origin.log)
        clock.goes_off(60, lambda: seen.failed, late_s=1)
    assert message(seen) == "no byte came for 60 s"


def test_idle_limit_begins_again_with_each_byte(clock, folder):
    with Origin({"/a": stuck()}) as origin, begun([origin.url("/a")], folder, retries=0,
                                                  min_speed=(0, 0)) as (downloader, seen):
        clock.until(lambda: origin.connections and origin.connections[0].n_sent)
        for n in range(30):
            clock.advance(59)
            origin.connections[0].send(b"x")
            clock.until(lambda n=n: downloader.n_bytes == n + 1)
        assert seen.ended == []
        clock.goes_off(60, lambda: seen.failed, late_s=1)


@pytest.mark.parametrize("limit_s", [0.5, HOUR_S])
def test_time_of_one_transfer_counts_all_its_tries(clock, folder, limit_s):
    first = [answer(200, DATA[:-1], length=LARGE), Close()]
    with Origin({"/a": Each(first, [Pause(60)])}) as origin, begun([origin.url("/a")], folder, max_time=limit_s,
                                                                             **OFF) as (downloader, seen):
        downloader.jitter = 0.0
        clock.until(lambda: len(origin.log) == 2)
        clock.goes_off(limit_s, lambda: seen.failed, late_s=min(1, limit_s / 4))
    assert message(seen) == f"it took longer than {limit_s:g} s in all"


def test_time_of_one_transfer_is_over_before_a_try_that_would_come_too_late(clock, folder):
    """A wait that ends behind the limit is not begun."""
    with Origin({"/a": answer(503, b"", ("Retry-After", "100"))}) as origin, \
            begun([origin.url("/a")], folder, max_time=100, **OFF) as (_, seen):
        clock.until(lambda: seen.failed)
    assert seen.delays == []


def test_connect_limit(clock, folder):
    with Blackhole() as hole, begun([f"http://{hole.host}:{hole.port}/a"], folder, retries=0) as (_, seen):
        clock.goes_off(30, lambda: seen.failed)
    assert type(seen.failed[0].error).__name__ == "ConnectError"


def test_least_speed_is_measured_over_its_window(clock, folder):
    """100 bytes a second over a minute, as it is without being set."""
    with Origin({"/a": stuck()}) as origin, begun([origin.url("/a")], folder, retries=0) as (downloader, seen):
        clock.until(lambda: origin.connections and origin.connections[0].n_sent)
        for n in range(1, 121):
            origin.connections[0].send(b"x" * 1600)
            clock.until(lambda n=n: downloader.n_bytes == 1600 * n)
            clock.advance(15)
            clock.settle()
        assert seen.ended == []
        for n in range(1, 4):
            origin.connections[0].send(b"x" * 1400)
            clock.until(lambda n=n: downloader.n_bytes == 1600 * 120 + 1400 * n)
            clock.advance(15)
        origin.connections[0].send(b"x" * 1400)
        clock.goes_off(15, lambda: seen.failed, late_s=1)
    assert message(seen) == "slower than 100 bytes/s over 60 s"


def test_rate_of_all_is_kept_for_an_hour(clock, folder):
    """The first second's bytes are saved up; then 10 kB a second come, whatever the server could send."""
    with Origin({"/a": [answer(200, b"", length=-1), Send(bytes(4 << 20))]}) as origin, \
            begun([origin.url("/a")], folder, limit_rate=10_000, retries=0) as (downloader, _):
        clock.until(lambda: downloader.n_bytes >= 10_000)
        n_first = downloader.n_bytes
        clock.settle()
        for minute in range(1, 3):
            for _ in range(60 * 4):
                clock.advance(0.25)
                clock.settle()
            assert abs(downloader.n_bytes - n_first - minute * 600_000) <= 64 << 10


def test_requests_to_one_host_keep_their_distance(clock, folder):
    pages = {f"/{n}": answer(200, b"x") for n in range(5)}
    with Origin(pages) as origin, begun([origin.url(path) for path in pages], folder, host_rate=0.01) as (_, seen):
        clock.until(lambda: len(seen.finished) == 1)
        for n in range(1, 5):
            clock.goes_off(100, lambda n=n: len(origin.log) == n + 1)
            clock.until(lambda n=n: len(seen.finished) == n + 1)


def test_transfer_that_waits_for_leave_is_not_too_slow(clock, folder):
    """The rate is ours: neither limit is for it."""
    with Origin({"/a": answer(200, body(200_000))}) as origin, \
            begun([origin.url("/a")], folder, limit_rate=1000, retries=0, idle_timeout=5,
                                                 min_speed=(10**6, 2)) as (downloader, seen):
        clock.until(lambda: downloader.n_bytes and origin.connections[0].n_sent > 200_000)
        for _ in range(400):
            clock.advance(1)
            qhttp.loop().run(0)
        clock.until(lambda: seen.ended)
    assert seen.failed == []
