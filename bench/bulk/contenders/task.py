"""What every contender is told, and what it has to say at its end.

A contender is one process, measured from outside from its start to its end: the start of an interpreter and its imports
are part of it, for all. The files of a run are compared by who started it. Where answers are dropped, the contender checks
the status of each, counts bytes, and compares some bodies.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.bulk.corpus import Corpus, Made
from bench.contenders.runner import WrongAnswer

COMPARE_EVERY = 64  # of the bodies that are dropped
SMALL_LEN = 1 << 20  # up to here a library has a body as one bytes object, and writes it at once
PIECE_LEN = 1 << 20


@dataclass(frozen=True)
class Task:
    """What to fetch, and where it goes. In the folder `lists` are `urls`, `paths`, and `curl`, a configuration file for it."""

    port: int
    corpus: Corpus
    n_connections: int
    lists: str
    folder: str = ""  # "": answers are dropped
    programs: str = ""  # folder of the compiled C programs

    @property
    def drops(self) -> bool:
        return not self.folder

    @property
    def is_small(self) -> bool:
        """All bodies are."""
        return self.corpus.max_len <= SMALL_LEN

    def list(self, name: str) -> Path:
        """One of the files in `lists`."""
        return Path(self.lists) / name

    def lines(self, name: str) -> Iterator[str]:
        """The lines of a list, read as they are asked for."""
        with open(self.list(name)) as lines:
            for line in lines:
                yield line.rstrip("\n")

    def file(self, url: str) -> str:
        """Where a URL or a path goes."""
        return f"{self.folder}/{url.rpartition('/')[2]}"

    def to_json(self) -> str:
        """For the command line."""
        return json.dumps({**asdict(self), "made": isinstance(self.corpus, Made)})


def read_task() -> Task:
    """The task from the command line."""
    values = json.loads(sys.argv[1])
    corpus = (Made if values.pop("made") else Corpus)(**values.pop("corpus"))
    return Task(corpus=corpus, **values)


class Counter:
    """Counts the answers that are dropped, and compares some."""

    def __init__(self, task: Task) -> None:
        self._corpus = task.corpus
        self.n_right = self.n_bytes = 0

    def take(self, url: str, status: int, body: bytes) -> None:
        """One answer."""
        if status != 200:
            raise WrongAnswer(f"status {status}")
        if self.n_right % COMPARE_EVERY == 0 and not self._corpus.is_right(self._corpus.number(url), body):
            raise WrongAnswer(f"another body, {len(body)} bytes")
        self.n_right += 1
        self.n_bytes += len(body)


def run(to_files: Callable[[Task], int], drop: Callable[[Task, Counter], None]) -> None:
    """Main function of a library: `to_files` gives how many files it made, `drop` has each answer counted."""
    task = read_task()
    try:
        if task.drops:
            counter = Counter(task)
            drop(task, counter)
            said = {"n_right": counter.n_right, "n_bytes": counter.n_bytes}
        else:
            said = {"n_right": to_files(task)}
    except WrongAnswer as reason:
        sys.exit(f"wrong answer: {reason}")
    print(json.dumps(said))
