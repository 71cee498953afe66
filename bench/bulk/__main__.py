"""Compare downloaders of many files, and of large ones, side by side.

    python -m bench.bulk [--workload NAME ...] [--contender NAME ...] [--rounds N] [--target DIR] [--seed N] [--quick]

Contenders take turns in random order, each run is one process tree measured from its start to its end, into a new folder,
whose files are all compared. The server stays on one CPU and the client, with all its threads, on another. Shown are medians
and ratios to a C loop that makes the same system calls; everything is also saved in bench/results/.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import environment
from bench.build_c import build
from bench.bulk.comparison import Comparison
from bench.bulk.contenders.programs import CONTENDERS
from bench.bulk.corpus import PREFIX, Corpus
from bench.bulk.report import table
from bench.bulk.workloads import WORKLOADS, Workload
from bench.compare import TARGETS, Skipped
from bench.nginx import find_nginx, nginx
from bench.private_network import enter_where_needed
from bench.report import save
from bench.servers import c_server, two_cpus
from bench.workloads import DISK, MIB, TMPFS

SPARE_LEN = 256 * MIB  # for lists, programs, and what else there is


class Content:
    """The files nginx serves, made once for all workloads that have the same."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._corpus: Corpus | None = None

    def made(self, corpus: Corpus) -> Path:
        """The folder; those of another workload are gone."""
        if corpus != self._corpus:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir()
            self._corpus = corpus
            corpus.write(self._folder)
        return self._folder

    def to_make_len(self, corpus: Corpus) -> int:
        """Bytes that are not there yet."""
        return 0 if corpus == self._corpus else corpus.total_len()


def n_files_to_keep_open(n_files: int) -> int:
    """All of them, where nginx may have so many descriptors; else none, which costs it some microseconds a request."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return n_files if n_files < allowed // 2 else 0


@contextlib.contextmanager
def serving(workload: Workload, content: Content, programs: Path, cpu: int | None) -> Iterator[int]:
    """The workload's server with its content; gives the port."""
    if workload.server == "c":
        with c_server(programs, cpu) as port:
            yield port
        return
    folder = content.made(workload.corpus)
    with nginx({PREFIX: str(folder)}, cpu, n_open_files=n_files_to_keep_open(workload.corpus.n_files)) as port:
        yield port


def check(workload: Workload, content: Content, targets: dict[str, str]) -> None:
    """What is needed: nginx, the files that are served, those that are written, and some more."""
    needed = {DISK: SPARE_LEN, TMPFS: 0}
    if workload.server == "nginx":
        if not find_nginx():
            raise Skipped("nginx is not installed")
        needed[DISK] += content.to_make_len(workload.corpus)
    if workload.target:
        needed[workload.target] += workload.corpus.total_len()
    for kind, n_bytes in needed.items():
        if n_bytes and (not os.path.isdir(targets[kind]) or shutil.disk_usage(targets[kind]).free < n_bytes):
            raise Skipped(f"{kind}: {n_bytes >> 20} MiB of free space are needed")


def file_system(folder: str) -> str:
    """Its type."""
    inside = []
    with open("/proc/self/mounts") as mounts:
        for line in mounts:
            _, point, kind, *_ = line.split()
            if Path(folder).resolve().is_relative_to(point):
                inside.append((len(point), kind))
    return max(inside)[1] if inside else "unknown"


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.bulk", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--workload", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="NAME",
                        help=f"of {', '.join(WORKLOADS)}; default: all")  # fmt: skip
    parser.add_argument("--contender", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), metavar="NAME",
                        help=f"of {', '.join(CONTENDERS)}; default: all. The C loop always runs")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=3, help="default 3")
    parser.add_argument("--target", default=TARGETS[DISK], metavar="DIR",
                        help="folder on the disk to write to; default: TMPDIR or /var/tmp")  # fmt: skip
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the order; default: random")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything: does it work?")
    return parser.parse_args()


def main() -> None:
    """Measure, print, save."""
    options = read_options()
    network = enter_where_needed([sys.executable, "-m", "bench.bulk", *sys.argv[1:]])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are ended, and the files go
    chance = random.Random(options.seed)
    about = {**environment.describe(), "file system of the disk": file_system(options.target), "network": network}
    targets = {**TARGETS, DISK: options.target}
    workloads = [WORKLOADS[name] for name in options.workload]
    if options.quick:
        workloads = [workload.made_quick() for workload in workloads]
    print("\n".join(f"{name}: {value}" for name, value in about.items()))
    print(f"seed: {options.seed}, rounds: {options.rounds}")
    server_cpu, client_cpu = two_cpus()
    if client_cpu is None:
        print("one CPU only: client and server share it, RATES MEAN LITTLE")
    comparisons: list[Comparison] = []
    skipped: dict[str, str] = {}
    file = None
    with tempfile.TemporaryDirectory(prefix="bench-bulk-", dir=options.target) as folder:
        programs = build(Path(folder) / "programs", ("server", "launch", "epoll_files"))
        content = Content(Path(folder) / "served")
        for workload in workloads:
            print(f"\n## {workload.name}: {workload.title}\n", flush=True)
            start_s = time.monotonic()
            names = [name for name in workload.contenders if name in options.contender or name == workload.floor]
            try:
                check(workload, content, targets)
            except Skipped as reason:
                skipped[workload.name] = str(reason)
                print(f"skipped: {reason}")
                continue
            with serving(workload, content, programs, server_cpu) as port:
                lists = Path(folder) / f"lists-{workload.name}"
                comparison = Comparison(workload, names, port, lists, programs, chance, client_cpu)
                comparison.play(options.rounds, targets[workload.target] if workload.target else None)
            comparison.duration_s = time.monotonic() - start_s
            comparisons.append(comparison)
            print(table(workload, comparison.outcomes, comparison.failures), flush=True)
            file = save("bulk", about, {
                "seed": options.seed, "rounds": options.rounds, "quick": options.quick, "skipped": skipped,
                "comparisons": [c.as_json() for c in comparisons],
            })  # after each: an interrupted comparison keeps what it has  # fmt: skip
    print(f"\n{sum(c.duration_s for c in comparisons) / 60:.1f} minutes; raw: {file}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
