"""qhttp as in `qhttp_asyncio`, in uvloop's loop."""

from __future__ import annotations

from bench.contenders.qhttp_asyncio import play
from bench.contenders.runner import Job, needed, run

uvloop = needed("uvloop")


def requests(job: Job) -> int:
    """One request after the other on each connection."""
    return play(job, uvloop.new_event_loop)


if __name__ == "__main__":
    run(requests)
