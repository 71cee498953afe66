"""Rates: bytes of all, bytes of a host, requests of a host. What a server could send before a moment is held against them."""
import pytest
from bulk.downloads import LARGE, body, download, files_in, one, running
from bulk.origin import Each, Origin, answer, chunked, redirect
from support.actions import Repeat

import qhttp

IN_SOCKETS = 8 << 20        # bytes that the kernel may hold for a client that does not read


@pytest.mark.parametrize("settings", [{"limit_rate": 20_000}, {"host_limit_rate": 20_000}])
def test_rate_limits_what_is_received(settings, tmp_path):
    """Of an endless body, no more comes than was saved up, one piece more, and what the time allows."""
    with (
        Origin({"/a": [answer(200, b"", length=-1), Repeat(b"x" * 1000, 100_000)]}) as origin,
        running([origin.url("/a")], dir=tmp_path, **settings) as (downloader, seen),
    ):
        downloader.start()
        downloader.turn_until(lambda: downloader.n_bytes > 0)
        downloader.run(200)
        assert 20_000 <= downloader.n_bytes <= 20_000 * 8 and origin.connections[0].n_sent <= IN_SOCKETS
        downloader.stop()
    assert seen.ended == []


def test_rate_of_all_is_shared(tmp_path):
    """Each may have a piece or two under way; then all of them wait until the debt is paid."""
    with (
        Origin({f"/{number}": [answer(200, b"", length=-1), Repeat(b"x" * 1000, 10_000)] for number in range(8)}) as origin,
        running([origin.url(path) for path in origin.answers], dir=tmp_path, limit_rate=30_000) as (downloader, _),
    ):
        downloader.start()
        downloader.turn_until(lambda: len(origin.log) == 8)
        downloader.run(150)
        n_first = downloader.n_bytes
        assert n_first <= 8 * 2 * (32 << 10) + 30_000
        downloader.run(150)
        assert downloader.n_bytes <= n_first + (32 << 10)
        downloader.stop()


def test_rate_of_a_host_is_its_own(tmp_path):
    endless = [answer(200, b"", length=-1), Repeat(b"x" * 1000, 10_000)]
    with Origin({"/a": endless}) as slow, Origin({f"/{number}": answer(200, body(15_000)) for number in range(3)}) as other:
        rows = [slow.url("/a"), *(other.url(path) for path in other.answers)]
        with running(rows, dir=tmp_path, host_limit_rate=50_000) as (downloader, seen):
            downloader.start()
            downloader.turn_until(lambda: len(seen.finished) == 3 and slow.log)
            assert len(slow.log) == 1
            downloader.stop()


@pytest.mark.parametrize(
    "settings", [{"limit_rate": 10**9}, {"host_limit_rate": 10**9}, {"limit_rate": 10**9, "host_limit_rate": 10**8}]
)
@pytest.mark.parametrize("make", [answer, chunked])
def test_rate_that_is_high_changes_no_byte(make, settings, tmp_path):
    pages = {
        f"/{n}": answer(200, body(n)) if make is answer else chunked(body(n))
        for n in (0, 1, 1000, 32 << 10, 256 << 10, LARGE, LARGE * 3)
    }
    with Origin(pages) as origin:
        seen = download([origin.url(path) for path in pages], dir=tmp_path, **settings)
    assert set(seen.kinds.values()) == {None} and files_in(tmp_path) == {path[1:]: body(int(path[1:])) for path in pages}


def test_rate_that_is_low_still_comes_to_an_end(tmp_path):
    with Origin({"/a": answer(200, body(100_000))}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, limit_rate=200_000)
    assert files_in(tmp_path) == {"a": body(100_000)} and transfer.error is None


def test_rate_holds_for_bytes_too(tmp_path):
    with Origin({"/a": answer(200, body(LARGE))}) as origin:
        assert one(origin.url("/a"), into="bytes", limit_rate=10**8).content == body(LARGE)


def test_rate_of_an_error_page_is_not_waited_for(tmp_path):
    with Origin({"/a": answer(404, body(50_000))}) as origin:
        assert one(origin.url("/a"), dir=tmp_path, limit_rate=10).error.status == 404


# -- requests
def n_asked_in(origin, rows, msecs, **settings):
    with running(rows, **settings) as (downloader, _):
        downloader.run(msecs)
        n = len(origin.log)
        downloader.stop()
    return n


@pytest.mark.parametrize("pipelining", [1, 8])
def test_host_rate_limits_requests(pipelining, tmp_path):
    with Origin({f"/{number}": answer(200, b"x") for number in range(50)}) as origin:
        rows = [origin.url(path) for path in origin.answers]
        assert 1 <= n_asked_in(origin, rows, 150, dir=tmp_path, host_rate=2.0, pipelining=pipelining) <= 4


def test_host_rate_counts_further_tries_and_redirects(tmp_path):
    with Origin(
        {"/a": answer(500), "/b": redirect("/b2"), "/b2": redirect("/b3"), "/b3": redirect("/b4"), "/b4": answer(200, b"x")}
    ) as origin:
        assert n_asked_in(origin, [origin.url("/a"), origin.url("/b")], 150, dir=tmp_path, host_rate=2.0) <= 4


def test_host_rate_is_of_each_host(tmp_path):
    with Origin({"/a": answer(200, b"x")}) as one_host, Origin({"/b": answer(200, b"x")}) as another:
        seen = download([one_host.url("/a"), another.url("/b")], dir=tmp_path, host_rate=0.01)
    assert len(seen.finished) == 2


def test_host_rate_that_is_high_lets_all_through(tmp_path):
    with Origin({f"/{number}": Each(answer(200, b"x")) for number in range(40)}) as origin:
        seen = download([origin.url(path) for path in origin.answers], dir=tmp_path, host_rate=1000.0)
    assert len(seen.finished) == 40


def test_rate_with_a_stop_in_between_ends_at_once(tmp_path):
    with (
        Origin({"/a": answer(200, body(LARGE))}) as origin,
        running([origin.url("/a")], dir=tmp_path, limit_rate=100) as (downloader, seen),
    ):
        downloader.start()
        downloader.turn_until(lambda: downloader.n_bytes > 0)
        downloader.stop()
        assert downloader.run(5000) and seen.ended == []
    assert isinstance(one("http://127.0.0.1:1/x", dir=tmp_path, limit_rate=5, retries=0).error, qhttp.ConnectError)
