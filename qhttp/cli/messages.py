"""What is said on stderr: one line each, nothing secret, and not without end.

Errors, notes and details go through one object, so that the display of progress can make room for them, and so that a run
with a million failures ends with a count and not with a million lines.
"""
from __future__ import annotations

import sys

from qhttp.protocol.shown import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

MAX_ERROR_LINES = 100           # of one run's transfers and rows; the rest is counted
QUIET, NORMAL, VERBOSE = range(3)


class Messages:
    """`write(kind, line)`: where lines go; the display replaces it while it is on the screen. `kind`: "error" or "note"."""

    level: int
    max_error_lines: int
    n_errors: int

    def __init__(self, level: int = NORMAL, stream: TextIO | None = None, max_error_lines: int = MAX_ERROR_LINES):
        self.level, self.max_error_lines = level, max_error_lines
        self.n_errors = 0
        self._stream = stream
        self.write: Callable[[str, str], None] = self.write_plain

    @property
    def shows_errors(self) -> bool:
        """Whether failure() still shows its line."""
        return self.n_errors < self.max_error_lines

    def error(self, line: str) -> None:
        """What goes wrong with the run and is said once, also with -q."""
        self.write("error", "qhttp: " + one_line(line))

    def failure(self, line: str) -> None:
        """That of one transfer or row, also with -q; beyond `max_error_lines` only counted."""
        self.n_errors += 1
        if self.n_errors <= self.max_error_lines:
            self.error(line)
        elif self.n_errors == self.max_error_lines + 1:
            self.write("error", f"qhttp: there were {self.max_error_lines} errors; further ones are only counted: "
                                "--log-json FILE has them all")

    def end(self) -> None:
        """Says how many errors were not shown."""
        n_more = self.n_errors - self.max_error_lines
        if n_more > 0:
            self.write("error", f"qhttp: {n_more} more errors were not shown")

    def note(self, line: str) -> None:
        """Something that everybody should know, but for -q."""
        if self.level >= NORMAL:
            self.write("note", "qhttp: " + one_line(line))

    def detail(self, line: str) -> None:
        """Something for -v."""
        if self.level >= VERBOSE:
            self.write("note", one_line(line))

    def write_plain(self, kind: str, line: str) -> None:
        """A line on stderr, which may be closed or full: nothing could be said about that."""
        stream = self._stream or sys.stderr
        if stream is None:
            return
        try:
            stream.write(line + "\n")
            stream.flush()
        except (OSError, ValueError):
            pass
