"""An origin on loopback whose answers depend on the path, and what it was asked.

    with Origin({"/a": answer(200, b"hello"), "/b": Each(answer(503), answer(200, b"x"))}) as origin:
        ...fetch origin.url("/a")...
        origin.asked("/a")          # the requests for it

An answer is bytes, an action of `support.actions`, a row of these, or a function of the request that gives one of them.
"""
import contextlib
import email.utils
import threading
from dataclasses import dataclass

from support.actions import Close, Reset, Send
from support.request_reading import body_length, take_head
from support.scripted_server import ScriptedServer

REASONS = {200: "OK", 206: "Partial Content", 404: "Not Found", 416: "Range Not Satisfiable", 503: "Service Unavailable"}
OLD, NOW = "Sun, 06 Nov 1994 08:49:37 GMT", "Mon, 06 Nov 2023 08:49:37 GMT"


def answer(status=200, body=b"", *fields, length=None) -> bytes:
    """One answer as bytes. `length`: what Content-Length says; -1: none is there."""
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Some')}"]
    if length != -1:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    lines += [f"{name}: {value}" for name, value in fields]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunked(body, *fields, piece=1000, status=200, end=b"0\r\n\r\n") -> bytes:
    """The same with chunks."""
    chunks = [b"%x\r\n%b\r\n" % (len(body[n:n + piece]), body[n:n + piece]) for n in range(0, len(body), piece)]
    return answer(status, b"".join(chunks) + end, ("Transfer-Encoding", "chunked"), *fields, length=-1)


def redirect(location, status=302, *fields, body=b"") -> bytes:
    return answer(status, body, ("Location", location), *fields)


class Each:
    """Another answer each time; the last one stays."""

    def __init__(self, *answers):
        self._answers, self.n_given = answers, 0

    def __call__(self, _request):
        self.n_given += 1
        return self._answers[min(self.n_given, len(self._answers)) - 1]


class Versioned:
    """A file with validators, which knows Range and If-Range, and may be changed at any time. `cuts`: after so many bytes of a
    body the connection ends, for the first, second... answer; None: not at all."""

    def __init__(self, data, etag='"one"', last_modified=None, cuts=(), fields=(), is_reset=False):
        self.data, self.etag, self.last_modified, self.cuts, self.fields = data, etag, last_modified, list(cuts), list(fields)
        self.n_sent: list[int] = []         # bytes of each body
        self.is_reset = is_reset

    def __call__(self, request):
        fields = list(self.fields)
        if self.etag is not None:
            fields.append(("ETag", self.etag))
        if self.last_modified:
            fields += [("Last-Modified", self.last_modified), ("Date", NOW)]
        status, start, asked = 200, 0, request.get("range")
        if asked is not None and request.get("if-range") in (None, self.etag, self.last_modified):
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            if start >= len(self.data):
                return answer(416, b"", ("Content-Range", f"bytes */{len(self.data)}"))
            status = 206
            fields.append(("Content-Range", f"bytes {start}-{len(self.data) - 1}/{len(self.data)}"))
        body = self.data[start:]
        cut = self.cuts.pop(0) if self.cuts else None
        self.n_sent.append(len(body[:cut]))
        if request.method == "HEAD":
            return answer(status, b"", *fields, length=len(body))
        whole = answer(status, body[:cut], *fields, length=len(body))
        return whole if cut is None else [Send(whole), Reset() if self.is_reset else Close()]


@dataclass
class Asked:
    """One request that came."""
    raw: bytes
    connection: int
    body: bytes = b""

    def __post_init__(self):
        line, *fields = self.raw.decode("latin-1").split("\r\n")
        self.method, self.target, _ = line.split(" ")
        self.fields = [(name.lower(), value.strip()) for name, _, value in (field.partition(":") for field in fields if field)]

    def get(self, name, default=None):
        return next((value for known, value in self.fields if known == name), default)

    def all(self, name):
        return [value for known, value in self.fields if known == name]


class Origin(ScriptedServer):
    """See the top. `answers` may be changed while it runs; paths that are missing are answered with 404."""

    def __init__(self, answers=None, tls=None):
        self.answers = dict(answers or {})
        self.log: list[Asked] = []
        self._lock, self._tls = threading.Lock(), tls
        super().__init__()

    @property
    def base(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}"

    def url(self, path) -> str:
        return self.base + path

    def asked(self, path) -> list[Asked]:
        return [request for request in list(self.log) if request.target == path]

    @property
    def paths(self) -> list[str]:
        return [request.target for request in list(self.log)]

    def script_for(self, connection):
        return [self._serve]

    def _serve(self, peer):
        if self._tls is not None:
            peer.use_tls(self._tls)
        while True:
            raw = take_head(peer)
            request = Asked(raw, peer.number)
            n = body_length(raw)
            if n:
                request.body = peer.take(n)
            with self._lock:
                self.log.append(request)
                found = self.answers.get(request.target, answer(404, b"none"))
                if callable(found) and not _is_action(found):
                    found = found(request)
            self._notify()
            for step in found if isinstance(found, (list, tuple)) else [found]:
                (Send(step) if isinstance(step, bytes) else step)(peer)


def _is_action(found) -> bool:
    return type(found).__module__ == "support.actions"


def http_date(seconds) -> str:
    return email.utils.formatdate(seconds, usegmt=True)


@contextlib.contextmanager
def origins(*tables):
    """Several at once."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Origin(table)) for table in tables]
