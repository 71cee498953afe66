"""What the tests of the face share: clients, a record of all signals, a server whose answers
follow from the path, a watchdog that turns a hang into a failure, and a loop that is tidy after each test."""
import contextlib
import enum
import gc
import time

import pytest
from support.request_reading import body_length, take_head
from support.scripted_server import ScriptedServer
from support.watchdog import limited

import qhttp

LIMIT_S = 8                 # for one test; @pytest.mark.limit(seconds) sets another
PATIENCE_MS = 4000          # for what has to happen
SPLIT_PAUSE_S = 0.001       # between the pieces of an answer

SIGNALS = ("requestStarted", "requestFinished", "done", "stateChanged", "responseHeaderReceived", "readyRead",
           "dataReadProgress", "dataSendProgress")


def pytest_configure(config):
    config.addinivalue_line("markers", "limit(seconds): a test of the face that takes longer hangs")


@pytest.fixture(autouse=True)
def watchdog(request):
    """Raises Hang in a test that takes too long, also out of a loop that waits for ever."""
    marker = request.node.get_closest_marker("limit")

    with limited(marker.args[0] if marker else LIMIT_S):
        yield
    tidy_loop()


@pytest.fixture
def make():
    """Makes QHttp objects: make(server), or make(...) with QHttp's own arguments."""
    def new(*arguments, **keywords):
        if arguments and hasattr(arguments[0], "script_for"):
            server, *rest = arguments
            arguments = (server.host, server.port, *rest)
        return qhttp.QHttp(*arguments, **keywords)

    return new


def tidy_loop():
    """Ends what a failed test has left: it must not reach the next one."""
    for n in range(50):
        with contextlib.suppress(BaseException):
            if qhttp.loop().run(n // 10):
                return
            for http in [thing for thing in gc.get_objects() if isinstance(thing, qhttp.QHttp)]:
                for name in SIGNALS:
                    getattr(http, name).disconnect()
                http.abort()


@pytest.fixture
def finish():
    """Turns the loop until this object has nothing left to do: finish(http). Fails where that does not come."""
    def until_done(http):
        assert http.waitForDone(PATIENCE_MS), f"{http!r} does not come to an end"
    return until_done


@pytest.fixture
def record():
    """Records all that an object tells: record(http).events and so on; record(http, name, ...) only these signals."""
    return Record


def plain(value):
    if isinstance(value, enum.Enum):
        return value.name
    return value.statusCode() if hasattr(value, "statusCode") else value


class Record:
    """What a QHttp has told so far. It does not keep the object alive. Headers become their status, states their name."""

    def __init__(self, http, *names):
        self.events = []
        for name in names or SIGNALS:
            getattr(http, name).connect(self._noter(name))

    def _noter(self, name):
        return lambda *arguments: self.events.append((name, *map(plain, arguments)))

    def of(self, name):
        """The arguments of all emits of one signal; a signal with one argument gives it alone."""
        found = [event[1:] for event in self.events if event[0] == name]
        return [arguments[0] for arguments in found] if found and len(found[0]) == 1 else found

    @property
    def states(self):
        return self.of("stateChanged")

    @property
    def started(self):
        return self.of("requestStarted")

    @property
    def finished(self):
        return self.of("requestFinished")

    @property
    def names(self):
        return [event[0] for event in self.events]

    def faults(self):
        """What no use whatever may bring about: requests that start or finish twice, or finish in another order."""
        finished, found = [number for number, _ in self.finished], []
        for what, numbers in (("started", self.started), ("finished", finished)):
            if sorted(set(numbers)) != numbers:
                found.append(f"{what} {numbers}")
        for number in set(finished) & set(self.started):
            if self.events.index(("requestStarted", number)) > self.names_at("requestFinished", number):
                found.append(f"{number} finished before it started")
        return found

    def names_at(self, name, first):
        return next(n for n, event in enumerate(self.events) if event[:2] == (name, first))


# ---------------------------------------------------------------------------------------- a server that knows its paths
def body_of(path: str, size: int) -> bytes:
    """The body that belongs to a path and to no other one."""
    unit = path.encode() + b"|"
    return (unit * (size // len(unit) + 1))[:size]


def pieces_of(style: str, body: bytes) -> list[bytes]:
    """An answer as the pieces in which it is sent."""
    n = max(1, len(body) // 3)
    thirds = [body[:n], body[n:2 * n], body[2 * n:]]
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    chunks = [b"%x\r\n%b\r\n" % (len(third), third) for third in thirds if third] + [b"0\r\n\r\n"]
    chunked_head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    coded = b"".join(chunks)
    at = len(coded) // 2
    return {
        "whole": [head + body],
        "head": [head[:9], head[9:20], head[20:] + body],
        "body": [head, body],
        "thirds": [head + thirds[0], *thirds[1:]],
        "chunked": [chunked_head + coded],
        "chunks": [chunked_head, coded[:1], coded[1:at], coded[at:-3], coded[-3:]],
        "close": [b"HTTP/1.1 200 OK\r\n\r\n" + thirds[0], thirds[1] + thirds[2]],
        "cut": [head + thirds[0]],
        "bad": [chunked_head + chunks[0], b"x\r\n"],
    }[style]


STYLES = "whole", "head", "body", "thirds", "chunked", "chunks", "close"
ENDING = "close", "cut", "bad"


class PathServer(ScriptedServer):
    """Answers /<style>/<size>/<anything> with a body made from the path, sent in the pieces of that style."""

    styles = STYLES

    def script_for(self, connection):
        return [serve_paths]

    @staticmethod
    def path(style: str, size: int = 90, name: object = "x") -> str:
        return f"/{style}/{size}/{name}"

    @staticmethod
    def body(path: str) -> bytes:
        return body_of(path, int(path.split("/")[2]))


def serve_paths(peer):
    while True:
        head = take_head(peer)
        peer.take(body_length(head))
        method, path = head.split(b" ", 2)[:2]
        _, style, size, *_ = path.decode().split("/")
        pieces = pieces_of(style, body_of(path.decode(), int(size)))
        if method == b"HEAD":
            pieces = [pieces[0][:pieces[0].index(b"\r\n\r\n") + 4]]
        for n, piece in enumerate(pieces):
            if n:
                time.sleep(SPLIT_PAUSE_S)
            peer.send(piece)
        if style in ENDING:
            peer.end("fin")


@pytest.fixture(scope="session")
def path_server():
    """One server for all tests: it answers /<style>/<size>/<anything>."""
    with PathServer() as server:
        yield server
