"""pycurl with many connections: a CurlMulti, its handles reused, bodies dropped by the cheapest sink.

perform() and select() are used and not socket_action(): with libcurl's own sockets busy all the time, the callbacks into
Python that the latter needs cost more than they save.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.contenders.pycurl_easy import check_dropped, new_handle, pycurl, stdout_dropped
from bench.contenders.runner import Job, WrongAnswer, run


def drive(job: Job, handles: list[Any], check: Callable[[Any], None]) -> int:
    """Keep all handles busy; a finished one is checked and put back at once. Gives the number of answers."""
    multi = pycurl.CurlMulti()
    for curl in handles:
        multi.add_handle(curl)
    n_begun, n_right = len(handles), 0
    while n_right < job.n_requests:
        multi.perform()
        n_queued = 1
        while n_queued:
            n_queued, finished, failed = multi.info_read()
            if failed:
                raise WrongAnswer(str(failed[0][1:]))
            for curl in finished:
                check(curl)
                n_right += 1
                multi.remove_handle(curl)
                if n_begun < job.n_requests:
                    multi.add_handle(curl)
                    n_begun += 1
        if n_right < job.n_requests:
            multi.select(1.0)
    return n_right


def requests(job: Job) -> int:
    """Status and length are checked."""
    handles = [new_handle(job) for _ in range(job.n_connections)]
    with stdout_dropped():
        return drive(job, handles, lambda curl: check_dropped(curl, job.body_len))


if __name__ == "__main__":
    run(requests)
