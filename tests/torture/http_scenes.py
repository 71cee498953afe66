"""Scenes with QHttp. A scene is prepared, played while something fails, settled when nothing fails any more, and looked at."""
import contextlib
import io
import os
import ssl
import tempfile
import time
from _thread import allocate_lock, start_new_thread

from adversarial.contract import Reply
from adversarial.peers import PROBE_PATH

import qhttp
from torture import scene_server as served

TURN_MS = 200
PATIENCE_S = 2.0            # above the limits that the scenes set
BEGINS_S = 0.5              # a thread that has begun is over by then
IDLE_S, TOTAL_S = 1.0, 1.5
MOST_RAISED = 3             # then it is enough: whatever is called fails
MOST_LATE = 1               # what went wrong last is told by the next call
EXPECTED = (MemoryError, OSError, qhttp.QHttpError, ImportError, RuntimeError)


class HttpScene:
    """Some requests on one QHttp. Subclasses say which (`queue`) and what must come (`expected`: a body for each id)."""

    settings = ()           # names of setters and their arguments
    errors = ()             # that are not raised: a QHttp tells its own by a name
    mode = qhttp.QHttp.ConnectionModeHttp

    def __init__(self, place):
        self.host, self.port = place.host, place.port
        self.context = None

    def prepare(self):
        """What is not to fail, before each run."""
        self.http, self.raised, self.bodies, self.ends, self.expected = None, [], {}, {}, {}
        self.slot_failed = False
        self.replies = []

    # -- what may fail
    def play(self):
        self.begin()
        self.queue()
        self.turn()

    def begin(self):
        http = qhttp.QHttp(self.host, self.mode, self.port)
        http.setTransferTimeout(int(IDLE_S * 1000))
        http.setTotalTimeout(int(TOTAL_S * 1000))
        for name, *arguments in self.settings:
            getattr(http, name)(*arguments)
        http.responseHeaderReceived.connect(self.take_head)
        http.readyRead.connect(self.take_body)
        http.requestFinished.connect(self.take_end)
        self.http = http

    def queue(self):
        raise NotImplementedError

    def expect(self, number, body):
        self.expected[number] = body

    def take_head(self, header):
        pass

    def take_body(self, _header):
        self.read(self.http.currentId())

    def take_end(self, number, failed):
        self.ends[number] = [*self.ends.get(number, ()), failed]
        self.read(number)

    def read(self, number):
        data = bytes(self.http.readAll())
        if data:
            self.bodies[number] = self.bodies.get(number, b"") + data

    # -- to the end of it
    def turn(self):
        """Turns the loop until nothing is to do, or three things were raised; says whether it came to the end."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and len(self.raised) < MOST_RAISED:
            try:
                if self.http.waitForDone(TURN_MS):
                    return True
            except EXPECTED as error:
                self.raised.append(error)
        return False

    def settle(self):
        """Nothing fails any more: yields what is wrong."""
        if self.http is None:
            return
        raised, self.raised = self.raised, []
        is_over = self.turn()
        if len(self.raised) > MOST_LATE:
            yield f"still raises once all is well again: {self.raised[-1]!r}"
        self.raised = raised + self.raised
        if not is_over:
            yield "the loop has stalled"
        yield from self.judge()
        yield from self.probe()

    def judge(self):
        has_failed = False              # a failure clears the queue
        for number, body in self.expected.items():
            ends = self.ends.get(number, [])
            has_failed = has_failed or True in ends
            if len(ends) > 1:
                yield f"request {number} has finished {len(ends)} times"
            if not ends and not self.raised and not has_failed:
                yield f"request {number} has not finished, and nothing was raised"
            if ends == [False] and self.bodies.get(number, b"") != body and not self.raised:
                yield f"WRONG: {len(self.bodies.get(number, b''))} bytes as a whole body of {len(body)}"
            if number in self.bodies and not body.startswith(self.bodies[number]) and not self.raised:
                yield "WRONG: other bytes than were sent"

    def probe(self):
        """A good request on the same object."""
        yield from probe(self.http)

    def close(self):
        if self.http is not None:
            self.http.abort()
            self.http.deleteLater()
            self.http = None
        qhttp.loop().run(10)

    @property
    def was_told(self):
        """Whether something was said to have failed."""
        return bool(self.raised) or any(True in ends for ends in self.ends.values())


def probe(http):
    with contextlib.suppress(ValueError):
        for signal in (http.responseHeaderReceived, http.readyRead, http.requestFinished):
            signal.disconnect()
    ends = []
    http.requestFinished.connect(lambda number, failed: ends.append((number, failed)))
    number = http.get(PROBE_PATH)
    done = http.waitForDone(int(PATIENCE_S * 1000))
    data = bytes(http.readAll())
    if not done or ends != [(number, False)] or data != PROBE_PATH[1:].encode():
        yield f"a good request afterwards: {'done' if done else 'not done'}, {ends}, {data!r}, {http.errorString()}"


class CaseScene(HttpScene):
    """The request of an adversarial case: its reply is for the judge."""

    def __init__(self, place):
        super().__init__(place)
        self.case = place.case

    def prepare(self):
        super().prepare()
        self.reply, self.awaited = Reply(), None

    def queue(self):
        from adversarial.corpus import has_probe
        from adversarial.play import first_request
        self.has_probe = has_probe(self.case)
        request = first_request(self.case)
        if request.user is not None:
            self.http.setUser(request.user, "pw")
        header = qhttp.QHttpRequestHeader(request.method, request.target)
        if not any(name.lower() == "host" for name, _ in request.headers):
            header.addValue("Host", f"{self.host}:{self.port}")
        for name, value in request.headers:
            header.addValue(name, value)
        if request.expect100:
            header.addValue("Expect", "100-continue")
        body = io.BytesIO(request.body) if request.expect100 else request.body
        self.awaited = self.http.request(header, body)

    def take_head(self, header):
        self.reply.status, self.reply.headers = header.statusCode(), header.values()

    def read(self, number):
        data = bytes(self.http.readAll())
        if number == self.awaited and data:
            self.reply.body.write(data)

    def take_end(self, number, failed):
        super().take_end(number, failed)
        if failed and number == self.awaited:
            self.reply.error, self.reply.error_class = self.http.errorString() or "failed", self.http.error().name

    def judge(self):
        self.expected = {self.awaited: b""} if self.awaited is not None else {}
        ends = self.ends.get(self.awaited, [])
        if len(ends) > 1:
            yield f"the request has finished {len(ends)} times"
        if self.awaited is not None and not ends and not self.raised:
            yield "the request has not finished, and nothing was raised"
        if ends != [False] or self.raised:
            self.reply.error = self.reply.error or "raised"
        self.replies = [self.reply]

    def probe(self):
        if self.has_probe and not self.case.get("probe_may_fail"):
            yield from super().probe()


class Requests(HttpScene):
    """Bodies of each framing, one after the other."""

    def queue(self):
        self.expect(self.http.get("/small/3"), served.SMALL[3])
        self.expect(self.http.get("/chunked"), b"".join(served.SMALL[n] for n in range(1, 5)))
        self.expect(self.http.get("/close"), served.CLOSE)
        self.expect(self.http.get("/small/1"), served.SMALL[1])


class Large(HttpScene):
    """A body that comes in many pieces."""

    def queue(self):
        self.expect(self.http.get("/large"), served.LARGE)


class Unread(HttpScene):
    """The same, taken at its end by one call."""

    def queue(self):
        self.expect(self.http.get("/large"), served.LARGE)

    def take_body(self, _header):
        pass


class Pipelined(HttpScene):
    settings = (("setPipelining", 4),)

    def queue(self):
        for n in range(1, 7):
            self.expect(self.http.get(f"/small/{n}"), served.SMALL[n])


class Named(HttpScene):
    """A name has to be looked up."""

    def __init__(self, place):
        super().__init__(place)
        from qhttp.engine.resolver import resolver
        resolver.ttl_s, resolver.idle_s = 0, 0.01
        self.host = "localhost"

    def queue(self):
        self.expect(self.http.get("/small/2"), served.SMALL[2])


class Tls(HttpScene):
    mode = qhttp.QHttp.ConnectionModeHttps

    def __init__(self, place):
        super().__init__(place)
        self.port = place.tls_port
        self.context = ssl.create_default_context(cafile=place.certificate)
        self.other = qhttp.QHttp(self.host, self.mode, self.port)       # what is known of the server is shared, and stays
        self.other.setSslConfiguration(self.context)

    def begin(self):
        super().begin()
        self.http.setSslConfiguration(self.context)

    def queue(self):
        self.expect(self.http.get("/small/2"), served.SMALL[2])
        self.expect(self.http.get("/chunked"), b"".join(served.SMALL[n] for n in range(1, 5)))

    def probe(self):
        self.http.setSslConfiguration(self.context)     # it may have failed
        yield from super().probe()


class Upload(HttpScene):
    """Bytes, a real file, and any object with a read method."""
    N = 300_000

    def __init__(self, place):
        super().__init__(place)
        self.file = tempfile.TemporaryFile()
        self.file.write(b"f" * self.N)
        self.file.flush()

    def prepare(self):
        super().prepare()
        self.file.seek(0)

    def queue(self):
        for body in (b"b" * self.N, self.file, io.BytesIO(b"o" * self.N)):
            self.expect(self.http.post("/upload", body), b"%d" % self.N)


class ToDevices(HttpScene):
    """Bodies that go to a real file, and to an object with a write method."""

    def prepare(self):
        super().prepare()
        self.devices = {}
        self.file, self.memory = tempfile.TemporaryFile(), io.BytesIO()

    def queue(self):
        for device, path, body in ((self.file, "/large", served.LARGE), (self.memory, "/chunked",
                                                                       b"".join(served.SMALL[n] for n in range(1, 5)))):
            number = self.http.get(path, device)
            self.expect(number, body)
            self.devices[number] = device

    def judge(self):
        for number, device in self.devices.items():
            if number in self.ends:
                device.seek(0)
                self.bodies[number] = device.read()
        yield from super().judge()

    def close(self):
        super().close()
        self.file.close()


class InThread(HttpScene):
    """A new thread, with a loop of its own."""

    def play(self):
        self.lock, self.problem = allocate_lock(), None
        self.lock.acquire()
        try:
            start_new_thread(self.work, ())
        except MemoryError:                         # it may have begun all the same
            self.lock.acquire(timeout=BEGINS_S)
            raise
        if not self.lock.acquire(timeout=PATIENCE_S):
            raise MemoryError("the thread has not begun")
        if self.problem is not None:
            raise self.problem

    def work(self):
        try:
            super().play()
        except BaseException as error:
            self.problem = error
        finally:
            self.ended = self.http is None or not self.http.hasPendingRequests()
            self.http = None
            self.lock.release()

    def queue(self):
        self.expect(self.http.get("/small/2"), served.SMALL[2])

    def settle(self):
        yield from self.judge()

    def close(self):
        if self.http is not None:       # it has begun, and takes its time
            self.lock.acquire(timeout=PATIENCE_S)
        self.problem = None             # it holds all that was there when it was raised
        super().close()


SCENES = {scene.__name__.lower(): scene
          for scene in (Requests, Large, Unread, Pipelined, Named, Tls, Upload, ToDevices, InThread)}
_ = os
