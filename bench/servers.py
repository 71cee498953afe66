"""Start and end the benchmarks' C server.

It ends by itself when its stdin closes, so even a killed benchmark leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path


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
