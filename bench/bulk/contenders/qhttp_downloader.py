"""qhttp.bulk.Downloader without a session file, fed from a generator."""

from __future__ import annotations

from typing import Any

from bench.bulk.contenders.task import Counter, Task, run
from bench.contenders.runner import WrongAnswer
from qhttp.bulk.downloader import Downloader


def _fail(transfer: Any) -> None:
    raise WrongAnswer(f"{type(transfer.error).__name__}: {transfer.error}")


def to_files(task: Task) -> int:
    """Each at its final name when it is whole."""
    n = task.n_connections
    with Downloader(task.lines("urls"), dir=task.folder, jobs=n, per_host=n) as downloader:
        downloader.failed.connect(_fail)
        downloader.run()
        n_done: int = downloader.n_done
    return n_done


def drop(task: Task, counter: Counter) -> None:
    """Seen as bytes, one by one, and forgotten."""
    n = task.n_connections

    def take(transfer: Any) -> None:
        counter.take(transfer.url, transfer.status, transfer.content)

    with Downloader(task.lines("urls"), into="bytes", jobs=n, per_host=n) as downloader:
        downloader.finished.connect(take)
        downloader.failed.connect(_fail)
        downloader.run()


if __name__ == "__main__":
    run(to_files, drop)
