"""aiohttp on uvloop: one ClientSession without cookies, a task for each connection, files written in the loop.

A task for each URL and a semaphore do the same with more memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from bench.bulk.contenders.task import PIECE_LEN, Counter, Task, run
from bench.contenders.runner import check_status, needed

aiohttp: Any = needed("aiohttp")
uvloop: Any = needed("uvloop")
yarl: Any = needed("yarl")


async def _play(task: Task, fetch: Callable[[Any, str], Awaitable[None]]) -> None:
    """Tasks take URLs from one iterator."""

    async def work(left: Iterator[str]) -> None:
        for url in left:
            await fetch(session, url)

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=task.n_connections),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
    ) as session:
        urls = task.lines("urls")
        await asyncio.gather(*(work(urls) for _ in range(task.n_connections)))


def to_files(task: Task) -> int:
    """Straight to the final name."""
    n_files = 0

    async def fetch(session: Any, url: str) -> None:
        nonlocal n_files
        async with session.get(yarl.URL(url, encoded=True), read_bufsize=PIECE_LEN) as answer:
            check_status(answer.status)
            with open(task.file(url), "xb", buffering=0) as file:
                if task.is_small:
                    file.write(await answer.read())
                else:
                    async for piece in answer.content.iter_any():
                        file.write(piece)
        n_files += 1

    uvloop.run(_play(task, fetch))
    return n_files


def drop(task: Task, counter: Counter) -> None:
    """As bytes."""

    async def fetch(session: Any, url: str) -> None:
        async with session.get(yarl.URL(url, encoded=True)) as answer:
            counter.take(url, answer.status, await answer.read())

    uvloop.run(_play(task, fetch))


if __name__ == "__main__":
    run(to_files, drop)
