"""The scripted servers of a scenario, and what they saw: requests, connection by connection, and exchanges.

A connection that the recorded class did not open gets what is left of the script of the connection before it, or
receives one request, and is closed. A connection that ends in its TLS handshake, or right after it, does not use up its
script: after a certificate that it does not trust, a client may need a second connection to go on.
"""
import dataclasses
import re
import time

from support.actions import (
    CloseAtOnce,
    Pause,
    Receive,
    ReceiveAnything,
    ReceiveFor,
    ReceiveHead,
    ReceiveRequest,
    Reset,
    Send,
    StartTls,
)
from support.request_reading import body_length
from support.scripted_server import ScriptedServer

HANDSHAKE_S = 1.0           # how long the next connection waits to know whether a handshake has succeeded
GLANCE_S = 0.002
RECEIVING = ReceiveHead, ReceiveRequest, Receive, ReceiveAnything, ReceiveFor
REQUEST_LINE = re.compile(rb"[A-Za-z]* [^\r\n]* HTTP/")


@dataclasses.dataclass
class Exchange:
    """One request that a server took, and what the server sent after it."""
    line: str               # the request line
    n_unread: int           # bytes of the request's body that the script did not take
    sent: bytes = b""
    ended: str | None = None    # "fin", "rst", or None while the connection was kept open


@dataclasses.dataclass(frozen=True)
class Handshake:
    """StartTls, remembering what had come before: nothing after it means that the handshake was all."""
    certificate: str

    def __call__(self, peer):
        peer.before_tls = peer.n_received, peer.n_sent
        StartTls(self.certificate)(peer)


class RecordedServer(ScriptedServer):
    """Plays the scripts of one recorded server."""

    def __init__(self, scripts: list, certificate: str | None):
        self.unused = [translated(script, certificate) for script in scripts]
        self.n_unscripted = 0
        super().__init__()

    def script_for(self, connection):
        before = self.connections[:connection.number]
        self._know(before)
        if self.unused:
            return self.unused.pop(0)
        self.n_unscripted += 1
        rest = before[-1].script[before[-1].n_played:] if before else []
        while rest and not isinstance(rest[0], RECEIVING):
            rest = rest[1:]
        return [*(rest or [ReceiveRequest()]), CloseAtOnce()]

    def _know(self, connections) -> None:
        """Waits for handshakes under way; gives back the script of each connection that was nothing else."""
        limit = time.monotonic() + HANDSHAKE_S
        while any(is_handshake(c) and not c.how_ended for c in connections) and time.monotonic() < limit:
            time.sleep(GLANCE_S)
        for connection in connections:
            if is_handshake(connection) and not hasattr(connection, "gave_back"):
                connection.gave_back = True
                self.unused.insert(0, connection.script)

    def seen(self) -> list:
        """For each connection, the texts that its receiving actions took, and `@extra:` with what was left over."""
        texts = []
        for connection in self.connections:
            if not is_handshake(connection):
                rest = connection.rest.decode("latin-1")
                texts.append([data.decode("latin-1") for data in connection.taken] + ([f"@extra:{rest}"] if rest else []))
        return texts

    def exchanges(self) -> list[Exchange]:
        return [exchange for connection in self.connections for exchange in exchanges_of(connection.journal)]

    def is_silent(self) -> bool:
        """The last connection has played its whole script, and that never sends."""
        if not self.connections:
            return False
        last = self.connections[-1]
        return bool(last.script) and last.n_played == len(last.script) and last.n_sent == 0


def is_handshake(connection) -> bool:
    """Nothing but a TLS handshake has been seen on the connection since that began."""
    return getattr(connection, "before_tls", None) == (connection.n_received, connection.n_sent)


def exchanges_of(journal: list) -> list[Exchange]:
    exchanges = []
    for verb, data in journal:
        if verb.startswith("took") and REQUEST_LINE.match(data):
            n_unread = body_length(data) if verb == "took head" else 0
            exchanges.append(Exchange(data.partition(b"\r\n")[0].decode("latin-1"), n_unread))
        elif exchanges and verb == "sent":
            exchanges[-1].sent += data
        elif exchanges and verb == "ended":
            exchanges[-1].ended = {"fin": "fin", "reset": "rst"}[data.decode()]
    return exchanges


def translated(script: list, certificate: str | None) -> list:
    return [action_for(step, certificate) for step in script]


def action_for(step: dict, certificate: str | None):
    match step:
        case {"recv": "request"}:
            return ReceiveRequest()
        case {"recv": "header"}:
            return ReceiveHead()
        case {"recv": "anything"}:
            return ReceiveAnything()
        case {"recv": "for", "ms": ms}:
            return ReceiveFor(ms / 1000)
        case {"recv": int(n)}:
            return Receive(n)
        case {"send": text}:
            return Send(text.encode("latin-1"))
        case {"sleep": ms}:
            return Pause(ms / 1000)
        case {"tls": _}:
            return Handshake(certificate)
        case {"close": "fin"}:
            return CloseAtOnce()
        case {"close": "rst"}:
            return Reset()
    raise ValueError(f"unknown step {step}")
