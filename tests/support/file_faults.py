"""Which fault an attempt on a file gets: a seeded draw, so that two runs of one seed meet the same faults.

The draw depends on the seed, the file's number and how many requests for it came before, and on nothing else. So neither the
order of the requests nor the number of connections changes it.
"""
from collections.abc import Collection
from dataclasses import dataclass

from support.seeded_files import numbers

# What a server does wrong -> in how many of a hundred attempts.
FAULTS = {
    "reset": 6,             # RST in the midst of the body
    "fin": 6,               # FIN in the midst of the body
    "too long": 3,          # Content-Length promises more than comes before FIN
    "too short": 2,         # Content-Length promises less; the rest of the body follows all the same
    "bad chunk": 3,         # chunked, and a size line that is none in its midst
    "stall": 2,             # a part of the body, and then nothing until the client leaves
    "drip": 1,              # a part of the body, and then byte after byte
    "503": 3,               # an answer that says to come again
    "429": 2,               # the same, with Retry-After: 0 or 1
    "surplus": 1,           # bytes behind the end of a right answer, which may look like another answer
    "whole for range": 1,   # 200 with the whole file where a range was asked; no fault where none was
}
N_PERCENT = sum(FAULTS.values())


@dataclass(frozen=True)
class Fault:
    """A fault, and where it strikes: `at` is the share of the body before it, `kind` a free choice; both of [0, 1)."""
    name: str
    at: float
    kind: float


class FaultDraw:
    """Draws at most `n_most` faults for a file (0: no limit); `percent` of a hundred attempts have one of those that are named.

    `only` names the one fault that every attempt has, as long as it is set.
    """

    def __init__(self, seed: int, n_most: int = 5, percent: float = N_PERCENT, names: Collection[str] = tuple(FAULTS)):
        self.seed, self.n_most, self.share = seed, n_most, percent / 100
        self.only: str | None = None
        self._table = []
        n_percent, total = sum(FAULTS[name] for name in names), 0.0
        for name in names:
            total += FAULTS[name] / n_percent * self.share
            self._table.append((total, name))
        self._table[-1] = (1.0, name)           # whatever the sum was rounded to
        self.n_given: dict[int, int] = {}

    def draw(self, number: int, attempt: int) -> Fault | None:
        """The fault of an attempt (0, 1, ...), None for none. What was drawn and then done is to be told to `given`."""
        if self.n_most and self.n_given.get(number, 0) >= self.n_most:
            return None
        raw, at, kind = numbers(self.seed, number, attempt, len(FAULTS))
        u = raw / 2**32
        if self.only is not None:
            return Fault(self.only, at, kind)
        if u >= self.share:
            return None
        return Fault(next(name for limit, name in self._table if u < limit), at, kind)

    def given(self, number: int) -> None:
        """Counts a fault that a client has really met."""
        self.n_given[number] = self.n_given.get(number, 0) + 1
