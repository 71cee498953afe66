"""A downloader that fetches nothing: it has the signals, counters and methods of the real one, and does what it is told to."""
from collections import deque

import qhttp
from qhttp._signal import Signal

WAIT = "wait"           # an outcome: it stays running until the run is stopped


class FakeTransfer:
    def __init__(self, row, **values):
        self.row = {"url": row} if isinstance(row, str) else row
        self.url = self.url_effective = self.row["url"]
        self.path = self.url.rpartition("/")[2].partition("?")[0] or "index.html"
        self.status, self.size, self.error, self.headers, self.checksums = 200, 0, None, [], {}
        self.n_done = self.n_total = self.n_resumed = self.n_retries = 0
        self.was_skipped, self.time_total = False, 0.0
        vars(self).update(values)

    def to_dict(self):
        return {"url": self.url, "error": type(self.error).__name__ if self.error else None}


class FakeDownloader:
    """`outcomes`: URL -> an exception, WAIT, or the attributes of the transfer; without one it is done. A turn takes a row."""

    def __init__(self, outcomes=None, **settings):
        self.outcomes, self.settings = outcomes or {}, settings
        self.started, self.progress, self.retrying = Signal("started", 1), Signal("progress", 3), Signal("retrying", 3)
        self.finished, self.failed, self.done = Signal("finished", 1), Signal("failed", 1), Signal("done", 1)
        self.n_done = self.n_failed = self.n_skipped = self.n_retries = self.n_bytes = self.n_queued = self.n_files_waiting = 0
        self.running, self.sources = [], deque()
        self.is_over = self.is_dry = self.is_closed = self.was_stopped = self.is_pumping = False

    def feed(self, rows):
        self.sources.append(iter(rows))

    def more(self):
        self.is_dry = False
        self.pump_soon()

    def run(self):
        self.pump_soon()
        while not self.is_over:
            qhttp.loop().run(20)

    def stop(self, gently=False):
        self.was_stopped = True
        self.over()

    def left(self):
        yield from [transfer.row for transfer in self.running]
        while self.sources:
            for row in self.sources.popleft():
                if row is not None:
                    yield {"url": row} if isinstance(row, str) else row

    def close(self):
        self.is_closed = True

    # -- the work
    def pump_soon(self):
        if not self.is_pumping:
            self.is_pumping = True
            qhttp.loop().call_soon(self.pump)

    def pump(self):
        self.is_pumping = False
        if self.is_over or self.is_dry:
            return
        if not self.sources:
            if not self.running:
                self.over()
            return
        row = next(self.sources[0], StopIteration)
        if row is StopIteration:
            self.sources.popleft()
        elif row is None:
            self.is_dry = True
        else:
            self.fetch(FakeTransfer(row))
        self.pump_soon()

    def fetch(self, transfer):
        outcome = self.outcomes.get(transfer.url, {})
        if outcome == WAIT:
            self.running.append(transfer)
        elif isinstance(outcome, Exception):
            transfer.error, transfer.status = outcome, getattr(outcome, "status", 0)
            self.n_failed += 1
            self.failed.emit(transfer)
        else:
            vars(transfer).update(outcome)
            self.n_skipped += transfer.was_skipped
            self.n_done += not transfer.was_skipped
            self.n_bytes += transfer.size
            self.finished.emit(transfer)

    def over(self):
        if not self.is_over:
            self.is_over = True
            self.done.emit(self.n_failed > 0 or self.was_stopped)
