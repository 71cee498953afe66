"""Many downloads through QHttp objects from a server that answers every third request badly: is every file whole, and is no
answer ever given to another request?

    python tests/soak/faulty_objects.py --files 100000 --seed 1                     # pipelining off, and then 8
    python tests/soak/faulty_objects.py --files 100000 --seed 1 --pipelining 8

What a reader of HTTP cannot see is told by checksum, and counted apart: a Content-Length that is too small, and, with requests
sent ahead, a surplus that looks like an answer. Prints figures. Exit status 0: every file came whole; 1: not so.
"""
import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from soak.object_fetching import Fetcher, Work
from soak.runs import bound, tell
from support.file_faults import FAULTS
from support.file_server_process import FileServerProcess
from support.seeded_files import LARGEST, SeededFiles

import qhttp

N_SHOWN = 10


def play(given, pipelining: int, folder: str) -> int:
    files = SeededFiles(given.seed, given.largest)
    began, cpu_before = time.monotonic(), time.process_time()
    with FileServerProcess(seed=given.seed, largest=given.largest, max_faults=given.max_faults, no_log=True,
                           fault_percent=given.fault_percent, faults=",".join(given.faults)) as server:
        work = Work(files, range(given.files))
        for _ in range(given.objects):
            Fetcher(work, qhttp.QHttp("127.0.0.1", server.port), folder, pipelining)
        work.turn(given.limit)
        report = server.ask("report")
    wall_s, cpu_s = time.monotonic() - began, time.process_time() - cpu_before
    if report["requests after surplus"] and pipelining == 1:
        work.wrong.append(f"{report['requests after surplus']} requests were sent over a connection with a surplus")
    if left := sorted(str(path) for path in Path(folder).iterdir()):
        work.wrong.append(f"{len(left)} files were left behind: {left[:N_SHOWN]}")
    tell({"files": given.files, "seed": given.seed, "objects": given.objects, "pipelining": pipelining or "off",
          "whole, by SHA-256": len(work.whole), "corrupt": bound(work.n_corrupt, given.files),
          "duplicated": bound(work.n_duplicated, given.files),
          "given to another request": bound(work.n_crossed, report["requests"]),
          "told by checksum alone": dict(work.told_by_checksum),
          "tries again": work.counts["tries again"], "continued by a Range": work.counts["continued by a Range"],
          "requests": report["requests"], "most for one file": report["most requests for one"],
          "connections": report["connections"], "faults": sum(report["faults"].values()), "faults by name": report["faults"],
          "answers by status": report["statuses"], "wall s": wall_s, "CPU s": cpu_s, "files/s": given.files / wall_s,
          "MiB/s": work.n_bytes / (1 << 20) / wall_s})
    for cause, n in sorted(work.counts.items()):
        if cause.startswith("failed"):
            print(f"  {n} x {cause}")
    if len(work.whole) != given.files:
        work.wrong.append(f"{given.files - len(work.whole)} files are missing")
    if work.wrong:
        print(f"NOT as promised, {len(work.wrong)} times:", *work.wrong[:N_SHOWN], sep="\n  ")
    return 1 if work.wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--largest", type=int, default=LARGEST, help="bytes of the largest file")
    parser.add_argument("--objects", type=int, default=64)
    parser.add_argument("--pipelining", type=int, nargs="+", default=[1, 8], help="depths; 1: off")
    parser.add_argument("--max-faults", type=int, default=5, help="faults of one file at most")
    parser.add_argument("--fault-percent", type=float, default=30, help="attempts of a hundred that have a fault")
    parser.add_argument("--faults", type=lambda text: text.split(","), default=list(FAULTS), help=", ".join(FAULTS))
    parser.add_argument("--limit", type=float, default=900, help="seconds after which a run counts as hanging")
    given = parser.parse_args()
    status = 0
    for pipelining in given.pipelining:
        folder = tempfile.mkdtemp(prefix="faulty-objects-", dir="/dev/shm")
        try:
            status = max(status, play(given, pipelining, folder))
        finally:
            shutil.rmtree(folder)
        print()
    return status


if __name__ == "__main__":
    sys.exit(main())
