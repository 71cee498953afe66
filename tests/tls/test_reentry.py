"""What happens in the midst of a read, a write or a good-bye of OpenSSL's: records of its own, requests that a signal's handler
queues, a handler that turns the loop, an interrupt."""
import pytest
from support import faults
from support.actions import Drain, ReceiveRequest, Send
from support.loops import turn_until
from support.pipelined import body_of, path_of
from tls.peers import Gate, Passed, Shake, Tampered, answer, answers, head, whole

import qhttp
from qhttp.engine import tls_context

OWN = b"\r\n"                   # stands for TLS's own record: a server skips it before a request (RFC 9112 section 2.2)
SIZES = range(8, 500)
PIECE = 10_000
FIRST, SECOND = b"1" * PIECE, b"2" * PIECE
OTHER = faults.BODY * 10_000


class Once:
    """Does something at one verb only, and once, when it is armed."""

    def __init__(self, verb, deed, armed=True):
        self.verb, self.deed, self.armed = verb, deed, armed

    def __call__(self, verb, tls):
        if self.armed and verb == self.verb:
            self.armed = False
            self.deed(tls)


class Interrupt(BaseException):
    """Stands for KeyboardInterrupt, which would end pytest itself where nobody catches it."""


def interrupt(tls):
    raise Interrupt


def paths(peer):
    return [path_of(request) for request in peer.taken]


def bodies_of(one):
    """What finishes from now on: (path, error, body)."""
    told, asked = [], {}
    one.http.requestFinished.connect(lambda id, error: told.append((asked.get(id), error, bytes(one.http.readAll()))))

    def get(path):
        asked[one.http.get(path)] = path
    return get, told


def named(*paths):
    """What `bodies_of` tells when each has its own answer."""
    return [(path, False, body_of(b"GET %s " % path.encode())) for path in paths]


@pytest.fixture
def naming(certificates, scripted_server):
    """A server whose answers name the request; naming(action) has an action played before the second answer."""
    def serve(peer):
        while True:
            ReceiveRequest()(peer)
            peer.send(answer(body_of(peer.taken[-1])))

    def make(*before_second):
        shaken = Shake(certificates.server())
        first = [ReceiveRequest(), lambda peer: peer.send(answer(body_of(peer.taken[-1])))]
        second = [ReceiveRequest(), *before_second, first[-1]] if before_second else []
        return scripted_server([shaken, *first, *second, serve], beyond=[shaken, serve])
    return make


# -- records of TLS's own: answers to new keys, refusals
def test_tls_own_record_made_with_the_last_of_an_answer_goes_out_as_it_is(certificates, scripted_server, client, acting):
    """The answer is finished before the loop has sent it. What is made then has every size that the record may have."""
    server = scripted_server(answers(certificates.server(), b"1", b"2"))
    acting(Once("read", lambda tls: tls.write(OWN)))
    one, made = client(server), []
    one.http.requestFinished.connect(lambda *_: made.extend(bytes(bytearray(n)) for n in SIZES))
    assert [one.get(), one.get()] == [("NoError", b"1"), ("NoError", b"2")]
    assert [request[:6] for request in server.connections[0].taken] == [b"GET / ", OWN + b"GET "]


def test_tls_own_record_stays_where_a_request_behind_it_is_taken_back(certificates, scripted_server, client, acting):
    """The request is lined up while the record waits, and asks again when the answer is there. Without the record TLS ends."""
    server = scripted_server(answers(certificates.server(), b"0", b"1", b"2"))
    own = Once("read", lambda tls: tls.write(OWN), armed=False)
    acting(own)
    one = client(server)
    one.http.setPipelining(4)
    assert one.get() == ("NoError", b"0")
    get, told = bodies_of(one)
    own.armed, more = True, iter(["/2"])
    one.http.responseHeaderReceived.connect(lambda header: [get(path) for path in more])
    get("/1")
    assert (one.wait(), told) == ("NoError", [("/1", False, b"1"), ("/2", False, b"2")])
    assert [request[:8] for request in server.connections[0].taken] == [b"GET / HT", b"GET /1 H", OWN + b"GET /2"]


# -- requests that are queued within a write
@pytest.mark.parametrize("nth", [1, 2])
def test_tls_request_queued_within_a_write_each_sent_once_and_answered(naming, client, acting, nth):
    server, writes = naming(), []

    def act(verb, tls):
        if verb == "write":
            writes.append(verb)
            if len(writes) == nth + 1:          # the first is that of /first
                get("/handler")

    acting(act)
    one = client(server)
    one.http.setPipelining(8)
    get, told = bodies_of(one)
    get("/first")
    assert one.wait() == "NoError"
    for path in "/a", "/b", "/c":
        get(path)
    assert (one.wait(), told) == ("NoError", named("/first", "/a", "/b", "/c", "/handler"))
    assert [paths(peer) for peer in server.connections] == [["/first", "/a", "/b", "/c", "/handler"]]


def test_tls_interrupt_within_the_write_of_a_request_that_goes_ahead_not_sent_twice(naming, client, acting):
    """Nobody knows whether it is encrypted: what waits for an answer there goes over another connection."""
    gate, stop = Gate(), Once("write", interrupt, armed=False)
    server = naming(gate)
    acting(stop)
    one = client(server)
    one.http.setPipelining(8)
    get, told = bodies_of(one)
    get("/first")
    assert one.wait() == "NoError"
    get("/a")
    turn_until(lambda: len(server.connections[0].taken) == 2)
    qhttp.loop().run(0)
    stop.armed = True
    with pytest.raises(Interrupt):
        one.http.get("/b")
    gate.open()
    assert (one.wait(), told[:2]) == ("NoError", named("/first", "/a"))
    assert told[2][1:] == named("/b")[0][1:]
    for peer in server.connections:
        assert len(set(paths(peer))) == len(paths(peer))


# -- a handler that turns the loop within a read
@pytest.fixture
def body_in_two(certificates, scripted_server):
    """A server whose body comes in two records, each when a gate is opened; and the gates."""
    gates = Gate(), Gate()

    def behind(gate, data):
        return lambda wire: (gate(None), wire.record(data))[1]

    steps = whole(head(b"Content-Length: %d" % (2 * PIECE))), behind(gates[0], FIRST), behind(gates[1], SECOND)
    return scripted_server([Tampered(certificates.server(), steps), Drain(5)]), *gates


def in_body(client, body_in_two, tmp_path, to):
    """A client that lets the first record of the body come when it has the head; and what its GET comes to."""
    server, first, _ = body_in_two
    one = client(server)
    one.http.responseHeaderReceived.connect(lambda header: first.open())

    def get():
        with open(tmp_path / "one", "wb") as file:
            error, body = one.get(to=file if to == "file" else None)
        return error, body or (tmp_path / "one").read_bytes()
    return one, get


def reads(nth, deed):
    """Does something behind the n-th read."""
    left = iter(range(1, nth + 1))
    return lambda verb, tls: verb == "read" and next(left, None) == nth and deed()


@pytest.mark.parametrize("to", ["file", "memory"])
def test_tls_other_body_received_into_a_file_within_a_read_gives_no_wrong_byte(
        body_in_two, scripted_server, client, acting, tmp_path, to):
    """What goes to files is received into memory that the loop's connections share."""
    plain = scripted_server([ReceiveRequest(), Send(faults.whole(OTHER))])
    other = qhttp.QHttp(plain.host, plain.port)
    got = []

    def turn():
        with open(tmp_path / "other", "wb") as file:
            other.get("/", file)
            assert other.waitForDone(4000)
        got.append((tmp_path / "other").read_bytes() == OTHER)
        body_in_two[2].open()

    acting(reads(2, turn))
    _, get = in_body(client, body_in_two, tmp_path, to)
    error, body = get()
    assert (got, error) == ([True], "WrongContentLength" if to == "file" else "NoError")
    assert body == (b"" if to == "file" else FIRST + SECOND)


@pytest.mark.parametrize("to", ["file", "memory"])
def test_tls_rest_of_the_body_received_within_a_read_gives_no_wrong_byte(body_in_two, client, acting, tmp_path, to):
    """It would stand before what that read has brought."""
    told = []

    def turn():
        body_in_two[2].open()
        turn_until(lambda: told)

    acting(reads(2, turn))
    one, get = in_body(client, body_in_two, tmp_path, to)
    one.http.dataReadProgress.connect(lambda *both: told.append(both))
    error, body = get()
    assert (error, FIRST in body) == ("WrongContentLength", False)


# -- an interrupt while a connection is tidied up
CLOSES = b"Connection: close"


@pytest.mark.parametrize("fields", [(), (CLOSES,)], ids=["kept", "closed"])
def test_tls_interrupt_while_a_finished_answer_is_tidied_up_raised_once_and_answer_whole(
        certificates, scripted_server, client, acting, monkeypatch, fields):
    context = certificates.server()
    server = scripted_server(beyond=[Shake(context), ReceiveRequest(), Send(answer(b"1", *fields)), Drain(5)])
    stop = Once("unwrap" if fields else "keep", interrupt)
    keep = tls_context.TlsConfiguration.keep_session
    monkeypatch.setattr(tls_context.TlsConfiguration, "keep_session", lambda *given: (stop("keep", None), keep(*given)))
    acting(stop)
    one = client(server)
    get, told = bodies_of(one)
    get("/1")
    with pytest.raises(Interrupt):
        one.wait()
    assert (one.wait(), told, one.states[-1]) == ("NoError", [("/1", False, b"1")], "Unconnected")
    assert (one.get("/2")[0], told[1:]) == ("NoError", [(None, False, b"1")])
    assert [paths(peer) for peer in server.connections] == [["/1"], ["/2"]]


@pytest.mark.parametrize("n_before", [0, 1])
def test_tls_interrupt_within_abort_batch_ends_and_the_next_one_is_done(naming, client, acting, n_before):
    passed, gate, stop = Passed(), Gate(), Once("unwrap", interrupt)
    server = naming(passed, gate)
    acting(stop)
    one = client(server)
    one.http.setPipelining(4)
    assert one.get("/0")[0] == "NoError"
    ends = []
    one.http.done.connect(ends.append)
    one.http.get("/1")
    for _ in range(n_before):
        one.http.get("/behind")
    turn_until(lambda: len(server.connections[0].taken) == 2)
    one.http.abort()
    with pytest.raises(Interrupt):
        one.wait()
    gate.open()
    assert (one.wait(), ends, one.states[-1]) == ("Aborted", [True], "Unconnected")
    assert (one.get("/2"), ends) == (("NoError", body_of(b"GET /2 ")), [True, False])


@pytest.mark.parametrize("end", ["close", "unasked"])
def test_tls_interrupt_while_an_idle_connection_is_closed_it_is_not_used_again(
        certificates, scripted_server, client, acting, end):
    context, gate = certificates.server(), Gate()
    unasked = [gate, Send(b"x")] if end == "unasked" else []
    server = scripted_server([*answers(context, b"1"), *unasked, Drain(5)], answers(context, b"2"))
    acting(Once("unwrap", interrupt))
    one = client(server)
    assert one.get("/1") == ("NoError", b"1")
    gate.open()
    if end == "close":
        one.http.close()
    with pytest.raises(Interrupt):
        turn_until(lambda: False)
    assert one.wait() == "NoError"
    assert (one.get("/2"), one.states.count("Connecting")) == (("NoError", b"2"), 2)
