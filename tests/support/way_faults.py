"""What `support.fault_proxy` does to the bytes of one direction: each fault is a small frozen object with an offset.

It is called with the `Direction` when `at` bytes have gone through, takes bytes and puts others, and returns; or it ends the
direction. Those without `at` are for the accept. `Corrupt`, `Swap`, `Drop` and `Repeat` change what comes, which TCP does not
do and broken middleboxes do; the others change when it comes, and whether.
"""
from dataclasses import dataclass

GAP_S = 0.001               # between the pieces of a drip


@dataclass(frozen=True)
class Reset:
    """RST to both sides."""
    at: int

    def __call__(self, direction):
        direction.reset()


@dataclass(frozen=True)
class Cut:
    """FIN to both sides: the answer is truncated."""
    at: int

    def __call__(self, direction):
        direction.cut()


@dataclass(frozen=True)
class HalfClose:
    """FIN in this direction alone: the other one goes on."""
    at: int

    def __call__(self, direction):
        direction.finish()


@dataclass(frozen=True)
class Stall:
    """Nothing more, and the connection stays open: until the proxy is closed, or for some seconds."""
    at: int
    seconds: float | None = None

    def __call__(self, direction):
        direction.pause(self.seconds)


@dataclass(frozen=True)
class Drip:
    """So many bytes come in small pieces with a gap after each."""
    at: int
    n: int
    size: int = 1
    gap_s: float = GAP_S

    def __call__(self, direction):
        end = direction.n_taken + self.n
        while direction.n_taken < end and (piece := direction.take_some(min(self.size, end - direction.n_taken))):
            direction.put(piece)
            direction.pause(self.gap_s)


@dataclass(frozen=True)
class Split:
    """So many bytes come in segments of this size, as quickly as they can."""
    at: int
    n: int
    size: int = 1

    def __call__(self, direction):
        end = direction.n_taken + self.n
        while direction.n_taken < end and (piece := direction.take_some(min(self.size, end - direction.n_taken))):
            direction.put(piece)


@dataclass(frozen=True)
class Corrupt:
    """Bits of one byte are turned over."""
    at: int
    mask: int = 0x01

    def __call__(self, direction):
        direction.put(bytes(byte ^ self.mask for byte in direction.take(1)))


@dataclass(frozen=True)
class Swap:
    """Two segments behind one another change their places."""
    at: int
    n_first: int
    n_second: int

    def __call__(self, direction):
        first, second = direction.take(self.n_first), direction.take(self.n_second)
        direction.put(second + first)


@dataclass(frozen=True)
class Drop:
    """So many bytes never come, and those behind them do."""
    at: int
    n: int

    def __call__(self, direction):
        direction.take(self.n)


@dataclass(frozen=True)
class Repeat:
    """So many bytes come twice."""
    at: int
    n: int

    def __call__(self, direction):
        direction.put(direction.take(self.n) * 2)


@dataclass(frozen=True)
class Refuse:
    """For the accept: RST at once."""

    def __call__(self, passage):
        passage.refuse()


@dataclass(frozen=True)
class Wait:
    """For the accept: the server is connected only after a while."""
    seconds: float

    def __call__(self, passage):
        passage.pause(self.seconds)
