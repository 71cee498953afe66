"""What both downloads of the demo do the same way: read the plan, show progress, measure, report.

A download is a process of its own with two timed parts, the many small files and then the big one.
Its progress goes to stderr, its numbers as one line of JSON to stdout.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

# Behind everything else: an installed qhttp comes first, a checkout built in place works too.
sys.path.append(str(Path(__file__).resolve().parent.parent))

from bench.contenders.runner import cpu_now_s, peak_rss_kib

TERMINAL_INTERVAL_S = 0.1
PLAIN_INTERVAL_S = 3.0


class Item(NamedTuple):
    """One file: where it is served, where it goes, how long it is."""

    url_path: str
    target: str
    n_bytes: int


class Progress:
    """A live line on a terminal, a plain line now and then elsewhere. May be called from many threads."""

    def __init__(self, label: str, items: Sequence[Item]) -> None:
        self.label = label
        self.n_files, self.n_bytes = len(items), sum(item.n_bytes for item in items)
        self.files_done, self.bytes_done = 0, 0
        self.lock = threading.Lock()
        self.is_terminal = sys.stderr.isatty()
        self.interval_s = TERMINAL_INTERVAL_S if self.is_terminal else PLAIN_INTERVAL_S
        self.start_s = self.shown_s = time.monotonic()

    def file_done(self, item: Item) -> None:
        """A file has come whole."""
        with self.lock:
            self.files_done += 1
            self.bytes_done += item.n_bytes
            self._show_if_due(self.bytes_done)

    def part_done(self, n_bytes_of_file: int) -> None:
        """So much of a file that is still coming is there."""
        with self.lock:
            self._show_if_due(self.bytes_done + n_bytes_of_file)

    def end(self) -> None:
        """The last word, whatever the interval."""
        self._show(self.bytes_done, time.monotonic())
        if self.is_terminal:
            print(file=sys.stderr)

    def _show_if_due(self, n_bytes: int) -> None:
        now_s = time.monotonic()
        if now_s - self.shown_s >= self.interval_s:
            self._show(n_bytes, now_s)

    def _show(self, n_bytes: int, now_s: float) -> None:
        self.shown_s = now_s
        rate = n_bytes / 1e6 / max(now_s - self.start_s, 1e-9)
        text = (
            f"  {self.label}: {self.files_done}/{self.n_files} files, "
            f"{n_bytes / 1e6:.0f}/{self.n_bytes / 1e6:.0f} MB, {rate:.0f} MB/s"
        )
        if self.is_terminal:
            print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)


Download = Callable[[int, Sequence[Item], int, Progress], list[str]]


def _timed(label: str, download: Download, port: int, items: Sequence[Item], lanes: int) -> dict[str, object]:
    progress = Progress(label, items)
    cpu_start_s, start_s = cpu_now_s(), time.perf_counter()
    failures = download(port, items, lanes, progress)
    wall_s, cpu_s = time.perf_counter() - start_s, cpu_now_s() - cpu_start_s
    progress.end()
    return {"wall_s": wall_s, "cpu_s": cpu_s, "failures": failures}


def main(name: str, download: Download) -> None:
    """Run the plan whose file is the only argument.

    `download(port, items, n_lanes, progress)` fetches all items, `n_lanes` at a time, and returns a
    sentence for each that failed.
    """
    plan = json.loads(Path(sys.argv[1]).read_text())
    small, big = [Item(*item) for item in plan["small"]], Item(*plan["big"])
    os.umask(0o077)
    try:
        numbers = {
            "small": _timed(f"{name}, small files", download, plan["port"], small, plan["lanes"]),
            "big": _timed(f"{name}, big file", download, plan["port"], [big], 1),
        }
    except KeyboardInterrupt:
        sys.exit(130)
    print(json.dumps({**numbers, "peak_rss_kib": peak_rss_kib()}))
