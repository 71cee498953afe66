"""As qhttp_read_all, over TLS."""

from __future__ import annotations

from bench.contenders.qhttp_https import https
from bench.contenders.qhttp_read_all import read_all
from bench.contenders.runner import Job, run


def stream(job: Job) -> int:
    """One body."""
    return read_all(https(job), job)


if __name__ == "__main__":
    run(stream=stream)
