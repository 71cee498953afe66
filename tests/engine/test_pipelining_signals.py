"""Pipelining tells what one request after the other tells: every signal, argument and body, at depth 8 as at depth 1."""
import functools
import random

import pytest
from engine.recording import noise, request
from support import faults
from support.pipelined import SIGNALS, Serve, Told, hold, path_of, plain, servers

import qhttp

BIG = noise(300_000)
CONTINUE = faults.head(status=b"HTTP/1.1 100 Continue\r\n")
HINTS = faults.head(b"Link: </style.css>", status=b"HTTP/1.1 103 Early Hints\r\n")
N_MANY, N_PIECES = 2000, 4000

server = pytest.fixture(servers)

# What the server says for each path. Those of the first table come with their head in one piece and in one signal.
SMALL = {
    "/length": faults.whole(b"with a length"),
    "/chunked": faults.chunked(b"one", b"two", b"three"),
    "/trailers": faults.chunked(b"one", trailers=b"X-Sum: 1\r\n"),
    "/empty": faults.whole(b""),
    "/empty-chunked": faults.chunked(),
    "/204": faults.head(status=b"HTTP/1.1 204 No Content\r\n"),
    "/304": faults.head(b"ETag: x", b"Content-Length: 10", status=b"HTTP/1.1 304 Not Modified\r\n"),
    "/head": faults.head(b"Content-Length: 1000"),
    "/continue": CONTINUE + faults.whole(b"after one interim answer"),
    "/hints": HINTS + CONTINUE + HINTS + faults.chunked(b"after three"),
    "/404": faults.whole(b"not here", status=b"HTTP/1.1 404 Not Found\r\n"),
    "/500": faults.whole(b"broken", status=b"HTTP/1.1 500 Oh\r\n"),
    "/302": faults.whole(b"there", b"Location: /there", status=b"HTTP/1.1 302 Found\r\n"),
    "/like-a-head": faults.whole(faults.whole(b"HTTP/1.1 200 OK\r\n\r\n")),
    "/bare-lf": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nlf",
}
LARGE = {
    "/big": faults.whole(BIG),
    "/big-chunked": faults.chunked(BIG[:100_000], BIG[100_000:100_001], BIG[100_001:]),
    "/big-head": faults.whole(b"after a large head", *[b"X-%d: %s" % (n, b"y" * 500) for n in range(60)]),
}
ENDS = {
    "/401": faults.whole(b"who are you", b"WWW-Authenticate: Basic realm=x", status=b"HTTP/1.1 401 Unauthorized\r\n"),
    "/407": faults.whole(b"who are you", status=b"HTTP/1.1 407 Proxy Authentication Required\r\n"),
    "/bad-head": b"220 mail.example ESMTP\r\n\r\n",
    "/two-lengths": faults.head(b"Content-Length: 1", b"Content-Length: 2") + b"xx",
    "/bad-chunk": faults.head(b"Transfer-Encoding: chunked") + b"zz\r\n",
    "/close": faults.whole(b"the last", b"Connection: close"),
    "/1.0": faults.whole(b"the last", status=b"HTTP/1.0 200 OK\r\n"),
}
ANSWERS = {**SMALL, **LARGE, **ENDS}


def answer_of(head):
    return ANSWERS.get(path_of(head)) or plain(head)


def ask(told, paths):
    for path in paths:
        if path == "/head":
            told.http.head(path)
        elif len(path) % 2:             # both ways of asking, the same in both runs
            told.http.request(request("GET", path))
        else:
            told.http.get(path)


def run(server, paths, depth, n_at_once=1, send=None):
    """What a client of that depth tells of these requests."""
    one = server([Serve(answer_of, n_at_once, times=1, send=send), Serve(answer_of, send=send)],
                 beyond=[Serve(answer_of, send=send)])
    told = Told(one, depth).warm()
    ask(told, paths)
    told.error = told.wait()
    return told


def bytewise(peer, data):
    for n in range(len(data)):
        peer.send(data[n:n + 1])


def in_pieces(seed):
    chance = random.Random(seed)

    def send(peer, data):
        at = 0
        while at < len(data):
            n = chance.choice((1, 2, 3, 10, 100, 1000, 10_000, 100_000))
            peer.send(data[at:at + n])
            at += n
    return send


def assert_same(told, reference):
    assert told.bodies == reference.bodies
    assert told.condensed() == reference.condensed()
    assert told.error == reference.error


# -- the same signals
@pytest.mark.parametrize("path", SMALL)
def test_small_answer_tells_exactly_the_same_in_its_turn(server, path):
    paths = ["/a", path, path, "/b"]
    reference, told = run(server, paths, 1), run(server, paths, 8, n_at_once=4)
    assert told.log == reference.log
    assert told.bodies == reference.bodies


@pytest.mark.parametrize("n_at_once", [1, 2, 8])
def test_small_answers_of_all_kinds_tell_exactly_the_same(server, n_at_once):
    paths = [*SMALL, *reversed(SMALL)]
    reference, told = run(server, paths, 1), run(server, paths, 8, n_at_once)
    assert told.log == reference.log
    assert told.bodies == reference.bodies


@pytest.mark.parametrize("n_at_once", [1, 6])
@pytest.mark.parametrize("path", LARGE)
def test_large_answer_tells_the_same_in_its_turn(server, path, n_at_once):
    paths = ["/a", path, "/b", path, path, "/c"]
    reference, told = run(server, paths, 1), run(server, paths, 8, n_at_once)
    assert_same(told, reference)
    assert told.bodies[1]


@pytest.mark.parametrize("n_at_once", [1, 4])
@pytest.mark.parametrize("path", ENDS)
def test_answer_that_ends_something_tells_the_same_in_its_turn(server, path, n_at_once):
    paths = ["/a", path, "/b", "/c"]
    reference, told = run(server, paths, 1), run(server, paths, 8, n_at_once)
    assert_same(told, reference)
    assert told.error == {"/401": "AuthenticationRequiredError", "/407": "ProxyAuthenticationRequiredError",
                          "/bad-head": "InvalidResponseHeader", "/two-lengths": "InvalidResponseHeader",
                          "/bad-chunk": "WrongContentLength"}.get(path, "NoError")


def test_answers_that_come_byte_by_byte_tell_the_same(server):
    paths = list(SMALL)
    assert_same(run(server, paths, 8, send=bytewise), run(server, paths, 1))


@pytest.mark.parametrize("seed", range(6))
def test_answers_that_come_in_pieces_of_chance_tell_the_same(server, seed):
    paths = [*SMALL, *LARGE]
    random.Random(seed).shuffle(paths)
    assert_same(run(server, paths, 8, n_at_once=8, send=in_pieces(seed)), run(server, paths, 1))


@pytest.mark.parametrize("first, second", [
    ("/length", "/chunked"), ("/chunked", "/empty"), ("/continue", "/204"), ("/hints", "/length"), ("/304", "/head"),
    ("/head", "/trailers"),
])
def test_two_answers_split_at_every_byte_tell_the_same(server, first, second):
    reference = run(server, [first, second], 1)
    data = ANSWERS[first] + ANSWERS[second]
    one = server([hold])
    told = Told(one, 8).warm()
    for at in range(1, len(data)):
        told.begin()
        ask(told, [first, second])
        for _ in range(4):
            qhttp.run(0)
        one.wait_for(functools.partial(lambda n: len(one.paths()) == n, 1 + 2 * at))
        one.say(data[:at])
        qhttp.run(1)
        one.say(data[at:])
        told.error = told.wait()
        assert_same(told, reference)
    assert len(one.connections) == 1


def test_requests_larger_than_the_sockets_take_tell_what_was_sent(server):
    """2 MB of heads under way while the server does not read: what each has sent is told in its turn."""
    n, filler = 40, "x" * 50_000
    paths = [f"/{number}/{filler}" for number in range(n)]

    def total_sent(told):
        last = {}
        for name, values, id in told.log:
            if name == "dataSendProgress":
                assert values[0] > last.get(id, (0, 0))[0] and values[0] <= values[1]
                last[id] = values
        return last

    def run_with(depth):
        one = server([Serve(lambda head: faults.whole(path_of(head)[:4].encode()), depth)])
        told = Told(one, depth).warm()
        told.get(*paths)
        assert told.wait() == "NoError"
        return told

    reference, told = run_with(1), run_with(n)
    assert told.bodies == reference.bodies == {number: paths[number][:4].encode() for number in range(n)}
    assert total_sent(told) == total_sent(reference)
    assert all(done == total for done, total in total_sent(told).values())


# -- many
@pytest.mark.parametrize("seed", [1, 2])
def test_requests_by_the_thousand_get_their_bodies_on_one_connection(server, seed):
    chance = random.Random(seed)
    sizes = [chance.choice((0, 1, 5, 50, 500, 5000, 50_000)) + chance.randrange(10) for _ in range(N_MANY)]

    def body(number):
        return (b"%d " % number + BIG)[number % 7:][:sizes[number]]

    def answer(head):
        data = body(int(path_of(head)[1:]))
        return faults.whole(data) if len(data) % 2 else faults.chunked(*filter(None, (data[:9], data[9:])))

    def send(peer, data):
        """All that is asked for already is answered together, and cut by chance."""
        peer.held = getattr(peer, "held", b"") + data
        if not peer.pending or len(peer.held) > 300_000:
            data, peer.held = peer.held, b""
            for_chance(peer, data)

    for_chance = in_pieces(seed)
    one = server([Serve(answer, send=send)])
    told = Told(one, 32).warm()
    told.get(*[f"/{number}" for number in range(N_MANY)])
    assert told.wait() == "NoError"
    assert [id for id, _ in told.finished()] == list(range(N_MANY))
    assert all(told.bodies[number] == body(number) for number in range(N_MANY))
    assert one.paths()[1:] == [f"/{number}" for number in range(N_MANY)]
    assert len(one.connections) == 1


# -- slots that do something, while the answers of those behind wait in the buffer
class Marked(Exception):
    pass


def queue_more(told):
    told.get("/more")


def wait_a_little(told):
    told.http.waitForDone(5)


def turn_a_little(told):
    qhttp.run(5)


def queue_and_turn(told):
    told.get("/more")
    qhttp.run(5)


def look(told):
    http = told.http
    told.log.append((http.hasPendingRequests(), http.currentRequest().path(), http.state().name, http.error().name,
                     http.lastResponse().statusCode(), http.bytesAvailable()))


def fail(told):
    raise Marked


def run_with_slot(server, depth, signal, act, at):
    """Five requests; `act` is done in the slot of one signal, when the request `at` is current."""
    one = server([Serve(plain, 5 if depth > 1 else 1, times=1), Serve()])
    told = Told(one, depth).warm()
    base, acted = told.base, []

    def slot():
        if not acted and (signal == "done" or told.http.currentId() - base == at):
            acted.append(True)
            act(told)

    getattr(told.http, signal).connect(slot)
    told.get(*[f"/{n}" for n in range(5)])
    for _ in range(2):
        try:
            told.error = told.wait()
            break
        except Marked:
            told.n_raised = getattr(told, "n_raised", 0) + 1
    assert acted
    assert getattr(told, "n_raised", 0) == (act is fail)      # run() raises at the end of its turn, then it goes on
    return one, told


@pytest.mark.parametrize("at", [0, 1, 4])
@pytest.mark.parametrize("act", [queue_more, wait_a_little, turn_a_little, queue_and_turn, look, fail])
@pytest.mark.parametrize("signal", SIGNALS)
def test_slot_that_acts_while_answers_wait_changes_nothing(server, signal, act, at):
    if signal == "done" and at:
        pytest.skip("done comes once")
    _, reference = run_with_slot(server, 1, signal, act, at)
    one, told = run_with_slot(server, 8, signal, act, at)
    assert told.bodies == reference.bodies
    assert told.log == reference.log
    assert len(one.connections) == 1
