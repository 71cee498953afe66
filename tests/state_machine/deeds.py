"""What can be done to a QHttp: by name, between turns, in slots, and in a later turn. Each deed tells the model first."""
import contextlib
import io
import itertools
import socket
import tempfile

import qhttp
from qhttp import QHttp, QHttpRequestHeader, QNetworkProxy
from state_machine.outcomes import LEAVING, Wanted, setting, wanted
from state_machine.server import GOOD_LOGIN

DEPTH_MAX = 3               # of loops turned in slots
SHORT_MS = 2
TIMEOUT_MS = 40
ALL = 2**40
BAD_LOGIN = ("user2", "wrong")


class Boom(Exception):
    """Comes out of a slot."""


class Broken(io.RawIOBase):
    """A device that fails at once, whatever is asked of it."""

    def readable(self):
        return True

    def writable(self):
        return True

    def read(self, n=-1):
        raise OSError("broken")

    def write(self, data):
        raise OSError("broken")


class Trickle:
    """A source that has no size and cannot seek."""

    def __init__(self, data):
        self.pieces = [data[:7], data[7:]]

    def read(self, n):
        return self.pieces.pop(0) if self.pieces else b""


class SocketObject:
    """A socket that only its own methods know."""

    def __init__(self, sock):
        self.sock = sock
        self.fileno, self.send, self.recv_into = sock.fileno, sock.send, sock.recv_into
        self.gettimeout, self.setblocking, self.settimeout = sock.gettimeout, sock.setblocking, sock.settimeout


class Deeds:
    """All deeds on any object; `server`, `closed_port` are where requests go."""

    numbers = itertools.count(1)        # of all paths: what an example has left under way must not look like the next one's

    def __init__(self, server, closed_port):
        self.server, self.closed_port = server, closed_port
        self.depth = self.n_deeds = 0
        self.ours = []              # sockets and files to close in the end

    def act(self, watched, deed) -> None:
        """Does one deed: its name, or (name, argument, ...)."""
        name, *arguments = (deed,) if isinstance(deed, str) else deed
        http = watched.ref()
        if http is None or (self.depth >= DEPTH_MAX and name in TURNING):
            return
        self.n_deeds += 1
        watched.settle()
        self.depth += name in TURNING
        try:
            getattr(self, f"do_{name}")(watched, http, *arguments)
        finally:
            self.depth -= name in TURNING

    # -- requests
    def path(self, watched, kind, size):
        """Whose request is the surplus answer of a pipelined connection? Nobody can tell, so there is none."""
        if kind == "surplus" and watched.depth_set > 1:
            kind = "sized"
        return f"/{kind}/{size}/{next(self.numbers)}"

    def add(self, watched, number, result, kind="", device=None):
        if kind in ("never", "stalled"):
            watched.is_endless = True
        if watched.is_timed:
            result.also("UnknownError")
        watched.kinds[number] = kind
        if device is not None:
            watched.devices[number] = device
        method = result.what.partition(" ")[0]
        if watched.was_left and method in ("POST", "PATCH"):        # they are not sent twice
            result.also("UnexpectedClose")
        watched.was_left = watched.was_left or kind in LEAVING.get(method, LEAVING["GET"])
        watched.model.add(number, result)

    def do_get(self, watched, http, kind="sized", size=90, to="memory"):
        path, device = self.path(watched, kind, size), None
        result = wanted("GET", path)
        if to == "object":
            device = io.BytesIO()
        elif to == "file":
            device = tempfile.TemporaryFile(buffering=0)
            self.ours.append(device)
        elif to == "broken":
            device = Broken()
            result.may_succeed = False
            result.also("UnknownError")
        number = http.get(path, device)
        if to == "broken":
            watched.broken.add(number)
        self.add(watched, number, result, kind, device)

    def do_head(self, watched, http, kind="sized", size=90):
        path = self.path(watched, kind, size)
        self.add(watched, http.head(path), wanted("HEAD", path), kind)

    def do_post(self, watched, http, kind="sized", size=90, source="bytes"):
        path, data = self.path(watched, kind, size), b"d" * 3000
        given = {"bytes": data, "object": io.BytesIO(data), "trickle": Trickle(data), "broken": Broken()}[source]
        result = wanted("POST", path)
        if source == "broken":
            result.may_succeed = False
        result.is_unsized = source in ("trickle", "broken")
        if source in ("trickle", "broken"):
            result.also("UnknownError")
        self.add(watched, http.post(path, given), result, kind)

    def do_request(self, watched, http, method="GET", kind="sized", size=90):
        path = self.path(watched, kind, size)
        header = QHttpRequestHeader(method, path)
        header.setValue("Host", "server")
        self.add(watched, http.request(header), wanted(method, path), kind)

    def do_invalid_request(self, watched, http):
        self.add(watched, http.request(QHttpRequestHeader()), Wanted("invalid", False, {"UnknownError"}, 0, b""), "invalid")

    # -- settings that are queued
    def queue_setting(self, watched, number, *value):
        if value:
            watched.settings[number] = value
        self.add(watched, number, setting(str(value)))

    def do_set_host(self, watched, http, where="server"):
        host, port = {"server": (self.server.host, self.server.port), "closed": (self.closed_port.host, self.closed_port.port),
                      "empty": ("", 80)}[where]
        self.queue_setting(watched, http.setHost(host, port), "host", where)

    def do_set_user(self, watched, http, login="good"):
        self.queue_setting(watched, http.setUser(*(GOOD_LOGIN if login == "good" else BAD_LOGIN)), "user", login)

    def do_set_proxy(self, watched, http, where=None):
        if where is None:
            number = http.setProxy(QNetworkProxy(QNetworkProxy.NoProxy))
        else:
            peer = self.server if where == "server" else self.closed_port
            number = http.setProxy(peer.host, peer.port)
        self.queue_setting(watched, number, "proxy", where)

    def do_set_socket(self, watched, http, sort=None):
        sock = None
        if sort is not None:
            sock = socket.socket()
            self.ours.append(sock)
            if sort != "unconnected":
                sock.connect((self.server.host, self.server.port))
            if sort == "closed":
                sock.close()
        self.queue_setting(watched, http.setSocket(SocketObject(sock) if sort == "object" else sock), "socket", sort)

    def do_close(self, watched, http):
        self.queue_setting(watched, http.close())

    # -- settings that apply at once
    def do_pipelining(self, watched, http, depth):
        if depth == 1 or not any(watched.kinds[number] == "surplus" for number in watched.model.queue):
            watched.depth_set = depth
            http.setPipelining(depth)

    def do_timeout(self, watched, http, msecs=TIMEOUT_MS):
        http.setTransferTimeout(msecs)
        if msecs:
            watched.is_timed = True
            for number in watched.model.queue:
                watched.model.wanted[number].also("UnknownError")

    def do_limit(self, watched, http, size=20):
        http.setReadBufferSize(size)

    def do_login_slot(self, watched, http, login=None):
        watched.answers = {"good": GOOD_LOGIN, "bad": BAD_LOGIN, None: None}[login]

    def do_connect(self, watched, http, name="readyRead"):
        watched.extras.append((name, getattr(http, name).connect(lambda: None)))

    def do_disconnect(self, watched, http):
        if watched.extras and not watched.model.is_gone and not watched.is_deleted:
            name, slot = watched.extras.pop()
            getattr(http, name).disconnect(slot)

    # -- reading, ending, turning
    def do_read(self, watched, http, n=7):
        n_available = http.bytesAvailable()
        data = http.read(n)
        if len(data) != min(n, n_available):
            watched.model.fault(f"read({n}) gave {len(data)} of {n_available} bytes")
        watched.model.on_read(bytes(data))

    def do_read_all(self, watched, http):
        watched.model.on_read(bytes(http.readAll()))
        if http.bytesAvailable():
            watched.model.fault("bytes left behind readAll()")

    def do_abort(self, watched, http):
        watched.model.abort()
        http.abort()

    def do_clear(self, watched, http):
        watched.model.clear()
        http.clearPendingRequests()

    def do_delete(self, watched, http):
        watched.is_deleted = True
        http.deleteLater()
        watched.model.delete()
        qhttp.loop().call_soon(lambda: self.note_gone(watched))

    def note_gone(self, watched):
        """The deletion has been executed, unless one of its slots is what turns this loop."""
        if watched.depth:
            qhttp.loop().call_soon(lambda: self.note_gone(watched))
        else:
            watched.model.is_gone = True

    def do_later(self, watched, http, deed):
        qhttp.loop().call_soon(lambda: self.act(watched, deed))

    def do_run(self, watched, http):
        qhttp.run(SHORT_MS)

    def do_dispatch(self, watched, http):
        qhttp.loop().dispatch()

    def do_wait(self, watched, http, msecs=SHORT_MS):
        if http.waitForDone(msecs) and http.currentId() and not watched.depth:
            watched.model.fault(f"waitForDone() says done in {http!r}")

    def do_wait_for_itself(self, watched, http):
        """In a slot of the request that runs: it must not wait for itself."""
        if watched.depth and watched.model.running is not None and watched.slot_of == watched.model.running == http.currentId():
            with contextlib.suppress(RuntimeError):
                http.waitForDone()
                if http.currentId():
                    watched.model.fault("waitForDone() without a limit came back")

    def do_raise(self, watched, http):
        if watched.depth:
            raise Boom

    def do_look(self, watched, http):
        """What only looks must not fail anywhere."""
        repr(http), http.error(), http.errorString(), http.lastResponse().statusCode(), http.currentRequest().toString()
        if http.currentDestinationDevice() is not watched.devices.get(http.currentId()):
            watched.model.fault(f"{http.currentId()} goes to {http.currentDestinationDevice()!r}")
        if http.currentSourceDevice() is not None and http.currentId() not in watched.model.queue:
            watched.model.fault(f"{http.currentId()} has a source")


TURNING = {"run", "dispatch", "wait", "wait_for_itself"}


def forget(http: QHttp) -> None:
    """Ends an object that the test has no more use for."""
    http.setReadBufferSize(0)
    http.abort()
    http.deleteLater()
