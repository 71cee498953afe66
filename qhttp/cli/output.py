"""Standard streams that are closed, full, or pipes that nobody reads."""
from __future__ import annotations

import os
import sys


class Closed:
    """In the place of a stdout that is closed: whoever prints hears of it."""

    def write(self, text: str) -> int:
        raise OSError("it is closed")

    def flush(self) -> None:
        """Nothing was written."""

    def fileno(self) -> int:
        raise ValueError("it is closed")

    def isatty(self) -> bool:
        return False


def keep_places() -> None:
    """Puts /dev/null where stdin, stdout or stderr are closed: else the next file that is opened would be one of them."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)          # takes the lowest number that is free
    if sys.stdout is None:
        sys.stdout = Closed()


def forget() -> None:
    """Keeps the interpreter from writing once more, at its end, what stdout has not taken."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
