"""The program aria2c: one body to a file, over one connection, without its report to the terminal."""

from __future__ import annotations

import os
import sys

from bench.contenders.program import launch, write_launched
from bench.contenders.runner import WrongAnswer, read_job
from bench.pattern import is_pattern_file


def main() -> None:
    """Measured from outside, start included; the file is compared."""
    job = read_job()
    folder, name = os.path.split(job.target)
    try:
        _, numbers = launch(
            job, "aria2c", "--no-conf", "-q", "-x1", "-s1", "--file-allocation=falloc",
            "--allow-overwrite=true", "--auto-file-renaming=false", "-d", folder, "-o", name, job.url,
        )  # fmt: skip
        if not is_pattern_file(job.target, job.body_len):
            raise WrongAnswer("the file differs from what was served")
    except WrongAnswer as reason:
        sys.exit(f"wrong answer: {reason}")
    write_launched(job, numbers)


if __name__ == "__main__":
    main()
