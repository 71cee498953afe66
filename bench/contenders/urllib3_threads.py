"""urllib3: one HTTPConnectionPool, a thread for each connection."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.contenders.runner import Job, check_big, check_small, check_status, needed, run
from bench.pattern import pattern

urllib3: Any = needed("urllib3")

STREAM_LEN = 1 << 20


def _pool(job: Job, **options: Any) -> Any:
    """For the job's one server."""
    if job.cafile:
        return urllib3.HTTPSConnectionPool("127.0.0.1", job.port, ca_certs=job.cafile, **options)
    return urllib3.HTTPConnectionPool("127.0.0.1", job.port, **options)


def requests(job: Job) -> int:
    """Each thread fetches its share, one request at a time."""
    expected = pattern(job.body_len)

    def fetch(n_requests: int) -> int:
        for _ in range(n_requests):
            answer = pool.request("GET", job.path)
            check_small(answer.status, answer.data, expected)
        return n_requests

    with _pool(job, maxsize=job.n_connections) as pool:
        if job.n_connections == 1:
            return fetch(job.n_requests)
        with ThreadPoolExecutor(job.n_connections) as threads:
            return sum(threads.map(fetch, job.shares()))


def stream(job: Job) -> int:
    """In pieces of 1 MiB, or in chunks as they come."""
    with (
        _pool(job) as pool,
        pool.request("GET", job.path, preload_content=False) as answer,
    ):
        check_status(answer.status)
        return sum(map(len, answer.stream(STREAM_LEN)))


def memory(job: Job) -> int:
    """As bytes, preloaded."""
    with _pool(job) as pool:
        for _ in range(job.n_requests):
            answer = pool.request("GET", job.path)
            check_big(job, answer.status, answer.data)
            del answer
    return job.n_requests


def to_file(job: Job) -> None:
    """In pieces of 1 MiB into an unbuffered file."""
    with (
        _pool(job) as pool,
        pool.request("GET", job.path, preload_content=False) as answer,
        open(job.target, "wb", buffering=0) as file,
    ):
        check_status(answer.status)
        for piece in answer.stream(STREAM_LEN):
            file.write(piece)


if __name__ == "__main__":
    run(requests, to_file, stream=stream, memory=memory)
