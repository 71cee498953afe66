"""The words that scripts of `support.scripted_server` are made of.

Each is a small frozen object that is called with the connection; its repr tells what it does.
"""
import itertools
import ssl
import time
from dataclasses import dataclass, field

from support.request_reading import body_length, take_body, take_head
from support.scripted_server import BLOCK, ClientLeft

LINGER_S = 1.0          # how long a gentle close goes on reading
N_NUMBERED_AT_ONCE = 4000


@dataclass(frozen=True)
class Send:
    """Sends bytes, cut at the given offsets into several sends with a pause between."""
    data: bytes = field(repr=False)
    cuts: tuple[int, ...] = ()
    pause_s: float = 0.0

    def __call__(self, peer):
        at = [0, *(n for n in self.cuts if 0 < n < len(self.data)), len(self.data)]
        for start, end in itertools.pairwise(at):
            if start and self.pause_s:
                peer.pause(self.pause_s)
            peer.send(self.data[start:end])


@dataclass(frozen=True)
class Repeat:
    """Sends a unit many times, in large blocks: gigabytes without holding them."""
    unit: bytes
    times: int

    def __call__(self, peer):
        n_in_block = max(1, min(self.times, BLOCK // max(1, len(self.unit))))
        block = self.unit * n_in_block
        for _ in range(self.times // n_in_block):
            peer.send(block)
        peer.send(self.unit * (self.times % n_in_block))


@dataclass(frozen=True)
class SendNumbered:
    """Sends a template many times, `{n}` counting up."""
    template: str
    times: int

    def __call__(self, peer):
        for start in range(0, self.times, N_NUMBERED_AT_ONCE):
            numbers = range(start, min(start + N_NUMBERED_AT_ONCE, self.times))
            peer.send("".join(self.template.replace("{n}", str(n)) for n in numbers).encode())


@dataclass(frozen=True)
class Drip:
    """Sends byte after byte with a gap after each."""
    data: bytes
    gap_s: float

    def __call__(self, peer):
        for n in range(len(self.data)):
            peer.send(self.data[n:n + 1])
            peer.pause(self.gap_s)


@dataclass(frozen=True)
class Pause:
    """Neither sends nor receives for a while."""
    seconds: float

    def __call__(self, peer):
        peer.pause(self.seconds)


@dataclass(frozen=True)
class ReceiveHead:
    """Takes a request head, and leaves its body."""

    def __call__(self, peer):
        take_head(peer)


@dataclass(frozen=True)
class ReceiveRequest:
    """Takes a request head and the body that its Content-Length announces, as one entry of `taken`."""

    def __call__(self, peer):
        while (end := peer.pending.find(b"\r\n\r\n") + 4) < 4:
            peer.more()
        peer.take(end + body_length(bytes(peer.pending[:end])))


@dataclass(frozen=True)
class ReceiveBody:
    """Reads and forgets a request body, or only so much of it."""
    limit: int | None = None

    def __call__(self, peer):
        take_body(peer, peer.taken[-1], self.limit)


@dataclass(frozen=True)
class Receive:
    """Takes exactly so many bytes."""
    n: int

    def __call__(self, peer):
        peer.take(self.n)


@dataclass(frozen=True)
class ReceiveAnything:
    """Takes what there is, at least one byte."""

    def __call__(self, peer):
        if not peer.pending:
            peer.more()
        peer.take(len(peer.pending))


@dataclass(frozen=True)
class ReceiveFor:
    """Takes all that comes within a time."""
    seconds: float

    def __call__(self, peer):
        receive_until(peer, time.monotonic() + self.seconds)
        peer.take(len(peer.pending))


@dataclass(frozen=True)
class Drain:
    """Reads and forgets all that comes within a time."""
    seconds: float

    def __call__(self, peer):
        receive_until(peer, time.monotonic() + self.seconds, forget=True)


@dataclass(frozen=True)
class HalfClose:
    """Sends FIN and goes on."""

    def __call__(self, peer):
        peer.half_close()


@dataclass(frozen=True)
class Close:
    """Sends FIN and reads until the client closes, too: what was sent arrives in any case."""

    def __call__(self, peer):
        peer.half_close()
        try:
            receive_until(peer, time.monotonic() + LINGER_S, forget=True)
        except (OSError, ClientLeft):
            pass
        peer.end("fin")


@dataclass(frozen=True)
class CloseAtOnce:
    """Closes without looking whether the client has sent something."""

    def __call__(self, peer):
        peer.end("fin")


@dataclass(frozen=True)
class Reset:
    """Sends RST."""

    def __call__(self, peer):
        peer.end("reset")


@dataclass(frozen=True)
class StartTls:
    """Makes a TLS handshake with the certificate and key in a PEM file."""
    certificate: str

    def __call__(self, peer):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        peer.use_tls(context)


def receive_until(peer, end, forget=False):
    """Receives until a moment of the monotonic clock, or raises ClientLeft."""
    while (left := end - time.monotonic()) > 0:
        try:
            peer.more(left)
        except TimeoutError:
            return
        if forget:
            peer.drop()
