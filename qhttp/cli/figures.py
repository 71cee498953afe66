"""The numbers of a run as displays show them, taken from the downloader's counters now and then, never file by file."""
from __future__ import annotations

from collections import deque
from os.path import basename
from time import monotonic

from qhttp.protocol.shown import one_line, shown_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

WINDOW_S = 5.0              # rates are those of so many seconds
MAX_SAMPLES = 64
SMOOTHING = 0.3             # how much the newest rate of one transfer counts
LONGEST_ETA_S = 10**7       # beyond it nothing is known
UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


class Figures:
    """`sample()` takes the numbers; then there are: elapsed_s, n_done, n_failed, n_skipped, n_retries, n_running, n_waiting,
    n_unread (rows of lists, None: unknown), n_bytes, rate (bytes a second), file_rate (files a second), eta_s (or None).

    `n_unread`: called for the rows that no transfer has been made of and that the downloader does not know of yet.
    """
    elapsed_s: float
    n_done: int
    n_failed: int
    n_skipped: int
    n_retries: int
    n_bytes: int
    n_waiting: int
    rate: float
    file_rate: float
    n_running: int

    elapsed_s = rate = file_rate = 0.0
    n_done = n_failed = n_skipped = n_retries = n_running = n_waiting = n_bytes = 0
    eta_s: float | None = None

    def __init__(self, downloader: Any, n_unread: Callable[[], int | None], clock: Callable[[], float] = monotonic):
        self._downloader, self._ask_unread, self._clock = downloader, n_unread, clock
        self.n_unread: int | None = None
        self._began = clock()
        self._samples: deque[tuple[float, int, int]] = deque([(self._began, 0, 0)], MAX_SAMPLES)
        self._running: dict[Any, tuple[float, int, float]] = {}     # transfer -> (when, n_done, rate), the oldest first
        self._n_lasting = 0

    @property
    def n_left(self) -> int:
        """Files that are known to be left."""
        return self.n_running + self.n_waiting + (self.n_unread or 0)

    @property
    def running(self) -> list[tuple[Any, float]]:
        """The running transfers with their rates, in the order in which they were first seen."""
        return [(transfer, rate) for transfer, (_, _, rate) in self._running.items()]

    @property
    def lasting(self) -> list[tuple[Any, float]]:
        """Those of them that ran at the sample before, too: small files come and go too fast to be looked at."""
        return self.running[:self._n_lasting]

    def sample(self) -> Figures:
        """Takes the numbers as they are now; returns itself."""
        source, now = self._downloader, self._clock()
        self.elapsed_s = now - self._began
        self.n_done, self.n_failed, self.n_skipped = source.n_done, source.n_failed, source.n_skipped
        self.n_retries, self.n_bytes = source.n_retries, source.n_bytes
        self.n_waiting = source.n_queued + source.n_files_waiting
        self.n_unread = self._ask_unread()
        self._sample_running(now, list(source.running))
        self._samples.append((now, self.n_bytes, self.n_done + self.n_failed))
        while len(self._samples) > 2 and now - self._samples[1][0] >= WINDOW_S:
            self._samples.popleft()
        then, n_bytes, n_ended = self._samples[0]
        if now > then:
            self.rate = (self.n_bytes - n_bytes) / (now - then)
            self.file_rate = (self._samples[-1][2] - n_ended) / (now - then)
        self.eta_s = self._eta()
        return self

    def _sample_running(self, now: float, running: list[Any]) -> None:
        is_running, before, self._running = set(running), self._running, {}
        for transfer in (*(known for known in before if known in is_running), *running):
            if transfer in self._running:
                continue
            n = transfer.n_done
            then, n_then, rate = before.get(transfer, (now, n, 0.0))
            if now > then:
                newest = max(0, n - n_then) / (now - then)
                rate = newest if rate == 0 else rate + SMOOTHING * (newest - rate)
            self._running[transfer] = now, n, rate
        self.n_running = len(self._running)
        self._n_lasting = sum(known in is_running for known in before)

    def _eta(self) -> float | None:
        """By bytes where all that is left is running and of known size, else by files; None where neither is known."""
        if self.n_unread is None or self.n_left == 0:
            return None
        eta = None
        totals = [(transfer.n_total, transfer.n_done) for transfer in self._running]
        if self.n_waiting + self.n_unread == 0 and all(n_total for n_total, _ in totals):
            if self.rate > 0:
                eta = sum(max(0, n_total - n) for n_total, n in totals) / self.rate
        elif self.file_rate > 0:
            eta = self.n_left / self.file_rate
        return eta if eta is not None and eta < LONGEST_ETA_S else None


# -- as words
def name_of(transfer: Any) -> str:
    """What a transfer is called on the screen."""
    return one_line(basename(transfer.path)) if transfer.path else shown_url(transfer.url)


def size_text(n: float) -> str:
    """Bytes for people: 512 B, 1.5 MiB."""
    for unit in UNITS:
        if n < 1024 or unit == UNITS[-1]:
            break
        n /= 1024
    return f"{n:.0f} {unit}" if unit == "B" else f"{n:.3g} {unit}" if n < 100 else f"{n:.0f} {unit}"


def time_text(seconds: float | None) -> str:
    """A time for people: 0:07, 12:30, 3:02:01; "-" for None."""
    if seconds is None:
        return "-"
    minutes, s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{s:02}" if hours else f"{minutes}:{s:02}"


def percent_text(transfer: Any) -> str:
    """How much of a transfer is there, "" where its size is unknown."""
    return f"{min(100, 100 * transfer.n_done // transfer.n_total)}%" if transfer.n_total > 0 else ""


def totals_text(figures: Figures) -> str:
    """Counts, bytes, rate and time left, on one line."""
    counts = [f"{figures.n_done} done"]
    counts += [f"{figures.n_skipped} were there"] if figures.n_skipped else []
    counts += [f"{figures.n_failed} failed"] if figures.n_failed else []
    counts += [f"{figures.n_left}{'+' if figures.n_unread is None else ''} left"]
    return (f"{', '.join(counts)} | {size_text(figures.n_bytes)} at {size_text(figures.rate)}/s"
            + (f" | ETA {time_text(figures.eta_s)}" if figures.eta_s is not None else ""))


def summary_text(figures: Figures) -> str:
    """What a run came to."""
    n = figures.n_done
    counts = [f"{n} file{'' if n == 1 else 's'}"]
    counts += [f"{figures.n_skipped} already there"] if figures.n_skipped else []
    counts += [f"{figures.n_failed} failed"] if figures.n_failed else []
    rate = figures.n_bytes / figures.elapsed_s if figures.elapsed_s > 0 else 0
    return f"{', '.join(counts)}; {size_text(figures.n_bytes)} in {time_text(figures.elapsed_s)} ({size_text(rate)}/s)"
