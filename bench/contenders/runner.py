"""What every contender does the same way: read its job, measure, have the answer checked, report.

Measured is everything from the first object of the client to its last answer: connections are
part of it, imports are not, nor is the comparison of a big body. A contender raises `WrongAnswer`
for an answer that is not the expected one; then there is no number.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any

from bench.pattern import is_pattern, is_pattern_file

REQUESTS, STREAM, MEMORY, FILE = "requests", "stream", "memory", "file"  # the tasks


@dataclass(frozen=True)
class Job:
    """What to fetch, and what is done with it. Bodies are the pattern of `bench.pattern`."""

    port: int
    path: str
    body_len: int
    n_requests: int = 1
    n_connections: int = 1
    target: str = ""  # the file the one body goes to
    programs: str = ""  # folder of the compiled C programs
    task: str = REQUESTS
    depth: int = 1  # requests in flight on one connection
    cafile: str = ""  # https, and the certificate is verified against this file; "": plain http

    @property
    def url(self) -> str:
        return f"http{'s' if self.cafile else ''}://127.0.0.1:{self.port}{self.path}"

    def shares(self) -> list[int]:
        """The requests of each connection."""
        share, more = divmod(self.n_requests, self.n_connections)
        return [share + (i < more) for i in range(self.n_connections)]


@dataclass(frozen=True)
class Outcome:
    """What it took. `cpu_s` is user and system time of all threads; None: not known."""

    n_requests: int
    wall_s: float
    cpu_s: float | None
    peak_rss_kib: int | None
    body_len: int = 0


class WrongAnswer(Exception):
    """The client reported an answer that is not what the server was asked for."""


def needed(module: str) -> ModuleType:
    """Import a package that may be missing."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise SystemExit(f"not installed: {error.name}") from None


def read_job() -> Job:
    """The job from the command line."""
    return Job(**json.loads(sys.argv[1]))


def write_outcome(outcome: Outcome) -> None:
    """One line of JSON on stdout."""
    print(json.dumps(asdict(outcome)))


def cpu_now_s() -> float:
    """CPU seconds used so far, all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_rss_kib() -> int:
    """VmHWM and not ru_maxrss: the latter survives exec and so begins with the parent's size."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


class Stopwatch:
    """Wall and CPU time since it was made, without what ran inside `paused()`."""

    def __init__(self) -> None:
        self._wall_start_s, self._cpu_start_s = time.perf_counter(), cpu_now_s()

    def read(self) -> tuple[float, float]:
        """(wall, CPU) in seconds."""
        return time.perf_counter() - self._wall_start_s, cpu_now_s() - self._cpu_start_s

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        wall_s, cpu_s = self.read()
        yield
        now_wall_s, now_cpu_s = self.read()
        self._wall_start_s += now_wall_s - wall_s
        self._cpu_start_s += now_cpu_s - cpu_s


stopwatch = Stopwatch()  # of this process; begins anew in run()


def check_big(job: Job, status: int, body: Any) -> None:
    """Compare a big body in full, off the clock: nothing is in flight meanwhile."""
    with stopwatch.paused():
        if status != 200 or not is_pattern(body, job.body_len):
            raise WrongAnswer(f"status {status}, {len(body)} bytes")


def check_small(status: int, body: bytes, expected: bytes) -> None:
    """Compare a small body; costs less than a percent of the fastest client."""
    if status != 200 or body != expected:
        raise WrongAnswer(f"status {status}, {len(body)} bytes")


def check_status(status: int) -> None:
    """Of an answer whose body is counted or compared elsewhere."""
    if status != 200:
        raise WrongAnswer(f"status {status}")


def run(
    requests: Callable[[Job], int] | None = None,
    to_file: Callable[[Job], None] | None = None,
    *,
    stream: Callable[[Job], int] | None = None,
    memory: Callable[[Job], int] | None = None,
) -> None:
    """Main function of a Python contender: one function for each task it takes part in.

    `requests` fetches `job.n_requests` small bodies over `job.n_connections` connections and
    returns how many were right; `memory` fetches big ones, one after the other, each as bytes that
    are compared and given back before the next, and returns the same. `stream` reads one body,
    drops the bytes and returns how many they were. `to_file` fetches one into `job.target`, which
    is compared afterwards.
    """
    global stopwatch
    job = read_job()
    task = {REQUESTS: requests, STREAM: stream, MEMORY: memory, FILE: to_file}[job.task]
    if task is None:
        sys.exit(f"does not take part in {job.task}")
    try:
        stopwatch = Stopwatch()
        result = task(job)
        wall_s, cpu_s = stopwatch.read()
        peak = peak_rss_kib()
        if job.task in (REQUESTS, MEMORY) and result != job.n_requests:
            raise WrongAnswer(f"{result} right answers instead of {job.n_requests}")
        if job.task == STREAM and result != job.body_len:
            raise WrongAnswer(f"{result} bytes instead of {job.body_len}")
        if job.task == FILE and not is_pattern_file(job.target, job.body_len):
            raise WrongAnswer("the file differs from what was served")
    except WrongAnswer as reason:
        sys.exit(f"wrong answer: {reason}")
    write_outcome(Outcome(job.n_requests, wall_s, cpu_s, peak, job.body_len))
