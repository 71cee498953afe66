"""wrk, a load generator in C: how many requests a second the server can be asked for at all.

It throws the bodies away and checks only the status, so it is a mark on the wall, not a client.
It runs for a time and not for a number of requests.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess

from bench.contenders.runner import (
    Outcome,
    WrongAnswer,
    cpu_now_s,
    read_job,
    write_outcome,
)

DURATION_S = 2


def main() -> None:
    """Run wrk with one thread and read its summary."""
    job = read_job()
    if job.cpu is not None:
        os.sched_setaffinity(0, {job.cpu})
    url = f"http://127.0.0.1:{job.port}{job.path}"
    command = ["wrk", "-t1", f"-c{job.n_connections}", f"-d{DURATION_S}s", url]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    cpu_s = cpu_now_s(resource.RUSAGE_CHILDREN)
    if "Non-2xx" in said or "Socket errors" in said:
        raise WrongAnswer(said)
    total = re.search(r"(\d+) requests in", said)
    rate = re.search(r"Requests/sec:\s*([\d.]+)", said)
    if total is None or rate is None:
        raise WrongAnswer(f"cannot read the summary of wrk: {said}")
    n_requests = int(total[1])
    write_outcome(Outcome(n_requests, n_requests / float(rate[1]), cpu_s, None))


if __name__ == "__main__":
    main()
