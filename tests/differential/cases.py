"""What a party is asked, and what it says to that."""
import itertools
from dataclasses import dataclass, field


@dataclass(slots=True)
class Case:
    """One answer: the method that was asked with, its bytes, whether a reset follows (else EOF), and where it is cut."""
    method: str
    data: bytes
    is_reset: bool = False
    cuts: tuple = ()

    def pieces(self) -> list[bytes]:
        return [self.data[start:end] for start, end in itertools.pairwise((0, *self.cuts, len(self.data)))]


@dataclass(slots=True)
class Outcome:
    """What one party makes of an answer. None where it does not tell."""
    why: str | None = None              # it refuses, and this is what it says
    status: int = 0
    fields: list = field(default_factory=list)      # (name, value), bytes, names in lower case
    body: bytes | None = None           # of qhttp also what was delivered before it refused
    n_left: int | None = None           # bytes behind the answer
    is_kept: bool | None = None         # the connection is good for another request
