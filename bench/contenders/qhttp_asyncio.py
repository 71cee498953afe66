"""qhttp as in `qhttp_face`, in an asyncio loop: one of its readers drives all lanes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bench.contenders.qhttp_face import Lanes
from bench.contenders.runner import Job, run
from qhttp import aio


def play(job: Job, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> int:
    """In asyncio's own loop, or another one of that kind."""

    async def work() -> int:
        aio.attach()
        over = asyncio.Event()
        lanes = Lanes(job, over.set)
        await over.wait()
        return lanes.n_right

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(work())


def requests(job: Job) -> int:
    """One request after the other on each connection."""
    return play(job)


if __name__ == "__main__":
    run(requests)
