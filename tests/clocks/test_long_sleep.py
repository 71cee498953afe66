"""Days without a request, and a machine that was suspended in the middle of one: what is due goes off once, and what came is
not thrown away."""
import time

import pytest
from bulk.downloads import LARGE, body
from bulk.origin import Each, Origin, answer
from clocks.downloads import Jittered, begun
from engine.recording import Blackhole, Recorded
from support import faults
from support.actions import CloseAtOnce, Pause, ReceiveRequest, Send
from support.scripted_server import ScriptedServer

import qhttp
from qhttp.engine import resolver as resolver_module

HOURS_S, DAYS_S = 8 * 3600, 30 * 86_400
DATA = body(LARGE)
HEAD = faults.head(b"Content-Length: 1000")
LIMITS = ("TransferTimeout", 60_000), ("MinimumRate", 1, 60_000)


# -- idle for days
def test_kept_connection_is_used_again_after_days(clock):
    with ScriptedServer(faults.answer(b"one", b"two")) as server:
        recorded = Recorded(server.host, server.port)
        for n, expected in enumerate((b"one", b"two")):
            recorded.http.get("/")
            clock.until(lambda n=n: len(recorded.done) == n + 1)
            assert recorded.http.readAll() == expected
            clock.advance(DAYS_S)
            clock.settle()
        assert len(server.connections) == 1 and recorded.done == [False, False]


@pytest.mark.parametrize("turned", [True, False])
def test_connection_that_the_server_has_closed_meanwhile_is_made_anew(clock, turned):
    with ScriptedServer([ReceiveRequest(), Send(faults.whole(b"one")), CloseAtOnce()], faults.answer(b"two")) as server:
        recorded = Recorded(server.host, server.port)
        recorded.http.get("/")
        clock.until(lambda: recorded.done)
        recorded.http.readAll()
        server.wait_for(lambda: server.connections[0].how_ended is not None)
        clock.advance(DAYS_S)
        if turned:
            clock.until(lambda: recorded.states[-1] == "Unconnected")
        recorded.http.get("/")
        clock.until(lambda: len(recorded.done) == 2)
        assert (recorded.http.error().name, recorded.http.readAll()) == ("NoError", b"two")


@pytest.mark.parametrize("is_closed", [True, False])
def test_client_is_good_after_days(clock, is_closed):
    then = [CloseAtOnce()] if is_closed else []
    with Origin({"/a": [answer(200, b"one"), *then], "/b": answer(200, b"two")}) as origin, qhttp.Client(proxy=None) as client:
        assert client.get(origin.url("/a")).content == b"one"
        if is_closed:
            origin.wait_for(lambda: origin.connections[0].how_ended is not None)
        clock.advance(DAYS_S)
        assert client.get(origin.url("/b")).content == b"two"
        assert len(origin.connections) == 1 + is_closed


def test_name_is_looked_up_again_after_a_sleep(clock):
    with ScriptedServer(faults.answer(), faults.answer()) as old, ScriptedServer(faults.answer(b"moved")) as new:
        addresses = [(old.host, old.port), (new.host, new.port)]
        resolver_module.look_up = lambda host, port: [(2, addresses.pop(0))]
        for expected in (faults.BODY, faults.BODY, b"moved"):
            recorded = Recorded("name.test", 80)
            recorded.http.get("/")
            clock.until(lambda recorded=recorded: recorded.done)
            assert recorded.http.readAll() == expected
            clock.advance(29 if len(addresses) == 1 and len(old.connections) == 1 else HOURS_S)


# -- suspended in the middle of a body
@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit[0])
def test_bytes_that_came_while_we_slept_are_no_silence(clock, limit):
    """The limit is due, and so are bytes: they are looked at first."""
    name, *values = limit
    with ScriptedServer([ReceiveRequest()]) as server:
        recorded = Recorded(server.host, server.port)
        getattr(recorded.http, f"set{name}")(*values)
        recorded.http.get("/")
        clock.until(lambda: server.connections and server.connections[0].taken)
        server.connections[0].send(HEAD + b"x" * 500)
        clock.until(lambda: recorded.http.bytesAvailable() == 500)
        server.connections[0].send(b"x" * 500)
        clock.advance(HOURS_S if name == "TransferTimeout" else 500)
        clock.until(lambda: recorded.done)
        assert recorded.done == [False] and recorded.http.readAll() == b"x" * 1000


def test_limits_that_are_all_due_after_a_sleep_end_the_request_once(clock):
    with ScriptedServer([ReceiveRequest()], faults.answer()) as server:
        recorded = Recorded(server.host, server.port)
        recorded.http.setTransferTimeout(60_000)
        recorded.http.setTotalTimeout(600_000)
        recorded.http.setMinimumRate(10, 10_000)
        recorded.http.get("/")
        clock.until(lambda: server.connections and server.connections[0].taken)
        server.connections[0].send(HEAD)
        clock.until(lambda: recorded.statuses)
        clock.advance(HOURS_S)
        clock.until(lambda: recorded.done)
        clock.settle()
        assert (recorded.done, len(recorded.finished), recorded.http.readAll()) == ([True], 1, b"")
        recorded.http.get("/")
        clock.until(lambda: len(recorded.done) == 2)
        assert recorded.done == [True, False]


def test_connecting_for_a_night_is_an_error(clock):
    with Blackhole() as hole:
        recorded = Recorded(hole.host, hole.port)
        recorded.http.get("/")
        clock.settle()
        clock.advance(HOURS_S)
        clock.until(lambda: recorded.done)
        assert len(recorded.finished) == 1 and recorded.http.error().name == "ConnectionRefused"


@pytest.mark.parametrize("waits", [True, False])
def test_download_goes_on_after_a_sleep(clock, folder, waits):
    """With bytes that wait it goes on as if nothing had been; else the server has been silent, and is asked for the rest."""
    def page(request):
        if request.get("range") is None:
            return [answer(200, DATA[:-1000], ("ETag", '"1"'), length=LARGE)]
        at = int(request.get("range")[6:-1])
        return answer(206, DATA[at:], ("ETag", '"1"'), ("Content-Range", f"bytes {at}-{LARGE - 1}/{LARGE}"))

    with Origin({"/a": page}) as origin, begun([origin.url("/a")], folder, min_speed=(0, 0)) as (downloader, seen):
        downloader.jitter = 0.0
        clock.until(lambda: downloader.n_bytes == LARGE - 1000)
        clock.settle()
        if waits:
            origin.connections[0].send(DATA[-1000:])
        clock.advance(HOURS_S)
        clock.until(lambda: seen.finished)
        transfer, = seen.finished
        assert (transfer.n_retries, transfer.n_resumed > 0) == ((0, False) if waits else (1, True))
    assert (folder / "a").read_bytes() == DATA


def test_many_downloads_are_each_timed_out_once_by_a_sleep(clock, folder):
    pages = {f"/{n}": Each([answer(200, b"", length=10), Pause(60)], answer(200, b"x" * 10)) for n in range(40)}
    with Origin(pages) as origin, begun([origin.url(path) for path in pages], folder, per_host=40) as (downloader, seen):
        downloader.jitter = 0.0
        clock.until(lambda: len(origin.log) == 40 and all(peer.n_sent for peer in origin.connections))
        clock.settle()
        clock.advance(HOURS_S)
        clock.until(lambda: len(seen.finished) == 40)
        assert downloader.n_retries == 40 and {type(error).__name__ for error in seen.errors} == {"TimeoutError"}


def test_requests_to_a_host_are_not_made_up_for_after_a_sleep(clock, folder):
    pages = {f"/{n}": answer(200, b"x") for n in range(10)}
    with Origin(pages) as origin, begun([origin.url(path) for path in pages], folder, host_rate=0.1) as (_, seen):
        clock.until(lambda: len(seen.finished) == 1)
        clock.advance(HOURS_S)
        clock.until(lambda: len(seen.finished) == 2)
        clock.settle()
        assert len(origin.log) == 2


def test_rate_saves_up_no_more_than_a_second_of_a_sleep(clock, folder):
    with Origin({"/a": [answer(200, b"", length=-1), Send(bytes(4 << 20))]}) as origin, \
            begun([origin.url("/a")], folder, limit_rate=100_000, retries=0) as (downloader, _):
        clock.until(lambda: downloader.n_bytes >= 100_000)
        clock.settle()
        before = downloader.n_bytes
        clock.advance(HOURS_S)
        clock.settle()
        assert downloader.n_bytes - before <= 100_000 + 2 * (64 << 10)


def test_wait_for_another_try_that_is_over_after_a_sleep_is_over_once(clock, folder):
    with Origin({"/a": Each(answer(503, b"", ("Retry-After", "3600")), answer(200, b"x"))}) as origin, \
            begun([origin.url("/a")], folder) as (_, seen):
        clock.until(lambda: seen.delays)
        clock.advance(DAYS_S)
        clock.until(lambda: seen.finished)
        assert len(origin.log) == 2


def test_run_of_hours_with_sleeps_in_it_comes_to_its_end(clock, folder):
    """A slow server, a machine that sleeps every now and then: nothing loops, and each file is whole."""
    clock.skip()
    pages = {f"/{n}": Each(answer(503, b"", ("Retry-After", str(600 * (n + 1)))), answer(200, DATA[:1000 * n]))
             for n in range(6)}
    began = time.monotonic()
    with Origin(pages) as origin, Jittered([origin.url(path) for path in pages], proxy=None, dir=folder,
                                           per_host=6) as downloader:
        downloader.retrying.connect(lambda *_: clock.advance(HOURS_S))
        assert downloader.run()
        assert downloader.n_done == 6
    assert time.monotonic() - began >= 6 * HOURS_S and clock.n_skips < 1000
    assert all((folder / str(n)).read_bytes() == DATA[:1000 * n] for n in range(6))
