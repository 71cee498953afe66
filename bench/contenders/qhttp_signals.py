"""qhttp, answers seen through signals and dropped: an object for each connection, one loop.

Status, outcome and length of every answer are checked; the first body of each object is compared in full.
"""

from __future__ import annotations

import bench.contenders.qhttp_ready  # noqa: F401
import qhttp
from bench.contenders.runner import Job, WrongAnswer, run
from bench.pattern import pattern
from qhttp import QHttp, QHttpResponseHeader


class Lane:
    """One QHttp with `depth` requests queued; another is queued when one has finished."""

    def __init__(self, job: Job, n_requests: int, depth: int = 1) -> None:
        self.path, self.body_len = job.path, job.body_len
        self.n_left = n_requests
        self.n_heads = 0
        self.n_right = 0
        self.http = QHttp("127.0.0.1", job.port)
        self.http.responseHeaderReceived.connect(self.on_header)
        self.http.requestFinished.connect(self.on_finished)
        if depth > 1:
            self.http.setPipelining(depth)
        for _ in range(depth):
            self.queue_next()

    def queue_next(self) -> None:
        if self.n_left > 0:
            self.n_left -= 1
            self.http.get(self.path)

    def on_header(self, header: QHttpResponseHeader) -> None:
        if header.statusCode() != 200:
            raise WrongAnswer(f"status {header.statusCode()}")
        self.n_heads += 1

    def on_finished(self, request_id: int, error: bool) -> None:
        """The next request discards the body."""
        if error:
            raise WrongAnswer(self.http.errorString())
        if self.http.bytesAvailable() != self.body_len:
            raise WrongAnswer(f"{self.http.bytesAvailable()} bytes")
        if self.n_right == 0 and self.http.readAll() != pattern(self.body_len):
            raise WrongAnswer("another body")
        self.n_right += 1
        self.queue_next()


def play(job: Job, depth: int = 1) -> int:
    """All lanes share this thread's loop."""
    lanes = [Lane(job, share, depth) for share in job.shares()]
    qhttp.run()
    for lane in lanes:
        if lane.n_heads != lane.n_right:
            raise WrongAnswer(f"{lane.n_heads} heads for {lane.n_right} bodies")
    return sum(lane.n_right for lane in lanes)


def requests(job: Job) -> int:
    """One request after the other on each connection."""
    return play(job)


if __name__ == "__main__":
    run(requests)
