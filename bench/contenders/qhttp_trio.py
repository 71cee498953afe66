"""qhttp as in `qhttp_face`, in a trio program: one task drives all lanes (see examples/loop_trio.py)."""

from __future__ import annotations

from bench.contenders.qhttp_face import Lanes
from bench.contenders.runner import Job, needed, run

trio = needed("trio")

from examples.loop_trio import drive  # noqa: E402  (needs trio)


def requests(job: Job) -> int:
    """One request after the other on each connection."""

    async def work() -> int:
        over = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(drive)
            lanes = Lanes(job, over.set)
            await over.wait()
            nursery.cancel_scope.cancel()
        return lanes.n_right

    return trio.run(work)


if __name__ == "__main__":
    run(requests)
