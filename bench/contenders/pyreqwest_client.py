"""pyreqwest (Rust): its asynchronous client on uvloop for many connections, the synchronous one for one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from bench.contenders.runner import Job, check_big, check_small, check_status, needed, run
from bench.pattern import pattern

client_module: Any = needed("pyreqwest.client")
uvloop: Any = needed("uvloop")


def _one(job: Job) -> Any:
    builder = client_module.SyncClientBuilder().no_proxy()
    if job.cafile:
        builder = builder.add_root_certificate_pem(Path(job.cafile).read_bytes())
    return builder.build()


async def _many(job: Job, expected: bytes) -> int:
    async def fetch(n_requests: int) -> int:
        for _ in range(n_requests):
            answer = await client.get(job.url).build().send()
            check_small(answer.status, await answer.bytes(), expected)
        return n_requests

    async with client_module.ClientBuilder().no_proxy().build() as client:
        return sum(await asyncio.gather(*map(fetch, job.shares())))


def requests(job: Job) -> int:
    """A task for each connection, or none at all."""
    expected = pattern(job.body_len)
    if job.n_connections > 1:
        return uvloop.run(_many(job, expected))
    with _one(job) as client:
        for _ in range(job.n_requests):
            answer = client.get(job.url).build().send()
            check_small(answer.status, answer.bytes(), expected)
    return job.n_requests


def stream(job: Job) -> int:
    """As the pieces come from the socket."""
    n_bytes = 0
    with _one(job) as client, client.get(job.url).build_streamed() as answer:
        check_status(answer.status)
        read = answer.body_reader.read_chunk
        while (piece := read()) is not None:
            n_bytes += len(piece)
    return n_bytes


def memory(job: Job) -> int:
    """Its own kind of bytes, which is a buffer."""
    with _one(job) as client:
        for _ in range(job.n_requests):
            answer = client.get(job.url).build().send()
            check_big(job, answer.status, answer.bytes())
            del answer
    return job.n_requests


if __name__ == "__main__":
    run(requests, stream=stream, memory=memory)
