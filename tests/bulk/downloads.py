"""Downloads for tests: without waits between tries, with a watchdog, and with all that was told about them."""
import contextlib
import os
import pathlib
import random
import threading

import pytest
from support.loops import turn_until
from support.watchdog import limited

import qhttp

LIMIT_S = 10.0
LARGE = 300 << 10       # bytes of a body that goes through the part's descriptor
SMALL = 1000            # of one that stays in memory

both_paths = pytest.mark.parametrize("n", [SMALL, LARGE], ids=["memory", "part"])


def body(n, seed=1) -> bytes:
    """So many bytes without a pattern."""
    return random.Random(seed).randbytes(n)


class Quick(qhttp.Downloader):
    """Does not wait between tries, unless the server says so."""

    def random(self):
        return 0.0


class Seen:
    """What a run told: `ended` has all transfers in their order, `events` what came when, as (word, transfer)."""

    def __init__(self, downloader):
        self.downloader = downloader
        self.ended, self.events, self.errors, self.delays, self.had_errors = [], [], [], [], []
        for word in ("started", "finished", "failed"):
            getattr(downloader, word).connect(lambda transfer, word=word: self._note(word, transfer))
        downloader.retrying.connect(self._retry)
        downloader.done.connect(self.had_errors.append)

    def _note(self, word, transfer):
        self.events.append((word, transfer))
        if word != "started":
            self.ended.append(transfer)

    def _retry(self, transfer, delay_s, error):
        self.events.append(("retrying", transfer))
        self.errors.append(error)
        self.delays.append(delay_s)

    @property
    def finished(self):
        return [transfer for word, transfer in self.events if word == "finished"]

    @property
    def failed(self):
        return [transfer for word, transfer in self.events if word == "failed"]

    @property
    def words(self):
        return [word for word, _ in self.events]

    @property
    def kinds(self):
        """Names of the errors' classes, by the last segment of the URL; None where there is none."""
        return {transfer.url.rpartition("/")[2]: transfer.error and type(transfer.error).__name__ for transfer in self.ended}


@contextlib.contextmanager
def running(rows=(), *, kind=Quick, limit_s=LIMIT_S, **settings):
    """A downloader, not begun, and what is seen of it; with a watchdog."""
    with limited(limit_s), kind(rows, **{"proxy": None, **settings}) as downloader:
        yield downloader, Seen(downloader)


def download(rows, **settings) -> Seen:
    """Fetches all of it."""
    with running(rows, **settings) as (downloader, seen):
        assert downloader.run()
    return seen


def one(row, **settings):
    """Fetches one row: its Transfer, of which exactly one end was told."""
    [transfer] = download([row], **settings).ended
    return transfer


def files_in(folder) -> dict[str, bytes]:
    """name -> content of all files below a folder."""
    folder = pathlib.Path(folder)
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def names_in(folder) -> list[str]:
    """All that is below a folder but the files of sessions."""
    folder = pathlib.Path(folder)
    return sorted(name for path in folder.rglob("*") if not (name := str(path.relative_to(folder))).startswith("session"))


class HeldFiles:
    """Keeps a downloader's file thread from its work until `release()`, or the end of a `with` block."""

    def __init__(self, downloader):
        self._gate = threading.Event()
        downloader.files.call(lambda: self._gate.wait(LIMIT_S), lambda result, error: None)

    def release(self):
        self._gate.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._gate.set()


def n_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def descriptors_go_back_to(before: int) -> None:
    """Waits until there are no more than before: the servers of a test have theirs in this process, too, and close them when
    they can."""
    turn_until(lambda: n_descriptors() <= before)
