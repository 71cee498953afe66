"""The limits of time of QHttp go off to the nanosecond: not before, not for what is no wait of the server's, and once."""
import io
import time

import pytest
from engine.recording import Blackhole, Recorded, noise, request
from support import faults
from support.actions import Pause, ReceiveHead, ReceiveRequest, Send
from support.scripted_server import ScriptedServer

import qhttp
from qhttp.compat import QTimer
from qhttp.engine import resolver as resolver_module

HOUR_S, DAY_S = 3600, 86_400
SILENT = [ReceiveRequest()]                 # the test itself sends what is to come
HEAD = faults.head(b"Content-Length: 1000")


def asking(server, **limits):
    """A recorded client with these limits that has sent a GET, which the server has read."""
    recorded = Recorded(server.host, server.port)
    for name, msecs in limits.items():
        getattr(recorded.http, f"set{name}")(*(msecs if isinstance(msecs, tuple) else (msecs,)))
    recorded.http.get("/")
    return recorded


def is_asked(server):
    return bool(server.connections) and bool(server.connections[0].taken)


def text(recorded):
    assert recorded.done == [True] and recorded.http.state() == qhttp.QHttp.Unconnected
    return recorded.http.errorString()


# -- connecting
@pytest.mark.parametrize("msecs", [None, 1, 250, 30_000, 10 * DAY_S * 1000])
def test_connect_limit(clock, msecs):
    """Without being set it is half a minute."""
    with Blackhole() as hole:
        recorded = asking(hole, **({} if msecs is None else {"ConnectTimeout": msecs}))
        clock.goes_off((30_000 if msecs is None else msecs) / 1000, lambda: recorded.done)
    assert text(recorded) == "Connection refused (or timed out)"


def test_connect_limit_covers_the_handshake(clock):
    with ScriptedServer([Pause(30)]) as server:
        recorded = Recorded(server.host, server.port)
        recorded.http.setHost("localhost", qhttp.QHttp.ConnectionModeHttps, server.port)
        recorded.http.get("/")
        clock.until(lambda: server.connections)
        clock.goes_off(30, lambda: recorded.done)
    assert text(recorded) == "Connection refused (or timed out)"


def test_connect_limit_off_is_never(clock):
    with Blackhole() as hole:
        recorded = asking(hole, ConnectTimeout=0)
        clock.settle()
        clock.advance(400 * DAY_S)
        clock.settle()
        assert recorded.done == [] and clock.next_timer_ns == 0


def test_next_address_is_tried_after_a_quarter_of_a_second(clock):
    with Blackhole() as hole, ScriptedServer(faults.answer()) as server:
        resolver_module.look_up = lambda host, port: [(2, hole.address), (2, (server.host, server.port))]
        recorded = Recorded("two.test", 80)
        recorded.http.get("/")
        clock.until(lambda: clock.next_timer_ns != 0 and recorded.states[-1:] == ["Connecting"])
        clock.goes_off(0.25, lambda: server.connections)
        clock.until(lambda: recorded.done)
    assert recorded.done == [False]


# -- the traffic
@pytest.mark.parametrize("msecs", [1, 60_000, 10 * DAY_S * 1000])
@pytest.mark.parametrize("sent", [b"", HEAD[:20], HEAD, HEAD + b"x" * 500])
def test_transfer_limit(clock, sent, msecs):
    with ScriptedServer(SILENT) as server:
        recorded = asking(server, TransferTimeout=msecs)
        clock.until(lambda: is_asked(server))
        if sent:
            server.connections[0].send(sent)
            clock.until(lambda: recorded.states[-1] == "Reading")
        clock.goes_off(msecs / 1000, lambda: recorded.done)
    assert text(recorded) == f"no byte came for {msecs} ms"


def test_transfer_limit_counts_from_the_last_byte(clock):
    """However often it begins anew, it is looked at no more than once in its time."""
    with ScriptedServer(SILENT) as server:
        recorded = asking(server, TransferTimeout=60_000)
        clock.until(lambda: is_asked(server))
        server.connections[0].send(HEAD)
        for n in range(20):
            clock.advance(59.9)
            server.connections[0].send(b"x")
            clock.until(lambda n=n: recorded.http.bytesAvailable() == n + 1)
        clock.goes_off(60, lambda: recorded.done)


def test_transfer_limit_does_not_count_a_reader_who_waits_for_days(clock):
    body = noise(100_000)
    with ScriptedServer(faults.answer(body)) as server:
        recorded = Recorded(server.host, server.port)
        recorded.http.setReadBufferSize(1000)
        recorded.http.setTransferTimeout(60_000)
        recorded.http.get("/")
        clock.until(lambda: recorded.http.bytesAvailable() >= 1000)
        for _ in range(30):
            clock.advance(DAY_S / 10)
            clock.settle()
        assert recorded.done == []
        recorded.http.setReadBufferSize(0)
        clock.until(lambda: recorded.done)
        assert recorded.http.readAll() == body and recorded.done == [False]


def test_transfer_limit_set_while_it_runs_holds_for_the_next(clock):
    with ScriptedServer(faults.answer() + SILENT) as server:
        recorded = asking(server)
        clock.until(lambda: recorded.done)
        recorded.http.setTransferTimeout(5000)
        recorded.http.get("/")
        clock.until(lambda: len(server.connections[0].taken) == 2)
        clock.goes_off(5, lambda: len(recorded.done) == 2)


@pytest.mark.parametrize("before_s", [0, 100])
def test_total_limit(clock, before_s):
    """From the request's beginning on, whatever comes."""
    with ScriptedServer(SILENT) as server:
        recorded = asking(server, TotalTimeout=HOUR_S * 1000, TransferTimeout=60_000)
        clock.until(lambda: is_asked(server))
        server.connections[0].send(HEAD)
        for n in range(before_s):
            clock.advance(30)
            server.connections[0].send(b"x")
            clock.until(lambda n=n: recorded.http.bytesAvailable() == n + 1)
        recorded.http.setTransferTimeout(0)     # and the one that has begun ends with its next look
        clock.goes_off(HOUR_S - 30 * before_s, lambda: recorded.done)
    assert text(recorded) == "the request took longer than 3600000 ms in all"


def test_total_limit_covers_connecting_again(clock):
    with ScriptedServer(faults.no_answer(), faults.no_answer(), SILENT) as server:
        recorded = asking(server, TotalTimeout=1000)
        clock.until(lambda: len(server.connections) == 3)
        clock.goes_off(1, lambda: recorded.done)


def test_total_limit_of_an_answered_request_never_strikes(clock):
    with ScriptedServer(faults.answer()) as server:
        recorded = asking(server, TotalTimeout=1000, TransferTimeout=1000, MinimumRate=(1000, 1000))
        clock.until(lambda: recorded.done)
        clock.advance(DAY_S)
        clock.settle()
        assert recorded.done == [False] and recorded.states[-1] == "Connected" and clock.next_timer_ns == 0


def test_minimum_rate_is_looked_at_window_by_window(clock):
    """100 bytes a second over ten seconds: 1000 bytes are enough, 999 are not."""
    with ScriptedServer(SILENT) as server:
        recorded = asking(server, MinimumRate=(100, 10_000))
        clock.until(lambda: is_asked(server))
        server.connections[0].send(faults.head(b"Content-Length: 100000"))
        n_sent = 0
        for _ in range(50):
            server.connections[0].send(b"x" * 1000)
            n_sent += 1000
            clock.until(lambda n=n_sent: recorded.http.bytesAvailable() == n)
            clock.advance(10)
            clock.settle()
            assert recorded.done == []
        server.connections[0].send(b"x" * 999)
        clock.until(lambda: recorded.http.bytesAvailable() == n_sent + 999)
        clock.goes_off(10, lambda: recorded.done)
    assert text(recorded) == "slower than 100 bytes/s over 10000 ms"


def test_body_is_sent_when_100_has_not_come_for_a_second(clock):
    with ScriptedServer([ReceiveHead()]) as server:
        recorded = Recorded(server.host, server.port)
        recorded.http.request(request("PUT", Expect="100-continue"), io.BytesIO(b"the body"))
        clock.until(lambda: is_asked(server))
        clock.goes_off(1, lambda: server.connections[0].rest == b"the body")


# -- waiting for a time
@pytest.mark.parametrize("msecs", [0, 1, 1000, 10 * DAY_S * 1000])
def test_wait_for_done_comes_back_after_its_time(clock, msecs):
    clock.skip()
    with ScriptedServer([ReceiveRequest(), Pause(30)]) as server:
        recorded = asking(server)
        began = time.monotonic_ns()     # a difference of floats may be a rounding less
        assert not recorded.http.waitForDone(msecs)
        assert 0 <= time.monotonic_ns() - began - msecs * 10**6 <= 2 * 10**6


def test_repeated_timer_that_comes_late_is_not_made_up_for(clock):
    rung = []
    timer = QTimer()
    timer.timeout.connect(lambda: rung.append(time.monotonic()))
    timer.start(1000)
    for n in range(3):
        clock.goes_off(1, lambda n=n: len(rung) == n + 1)
    clock.advance(DAY_S)
    clock.settle()
    assert len(rung) == 4
    clock.goes_off(1, lambda: len(rung) == 5)


# -- all at once
def test_the_first_of_many_limits_is_the_error_and_the_only_one(clock):
    limits = {"ConnectTimeout": 5000, "TransferTimeout": 7000, "TotalTimeout": 6000, "MinimumRate": (1000, 8000)}
    for passed, names, expected in [(0, limits, "in all"), (0, ["TransferTimeout", "MinimumRate"], "no byte"),
                                    (10 * DAY_S, limits, "")]:
        with ScriptedServer(SILENT) as server:
            recorded = asking(server, **{name: limits[name] for name in names})
            clock.until(lambda server=server: is_asked(server))
            clock.advance(passed or 6.5 if "TotalTimeout" in names else 7.5)
            clock.until(lambda recorded=recorded: recorded.done)
            clock.settle()
            assert expected in text(recorded) and len(recorded.finished) == 1 and clock.next_timer_ns == 0


def test_many_limits_that_are_due_at_once_all_go_off(clock):
    """As after a machine was suspended: a thousand requests, each of which ends once."""
    with ScriptedServer(beyond=[ReceiveRequest(), Send(b"HTTP/1.1 200 OK\r\n")]) as server:
        clients = [asking(server, TotalTimeout=1000 + n) for n in range(200)]
        clock.until(lambda: len(server.connections) == 200 and all(peer.n_sent for peer in server.connections))
        clock.advance(8 * HOUR_S)
        clock.until(lambda: all(recorded.done for recorded in clients))
        assert all(recorded.done == [True] and len(recorded.finished) == 1 for recorded in clients)
        assert clock.next_timer_ns == 0 and qhttp.loop().run(0)
