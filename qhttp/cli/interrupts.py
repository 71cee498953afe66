"""Ctrl-C and SIGTERM: the first one asks politely, a second Ctrl-C ends at once, a third is the system's."""
from __future__ import annotations

import signal
import threading

from qhttp.cli import interrupt_until_run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class StopAtOnce(BaseException):
    """Raised out of whatever runs at the second Ctrl-C; nobody's `except Exception` is to keep it."""


class Interrupts:
    """While the `with` block runs, the first signal has the loop call `stop()` in its next turn. `came`: whether there was one.

    Handlers run between two instructions of the main thread, in the middle of anything: they only leave a note with the loop.
    In another thread, where Python allows no handlers, the signals stay as they are. In a process of the command's own, Ctrl-C
    is of no use after a run that has ended.
    """

    came: bool

    def __init__(self, stop: Callable[[], Any]):
        self.came = False
        self._stop = stop
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._before.items():
            if handler is interrupt_until_run:      # nothing is left to interrupt, unless the run was broken off
                handler = signal.SIG_DFL if kind is not None else signal.SIG_IGN
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _handle(self, number: int, frame: object) -> None:
        if not self.came:
            self.came = True
            from qhttp._core import loop
            loop().call_soon(self._stop)
        elif number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            raise StopAtOnce
