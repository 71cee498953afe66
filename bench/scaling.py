"""What long queues cost: CPU for a request when many are queued up front, and memory for each that waits.

    python -m bench.scaling [--rounds N] [--quick]

64 objects share a thousand to a million requests of 1 KiB bodies from the C server; answers are
seen through signals and dropped, as in the contender `qhttp_signals`. All `get()` calls come first,
then the loop turns; both are timed, connecting is not. Memory is that of a process with a million
requests queued in one object, before and after. Each measurement is a process of its own, in random
order; medians. Saved in bench/results/.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from bench import environment
from bench.build_c import build
from bench.contenders.runner import WrongAnswer, cpu_now_s
from bench.private_network import enter_where_needed
from bench.report import save
from bench.servers import c_server, two_cpus

ROOT = Path(__file__).parent.parent
N_OBJECTS = 64
BODY_LEN = 1024
LENGTHS = (1_000, 10_000, 100_000, 1_000_000)  # requests queued in all
AT_LEAST = 100_000  # requests of one measurement: short queues are filled again and again
ROUNDS_OF_LONGEST = 3
N_QUEUED = 1_000_000
PATHS: dict[str, Callable[[int], str]] = {
    "identical": lambda i: "/b/1024",
    "distinct": lambda i: f"/b/1024?{i:07d}",
}


class Lane:
    """A QHttp whose answers are checked and dropped."""

    def __init__(self, port: int) -> None:
        from qhttp import QHttp

        self.n_right = 0
        self.http = QHttp("127.0.0.1", port)
        self.http.responseHeaderReceived.connect(self.on_header)
        self.http.requestFinished.connect(self.on_finished)

    def on_header(self, header: Any) -> None:
        if header.statusCode() != 200:
            raise WrongAnswer(f"status {header.statusCode()}")

    def on_finished(self, request_id: int, error: bool) -> None:
        if error or self.http.bytesAvailable() != BODY_LEN:
            raise WrongAnswer(self.http.errorString() or f"{self.http.bytesAvailable()} bytes")
        self.n_right += 1


def measure_queue(port: int, length: int) -> dict[str, float]:
    """CPU microseconds of a request: to queue it, and to run it."""
    import qhttp

    lanes = [Lane(port) for _ in range(N_OBJECTS)]
    for lane in lanes:  # connect
        lane.http.get(f"/b/{BODY_LEN}")
    qhttp.run()
    share, more = divmod(length, N_OBJECTS)
    repeats = max(1, AT_LEAST // length)
    queue_s = run_s = 0.0
    path = f"/b/{BODY_LEN}"
    for _ in range(repeats):
        start_s = cpu_now_s()
        for i, lane in enumerate(lanes):
            get = lane.http.get
            for _ in range(share + (i < more)):
                get(path)
        queued_s = cpu_now_s()
        qhttp.run()
        queue_s += queued_s - start_s
        run_s += cpu_now_s() - queued_s
    n_requests = repeats * length
    if sum(lane.n_right for lane in lanes) != n_requests + N_OBJECTS:
        raise WrongAnswer("some requests have no right answer")
    return {"queue_us": queue_s / n_requests * 1e6, "run_us": run_s / n_requests * 1e6, "n_requests": n_requests}


def _rss_kib() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def measure_memory(paths: str, n_queued: int) -> dict[str, float]:
    """Bytes that a waiting request holds."""
    lane, path_of = Lane(9), PATHS[paths]  # the loop never turns: nobody connects
    get = lane.http.get
    for i in range(1000):  # what is only once there is there before
        get(path_of(i))
    gc.collect()
    before_kib = _rss_kib()
    for i in range(n_queued):
        get(path_of(i))
    gc.collect()
    bytes_each = (_rss_kib() - before_kib) * 1024 / n_queued
    lane.http.clearPendingRequests()
    return {"bytes_each": bytes_each, "n_queued": n_queued}


def in_a_process(cpu: int | None, *arguments: object) -> dict[str, float]:
    """Run one measurement of this module in a process of its own."""
    command = [sys.executable, "-m", "bench.scaling", "--one", *map(str, arguments)]
    pin = (lambda: os.sched_setaffinity(0, {cpu})) if cpu is not None else None
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=pin, timeout=120, check=True
    )
    numbers: dict[str, float] = json.loads(done.stdout)
    return numbers


def measure_all(rounds: int, lengths: tuple[int, ...], n_queued: int) -> tuple[dict[int, list[Any]], dict[str, list[Any]]]:
    """All runs, by queue length and by kind of paths."""
    server_cpu, cpu = two_cpus()
    queues: dict[int, list[Any]] = {length: [] for length in lengths}
    memories: dict[str, list[Any]] = {paths: [] for paths in PATHS}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        programs = build(Path(folder), ("server",))
        for i in range(rounds):
            with c_server(programs, server_cpu) as port:
                for length in random.sample(lengths, len(lengths)):
                    if length < LENGTHS[-1] or i < ROUNDS_OF_LONGEST:
                        queues[length].append(in_a_process(cpu, "queue", port, length))
                        print(".", end="", file=sys.stderr, flush=True)
            if i < ROUNDS_OF_LONGEST:
                for paths in PATHS:
                    memories[paths].append(in_a_process(cpu, "memory", paths, n_queued))
    print(file=sys.stderr)
    return queues, memories


def report(queues: dict[int, list[Any]], memories: dict[str, list[Any]]) -> dict[str, object]:
    """Print both tables; gives what is saved."""
    rows = []
    print(f"\n## scaling: requests queued up front in {N_OBJECTS} objects, C server\n")
    print("| queued | CPU us/request | to the first | of queueing us/request |\n|---:|---:|---:|---:|")
    for length, runs in queues.items():
        run_us, queue_us = median(r["run_us"] for r in runs), median(r["queue_us"] for r in runs)
        ratio = run_us / rows[0]["run_us"] if rows else 1.0
        rows.append({"queued": length, "run_us": run_us, "queue_us": queue_us, "to_first": ratio, "runs": runs})
        print(f"| {length:,} | {run_us:.2f} | {ratio:.2f}x | {queue_us:.2f} |")
    print("\n| paths | bytes for each waiting request |\n|---|---:|")
    memory = []
    for paths, runs in memories.items():
        bytes_each = median(r["bytes_each"] for r in runs)
        memory.append({"paths": paths, "bytes_each": bytes_each, "example": PATHS[paths](1), "runs": runs})
        print(f"| {paths}, like `{PATHS[paths](1)}` | {bytes_each:.0f} |")
    return {"n_objects": N_OBJECTS, "body_len": BODY_LEN, "queues": rows, "memory": memory}


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help=f"default 5; of a million at most {ROUNDS_OF_LONGEST}")
    parser.add_argument("--quick", action="store_true", help="small numbers: does everything work?")
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        what, first, last = options.one
        measured = measure_queue(int(first), int(last)) if what == "queue" else measure_memory(first, int(last))
        print(json.dumps(measured))
        return
    network = enter_where_needed([sys.executable, "-m", "bench.scaling", *sys.argv[1:]])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is ended
    about = {**environment.describe(), "network": network}
    lengths, n_queued = (LENGTHS[:3], N_QUEUED // 10) if options.quick else (LENGTHS, N_QUEUED)
    saved = report(*measure_all(options.rounds, lengths, n_queued))
    print(f"\nraw: {save('scaling', about, {'rounds': options.rounds, 'quick': options.quick, **saved})}")


if __name__ == "__main__":
    main()
