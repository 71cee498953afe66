"""Plays many cases on many ways, in children: some at a time of those that compute, many of those that wait, a few of those
that move much.

A child plays a row of cases on one way, one after the other. Where it dies or hangs, its cases are played once more in a child
each, so that the outcome is that of one case.
"""
import contextlib
import itertools
import queue
import tempfile
import threading
from collections.abc import Iterable, Iterator

from support.apart import Outcome, run_apart
from support.certificate import make_certificate

from adversarial.corpus import is_heavy, waits
from adversarial.verdicts import WORK
from adversarial.ways import WAYS

Key = tuple[str, str, str]      # way, case, mode
LIMIT_S = 60                    # for one play
N_COMPUTING, N_WAITING, N_HEAVY = 8, 32, 2      # children at a time
N_FEW = 8                       # of those that are played again
ROW = 40                        # plays of one child


class Playing:
    """A context manager; `cases` by their ids."""

    def __init__(self, cases: dict, n_computing: int = N_COMPUTING, n_waiting: int = N_WAITING, row: int = ROW):
        self.cases, self.row = cases, row
        self.n_computing, self.n_waiting = n_computing, n_waiting
        self._folder = tempfile.TemporaryDirectory(prefix="qhttp-adversarial-")

    def __enter__(self):
        self._pem = make_certificate(self._folder.name)
        return self

    def __exit__(self, *_):
        self._folder.cleanup()

    def play(self, keys: Iterable[tuple]) -> Iterator[tuple[tuple, Outcome]]:
        """Yields (key, Outcome of a Verdict) as they end. A key is (way, case, mode), and may have more behind that."""
        keys = list(keys)
        lanes = {"waiting": [], "heavy": [], "computing": []}
        for key in keys:
            lanes[lane_of(self.cases[key[1]])].append(key)
        yield from beside_each_other(self._lane(lanes["computing"], self.n_computing, self.row),
                                     self._lane(lanes["waiting"], self.n_waiting, max(1, self.row // 4)),
                                     self._lane(lanes["heavy"], N_HEAVY, self.row))

    def play_few(self, keys: Iterable[tuple]) -> Iterator[tuple[tuple, Outcome]]:
        """The same with few beside each other: of what a busy machine may have spoilt."""
        yield from self._lane(list(keys), N_FEW, 1)

    def again(self, key: tuple) -> Outcome:
        """Plays one case once more, with nothing else running."""
        [(_, outcome)] = self._lane([key], 1, 1)
        return outcome

    def _lane(self, keys: list, at_once: int, row: int) -> Iterator[tuple[tuple, Outcome]]:
        by_way = itertools.groupby(sorted(keys, key=lambda key: key[0]), key=lambda key: key[0])
        rows = [tuple(part) for _, of_way in by_way for part in batched(of_way, row)]
        for group, outcome in run_apart(WORK, {part: self._task(part) for part in rows}, at_once=at_once,
                                        limit_s=LIMIT_S * row):
            if not outcome.crash:
                yield from ((key, Outcome(verdict)) for key, verdict in zip(group, outcome.value, strict=True))
            elif len(group) == 1:
                yield group[0], outcome
            else:
                yield from self._lane(list(group), at_once, 1)

    def _task(self, part: tuple) -> tuple:
        way = part[0][0]
        return way, [(self.cases[key[1]], key[2]) for key in part], self._pem if WAYS[way].route.is_tls else None


def lane_of(case: dict) -> str:
    return "waiting" if waits(case) else "heavy" if is_heavy(case) else "computing"


def batched(items: Iterable, n: int) -> Iterator[list]:
    rest = iter(items)
    while part := list(itertools.islice(rest, n)):
        yield part


def beside_each_other(*iterators: Iterator) -> Iterator:
    """What several iterators give, each of which is turned by a thread of its own."""
    results: queue.Queue = queue.Queue()

    def turn(iterator):
        error = None
        try:
            for result in iterator:
                results.put((result, None))
        except BaseException as why:
            error = why
        results.put((None, error or StopIteration()))

    threads = [threading.Thread(target=turn, args=(iterator,), daemon=True) for iterator in iterators]
    for thread in threads:
        thread.start()
    n_left = len(threads)
    while n_left:
        result, end = results.get()
        if end is None:
            yield result
        elif isinstance(end, StopIteration):
            n_left -= 1
        else:
            raise end
    with contextlib.suppress(RuntimeError):
        for thread in threads:
            thread.join()
