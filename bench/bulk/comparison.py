"""All rounds of one workload: who runs, in which order, on which CPU, what it took, and whether its files are right."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from bench.bulk.contenders.programs import CONTENDERS
from bench.bulk.contenders.task import Task
from bench.bulk.fresh_folder import FreshFolders
from bench.bulk.report import summarize
from bench.bulk.workloads import DROPPED, LABELS, Workload
from bench.compare import NOT_OURS, ROOT, NoNumber
from bench.contenders.runner import Outcome, WrongAnswer
from bench.fresh_memory import touch

TIMEOUT_S = 120
SMALL_PAGES_LEN = 1 << 30  # of memory that is touched; large files take large ones


def write_lists(lists: Path, task: Task) -> None:
    """What the contenders read. curl's outputs are relative: each run has another folder."""
    lists.mkdir()
    paths = [task.corpus.path(number) for number in range(task.corpus.n_files)]
    with (lists / "urls").open("w") as urls, (lists / "paths").open("w") as only_paths, (lists / "curl").open("w") as curl:
        for path in paths:
            url, name = f"http://127.0.0.1:{task.port}{path}", path.rpartition("/")[2]
            urls.write(f"{url}\n")
            only_paths.write(f"{path}\n")
            curl.write(f'url = "{url}"\noutput = "{"/dev/null" if task.drops else name}"\n')


def run_program(command: Sequence[str], programs: Path, cpu: int | None) -> tuple[str, dict[str, float]]:
    """What it says, and {"wall_s", "cpu_s", "peak_rss_kib"} of its process and of those it waited for."""

    def pin() -> None:
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})

    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            [programs / "launch", *command], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=err, preexec_fn=pin,
            env={key: value for key, value in os.environ.items() if key not in NOT_OURS}, start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise NoNumber(f"not finished after {TIMEOUT_S} s") from None
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)  # and the program it started
                process.wait()
        out.seek(0)
        err.seek(0)
        said, _, numbers = out.read().rstrip("\n").rpartition("\n")
        if process.returncode != 0:
            reasons = [line.strip() for line in [*said.splitlines(), *err.read().splitlines()] if line.strip()]
            raise NoNumber((reasons or [f"exit status {process.returncode}"])[-1])
    return said, json.loads(numbers)


class Comparison:
    """The outcomes of one workload, served at `port`; `lists` is a folder of its own for what the contenders read."""

    def __init__(
        self, workload: Workload, names: Sequence[str], port: int, lists: Path, programs: Path, chance: random.Random,
        cpu: int | None,
    ) -> None:  # fmt: skip
        self.workload, self.chance, self.cpu, self.programs = workload, chance, cpu, programs
        self.outcomes: dict[str, list[Outcome]] = {name: [] for name in names}
        self.failures: dict[str, str] = {}
        self.orders: list[list[str]] = []
        self.duration_s = 0.0
        self._may_need_len = workload.corpus.total_len() * 9 // 8
        self._tasks: dict[str, Task] = {}
        lists.mkdir()
        for name in names:
            n_files = workload.n_files_for(CONTENDERS[name].share)
            task = Task(
                port, replace(workload.corpus, n_files=n_files), workload.n_connections, str(lists / str(n_files)),
                programs=str(programs),
            )  # fmt: skip
            self._tasks[name] = task if workload.target == DROPPED else replace(task, folder="later")
            if not Path(task.lists).exists():
                write_lists(Path(task.lists), self._tasks[name])

    def _run(self, name: str, folders: FreshFolders | None) -> Outcome:
        """One run in a process of its own, on its CPU from the first instruction; then its files are compared. Before it,
        nothing of another is still on its way to the disk, and the memory the files may need was touched: ext4 takes it in
        large pages, too."""
        contender, task = CONTENDERS[name], self._tasks[name]
        if folders is not None:
            task = replace(task, folder=str(folders.fresh()))
            os.sync()
            touch(min(self._may_need_len, SMALL_PAGES_LEN))
            touch(self._may_need_len, small=False, large_too=True)
        said, numbers = run_program(contender.command(task), self.programs, self.cpu)
        try:
            contender.check(task, said)
            if folders is not None and (fault := task.corpus.fault(Path(task.folder), contender.own_file)):
                raise WrongAnswer(fault)
        except WrongAnswer as reason:
            raise NoNumber(f"wrong answer: {reason}") from None
        return Outcome(
            task.corpus.n_files, numbers["wall_s"], numbers["cpu_s"], int(numbers["peak_rss_kib"]), self.workload.body_len
        )

    def play(self, rounds: int, parent: str | None) -> None:
        """One run of the floor that does not count, it fills the page cache; then every contender that has not failed once
        in each round, in a new random order. Files go below the folder `parent`."""
        with contextlib.ExitStack() as stack:
            folders = stack.enter_context(FreshFolders(parent)) if parent else None
            with contextlib.suppress(NoNumber):
                self._run(self.workload.floor, folders)
            for _ in range(rounds):
                order = [name for name in self.outcomes if name not in self.failures]
                self.chance.shuffle(order)
                self.orders.append(order)
                for name in order:
                    try:
                        self.outcomes[name].append(self._run(name, folders))
                    except NoNumber as reason:
                        self.failures[name] = str(reason)
                    print(".", end="", file=sys.stderr, flush=True)
            print(file=sys.stderr)

    def good(self) -> dict[str, list[Outcome]]:
        """The outcomes of those who never failed: a wrong answer gets no number."""
        return {name: runs for name, runs in self.outcomes.items() if name not in self.failures}

    def as_json(self) -> dict[str, object]:
        """Everything raw, and the medians."""
        workload = self.workload
        return {
            "workload": {
                **asdict(workload), "server": workload.server, "floor": workload.floor, "body_len": workload.body_len,
                "unit": workload.unit, "rate_unit": workload.rate_unit,
            },
            "labels": {name: LABELS[name] for name in self.outcomes},
            "orders": self.orders,
            "outcomes": {name: [asdict(o) for o in runs] for name, runs in self.outcomes.items()},
            "failures": self.failures,
            "summary": summarize(workload, self.good()),
            "duration_s": round(self.duration_s, 1),
        }  # fmt: skip
