"""httpx: AsyncClients on uvloop for many connections, a Client for one.

Each of many connections has a client of its own: one client's pool looks at all its connections for every request, which
costs five times as much with 64 of them.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from bench.contenders.runner import Job, check_big, check_small, check_status, needed, run
from bench.pattern import pattern

httpx: Any = needed("httpx")
uvloop: Any = needed("uvloop")

OPTIONS = {"trust_env": False, "timeout": None}


def _options(job: Job) -> dict[str, Any]:
    """Without TLS no look at the certificates."""
    return {**OPTIONS, "verify": ssl.create_default_context(cafile=job.cafile) if job.cafile else False}


async def _many(job: Job, expected: bytes) -> int:
    async def fetch(n_requests: int) -> int:
        async with httpx.AsyncClient(**_options(job)) as client:
            for _ in range(n_requests):
                answer = await client.get(job.url)
                check_small(answer.status_code, answer.content, expected)
        return n_requests

    return sum(await asyncio.gather(*map(fetch, job.shares())))


def requests(job: Job) -> int:
    """A task for each connection, or none at all."""
    expected = pattern(job.body_len)
    if job.n_connections > 1:
        return uvloop.run(_many(job, expected))
    with httpx.Client(**_options(job)) as client:
        for _ in range(job.n_requests):
            answer = client.get(job.url)
            check_small(answer.status_code, answer.content, expected)
    return job.n_requests


def stream(job: Job) -> int:
    """As the pieces come from the socket."""
    with httpx.Client(**_options(job)) as client, client.stream("GET", job.url) as answer:
        check_status(answer.status_code)
        return sum(map(len, answer.iter_raw()))


def memory(job: Job) -> int:
    """`content`, which is bytes."""
    with httpx.Client(**_options(job)) as client:
        for _ in range(job.n_requests):
            answer = client.get(job.url)
            check_big(job, answer.status_code, answer.content)
            del answer
    return job.n_requests


if __name__ == "__main__":
    run(requests, stream=stream, memory=memory)
