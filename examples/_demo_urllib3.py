"""The demo's download with urllib3: one connection pool, a thread for each of its connections."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

import urllib3
from _demo_download import Item, Progress, main

STREAM_LEN = 1 << 20


def _fetch(pool: urllib3.HTTPConnectionPool, item: Item, progress: Progress) -> None:
    """Small bodies at once, which is cheaper, large ones in pieces."""
    with open(item.target, "wb", buffering=0) as file:
        if item.n_bytes <= STREAM_LEN:
            answer = pool.request("GET", item.url_path)
            file.write(answer.data)
        else:
            answer = pool.request("GET", item.url_path, preload_content=False)
            n_done = 0
            for piece in answer.stream(STREAM_LEN):
                file.write(piece)
                n_done += len(piece)
                progress.part_done(n_done)
            answer.release_conn()
    if answer.status != 200:
        raise OSError(f"status {answer.status}")
    progress.file_done(item)


def download(port: int, items: Sequence[Item], n_lanes: int, progress: Progress) -> list[str]:
    """Threads take from one queue."""
    queue, failures = deque(items), list[str]()

    def work() -> None:
        while True:
            try:
                item = queue.popleft()
            except IndexError:
                return
            try:
                _fetch(pool, item, progress)
            except (OSError, urllib3.exceptions.HTTPError) as error:
                failures.append(f"{item.url_path}: {error}")

    with urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=n_lanes) as pool:
        # daemons, so that a Ctrl-C need not wait for the queue
        threads = [threading.Thread(target=work, daemon=True) for _ in range(n_lanes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return failures


if __name__ == "__main__":
    main("urllib3", download)
