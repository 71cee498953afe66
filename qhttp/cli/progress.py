"""Displays of progress on stderr: a line, a line now and then, JSON lines, nothing. The table of rich is in table.py.

A display draws what Figures has. A timer of the loop asks for that, some times a second; no file has work of its own here.
"""
from __future__ import annotations

import os
import sys

from qhttp.cli.figures import Figures, name_of, percent_text, size_text, summary_text, totals_text
from qhttp.cli.messages import QUIET, Messages
from qhttp.protocol.shown import shown_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

TABLE_INTERVAL_S = 0.125
LINE_INTERVAL_S = 0.25
JSON_INTERVAL_S = 1.0
PATIENT_INTERVAL_S = 10.0       # off a terminal
MAX_TRANSFERS_TOLD = 16         # in a JSON line
WIDTH = 80                      # of a terminal that does not tell


class Display:
    """Nothing is shown but messages and the summary. The others are its subclasses."""

    messages: Messages
    stream: TextIO
    interval_s: float

    interval_s = 0.0            # between two calls of draw; 0: none

    def __init__(self, messages: Messages, stream: TextIO | None = None, interval_s: float | None = None):
        self.messages, self.stream = messages, stream or sys.stderr
        self.interval_s = self.interval_s if interval_s is None else interval_s

    def draw(self, figures: Figures) -> None:
        """Shows the numbers."""

    def end(self, figures: Figures | None) -> None:
        """Leaves the screen as others expect it, and sums up; None: the run ended at once, and there is nothing to say."""
        if figures is not None:
            self.messages.note(summary_text(figures))

    def put(self, text: str) -> None:
        """Writes; a stream that does not take it is not asked again."""
        try:
            self.stream.write(text)
            self.stream.flush()
        except (AttributeError, OSError, ValueError):       # the first: there is none
            self.interval_s = 0.0


class NowAndThen(Display):
    """A line from time to time, for logs and pipes."""

    interval_s = PATIENT_INTERVAL_S

    def draw(self, figures: Figures) -> None:
        self.put(f"qhttp: {totals_text(figures)}\n")


class UpdatingLine(Display):
    """One line of a terminal, written over again and again."""

    interval_s = LINE_INTERVAL_S
    _line = ""

    def __init__(self, messages: Messages, stream: TextIO | None = None, interval_s: float | None = None):
        super().__init__(messages, stream, interval_s)
        messages.write = self._write_above

    def draw(self, figures: Figures) -> None:
        line = totals_text(figures)
        if figures.n_running == 1:
            [(transfer, _)] = figures.running
            total = f" of {size_text(transfer.n_total)}" if transfer.n_total > 0 else ""
            line = f"{line} | {name_of(transfer)} {percent_text(transfer)}{total}"
        self._show(line[:self._width() - 1])

    def end(self, figures: Figures | None) -> None:
        self._show("")
        self.messages.write = self.messages.write_plain
        super().end(figures)

    def _show(self, line: str) -> None:
        if line != self._line:
            self.put("\r" + line + " " * (len(self._line) - len(line)) + ("" if line else "\r"))
            self._line = line

    def _write_above(self, kind: str, text: str) -> None:
        line = self._line
        self._show("")
        self.messages.write_plain(kind, text)
        self._show(line)

    def _width(self) -> int:
        try:
            return os.get_terminal_size(self.stream.fileno()).columns or WIDTH
        except (OSError, ValueError):
            return WIDTH


class JsonLines(Display):
    """One JSON object a line: progress, messages, and one at the end."""

    interval_s = JSON_INTERVAL_S

    def __init__(self, messages: Messages, stream: TextIO | None = None, interval_s: float | None = None):
        super().__init__(messages, stream, interval_s)
        messages.write = self._write

    def draw(self, figures: Figures) -> None:
        told = figures.running[:MAX_TRANSFERS_TOLD]
        self._put_object("progress", **_numbers(figures), transfers=[
            {"url": shown_url(transfer.url), "name": name_of(transfer), "done": transfer.n_done,
             "total": transfer.n_total or None, "bytes_per_second": round(rate)} for transfer, rate in told])

    def end(self, figures: Figures | None) -> None:
        if figures is not None:
            self._put_object("end", **_numbers(figures))

    def _write(self, kind: str, line: str) -> None:
        self._put_object(kind, message=line.removeprefix("qhttp: "))

    def _put_object(self, event: str, **values: Any) -> None:
        import json
        self.put(json.dumps({"event": event, **values}) + "\n")


def _numbers(figures: Figures) -> dict[str, Any]:
    return {"seconds": round(figures.elapsed_s, 3), "done": figures.n_done, "skipped": figures.n_skipped,
            "failed": figures.n_failed, "retries": figures.n_retries, "running": figures.n_running,
            "waiting": figures.n_waiting, "unread": figures.n_unread, "bytes": figures.n_bytes,
            "bytes_per_second": round(figures.rate), "eta": None if figures.eta_s is None else round(figures.eta_s, 1)}


def display_for(how: str, messages: Messages, interval_s: float | None = None, *, lines_on_stdout: bool = False,
                stream: TextIO | None = None) -> Display:
    """The display for `how`: one of auto, rich, plain, json, none. `lines_on_stdout`: what is printed there would tear the
    table apart where stdout is the same terminal. Raises ImportError for rich where it is not installed."""
    stream = stream or sys.stderr
    if how == "json":
        return JsonLines(messages, stream, interval_s)
    is_torn = lines_on_stdout and _is_terminal(sys.stdout)
    if how == "none" or stream is None or (how == "auto" and (messages.level == QUIET or is_torn)):
        return Display(messages, stream)
    if not _is_terminal(stream):
        return NowAndThen(messages, stream, interval_s)
    if how == "rich" or (how == "auto" and _has_rich() and os.environ.get("TERM") != "dumb"):
        from qhttp.cli.table import Table
        return Table(messages, stream, interval_s)
    return UpdatingLine(messages, stream, interval_s)


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:          # closed
        return False


def _has_rich() -> bool:
    from importlib.util import find_spec
    return find_spec("rich") is not None
