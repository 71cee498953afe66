"""Pipelining over connections that die, answer too much or too early: no request is lost, none has an answer not its own."""
import threading

import pytest
from support import faults
from support.actions import Close, ReceiveRequest, Reset, Send
from support.loops import turn_for, turn_until
from support.pipelined import Gate, Serve, Told, hold, plain, servers
from support.request_reading import take_head

import qhttp

N = 6
PATHS = [f"/{n}" for n in range(N)]
EVIL = faults.whole(b"evil")
QUIET_S = 0.02

server = pytest.fixture(servers)


def bodies(*numbers):
    return {n: b"<body of /%d>" % n for n in numbers}


def answer_first(n_taken, n_answered, cut=lambda answer: b"", change=plain):
    """Takes requests, answers the first of them whole, and of the one behind them what `cut` makes of its answer."""
    def act(peer):
        heads = [take_head(peer) for _ in range(n_taken)]
        more = cut(plain(heads[n_answered])) if n_answered < n_taken else b""
        peer.server.note_answered(heads[:n_answered])
        peer.send(b"".join(map(plain, heads[:n_answered])) + more)
    return act


def half_head(answer):
    return answer[:answer.index(b"\r\n\r\n") - 4]


def half_body(answer):
    return answer[:-5]


def all_asked(server, script, depth=8, beyond=(Serve(),), n=N, gate=None, n_before_gate=0):
    """What a client tells that asks for PATHS; the gate opens when so many requests are finished."""
    one = server(script, beyond=beyond)
    told = Told(one, depth).warm()
    told.get(*PATHS[:n])
    if gate is not None:
        turn_until(lambda: len(told.finished()) == n_before_gate)
        gate.set()
    told.error = told.wait()
    return one, told


# -- the connection ends before a byte of the answer: those that have none get a new one
@pytest.mark.parametrize("end", [Close(), Reset()], ids=["fin", "rst"])
@pytest.mark.parametrize("k", range(N + 1))
def test_connection_that_ends_after_some_answers_is_replaced(server, k, end):
    gate = threading.Event()
    one, told = all_asked(server, [answer_first(N, k), Gate(gate), end], gate=gate, n_before_gate=k)
    assert told.error == "NoError"
    assert told.finished() == [(n, False) for n in range(N)]
    assert told.bodies == bodies(*range(N))
    assert one.answered == PATHS                            # each once, in order
    assert len(one.connections) == (1 if k == N else 2)


@pytest.mark.parametrize("k", range(N + 1))
def test_connection_whose_end_comes_with_the_answers_is_replaced(server, k):
    one, told = all_asked(server, [answer_first(N, k), Close()])
    assert told.error == "NoError"
    assert told.finished() == [(n, False) for n in range(N)]
    assert told.bodies == bodies(*range(N))
    assert one.answered == PATHS


@pytest.mark.parametrize("k", range(N + 1))
def test_connection_whose_reset_may_overtake_the_answers_is_replaced(server, k):
    """Which answers the reset leaves is chance; each request has its own in the end, or the batch an error."""
    _, told = all_asked(server, [answer_first(N, k), Reset()])
    finished = told.finished()
    assert [id for id, _ in finished] == list(range(len(finished)))
    assert all(told.bodies[id] == b"<body of /%d>" % id for id, error in finished if not error)
    assert told.error == "NoError" or finished[-1][1] is True


def test_connection_that_ends_is_replaced_by_one_that_begins_with_one_request(server):
    one = server([answer_first(N, 2), Close()], [hold])
    told = Told(one, 8).warm()
    told.get(*PATHS)
    turn_until(lambda: one.paths(1))
    turn_for(QUIET_S)
    assert one.paths(1) == PATHS[2:3]
    one.say(faults.whole(b"2"), 1)
    turn_until(lambda: len(one.paths(1)) == 4)
    one.say(b"".join(faults.whole(b"%d" % n) for n in (3, 4, 5)), 1)
    assert told.wait() == "NoError"
    assert told.bodies == {**bodies(0, 1), **{n: b"%d" % n for n in (2, 3, 4, 5)}}


def test_connection_that_ends_tells_the_states_of_a_new_one(server):
    _, told = all_asked(server, [answer_first(3, 1), Close()], n=3)
    one_more = ["Sending", "Reading", "Connected"]
    assert told.states() == [*one_more, "Sending", "Closing", "Unconnected", "Connecting", *one_more, *one_more]


@pytest.mark.parametrize("depth", [1, 8])
def test_connections_that_carry_one_answer_each_bring_all(server, depth):
    """None of them says so, and each leaves the requests behind the first without an answer."""
    one = server([Serve(times=1), Close()], beyond=[Serve(times=1), Close()])
    told = Told(one, depth).warm()
    told.get(*PATHS)
    assert told.wait() == "NoError"
    assert told.bodies == bodies(*range(N))
    assert one.answered == PATHS


@pytest.mark.parametrize("depth", [1, 8])
def test_connections_that_end_without_an_answer_are_tried_as_often_as_ever(server, depth):
    one, told = all_asked(server, [ReceiveRequest(), Close()], depth, beyond=[ReceiveRequest(), Close()])
    assert told.error == "UnexpectedClose"
    assert told.finished() == [(0, True)]
    assert len(one.connections) == 3
    assert [one.paths(n)[-1] for n in range(3)] == ["/0"] * 3


def test_connections_that_end_without_an_answer_for_one_that_was_sent_ahead_are_not_tried_for_ever(server):
    one, told = all_asked(server, [answer_first(N, 2), Close()], beyond=[ReceiveRequest(), Close()])
    assert told.error == "UnexpectedClose"
    assert told.finished() == [(0, False), (1, False), (2, True)]
    assert 3 <= len(one.connections) <= 4
    assert all(one.paths(n) == ["/2"] for n in range(1, len(one.connections)))


# -- the connection ends within an answer, or the answer is wrong: that request fails, and the batch with it
@pytest.mark.parametrize("depth", [1, 8])
@pytest.mark.parametrize("cut, end, error", [
    (half_head, Close(), "UnexpectedClose"),
    (half_head, Reset(), "UnexpectedClose"),
    (half_body, Close(), "WrongContentLength"),
    (half_body, Reset(), "WrongContentLength"),
    (lambda answer: b"HTTP/1.1 100 Continue\r\n\r\n", Close(), "UnexpectedClose"),
    (lambda answer: b"rubbish\r\n\r\n", Close(), "InvalidResponseHeader"),
    (lambda answer: faults.head(b"Content-Length: 1", b"Content-Length: 2") + b"xx", Close(), "InvalidResponseHeader"),
    (lambda answer: faults.head(b"Content-Length: -1") + b"xx", Close(), "InvalidResponseHeader"),
    (lambda answer: faults.head(b"Transfer-Encoding: chunked") + b"xyz\r\n", Close(), "WrongContentLength"),
    (lambda answer: faults.head(b"Transfer-Encoding: chunked") + b"5\r\nhe", Close(), "WrongContentLength"),
    (lambda answer: answer[answer.index(b"\r\n\r\n") + 4:], Close(), "InvalidResponseHeader"),
], ids=["head fin", "head rst", "body fin", "body rst", "interim fin", "rubbish", "lengths", "negative", "chunk", "chunk fin",
        "no head"])
@pytest.mark.parametrize("k", [0, 1, 4])
def test_answer_that_is_cut_or_wrong_fails_its_request_and_the_batch(server, k, cut, end, error, depth):
    gate, n_taken = threading.Event(), N if depth > 1 else k + 1
    one = server([answer_first(n_taken, k, cut), Gate(gate), end] if depth > 1 else
                 [Serve(times=k), answer_first(1, 0, cut), Gate(gate), end])
    told = Told(one, depth).warm()
    told.get(*PATHS)
    turn_until(lambda: len(told.finished()) >= k)
    turn_for(QUIET_S)                       # what was sent is there before the end overtakes it
    gate.set()
    assert told.wait() == error
    assert told.finished() == [*((n, False) for n in range(k)), (k, True)]
    assert {n: told.bodies[n] for n in range(k)} == bodies(*range(k))
    assert [values for name, values, _ in told.log if name == "done"] == [(True,)]
    told.begin()
    told.get("/after")
    assert told.wait() == "NoError"
    assert told.bodies == {0: b"<body of /after>"}


@pytest.mark.parametrize("last", [
    lambda head: faults.whole(plain(head)[-12:], b"Connection: close"),
    lambda head: faults.whole(plain(head)[-12:], status=b"HTTP/1.0 200 OK\r\n"),
    lambda head: faults.head() + plain(head)[-12:],
], ids=["close", "1.0", "until close"])
@pytest.mark.parametrize("k", range(N))
def test_answer_that_is_the_last_sends_the_others_to_a_new_connection(server, k, last):
    def act(peer):
        heads = [take_head(peer) for _ in range(N)]
        peer.server.note_answered(heads[:k + 1])
        peer.send(b"".join(map(plain, heads[:k])) + last(heads[k]))

    one, told = all_asked(server, [act, Close()])
    assert told.error == "NoError"
    assert told.finished() == [(n, False) for n in range(N)]
    assert told.bodies == {n: plain(b"GET /%d " % n)[-12:] if n == k else b"<body of /%d>" % n for n in range(N)}
    assert one.answered == PATHS


@pytest.mark.parametrize("k", range(N))
def test_answer_behind_the_last_one_is_not_taken(server, k):
    """The server says close, and answers all the same: those answers are not for anybody (RFC 9112 section 9.6)."""
    def act(peer):
        heads = [take_head(peer) for _ in range(N)]
        peer.send(b"".join(map(plain, heads[:k])) + faults.whole(b"last", b"Connection: close") + EVIL * (N - k - 1))

    _, told = all_asked(server, [act, Close()])
    assert told.error == "NoError"
    assert told.bodies == {**bodies(*range(N)), k: b"last"}


# -- bytes that nobody has asked for
@pytest.mark.parametrize("n_at_once", [1, 2, N])
@pytest.mark.parametrize("surplus", [EVIL, b"\r\n", b"x", EVIL * 3])
def test_surplus_behind_the_last_answer_reaches_nobody(server, n_at_once, surplus):
    one = server([Serve(n_at_once=n_at_once, times=N // n_at_once - 1),
                  Serve(n_at_once=n_at_once, times=1, send=lambda peer, data: peer.send(data + surplus)), hold])
    told = Told(one, n_at_once).warm()
    told.get(*PATHS)
    assert told.wait() == "NoError"
    assert told.bodies == bodies(*range(N))
    one.wait_for(lambda: one.connections[0].how_ended is not None)
    told.begin()
    told.get("/0", "/1")
    assert told.wait() == "NoError"
    assert told.bodies == bodies(0, 1)


@pytest.mark.parametrize("signal", ["responseHeaderReceived", "readyRead", "dataReadProgress", "requestFinished"])
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("turn", [False, True], ids=["", "turning"])
def test_surplus_is_not_the_answer_of_a_request_queued_after_it_came(server, n, signal, turn):
    """It lies in the buffer already when a slot queues the request, and, turning, sends it."""
    one = server([Serve(n_at_once=n, times=1, send=lambda peer, data: peer.send(data + EVIL)), Serve()])
    told = Told(one, 8).warm()
    base = told.base

    def queue():
        if told.http.currentId() == base + n - 1 and not told.http.hasPendingRequests():
            told.get("/late")
            if turn:
                qhttp.run(5)

    getattr(told.http, signal).connect(queue)
    told.get(*PATHS[:n])
    assert told.wait() == "NoError"
    assert told.bodies == {**bodies(*range(n)), n: b"<body of /late>"}
    assert one.paths(1) == ["/late"]                        # the connection with the surplus is not used any more


@pytest.mark.parametrize("signal", ["responseHeaderReceived", "readyRead", "dataReadProgress", "requestFinished"])
@pytest.mark.parametrize("n, depth", [(1, 1), (1, 8), (2, 8)])
@pytest.mark.parametrize("turn", [False, True], ids=["slow slot", "later turn"])
def test_answer_that_comes_before_its_request_is_sent_is_not_taken(server, n, depth, signal, turn):
    """The answer before is complete, and the request queued but not sent, when the server speaks again."""
    one = server([Serve(n_at_once=n, times=1), Serve()])
    told = Told(one, depth).warm()
    base = told.base

    def queue():
        if told.http.currentId() == base + n - 1 and not told.http.hasPendingRequests():
            if turn:
                qhttp.run(2)
            else:
                threading.Event().wait(0.005)       # a socket that was empty just now is not looked at again
            told.get("/late")
            one.say(EVIL)

    getattr(told.http, signal).connect(queue)
    told.get(*PATHS[:n])
    assert told.wait() == "NoError"
    assert told.bodies == {**bodies(*range(n)), n: b"<body of /late>"}


@pytest.mark.parametrize("depth", [2, 3])
def test_answers_for_more_than_were_sent_are_not_taken(server, depth):
    def act(peer):
        heads = [take_head(peer) for _ in range(depth)]
        peer.server.note_answered(heads)
        peer.send(b"".join(map(plain, heads)) + EVIL * 3)

    one, told = all_asked(server, [act, hold], depth)
    assert told.error == "NoError"
    assert told.bodies == bodies(*range(N))
    assert one.answered == PATHS


def test_bytes_on_the_idle_connection_after_pipelining_close_it(server):
    one, told = all_asked(server, [Serve(n_at_once=N, times=1), hold])
    one.say(EVIL)
    turn_until(lambda: told.http.state().name == "Unconnected")
    told.begin()
    told.get("/0", "/1")
    assert told.wait() == "NoError"
    assert told.bodies == bodies(0, 1)


def test_end_of_the_idle_connection_without_a_turn_is_seen_before_requests_are_sent(server):
    one, told = all_asked(server, [Serve(n_at_once=N, times=1), hold])
    told.http.requestStarted.connect(lambda: one.connections[0]._hang_up())
    told.begin()
    told.get("/0", "/1", "/2")
    assert told.wait() == "NoError"
    assert told.bodies == bodies(0, 1, 2)
    assert one.paths() == ["/warm", *PATHS]


@pytest.mark.parametrize("signal", ["responseHeaderReceived", "readyRead"])
def test_answer_whose_head_came_in_pieces_is_not_found_again(scripted_server, signal):
    """By a request that is queued and sent in a slot of that answer, the first one of its line."""
    first, last = faults.whole(b"1"), threading.Event()
    server = scripted_server([ReceiveRequest(), Send(faults.whole(b"0")), ReceiveRequest(), Send(first[:9]),
                              lambda peer: last.wait(5), Send(first[9:]), ReceiveRequest(), Send(faults.whole(b"2"))])
    http, bodies, more = qhttp.QHttp(server.host, server.port), [], [2]
    http.setPipelining(4)
    http.requestFinished.connect(lambda id, error: bodies.append((error, bytes(http.readAll()))))
    http.stateChanged.connect(lambda state: len(bodies) == 1 and state == http.Reading and last.set())

    def ask():
        if len(bodies) == 1 and more:
            http.get(f"/{more.pop()}")
            turn_until(lambda: len(server.requests[0]) == 3)

    getattr(http, signal).connect(lambda *_: ask())
    http.get("/0")
    http.get("/1")
    assert http.waitForDone(5000)
    assert bodies == [(False, b"0"), (False, b"1"), (False, b"2")]
