"""qhttp as in `qhttp_qt`, by objects that are QObjects, with Qt's own signals."""

from __future__ import annotations

from bench.contenders.qhttp_qt import play
from bench.contenders.runner import Job, run
from qhttp.qt import QHttp


def requests(job: Job) -> int:
    """One request after the other on each connection."""
    return play(job, QHttp)


if __name__ == "__main__":
    run(requests)
