"""Pipelining and its end: abort(), clearPendingRequests() and deleteLater() anywhere, what is left behind, a real server."""
import importlib.util
import pathlib
import random
import weakref

import pytest
from core.process_tools import descriptors
from engine.collecting import n_alive, n_ours, no_collector, ours_in_cycles
from engine.recording import noise
from support import faults
from support.actions import Close
from support.gil import counts_references
from support.loops import turn_until
from support.pipelined import PATIENCE_MS, SIGNALS, Serve, Told, hold, plain, servers
from support.request_reading import take_head

import qhttp
from qhttp.engine.exchange import Exchange

N = 5
PATHS = [f"/{n}" for n in range(N)]
AFTER = b"<body of /after>"
N_MANY = 3000

server = pytest.fixture(servers)


def abort(told):
    told.http.abort()


def clear(told):
    told.http.clearPendingRequests()


def delete(told):
    told.http.deleteLater()


def ask_after(told):
    """A request behind what was dropped: it must have its own answer, and no other."""
    told.begin()
    told.get("/after")
    assert told.wait() == "NoError"
    assert told.bodies == {0: AFTER}


def ended_in_slot(server, depth, signal, act, at, again=False):
    """Five requests, answered all together at depth 8; `act` is done once in a slot of the request `at`."""
    none_sent = depth == 1 or (at == 0 and signal in ("requestStarted", "stateChanged"))
    one = server([Serve(plain, 1 if none_sent else N, times=1), Serve()])
    told = Told(one, depth).warm()
    base, acted = told.base, []

    def slot():
        if not acted and (signal == "done" or told.http.currentId() - base == at):
            acted.append(True)
            act(told)
            if again:
                told.get("/again")

    getattr(told.http, signal).connect(slot)
    told.get(*PATHS)
    told.error = told.wait()
    qhttp.run(0)
    assert acted
    return one, told


# -- inside a slot
@pytest.mark.parametrize("again", [False, True], ids=["", "and asks again"])
@pytest.mark.parametrize("at", [0, 1, N - 1])
@pytest.mark.parametrize("act", [abort, clear])
@pytest.mark.parametrize("signal", SIGNALS)
def test_requests_dropped_in_a_slot_tell_the_same_and_reach_nobody(server, signal, act, at, again):
    if signal == "done" and at:
        pytest.skip("done comes once")
    _, reference = ended_in_slot(server, 1, signal, act, at, again)
    one, told = ended_in_slot(server, 8, signal, act, at, again)
    assert told.bodies == reference.bodies
    assert told.without_states() == reference.without_states()
    assert told.error == reference.error
    dropped = len({id for id, _ in told.finished() if id < N}) < N
    if dropped and at > 0:                  # sent and not wanted: that costs the connection
        one.wait_for(lambda: one.connections[0].how_ended is not None)
        assert all("/after" not in path and "/again" not in path for path in one.paths(0))
    ask_after(told)


@pytest.mark.parametrize("at", [0, 1, N - 1])
@pytest.mark.parametrize("signal", SIGNALS)
def test_abort_in_a_slot_tells_the_states_in_the_same_order(server, signal, at):
    if signal == "done" and at:
        pytest.skip("done comes once")
    _, reference = ended_in_slot(server, 1, signal, abort, at)
    _, told = ended_in_slot(server, 8, signal, abort, at)
    assert told.log == reference.log


@pytest.mark.parametrize("at", [0, 1, N - 1])
@pytest.mark.parametrize("signal", SIGNALS)
def test_object_deleted_in_a_slot_closes_and_says_no_more(server, signal, at):
    if signal == "done" and at:
        pytest.skip("done comes once")
    one, told = ended_in_slot(server, 8, signal, delete, at)
    finished = [id for id, _ in told.finished()]
    assert finished == list(range(len(finished)))
    assert [name for name, *_ in told.log].count("done") == 1
    one.wait_for(lambda: one.connections[0].how_ended is not None)
    log = list(told.log)
    told.get("/after")
    assert told.wait() == "NoError"
    assert bytes(told.http.readAll()) == AFTER
    assert told.log == log


# -- outside
def under_way(server, n_answered=0, cut=0):
    """A client with five requests sent, the first of them answered, and of the next answer `cut` bytes."""
    one = server([hold])
    told = Told(one, 8).warm()
    told.get(*PATHS)
    turn_until(lambda: one.paths()[1:] == PATHS)
    answers = [plain(head) for head in one.connections[0].taken[1:]]
    if n_answered or cut:
        one.say(b"".join(answers[:n_answered]) + answers[n_answered][:cut])
        turn_until(lambda: len(told.finished()) == n_answered and (not cut or told.http.state().name == "Reading"))
    return one, told, b"".join(answers)[len(b"".join(answers[:n_answered])) + cut:]


@pytest.mark.parametrize("n_answered, cut", [(0, 0), (2, 0), (0, 10), (2, 30), (2, 45)])
def test_abort_while_requests_are_under_way_closes_the_connection(server, n_answered, cut):
    one, told, _ = under_way(server, n_answered, cut)
    told.http.abort()
    assert told.wait() == "Aborted"
    assert told.finished() == [*((n, False) for n in range(n_answered)), (n_answered, True)]
    one.wait_for(lambda: one.connections[0].how_ended == "client closed")
    ask_after(told)
    assert len(one.connections) == 2


@pytest.mark.parametrize("n_answered, cut", [(0, 0), (2, 0), (0, 10), (2, 30), (2, 45)])
def test_clear_while_requests_are_under_way_closes_the_connection_after_the_current(server, n_answered, cut):
    one, told, rest = under_way(server, n_answered, cut)
    told.http.clearPendingRequests()
    assert not told.http.hasPendingRequests() and one.connections[0].how_ended is None
    told.get("/more")                       # waits for the new connection
    one.say(rest)
    assert told.wait() == "NoError"
    assert told.finished() == [*((n, False) for n in range(n_answered + 1)), (N, False)]
    assert told.bodies == {**{n: b"<body of /%d>" % n for n in range(n_answered + 1)}, N: b"<body of /more>"}
    one.wait_for(lambda: one.connections[0].how_ended is not None)
    assert one.paths(0)[1:] == PATHS and one.paths(1) == ["/more"]
    ask_after(told)


@pytest.mark.parametrize("n_answered, cut", [(0, 0), (2, 0), (2, 30)])
def test_object_deleted_while_requests_are_under_way_closes_the_connection(server, n_answered, cut):
    one, told, _ = under_way(server, n_answered, cut)
    told.http.deleteLater()
    assert told.http.waitForDone(PATIENCE_MS)
    assert told.finished() == [*((n, False) for n in range(n_answered)), (n_answered, True)]
    one.wait_for(lambda: one.connections[0].how_ended == "client closed")


def test_clear_when_nothing_was_sent_ahead_keeps_the_connection(server):
    one = server([Serve()])
    told = Told(one, 8).warm()
    told.get(*PATHS)
    told.http.clearPendingRequests()
    told.get("/x")
    assert told.wait() == "NoError"
    assert told.finished() == [(0, False), (N, False)]
    assert len(one.connections) == 1


def test_clear_of_what_was_not_sent_keeps_the_connection(server):
    one = server([hold])
    told = Told(one, 8).warm()
    told.get("/0")
    turn_until(lambda: one.paths() == ["/warm", "/0"])
    told.http.post("/1", b"data")
    told.get("/2")
    told.http.clearPendingRequests()
    one.say(faults.whole(b"0"))
    assert told.wait() == "NoError"
    assert told.http.state().name == "Connected"
    told.get("/3")
    turn_until(lambda: one.paths() == ["/warm", "/0", "/3"])
    told.http.abort()


def test_answers_of_dropped_requests_that_come_late_reach_nobody(server):
    """All the answers lie in the client's socket when the requests are dropped, and others are asked on a new connection."""
    one, told, rest = under_way(server)
    one.say(rest)
    told.http.abort()
    told.begin()
    told.get("/after", "/more")
    assert told.wait() == "NoError"
    assert told.bodies == {0: AFTER, 1: b"<body of /more>"}


@pytest.mark.parametrize("seed", range(20))
def test_dropping_at_random_never_mixes_answers(server, seed):
    """Requests are queued, dropped and aborted by chance while the server answers by chance: each body is its request's."""
    chance = random.Random(seed)

    def send(peer, data):
        at = chance.randrange(len(data) + 1)
        peer.send(data[:at])
        peer.send(data[at:])

    one = server([Serve(send=send)], beyond=[Serve(send=send)])
    told = Told(one, 8).warm()
    http, asked, got = told.http, {}, {}
    http.requestFinished.disconnect()
    http.readyRead.disconnect()
    http.requestFinished.connect(lambda id, error: error or got.update({id: bytes(http.readAll())}))
    for n in range(60):
        for _ in range(chance.randrange(12)):
            path = f"/{len(asked)}"
            asked[http.get(path)] = path.encode()
        qhttp.run(chance.choice((0, 0, 0, 1)))
        if n % 3 == 0:
            chance.choice((http.abort, http.clearPendingRequests))()
    assert http.waitForDone(PATIENCE_MS)
    assert got and all(body == b"<body of %s>" % asked[id] for id, body in got.items())
    assert list(got) == sorted(got)


# -- what is left behind
@counts_references
def test_pipelined_requests_by_the_thousand_leave_nothing(server):
    one = server([Serve()])
    http = qhttp.QHttp(one.host, one.port)
    http.setPipelining(32)
    of_slot, bodies = weakref.ref(http), []
    http.requestFinished.connect(lambda id, error: bodies.append(of_slot().readAll()))
    http.get("/warm")
    http.get("/warm")
    http.get("/warm")
    assert http.waitForDone(PATIENCE_MS)
    with no_collector():
        before = n_ours()
        for n in range(N_MANY):
            http.get(f"/{n}")
        assert http.waitForDone(PATIENCE_MS)
        after = n_ours()
        assert ours_in_cycles() == []
    assert after == before
    assert n_alive(Exchange) == 0
    assert bodies[3:] == [b"<body of /%d>" % n for n in range(N_MANY)]
    assert len(one.connections) == 1


@counts_references
@pytest.mark.parametrize("act", [abort, clear, "fin"])
def test_pipelined_requests_that_are_dropped_or_lost_leave_nothing(server, act):
    def two_of_six(peer):
        while True:
            heads = [take_head(peer) for _ in range(6)]
            peer.send(b"".join(map(plain, heads[:2])))
            Close()(peer)

    one = server(beyond=[Serve(times=1), two_of_six] if act == "fin" else [Serve()])
    told = Told(one, 8, read_at=None)
    told.http.setTransferTimeout(60_000)
    told.http.setTotalTimeout(60_000)
    for name in SIGNALS:
        getattr(told.http, name).disconnect()
    told.get("/warm")
    told.wait()
    with no_collector():
        for _ in range(30):
            told.get(*PATHS, "/5", "/6")
            for _ in range(4):
                qhttp.run(0)
            if act == "fin":
                told.http.abort() if not told.http.waitForDone(3) else None
            else:
                act(told)
                told.wait()
        told.http.abort()
        told.wait()
        qhttp.run(0)
        assert n_alive(Exchange) == 0
        assert ours_in_cycles() == []


def test_object_dropped_after_pipelining_closes_its_socket(server):
    one = server([Serve()])
    before = descriptors()
    with no_collector():
        http = qhttp.QHttp(one.host, one.port)
        http.setPipelining(8)
        for path in ("/warm", *PATHS):
            http.get(path)
        assert http.waitForDone(PATIENCE_MS) and http.state().name == "Connected"
        del http
        one.wait_for(lambda: one.connections[0].how_ended == "client closed")
    one.close()
    assert len(descriptors()) <= len(before)


# -- a real server
def load_nginx():
    path = pathlib.Path(__file__).parents[2] / "bench" / "nginx.py"
    spec = importlib.util.spec_from_file_location("nginx_of_the_bench", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("depth", [2, 16, 1024])
def test_files_from_nginx_are_right(tmp_path, depth):
    bench = load_nginx()
    if bench.find_nginx() is None:
        pytest.skip("nginx is not installed")
    sizes = random.Random(depth).choices((0, 1, 100, 1000, 5000, 70_000), k=500)
    for n, size in enumerate(sizes):
        (tmp_path / str(n)).write_bytes(noise(size, seed=n))
    with bench.nginx({"/files/": str(tmp_path)}) as port:
        http, got = qhttp.QHttp("127.0.0.1", port), []
        http.setPipelining(depth)
        http.requestFinished.connect(lambda id, error: got.append((error, http.lastResponse().statusCode(), http.readAll())))
        for n in range(500):
            http.get(f"/files/{n}" if n % 50 != 49 else f"/files/none-{n}")
        assert http.waitForDone(PATIENCE_MS)
    assert len(got) == 500
    for n, (error, status, body) in enumerate(got):
        assert (error, status) == (False, 404 if n % 50 == 49 else 200)
        assert status == 404 or body == noise(sizes[n], seed=n)
