"""Compile the C programs of the benchmarks (server and floors) into a folder.

python -m bench.build_c FOLDER
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SOURCES = Path(__file__).parent / "c"
PROGRAMS = ("server", "epoll_client", "ping_pong", "recv_file")


def build(folder: str | os.PathLike[str], programs: tuple[str, ...] = PROGRAMS) -> Path:
    """Compile `programs` into `folder` and return it; a compiler error ends with the compiler's own words."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    compiler = os.environ.get("CC", "cc").split()
    for name in programs:
        subprocess.run(
            [*compiler, "-std=c11", "-O2", "-Wall", "-Wextra", "-o", target / name, SOURCES / f"{name}.c"],
            check=True,
        )
    return target


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(build(sys.argv[1]))
