"""The programs: how each is called in its best form known to us, and the modules of the libraries.

A command is a list of arguments. What is dropped is checked by what the program says about each answer.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass

from bench.bulk.contenders.task import Task
from bench.contenders.runner import WrongAnswer


def c_loop(task: Task) -> list[str]:
    """The floor: one epoll loop; `NAME.part`, then a rename that replaces nothing."""
    goal = ["--drop", "1"] if task.drops else ["--folder", task.folder]
    return [
        f"{task.programs}/epoll_files", "--port", str(task.port), "--list", str(task.list("paths")),
        "--connections", str(task.n_connections), *goal,
    ]  # fmt: skip


def aria2(task: Task) -> list[str]:
    """The list is read as it goes, and results are not kept: less memory, and faster. One connection for each file. It syncs
    each file, which nothing turns off; without a save interval at least not its control file, too."""
    return [
        "aria2c", "--no-conf", "-q", "-i", str(task.list("urls")), "-d", task.folder, "-j", str(task.n_connections), "-x", "1",
        "-s", "1", "--file-allocation=none", "--deferred-input=true", "--max-download-result=0", "--summary-interval=0",
        "--auto-save-interval=0", "--auto-file-renaming=false",
    ]  # fmt: skip


def curl(task: Task) -> list[str]:
    """URLs and outputs in pairs from a configuration file, relative to the folder; what is dropped is told by a line each."""
    goal = ["-w", r"%{http_code} %{size_download} %{urlnum}\n"] if task.drops else ["--output-dir", task.folder]
    return [
        "curl", "-q", "-sS", "-f", "--no-progress-meter", "-Z", "--parallel-immediate",
        "--parallel-max", str(task.n_connections), *goal, "-K", str(task.list("curl")),
    ]  # fmt: skip


def wget2(task: Task) -> list[str]:
    """A thread for each connection."""
    return [
        "wget2", "--no-config", "--no-hsts", "-q", "--progress=none", "-i", str(task.list("urls")), "-P", task.folder,
        f"--max-threads={task.n_connections}",
    ]  # fmt: skip


def qhttp_cli(task: Task) -> list[str]:
    """The command, with a list; it remembers in a session file what is done."""
    n = str(task.n_connections)
    return [
        sys.executable, "-m", "qhttp", "-i", str(task.list("urls")), "-d", task.folder, "-j", n, "--per-host", n, "-q",
    ]  # fmt: skip


def qhttp_cli_no_session(task: Task) -> list[str]:
    """The same without one."""
    return [*qhttp_cli(task), "--no-session"]


def library(module: str) -> Callable[[Task], list[str]]:
    """A module beside this one."""
    return lambda task: [sys.executable, "-m", f"bench.bulk.contenders.{module}", task.to_json()]


def counted(task: Task, said: str) -> None:
    """Our own say how many answers there were, and of how many bytes where they were dropped."""
    numbers = json.loads(said.splitlines()[-1])
    if numbers["n_right"] != task.corpus.n_files:
        raise WrongAnswer(f"{numbers['n_right']} answers instead of {task.corpus.n_files}")
    if task.drops and numbers["n_bytes"] != task.corpus.total_len():
        raise WrongAnswer(f"{numbers['n_bytes']} bytes instead of {task.corpus.total_len()}")


def told_each(task: Task, said: str) -> None:
    """curl has a line for each answer that was dropped: status, length and number."""
    expected = {f"200 {task.corpus.length(number)} {number}" for number in range(task.corpus.n_files)}
    lines = said.splitlines()
    if task.drops and (len(lines) != len(expected) or set(lines) != expected):
        wrong = next((line for line in lines if line not in expected), "")
        raise WrongAnswer(f"{len(lines)} answers of {len(expected)}; one of them: {wrong}")


def nothing_said(task: Task, said: str) -> None:
    """Other programs are known by their files and their status."""


@dataclass(frozen=True)
class Contender:
    """How it is called, and what its output is to say. `share`: the part of the files it gets, so that a run stays short.
    `own_file`: one it leaves beside what was downloaded."""

    command: Callable[[Task], list[str]]
    check: Callable[[Task, str], None] = nothing_said
    share: float = 1
    own_file: str = ""


CONTENDERS = {
    "c_files": Contender(c_loop, counted),
    "c_drop": Contender(c_loop, counted),
    "qhttp_cli": Contender(qhttp_cli, own_file=".qhttp-session"),
    "qhttp_cli_no_session": Contender(qhttp_cli_no_session),
    "qhttp_downloader": Contender(library("qhttp_downloader"), counted),
    "qhttp_drop": Contender(library("qhttp_downloader"), counted),
    "aria2": Contender(aria2, share=0.2),
    "curl_parallel": Contender(curl, told_each),
    "wget2": Contender(wget2),
    "urllib3_files": Contender(library("urllib3_files"), counted),
    "aiohttp_files": Contender(library("aiohttp_files"), counted),
}
