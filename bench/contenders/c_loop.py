"""The floor: a C program that does the system calls of the workload and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.contenders.runner import Job, Outcome, WrongAnswer, read_job, write_outcome
from bench.pattern import is_pattern_file


def _command(job: Job) -> list[str]:
    programs = Path(job.programs)
    common = ["--port", str(job.port), "--path", job.path, "--length", str(job.body_len)]
    common += [] if job.cpu is None else ["--cpu", str(job.cpu)]
    if job.target:
        return [str(programs / "recv_file"), *common, "--target", job.target]
    common += ["--requests", str(job.n_requests)]
    if job.n_connections == 1:
        return [str(programs / "ping_pong"), *common]
    return [str(programs / "epoll_client"), *common, "--connections", str(job.n_connections)]


def main() -> None:
    """Run the program for the job and pass on what it measured about itself."""
    job = read_job()
    done = subprocess.run(_command(job), stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)  # the program has said why, on the stderr we share
    numbers = json.loads(done.stdout)
    if job.target and not is_pattern_file(job.target, job.body_len):
        raise WrongAnswer("the file differs from what was served")
    write_outcome(Outcome(numbers["requests"], numbers["wall_s"], numbers["cpu_s"], numbers["peak_rss_kib"]))


if __name__ == "__main__":
    main()
