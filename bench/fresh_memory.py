"""Take the dearness out of fresh memory before a run.

In a virtual machine the first touch of a page that the host has taken back, or has never given, costs many times its
use, and free pages may be taken back after seconds. Who runs first would pay for all. So as much memory as a run may
need is touched and given back right before it: the run finds it warm, and so does the next contender.
"""

from __future__ import annotations

import contextlib
import mmap

STEP = 2 << 20


def _available() -> int:
    """Bytes that can be had without taking any from others."""
    with open("/proc/meminfo") as lines:
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), 0)


def touch(n_bytes: int, *, small: bool = True, large_too: bool = False) -> None:
    """Touch so much memory, or half of what there is, and give it back: in small pages as a file takes it, and if asked
    in large ones, too, as big blocks take it, and big files on ext4: they come from elsewhere in the kernel's lists."""
    n_bytes = min(n_bytes, _available() // 2)
    if n_bytes <= 0:
        return
    for advice in ["MADV_NOHUGEPAGE"] * small + ["MADV_HUGEPAGE"] * large_too:
        with mmap.mmap(-1, n_bytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
            with contextlib.suppress(AttributeError, OSError):  # a kernel without large pages
                memory.madvise(getattr(mmap, advice))
            for start in range(0, n_bytes, STEP):
                end = min(start + STEP, n_bytes)
                memory[start : end : mmap.PAGESIZE] = bytes(len(range(start, end, mmap.PAGESIZE)))
