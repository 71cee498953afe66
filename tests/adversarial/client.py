"""The client adapter on qhttp.QHttp: one object for each session, so that a second request may use its connection again."""
import io
import sys
import time

import qhttp

PATIENCE_S = 60.0       # above every limit of every case: a client that does not come to an end is to be seen hanging
TURN_MS = 1000
FAREWELL_MS = 1


class QHttpSession:
    """Does requests of the contract one after the other, on one QHttp of this thread."""

    def __init__(self, call):
        self.call = call
        self.make_reply = sys.modules[type(call).__module__].Reply
        self.reply, self.awaited, self.finished, self.is_expecting = None, 0, False, False
        self.http = qhttp.QHttp(call.host, call.port)
        self.http.setTransferTimeout(int(call.idle_timeout * 1000))
        self.http.setTotalTimeout(int(call.deadline * 1000))
        self.http.responseHeaderReceived.connect(self._take_head)
        self.http.readyRead.connect(self._take_body)
        self.http.requestFinished.connect(self._take_end)

    def fetch(self, request):
        reply = self.reply = self.make_reply()
        self.finished = False
        try:
            self.is_expecting = request.expect100
            if request.user is not None:
                self.http.setUser(request.user, "pw")
            self.awaited = self._queue(request)
        except NotImplementedError:
            reply.unsupported = True
            return reply
        except (ValueError, TypeError) as why:          # refused before anything was sent
            reply.error = f"{type(why).__name__}: {why}"
            reply.error_class = "ValueError" if isinstance(why, ValueError) else "TypeError"
            return reply
        end = time.monotonic() + PATIENCE_S
        while not self.finished and time.monotonic() < end:
            if self.http.waitForDone(TURN_MS) and not self.finished:
                reply.error = "waitForDone() says done, and requestFinished has not come"
                break
        return reply

    def close(self):
        self.http.abort()
        self.http.deleteLater()
        qhttp.loop().run(FAREWELL_MS)

    def _queue(self, request) -> int:
        header = qhttp.QHttpRequestHeader(request.method, request.target)
        if not any(name.lower() == "host" for name, _ in request.headers):
            header.addValue("Host", f"{self.call.host}:{self.call.port}")
        for name, value in request.headers:
            header.addValue(name, value)
        if request.expect100:
            header.addValue("Expect", "100-continue")
            return self.http.request(header, io.BytesIO(request.body))      # only a device waits for the 100
        return self.http.request(header, request.body)

    def _take_head(self, header):
        self.reply.status, self.reply.headers = header.statusCode(), list(header.values())

    def _take_body(self, _header):
        self.reply.body.write(bytes(self.http.readAll()))

    def _take_end(self, number, failed):
        if number != self.awaited:
            return
        self.reply.body.write(bytes(self.http.readAll()))
        self.finished = True
        if failed and self.http.error() == qhttp.QHttp.AuthenticationRequiredError and self.is_expecting:
            self.reply.status = self.http.lastResponse().statusCode()       # QHttp's way to report such an answer
        elif failed:
            self.reply.error = self.http.errorString() or "failed without a text"
            self.reply.error_class = self.http.error().name


def client(call):
    return QHttpSession(call)
