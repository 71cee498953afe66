"""What a long run reads off its own process: memory, descriptors, threads, latencies; and whether a row of figures grows.

Everything here has its memory from the start, so that what is measured does not grow by being measured.
"""
import array
import ctypes
import itertools
import math
import os
import sys

N_BUCKETS, BUCKETS_PER_DOUBLING, SHORTEST_S = 200, 8, 1e-5      # of a histogram: 10 us to 300 s, in steps of 9 %
T_95 = (12.7, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)     # of Student's distribution, 1 .. 10 degrees
Z_95 = 1.96
BLOCK_LEN, N_TOUCHED = 470, 20_000      # of Python's largest class of small blocks; 10 MB, more than arenas have free


class _Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks",
                                                     "uordblks", "fordblks", "keepcost")]


_libc = ctypes.CDLL(None)
_mallinfo = getattr(_libc, "mallinfo2", None)       # glibc 2.33
if _mallinfo is not None:
    _mallinfo.restype = _Mallinfo2


def resident(pid: int | str = "self") -> int:
    """Bytes of memory that are resident now, counted page by page (the quicker counters lag behind by some pages)."""
    with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith(b"Rss:"))


def peaks(pid: int | str = "self") -> tuple[int, int]:
    """Bytes: most resident memory, most address space, since the process began (or since `forget_peak`)."""
    found = {}
    with open(f"/proc/{pid}/status", "rb") as file:
        for line in file:
            if line.startswith((b"VmHWM", b"VmPeak")):
                found[line.split(b":")[0]] = int(line.split()[1]) << 10
    return found[b"VmHWM"], found[b"VmPeak"]


def forget_peak() -> None:
    """From now on the peak of resident memory is that of what comes."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def in_use() -> int:
    """Bytes that C code has from malloc and has not given back, whatever the allocator keeps besides; 0: not known."""
    if _mallinfo is None:
        return 0
    info = _mallinfo()
    return info.uordblks + info.hblkhd


def give_back() -> None:
    """Lets the allocator return what it keeps of memory that was given back to it: as much as was ever needed at once."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)


def touch_arenas() -> None:
    """Python's arenas of small blocks become resident page by page, when first used, and stay so. Now all of them have been."""
    blocks = [bytes(BLOCK_LEN) for _ in range(N_TOUCHED)]
    del blocks


def n_blocks() -> int:
    """Python's small objects and blocks that are alive."""
    return sys.getallocatedblocks()


def n_descriptors(pid: int | str = "self") -> int:
    """Open ones; of this process without that of the look itself."""
    return len(os.listdir(f"/proc/{pid}/fd")) - (pid == "self")


def n_threads(pid: int | str = "self") -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


class Histogram:
    """How long things took, in steps of 9 %."""

    def __init__(self):
        self._counts = array.array("Q", bytes(8 * N_BUCKETS))

    def add(self, seconds: float) -> None:
        n = int(math.log2(max(seconds, SHORTEST_S) / SHORTEST_S) * BUCKETS_PER_DOUBLING)
        self._counts[min(n, N_BUCKETS - 1)] += 1

    def percentile(self, percent: float) -> float:
        """Seconds within which so many of a hundred were done (the upper end of their bucket)."""
        wanted, n = sum(self._counts) * percent / 100, 0
        for bucket, count in enumerate(self._counts):
            n += count
            if n >= wanted:
                return SHORTEST_S * 2 ** ((bucket + 1) / BUCKETS_PER_DOUBLING)
        return 0.0


def slope(times, values) -> tuple[float, float]:
    """(slope, half of its 95 % interval) of the straight line through the points, by least squares.

    What an allocator keeps changes in steps, and so a value resembles the one before: the points count as fewer than they are,
    n (1 - r) / (1 + r) with r the correlation of neighbouring residuals. Fewer than four points say nothing: (0, inf).
    """
    n = len(times)
    if n < 4:
        return 0.0, math.inf
    mean_t, mean_v = sum(times) / n, sum(values) / n
    spread = sum((t - mean_t) ** 2 for t in times)
    k = sum((t - mean_t) * (v - mean_v) for t, v in zip(times, values, strict=True)) / spread
    rest = [v - mean_v - k * (t - mean_t) for t, v in zip(times, values, strict=True)]
    squares = sum(r * r for r in rest)
    if squares == 0:
        return k, 0.0
    r = max(0.0, min(0.95, sum(a * b for a, b in itertools.pairwise(rest)) / squares))
    n_own = max(3.0, n * (1 - r) / (1 + r))
    degrees = int(n_own - 2)
    error = math.sqrt(squares / n / (1 - 2 / n_own) / spread * n / n_own)
    return k, error * (T_95[degrees - 1] if degrees <= len(T_95) else Z_95)
