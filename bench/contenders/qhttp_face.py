"""qhttp through its Qt face, every body read and compared: an object for each connection, one loop, signals into slots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bench.contenders.qhttp_ready  # noqa: F401
import qhttp
from bench.contenders.runner import Job, WrongAnswer, run
from bench.pattern import pattern
from qhttp import QHttp


class Lane:
    """One QHttp; the next request is queued when one has finished, so the queue never grows. `at_end` is called then."""

    def __init__(
        self, job: Job, n_requests: int, make: Callable[[str, int], Any] = QHttp, at_end: Callable[[], object] | None = None
    ) -> None:
        self.job = job
        self.n_left = n_requests
        self.n_right = 0
        self.expected = pattern(job.body_len)
        self.at_end = at_end
        self.http = make("127.0.0.1", job.port)
        self.http.requestFinished.connect(self.on_finished)
        self.queue_next()

    def queue_next(self) -> None:
        if self.n_left > 0:
            self.n_left -= 1
            self.http.get(self.job.path)
        elif self.at_end is not None:
            self.at_end()

    def on_finished(self, request_id: int, error: bool) -> None:
        """Compare the body, then go on."""
        if error:
            raise WrongAnswer(self.http.errorString())
        status, body = self.http.lastResponse().statusCode(), self.http.readAll()
        if status != 200 or body != self.expected:
            raise WrongAnswer(f"status {status}, {len(body)} bytes")
        self.n_right += 1
        self.queue_next()


class Lanes:
    """All connections of a job, in a loop of somebody else's; `at_end` is called when the last of them has ended."""

    def __init__(self, job: Job, at_end: Callable[[], object], make: Callable[[str, int], Any] = QHttp) -> None:
        shares = job.shares()
        self.n_running, self.at_end = len(shares), at_end
        self.lanes = [Lane(job, share, make, self.one_ended) for share in shares]

    def one_ended(self) -> None:
        self.n_running -= 1
        if self.n_running == 0:
            self.at_end()

    @property
    def n_right(self) -> int:
        return sum(lane.n_right for lane in self.lanes)


def requests(job: Job) -> int:
    """All lanes share this thread's loop."""
    lanes = [Lane(job, share) for share in job.shares()]
    qhttp.run()
    return sum(lane.n_right for lane in lanes)


def to_file(job: Job) -> None:
    """The body goes straight to the file's descriptor."""
    http = QHttp("127.0.0.1", job.port)
    with open(job.target, "wb", buffering=0) as file:
        http.get(job.path, file)
        qhttp.run()
    if http.error() or http.lastResponse().statusCode() != 200:
        raise WrongAnswer(http.errorString())


if __name__ == "__main__":
    run(requests, to_file)
