"""Rates: token buckets that are told the time, and the words for sizes and rates on a command line.

A bucket may be overdrawn: what was received cannot be given back, so `take` always succeeds and the next `wait_s` is the longer
for it. In the long run no more than `rate` a second gets through, however large the pieces are. No clocks here.
"""
from __future__ import annotations

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SIZE_MAX = 2 ** 63 - 1      # of a size in bytes: what a file offset can hold
RATE_MIN = 1e-9             # times a second: a pause between two is a number of nanoseconds in 64 bits
SPEED_WINDOW_S = 60.0       # of a speed that names no time
_DUST = 1e-6                # what rounding may leave behind; it is not waited for
_NS = 1_000_000_000

_MULTIPLES = {"": 1, "k": 1024, "m": 1024 ** 2, "g": 1024 ** 3, "t": 1024 ** 4, "p": 1024 ** 5}
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class TokenBucket:
    """`rate` tokens a second (bytes, requests), of which at most `burst` are saved up; None: as many as come in one second.

    A new bucket is full. Times are nanoseconds of any clock that does not go back (CLOCK_MONOTONIC). Raises ValueError for a
    rate or burst that is not above 0: where there is no limit there is no bucket.
    """

    __slots__ = ("_last_ns", "_n_tokens", "burst", "rate")

    rate: float
    burst: float

    def __init__(self, rate: float, burst: float | None = None):
        if not 0 < rate < float("inf"):
            raise ValueError(f"rate must be a number above 0 (tokens a second), not {rate!r}")
        self.rate = float(rate)
        self.burst = float(rate if burst is None else burst)
        if not 0 < self.burst < float("inf"):
            raise ValueError(f"burst must be a number above 0 (tokens), not {burst!r}")
        self._n_tokens = self.burst
        self._last_ns: int | None = None

    def __repr__(self) -> str:
        return f"<qhttp token bucket: {self.rate:g} a second, {self.burst:g} at most>"

    def take(self, n: float, now_ns: int) -> None:
        """Takes n tokens, whether they are there or not."""
        self._fill(now_ns)
        self._n_tokens -= n

    def wait_s(self, now_ns: int, n: float = 0.0) -> float:
        """Seconds until the bucket holds `n` tokens and owes none; 0.0: now. More than `burst` are waited for as `burst`."""
        self._fill(now_ns)
        missing = min(n, self.burst) - self._n_tokens
        return missing / self.rate if missing > _DUST else 0.0

    def _fill(self, now_ns: int) -> None:
        if self._last_ns is None:
            self._last_ns = now_ns
        elapsed_ns = now_ns - self._last_ns
        if elapsed_ns > 0:
            self._n_tokens = min(self.burst, self._n_tokens + elapsed_ns * self.rate / _NS)
            self._last_ns = now_ns


def first_wait_s(buckets: Iterable[TokenBucket | None], now_ns: int, n: float = 0.0) -> float:
    """Seconds until the first moment at which every bucket lets something through; `n` as in wait_s. None is no limit."""
    return max((bucket.wait_s(now_ns, n) for bucket in buckets if bucket is not None), default=0.0)


def _number(text: str, suffixes: Mapping[str, float]) -> float | None:
    """A decimal number and the factor of the suffix behind it; None for anything else."""
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    factor = suffixes.get(text[len(digits):])
    whole, _, fraction = digits.partition(".")
    if factor is None or not (whole + fraction).isdecimal() or not digits.isascii():
        return None
    return float(digits) * factor


def parse_size(text: str) -> int:
    """Bytes from "500", "64k", "1.5M", "2GiB"; k, M, G, T and P are powers of 1024, in either case. Raises ValueError."""
    lower = text.strip().lower()
    n = _number(lower.removesuffix("ib") if lower[-3:-2] in _MULTIPLES else lower, _MULTIPLES)
    if n is None or n > SIZE_MAX or 0 < n < 1:      # less than a byte is not nothing, which is often no limit
        raise ValueError(f"a size looks like 500, 64k or 1.5M (bytes; k, M, G and T are powers of 1024), not {text[:40]!r}")
    return int(n)


def parse_rate(text: str) -> float:
    """Times a second from "5/s", "300/m", "10/h"; "5" alone is a second's. Raises ValueError."""
    count, _, unit = text.strip().lower().partition("/")
    n = _number(count.strip(), {"": 1})
    seconds = _SECONDS.get(unit.strip())
    if n is None or seconds is None or n == float("inf") or text.strip().endswith("/"):
        raise ValueError(f"a rate looks like 5/s, 300/m or 10/h, not {text[:40]!r}")
    if 0 < n / seconds < RATE_MIN:
        raise ValueError(f"a rate is one in {1 / RATE_MIN:.0f} seconds at least, not {text[:40]!r}")
    return n / seconds


def parse_speed(text: str) -> tuple[int, float]:
    """(bytes a second, seconds) from "1k/30s": at least 1 KiB a second, measured over 30 seconds.

    The time may end in s, m or h, and may be left out (SPEED_WINDOW_S). Raises ValueError.
    """
    size, slash, window = text.strip().partition("/")
    seconds = _number(window.strip().lower(), _SECONDS) if slash else SPEED_WINDOW_S
    try:
        n = parse_size(size)
    except ValueError:
        n = None
    if n is None or seconds is None or not 0 < seconds < float("inf"):
        raise ValueError(f"a speed looks like 1k/30s (bytes a second, over how many seconds) or 1k, not {text[:40]!r}")
    return n, seconds
