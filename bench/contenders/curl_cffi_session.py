"""curl_cffi (libcurl): its asynchronous session, a task for each connection."""

from __future__ import annotations

import asyncio
from typing import Any

from bench.contenders.runner import Job, check_small, needed, run
from bench.pattern import pattern

module: Any = needed("curl_cffi.requests")
uvloop: Any = needed("uvloop")


async def _many(job: Job, expected: bytes) -> int:
    async def fetch(n_requests: int) -> int:
        for _ in range(n_requests):
            answer = await session.get(job.url)
            check_small(answer.status_code, answer.content, expected)
        return n_requests

    async with module.AsyncSession(max_clients=job.n_connections, trust_env=False) as session:
        return sum(await asyncio.gather(*map(fetch, job.shares())))


def requests(job: Job) -> int:
    """Small bodies as bytes."""
    return uvloop.run(_many(job, pattern(job.body_len)))


if __name__ == "__main__":
    run(requests)
