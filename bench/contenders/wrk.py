"""wrk, a load generator in C: how many requests a second the server can be asked for at all.

It throws the bodies away and checks only the status, so it is a mark on the wall, not a client.
It runs for a time and not for a number of requests.
"""

from __future__ import annotations

import re
import sys

from bench.contenders.program import launch, write_launched
from bench.contenders.runner import WrongAnswer, read_job

DURATION_S = 1


def main() -> None:
    """Run wrk with one thread and read its summary."""
    job = read_job()
    try:
        said, numbers = launch(job, "wrk", "-t1", f"-c{job.n_connections}", f"-d{DURATION_S}s", job.url)
        total, rate = re.search(r"(\d+) requests in", said), re.search(r"Requests/sec:\s*([\d.]+)", said)
        if "Non-2xx" in said or "Socket errors" in said or total is None or rate is None:
            raise WrongAnswer("wrk counted answers other than 2xx, or none")
    except WrongAnswer as reason:
        sys.exit(f"wrong answer: {reason}")
    n_requests = int(total[1])
    write_launched(job, {**numbers, "wall_s": n_requests / float(rate[1])}, n_requests)


if __name__ == "__main__":
    main()
