"""The program curl: one body to a file or away; many small ones in parallel, away.

A range in the fragment of the URL, which is not sent, makes many requests of one.
"""

from __future__ import annotations

import sys

from bench.contenders.program import launch, write_launched
from bench.contenders.runner import FILE, REQUESTS, Job, WrongAnswer, read_job
from bench.pattern import is_pattern_file


def _fetch(job: Job) -> dict[str, float]:
    """Status and length of every answer are checked, and a file is compared."""
    command = ["curl", "-q", "-s", "-o", job.target or "/dev/null", "-w", "%{http_code} %{size_download}\\n"]
    url = job.url
    if job.cafile:
        command += ["--cacert", job.cafile]
    if job.task == REQUESTS:
        n_parallel = str(job.n_connections)
        command += ["--no-progress-meter", "-Z", "--parallel-immediate", "--parallel-max", n_parallel]
        url += f"#[1-{job.n_requests}]"
    said, numbers = launch(job, *command, url)
    answers = said.splitlines()
    if len(answers) != job.n_requests or set(answers) != {f"200 {job.body_len}"}:
        raise WrongAnswer(f"{len(answers)} answers of {job.n_requests}, the last: {answers[-1:]}")
    if job.task == FILE and not is_pattern_file(job.target, job.body_len):
        raise WrongAnswer("the file differs from what was served")
    return numbers


def main() -> None:
    """Measured from outside, start included."""
    job = read_job()
    try:
        write_launched(job, _fetch(job))
    except WrongAnswer as reason:
        sys.exit(f"wrong answer: {reason}")


if __name__ == "__main__":
    main()
