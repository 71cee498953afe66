"""Few descriptors, ports, bytes on the disk: are all files whole, how much slower is it, and does it sleep while it waits?

    python tests/soak/scarcity.py --files 5000

The command fetches the same list without a limit, and then with each of `--limits` descriptors, with few ports to connect from,
and onto a disk that is too small and then grows. Prints figures. Exit status 0: what was promised holds; 1: it does not.
"""
import argparse
import hashlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from exhaustion.scarce import Unavailable, larger_disk, private_disk, private_network
from soak.runs import ROOT, Folder, bound, out_of, read_log, tell, write_list
from support.file_server_process import FileServerProcess
from support.seeded_files import SeededFiles

MIB = 1 << 20
SAMPLE_S = 0.02         # between two looks at a process's descriptors
CPU_FACTOR = 2.0        # more than without a limit, and it does not sleep while it waits ...
CPU_SLACK_S = 0.5       # ... beyond what two equal runs differ by
N_PORTS = 24
DISK_SHARE = 0.25       # of all bytes that there is room for at first
N_SHOWN = 5


@dataclass
class Run:
    """One run of the command that is over."""
    status: int
    wall_s: float
    cpu_s: float
    n_open: int             # most descriptors at a time, as far as it was looked at
    errors: str


def run(words: list[str], n_descriptors: int, limit_s: float) -> Run:
    """Runs the command; 0 descriptors: as many as there are."""
    def limits():
        if n_descriptors:
            resource.setrlimit(resource.RLIMIT_NOFILE, (n_descriptors, n_descriptors))

    began, n_open = time.monotonic(), 0
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen([sys.executable, "-m", "qhttp", "-q", *words], stdin=subprocess.DEVNULL, stdout=errors,
                                   stderr=errors, cwd=ROOT, preexec_fn=limits, env={**os.environ, "PYTHONPATH": str(ROOT)})
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            n_open = max(n_open, n_descriptors_of(process.pid))
            if time.monotonic() - began > limit_s:
                process.kill()
            time.sleep(SAMPLE_S)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        return Run(process.returncode, time.monotonic() - began, usage.ru_utime + usage.ru_stime, n_open, errors.read())


def n_descriptors_of(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


class Case:
    """The list, fetched under one condition: `judge` says what does not hold."""

    def __init__(self, name: str, given, work: Path, server: FileServerProcess, files: SeededFiles):
        self.name, self.given, self.files, self.server = name, given, files, server
        self.folder, self.log = work / name.replace(" ", "-"), work / f"{name.replace(' ', '-')}.log"
        jobs = str(given.jobs)
        self.words = ["-i", str(work / "list.jsonl"), "-d", str(self.folder), "-j", jobs, "--per-host", jobs,
                      "--log-json", str(self.log), "--hash", "sha256"]
        self.wrong: list[str] = []
        self.n_bad = 0

    def fetch(self, n_descriptors: int = 0, session: Path | None = None) -> Run:
        n_before = self.server.ask("report")["requests"]
        words = [*self.words, *(["--session", str(session)] if session else ["--no-session"])]
        ended = run(words, n_descriptors, self.given.limit)
        n_requests = self.server.ask("report")["requests"] - n_before
        by_number = {number: self.is_whole(number) for number in Folder.look(self.folder, self.given.files).whole}
        self.n_bad = sum(not good for good in by_number.values())
        self.n_whole = len(by_number) - self.n_bad
        tell({f"-- {self.name}": "", "exit status": ended.status, "whole": self.n_whole,
              "wrong": bound(self.n_bad, len(by_number)), "requests": n_requests, "most descriptors": ended.n_open,
              "CPU s": ended.cpu_s, "wall s": ended.wall_s})
        if self.n_bad:
            self.wrong.append(f"{self.n_bad} files are wrong under their final names")
        if "Traceback" in ended.errors:
            self.wrong.append("a traceback: " + ended.errors[-500:])
        return ended

    def is_whole(self, number: int) -> bool:
        return hashlib.sha256((self.folder / out_of(number)).read_bytes()).digest() == self.files.sha256(number)

    def judge_all_there(self, ended: Run) -> None:
        if ended.status or self.n_whole != self.given.files:
            errors = [entry["errormsg"] for entry in read_log(self.log) if entry["error"]][:N_SHOWN]
            self.wrong.append(f"exit status {ended.status}, {self.n_whole} files: {errors or ended.errors[-500:]}")
        if found := Folder.look(self.folder, self.given.files).parts:
            self.wrong.append(f"{len(found)} parts were left behind")

    def judge_cpu(self, ended: Run, free: Run) -> None:
        print(f"{'CPU, of that without limit':28} {ended.cpu_s / free.cpu_s:.2f}", flush=True)
        if ended.cpu_s > CPU_FACTOR * free.cpu_s + CPU_SLACK_S:
            self.wrong.append(f"{ended.cpu_s:.2f} s of CPU, without a limit {free.cpu_s:.2f} s")

    def clean(self) -> list[str]:
        shutil.rmtree(self.folder, ignore_errors=True)
        return [f"{self.name}: {text}" for text in self.wrong]


def play_descriptors(given, work, server, files) -> list[str]:
    case = Case("no limit", given, work, server, files)
    free = case.fetch()
    case.judge_all_there(free)
    wrong = case.clean()
    for limit in given.limits:
        for session in (None, work / f"session-{limit}"):
            case = Case(f"{limit} descriptors{' and a session' if session else ''}", given, work, server, files)
            ended = case.fetch(limit, session)
            case.judge_all_there(ended)
            case.judge_cpu(ended, free)
            if ended.n_open > limit:
                case.wrong.append(f"{ended.n_open} descriptors")
            wrong += case.clean()
    return wrong


def in_child(function) -> list[str]:
    """What it returns, called in a child that may have a network or disk of its own; one line where that may not be."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            lines = function()
        except Unavailable as error:
            print(f"not asked: {error}")
            lines = []
        except BaseException as error:
            lines = [f"{type(error).__name__}: {error}"]
        sys.stdout.flush()
        os.write(writing, "\0".join(lines).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        lines = [line.decode() for line in pipe.read().split(b"\0") if line]
    _, status = os.waitpid(pid, 0)
    return lines + ([f"a child has died: {status}"] if status else [])


def play_ports(given, work, files) -> list[str]:
    def play():
        private_network(40_000, 40_000 + N_PORTS - 1)
        with served(given) as server:
            write_list(work / "list.jsonl", server, files, given.files, with_checksums=False)
            case = Case(f"{N_PORTS} ports", given, work, server, files)
            case.judge_all_there(case.fetch())
            return case.clean()
    return in_child(play)


def play_disk(given, work, server, files) -> list[str]:
    def play():
        n_bytes = sum(files.size(number) for number in range(given.files))
        case = Case("small disk", given, work, server, files)
        case.folder.mkdir()
        private_disk(case.folder, max(4 * MIB, int(DISK_SHARE * n_bytes)))
        session = case.folder / "session"
        ended = case.fetch(0, session)
        failed = {entry["url"] for entry in read_log(case.log) if entry["error"]}
        if ended.status != 9 or case.n_whole + len(failed) != given.files:
            case.wrong.append(f"exit status {ended.status}, {case.n_whole} files there, {len(failed)} told to have failed")
        larger_disk(case.folder, n_bytes * 2 + (64 << 20) + given.files * 8192)
        case.name = "the same with room"
        case.judge_all_there(case.fetch(0, session))
        return case.clean()
    return in_child(play)


def served(given) -> FileServerProcess:
    return FileServerProcess(seed=given.seed, largest=given.largest, fault_percent=0)


def play(given, work: Path) -> int:
    files = SeededFiles(given.seed, given.largest)
    with served(given) as server:
        write_list(work / "list.jsonl", server, files, given.files, with_checksums=False)
        wrong = play_descriptors(given, work, server, files)
        wrong += play_disk(given, work, server, files)
    wrong += play_ports(given, work, files)
    if wrong:
        print("NOT as promised:", *wrong, sep="\n  ")
    return 1 if wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--largest", type=int, default=MIB, help="bytes of the largest file")
    parser.add_argument("--jobs", type=int, default=512, help="connections that are wanted")
    parser.add_argument("--limits", type=lambda text: [int(n) for n in text.split(",")], default=[128, 64, 32])
    parser.add_argument("--limit", type=float, default=300, help="seconds after which a run counts as hanging")
    given = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="scarcity-"))
    try:
        return play(given, work)
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    sys.exit(main())
