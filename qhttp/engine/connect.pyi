from collections.abc import Callable, Iterable
from typing import Any

from qhttp._connection import Connection, Watcher
from qhttp._core import Loop

class Connector(Watcher):
    def __init__(self, loop: Loop, key: object, addresses: Iterable[tuple[int, Any]],
                 callback: Callable[[Connection | None, int], Any], given: Any = None) -> None: ...
    def cancel(self) -> None: ...
