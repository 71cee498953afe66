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
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from bench import environment
from bench.build_c import build
from bench.certificate import Certificate, find_openssl, make_certificate
from bench.contenders.runner import FILE, MEMORY, Job, Outcome
from bench.fresh_memory import touch
from bench.nginx import find_nginx, nginx
from bench.pattern import write_pattern_file
from bench.private_network import enter_where_needed
from bench.report import save, summarize, table
from bench.servers import c_server, two_cpus
from bench.workloads import DISK, MIB, TMPFS, WORKLOADS, Workload

ROOT = Path(__file__).parent.parent
CONTENDER_TIMEOUT_S = 60
TARGETS = {DISK: os.environ.get("TMPDIR", "/var/tmp"), TMPFS: "/dev/shm"}  # not /tmp, which may be memory
NOT_OURS = {key for key in os.environ if key.lower().endswith("_proxy")}  # loopback needs none


class NoNumber(Exception):
    """A contender could not run or gave a wrong answer; says why."""


class Skipped(Exception):
    """A workload cannot be played here; says why."""


def server_of(workload: Workload) -> str:
    """ "c" or "nginx"."""
    if workload.server == "nginx" and not find_nginx():
        raise Skipped("nginx is not installed")
    if workload.tls and not find_openssl():
        raise Skipped("openssl is not installed")
    if workload.server == "nginx or c":
        return "nginx" if find_nginx() else "c"
    return workload.server


@contextlib.contextmanager
def serving(
    workload: Workload, programs: Path, folder: Path, cpu: int | None, certificate: Certificate | None
) -> Iterator[int]:
    """The workload's server with its content; gives the port."""
    if server_of(workload) == "c":
        with c_server(programs, cpu) as port:
            yield port
        return
    served = folder / "served"
    served.mkdir(exist_ok=True)
    write_pattern_file(served / "body", workload.body_len)
    try:
        with nginx({"/served/": str(served)}, cpu, certificate) as port:
            yield port
    finally:
        (served / "body").unlink()


def path_of(workload: Workload, body_len: int) -> str:
    """Where the body is on the workload's server."""
    if server_of(workload) == "nginx":
        return "/served/body"
    if workload.varied:
        return f"/v/{body_len}"
    return f"/c/{body_len}/{workload.chunk_len}" if workload.chunk_len else f"/b/{body_len}"


def run_contender(name: str, job: Job, cpu: int | None) -> Outcome:
    """One run in a process of its own, on its CPU from the first instruction."""
    command = [sys.executable, "-m", f"bench.contenders.{name}", json.dumps(asdict(job))]

    def pin() -> None:
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})

    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=pin,
        env={key: value for key, value in os.environ.items() if key not in NOT_OURS},
        start_new_session=True,
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=CONTENDER_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise NoNumber(f"not finished after {CONTENDER_TIMEOUT_S} s") from None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)  # and the program it may have started
            process.communicate()
        if job.target:
            Path(job.target).unlink(missing_ok=True)
    if process.returncode != 0:
        said = err.strip().splitlines() or [f"exit status {process.returncode}"]
        raise NoNumber(said[-1])
    return Outcome(**json.loads(out))


class Comparison:
    """All rounds of one workload."""

    def __init__(self, workload: Workload, jobs: dict[str, Job], chance: random.Random, cpu: int | None) -> None:
        self.workload, self.jobs, self.chance, self.cpu = workload, jobs, chance, cpu
        self.server = server_of(workload)
        self.outcomes: dict[str, list[Outcome]] = {name: [] for name in jobs}
        self.failures: dict[str, str] = {}
        self.orders: list[list[str]] = []
        self.duration_s = 0.0

    def warm_up(self) -> None:
        """One run that does not count: fills the page cache."""
        with contextlib.suppress(NoNumber):
            self.run(self.workload.floor)

    def run(self, name: str) -> Outcome:
        """One run, after the memory it may need was touched."""
        workload = self.workload
        if workload.task == FILE:
            touch(workload.body_len * 3 // 2)
        elif workload.task == MEMORY:
            touch(4 * workload.body_len, large_too=True)
        return run_contender(name, self.jobs[name], self.cpu)

    def play_round(self) -> None:
        """Every contender that has not failed once, in a new random order."""
        order = [name for name in self.jobs if name not in self.failures]
        self.chance.shuffle(order)
        self.orders.append(order)
        for name in order:
            try:
                self.outcomes[name].append(self.run(name))
            except NoNumber as reason:
                self.failures[name] = str(reason)
            print(".", end="", file=sys.stderr, flush=True)

    def as_json(self) -> dict[str, object]:
        """Everything raw, and the medians."""
        workload = self.workload
        return {
            "workload": {
                **asdict(workload), "server": self.server,
                "kind": workload.kind, "unit": workload.unit, "rate_unit": workload.rate_unit,
            },
            "labels": {name: workload.label(name) for name in workload.contenders},
            "orders": self.orders,
            "outcomes": {name: [asdict(o) for o in runs] for name, runs in self.outcomes.items()},
            "failures": self.failures,
            "summary": summarize(workload, {n: runs for n, runs in self.outcomes.items() if n not in self.failures}),
            "duration_s": round(self.duration_s, 1),
        }  # fmt: skip


def compare(workload: Workload, programs: Path, folder: Path, rounds: int, chance: random.Random) -> Comparison:
    """Serve, warm up, play the rounds."""
    start_s = time.monotonic()
    server_cpu, client_cpu = two_cpus()
    if workload.one_cpu:
        server_cpu = client_cpu
    with contextlib.ExitStack() as stack:
        certificate = make_certificate(folder) if workload.tls else None
        port = stack.enter_context(serving(workload, programs, folder, server_cpu, certificate))
        target = ""
        if workload.task == FILE:
            targets = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=TARGETS[workload.target]))
            target = f"{targets}/target"
        jobs = {
            name: Job(
                port, path_of(workload, workload.body_len_for(name)), workload.body_len_for(name),
                workload.requests_for(name), workload.n_connections, target, str(programs), workload.task,
                workload.depths.get(name, 1), str(certificate.path) if certificate else "",
            )
            for name in workload.contenders
        }  # fmt: skip
        comparison = Comparison(workload, jobs, chance, client_cpu)
        comparison.warm_up()
        for _ in range(rounds):
            comparison.play_round()
        print(file=sys.stderr)
    comparison.duration_s = time.monotonic() - start_s
    return comparison


def check_room(workload: Workload) -> None:
    """The file that is served, the one that is written, and some more."""
    needed = {DISK: 64 * MIB, TMPFS: 0}
    if server_of(workload) == "nginx":
        needed[DISK] += workload.body_len
    if workload.task == FILE:
        needed[workload.target] += workload.body_len
    for kind, n_bytes in needed.items():
        folder = TARGETS[kind]
        if n_bytes and (not os.path.isdir(folder) or shutil.disk_usage(folder).free < n_bytes):
            raise Skipped(f"{folder}: {n_bytes >> 20} MiB of free space are needed")


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--workload", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="NAME",
                        help=f"of {', '.join(WORKLOADS)}; default: all")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the order; default: random")
    parser.add_argument("--quick", action="store_true", help="small numbers: does everything work?")
    return parser.parse_args()


def main() -> None:
    """Measure, print, save."""
    options = read_options()
    network = enter_where_needed([sys.executable, "-m", "bench.compare", *sys.argv[1:]])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are ended
    chance, about = random.Random(options.seed), {**environment.describe(), "network": network}
    workloads = [WORKLOADS[name] for name in options.workload]
    if options.quick:
        workloads = [workload.made_quick() for workload in workloads]
    print("\n".join(f"{name}: {value}" for name, value in about.items()))
    print(f"seed: {options.seed}, rounds: {options.rounds}")
    if None in two_cpus():
        print("one CPU only: client and server share it, RATES MEAN LITTLE")
    comparisons: list[Comparison] = []
    skipped: dict[str, str] = {}
    file = None
    with tempfile.TemporaryDirectory(prefix="bench-", dir=TARGETS[DISK]) as folder:
        programs = build(Path(folder) / "programs")
        for workload in workloads:
            print(f"\n## {workload.name}: {workload.title}\n", flush=True)
            try:
                check_room(workload)
                comparison = compare(workload, programs, Path(folder), options.rounds, chance)
            except Skipped as reason:
                skipped[workload.name] = str(reason)
                print(f"skipped: {reason}")
                continue
            comparisons.append(comparison)
            print(table(workload, comparison.outcomes, comparison.failures), flush=True)
            file = save("compare", about, {
                "seed": options.seed, "rounds": options.rounds, "quick": options.quick, "skipped": skipped,
                "comparisons": [c.as_json() for c in comparisons],
            })  # after each: an interrupted comparison keeps what it has  # fmt: skip
    took_s = sum(c.duration_s for c in comparisons)
    print(f"\n{took_s / 60:.1f} minutes; raw: {file}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
