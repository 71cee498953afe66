from collections.abc import Callable, Iterable
from typing import Any

from typing_extensions import disjoint_base

from qhttp._connection import Connection, Watcher
from qhttp._core import Loop

@disjoint_base
class Connector(Watcher):
    def __init__(self, loop: Loop, key: object, addresses: Iterable[tuple[int, Any]],
                 callback: Callable[[Connection | None, int], Any], given: Any = None) -> None: ...
    def try_later(self) -> None: ...
    def give_up(self) -> None: ...
    def cancel(self) -> None: ...
