from collections.abc import Callable
from typing import Any, Self

from typing_extensions import disjoint_base

from qhttp._core import Sink
from qhttp._sinks import Memory
from qhttp.bulk.coding import Decoder
from qhttp.errors import ResumeError

def not_the_same() -> ResumeError: ...

@disjoint_base
class PartSink(Memory):
    def __new__(cls, owner: Any = None, fd: int = -1, start: int = 0, expected: bytes | None = None) -> Self: ...

@disjoint_base
class PieceSink(Memory):
    def __new__(cls, decoder: Decoder | None = None, pacer: Callable[[int], Any] | None = None, owner: Any = None,
                fd: int = -1, offset: int = 0, expected: bytes | None = None, cap: int = 0) -> Self: ...

class RangeSink(Sink):
    def __new__(cls, fd: int, offset: int) -> Self: ...
