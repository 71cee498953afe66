"""http.client of the standard library: one connection."""

from __future__ import annotations

import ssl
from http.client import HTTPConnection, HTTPSConnection

from bench.contenders.runner import Job, check_big, check_small, run
from bench.pattern import pattern


def _connection(job: Job) -> HTTPConnection:
    if job.cafile:
        return HTTPSConnection("127.0.0.1", job.port, context=ssl.create_default_context(cafile=job.cafile))
    return HTTPConnection("127.0.0.1", job.port)


def requests(job: Job) -> int:
    """One request after the other."""
    expected, connection = pattern(job.body_len), _connection(job)
    for _ in range(job.n_requests):
        connection.request("GET", job.path)
        answer = connection.getresponse()
        check_small(answer.status, answer.read(), expected)
    connection.close()
    return job.n_requests


def memory(job: Job) -> int:
    """read(), which gives bytes."""
    connection = _connection(job)
    for _ in range(job.n_requests):
        connection.request("GET", job.path)
        answer = connection.getresponse()
        check_big(job, answer.status, answer.read())
    connection.close()
    return job.n_requests


if __name__ == "__main__":
    run(requests, memory=memory)
