"""urllib3: one HTTPConnectionPool, a thread for each connection; a small body is written at once, a big one in pieces."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.bulk.contenders.task import PIECE_LEN, Counter, Task, run
from bench.contenders.runner import check_status, needed

urllib3: Any = needed("urllib3")


def _play(task: Task, fetch: Callable[[Any, str], None]) -> int:
    """Threads take paths from one iterator, which a list's is without a lock."""
    paths = list(task.lines("paths"))
    left = iter(paths)

    def work(_: int) -> None:
        for path in left:
            fetch(pool, path)

    with (
        urllib3.HTTPConnectionPool("127.0.0.1", task.port, maxsize=task.n_connections) as pool,
        ThreadPoolExecutor(task.n_connections) as threads,
    ):
        list(threads.map(work, range(task.n_connections)))
    return len(paths)


def to_files(task: Task) -> int:
    """Straight to the final name."""

    def fetch(pool: Any, path: str) -> None:
        answer = pool.request("GET", path, preload_content=task.is_small)
        check_status(answer.status)
        with open(task.file(path), "xb", buffering=0) as file:
            for piece in [answer.data] if task.is_small else answer.stream(PIECE_LEN):
                file.write(piece)

    return _play(task, fetch)


def drop(task: Task, counter: Counter) -> None:
    """As bytes."""

    def fetch(pool: Any, path: str) -> None:
        answer = pool.request("GET", path)
        counter.take(path, answer.status, answer.data)

    _play(task, fetch)


if __name__ == "__main__":
    run(to_files, drop)
