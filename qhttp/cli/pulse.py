"""A function called again and again by the loop: for displays, logs, and for signals that come while the loop sleeps."""
from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Pulse:
    """Calls `function()` every `interval_s()` seconds from `start()` to `stop()`; an interval of 0 ends it, too.

    A beat that comes late is not made up for.
    """

    def __init__(self, interval_s: Callable[[], float], function: Callable[[], Any]):
        self._interval_s, self._function = interval_s, function
        self._timer: Any = None

    def start(self) -> None:
        interval_s = self._interval_s()
        if interval_s > 0:
            from qhttp._core import loop
            self._timer = loop().call_later(interval_s, self._beat)

    def stop(self) -> None:
        """A timer is work that the loop waits for: without this it would not end."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _beat(self) -> None:
        self._timer = None
        self.start()
        self._function()
