"""Bytes of memory that a queued request takes, from the process's resident size at 0 and at 200,000 of them.

    python -m bench.perf.memory
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

N_REQUESTS = 200_000
WARM_UP = 2_000
ROOT = Path(__file__).resolve().parent.parent.parent


def resident_bytes() -> int:
    """VmRSS of this process; all of it is private to it but the libraries, which do not change meanwhile."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def bytes_per_request() -> float:
    """Queues in this process, which should be a fresh one. A target of its own for each request, as in real use."""
    from qhttp import QHttp

    http = QHttp("127.0.0.1", 9)
    for n in range(WARM_UP):
        http.get(f"/data/{n:06}.bin")
    before = resident_bytes()
    for n in range(N_REQUESTS):
        http.get(f"/data/{n:06}.bin")
    return (resident_bytes() - before) / N_REQUESTS


def measure() -> float:
    """The same from a fresh process."""
    command = [sys.executable, "-m", "bench.perf.memory"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return float(done.stdout)


if __name__ == "__main__":
    print(f"{bytes_per_request():.1f}")
    sys.stdout.flush()
    os._exit(0)
