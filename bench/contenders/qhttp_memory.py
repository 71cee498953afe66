"""qhttp: big bodies, one after the other, each read as one bytes object when it has come."""

from __future__ import annotations

import bench.contenders.qhttp_ready  # noqa: F401
import qhttp
from bench.contenders.runner import Job, WrongAnswer, check_big, run
from qhttp import QHttp


def memory(job: Job) -> int:
    """Each body is compared and given back before the next is asked for."""
    http = QHttp("127.0.0.1", job.port)
    n_right = 0

    def on_finished(request_id: int, error: bool) -> None:
        nonlocal n_right
        if error:
            raise WrongAnswer(http.errorString())
        check_big(job, http.lastResponse().statusCode(), http.readAll())
        n_right += 1
        if n_right < job.n_requests:
            http.get(job.path)

    http.requestFinished.connect(on_finished)
    http.get(job.path)
    qhttp.run()
    return n_right


if __name__ == "__main__":
    run(memory=memory)
