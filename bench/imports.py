"""What an import costs: milliseconds that a whole `python -c ...` takes beyond `python -c pass`.

    python -m bench.imports [--runs N]

All take turns in random order, each run a process of its own on one CPU; medians. Saved in
bench/results/.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from bench import environment
from bench.report import save
from bench.servers import two_cpus

ROOT = Path(__file__).parent.parent
NOTHING = "pass"
STATEMENTS = (
    NOTHING,
    "import qhttp",
    'from qhttp import QHttp; QHttp("127.0.0.1")',
    "import httptools",
    "import pycurl",
    "import http.client",
    "import urllib3",
    "import requests",
    "import httpx",
    "import aiohttp",
    "import pyreqwest.client",
)


def run_once(statement: str) -> tuple[float, float]:
    """(wall, CPU) in milliseconds of one interpreter, from its start to its end."""
    start_s = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", statement], cwd=ROOT, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - start_s
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.stderr is not None
    with process.stderr as stream:
        said = stream.read().decode(errors="replace").strip()
    if process.returncode != 0:
        raise ImportError(said.splitlines()[-1] if said else f"exit status {process.returncode}")
    return wall_s * 1e3, (usage.ru_utime + usage.ru_stime) * 1e3


def measure(n_runs: int, chance: random.Random) -> tuple[dict[str, list[tuple[float, float]]], dict[str, str]]:
    """All runs of each statement, and why some have none."""
    runs: dict[str, list[tuple[float, float]]] = {}
    failures: dict[str, str] = {}
    for statement in STATEMENTS:  # one run that does not count: compiles, fills the page cache
        try:
            run_once(statement)
            runs[statement] = []
        except ImportError as reason:
            failures[statement] = str(reason)
    for _ in range(n_runs):
        for statement in chance.sample(list(runs), len(runs)):
            runs[statement].append(run_once(statement))
    return runs, failures


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(prog="python -m bench.imports", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=31, help="default 31")
    options = parser.parse_args()
    about = environment.describe()
    cpu = two_cpus()[1]
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    runs, failures = measure(options.runs, random.Random())
    wall_ms = {statement: median(wall for wall, _ in pairs) for statement, pairs in runs.items()}
    cpu_ms = {statement: median(cpu for _, cpu in pairs) for statement, pairs in runs.items()}
    rows = [
        {
            "statement": statement,
            "wall_ms": wall_ms[statement],
            "above_nothing_ms": wall_ms[statement] - wall_ms[NOTHING],
            "cpu_above_nothing_ms": cpu_ms[statement] - cpu_ms[NOTHING],
            "runs_ms": runs[statement],
        }
        for statement in runs
    ]
    print(f"\n## imports: above `python -c pass` ({wall_ms[NOTHING]:.1f} ms), {options.runs} runs\n")
    print("| statement | ms | CPU ms |\n|---|---:|---:|")
    for row in rows[1:]:
        print(f"| `{row['statement']}` | {row['above_nothing_ms']:.1f} | {row['cpu_above_nothing_ms']:.1f} |")
    for statement, reason in failures.items():
        print(f"| `{statement}` | no number: {reason} | |")
    file = save("imports", about, {"nothing": NOTHING, "runs": options.runs, "rows": rows, "failures": failures})
    print(f"\nraw: {file}")


if __name__ == "__main__":
    main()
