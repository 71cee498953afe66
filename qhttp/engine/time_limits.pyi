from typing import Self

from typing_extensions import disjoint_base

from qhttp._connection import Watcher
from qhttp._core import Limits, Loop

@disjoint_base
class Options:
    limits: Limits
    public_only: bool
    connect_ms: int
    transfer_ms: int
    total_ms: int
    min_rate: int
    rate_ms: int
    def __init__(self) -> None: ...

@disjoint_base
class Timed(Watcher): ...

@disjoint_base
class TimeLimits:
    def __new__(cls, loop: Loop, options: Options, target: Timed) -> Self: ...
    def connect_time_up(self) -> None: ...
    def total_time_up(self) -> None: ...
    def transfer_time_up(self) -> None: ...
    def rate_time_up(self) -> None: ...
