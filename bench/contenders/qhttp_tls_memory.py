"""As qhttp_memory, over TLS."""

from __future__ import annotations

from bench.contenders.qhttp_https import https
from bench.contenders.qhttp_memory import read_bodies
from bench.contenders.runner import Job, run


def memory(job: Job) -> int:
    """All over one connection."""
    return read_bodies(https(job), job)


if __name__ == "__main__":
    run(memory=memory)
