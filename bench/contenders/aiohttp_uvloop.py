"""aiohttp on uvloop: one ClientSession without cookies, a task for each connection."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from bench.contenders.runner import Job, check_big, check_small, check_status, needed, run
from bench.pattern import pattern

aiohttp: Any = needed("aiohttp")
uvloop: Any = needed("uvloop")
yarl: Any = needed("yarl")

READ_LEN = 1 << 20


def _session(job: Job) -> Any:
    context = ssl.create_default_context(cafile=job.cafile) if job.cafile else True
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=job.n_connections, ssl=context),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
    )


async def _requests(job: Job) -> int:
    expected, url = pattern(job.body_len), yarl.URL(job.url)

    async def fetch(n_requests: int) -> int:
        for _ in range(n_requests):
            async with session.get(url) as answer:
                check_small(answer.status, await answer.read(), expected)
        return n_requests

    async with _session(job) as session:
        if job.n_connections == 1:
            return await fetch(job.n_requests)
        return sum(await asyncio.gather(*map(fetch, job.shares())))


async def _stream(job: Job) -> int:
    n_bytes = 0
    async with _session(job) as session, session.get(job.url, read_bufsize=READ_LEN) as answer:
        check_status(answer.status)
        async for piece in answer.content.iter_any():
            n_bytes += len(piece)
    return n_bytes


async def _memory(job: Job) -> int:
    async with _session(job) as session:
        for _ in range(job.n_requests):
            async with session.get(job.url, read_bufsize=READ_LEN) as answer:
                check_big(job, answer.status, await answer.read())
            del answer
    return job.n_requests


def requests(job: Job) -> int:
    """Small bodies as bytes."""
    return uvloop.run(_requests(job))


def stream(job: Job) -> int:
    """Whatever is there, piece by piece."""
    return uvloop.run(_stream(job))


def memory(job: Job) -> int:
    """Big bodies as bytes."""
    return uvloop.run(_memory(job))


if __name__ == "__main__":
    run(requests, stream=stream, memory=memory)
