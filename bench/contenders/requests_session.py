"""requests: one Session; a thread for each connection where there are many."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.contenders.runner import Job, check_big, check_small, check_status, needed, run
from bench.pattern import pattern

package: Any = needed("requests")

STREAM_LEN = 1 << 20


def _session(job: Job) -> Any:
    session = package.Session()
    session.trust_env = False  # no look for proxies and passwords at each request
    session.verify = job.cafile or True
    session.mount("http://", package.adapters.HTTPAdapter(pool_maxsize=job.n_connections))
    return session


def requests(job: Job) -> int:
    """Each thread fetches its share, one request at a time."""
    expected = pattern(job.body_len)

    def fetch(n_requests: int) -> int:
        for _ in range(n_requests):
            answer = session.get(job.url)
            check_small(answer.status_code, answer.content, expected)
        return n_requests

    with _session(job) as session:
        if job.n_connections == 1:
            return fetch(job.n_requests)
        with ThreadPoolExecutor(job.n_connections) as threads:
            return sum(threads.map(fetch, job.shares()))


def stream(job: Job) -> int:
    """In pieces of 1 MiB."""
    with _session(job) as session, session.get(job.url, stream=True) as answer:
        check_status(answer.status_code)
        return sum(map(len, answer.iter_content(STREAM_LEN)))


def memory(job: Job) -> int:
    """`content`, which is bytes."""
    with _session(job) as session:
        for _ in range(job.n_requests):
            answer = session.get(job.url)
            check_big(job, answer.status_code, answer.content)
            del answer
    return job.n_requests


if __name__ == "__main__":
    run(requests, stream=stream, memory=memory)
