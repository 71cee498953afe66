"""Mixed work at full speed against a server that faults, for a given time: does anything grow, slow down or go wrong?

    python tests/soak/steady.py --minutes 20

A round (mixture.py) is always the same work: QHttp objects with pipelining off and 8, over TLS, two Downloaders into a folder
in memory, a Client; all at once on one loop. Half of the objects live as long as the run, all else is made anew in each round.
The server faults 30 of a hundred attempts (15 of those of Downloader and Client, whose waits double with each try). Between
rounds nothing is under way: then memory, descriptors and threads are looked at.

What has to hold. Every body right, nothing hangs. Descriptors and threads: the same after each round. CPU per request: in the
last tenth at most 10 % more than in the first (the lower quartile of its rounds: what else runs on the machine only adds).

Memory, over the last 80 % of the time: a straight line whose slope is below 1 MB/h, with a 95 % interval (gauges.slope). What
malloc and Python have given out is nearly exact at rest, and fails the run where all of its interval is above. Of resident
memory the allocator keeps as much as was ever needed at once, which grows with each new record for as long as one waits; so it
is made to give that back (malloc_trim) before the look, and "kept" says how much it was. What is left comes in pages: 1 MB/h
are ten of them in a run of three minutes. So it is judged in runs of ten minutes or more: "flat" where the slope is below
1 MB/h, "grows", and failed, where all of the interval is above, "not decided" in between. Exit status 0: all holds; 1: not so.
"""
import argparse
import array
import gc
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from soak.gauges import (
    Histogram,
    give_back,
    in_use,
    n_blocks,
    n_descriptors,
    n_threads,
    resident,
    slope,
    touch_arenas,
)
from soak.mixture import N_SHOWN, Mixture, Servers
from soak.runs import tell

N_TENTHS = 10
N_WARM = 4                  # rounds before the time begins: imports, caches, the allocator's first blocks
N_ROUNDS_MAX = 20_000
WARM_SHARE = 0.2            # of the time, that the line does not look at
MOST_GROWTH = 1e6           # bytes an hour
DECISIVE_S = 600            # a run has to last so long to say something about resident memory
BLOCK_LEN = 64              # bytes of one of Python's small blocks, as a rule
MOST_SLOWER = 0.10
FIGURES = ("at s", "CPU us a request", "kept", "resident", "in use", "blocks", "descriptors", "threads", "files", "requests",
           "wall s")
COLUMNS = (("tenth", 5), ("rounds", 6), ("files", 8), ("requests", 8), ("us CPU/request", 14), ("p50 ms", 7), ("p99 ms", 7),
           ("peak MiB", 8), ("kept MiB", 8), ("resident MiB", 12), ("in use MiB", 10), ("blocks", 7), ("fds", 4),
           ("threads", 7))


class Samples:
    """A row of figures for each round, in memory that is there from the start."""

    def __init__(self):
        self.n = 0
        self._rows = {name: array.array("d", bytes(8 * N_ROUNDS_MAX)) for name in FIGURES}

    def add(self, *values: float) -> None:
        for name, value in zip(FIGURES, values, strict=True):
            self._rows[name][self.n] = value
        self.n += 1

    def of(self, name: str, start_s: float = 0.0, end_s: float = float("inf")) -> list[float]:
        """The figures of the rounds that ended in [start_s, end_s)."""
        return [self._rows[name][n] for n in range(self.n) if start_s <= self._rows["at s"][n] < end_s]


def verdict_on_memory(samples: Samples, limit_s: float) -> tuple[dict, list[str]]:
    """Figures about what grows, and what is wrong with it."""
    at = samples.of("at s", WARM_SHARE * limit_s)
    lines = {name: [3600 * unit * value for value in slope(at, samples.of(name, WARM_SHARE * limit_s))]
             for name, unit in (("resident", 1), ("in use", 1), ("blocks", BLOCK_LEN))}
    growing = [name for name, (growth, half) in lines.items() if growth - half > MOST_GROWTH]
    is_short = limit_s < DECISIVE_S
    verdict = ("not judged, the run is too short" if is_short else "grows" if "resident" in growing else
               "flat" if lines["resident"][0] < MOST_GROWTH else "not decided")
    told = {name: f"{growth / 1e6:.2f} +- {half / 1e6:.2f} (95 %)" for name, (growth, half) in lines.items()}
    return ({"resident memory MB/h": f"{told['resident']}: {verdict}", "malloc in use MB/h": told["in use"],
             "Python's small blocks MB/h": told["blocks"]},
            [f"memory grows: {name}" for name in growing if name != "resident" or not is_short])


def row_of(n: int, samples: Samples, latencies: Histogram, peak: int, span: tuple[float, float]) -> tuple:
    """A tenth in figures; () where no round ended in it."""
    got = {name: samples.of(name, *span) for name in FIGURES}
    if not got["at s"]:
        return ()
    median = {name: statistics.median(values) for name, values in got.items()}
    quickest = sorted(got["CPU us a request"])[:max(1, len(got["at s"]) // 2)]
    return (n + 1, len(got["at s"]), int(sum(got["files"])), int(sum(got["requests"])), statistics.median(quickest),
            latencies.percentile(50) * 1e3, latencies.percentile(99) * 1e3, peak / 2**20, median["kept"] / 2**20,
            median["resident"] / 2**20, median["in use"] / 2**20, int(median["blocks"]), int(max(got["descriptors"])),
            int(max(got["threads"])))


def judge(samples: Samples, mixture: Mixture, latencies: list[Histogram], peaks: list[int], limit_s: float) -> int:
    step, wrong = limit_s / N_TENTHS, list(mixture.wrong)
    spans = [(n * step, (n + 1) * step if n < N_TENTHS - 1 else float("inf")) for n in range(N_TENTHS)]
    rows = [row for n, span in enumerate(spans) if (row := row_of(n, samples, latencies[n], peaks[n], span))]
    print("  ".join(f"{name:>{width}}" for name, width in COLUMNS))
    for row in rows:
        print("  ".join(f"{value:{width}.2f}" if isinstance(value, float) else f"{value:{width}}"
                        for value, (_, width) in zip(row, COLUMNS, strict=True)))
    figures, growing = verdict_on_memory(samples, limit_s)
    wrong += growing
    for name in ("descriptors", "threads"):
        if len(set(samples.of(name))) > 1:
            wrong.append(f"{name} at rest: {sorted(set(samples.of(name)))}")
    change = rows[-1][4] / rows[0][4] - 1
    if change > MOST_SLOWER:
        wrong.append(f"CPU per request has grown by {change:+.1%}")
    tell({"rounds": samples.n, "files, all whole by SHA-256": int(sum(samples.of("files"))),
          "requests": int(sum(samples.of("requests"))),
          "requests/s": sum(samples.of("requests")) / sum(samples.of("wall s")),
          "CPU per request": f"{rows[0][4]:.1f} us, in the last tenth {rows[-1][4]:.1f} us: {change:+.1%}",
          "p99 latency": f"{rows[0][6]:.1f} ms, in the last tenth {rows[-1][6]:.1f} ms", **figures,
          "not as promised": len(wrong)})
    print(*wrong[:N_SHOWN], sep="\n")
    return 1 if wrong else 0


def play(given, folder: str) -> int:
    below = os.path.join(folder, "files")
    os.mkdir(below)
    limit_s, samples = given.minutes * 60, Samples()
    latencies, peaks = [Histogram() for _ in range(N_TENTHS)], [0] * N_TENTHS
    servers = Servers(given.seed, given.fault_percent, folder)
    try:
        mixture = Mixture(given.seed, servers, below)
        for _ in range(N_WARM):
            mixture.round()
        gc.collect()
        touch_arenas()
        began, n_asked = time.monotonic(), servers.n_requests()
        while (at := time.monotonic() - began) < limit_s and samples.n < N_ROUNDS_MAX and not mixture.wrong:
            tenth = int(at / limit_s * N_TENTHS)
            mixture.latencies, mixture.peak, n_files, cpu = latencies[tenth], peaks[tenth], mixture.n_files, time.process_time()
            mixture.round()
            cpu, wall = time.process_time() - cpu, time.monotonic() - began - at
            peaks[tenth] = mixture.peak
            gc.collect()
            kept = resident()
            give_back()
            kept -= resident()
            n_asked, n_before = servers.n_requests(), n_asked
            samples.add(at, cpu / (n_asked - n_before) * 1e6, kept, resident(), in_use(), n_blocks(), n_descriptors(),
                        n_threads(), mixture.n_files - n_files, n_asked - n_before, wall)
    finally:
        servers.close()
    return judge(samples, mixture, latencies, peaks, limit_s)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault-percent", type=float, default=30, help="attempts of a hundred that have a fault")
    given = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="steady-", dir="/dev/shm")
    try:
        return play(given, folder)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
