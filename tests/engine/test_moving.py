"""An object that leaves its thread (qhttp.qt moves it so): what is under way is aborted, what waits is done in the next one."""
import gc
import threading

import pytest
from support.actions import ReceiveRequest
from support.loops import turn_until
from support.pipelined import PATIENCE_MS, Serve, Told, hold, plain, servers

import qhttp

server = pytest.fixture(servers)
ABORTED, WAITING = (0, True), [(1, False), (2, False), (3, False)]


@pytest.fixture(autouse=True)
def loops_of_ended_threads_are_gone():
    yield
    gc.collect()


def join_in_a_thread(told):
    """Turns another thread's loop until all is done there."""
    outcome = []

    def work():
        told.http._join_loop()
        told.done_in = []
        told.http.requestFinished.connect(lambda *_: told.done_in.append(threading.current_thread()))
        outcome.append(told.http.waitForDone(PATIENCE_MS))
        told.http._leave_loop()         # its connection is this thread's

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert outcome == [True]
    assert set(told.done_in) <= {thread}
    told.http._join_loop()


def under_way(server, depth=1, n_sent=1):
    """Four requests, so many of them sent, and none answered."""
    one = server([hold], beyond=[Serve()])
    told = Told(one, depth).warm()
    told.get("/0", "/1", "/2", "/3")
    turn_until(lambda: len(one.connections[0].taken) == 1 + n_sent)
    return one, told


@pytest.mark.parametrize("depth, n_sent", [(1, 1), (3, 3), (8, 4)])
def test_moving_requests_that_wait_are_done_in_the_other_thread_in_their_order(server, depth, n_sent):
    one, told = under_way(server, depth, n_sent)
    told.http._leave_loop()
    assert told.finished() == [ABORTED] and told.http.hasPendingRequests() and told.http.state().name == "Unconnected"
    assert qhttp.run(0)                 # nothing of it is left here
    join_in_a_thread(told)
    assert told.finished() == [ABORTED, *WAITING] and one.answered == ["/1", "/2", "/3"]
    assert told.bodies == {0: b"", **{n: b"<body of /%d>" % n for n in (1, 2, 3)}}
    assert [values for name, values, _ in told.log if name == "done"] == [(True,), (False,)]
    assert not told.http.hasPendingRequests() and told.http.currentId() == 0


def test_moving_a_change_of_host_that_waits_goes_along(server):
    one, other = server([hold]), server(warm=False)
    told = Told(one, 1).warm()
    told.get("/0")
    told.http.setHost(other.host, other.port)
    told.get("/2")
    turn_until(lambda: len(one.connections[0].taken) == 2)
    told.http._leave_loop()
    join_in_a_thread(told)
    assert told.finished() == [ABORTED, (1, False), (2, False)] and other.answered == ["/2"]


def in_slot(told, signal, act):
    acted = []

    def slot(*_):
        if not acted:
            acted.append(None)
            act(told.http)
    getattr(told.http, signal).connect(slot)


@pytest.mark.parametrize("depth, n_sent", [(1, 1), (8, 4)])
@pytest.mark.parametrize("signal", ["requestFinished", "done"])
@pytest.mark.parametrize("act, expected, answered", [
    (lambda http: http.get("/4"), [*WAITING, (4, False)], ["/1", "/2", "/3", "/4"]),
    (lambda http: http.close(), [*WAITING, (4, False)], ["/1", "/2", "/3"]),
], ids=["get", "close"])
def test_moving_what_its_slot_queues_comes_behind_what_waits(server, act, expected, answered, signal, depth, n_sent):
    one, told = under_way(server, depth, n_sent)
    in_slot(told, signal, act)
    told.http._leave_loop()
    join_in_a_thread(told)
    assert told.finished() == [ABORTED, *expected] and one.answered == answered


@pytest.mark.parametrize("depth, n_sent", [(1, 1), (8, 4)])
@pytest.mark.parametrize("signal, act, expected", [
    ("requestFinished", "abort", []),
    ("requestFinished", "clearPendingRequests", []),
    ("done", "abort", [(1, True)]),             # that is the first of the queue by then
    ("done", "clearPendingRequests", [(1, False)]),
])
def test_moving_its_slot_drops_what_waits(server, signal, act, expected, depth, n_sent):
    one, told = under_way(server, depth, n_sent)
    in_slot(told, signal, lambda http: getattr(http, act)())
    told.http._leave_loop()
    join_in_a_thread(told)
    assert told.finished() == [ABORTED, *expected] and one.answered == ["/1"] * ((1, False) in expected)
    told.get("/after")
    assert told.wait() == "NoError" and one.answered[-1] == "/after"


@pytest.mark.parametrize("signal", ["requestFinished", "done"])
def test_moving_its_slot_sees_what_waits_and_does_not_wait_for_it(server, signal):
    _, told = under_way(server)
    seen = []

    def slot(http):
        seen.append(http.hasPendingRequests())
        with pytest.raises(RuntimeError, match="inside a slot"):
            http.waitForDone()
        seen.append(qhttp.run(0))
    in_slot(told, signal, slot)
    told.http._leave_loop()
    assert seen == [True, True]
    join_in_a_thread(told)
    assert told.finished() == [ABORTED, *WAITING]


@pytest.mark.parametrize("depth", [1, 8])
@pytest.mark.parametrize("n", [1, 4])
def test_moving_in_the_slot_of_a_finished_request_aborts_nothing(server, depth, n):
    one = server([Serve(plain, n if depth > 1 else 1, times=1), ReceiveRequest()], beyond=[Serve()])
    told = Told(one, depth).warm()
    told.get(*[f"/{i}" for i in range(n)])
    in_slot(told, "requestFinished", lambda http: http._leave_loop())
    turn_until(lambda: told.finished())
    assert told.finished() == [(0, False)] and told.http.state().name == "Unconnected" and qhttp.run(0)
    join_in_a_thread(told)
    assert told.finished() == [(i, False) for i in range(n)] and told.bodies[n - 1] == b"<body of /%d>" % (n - 1)
    assert [values for name, values, _ in told.log if name == "done"] == [(False,)]
    assert told.http.error().name == "NoError"


def test_moving_in_the_slot_of_a_failing_request_drops_what_waits_as_any_failure(server):
    _, told = under_way(server)
    in_slot(told, "requestFinished", lambda http: http._leave_loop())
    told.http.abort()
    join_in_a_thread(told)
    assert told.finished() == [ABORTED] and not told.http.currentId()


def test_moving_in_the_slot_that_starts_a_change_of_host_makes_it(server):
    one = server(warm=False)
    told = Told(server([hold], warm=False), 1)
    told.begin()
    told.http.setHost(one.host, one.port)
    told.get("/1")
    in_slot(told, "requestStarted", lambda http: http._leave_loop())
    turn_until(lambda: told.finished())
    join_in_a_thread(told)
    assert told.finished() == [(0, False), (1, False)] and one.answered == ["/1"]
    assert [values for name, values, _ in told.log if name == "requestStarted"] == [(0,), (1,)]


@pytest.mark.parametrize("depth, n_sent", [(1, 1), (8, 4)])
def test_moving_before_a_request_that_was_sent_is_started_sends_it_again_or_not_at_all(server, depth, n_sent):
    """The slot of its requestStarted moves it: that one is under way, though nothing has come for it."""
    one = server([Serve(plain, n_sent, times=1), hold], beyond=[Serve()])
    told = Told(one, depth).warm()
    told.get("/0", "/1", "/2", "/3")
    told.http.requestStarted.connect(lambda number: number - told.base == 1 and told.http._leave_loop())
    turn_until(lambda: len(told.finished()) == 2)
    join_in_a_thread(told)
    assert told.finished() == [(0, False), (1, True), (2, False), (3, False)] and one.answered[-2:] == ["/2", "/3"]
