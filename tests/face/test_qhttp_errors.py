"""Errors: what error(), errorString() and state() say on the way, which signals come and which do not, and that the same object
works again afterwards. The limits of time are errors, too."""
import socket
import threading
import time

import pytest
from support import faults
from support.actions import Close, CloseAtOnce, Drip, Pause, ReceiveRequest, Reset, Send
from support.faults import BODY, chunk, head, whole

import qhttp
from qhttp import QHttp
from qhttp.engine import resolver as resolver_module

REFUSED = "Connection refused (or timed out)"
CLOSED = "Server closed connection unexpectedly"
INVALID_HEAD = "Invalid HTTP response header"
LENGTH = "Wrong content length"
CHUNKED = "Invalid HTTP chunked body"
THREE_TRIES = ["Connecting", "Sending", "Closing", "Unconnected"] * 2 + ["Connecting", "Sending"]
OVER = ["Closing", "Unconnected"]
READ = ["Connecting", "Sending", "Reading"]

# fault -> (error, its text or the beginning of it, states)
FAULTS = {
    "no answer": (faults.no_answer(), "UnexpectedClose", CLOSED, THREE_TRIES + OVER),
    "reset before the answer": (faults.reset_before_answer(), "UnexpectedClose", CLOSED, THREE_TRIES + OVER),
    "head cut in the status line": (faults.cut_head(5), "UnexpectedClose", CLOSED, READ + OVER),
    "head cut in the fields": (faults.cut_head(), "UnexpectedClose", CLOSED, READ + OVER),
    "head cut before the blank line": (faults.cut_head(len(whole()) - len(BODY) - 2), "UnexpectedClose", CLOSED, READ + OVER),
    "reset in the head": ([ReceiveRequest(), Send(b"HTTP/1.1 200"), Pause(0.01), Reset()], "UnexpectedClose", CLOSED,
                          READ + OVER),
    "body cut": (faults.cut_body(), "WrongContentLength", LENGTH, READ + OVER),
    "body never begun": (faults.cut_body(len(BODY)), "WrongContentLength", LENGTH, READ + OVER),
    "reset in the body": (faults.reset_mid_body(), "WrongContentLength", LENGTH, READ + OVER),
    "reset in a body until close": (faults.reset_until_close(), "UnexpectedClose", CLOSED, READ + OVER),
    "chunks cut": (faults.cut_chunks(), "WrongContentLength", "", READ + OVER),
    "chunks cut in a size line": ([ReceiveRequest(), Send(head(b"Transfer-Encoding: chunked") + chunk(b"x") + b"5"), Close()],
                                  "WrongContentLength", "", READ + OVER),
    "bad chunk": (faults.bad_chunk(), "WrongContentLength", CHUNKED, READ + OVER),
    "no HTTP": (faults.bad_head(), "InvalidResponseHeader", INVALID_HEAD, READ + OVER),
    "two lengths": (faults.two_lengths(), "InvalidResponseHeader", INVALID_HEAD, READ + OVER),
    "length and chunked": ([ReceiveRequest(),
                            Send(head(b"Content-Length: 1", b"Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\n\r\n"),
                            Close()], "InvalidResponseHeader", INVALID_HEAD, READ + OVER),
    "endless head": (faults.endless_head(), "InvalidResponseHeader", INVALID_HEAD, READ + OVER),
    "401": ([ReceiveRequest(), Send(whole(b"no", status=b"HTTP/1.1 401 No\r\n"))], "AuthenticationRequiredError",
            "Unknown authentication method", READ + OVER),
    "407": ([ReceiveRequest(), Send(whole(b"no", status=b"HTTP/1.1 407 No\r\n"))], "ProxyAuthenticationRequiredError",
            "Proxy authentication required", READ + OVER),
    "101": ([ReceiveRequest(), Send(b"HTTP/1.1 101 Switching\r\n\r\n")], "InvalidResponseHeader", INVALID_HEAD, READ + OVER),
}


@pytest.fixture
def listener_that_never_accepts():
    """An address whose connection attempts get no answer: its queue of connections is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        yield listener.getsockname()
        for filler in fillers:
            filler.close()


@pytest.fixture
def no_names(monkeypatch):
    """No name has an address; the names that were asked for."""
    asked = []

    def look_up(host, port):
        asked.append((host, port))
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(resolver_module, "look_up", look_up)
    return asked


# -- on the way
@pytest.mark.parametrize("fault", FAULTS)
def test_error_told_with_its_text_and_states(make, scripted_server, record, finish, fault):
    script, error, text, states = FAULTS[fault]
    http = make(scripted_server(beyond=script))
    told = record(http)
    seen = []
    http.requestFinished.connect(lambda *_: seen.append((http.error().name, http.errorString(), http.currentId())))
    http.done.connect(lambda *_: seen.append((http.error().name, http.errorString(), http.currentId())))
    number, waiting = http.get("/"), http.get("/waits")
    finish(http)
    assert told.finished == [(number, True)] and told.of("done") == [True] and waiting not in told.started
    assert (http.error().name, http.state()) == (error, QHttp.Unconnected) and http.errorString().startswith(text)
    assert told.states == states
    assert seen == [(error, http.errorString(), number), (error, http.errorString(), 0)]
    assert told.names[-2:] == ["stateChanged"] * 2 and told.names[-3] == "done"     # the connection is closed last


@pytest.mark.parametrize("fault", FAULTS)
def test_error_reset_and_object_works_again(make, scripted_server, path_server, record, finish, fault):
    http = make(scripted_server(beyond=FAULTS[fault][0]))
    http.get("/")
    finish(http)
    told, seen = record(http), []
    http.requestStarted.connect(lambda: seen.append((http.error(), http.errorString())))
    http.setHost(path_server.host, path_server.port)
    assert http.error() != QHttp.NoError        # until it starts
    path = path_server.path("thirds")
    http.get(path)
    finish(http)
    assert seen == [(QHttp.NoError, "Unknown error")] * 2 and told.of("done") == [False]
    assert http.readAll() == path_server.body(path) and http.lastResponse().statusCode() == 200


@pytest.mark.parametrize("fault", FAULTS)
def test_error_batch_queued_in_done_with_error_works(make, scripted_server, path_server, record, finish, fault):
    http = make(scripted_server(beyond=FAULTS[fault][0]))
    told = record(http)
    path = path_server.path("thirds")

    def again(error):
        if error:
            http.setHost(path_server.host, path_server.port)
            http.get(path)

    http.done.connect(again)
    http.get("/")
    finish(http)
    assert told.of("done") == [True, False] and http.readAll() == path_server.body(path)
    assert http.state() == QHttp.Connected


@pytest.mark.parametrize("fault", ["body cut", "reset in the body", "chunks cut", "bad chunk", "reset in a body until close"])
def test_error_in_a_body_header_was_told_and_what_came_is_a_beginning(make, scripted_server, record, finish, fault):
    http = make(scripted_server(beyond=FAULTS[fault][0]))
    told = record(http)
    http.get("/")
    finish(http)
    assert told.of("responseHeaderReceived") == [200] and http.lastResponse().statusCode() == 200
    assert BODY.startswith(http.readAll()) or fault == "bad chunk"


@pytest.mark.parametrize("fault", ["no HTTP", "two lengths", "length and chunked", "endless head", "401", "407", "101",
                                   "head cut in the fields"])
def test_error_in_a_head_no_header_and_no_body_told(make, scripted_server, record, finish, fault):
    http = make(scripted_server(beyond=FAULTS[fault][0]))
    told = record(http)
    http.get("/")
    finish(http)
    assert not {"responseHeaderReceived", "readyRead", "dataReadProgress"} & set(told.names) and http.bytesAvailable() == 0


def test_bad_length_in_one_answer_of_many_others_before_it_fine(make, scripted_server, record, finish):
    server = scripted_server([*faults.answer(b"1", b"2"), *faults.cut_body()])
    http = make(server)
    told = record(http)
    numbers = [http.get(f"/{n}") for n in range(4)]
    finish(http)
    assert told.finished == [(numbers[0], False), (numbers[1], False), (numbers[2], True)]


def test_status_errors_are_no_errors(make, scripted_server, record, finish):
    codes = [400, 403, 404, 410, 418, 500, 503, 599, 301, 299]
    server = scripted_server([action for code in codes
                              for action in (ReceiveRequest(), Send(whole(b"x", status=b"HTTP/1.1 %d X\r\n" % code)))])
    http = make(server)
    told = record(http)
    for _ in codes:
        http.get("/")
    finish(http)
    assert told.of("responseHeaderReceived") == codes and told.of("done") == [False]


# -- no connection
def test_refused_port_told_without_closing(make, closed_port, record, finish):
    http = make(closed_port.host, closed_port.port)
    told = record(http)
    seen = []
    http.requestFinished.connect(lambda: seen.append(http.state()))
    number = http.get("/")
    http.get("/waits")
    finish(http)
    assert told.events == [("requestStarted", number), ("stateChanged", "Connecting"), ("requestFinished", number, True),
                           ("done", True), ("stateChanged", "Unconnected")]
    assert (http.error(), http.errorString(), seen) == (QHttp.ConnectionRefused, REFUSED, [QHttp.Connecting])


def test_unknown_host_told_by_name_and_looked_up_once(make, no_names, record, finish):
    http = make("nowhere.invalid", 8080)
    told = record(http)
    number = http.get("/")
    finish(http)
    assert told.events == [("requestStarted", number), ("stateChanged", "HostLookup"), ("requestFinished", number, True),
                           ("done", True), ("stateChanged", "Unconnected")]
    assert (http.error(), http.errorString()) == (QHttp.HostNotFound, "Host nowhere.invalid not found")
    assert no_names == [("nowhere.invalid", 8080)]


@pytest.mark.parametrize("problem", [OSError("no network"), UnicodeError("bad name"), socket.gaierror(-3, "try again")])
def test_lookup_that_fails_in_another_way_host_not_found(make, monkeypatch, record, finish, problem):
    def look_up(host, port):
        raise problem

    monkeypatch.setattr(resolver_module, "look_up", look_up)
    http = make(f"{type(problem).__name__.lower()}.invalid")
    http.get("/")
    finish(http)
    assert http.error() == QHttp.HostNotFound


def test_lookup_that_gives_nothing_host_not_found(make, monkeypatch, finish):
    monkeypatch.setattr(resolver_module, "look_up", lambda host, port: [])
    http = make("empty.invalid")
    http.get("/")
    finish(http)
    assert http.error() == QHttp.HostNotFound


def test_lookup_aborted_while_it_runs_next_batch_fine(make, monkeypatch, path_server, record, finish):
    gate = threading.Event()

    def look_up(host, port):
        gate.wait(5)
        return [(socket.AF_INET, (path_server.host, port))]

    monkeypatch.setattr(resolver_module, "look_up", look_up)
    http = make("slow.invalid", path_server.port)
    told = record(http)
    path = path_server.path("whole")
    http.get(path)
    http.stateChanged.connect(lambda state: http.abort() if state == QHttp.HostLookup and len(told.started) == 1 else None)
    finish(http)
    gate.set()
    http.get(path)
    finish(http)
    assert told.of("done") == [True, False] and http.readAll() == path_server.body(path)
    assert told.states[:3] == ["HostLookup", "Closing", "Unconnected"]


def test_name_with_several_addresses_first_that_answers_used(make, monkeypatch, path_server, closed_port, finish):
    addresses = [(socket.AF_INET, (closed_port.host, closed_port.port)), (socket.AF_INET, (path_server.host, path_server.port))]
    monkeypatch.setattr(resolver_module, "look_up", lambda host, port: addresses)
    http = make("two.invalid", 81)
    path = path_server.path("whole")
    http.get(path)
    finish(http)
    assert http.readAll() == path_server.body(path)


def test_empty_host_counts_as_set_and_is_not_found(make, record, finish):
    http = make("")
    told = record(http)
    http.get("/")
    finish(http)
    assert http.error() == QHttp.HostNotFound and "Connecting" in told.states


@pytest.mark.parametrize("queue", [lambda http: http.get("/"), lambda http: http.head("/"), lambda http: http.post("/", b"x")])
def test_no_server_set_error_without_states(make, record, finish, queue):
    http = make()
    told = record(http)
    queue(http)
    finish(http)
    assert (http.error(), http.errorString()) == (QHttp.UnknownError, "No server set to connect to")
    assert told.states == [] and told.of("done") == [True]


def test_no_server_set_destination_not_touched(make, finish, tmp_path):
    (tmp_path / "f").write_bytes(b"old")
    http = make()
    with open(tmp_path / "f", "r+b") as file:
        http.get("/", file)
        finish(http)
        assert file.tell() == 0
    assert (tmp_path / "f").read_bytes() == b"old"


# -- retries
@pytest.mark.parametrize("n_lost", [1, 2])
@pytest.mark.parametrize("loss", [Close(), Reset(), CloseAtOnce()], ids=repr)
def test_get_without_answer_tried_again_silently(make, scripted_server, record, finish, n_lost, loss):
    http = make(scripted_server(*[[ReceiveRequest(), loss]] * n_lost, faults.answer()))
    told = record(http)
    http.get("/")
    finish(http)
    assert (http.error(), http.readAll()) == (QHttp.NoError, BODY) and len(told.finished) == 1
    assert told.states == ["Connecting", "Sending", "Closing", "Unconnected"] * n_lost + [*READ, "Connected"]


def test_get_with_some_bytes_of_an_answer_never_tried_again(make, scripted_server, finish):
    server = scripted_server([ReceiveRequest(), Send(b"H"), Close()], faults.answer())
    http = make(server)
    http.get("/")
    finish(http)
    assert http.error() == QHttp.UnexpectedClose and len(server.connections) == 1


def test_get_after_an_interim_answer_never_tried_again(make, scripted_server, finish):
    server = scripted_server([ReceiveRequest(), Send(b"HTTP/1.1 100 Continue\r\n\r\n"), Close()], faults.answer())
    http = make(server)
    http.get("/")
    finish(http)
    assert http.error() == QHttp.UnexpectedClose and len(server.connections) == 1


@pytest.mark.parametrize("ask", [
    lambda http: http.get("/"), lambda http: http.head("/"), lambda http: http.post("/", b"x"),
    lambda http: http.request(qhttp.QHttpRequestHeader("PATCH", "/"), b"x")])
def test_kept_connection_closed_meanwhile_every_method_gets_a_new_one(make, scripted_server, finish, ask):
    server = scripted_server(beyond=faults.close_after_answer())
    http = make(server)
    http.get("/")
    finish(http)
    server.wait_for(lambda: server.connections[0].how_ended)
    ask(http)
    finish(http)
    assert http.error() == QHttp.NoError, http.errorString()


# -- limits of time
def timed(http, finish):
    began = time.monotonic()
    finish(http)
    return time.monotonic() - began


def test_connect_timeout_refused_error_in_time(make, listener_that_never_accepts, record, finish):
    http = make(*listener_that_never_accepts)
    told = record(http)
    http.setConnectTimeout(60)
    http.get("/")
    assert 0.05 < timed(http, finish) < 1
    assert (http.error(), http.errorString()) == (QHttp.ConnectionRefused, REFUSED)
    assert told.states == ["Connecting", "Unconnected"]


def test_connect_timeout_while_looking_up_error_in_time(make, monkeypatch, record, finish):
    gate = threading.Event()
    monkeypatch.setattr(resolver_module, "look_up", lambda host, port: gate.wait(5) and [])
    http = make("slowest.invalid")
    told = record(http)
    http.setConnectTimeout(50)
    http.get("/")
    assert timed(http, finish) < 1
    gate.set()
    assert http.error() == QHttp.ConnectionRefused and told.states == ["HostLookup", "Unconnected"]


def test_connect_timeout_does_not_limit_the_answer(make, scripted_server, finish):
    http = make(scripted_server([ReceiveRequest(), Pause(0.08), Send(whole())]))
    http.setConnectTimeout(40)
    http.get("/")
    finish(http)
    assert http.error() == QHttp.NoError


@pytest.mark.parametrize("fault", [faults.stall_before_head, faults.stall, lambda: [Pause(30)]])
@pytest.mark.parametrize("limit", ["setTransferTimeout", "setTotalTimeout"])
def test_stalled_server_limit_of_time_names_itself(make, scripted_server, path_server, record, finish, fault, limit):
    http = make(scripted_server(fault()))
    told = record(http)
    getattr(http, limit)(60)
    http.get("/")
    assert 0.05 < timed(http, finish) < 1
    assert http.error() == QHttp.UnknownError and "60 ms" in http.errorString()
    assert told.states[-2:] == OVER and told.of("done") == [True]
    http.setHost(path_server.host, path_server.port)
    http.get(path_server.path("thirds"))
    finish(http)
    assert http.error() == QHttp.NoError


def test_dripping_server_transfer_timeout_not_reached_total_is(make, scripted_server, finish):
    for limit, error in (("setTransferTimeout", QHttp.NoError), ("setTotalTimeout", QHttp.UnknownError)):
        http = make(scripted_server(faults.drip(b"x" * 8, 0.03)))
        getattr(http, limit)(120)
        http.get("/")
        finish(http)
        assert http.error() == error


def test_dripping_server_minimum_rate_error_names_it(make, scripted_server, finish):
    http = make(scripted_server(faults.drip(b"x" * 100, 0.02)))
    http.setMinimumRate(10_000, 60)
    http.get("/")
    finish(http)
    assert http.error() == QHttp.UnknownError and "10000 bytes/s" in http.errorString()


def test_reader_who_waits_is_not_the_server_who_stalls(make, path_server):
    http = make(path_server)
    http.setTransferTimeout(150)
    http.setMinimumRate(1000, 150)
    http.setReadBufferSize(1000)
    path = path_server.path("body", 2_000_000)
    http.get(path)
    assert not http.waitForDone(320)
    http.setReadBufferSize(0)
    data = http.readAll()
    assert http.waitForDone(2000) and data + http.readAll() == path_server.body(path)


def test_upload_nobody_takes_transfer_timeout_error(make, scripted_server, finish):
    http = make(scripted_server([Pause(30)]))
    http.setTransferTimeout(60)
    http.post("/", b"x" * (16 << 20))
    assert timed(http, finish) < 1.5
    assert http.error() == QHttp.UnknownError


def test_timeouts_idle_connection_kept(make, path_server, record, finish, turn_until):
    http = make(path_server)
    told = record(http)
    http.setTransferTimeout(20)
    http.setTotalTimeout(30)
    http.setMinimumRate(1000, 10)
    http.get(path_server.path("whole"))
    finish(http)
    end = time.monotonic() + 0.06
    turn_until(lambda: time.monotonic() > end)
    http.setTotalTimeout(0)
    http.get(path_server.path("whole"))
    finish(http)
    assert told.states.count("Connecting") == 1 and told.of("done") == [False, False]


@pytest.mark.parametrize("setting, new", [("setTransferTimeout", 0), ("setTotalTimeout", 0), ("setTransferTimeout", 10**6)])
def test_limit_lifted_while_a_request_runs_never_ends_it_by_the_new_value(make, scripted_server, finish, setting, new):
    http = make(scripted_server([ReceiveRequest(), Send(head(b"Content-Length: 6")), Drip(b"drops!", 0.02)]))
    getattr(http, setting)(60 if setting == "setTransferTimeout" else 400)
    http.responseHeaderReceived.connect(lambda: getattr(http, setting)(new))
    http.get("/")
    finish(http)
    assert (http.error(), http.errorString()) == (QHttp.NoError, "Unknown error")


@pytest.mark.parametrize("setting", ["setConnectTimeout", "setTransferTimeout", "setTotalTimeout"])
@pytest.mark.parametrize("msecs", [18446744073710, 2**43, 2**52, 2**53 - 1])
def test_limit_enormous_never_ends_a_request(make, scripted_server, finish, setting, msecs):
    http = make(scripted_server([Pause(0.005), ReceiveRequest(), Pause(0.005), Send(whole())]))
    getattr(http, setting)(msecs)
    http.get("/")
    finish(http)
    assert http.error() == QHttp.NoError, http.errorString()
