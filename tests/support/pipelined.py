"""Servers that answer many requests of one connection, and a record of every signal, for the tests of pipelining."""
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass

import qhttp
from support import faults
from support.actions import ReceiveRequest, Send
from support.request_reading import take_head
from support.scripted_server import ScriptedServer

SIGNALS = ("requestStarted", "requestFinished", "done", "stateChanged", "responseHeaderReceived", "readyRead",
           "dataReadProgress", "dataSendProgress")
PATIENCE_MS = 15_000
GATE_S = 10.0


def path_of(head: bytes) -> str:
    """The target of a request's first line."""
    return head.split(b" ", 2)[1].decode()


def body_of(head: bytes) -> bytes:
    """A body that names the request which it is for."""
    return b"<body of %s>" % path_of(head).encode()


def plain(head: bytes) -> bytes:
    """The answer with `body_of`; for a HEAD without it."""
    answer = faults.whole(body_of(head))
    return answer if not head.startswith(b"HEAD ") else answer[:answer.index(b"\r\n\r\n") + 4]


def hold(peer) -> None:
    """Takes requests for ever: the test answers them, by `peer.sock`."""
    while True:
        ReceiveRequest()(peer)


@dataclass(frozen=True)
class Gate:
    """Waits until the test lets it through."""
    event: threading.Event

    def __call__(self, peer):
        assert self.event.wait(GATE_S)


@dataclass(frozen=True)
class Serve:
    """Answers requests one by one: `n_at_once` are taken before the first of them is answered, by one send for them all."""
    answer: Callable[[bytes], bytes] = plain
    n_at_once: int = 1
    times: int = 1_000_000
    send: Callable | None = None            # (peer, bytes), in place of peer.send

    def __call__(self, peer):
        for _ in range(self.times):
            heads = [take_head(peer) for _ in range(self.n_at_once)]
            peer.server.note_answered(heads)
            (self.send or type(peer).send)(peer, b"".join(map(self.answer, heads)))


WARM = (ReceiveRequest(), Send(faults.whole(b"warm")))      # what a connection has to see before anything is sent ahead


class PipelinedServer(ScriptedServer):
    """Each script begins with the answer to one request, unless warm=False. `answered`: paths that `Serve` answered whole."""

    def __init__(self, *scripts, beyond=(Serve(),), warm=True):
        self.answered: list[str] = []
        first = [[*WARM, *scripts[0]], *scripts[1:]] if warm and scripts else scripts
        super().__init__(*first, beyond=beyond)

    def note_answered(self, heads: list[bytes]) -> None:
        """To be called before they are sent: the client, and another connection, may be faster than the log."""
        self.answered += map(path_of, heads)

    def paths(self, number: int = 0) -> list[str]:
        """What one connection has asked for."""
        if number >= len(self.connections):
            return []
        return [path_of(head) for head in self.connections[number].taken]

    def say(self, data: bytes, number: int = 0) -> None:
        """Sends from the test's own thread."""
        self.connections[number].sock.sendall(data)


def servers():
    """Makes PipelinedServers that end with the test; for pytest.fixture()."""
    with contextlib.ExitStack() as made:
        yield lambda *scripts, **options: made.enter_context(PipelinedServer(*scripts, **options))


class Told:
    """A QHttp with pipelining, and all that its signals said: (signal, arguments, currentId), ids counted from the first."""

    def __init__(self, server, depth: int = 8, read_at: str | None = "readyRead"):
        self.http = http = qhttp.QHttp(server.host, server.port)
        http.setPipelining(depth)
        self.log: list[tuple] = []
        self.bodies: dict[int, bytes] = {}
        self.base = 0
        self.read_at = read_at
        for name in SIGNALS:
            getattr(http, name).connect(lambda *values, name=name: self.note(name, values))

    def note(self, name: str, values: tuple) -> None:
        if name.startswith("request"):
            values = (values[0] - self.base, *values[1:])
        elif name == "stateChanged":
            values = (values[0].name,)
        elif name in ("responseHeaderReceived", "readyRead"):
            values = (values[0].statusCode(), str(values[0]))
        id = self.http.currentId()
        id = id - self.base if id else None
        self.log.append((name, values, id))
        if name in (self.read_at, "requestFinished") and self.read_at is not None:
            self.bodies[id] = self.bodies.get(id, b"") + bytes(self.http.readAll())

    def begin(self) -> None:
        """Forgets what was told; the next request is number 0."""
        probe = qhttp.QHttp("127.0.0.1", 1)      # takes one id of the process's counter
        self.base = probe.get("/") + 1
        probe.abort()
        self.log.clear()
        self.bodies.clear()

    def warm(self) -> "Told":
        """Makes the connection, and one request on it."""
        self.http.get("/warm")
        assert self.http.waitForDone(PATIENCE_MS) and self.http.error().name == "NoError"
        self.begin()
        return self

    def wait(self) -> str:
        assert self.http.waitForDone(PATIENCE_MS), f"{self.http!r} is not done: {self.log[-5:]}"
        return self.http.error().name

    def get(self, *paths: str) -> None:
        for path in paths:
            self.http.get(path)

    def finished(self) -> list[tuple]:
        return [values for name, values, _ in self.log if name == "requestFinished"]

    def without_states(self) -> list[tuple]:
        return [entry for entry in self.log if entry[0] != "stateChanged"]

    def states(self) -> list[str]:
        return [values[0] for name, values, _ in self.log if name == "stateChanged"]

    def condensed(self) -> list[tuple]:
        """The log with each run of dataReadProgress and readyRead as one: how bytes are cut on the way is chance."""
        log: list[tuple] = []
        for name, values, id in self.log:
            if name == "readyRead" or (name == "dataReadProgress" and log and log[-1][::2] == (name, id)):
                assert name == "readyRead" or values[0] > log[-1][1][0]
                if name == "dataReadProgress":
                    log[-1] = (name, values, id)
            else:
                log.append((name, values, id))
        return log
