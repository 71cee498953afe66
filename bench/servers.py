"""Start and end the benchmarks' C server, and choose the CPUs.

It ends by itself when its stdin closes, so even a killed benchmark leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path


def two_cpus() -> tuple[int | None, int | None]:
    """(server, client), or nothing to pin to on a single CPU."""
    cpus = sorted(os.sched_getaffinity(0))
    return (cpus[-1], cpus[0]) if len(cpus) > 1 else (None, None)


@contextlib.contextmanager
def c_server(programs: Path, cpu: int | None = None) -> Iterator[int]:
    """Run the compiled server from the folder `programs`; gives its port."""
    pin = [] if cpu is None else ["--cpu", str(cpu)]
    process = subprocess.Popen(
        [programs / "server", "--port", "0", *pin], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        first_line = process.stdout.readline()
        if not first_line.strip().isdigit():
            raise RuntimeError("the C server did not start")
        yield int(first_line)
    finally:
        process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
