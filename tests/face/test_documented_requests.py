"""What the class documentation says of each request, where no other test says it: calls, ids, signals, devices."""
import io
import weakref

import pytest
from support.actions import ReceiveRequest, Send
from support.faults import head, whole

from qhttp import SIGNAL, SLOT, QHttp, QHttpRequestHeader, QNetworkProxy, QObject
from qhttp.compat import QBuffer, QTimer

REQUESTS = {
    "setHost": lambda http: http.setHost("127.0.0.1", http.test_port),
    "setHost with a mode": lambda http: http.setHost("127.0.0.1", QHttp.ConnectionModeHttp, http.test_port),
    "setUser": lambda http: http.setUser("me", "secret"),
    "setProxy": lambda http: http.setProxy("", 0, "", ""),
    "setProxy with an object": lambda http: http.setProxy(QNetworkProxy()),
    "setSocket": lambda http: http.setSocket(None),
    "get": lambda http: http.get("/whole/10/x"),
    "head": lambda http: http.head("/whole/10/x"),
    "post": lambda http: http.post("/whole/10/x", b"data"),
    "post of a device": lambda http: http.post("/whole/10/x", io.BytesIO(b"data")),
    "request": lambda http: http.request(header_of("GET")),
    "request with data": lambda http: http.request(header_of("POST"), b"data"),
    "request with a device": lambda http: http.request(header_of("POST"), io.BytesIO(b"data")),
    "close": lambda http: http.close(),
}


class Client(QHttp):
    def __init__(self, server):
        super().__init__(server.host, server.port)
        self.test_port = server.port


def header_of(method, path="/whole/10/x"):
    header = QHttpRequestHeader(method, path)
    header.setValue("Host", "127.0.0.1")
    return header


@pytest.mark.parametrize("name", REQUESTS)
def test_request_returns_its_id_at_once_and_is_told_by_it(path_server, record, finish, name):
    http = Client(path_server)
    told = record(http)
    numbers = [REQUESTS[name](http), REQUESTS[name](http)]
    assert numbers[0] < numbers[1] and type(numbers[0]) is int and told.events == []       # the loop has not turned
    finish(http)
    assert told.started == numbers and told.finished == [(number, False) for number in numbers]
    assert told.of("done") == [False]


@pytest.mark.parametrize("ask", [
    lambda http, to: http.get("/x", to), lambda http, to: http.post("/x", b"data", to),
    lambda http, to: http.post("/x", io.BytesIO(b"data"), to),
    lambda http, to: http.request(header_of("GET"), None, to), lambda http, to: http.request(header_of("POST"), b"data", to),
], ids=["get", "post", "post of a device", "request", "request with data"])
def test_content_is_told_by_readyread_each_time_or_written_to_the_device(make, scripted_server, record, finish, ask):
    steps = [ReceiveRequest(), Send(head(b"Content-Length: 6") + b"one"), lambda peer: peer.pause(0.05), Send(b"two")]
    server = scripted_server(steps, steps)
    for to in (None, QBuffer()):
        http, pieces = make(server), []
        told = record(http)
        http.readyRead.connect(lambda response, pieces=pieces, http=http: pieces.append(http.readAll()))
        ask(http, to)
        finish(http)
        if to is None:
            assert pieces == [b"one", b"two"] and told.of("readyRead") == [200, 200]
        else:
            assert to.data() == b"onetwo" and pieces == [] and http.bytesAvailable() == 0
        assert told.of("dataReadProgress") == [(3, 6), (6, 6)]


def test_device_may_be_deleted_in_requestfinished(make, path_server, finish):
    class Device(io.BytesIO):
        pass

    http, source, to, gone = make(path_server), Device(b"data"), Device(), []
    gone += [weakref.ref(source), weakref.ref(to)]

    def finished(number, error):
        assert http.currentSourceDevice() is gone[0]() and http.currentDestinationDevice() is gone[1]()
        http.currentSourceDevice().close()
        http.currentDestinationDevice().close()

    http.requestFinished.connect(finished)
    http.post("/whole/10/x", source, to)
    del source, to
    finish(http)
    assert http.error() == QHttp.NoError and [device() for device in gone] == [None, None]


def test_connection_is_kept_by_get_post_and_head_until_the_response_ends_it(make, scripted_server, finish):
    server = scripted_server([ReceiveRequest(), Send(whole()), ReceiveRequest(), Send(whole()),
                              ReceiveRequest(), Send(head(b"Content-Length: 0", b"Connection: close"))],
                             [ReceiveRequest(), Send(whole())])
    http, states = make(server), []
    http.get("/")
    http.post("/", b"data")
    http.head("/")
    http.requestFinished.connect(lambda number, error: states.append(http.state()))
    finish(http)
    assert states == [QHttp.Connected, QHttp.Connected, QHttp.Unconnected]
    assert all(b"\r\nConnection: Keep-Alive\r\n" in request for request in server.requests[0])
    http.get("/")
    finish(http)
    assert len(server.connections) == 2


@pytest.mark.parametrize("fields", [[], [("Connection", "Keep-Alive")], [("Connection", "close")]])
def test_connection_after_request_is_what_the_response_says(make, path_server, finish, fields):
    """Of HTTP/1.1, that is: it stays open unless the server says otherwise."""
    http, header = make(path_server), header_of("GET")
    for name, value in fields:
        header.setValue(name, value)
    http.request(header)
    finish(http)
    assert http.state() == QHttp.Connected


def test_error_clears_what_is_pending_and_tells_nothing_of_it(make, closed_port, record, finish):
    http = make(closed_port.host, closed_port.port)
    told = record(http)
    first, others = http.get("/"), [http.get("/"), http.close(), http.setHost("example.org")]
    finish(http)
    assert told.started == [first] and told.finished == [(first, True)] and told.of("done") == [True]
    assert not http.hasPendingRequests() and http.currentId() == 0 and others


def test_abort_by_name_is_a_slot(make, scripted_server, record, finish):
    server = scripted_server([ReceiveRequest(), Send(head(b"Content-Length: 9") + b"abc")])
    http, other = make(server), QObject()
    told = record(http)
    other.connect(http, SIGNAL("readyRead(const QHttpResponseHeader &)"), http, SLOT("abort()"))
    numbers = [http.get("/"), http.get("/")]
    finish(http)
    assert told.finished == [(numbers[0], True)] and http.error() == QHttp.Aborted


def test_result_comes_only_while_a_loop_turns(make, path_server, record, finish):
    http = make(path_server)
    told = record(http)
    http.get("/whole/10/x")
    assert told.events == [] and http.currentId() != 0 and http.state() == QHttp.Unconnected
    rung = []
    QTimer.singleShot(0, lambda: rung.append(True))
    finish(http)
    assert told.of("done") == [False] and rung == [True]


@pytest.mark.parametrize("call", [call for name, call in REQUESTS.items() if name.startswith("set")])
def test_current_devices_of_a_setting_none(call):
    http = QHttp()
    http.test_port = 1
    seen = []
    http.requestStarted.connect(lambda: seen.append((http.currentSourceDevice(), http.currentDestinationDevice(),
                                                     http.currentRequest().isValid())))
    call(http)
    assert http.waitForDone(5000) and seen == [(None, None, False)]
