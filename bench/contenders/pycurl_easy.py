"""pycurl with one reused handle: perform(), which is cheaper than a multi with a single member.

Small bodies are dropped by the cheapest sink known to us: no callback, libcurl writes to the C library's stdout, which
is /dev/null meanwhile. Big ones come in receives of 512 KiB.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from bench.contenders.runner import Job, WrongAnswer, check_big, check_status, needed, run

pycurl: Any = needed("pycurl")

BUFFER_LEN = 512 * 1024
SIZE_DOWNLOAD = getattr(pycurl, "SIZE_DOWNLOAD_T", pycurl.SIZE_DOWNLOAD)  # the older one is deprecated


def new_handle(job: Job) -> Any:
    """A handle for the job's URL, without a sink."""
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, job.url)
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.PROXY, "")
    if job.cafile:
        curl.setopt(pycurl.CAINFO, job.cafile)
    return curl


@contextlib.contextmanager
def stdout_dropped() -> Iterator[None]:
    """What is written to descriptor 1 inside goes to /dev/null."""
    kept, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(null)


def check_dropped(curl: Any, body_len: int) -> None:
    """Status and length of the answer a handle has just finished."""
    status, length = curl.getinfo(pycurl.RESPONSE_CODE), curl.getinfo(SIZE_DOWNLOAD)
    if status != 200 or length != body_len:
        raise WrongAnswer(f"status {status}, {length} bytes")


def requests(job: Job) -> int:
    """One request after the other, the body dropped."""
    curl = new_handle(job)
    perform = curl.perform
    with stdout_dropped():
        for _ in range(job.n_requests):
            perform()
            check_dropped(curl, job.body_len)
        curl.close()
    return job.n_requests


def stream(job: Job) -> int:
    """The callback only counts: len is a function in C, and what it gives is what libcurl wants back."""
    curl = new_handle(job)
    curl.setopt(pycurl.BUFFERSIZE, BUFFER_LEN)
    curl.setopt(pycurl.WRITEFUNCTION, len)
    curl.perform()
    check_status(curl.getinfo(pycurl.RESPONSE_CODE))
    n_bytes: int = curl.getinfo(SIZE_DOWNLOAD)
    return n_bytes


def memory(job: Job) -> int:
    """Into a BytesIO, whose getvalue() does not copy: cheaper than joining a list of pieces."""
    curl = new_handle(job)
    curl.setopt(pycurl.BUFFERSIZE, BUFFER_LEN)
    for _ in range(job.n_requests):
        buffer = BytesIO()
        curl.setopt(pycurl.WRITEFUNCTION, buffer.write)
        curl.perform()
        check_big(job, curl.getinfo(pycurl.RESPONSE_CODE), buffer.getvalue())
    return job.n_requests


def to_file(job: Job) -> None:
    """Callback straight to the unbuffered file."""
    curl = new_handle(job)
    curl.setopt(pycurl.BUFFERSIZE, BUFFER_LEN)
    with open(job.target, "wb", buffering=0) as file:
        curl.setopt(pycurl.WRITEFUNCTION, file.write)
        curl.perform()
    check_status(curl.getinfo(pycurl.RESPONSE_CODE))


if __name__ == "__main__":
    run(requests, to_file, stream=stream, memory=memory)
