"""pycurl in its best form for each workload.

Many connections: a CurlMulti, its handles reused. One connection: perform() on one
reused handle, which is cheaper than a multi with a single member. A file: a large receive buffer
and the unbuffered file's own write as callback.
"""

from __future__ import annotations

import pycurl

from bench.contenders.runner import Job, WrongAnswer, run
from bench.pattern import pattern

BUFFER_LEN = 512 * 1024


class Transfer:
    """A reused handle and the pieces of its current body."""

    def __init__(self, job: Job) -> None:
        self.pieces: list[bytes] = []
        self.curl = pycurl.Curl()
        self.curl.setopt(pycurl.URL, f"http://127.0.0.1:{job.port}{job.path}")
        self.curl.setopt(pycurl.WRITEFUNCTION, self.pieces.append)
        self.curl.setopt(pycurl.NOSIGNAL, 1)
        self.curl.setopt(pycurl.PROXY, "")

    def check(self, expected: bytes) -> None:
        """Compare the body that has come and forget it."""
        body = self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)
        status = self.curl.getinfo(pycurl.RESPONSE_CODE)
        if status != 200 or body != expected:
            raise WrongAnswer(f"status {status}, {len(body)} bytes")
        self.pieces.clear()


def one_connection(job: Job) -> int:
    """One handle, one request after the other."""
    expected, transfer = pattern(job.body_len), Transfer(job)
    perform = transfer.curl.perform
    for _ in range(job.n_requests):
        perform()
        transfer.check(expected)
    return job.n_requests


def many_connections(job: Job) -> int:
    """A handle for each connection; a finished one is put back at once."""
    expected = pattern(job.body_len)
    multi = pycurl.CurlMulti()
    transfers = {}
    for _ in range(job.n_connections):
        transfer = Transfer(job)
        transfers[transfer.curl] = transfer
        multi.add_handle(transfer.curl)
    n_begun, n_right = job.n_connections, 0
    while n_right < job.n_requests:
        multi.perform()
        n_queued = 1
        while n_queued:
            n_queued, finished, failed = multi.info_read()
            if failed:
                raise WrongAnswer(str(failed[0][1:]))
            for curl in finished:
                transfers[curl].check(expected)
                n_right += 1
                multi.remove_handle(curl)
                if n_begun < job.n_requests:
                    multi.add_handle(curl)
                    n_begun += 1
        if n_right < job.n_requests:
            multi.select(1.0)
    return n_right


def requests(job: Job) -> int:
    """The workload's own best form."""
    return one_connection(job) if job.n_connections == 1 else many_connections(job)


def to_file(job: Job) -> None:
    """One handle, callback straight to the file."""
    curl = Transfer(job).curl
    curl.setopt(pycurl.BUFFERSIZE, BUFFER_LEN)
    with open(job.target, "wb", buffering=0) as file:
        curl.setopt(pycurl.WRITEFUNCTION, file.write)
        curl.perform()
    if curl.getinfo(pycurl.RESPONSE_CODE) != 200:
        raise WrongAnswer(f"status {curl.getinfo(pycurl.RESPONSE_CODE)}")


if __name__ == "__main__":
    run(requests, to_file)
