"""The bodies of the benchmark servers: byte i is i % 251.

The period is a prime, so a lost, doubled or moved block of any usual size shows, and checking
a gigabyte is a comparison with one prepared block instead of a hash.
"""

from __future__ import annotations

import os
from typing import Any

PERIOD = 251
BLOCK = bytes(range(PERIOD)) * 4096


def pattern(n_bytes: int) -> bytes:
    """The first `n_bytes` of the pattern."""
    return (BLOCK * (n_bytes // len(BLOCK) + 1))[:n_bytes]


def write_pattern_file(path: str | os.PathLike[str], n_bytes: int) -> None:
    """Write a file of `n_bytes`; real blocks on the disk, no holes."""
    left = n_bytes
    with open(path, "wb", buffering=0) as file:
        while left > 0:
            left -= file.write(BLOCK[:left])


def is_pattern(body: Any, n_bytes: int) -> bool:
    """True when the bytes-like body is exactly the first `n_bytes` of the pattern; copies a block at a time and never all."""
    with memoryview(body) as view:
        if view.nbytes != n_bytes:
            return False
        step = len(BLOCK)
        return all(
            bytes(view[start : start + step]) == BLOCK[: min(step, n_bytes - start)]
            for start in range(0, n_bytes, step)
        )


def is_pattern_file(path: str | os.PathLike[str], n_bytes: int) -> bool:
    """True when the file is exactly the first `n_bytes` of the pattern."""
    if os.stat(path).st_size != n_bytes:
        return False
    left = n_bytes
    with open(path, "rb") as file:
        while left > 0:
            block = file.read(len(BLOCK))
            if not block or block != BLOCK[: min(left, len(BLOCK))]:
                return False
            left -= len(block)
    return True
