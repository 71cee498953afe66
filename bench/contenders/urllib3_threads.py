"""urllib3: one HTTPConnectionPool, a thread for each connection."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import urllib3

from bench.contenders.runner import Job, WrongAnswer, run
from bench.pattern import pattern

STREAM_LEN = 1 << 20


def requests(job: Job) -> int:
    """Each thread fetches its share, one request at a time."""
    expected = pattern(job.body_len)

    def fetch(n_requests: int) -> int:
        for _ in range(n_requests):
            answer = pool.request("GET", job.path)
            if answer.status != 200 or answer.data != expected:
                raise WrongAnswer(f"status {answer.status}, {len(answer.data)} bytes")
        return n_requests

    share, more = divmod(job.n_requests, job.n_connections)
    shares = [share + (i < more) for i in range(job.n_connections)]
    with urllib3.HTTPConnectionPool("127.0.0.1", job.port, maxsize=job.n_connections) as pool:
        if job.n_connections == 1:
            return fetch(job.n_requests)
        with ThreadPoolExecutor(job.n_connections) as threads:
            return sum(threads.map(fetch, shares))


def to_file(job: Job) -> None:
    """Streams in pieces of 1 MiB into an unbuffered file."""
    with (
        urllib3.HTTPConnectionPool("127.0.0.1", job.port) as pool,
        pool.request("GET", job.path, preload_content=False) as answer,
        open(job.target, "wb", buffering=0) as file,
    ):
        if answer.status != 200:
            raise WrongAnswer(f"status {answer.status}")
        for piece in answer.stream(STREAM_LEN):
            file.write(piece)


if __name__ == "__main__":
    run(requests, to_file)
