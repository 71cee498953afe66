"""A list that comes slowly, through a pipe or from a terminal: a thread of its own reads it, the loop never waits for it."""
from __future__ import annotations

import threading
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

ROWS_CAP = 10_000           # rows that are read and wait


class PipedRows:
    """An iterator over `rows` that gives None while there is nothing: `more()` is then called in the loop, once there is
    something again, or the end. After `block()` it waits instead. At most `rows_cap` rows are held.

    The thread begins with the first row that is asked for, and ends with the process or the list.
    """

    def __init__(self, rows: Iterator[Any], more: Callable[[], Any], rows_cap: int = ROWS_CAP):
        self._source, self._more, self._rows_cap = rows, more, rows_cap
        self._rows: deque[Any] = deque()
        self._changed = threading.Condition()
        self._has_begun = self._is_over = self._is_blocking = self._is_inline = False
        self._tell: Callable[[Callable[[], Any]], Any] | None = None        # of the loop that waits for a row

    def __iter__(self) -> PipedRows:
        return self

    def __next__(self) -> Any:
        if not self._has_begun:
            self._has_begun = True
            try:
                threading.Thread(target=self._read, name="qhttp-list", daemon=True).start()
            except RuntimeError:            # no more threads: the loop waits for each row
                self._is_inline = True
        if self._is_inline:
            return next(self._source)
        with self._changed:
            while not self._rows:
                if self._is_over:
                    raise StopIteration
                if not self._is_blocking:
                    from qhttp._core import loop
                    self._tell = loop().call_from_thread
                    return None
                self._changed.wait()
            row = self._rows.popleft()
            if len(self._rows) == self._rows_cap // 2:
                self._changed.notify()
        if isinstance(row, Exception) and row is self._failure:
            raise row
        return row

    _failure: Exception | None = None       # out of the list's own reader

    def block(self) -> None:
        """From now on __next__ waits: the loop has nothing else to do any more."""
        self._is_blocking = True

    def _read(self) -> None:
        try:
            for row in self._source:
                self._put(row)
        except Exception as error:
            self._failure = error
            self._put(error)
        with self._changed:
            self._is_over = True
            self._wake()

    def _put(self, row: Any) -> None:
        with self._changed:
            while len(self._rows) >= self._rows_cap:
                self._changed.wait()
            self._rows.append(row)
            self._wake()

    def _wake(self) -> None:
        """Under the lock."""
        tell, self._tell = self._tell, None
        if tell is not None:
            tell(self._more)
        self._changed.notify()
