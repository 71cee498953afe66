"""Compare HTTP clients side by side.

    python -m bench.compare [--workload NAME ...] [--rounds N] [--seed N] [--quick]

Contenders take turns in random order, each run in a process of its own, every answer checked. The
server stays on one CPU and the client on another. Shown are medians and ratios to a C program that
does the same system calls; everything is also saved in bench/results/.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from bench import environment
from bench.build_c import build
from bench.contenders.runner import Job, Outcome
from bench.nginx import find_nginx, nginx
from bench.pattern import write_pattern_file
from bench.private_network import enter_where_needed
from bench.report import table
from bench.servers import c_server
from bench.workloads import FLOOR, WORKLOADS, Workload

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
CONTENDER_TIMEOUT_S = 180
DISK_FOLDER = os.environ.get("TMPDIR", "/var/tmp")  # not /tmp, which may be memory


class NoNumber(Exception):
    """A contender could not run or gave a wrong answer; says why."""


def two_cpus() -> tuple[int | None, int | None]:
    """(server, client), or nothing to pin to on a single CPU."""
    cpus = sorted(os.sched_getaffinity(0))
    return (cpus[-1], cpus[0]) if len(cpus) > 1 else (None, None)


@contextlib.contextmanager
def serving(workload: Workload, programs: Path, folder: Path, cpu: int | None) -> Iterator[tuple[int, str]]:
    """The workload's server with its content; gives port and path."""
    if workload.server == "c" or (workload.server == "nginx or c" and not find_nginx()):
        with c_server(programs, cpu) as port:
            yield port, f"/b/{workload.body_len}"
        return
    served = folder / "served"
    served.mkdir(exist_ok=True)
    write_pattern_file(served / "body", workload.body_len)
    try:
        with nginx({"/served/": str(served)}, cpu) as port:
            yield port, "/served/body"
    finally:
        (served / "body").unlink()


def run_contender(name: str, job: Job) -> Outcome:
    """One run in a process of its own."""
    command = [sys.executable, "-m", f"bench.contenders.{name}", json.dumps(asdict(job))]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=CONTENDER_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise NoNumber(f"not finished after {CONTENDER_TIMEOUT_S} s") from None
    finally:
        if job.target:
            Path(job.target).unlink(missing_ok=True)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise NoNumber(said[-1])
    return Outcome(**json.loads(done.stdout))


class Comparison:
    """All rounds of one workload."""

    def __init__(self, workload: Workload, jobs: dict[str, Job], chance: random.Random) -> None:
        self.workload, self.jobs, self.chance = workload, jobs, chance
        self.outcomes: dict[str, list[Outcome]] = {name: [] for name in jobs}
        self.failures: dict[str, str] = {}
        self.orders: list[list[str]] = []

    def warm_up(self) -> None:
        """One run that does not count: fills the page cache, and in a virtual machine the first touch of
        free memory, which a large file needs, can cost ten times the rest."""
        with contextlib.suppress(NoNumber):
            run_contender(FLOOR, self.jobs[FLOOR])

    def play_round(self) -> None:
        """Every contender that has not failed once, in a new random order."""
        order = [name for name in self.jobs if name not in self.failures]
        self.chance.shuffle(order)
        self.orders.append(order)
        for name in order:
            try:
                self.outcomes[name].append(run_contender(name, self.jobs[name]))
            except NoNumber as reason:
                self.failures[name] = str(reason)
            print(".", end="", file=sys.stderr, flush=True)

    def as_json(self) -> dict[str, object]:
        """Everything raw."""
        return {
            "workload": asdict(self.workload),
            "orders": self.orders,
            "outcomes": {name: [asdict(o) for o in runs] for name, runs in self.outcomes.items()},
            "failures": self.failures,
        }


def compare(workload: Workload, programs: Path, folder: Path, rounds: int, chance: random.Random) -> Comparison:
    """Serve, warm up, play the rounds."""
    server_cpu, client_cpu = two_cpus()
    with serving(workload, programs, folder, server_cpu) as (port, path):
        jobs = {
            name: Job(
                port, path, workload.body_len, workload.requests_for(name), workload.n_connections,
                str(folder / "target") if workload.to_file else "", client_cpu, str(programs),
            )
            for name in workload.contenders
        }  # fmt: skip
        comparison = Comparison(workload, jobs, chance)
        comparison.warm_up()
        for _ in range(rounds):
            comparison.play_round()
        print(file=sys.stderr)
    return comparison


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--workload", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="NAME",
                        help=f"of {', '.join(WORKLOADS)}; default: all")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the order; default: random")
    parser.add_argument("--quick", action="store_true", help="small numbers: does everything work?")
    return parser.parse_args()


def save(network: str, seed: int, comparisons: list[Comparison], about: dict[str, str]) -> Path:
    """Write the raw outcomes; gives the file."""
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"compare-{about['date'].replace(':', '').replace('+0000', 'Z')}.json"
    content = {
        "environment": {**about, "network": network},
        "seed": seed,
        "comparisons": [c.as_json() for c in comparisons],
    }
    file.write_text(json.dumps(content, indent=1) + "\n")
    return file


def main() -> None:
    """Measure, print, save."""
    options = read_options()
    network = enter_where_needed([sys.executable, "-m", "bench.compare", *sys.argv[1:]])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are ended
    chance, about = random.Random(options.seed), environment.describe()
    workloads = [WORKLOADS[name] for name in options.workload]
    if options.quick:
        workloads = [workload.made_quick() for workload in workloads]
    print("\n".join(f"{name}: {value}" for name, value in about.items()))
    print(f"network: {network}\nseed: {options.seed}, rounds: {options.rounds}")
    if None in two_cpus():
        print("one CPU only: client and server share it, RATES MEAN LITTLE")
    comparisons = []
    with tempfile.TemporaryDirectory(prefix="bench-", dir=DISK_FOLDER) as folder:
        needed = 2 * max(w.body_len for w in workloads) + (64 << 20)
        if shutil.disk_usage(folder).free < needed:
            sys.exit(f"{folder}: {needed >> 20} MiB of free disk are needed")
        programs = build(Path(folder) / "programs")
        for workload in workloads:
            print(f"\n## {workload.name}: {workload.title}\n", flush=True)
            if workload.server == "nginx" and not find_nginx():
                print("skipped: nginx is not installed")
                continue
            comparison = compare(workload, programs, Path(folder), options.rounds, chance)
            comparisons.append(comparison)
            print(table(workload, comparison.outcomes, comparison.failures), flush=True)
    print(f"\nraw: {save(network, options.seed, comparisons, about)}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
