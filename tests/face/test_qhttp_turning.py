"""The loop is turned from inside: slots that wait without a limit, sources and destinations that turn the loop while they are
asked for bytes or given some. Cases that could take the interpreter with them are played in children."""
import contextlib
import io
import threading
import time

import pytest
from support.actions import CloseAtOnce, Pause, ReceiveAnything, ReceiveHead, ReceiveRequest, Reset, Send
from support.apart import run_apart
from support.faults import BODY, head, whole
from support.scripted_server import ScriptedServer

import qhttp
from qhttp import QHttp

PLACES = ["requestStarted", "requestFinished", "done", "responseHeaderReceived", "readyRead", "dataReadProgress",
          "dataSendProgress", "Connecting", "Sending", "Reading", "Connected", "Closing", "Unconnected"]
WAIT_LIMIT_S = 1.0          # of a test in which nothing takes longer than some milliseconds
PLAY_LIMIT_S = 6
UPLOAD = b"u" * 20_000


def call_once_at(http, place, function):
    """Calls a function at the first emit of a signal, or when a state is told for the first time."""
    calls = []

    def slot(*arguments):
        if not calls and (not place[0].isupper() or arguments[0].name == place):
            calls.append(1)
            function()

    getattr(http, "stateChanged" if place[0].isupper() else place).connect(slot)


def waits_or_is_refused(wait, http):
    """True where a wait without a limit comes back."""
    with contextlib.suppress(RuntimeError):
        wait(http)
    return True


# -- waiting without a limit: it ends, or is refused, but never for ever
@pytest.mark.limit(WAIT_LIMIT_S)
@pytest.mark.parametrize("style", ["whole", "close"])
@pytest.mark.parametrize("place", PLACES)
def test_wait_without_limit_in_a_slot_comes_back(make, path_server, record, finish, place, style):
    http = make(path_server)
    told, waited = record(http), []

    def wait():
        try:
            waited.append(http.waitForDone())
        except RuntimeError as refusal:
            waited.append(refusal)

    call_once_at(http, place, wait)
    path = path_server.path(style)
    numbers = [http.get(path), http.get(path)]
    finish(http)
    assert len(waited) == (place not in ("Closing", "Unconnected", "Connected") or place in told.states)
    assert told.finished == [(number, False) for number in numbers] and told.of("done") == [False]
    assert http.readAll() == path_server.body(path)


@pytest.mark.limit(WAIT_LIMIT_S)
@pytest.mark.parametrize("place", PLACES)
def test_run_without_limit_in_a_slot_comes_back(make, path_server, record, finish, place):
    http = make(path_server)
    told = record(http)

    call_once_at(http, place, lambda: waits_or_is_refused(lambda http: qhttp.run(), http))
    path = path_server.path("thirds")
    number = http.get(path)
    finish(http)
    assert told.finished == [(number, False)] and http.readAll() == path_server.body(path)


@pytest.mark.limit(WAIT_LIMIT_S)
def test_two_objects_waiting_for_each_other_without_limit_come_back(make, path_server, finish):
    first, second = make(path_server), make(path_server)
    seen = []

    def wait(http):
        try:
            seen.append(http.waitForDone())
        except RuntimeError as refusal:
            seen.append(refusal)

    call_once_at(first, "responseHeaderReceived", lambda: wait(second))
    call_once_at(second, "responseHeaderReceived", lambda: wait(first))
    path = path_server.path("body")
    for http in (first, second):
        http.get(path)
    finish(first)
    finish(second)
    assert len(seen) == 2 and first.readAll() == second.readAll() == path_server.body(path)


@pytest.mark.limit(WAIT_LIMIT_S)
@pytest.mark.parametrize("place", ["requestStarted", "requestFinished", "done", "readyRead", "Connecting", "Sending",
                                   "Reading"])
def test_wait_for_another_object_in_a_slot_comes_back(make, path_server, finish, place):
    http, other = make(path_server), make(path_server)
    bodies = []

    def fetch():
        other.get(path_server.path("thirds", 90, "other"))
        assert other.waitForDone()
        bodies.append(other.readAll())

    call_once_at(http, place, fetch)
    http.get(path_server.path("thirds"))
    finish(http)
    assert bodies == [path_server.body(path_server.path("thirds", 90, "other"))]
    assert http.readAll() == path_server.body(path_server.path("thirds"))


@pytest.mark.limit(WAIT_LIMIT_S)
@pytest.mark.parametrize("place", PLACES[:-3])
def test_abort_queue_and_wait_in_a_slot_new_batch_done_when_it_comes_back(make, path_server, place):
    http = make(path_server)
    seen = []
    path = path_server.path("whole", 90, "new")

    def start_anew():
        http.abort()
        http.get(path)
        seen.append((http.waitForDone(), http.readAll()))

    call_once_at(http, place, start_anew)
    http.get(path_server.path("whole", 90, "old"))
    assert http.waitForDone(1000)
    assert seen == [(True, path_server.body(path))]


def test_wait_in_a_failed_requestfinished_comes_back(make, path_server, record, finish):
    http = make(path_server)
    told = record(http)
    call_once_at(http, "requestFinished", lambda: http.waitForDone(20))
    number = http.get(path_server.path("cut"))
    finish(http)
    assert told.finished == [(number, True)] and told.of("done") == [True]


def test_wait_with_zero_turns_once_and_comes_back(make, path_server):
    http = make(path_server)
    http.get(path_server.path("whole"))
    assert http.waitForDone(0) is False and http.waitForDone(2000) is True and http.waitForDone(0) is True


# -- what is told meanwhile
@pytest.mark.parametrize("status", [200, 404])
def test_turn_in_state_reading_header_told_before_its_body(make, scripted_server, record, finish, status):
    rest_wanted = []
    server = scripted_server([
        ReceiveRequest(), Send(whole(b"first", status=b"HTTP/1.1 201 Created\r\n")), ReceiveRequest(),
        Send(head(b"Content-Length: 4", status=b"HTTP/1.1 %d X\r\n" % status) + b"ab"),
        lambda peer: peer.server.wait_for(lambda: rest_wanted), Send(b"cd")])
    http = make(server)
    http.get("/1")
    finish(http)
    told = record(http)

    def turn():
        rest_wanted.append(1)
        server._notify()
        while http.bytesAvailable() < 4 and http.currentId():
            qhttp.run(1)

    call_once_at(http, "Reading", turn)
    http.get("/2")
    finish(http)
    assert told.of("responseHeaderReceived") == [status] and set(told.of("readyRead")) == {status}
    assert told.names.index("responseHeaderReceived") < told.names.index("dataReadProgress")
    assert (http.lastResponse().statusCode(), http.readAll()) == (status, b"abcd")


def test_turn_in_state_reading_401_is_still_an_error(make, scripted_server, record, finish):
    server = scripted_server([ReceiveRequest(), Send(head(b"Content-Length: 4", status=b"HTTP/1.1 401 No\r\n") + b"ab"),
                              Pause(0.01),
                              Send(b"cd")])
    http = make(server)
    told = record(http)
    call_once_at(http, "Reading", lambda: http.waitForDone(50))
    number = http.get("/")
    finish(http)
    assert told.finished == [(number, True)] and http.error() == QHttp.AuthenticationRequiredError
    assert "readyRead" not in told.names


def test_done_with_error_queues_and_turns_state_ends_unconnected(make, path_server, record, finish):
    http = make(path_server)
    told = record(http)
    http.readyRead.connect(http.abort)
    call_once_at(http, "done", lambda: (http.setHost("h"), http.waitForDone(500)))
    http.get(path_server.path("thirds"))
    finish(http)
    assert told.of("done") == [True, False]
    assert http.state() == QHttp.Unconnected and told.states[-2:] == ["Closing", "Unconnected"]


def test_deletelater_and_turn_in_failed_requestfinished_done_once(make, path_server, record, finish):
    http = make(path_server)
    told = record(http)
    call_once_at(http, "requestFinished", lambda: (http.deleteLater(), http.waitForDone(20)))
    http.get(path_server.path("cut"))
    finish(http)
    assert len(told.finished) == 1 and len(told.of("done")) <= 1 and http.state() == QHttp.Unconnected


def test_deep_nesting_of_waits_all_come_back(make, path_server):
    objects = [make(path_server) for _ in range(40)]
    bodies = []

    def fetch(n):
        http = objects[n]
        if n + 1 < len(objects):
            call_once_at(http, "responseHeaderReceived", lambda: fetch(n + 1))
        http.get(path_server.path("thirds", 90, n))
        assert http.waitForDone(3000)
        bodies.append(http.readAll())

    fetch(0)
    assert bodies == [path_server.body(path_server.path("thirds", 90, n)) for n in reversed(range(40))]


# -- destinations
class TurningDestination:
    """Turns the loop before it keeps what it is given."""

    def __init__(self, http, n_turns=20):
        self.http, self.n_turns, self.data = http, n_turns, b""

    def write(self, data):
        for _ in range(self.n_turns):
            self.http.waitForDone(1)
        self.data += data


@pytest.mark.parametrize("style", ["thirds", "chunks", "close"])
def test_destination_that_turns_the_loop_keeps_the_order_of_bytes(make, path_server, finish, style):
    http = make(path_server)
    to = TurningDestination(http)
    path = path_server.path(style, 900)
    http.get(path, to)
    finish(http)
    assert http.error() == QHttp.NoError and to.data == path_server.body(path)


class ActingDestination(io.BytesIO):
    """Does something at its first write, then keeps it."""

    def __init__(self, deed):
        super().__init__()
        self.deed = deed

    def write(self, data):
        deed, self.deed = self.deed, None
        if deed is not None:
            deed()
        return super().write(data)


@pytest.mark.limit(WAIT_LIMIT_S)
@pytest.mark.parametrize("style", ["thirds"])
@pytest.mark.parametrize("wait", [lambda http: http.waitForDone(), lambda http: qhttp.run()], ids=["wait", "run"])
def test_destination_that_waits_without_limit_comes_back(make, path_server, record, style, wait):
    http = make(path_server)
    told = record(http)
    came_back = []
    number = http.get(path_server.path(style), ActingDestination(lambda: came_back.append(waits_or_is_refused(wait, http))))
    assert http.waitForDone(1000) and came_back == [True] and [finished for finished, _ in told.finished] == [number]


@pytest.mark.parametrize("style", ["whole", "thirds", "chunks", "close"])
@pytest.mark.parametrize("deed", ["abort", "deleteLater", "clearPendingRequests", "close", "abort_and_queue", "abort_and_wait"])
def test_destination_that_acts_while_written_to_ends_each_request_once(make, path_server, record, finish, style, deed):
    http = make(path_server)
    told = record(http)
    path = path_server.path("whole", 50, "new")
    deeds = {"abort_and_queue": lambda: (http.abort(), http.get(path)),
             "abort_and_wait": lambda: (http.abort(), http.waitForDone(20))}
    to = ActingDestination(deeds.get(deed) or getattr(http, deed))
    number = http.get(path_server.path(style), to)
    finish(http)
    assert told.faults() == [] and told.finished[0][0] == number
    if deed == "abort_and_queue":
        assert told.finished[-1][1] is False and http.readAll() == path_server.body(path)
    if deed in ("clearPendingRequests", "close"):
        assert to.getvalue() == path_server.body(path_server.path(style)) and http.error() == QHttp.NoError


# -- sources
class ActingSource(io.BytesIO):
    """Does something in the n-th call of one of its methods."""

    def __init__(self, data, method, n, deed):
        super().__init__(data)
        self.method, self.n_left, self.deed = method, n, deed

    def _act(self, method):
        if method == self.method:
            self.n_left -= 1
            if self.n_left == 0:
                self.deed()

    def read(self, n=-1):
        self._act("read")
        return super().read(n)

    def seek(self, *arguments):
        self._act("seek")
        return super().seek(*arguments)

    def size(self):
        self._act("size")
        return len(self.getvalue())


@pytest.mark.parametrize("method, n", [("size", 1), ("seek", 1), ("seek", 2), ("read", 1), ("read", 3)])
@pytest.mark.parametrize("deed", ["abort", "deleteLater", "abort_and_queue", "abort_and_wait", "wait"])
def test_source_that_acts_while_asked_ends_each_request_once(make, path_server, record, finish, method, n, deed):
    http = make(path_server)
    told = record(http)
    path = path_server.path("whole", 50, "new")
    deeds = {"abort_and_queue": lambda: (http.abort(), http.get(path)),
             "abort_and_wait": lambda: (http.abort(), http.waitForDone(20)),
             "wait": lambda: http.waitForDone(20)}
    number = http.post(path_server.path("whole"), ActingSource(UPLOAD, method, n, deeds.get(deed) or getattr(http, deed)))
    finish(http)
    assert told.faults() == [] and told.finished[0] == (number, deed != "wait")
    assert len(told.of("done")) == (2 if deed == "abort_and_queue" else 1)
    assert http.waitForDone(1000)               # the turn after: Unconnected
    if deed == "abort_and_queue":
        assert told.finished[-1][1] is False and http.readAll() == path_server.body(path)
    elif deed != "wait":
        assert http.state() == QHttp.Unconnected


@pytest.mark.limit(WAIT_LIMIT_S)
@pytest.mark.parametrize("method, n", [("size", 1), ("read", 3)])
@pytest.mark.parametrize("wait", [lambda http: http.waitForDone(), lambda http: qhttp.run()], ids=["wait", "run"])
def test_source_that_waits_without_limit_comes_back(make, path_server, record, method, n, wait):
    http = make(path_server)
    told = record(http)
    came_back = []
    number = http.post(path_server.path("whole"), ActingSource(UPLOAD, method, n, lambda: came_back.append(
        waits_or_is_refused(wait, http))))
    assert http.waitForDone(1000) and came_back == [True] and [finished for finished, _ in told.finished] == [number]


@pytest.mark.parametrize("method, n", [("size", 1), ("seek", 1), ("seek", 2), ("read", 1), ("read", 3)])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, ValueError, MemoryError])
def test_source_that_raises_request_fails_and_the_next_one_is_fine(make, path_server, record, finish, method, n, kind):
    def fail():
        raise kind("from the source")

    http = make(path_server)
    told = record(http)
    failing = http.post(path_server.path("whole"), ActingSource(UPLOAD, method, n, fail))
    try:
        assert http.waitForDone(500), "hangs"
    except BaseException as error:
        assert type(error) is kind
    assert http.waitForDone(500), f"hangs after {told.events}"
    assert told.finished == [(failing, True)] and http.error() == QHttp.UnknownError
    path = path_server.path("whole")
    http.get(path)
    finish(http)
    assert http.readAll() == path_server.body(path)


# -- played in children, since they could crash
def play(scenario):
    return SCENARIOS[scenario]()


def put(first_script, source, turn_while):
    """PUTs a source whose deed turns the loop, a turn at a time, as long as turn_while(states) says.

    The first connection plays its script, with `begun` in it: waits until the deed has begun; the next ones answer.
    """
    inside, states = threading.Event(), []
    script = [lambda peer, action=action: inside.wait(PLAY_LIMIT_S) if action is begun else action(peer)
              for action in first_script]

    def deed():
        inside.set()
        end = time.monotonic() + 3
        while turn_while(states) and http.currentId() and time.monotonic() < end:
            qhttp.loop().run(0)

    with ScriptedServer(script, beyond=[ReceiveRequest(), Send(whole())]) as server:
        http = QHttp(server.host, server.port)
        http.stateChanged.connect(lambda state: states.append(state.name))
        http.request(qhttp.QHttpRequestHeader("PUT", "/"), source(deed))
        ended = http.waitForDone(2000)
        return ended, http.error().name, bytes(http.readAll()), [request for taken in server.requests for request in taken]


begun = object()


def lost_while_the_source_seeks():
    """The connection goes, and a new one is under way, while the source is inside seek()."""
    return put([begun, Reset()], lambda deed: ActingSource(UPLOAD, "seek", 2, deed), lambda states: "Unconnected" not in states)


def lost_while_the_source_reads():
    """The same inside read()."""
    return put([ReceiveHead(), begun, Reset()], lambda deed: ActingSource(UPLOAD, "read", 2, deed),
               lambda states: "Unconnected" not in states)


def sent_again_while_the_source_reads():
    """The new connection stands and has begun to send the body again, inside read()."""
    return put([ReceiveHead(), begun, CloseAtOnce()], lambda deed: ActingSource(UPLOAD, "read", 2, deed),
               lambda states: states.count("Sending") < 2)


def answered_while_the_source_reads():
    """The answer comes early, inside read()."""
    return put([ReceiveHead(), begun, Send(whole()), ReceiveAnything()], lambda deed: ActingSource(UPLOAD, "read", 2, deed),
               lambda states: not {"Connected", "Unconnected"} & set(states))


SCENARIOS = {function.__name__: function for function in (
    lost_while_the_source_seeks, lost_while_the_source_reads, sent_again_while_the_source_reads,
    answered_while_the_source_reads)}


@pytest.fixture(scope="module")
def played():
    return dict(run_apart("face.test_qhttp_turning:play", {name: (name,) for name in SCENARIOS}, at_once=4,
                          limit_s=PLAY_LIMIT_S))


@pytest.mark.limit(4 * PLAY_LIMIT_S)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_connection_changes_inside_a_source_request_sound(played, scenario):
    assert played[scenario].crash is None
    ended, error, body, requests = played[scenario].value
    assert ended
    if error == "NoError":
        assert body == BODY
        for request in requests:
            upload = request.partition(b"\r\n\r\n")[2]
            assert UPLOAD.startswith(upload)
