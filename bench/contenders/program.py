"""Contenders that are programs: run, measured by a tiny launcher of our own, their output read.

The C programs of `bench/c` measure themselves from their first system call on. Other people's are
measured from outside, so their start is part of it: some milliseconds.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from bench.contenders.runner import (
    FILE,
    REQUESTS,
    Job,
    Outcome,
    WrongAnswer,
    read_job,
    write_outcome,
)
from bench.pattern import is_pattern_file


def floor_main(program: str, *more: str) -> None:
    """Run a program of `bench/c` for the job, and pass on what it measured about itself."""
    job = read_job()
    command = [str(Path(job.programs) / program), "--port", str(job.port), "--path", job.path]
    command += ["--length", str(job.body_len), "--requests", str(job.n_requests)]
    command += ["--connections", str(job.n_connections), "--depth", str(job.depth)]
    if job.task == FILE:
        command += ["--target", job.target]
    if job.cafile:
        command += ["--cafile", job.cafile]
    if not Path(command[0]).exists():
        sys.exit(f"not built: {program}")
    done = subprocess.run([*command, *more], stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)  # the program has said why, on the stderr we share
    numbers = json.loads(done.stdout)
    if job.task == FILE and not is_pattern_file(job.target, job.body_len):
        sys.exit("wrong answer: the file differs from what was served")
    if job.task == REQUESTS and numbers["requests"] != job.n_requests:
        sys.exit(f"wrong answer: {numbers['requests']} instead of {job.n_requests}")
    write_outcome(
        Outcome(job.n_requests, numbers["wall_s"], numbers["cpu_s"], numbers["peak_rss_kib"], job.body_len)
    )


def launch(job: Job, *command: str) -> tuple[str, dict[str, float]]:
    """Run a program; gives its output, and {"wall_s", "cpu_s", "peak_rss_kib"}."""
    if not shutil.which(command[0]):
        sys.exit(f"not installed: {command[0]}")
    done = subprocess.run(
        [Path(job.programs) / "launch", *command], stdout=subprocess.PIPE, text=True, check=False
    )
    said, _, numbers = done.stdout.rstrip("\n").rpartition("\n")
    if done.returncode != 0:
        raise WrongAnswer(f"{command[0]} ended with status {done.returncode} {said[-200:]}")
    return said, json.loads(numbers)


def write_launched(job: Job, numbers: dict[str, float], n_requests: int | None = None) -> None:
    """Report what the launcher measured."""
    write_outcome(
        Outcome(
            n_requests or job.n_requests, numbers["wall_s"], numbers["cpu_s"],
            int(numbers["peak_rss_kib"]), job.body_len,
        )
    )  # fmt: skip
