"""qhttp: one body to a device that throws the bytes away."""

from __future__ import annotations

import bench.contenders.qhttp_ready  # noqa: F401
import qhttp
from bench.contenders.runner import Job, WrongAnswer, run
from qhttp import QHttp


class Discard:
    """Counts what it throws away."""

    def __init__(self) -> None:
        self.n_bytes = 0

    def write(self, data: bytes) -> int:
        n = len(data)
        self.n_bytes += n
        return n


def discard(http: QHttp, job: Job) -> int:
    """The whole body goes through write()."""
    device = Discard()
    http.get(job.path, device)
    qhttp.run()
    if http.error() or http.lastResponse().statusCode() != 200:
        raise WrongAnswer(http.errorString())
    return device.n_bytes


def stream(job: Job) -> int:
    """Over plain HTTP."""
    return discard(QHttp("127.0.0.1", job.port), job)


if __name__ == "__main__":
    run(stream=stream)
