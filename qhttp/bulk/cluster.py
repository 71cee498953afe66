"""A downloader whose work is done by the workers of a Dask cluster: shards of rows out, outcomes back.

    with ClusterDownloader("tcp://scheduler:8786", urls, dir="/shared/data") as downloader:
        downloader.failed.connect(lambda outcome: print(outcome.url, outcome.error))
        downloader.run()

It has the signals and counters of Downloader, in this thread's loop. A shard whose worker dies is done again by another:
files that are there under their final names are whole, and are not fetched again.
"""
from __future__ import annotations

from collections import deque
from functools import partial

from qhttp import errors
from qhttp._core import loop
from qhttp._signal import Signal
from qhttp.bulk.naming import taken
from qhttp.bulk.shard import download_shard
from qhttp.bulk.shard_plan import Shard, ShardPlan
from qhttp.bulk.taken_names import TakenNames

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

SHARD_ROWS = 200            # of a shard: some seconds of work
SHARDS_PER_WORKER = 2       # handed out at a time, so that none waits for the next
WINDOW = 100_000            # rows read ahead
PER_HOST = 8                # as of Downloader
MAX_DEATHS = 3              # of workers, over one shard, before its rows have failed
TURN_MS = 1000


class Outcome:
    """What became of a row: the attributes of a Transfer that has ended."""

    url: str
    status: int
    path: str | None
    size: int
    n_done: int
    n_retries: int
    n_resumed: int
    was_skipped: bool
    checksums: dict[str, str]
    time_total: float
    error: Exception | None

    def __init__(self, row: Any, told: dict[str, Any]):
        self._told, self._row = told, row
        self.url, self.status, self.path = told["url"], told["http_code"], told["path"]
        self.size = self.n_done = told["size_download"] + told["resumed"]
        self.n_retries, self.n_resumed, self.was_skipped = told["num_retries"], told["resumed"], told["skipped"]
        self.checksums, self.time_total = told["checksums"], told["time_total"]
        self.error = error_of(told)
        self.headers: list[tuple[str, str]] = []

    @property
    def row(self) -> dict[str, Any]:
        """dict: the row, as it was given."""
        return self._row if isinstance(self._row, dict) else {"url": self._row}

    def to_dict(self) -> dict[str, Any]:
        """See Transfer.to_dict."""
        return self._told


def error_of(told: dict[str, Any]) -> Exception | None:
    """The exception that an outcome tells of, None without."""
    if told["error"] is None:
        return None
    kind = getattr(errors, told["error"], errors.QHttpError)
    if issubclass(kind, errors.HTTPStatusError):
        return kind(told["errormsg"], told["http_code"])
    made: Exception = kind(told["errormsg"])
    return made


def not_done(row: Any, kind: str, why: str) -> dict[str, Any]:
    """The outcome of a row that no worker has done; kind: the name of the error's class."""
    from qhttp.bulk.requests import without_user
    url = row.get("url") if isinstance(row, dict) else row
    return {"url": without_user(url), "http_code": 0, "path": None, "size_download": 0, "resumed": 0, "num_retries": 0,
            "skipped": False, "checksums": {}, "time_total": 0.0, "error": kind, "errormsg": why}


def lost(row: Any, why: object) -> dict[str, Any]:
    """The outcome of a row whose shard could not be done."""
    return not_done(row, "QHttpError", f"its shard failed: {why}")


class ClusterDownloader:
    """Rows and settings are those of Downloader; `dir` must lead every worker to the same place, `session` and `fail_fast`
    are not for clusters. address: of a Dask scheduler, or a distributed.Client. make_context: a function that can be pickled
    and makes an ssl.SSLContext on each worker. Raises OSError where the cluster does not answer."""

    started: Signal
    progress: Signal
    retrying: Signal
    finished: Signal
    failed: Signal
    done: Signal
    n_retries: int
    n_bytes: int
    n_failed: int
    n_skipped: int
    n_done: int
    is_stopped: bool

    def __init__(self, address: Any, urls: Iterable[Any] = (), *, shard_rows: int = SHARD_ROWS,
                 make_context: Callable[[], Any] | None = None, **settings: Any):
        from distributed import Client

        for name in ("session", "fail_fast", "context"):
            if settings.pop(name, None):
                raise ValueError(f"{name} is not for clusters")
        self._is_ours = isinstance(address, str)
        self._client = Client(address, set_as_default=False) if self._is_ours else address
        self._settings, self._make_context, self._loop = settings, make_context, loop()
        self._names = TakenNames(settings)
        self.started, self.progress, self.retrying = Signal("started", 1), Signal("progress", 3), Signal("retrying", 3)
        self.finished, self.failed, self.done = Signal("finished", 1), Signal("failed", 1), Signal("done", 1)
        self.n_done = self.n_failed = self.n_skipped = self.n_retries = self.n_bytes = self.n_files_waiting = 0
        self.running: list[Any] = []
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        n_workers = max(1, sum(worker["nthreads"] for worker in workers))       # each of their threads is one
        self._plan = ShardPlan(n_workers, settings.get("per_host", PER_HOST), shard_rows, WINDOW)
        self._shards: dict[Any, tuple[Shard, int]] = {}         # future -> shard, how many workers have died over it
        self._not_done: deque[dict[str, Any]] = deque()
        self.is_stopped = False
        self.feed(urls)

    def __repr__(self) -> str:
        return f"<qhttp {type(self).__name__}: {self.n_queued} queued, {self.n_done} done, {self.n_failed} failed>"

    # -- what is to be fetched
    def feed(self, urls: Iterable[Any]) -> None:
        """See Downloader.feed."""
        self._plan.add_source(iter([urls] if isinstance(urls, (str, dict)) else urls))

    def more(self) -> None:
        """See Downloader.more."""
        self._plan.is_dry = False
        self._loop.call_soon(self._hand_out)

    @property
    def n_queued(self) -> int:
        """Rows that wait, here or with a worker."""
        return self._plan.n_waiting + sum(len(shard.rows) for shard, _ in self._shards.values())

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return not self._shards and (self.is_stopped or self._plan.is_empty)

    def left(self) -> Iterator[dict[str, Any]]:
        """See Downloader.left."""
        yield from self._not_done
        for row in self._plan.rows_left():
            yield row if isinstance(row, dict) else {"url": row}

    # -- going
    def run(self) -> bool:
        """Turns this thread's loop until all rows have ended; True."""
        self._hand_out()
        while not self.is_done:
            if self._loop.run(TURN_MS):
                self._wait()
        self.done.emit(self.n_failed > 0 or self.is_stopped)
        return True

    def _wait(self) -> None:
        """Nothing of this process is pending: the workers are."""
        from select import select
        select([self._loop.fileno()], [], [], TURN_MS / 1000)

    def _hand_out(self) -> None:
        while not self.is_stopped and len(self._shards) < SHARDS_PER_WORKER * self._plan.n_workers:
            shard = self._plan.take()
            if shard is None:
                return
            refused = {row: path for row, path in enumerate(map(self._names.take, shard.rows)) if path is not None}
            rows = shard.rows
            shard.rows = [row for number, row in enumerate(rows) if number not in refused]
            if shard.rows:
                self._submit(shard, 0)
            else:
                self._plan.give_back(shard)
            for number, path in refused.items():
                self._tell(Outcome(rows[number], not_done(rows[number], "FileError", taken(path))))

    def _submit(self, shard: Shard, n_deaths: int) -> None:
        settings = self._plan.settings(shard, self._settings)
        future = self._client.submit(run_shard, shard.rows, self._make_context, settings, pure=False)
        self._shards[future] = shard, n_deaths
        future.add_done_callback(lambda ended: self._loop.call_from_thread(lambda: self._ended(ended)))

    def _ended(self, future: Any) -> None:
        if future not in self._shards:
            return
        shard, n_deaths = self._shards.pop(future)
        if future.status == "finished":
            outcomes = future.result()
        elif self.is_stopped:
            outcomes = [None] * len(shard.rows)
        elif future.status == "cancelled":
            outcomes = [lost(row, "the cluster has let go of it, as it does when its scheduler is gone") for row in shard.rows]
        else:
            error = future.exception()
            if type(error).__name__ == "KilledWorker" and n_deaths + 1 < MAX_DEATHS:
                self._submit(shard, n_deaths + 1)
                return
            outcomes = [lost(row, error) for row in shard.rows]
        self._plan.give_back(shard)
        for row, told in zip(shard.rows, outcomes, strict=True):
            if told is None:
                self._not_done.append(row if isinstance(row, dict) else {"url": row})
            else:
                self._tell(Outcome(row, told))
        self._hand_out()

    def _tell(self, outcome: Outcome) -> None:
        self.n_retries += outcome.n_retries
        self.n_bytes += outcome.size - outcome.n_resumed
        if outcome.error is not None:
            self.n_failed += 1
            self._not_done.append(outcome.row)
            self.failed.emit(outcome)
            return
        self.n_skipped += outcome.was_skipped
        self.n_done += not outcome.was_skipped
        self.finished.emit(outcome)

    def stop(self, gently: bool = False) -> None:
        """Nothing new is handed out; without `gently` shards that have not begun are taken back, too. What runs on a worker
        comes to its end there, and is told of if it does so in time."""
        self.is_stopped = True
        if not gently:
            for future in list(self._shards):
                future.cancel()
                self._loop.call_soon(partial(self._ended, future))

    def close(self) -> None:
        """Ends the connection to the cluster. Safe to repeat."""
        if self._is_ours:
            self._client.close()

    def __enter__(self) -> ClusterDownloader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def run_shard(rows: list[Any], make_context: Callable[[], Any] | None, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """On a worker."""
    if make_context is not None:
        settings = {**settings, "context": make_context()}
    return download_shard(rows, **settings)
