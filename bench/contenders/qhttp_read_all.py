"""qhttp: one body, readAll() whenever some of it is ready, then dropped."""

from __future__ import annotations

import bench.contenders.qhttp_ready  # noqa: F401
import qhttp
from bench.contenders.runner import Job, WrongAnswer, run
from qhttp import QHttp, QHttpResponseHeader


def read_all(http: QHttp, job: Job) -> int:
    """Counts what readAll() gives."""
    n_bytes = 0

    def on_ready(header: QHttpResponseHeader) -> None:
        nonlocal n_bytes
        n_bytes += len(http.readAll())

    http.readyRead.connect(on_ready)
    http.get(job.path)
    qhttp.run()
    if http.error() or http.lastResponse().statusCode() != 200:
        raise WrongAnswer(http.errorString())
    return n_bytes


def stream(job: Job) -> int:
    """Over plain HTTP."""
    return read_all(QHttp("127.0.0.1", job.port), job)


if __name__ == "__main__":
    run(stream=stream)
