"""Limits of time: without a byte, too slow, too long, no connection; what is spent on waiting for leave does not count."""
import socket
import threading

import pytest
from bulk.downloads import LARGE, LIMIT_S, HeldFiles, body, both_paths, download, files_in, names_in, one, running
from bulk.origin import Origin, Versioned, answer
from support.actions import Close, Drip, Pause, Send

import qhttp
from qhttp.engine import resolver

DATA = body(LARGE)


def text_of(transfer):
    return str(transfer.error)


@both_paths
@pytest.mark.parametrize("where", ["head", "in the head", "body"])
def test_idle_server_is_given_up(where, n, tmp_path):
    whole = answer(200, body(n))
    sent = {"head": b"", "in the head": whole[:20], "body": whole[:-10]}[where]
    with Origin({"/a": [Send(sent), Pause(9)], "/b": answer(200, b"b")}) as origin:
        seen = download([origin.url("/a"), origin.url("/b")], dir=tmp_path, idle_timeout=0.1, retries=1)
        assert len(origin.asked("/a")) == 2
    assert seen.kinds == {"a": "TimeoutError", "b": None} and "0.1 s" in text_of(seen.failed[0]) and names_in(tmp_path) == ["b"]


def test_idle_server_that_answers_the_second_time(tmp_path):
    versioned = Versioned(DATA)
    stuck = [answer(200, DATA[:-1000], ("ETag", '"one"'), length=LARGE), Pause(9)]
    with Origin({"/a": lambda request: versioned(request) if request.get("range") else stuck}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, idle_timeout=0.15)
    assert transfer.error is None and transfer.n_resumed > 0 and files_in(tmp_path) == {"a": DATA}


def test_idle_time_begins_again_with_each_byte(tmp_path):
    with Origin({"/a": [answer(200, b"", length=8), Drip(b"12345678", 0.06)]}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, idle_timeout=0.3, retries=0)
    assert transfer.error is None


def test_idle_time_of_nought_is_no_limit(tmp_path):
    with Origin({"/a": [Pause(0.15), answer(200, b"x")]}) as origin:
        assert one(origin.url("/a"), dir=tmp_path, idle_timeout=0, min_speed=(0, 0)).error is None


@both_paths
def test_slow_server_is_given_up(n, tmp_path):
    with Origin({"/a": [answer(200, body(n)[:-200], length=n), Drip(body(n)[-200:], 0.01)]}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, min_speed=(10**9, 0.1), retries=0)
    assert isinstance(transfer.error, qhttp.TimeoutError) and "slower" in text_of(transfer) and names_in(tmp_path) == []


def test_speed_is_measured_over_its_window(tmp_path):
    """Slow at first, and fast enough over the whole of it."""
    with Origin({"/a": [answer(200, b"", length=LARGE), Pause(0.05), Send(DATA)]}) as origin:
        assert one(origin.url("/a"), dir=tmp_path, min_speed=(1000, 0.5), retries=0).error is None


def test_longest_time_is_that_of_all_tries(tmp_path):
    with Origin({"/a": [answer(200, b"x", length=5), Pause(0.05), Close()]}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, max_time=0.3, retries=1000)
        assert 1 < len(origin.log) < 30
    assert isinstance(transfer.error, (qhttp.TimeoutError, qhttp.Truncated)) and names_in(tmp_path) == []


@both_paths
def test_longest_time_ends_what_is_under_way(n, tmp_path):
    with Origin({"/a": [answer(200, body(n)[:-200], length=n), Drip(body(n)[-200:], 0.02)]}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, max_time=0.2)
        assert len(origin.log) == 1
    assert isinstance(transfer.error, qhttp.TimeoutError) and "0.2 s" in text_of(transfer) and names_in(tmp_path) == []


def test_longest_time_counts_from_the_start_of_each(tmp_path):
    """Not while it waits for a lane."""
    with Origin({f"/{number}": [Pause(0.08), answer(200, b"x")] for number in range(6)}) as origin:
        seen = download([origin.url(path) for path in origin.answers], dir=tmp_path, jobs=1, max_time=0.4)
    assert set(seen.kinds.values()) == {None}


def test_connection_that_does_not_come_is_given_up(tmp_path):
    """The kernel drops the SYN where a listener's queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
            transfer = one(f"http://127.0.0.1:{listener.getsockname()[1]}/a", dir=tmp_path, connect_timeout=0.1, retries=0)
        finally:
            for filler in fillers:
                filler.close()
    assert (
        isinstance(transfer.error, (qhttp.TimeoutError, qhttp.ConnectError))
        and "timed out" in text_of(transfer)
        and transfer.status == 0
    )


def test_look_up_that_does_not_come_is_given_up(monkeypatch):
    """Nobody keeps the transfers here: when they fail they are gone."""
    gate, errors, rows = threading.Event(), [], ["http://a.test/", "http://b.test/"]
    monkeypatch.setattr(resolver, "look_up", lambda host, port: gate.wait(LIMIT_S) and [])
    try:
        with qhttp.Downloader(rows, into="bytes", proxy=None, connect_timeout=0.05, retries=0) as downloader:
            downloader.failed.connect(lambda transfer: errors.append(type(transfer.error)))
            downloader.run()
    finally:
        gate.set()
    assert errors == [qhttp.ConnectError] * 2


def test_time_limits_with_pipelining(tmp_path):
    with Origin({f"/{number}": answer(200, b"x") for number in range(10)} | {"/3": [Pause(9)]}) as origin:
        seen = download(
            [origin.url(f"/{number}") for number in range(10)], dir=tmp_path, jobs=1, pipelining=4, idle_timeout=0.1, retries=0
        )
    assert [name for name, kind in seen.kinds.items() if kind] == ["3"] and len(seen.finished) == 9


# -- what does not count
@pytest.mark.parametrize("settings", [{"limit_rate": 40_000}, {"host_limit_rate": 40_000}])
@pytest.mark.parametrize("limit", [{"idle_timeout": 0.15}, {"min_speed": (30_000, 0.15)}])
def test_waiting_for_leave_to_receive_is_not_the_servers_slowness(settings, limit, tmp_path):
    with Origin({"/a": answer(200, body(64_000))}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, retries=0, **settings, **limit)
    assert transfer.error is None and files_in(tmp_path) == {"a": body(64_000)}


def test_server_that_is_too_slow_is_found_also_where_a_rate_is_limited(tmp_path):
    with Origin({"/a": [answer(200, b"", length=5000), Pause(9)]}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, retries=0, limit_rate=10**9, idle_timeout=0.1)
    assert isinstance(transfer.error, qhttp.TimeoutError)


def test_waiting_for_the_disk_is_not_the_servers_slowness(tmp_path):
    with (
        Origin({"/a": answer(200, body(LARGE * 8))}) as origin,
        running([origin.url("/a")], dir=tmp_path, retries=0, idle_timeout=0.1, min_speed=(10**6, 0.1)) as (
            downloader,
            seen,
        ),
    ):
        with HeldFiles(downloader):
            downloader.start()
            downloader.turn_until(lambda: bool(origin.log))
            downloader.run(350)
        downloader.run()
    assert seen.kinds == {"a": None}


def test_times_are_taken_where_asked(tmp_path):
    with Origin({"/a": [Pause(0.02), answer(200, b"x")]}) as origin:
        url = origin.url("/a").replace("127.0.0.1", "localhost")
        timed, plain = one(url, dir=tmp_path, timings=True, family=4), one(url, dir=tmp_path / "b", family=4)
    times = [timed.time_namelookup, timed.time_connect, timed.time_starttransfer, timed.time_total]
    assert times == sorted(times) and times[0] > 0 and timed.time_appconnect == 0.0 and timed.time_starttransfer >= 0.02
    assert plain.time_starttransfer == 0.0 and plain.time_total >= 0.02
    assert timed.to_dict()["time_total"] == timed.time_total


def test_times_of_a_connection_that_was_there_already(tmp_path):
    with Origin({f"/{number}": answer(200, b"x") for number in range(2)}) as origin:
        _, second = download([origin.url("/0"), origin.url("/1")], dir=tmp_path, timings=True, jobs=1).finished
    assert second.time_connect == second.time_namelookup == 0.0 < second.time_starttransfer <= second.time_total
