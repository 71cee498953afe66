"""As qhttp_discard, over TLS."""

from __future__ import annotations

from bench.contenders.qhttp_discard import discard
from bench.contenders.qhttp_https import https
from bench.contenders.runner import Job, run


def stream(job: Job) -> int:
    """One body."""
    return discard(https(job), job)


if __name__ == "__main__":
    run(stream=stream)
