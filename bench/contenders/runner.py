"""What every contender does the same way: read its job, stay on its CPU, measure, have the answer checked, report.

Measured is everything from the first object of the client to its last answer: connections are
part of it, imports are not. A contender raises `WrongAnswer` for an answer that is not the
expected one; then there is no number.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from bench.pattern import is_pattern_file


@dataclass(frozen=True)
class Job:
    """What to fetch. Bodies are the pattern of `bench.pattern`."""

    port: int
    path: str
    body_len: int
    n_requests: int = 1
    n_connections: int = 1
    target: str = ""  # a file the one body goes to; empty: the bodies are read into memory
    cpu: int | None = None
    programs: str = ""  # folder of the compiled C programs


@dataclass(frozen=True)
class Outcome:
    """What it took. `cpu_s` is user and system time of all threads; None: not known."""

    n_requests: int
    wall_s: float
    cpu_s: float | None
    peak_rss_kib: int | None


class WrongAnswer(Exception):
    """The client reported an answer that is not what the server was asked for."""


def read_job() -> Job:
    """The job from the command line."""
    return Job(**json.loads(sys.argv[1]))


def write_outcome(outcome: Outcome) -> None:
    """One line of JSON on stdout."""
    print(json.dumps(asdict(outcome)))


def cpu_now_s(who: int = resource.RUSAGE_SELF) -> float:
    """CPU seconds used so far, all threads."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def peak_rss_kib() -> int:
    """VmHWM and not ru_maxrss: the latter survives exec and so begins with the parent's size."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def run(requests: Callable[[Job], int], to_file: Callable[[Job], None]) -> None:
    """Main function of a Python contender.

    `requests` fetches `job.n_requests` bodies into memory over `job.n_connections` connections,
    compares every one, and returns how many were right; `to_file` fetches one body into
    `job.target`, which is compared afterwards.
    """
    job = read_job()
    if job.cpu is not None:
        os.sched_setaffinity(0, {job.cpu})
    n_right = 1
    cpu_start_s, start_s = cpu_now_s(), time.perf_counter()
    if job.target:
        to_file(job)
    else:
        n_right = requests(job)
    wall_s, cpu_s = time.perf_counter() - start_s, cpu_now_s() - cpu_start_s
    peak = peak_rss_kib()
    if n_right != job.n_requests:
        raise WrongAnswer(f"{n_right} right answers instead of {job.n_requests}")
    if job.target and not is_pattern_file(job.target, job.body_len):
        raise WrongAnswer("the file differs from what was served")
    write_outcome(Outcome(job.n_requests, wall_s, cpu_s, peak))
