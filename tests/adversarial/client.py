"""The client adapters on qhttp.QHttp: one object for each session, so that a second request may use its connection again."""
import functools
import io
import ssl
import sys
import time

import qhttp
from adversarial.contract import Beside, Request

PATIENCE_S = 60.0       # above every limit of every case: a client that does not come to an end is to be seen hanging
TURN_MS = 1000
FAREWELL_MS = 1
DEPTH = 8               # of a line
FIRST, BEFORE, BEHIND = "/probe-0", "/probe-1", "/probe-behind-"


@functools.cache
def trusting(path: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=path)


def behind(call) -> list[str]:
    """The paths of the requests behind that of the case."""
    return [f"{BEHIND}{number}" for number in range(call.n_behind)]


class QHttpSession:
    """Does requests of the contract one after the other, on one QHttp of this thread."""

    def __init__(self, call):
        self.call = call
        self.make_reply = sys.modules[type(call).__module__].Reply
        self.replies, self.ended, self.expecting = {}, set(), None
        self.http = qhttp.QHttp()
        self._choose_server()
        self.http.setTransferTimeout(int(call.idle_timeout * 1000))
        self.http.setTotalTimeout(int(call.deadline * 1000))
        self.http.responseHeaderReceived.connect(self._take_head)
        self.http.readyRead.connect(self._take_body)
        self.http.requestFinished.connect(self._take_end)

    def fetch(self, request):
        try:
            number = self._queue(request)
        except (ValueError, TypeError) as why:          # refused before anything was sent
            return self._refused(why)
        self._wait(number)
        return self.replies[number]

    def close(self):
        self.http.abort()
        self.http.deleteLater()
        qhttp.loop().run(FAREWELL_MS)

    def _choose_server(self):
        call = self.call
        is_tls = getattr(call, "scheme", "http") == "https"     # a judge from elsewhere knows nothing of routes
        if is_tls:
            self.http.setSslConfiguration(trusting(call.trusted))
        if getattr(call, "proxy", None):
            scheme, _, place = call.proxy.partition("://")
            kind = qhttp.QNetworkProxy.Socks5Proxy if scheme == "socks5" else qhttp.QNetworkProxy.HttpProxy
            host, _, port = place.rpartition(":")
            self.http.setProxy(qhttp.QNetworkProxy(kind, host, int(port)))
        mode = qhttp.QHttp.ConnectionModeHttps if is_tls else qhttp.QHttp.ConnectionModeHttp
        self.http.setHost(call.host, mode, call.port)

    def _queue(self, request) -> int:
        header = qhttp.QHttpRequestHeader(request.method, request.target)
        if request.user is not None:
            self.http.setUser(request.user, "pw")
        if not any(name.lower() == "host" for name, _ in request.headers):
            header.addValue("Host", f"{self.call.host}:{self.call.port}")
        for name, value in request.headers:
            header.addValue(name, value)
        body = request.body
        if request.expect100:
            header.addValue("Expect", "100-continue")
            body = io.BytesIO(body)             # only a device waits for the 100
        number = self.http.request(header, body)
        self.replies[number] = self.make_reply()
        if request.expect100:
            self.expecting = number
        return number

    def _refused(self, why):
        reply = self.make_reply()
        reply.error = f"{type(why).__name__}: {why}"
        reply.error_class = "ValueError" if isinstance(why, ValueError) else "TypeError"
        return reply

    def _wait(self, number):
        end = time.monotonic() + PATIENCE_S
        while number not in self.ended and time.monotonic() < end:
            if self.http.waitForDone(TURN_MS) and number not in self.ended:
                self.replies[number].error = "waitForDone() says done, and requestFinished has not come"
                break

    def _take_head(self, header):
        reply = self.replies[self.http.currentId()]
        reply.status, reply.headers = header.statusCode(), list(header.values())

    def _take_body(self, _header):
        self.replies[self.http.currentId()].body.write(bytes(self.http.readAll()))

    def _take_end(self, number, failed):
        reply = self.replies.get(number)
        if reply is None:               # setHost and the like
            return
        reply.body.write(bytes(self.http.readAll()))
        self.ended.add(number)
        reply.ends_queue = failed
        if failed and self.http.error() == qhttp.QHttp.AuthenticationRequiredError and number == self.expecting:
            reply.status = self.http.lastResponse().statusCode()       # QHttp's way to report such an answer
        elif failed:
            reply.error = self.http.errorString() or "failed without a text"
            reply.error_class = self.http.error().name


class PipelinedSession(QHttpSession):
    """The same with several requests on the line: the first one of a session has one before it and some behind it.

    Nothing is sent ahead before a server has kept a connection; so there is another one, alone, before all of them.
    """

    def __init__(self, call):
        super().__init__(call)
        self.http.setPipelining(DEPTH)
        self.is_warm = False

    def fetch(self, request):
        if self.is_warm:
            return super().fetch(request)
        self.is_warm = True
        first = super().fetch(Request(target=FIRST))
        if first.error is not None:
            return first
        before = self._queue(Request(target=BEFORE))
        try:
            own = self._queue(request)
        except (ValueError, TypeError) as why:
            own, reply = before, self._refused(why)
        else:
            reply = self.replies[own]
        behind_it = {self._queue(Request(target=path)): path for path in behind(self.call)}
        self._wait_for_all()
        if own not in self.ended:
            reply.error = reply.error or "requestFinished has not come"
        reply.beside = [Beside(FIRST, first, False, True), Beside(BEFORE, self.replies[before], False, before in self.ended)]
        reply.beside += [Beside(path, self.replies[number], True, number in self.ended) for number, path in behind_it.items()]
        return reply

    def _wait_for_all(self):
        end = time.monotonic() + PATIENCE_S
        while not self.http.waitForDone(TURN_MS) and time.monotonic() < end:
            pass


def client(call):
    return QHttpSession(call)


def pipelined(call):
    return PipelinedSession(call)
