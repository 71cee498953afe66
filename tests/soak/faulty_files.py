"""Many files from a server that answers every third request badly: is every file whole, and does the end say the truth?

    python tests/soak/faulty_files.py --files 100000 --seed 1                   # at most 5 faults a file: all must come
    python tests/soak/faulty_files.py --files 100000 --seed 1 --max-faults 0    # no limit: whole, or told to have failed

Each with pipelining off, and then with 8 requests under way on a connection. Prints figures. Exit status 0: what was promised
holds; 1: it does not.
"""
import argparse
import collections
import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from soak.runs import ROOT, Folder, Run, bound, out_of, read_log, tell, write_list
from support.file_faults import FAULTS
from support.file_server_process import FileServerProcess
from support.seeded_files import LARGEST, SeededFiles

IDLE_S, SLOW, SLOW_S = 1, 1000, 2       # what ends a stall; bytes a second and seconds: what ends a drip
N_SHOWN = 10


def arguments_for(given, pipelining: int, listed: Path, folder: Path, log: Path) -> list[str]:
    """What the interpreter is given to fetch the list."""
    if given.through == "downloader":
        settings = {"jobs": given.jobs, "per_host": given.jobs, "pipelining": pipelining, "retries": given.retries,
                    "idle_timeout": IDLE_S, "min_speed": (SLOW, SLOW_S)}
        if given.session:
            settings["session"] = str(folder.parent / "session")
        return [str(ROOT / "tests/soak/download_list.py"), str(listed), str(folder), str(log),
                *(f"{name}={value!r}" for name, value in settings.items())]
    return ["-m", "qhttp", "-q", "-i", str(listed), "-d", str(folder), "-j", str(given.jobs), "--per-host", str(given.jobs),
            "--pipelining", str(pipelining), "--retries", str(given.retries), "--idle-timeout", str(IDLE_S),
            "--min-speed", f"{SLOW}/{SLOW_S}s", "--log-json", str(log),
            *(["--session", str(folder.parent / "session")] if given.session else ["--no-session"])]


def expected_status(errors: set[str], through: str) -> int:
    """The exit status that these errors (names of classes) have to give."""
    from qhttp import errors as classes
    from qhttp.cli.exits import Failures, kind_of
    if through == "downloader":
        return 1 if errors else 0
    failures = Failures()
    for name in errors:
        failures.add(kind_of(getattr(classes, name)()))
    return failures.status


def verify(folder: Path, files: SeededFiles, n_files: int) -> tuple[dict[str, list], Folder]:
    """The numbers that are whole, corrupt, among these those with another file's bytes, missing; what else is there."""
    found = Folder.look(folder, n_files)
    by_kind: dict[str, list] = {"whole": [], "corrupt": [], "another's": [], "missing": []}
    for number in range(n_files):
        if number not in found.whole:
            by_kind["missing"].append(number)
            continue
        data = (folder / out_of(number)).read_bytes()
        if hashlib.sha256(data).digest() == files.sha256(number):
            by_kind["whole"].append(number)
            continue
        by_kind["corrupt"].append(number)
        if files.owner(data, n_files) not in (number, None):
            by_kind["another's"].append(number)
    return by_kind, found


def number_of(entry: dict) -> str:
    return entry["url"].rpartition("/")[2]


def count_twice(log: list[dict]) -> int:
    """How many files have ended more than once, as the log tells."""
    return sum(n > 1 for n in collections.Counter(entry["url"] for entry in log).values())


def judge(given, by_kind: dict, found: Folder, log: list[dict], status: int) -> list[str]:
    """What was promised and does not hold."""
    failed = {entry["url"]: entry["error"] for entry in log if entry["error"]}
    failed_numbers = {int(number_of(entry)) for entry in log if entry["error"]}
    wrong = [f"{len(by_kind['corrupt'])} corrupt: {by_kind['corrupt'][:N_SHOWN]}"] if by_kind["corrupt"] else []
    unlisted = [number for number in by_kind["missing"] if number not in failed_numbers]
    both = [number for number in by_kind["whole"] if number in failed_numbers]
    if unlisted:
        wrong.append(f"{len(unlisted)} neither there nor told to have failed: {unlisted[:N_SHOWN]}")
    if both:
        wrong.append(f"{len(both)} told to have failed, and there: {both[:N_SHOWN]}")
    if n_twice := count_twice(log):
        wrong.append(f"{n_twice} have ended twice")
    if crossed := [entry["url"] for entry in log if not entry["error"] and entry.get("of") not in (None, number_of(entry))]:
        wrong.append(f"{len(crossed)} were given the answer to another request: {crossed[:N_SHOWN]}")
    if len(log) != given.files:
        wrong.append(f"the log has {len(log)} lines")
    if found.strange:
        wrong.append(f"{len(found.strange)} strange files: {found.strange[:N_SHOWN]}")
    if leftover := [number for number in found.parts if not given.session or number not in failed_numbers]:
        wrong.append(f"{len(leftover)} parts were left behind: {leftover[:N_SHOWN]}")
    if given.max_faults and failed:
        wrong.append(f"{len(failed)} failed, though each would have come: {list(failed)[:N_SHOWN]}")
    if status != (should := expected_status(set(failed.values()), given.through)):
        wrong.append(f"exit status {status} instead of {should}")
    return wrong


def play(given, pipelining: int, work: Path) -> int:
    files, folder, log_path = SeededFiles(given.seed, given.largest), work / "files", work / "log"
    with FileServerProcess(seed=given.seed, largest=given.largest, max_faults=given.max_faults,
                           fault_percent=given.fault_percent, faults=",".join(given.faults),
                           repr_digest=given.repr_digest, hosts=given.hosts) as server:
        write_list(work / "list.jsonl", server, files, given.files, with_checksums=not given.repr_digest)
        run = Run(arguments_for(given, pipelining, work / "list.jsonl", folder, log_path), work / "errors")
        run.wait(given.limit)
        ended = run.end()
        report = server.ask("report")
    log = read_log(log_path)
    by_kind, found = verify(folder, files, given.files)
    wrong = judge(given, by_kind, found, log, ended.status)
    if ended.was_hanging:
        wrong.append(f"it had not ended after {given.limit:g} s")
    causes = collections.Counter(f"{entry['error']}: {entry['errormsg']}" for entry in log if entry["error"])
    n_resumed = sum(entry.get("resumed", 0) > 0 for entry in log)
    tell({"files": given.files, "seed": given.seed, "faults a file at most": given.max_faults or "no limit",
          "hosts": given.hosts, "pipelining": pipelining, "through": given.through,
          "whole, by SHA-256": len(by_kind["whole"]), "corrupt": bound(len(by_kind["corrupt"]), given.files),
          "duplicated": bound(count_twice(log), given.files),
          "with another file's bytes": bound(len(by_kind["another's"]), given.files), "missing": len(by_kind["missing"]),
          "failed, as it tells": sum(causes.values()), "exit status": ended.status, "requests": report["requests"],
          "most for one file": report["most requests for one"], "connections": report["connections"],
          "ended with kept bytes": n_resumed, "retries, as it tells": sum(entry["num_retries"] for entry in log),
          "faults": sum(report["faults"].values()), "faults by name": report["faults"], "answers by status": report["statuses"],
          "wall s": ended.wall_s, "CPU s": ended.cpu_s, "files/s": given.files / ended.wall_s,
          "peak memory MiB": ended.peak_kib / 1024})
    for cause, n in causes.most_common(N_SHOWN):
        print(f"  {n} x {cause}")
    if wrong:
        print("NOT as promised:", *wrong, sep="\n  ")
        errors = (work / "errors").read_text(errors="replace").splitlines()
        print(*errors[:N_SHOWN], sep="\n")
    return 1 if wrong else 0


def play_in(given, pipelining: int, work: Path) -> int:
    """One depth, in a folder of its own, which stays only where --work asks for that."""
    work.mkdir()
    status = play(given, pipelining, work)
    if given.work is None:
        shutil.rmtree(work)
    print()
    return status


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--largest", type=int, default=LARGEST, help="bytes of the largest file")
    parser.add_argument("--max-faults", type=int, default=5, help="faults of one file at most; 0: no limit")
    parser.add_argument("--fault-percent", type=float, default=30, help="attempts of a hundred that have a fault")
    parser.add_argument("--faults", type=lambda text: text.split(","), default=list(FAULTS), help=", ".join(FAULTS))
    parser.add_argument("--through", choices=("command", "downloader"), default="command")
    parser.add_argument("--pipelining", type=int, nargs="+", default=[1, 8], help="depths; 1: off")
    parser.add_argument("--jobs", type=int, default=64)
    parser.add_argument("--hosts", type=int, default=1, help="addresses of the server: a pause that it asks for is one host's")
    parser.add_argument("--retries", type=int, default=8)
    parser.add_argument("--session", action="store_true", help="keep a session file")
    parser.add_argument("--repr-digest", action="store_true", help="checksums come from the server, not from the list")
    parser.add_argument("--limit", type=float, default=3600, help="seconds after which a run counts as hanging")
    parser.add_argument("--work", type=Path, help="an empty folder to work in, which then stays")
    given = parser.parse_args()
    work = given.work or Path(tempfile.mkdtemp(prefix="faulty-files-"))
    work.mkdir(exist_ok=True)
    try:
        return max(play_in(given, pipelining, work / f"pipelining-{pipelining}") for pipelining in given.pipelining)
    finally:
        if given.work is None:
            shutil.rmtree(work)


if __name__ == "__main__":
    sys.exit(main())
