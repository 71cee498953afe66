"""pycurl as in `pycurl_multi`, every body read and compared."""

from __future__ import annotations

from typing import Any

from bench.contenders.pycurl_easy import new_handle, pycurl
from bench.contenders.pycurl_multi import drive
from bench.contenders.runner import Job, check_small, run
from bench.pattern import pattern


def requests(job: Job) -> int:
    """Each handle collects the pieces of its body."""
    expected = pattern(job.body_len)
    pieces_of: dict[Any, list[bytes]] = {}
    for _ in range(job.n_connections):
        curl, pieces = new_handle(job), []
        curl.setopt(pycurl.WRITEFUNCTION, pieces.append)
        pieces_of[curl] = pieces

    def check(curl: Any) -> None:
        pieces = pieces_of[curl]
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        check_small(curl.getinfo(pycurl.RESPONSE_CODE), body, expected)
        pieces.clear()

    return drive(job, list(pieces_of), check)


if __name__ == "__main__":
    run(requests)
