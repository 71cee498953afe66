"""The demo's download with qhttp: QHttp objects on one loop, each asking for its next file in its slot."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import BinaryIO

from _demo_download import Item, Progress, main

import qhttp
from qhttp import QHttp


class Lane:
    """One QHttp with its keep-alive connection; takes files from the queue all lanes share."""

    def __init__(self, port: int, queue: deque[Item], progress: Progress) -> None:
        self.queue, self.progress = queue, progress
        self.failures: list[str] = []
        self.item: Item
        self.file: BinaryIO
        self.http = QHttp("127.0.0.1", port)
        self.http.requestFinished.connect(self.on_finished)
        self.http.dataReadProgress.connect(self.on_progress)
        self.begin_next()

    def begin_next(self) -> None:
        if self.queue:
            self.item = self.queue.popleft()
            self.file = open(self.item.target, "wb", buffering=0)
            self.http.get(self.item.url_path, self.file)

    def on_progress(self, n_done: int, n_total: int) -> None:
        if n_done < n_total:  # a file that comes in one piece is counted when it has finished
            self.progress.part_done(n_done)

    def on_finished(self, request_id: int, error: bool) -> None:
        self.file.close()
        if error:
            self.failures.append(f"{self.item.url_path}: {self.http.errorString()}")
        elif (status := self.http.lastResponse().statusCode()) != 200:
            self.failures.append(f"{self.item.url_path}: status {status}")
        else:
            self.progress.file_done(self.item)
        self.begin_next()


def download(port: int, items: Sequence[Item], n_lanes: int, progress: Progress) -> list[str]:
    """All lanes on this thread's loop."""
    queue = deque(items)
    lanes = [Lane(port, queue, progress) for _ in range(n_lanes)]
    qhttp.run()
    return [failure for lane in lanes for failure in lane.failures]


if __name__ == "__main__":
    main("qhttp", download)
