"""qhttp: big bodies, one after the other, each read as one bytes object when it has come."""

from __future__ import annotations

import bench.contenders.qhttp_ready  # noqa: F401
import qhttp
from bench.contenders.runner import Job, WrongAnswer, check_big, run
from qhttp import QHttp


def read_bodies(http: QHttp, job: Job) -> int:
    """Each body is compared and given back before the next is asked for."""
    n_right = 0

    def on_finished(request_id: int, error: bool) -> None:
        nonlocal asked, n_right
        if error:
            raise WrongAnswer(http.errorString())
        if request_id != asked:  # setHost() has an id, too
            return
        check_big(job, http.lastResponse().statusCode(), http.readAll())
        n_right += 1
        if n_right < job.n_requests:
            asked = http.get(job.path)

    http.requestFinished.connect(on_finished)
    asked = http.get(job.path)
    qhttp.run()
    return n_right


def memory(job: Job) -> int:
    """Over plain HTTP."""
    return read_bodies(QHttp("127.0.0.1", job.port), job)


if __name__ == "__main__":
    run(memory=memory)
