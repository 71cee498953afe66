"""The command killed at random moments, and started again: is anything lost, mixed or fetched twice?

    python tests/soak/kills.py --kills 1000 --signal mixed
    python tests/soak/kills.py --kills 200 --change-versions        # the server's files change while all this goes on

One list, a session, a kill after 0.1 to 1 s, and again until the list is done; then a fresh folder, until there were enough
kills. After each kill every new file is compared with what the server has served, and every part must be a beginning of that.
The server's log tells whether a file is asked for that was there already. Exit status 0: nothing of all this; 1: something.
"""
import argparse
import collections
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from soak.runs import Folder, Run, bound, out_of, read_log, tell, versions_in, write_list
from support.file_server_process import FileServerProcess
from support.seeded_files import LARGEST, SeededFiles

SIGNALS = {"KILL": signal.SIGKILL, "TERM": signal.SIGTERM, "INT": signal.SIGINT}
DETECTED = "reset,fin,too long,bad chunk,503"      # faults that tell on themselves, whoever has no checksums
INTERRUPTED = 7             # the command's exit status for that
PAUSE_S, PAUSED_PERCENT = 0.1, 20           # some answers take a while, so that kills find parts
IDLE_RUNS = 40              # runs of a round in which nothing gets done, before it is given up
N_SHOWN = 10
TELL_EVERY = 50


class Round:
    """One folder, from nothing to all done."""

    def __init__(self, work: Path, n_files: int, files: SeededFiles):
        self.work, self.n_files, self.files = work, n_files, files
        self.folder, self.session, self.log = work / "files", work / "session", work / "log"
        self.there: dict[int, tuple] = {}       # number -> (version, inode, size, time of change)
        self.wrong: list[str] = []

    def check(self, n_versions: int) -> Folder:
        """Looks at what a run has left behind."""
        found = Folder.look(self.folder, self.n_files)
        for number in self.there.keys() - found.whole.keys():
            self.wrong.append(f"{number} was there, and is lost")
            del self.there[number]
        for number, about in found.whole.items():
            known = self.there.get(number)
            same = (about.st_ino, about.st_size, about.st_mtime_ns)
            if known is None:
                versions = versions_in((self.folder / out_of(number)).read_bytes(), self.files, number, n_versions)
                if not versions:
                    self.wrong.append(f"{number} has its name, and {about.st_size} bytes that no version has")
                self.there[number] = (versions, *same)
            elif known[1:] != same:
                self.wrong.append(f"{number} was there, and has changed")
                self.there[number] = (known[0], *same)
        for number, path in found.parts.items():
            if not versions_in(Path(path).read_bytes(), self.files, number, n_versions, is_part=True):
                self.wrong.append(f"the part of {number} ({os.path.getsize(path)} bytes) is no beginning of any version")
        self.wrong += [f"strange: {path}" for path in found.strange]
        return found

    def check_requests(self, asked: list[int], there: set[int]) -> None:
        """What was asked for, against what was there before."""
        self.wrong += [f"{number} was there, and was asked for again" for number in asked if number in there]


class Kills:
    """All of it: rounds until there were enough kills, and the figures."""

    def __init__(self, given, work: Path, server: FileServerProcess):
        self.given, self.work, self.server = given, work, server
        self.files, self.random = SeededFiles(given.seed, given.largest), random.Random(given.seed)
        self.version, self.n_kills, self.n_runs, self.n_rounds, self.n_checked = 0, 0, 0, 0, 0
        self.n_parts, self.n_kills_with_parts, self.n_resumed, self.n_done = 0, 0, 0, 0
        self.slowest_end_s = 0.0
        self.statuses: collections.Counter = collections.Counter()
        self.wrong: list[str] = []

    def command(self, play: Round) -> list[str]:
        given = self.given
        return ["-m", "qhttp", "-q", "-i", str(play.work / "list.jsonl"), "-d", str(play.folder),
                "--session", str(play.session), "--log-json", str(play.log), "-j", str(given.jobs),
                "--per-host", str(given.jobs), "--pipelining", str(given.pipelining), "--retries", "8", "--idle-timeout", "2"]

    def one_run(self, play: Round, may_kill: bool) -> bool:
        """Starts the command and perhaps kills it; says whether it came to its end by itself."""
        there = set(play.there)
        run = Run(self.command(play), play.work / "errors")
        self.n_runs += 1
        if not may_kill:
            ended = run.end()
            name = ""
        else:
            patience = self.random.uniform(self.given.soonest, self.given.latest)
            change_at = self.random.uniform(0, 2 * patience)
            if self.given.change_versions and change_at < patience and not run.wait(change_at):
                self.version += 1
                self.server.ask(f"version {self.version}")
                patience -= change_at
            name = "" if run.wait(patience) else self.random.choice(self.given.signals)
            asked_at = time.monotonic()
            if name:
                run.signal(SIGNALS[name])
                self.n_kills += 1
            ended = run.end()
            if name and name != "KILL":
                self.slowest_end_s = max(self.slowest_end_s, time.monotonic() - asked_at)
        self.statuses[f"{name or 'by itself'}: {ended.status}"] += 1
        play.check_requests(self.server.ask("log"), there)
        n_before = len(play.there)
        found = play.check(self.version + 1)
        self.n_checked += len(play.there) - n_before
        if name:
            self.n_parts += len(found.parts)
            self.n_kills_with_parts += bool(found.parts)
        if ended.was_hanging:
            play.wrong.append(f"it did not end after {name or 'all was done'}")
        allowed = {"": {0}, "KILL": {-signal.SIGKILL, 0}}.get(name, {0, INTERRUPTED, -SIGNALS.get(name, 0)})
        if ended.status not in allowed:
            play.wrong.append(f"exit status {ended.status} after {name or 'its own end'}")
        return not name or ended.status == 0

    def one_round(self) -> None:
        work = self.work / str(self.n_rounds)
        work.mkdir()
        self.n_rounds += 1
        play = Round(work, self.given.files, self.files)
        write_list(work / "list.jsonl", self.server, self.files, self.given.files, with_checksums=False)
        self.server.ask("log")
        n_idle, is_over = 0, False
        while not is_over and n_idle < IDLE_RUNS:
            n_before = len(play.there)
            is_over = self.one_run(play, self.n_kills < self.given.kills)
            n_idle = n_idle + 1 if len(play.there) == n_before else 0
            if self.n_kills and self.n_kills % TELL_EVERY == 0:
                print(f"{self.n_kills} kills, round {self.n_rounds}, {len(play.there)} files", flush=True)
        play.wrong += [f"{number} is missing at the end" for number in range(self.given.files) if number not in play.there]
        play.wrong += [f"left behind: {path}" for path in Folder.look(play.folder, self.given.files).parts.values()]
        log = read_log(play.log)
        self.n_resumed += sum(entry.get("resumed", 0) > 0 and not entry["error"] for entry in log)
        self.n_done += len(play.there)
        if play.wrong:
            self.wrong += [f"round {self.n_rounds}: {text}" for text in play.wrong]
            print(*play.wrong[:N_SHOWN], (work / "errors").read_text(errors="replace")[-2000:], sep="\n  ", flush=True)
        if not (play.wrong and self.given.work):
            shutil.rmtree(work)

    def run(self) -> int:
        began = time.monotonic()
        while self.n_kills < self.given.kills and len(self.wrong) < self.given.enough:
            self.one_round()
        report = self.server.ask("report")
        kinds = collections.Counter(text.partition(": ")[2].lstrip("0123456789").strip() for text in self.wrong)
        tell({"kills": self.n_kills, "signals": ", ".join(self.given.signals), "seed": self.given.seed, "rounds": self.n_rounds,
              "files a round": self.given.files, "runs": self.n_runs, "versions served": self.version + 1,
              "exits": dict(self.statuses), "files compared": self.n_checked, "kills that left parts": self.n_kills_with_parts,
              "parts compared": self.n_parts, "parts continued": self.n_resumed, "requests": report["requests"],
              "range requests": report["range requests"], "faults by name": report["faults"],
              "longest way out s": self.slowest_end_s, "wall s": time.monotonic() - began,
              "lost, mixed, fetched again": bound(len(self.wrong), self.n_done)})
        for kind, n in kinds.most_common(N_SHOWN):
            print(f"  {n} x {kind}")
        print(*self.wrong[:N_SHOWN], sep="\n")
        return 1 if self.wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--files", type=int, default=10_000, help="of a round")
    parser.add_argument("--signal", choices=(*SIGNALS, "mixed"), default="mixed")
    parser.add_argument("--change-versions", action="store_true", help="the server's files change, now and then")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--largest", type=int, default=LARGEST, help="bytes of the largest file")
    parser.add_argument("--fault-percent", type=float, default=2, help="attempts of a hundred that have a fault")
    parser.add_argument("--jobs", type=int, default=64)
    parser.add_argument("--pipelining", type=int, default=1)
    parser.add_argument("--soonest", type=float, default=0.1, help="seconds from a start to its kill, at least")
    parser.add_argument("--latest", type=float, default=1.0, help="and at most")
    parser.add_argument("--enough", type=int, default=20, help="findings after which no round begins")
    parser.add_argument("--work", type=Path, help="a folder to work in; rounds with findings stay there")
    given = parser.parse_args()
    given.signals = list(SIGNALS) if given.signal == "mixed" else [given.signal]
    work = given.work or Path(tempfile.mkdtemp(prefix="kills-"))
    work.mkdir(exist_ok=True)
    try:
        with FileServerProcess(seed=given.seed, largest=given.largest, max_faults=0, fault_percent=given.fault_percent,
                               faults=DETECTED, pause_s=PAUSE_S, paused_percent=PAUSED_PERCENT) as server:
            return Kills(given, work, server).run()
    finally:
        if given.work is None:
            shutil.rmtree(work)


if __name__ == "__main__":
    sys.exit(main())
