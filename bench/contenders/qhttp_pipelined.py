"""qhttp as in `qhttp_signals`, with several requests in flight on each connection."""

from __future__ import annotations

import sys

from bench.contenders.qhttp_signals import play
from bench.contenders.runner import Job, run
from qhttp import QHttp


def requests(job: Job) -> int:
    """`job.depth` requests are queued at the start, and one for each that has finished."""
    if not hasattr(QHttp, "setPipelining"):
        sys.exit("this version of qhttp has no setPipelining()")
    return play(job, job.depth)


if __name__ == "__main__":
    run(requests)
