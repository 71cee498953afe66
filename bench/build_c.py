"""Compile the C programs of the benchmarks (server and floors) into a folder.

python -m bench.build_c FOLDER
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SOURCES = Path(__file__).parent / "c"
PROGRAMS = (
    "server",
    "launch",
    "epoll_client",
    "epoll_files",
    "pipelined",
    "ping_pong",
    "recv_drop",
    "recv_huge",
    "recv_file",
    "chunk_decode",
    "ssl_read",
    "ssl_huge",
)
NEEDS_OPENSSL = {"ssl_read", "ssl_huge"}  # left out where its headers are not installed


def _compiler() -> list[str]:
    return os.environ.get("CC", "cc").split()


def _has_openssl() -> bool:
    asked = subprocess.run(
        [*_compiler(), "-E", "-x", "c", "-"], input=b"#include <openssl/ssl.h>\n", capture_output=True, check=False
    )
    return asked.returncode == 0


def build(folder: str | os.PathLike[str], programs: tuple[str, ...] = PROGRAMS) -> Path:
    """Compile `programs` into `folder` and return it; a compiler error ends with the compiler's own words."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for name in programs:
        libraries = ["-lssl", "-lcrypto"] if name in NEEDS_OPENSSL else []
        if libraries and not _has_openssl():
            continue
        source = SOURCES / f"{name}.c"
        subprocess.run(
            [*_compiler(), "-std=c11", "-O2", "-Wall", "-Wextra", "-o", target / name, source, *libraries], check=True
        )
    return target


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(build(sys.argv[1]))
