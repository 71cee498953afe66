"""setPipelining: what is sent before its turn and when, and that nothing else differs: the signals, the bodies, the limits."""
import io
import itertools

import pytest
from engine.recording import noise, request
from support import faults
from support.actions import ReceiveRequest, Send
from support.loops import turn_for, turn_until
from support.pipelined import PATIENCE_MS, Serve, Told, hold, path_of, plain, servers

import qhttp
from qhttp.wiring import Wiring

QUIET_S = 0.02                  # long enough for what must not be sent to arrive


server = pytest.fixture(servers)


def arrived(one, *paths, number=0):
    """Turns until a connection has brought as many requests, and a little longer: these and no others must be there."""
    turn_until(lambda: len(one.paths(number)) >= len(paths))
    turn_for(QUIET_S)
    assert one.paths(number) == list(paths)


# -- the setting
@pytest.mark.parametrize("depth", [0, -1, 1025, 1 << 70])
def test_depth_out_of_range_is_refused(depth):
    with pytest.raises(ValueError, match="depth must be from 1 to 1024"):
        qhttp.QHttp("h").setPipelining(depth)


@pytest.mark.parametrize("depth", [True, False, 8.0, "8", None, b"8"])
def test_depth_of_another_type_is_refused(depth):
    with pytest.raises(TypeError, match="depth must be int"):
        qhttp.QHttp("h").setPipelining(depth)


@pytest.mark.parametrize("depth", [1, 2, 1024])
def test_depth_in_range_is_taken(server, depth):
    one = server([Serve()])
    told = Told(one, depth).warm()
    told.get("/0", "/1", "/2")
    assert told.wait() == "NoError"
    assert told.finished() == [(0, False), (1, False), (2, False)]


def test_depth_one_sends_one_at_a_time(server):
    one = server([hold])
    told = Told(one, 1).warm()
    told.get("/0", "/1", "/2")
    for n in range(3):
        arrived(one, "/warm", *[f"/{m}" for m in range(n + 1)])
        one.say(faults.whole(b"%d" % n))
    assert told.wait() == "NoError"


def test_depth_not_set_sends_one_at_a_time(scripted_server):
    server = scripted_server([*faults.answer(b"warm"), hold])
    http = qhttp.QHttp(server.host, server.port)
    http.get("/warm")
    assert http.waitForDone(PATIENCE_MS)
    http.get("/0")
    http.get("/1")
    turn_until(lambda: len(server.requests[0]) == 2)
    turn_for(QUIET_S)
    assert len(server.requests[0]) == 2
    http.abort()


# -- how many, and when
@pytest.mark.parametrize("depth", [2, 3, 8])
def test_requests_under_way_are_never_more_than_the_depth(server, depth):
    one = server([hold])
    told = Told(one, depth).warm()
    paths = [f"/{n}" for n in range(20)]
    told.get(*paths)
    for n, path in enumerate(paths):
        arrived(one, "/warm", *paths[:n + depth])
        one.say(faults.whole(path.encode()))
    assert told.wait() == "NoError"
    assert told.bodies == {n: path.encode() for n, path in enumerate(paths)}
    assert len(one.connections) == 1


def test_requests_queued_while_one_is_under_way_are_sent_up_to_the_depth(server):
    one = server([hold])
    told = Told(one, 3).warm()
    told.get("/0")
    arrived(one, "/warm", "/0")
    told.get("/1")
    arrived(one, "/warm", "/0", "/1")
    told.get("/2", "/3")
    arrived(one, "/warm", "/0", "/1", "/2")
    one.say(faults.whole(b"0"))
    arrived(one, "/warm", "/0", "/1", "/2", "/3")
    one.say(faults.whole(b"1") + faults.whole(b"2") + faults.whole(b"3"))
    assert told.wait() == "NoError"
    assert told.bodies == {0: b"0", 1: b"1", 2: b"2", 3: b"3"}


def test_depth_made_smaller_lets_those_under_way_end_first(server):
    one = server([hold])
    told = Told(one, 4).warm()
    paths = [f"/{n}" for n in range(8)]
    told.get(*paths)
    arrived(one, "/warm", *paths[:4])
    told.http.setPipelining(1)
    for n in range(8):
        arrived(one, "/warm", *paths[:max(4, n + 1)])
        one.say(faults.whole(b"%d" % n))
    assert told.wait() == "NoError"
    assert told.bodies == {n: b"%d" % n for n in range(8)}


def test_depth_made_larger_sends_more_from_the_next_start_on(server):
    one = server([hold])
    told = Told(one, 1).warm()
    paths = [f"/{n}" for n in range(4)]
    told.get(*paths)
    arrived(one, "/warm", "/0")
    told.http.setPipelining(3)
    one.say(faults.whole(b"0"))
    arrived(one, "/warm", *paths)
    one.say(b"".join(faults.whole(b"%d" % n) for n in (1, 2, 3)))
    assert told.wait() == "NoError"
    assert told.bodies == {n: b"%d" % n for n in range(4)}


def test_first_request_of_a_connection_goes_alone(server):
    one = server([hold], warm=False)
    told = Told(one, 8)
    told.begin()
    told.get("/0", "/1", "/2")
    arrived(one, "/0")
    one.say(faults.whole(b"0"))
    arrived(one, "/0", "/1", "/2")
    one.say(faults.whole(b"1") + faults.whole(b"2"))
    assert told.wait() == "NoError"
    assert told.bodies == {0: b"0", 1: b"1", 2: b"2"}


@pytest.mark.parametrize("first", [
    faults.whole(b"0", b"Connection: close"),
    faults.whole(b"0", status=b"HTTP/1.0 200 OK\r\n"),
], ids=["close", "1.0"])
def test_connections_that_the_server_does_not_keep_carry_one_request_each(server, first):
    one = server(beyond=[ReceiveRequest(), Send(first), hold])
    told = Told(one, 8)
    told.begin()
    told.get("/0", "/1", "/2")
    assert told.wait() == "NoError"
    assert [one.paths(n) for n in range(3)] == [["/0"], ["/1"], ["/2"]]


def test_http_1_0_connection_that_is_kept_carries_one_request_at_a_time(server):
    answer = faults.whole(b"old", b"Connection: keep-alive", status=b"HTTP/1.0 200 OK\r\n")
    one = server([hold], warm=False)
    told = Told(one, 8)
    told.begin()
    told.get("/0", "/1", "/2")
    for n in range(3):
        arrived(one, *[f"/{m}" for m in range(n + 1)])
        one.say(answer)
    assert told.wait() == "NoError"


def test_request_with_connection_close_has_nothing_behind_it(server):
    """RFC 9112 section 9.6: a client that sends "close" must not send further requests on that connection."""
    one = server([hold])
    told = Told(one, 8).warm()
    told.http.request(request("GET", "/0", Connection="close"))
    told.get("/1", "/2")
    arrived(one, "/warm", "/0")
    told.http.abort()


def test_request_of_http_1_0_has_nothing_behind_it(server):
    one = server([hold])
    told = Told(one, 8).warm()
    header = qhttp.QHttpRequestHeader("GET", "/0", 1, 0)
    told.http.request(header)
    told.get("/1", "/2")
    arrived(one, "/warm", "/0")
    told.http.abort()


@pytest.mark.parametrize("ask", [
    lambda http, path: http.get(path),
    lambda http, path: http.head(path),
    lambda http, path: http.request(request("GET", path)),
    lambda http, path: http.request(request("HEAD", path)),
    lambda http, path: http.request(request("OPTIONS", path)),
], ids=["get", "head", "GET", "HEAD", "OPTIONS"])
def test_requests_without_effect_are_sent_ahead(server, ask):
    one = server([hold])
    told = Told(one, 8).warm()
    for n in range(3):
        ask(told.http, f"/{n}")
    arrived(one, "/warm", "/0", "/1", "/2")
    one.say(b"".join(map(plain, one.connections[0].taken[1:])))
    assert told.wait() == "NoError"
    assert told.bodies == {n: b"" if ask_is_head(one) else b"<body of /%d>" % n for n in range(3)}


def ask_is_head(one):
    return one.connections[0].taken[-1].startswith(b"HEAD ")


BARRIERS = {
    "post": lambda http: http.post("/barrier", b"data"),
    "post from a device": lambda http: http.post("/barrier", io.BytesIO(b"data")),
    "get to a device": lambda http: http.get("/barrier", io.BytesIO()),
    "put": lambda http: http.request(request("PUT", "/barrier"), b"data"),
    "delete": lambda http: http.request(request("DELETE", "/barrier")),
    "trace": lambda http: http.request(request("TRACE", "/barrier")),
    "get with data": lambda http: http.request(request("GET", "/barrier"), b"data"),
    "request to a device": lambda http: http.request(request("GET", "/barrier"), None, io.BytesIO()),
}


@pytest.mark.parametrize("barrier", BARRIERS.values(), ids=BARRIERS)
def test_barrier_waits_for_those_before_it_and_holds_those_behind(server, barrier):
    one = server([hold])
    told = Told(one, 8).warm()
    told.get("/0", "/1")
    barrier(told.http)
    told.get("/3", "/4")
    arrived(one, "/warm", "/0", "/1")
    one.say(faults.whole(b"0"))
    arrived(one, "/warm", "/0", "/1")
    one.say(faults.whole(b"1"))
    arrived(one, "/warm", "/0", "/1", "/barrier")
    told.get("/5")                                          # queued while the barrier is current
    arrived(one, "/warm", "/0", "/1", "/barrier")
    one.say(faults.whole(b"2"))
    arrived(one, "/warm", "/0", "/1", "/barrier", "/3", "/4", "/5")
    one.say(faults.whole(b"3") + faults.whole(b"4") + faults.whole(b"5"))
    assert told.wait() == "NoError"
    assert told.finished() == [(n, False) for n in range(6)]
    assert len(one.connections) == 1


def test_set_host_of_the_same_server_is_a_barrier(server):
    one = server([hold])
    told = Told(one, 8).warm()
    told.get("/0", "/1")
    told.http.setHost(one.host, one.port)
    told.get("/3", "/4")
    arrived(one, "/warm", "/0", "/1")
    one.say(faults.whole(b"0") + faults.whole(b"1"))
    arrived(one, "/warm", "/0", "/1", "/3", "/4")
    one.say(faults.whole(b"3") + faults.whole(b"4"))
    assert told.wait() == "NoError"
    assert told.bodies == {0: b"0", 1: b"1", 2: b"", 3: b"3", 4: b"4"}


def test_set_host_of_another_server_takes_those_behind_there(server):
    first, second = server([hold]), server([hold], warm=False)
    told = Told(first, 8).warm()
    told.get("/0", "/1")
    told.http.setHost(second.host, second.port)
    told.get("/3", "/4", "/5")
    arrived(first, "/warm", "/0", "/1")
    assert second.connections == []
    first.say(faults.whole(b"0") + faults.whole(b"1"))
    arrived(second, "/3")
    second.say(faults.whole(b"3"))
    arrived(second, "/3", "/4", "/5")
    second.say(faults.whole(b"4") + faults.whole(b"5"))
    assert told.wait() == "NoError"
    assert told.bodies == {0: b"0", 1: b"1", 2: b"", 3: b"3", 4: b"4", 5: b"5"}
    assert all(b"Host: 127.0.0.1:%d\r\n" % second.port in head for head in second.connections[0].taken)


def test_close_is_a_barrier_and_the_next_connection_begins_with_one(server):
    one = server([hold], [hold])
    told = Told(one, 8).warm()
    told.get("/0", "/1")
    told.http.close()
    told.get("/3", "/4")
    arrived(one, "/warm", "/0", "/1")
    one.say(faults.whole(b"0") + faults.whole(b"1"))
    arrived(one, "/3", number=1)
    assert one.connections[0].how_ended == "client closed"
    one.say(faults.whole(b"3"), 1)
    arrived(one, "/3", "/4", number=1)
    one.say(faults.whole(b"4"), 1)
    assert told.wait() == "NoError"
    assert told.bodies == {0: b"0", 1: b"1", 2: b"", 3: b"3", 4: b"4"}


# -- bodies
@pytest.mark.parametrize("read_at", ["readyRead", "requestFinished"])
@pytest.mark.parametrize("n_at_once", [1, 2, 6])
def test_each_request_has_its_own_body(server, read_at, n_at_once):
    bodies = [noise(n, seed=n + 1) for n in (0, 1, 100, 300_000, 70_000, 5)]
    one = server([Serve(lambda head: faults.whole(bodies[int(path_of(head)[1:])]), n_at_once)])
    told = Told(one, 6, read_at).warm()
    told.get(*[f"/{n}" for n in range(6)])
    assert told.wait() == "NoError"
    assert told.bodies == dict(enumerate(bodies))


def test_several_objects_with_depths_of_their_own_do_not_mix(server):
    one = server(beyond=[Serve()])
    objects = [Told(one, depth) for depth in (1, 2, 5, 32, 1024)]
    for told in objects:
        told.warm()
    for number, told in enumerate(objects):
        told.begin()
        told.get(*[f"/{number}/{n}" for n in range(60)])
    assert qhttp.run(PATIENCE_MS)
    for number, told in enumerate(objects):
        assert told.bodies == {n: b"<body of /%d/%d>" % (number, n) for n in range(60)}
        assert told.finished() == [(n, False) for n in range(60)]
    assert len(one.connections) == 5


# -- code of the user's that runs while requests are lined up: a signal's handler, a finalizer
def in_credentials(monkeypatch, told, nth, deed):
    """Calls `deed` within the n-th look for credentials from now on; that of the first request is number 0."""
    find, number = Wiring.credentials, itertools.count()

    def act(*given):
        if next(number) == nth:
            deed()
        return find(*given)

    monkeypatch.setattr(Wiring, "credentials", act)


@pytest.fixture
def with_user(server):
    """A server and a client that looks for credentials at each request."""
    one = server([Serve()], beyond=[Serve()])
    told = Told(one, 8)
    told.http.setUser("user", "password")
    return one, told.warm()


@pytest.mark.parametrize("nth", [1, 2])
def test_request_queued_while_others_are_lined_up_each_sent_once_and_answered(with_user, monkeypatch, nth):
    one, told = with_user
    in_credentials(monkeypatch, told, nth, lambda: told.get("/3"))
    told.get("/0", "/1", "/2")
    assert told.wait() == "NoError"
    told.get("/4")                      # behind whatever was sent too often
    assert told.wait() == "NoError"
    assert told.bodies == {n: b"<body of /%d>" % n for n in range(5)}
    assert one.paths() == ["/warm", "/0", "/1", "/2", "/3", "/4"]


@pytest.mark.parametrize("nth", [1, 2])
def test_loop_turned_while_requests_are_lined_up_each_sent_once_and_answered(with_user, monkeypatch, nth):
    one, told = with_user
    in_credentials(monkeypatch, told, nth, lambda: turn_until(told.finished))
    told.get("/0", "/1", "/2")
    assert told.wait() == "NoError"
    assert told.bodies == {n: b"<body of /%d>" % n for n in range(3)}
    assert one.answered == ["/0", "/1", "/2"]


@pytest.mark.parametrize("nth", [1, 2])
def test_abort_while_requests_are_lined_up_next_ones_answered(with_user, monkeypatch, nth):
    _, told = with_user
    in_credentials(monkeypatch, told, nth, told.http.abort)
    told.get("/0", "/1", "/2")
    assert told.wait() == "Aborted"
    assert told.finished() == [(0, True)]
    told.begin()
    told.get("/3", "/4")
    assert told.wait() == "NoError"
    assert told.bodies == {0: b"<body of /3>", 1: b"<body of /4>"}


# -- the read buffer
def test_read_buffer_that_is_full_holds_up_the_later_answers(server):
    body = noise(2 << 20)
    one = server([Serve(lambda head: faults.whole(body if path_of(head) != "/1" else b"small"), 3)])
    told = Told(one, 8, read_at=None)
    told.http.setReadBufferSize(10_000)
    told.warm()
    told.get("/0", "/1", "/2")
    turn_until(lambda: told.http.bytesAvailable() >= 10_000)
    turn_for(QUIET_S)
    assert told.http.bytesAvailable() <= 10_000 + (64 << 10)
    assert told.finished() == []
    got = {}

    def read(id, n):
        got[id] = got.get(id, b"") + told.http.read(n)

    told.http.requestFinished.connect(lambda id: read(id - told.base, 1 << 30))
    while not any(name == "done" for name, *_ in told.log):
        if told.http.bytesAvailable():
            read(told.http.currentId() - told.base, 5000)
        qhttp.run(0)
    assert got == {0: body, 1: b"small", 2: body}
    assert len(one.connections) == 1


# -- limits of time
def send_slowly(peer, data):
    peer.pause(0.08)
    peer.send(data)


def test_transfer_limit_counts_from_the_turn_of_each_request(server):
    """Each waits longer than the limit for its answer, but not from its turn."""
    one = server([Serve(plain, 1, 6, send_slowly), hold])
    told = Told(one, 8)
    told.http.setTransferTimeout(250)
    told.warm()
    told.get(*[f"/{n}" for n in range(6)])
    assert told.wait() == "NoError"
    assert told.finished() == [(n, False) for n in range(6)]


def test_total_limit_counts_from_the_turn_of_each_request(server):
    one = server([Serve(plain, 1, 6, send_slowly), hold])
    told = Told(one, 8)
    told.http.setTotalTimeout(300)
    told.warm()
    told.get(*[f"/{n}" for n in range(6)])
    assert told.wait() == "NoError"
    assert told.bodies == {n: b"<body of /%d>" % n for n in range(6)}


@pytest.mark.parametrize("limit", ["setTransferTimeout", "setTotalTimeout"])
def test_limit_ends_the_request_that_has_no_answer_and_the_batch(server, limit):
    one = server([Serve(times=2), hold])
    told = Told(one, 8)
    getattr(told.http, limit)(100)
    told.warm()
    told.get("/0", "/1", "/2", "/3")
    assert told.wait() == "UnknownError"
    assert told.finished() == [(0, False), (1, False), (2, True)]
    one.wait_for(lambda: one.connections[0].how_ended == "client closed")
    told.get("/after")
    assert told.wait() == "NoError"
    assert told.bodies[max(told.bodies)] == b"<body of /after>"
