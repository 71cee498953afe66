"""Plays cases in children of their own, some at a time: a crash or a hang costs one case.

    for name, outcome in run_apart("conformance.play:play", {name: (case,) for ...}, at_once=8, limit_s=25):
        outcome.value, or outcome.crash

A fresh interpreter imports the module once and then forks a child for each case. So each case finds the module as it is
after its import (counters at their start, no loop, no thread), and costs a fork instead of an interpreter's start. The
interpreter is not the one that runs the tests: that one has threads, and has used the module already.
"""
import contextlib
import dataclasses
import faulthandler
import gc
import importlib
import os
import pickle
import selectors
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping
from types import MappingProxyType

N_CRASH_LINES = 12              # of what a child that died has written to stderr
ALARM_MARGIN_S = 10             # behind the limit, a child ends itself: nobody else may be left to end it
PIPE_BLOCK = 1 << 16


@dataclasses.dataclass
class Outcome:
    """What a child returned, or how it failed to."""
    value: object = None
    crash: str | None = None


def run_apart(work: str, tasks: Mapping[str, tuple], *, at_once: int, limit_s: float,
              environment: Mapping[str, str] = MappingProxyType({})) -> Iterator[tuple[str, Outcome]]:
    """Calls `work` ("module:function") with each task's arguments in a child; yields (name, Outcome) as they end.

    Arguments and results are pickled. At most `at_once` children live at a time, each for at most `limit_s` seconds.
    `environment`: variables for all of them, beside our own.
    """
    if not tasks:
        return
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **environment}
    command = [sys.executable, "-m", __name__]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, env=environment, start_new_session=True) as nursery:
        try:
            pickle.dump((work, dict(tasks), at_once, limit_s), nursery.stdin)
            nursery.stdin.close()
            for _ in tasks:
                yield pickle.load(nursery.stdout)
        except EOFError:
            raise RuntimeError(f"the process that plays {work} has died") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(nursery.pid, signal.SIGKILL)      # its children, too, where the caller has lost interest


# ---------------------------------------------------------------------------------------- in the prepared interpreter
class Child:
    """One case being played."""

    def __init__(self, name: str, function, arguments: tuple, limit_s: float):
        self.name, self.limit = name, time.monotonic() + limit_s
        self.limit_s, self.answer = limit_s, bytearray()
        self.notes = tempfile.TemporaryFile("w+")
        self.fd, theirs = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.fd)
            self._play(theirs, function, arguments)
        os.close(theirs)

    def _play(self, fd: int, function, arguments: tuple):
        """In the child: calls the function, writes what it returns, and ends without any tidying."""
        signal.alarm(int(self.limit_s + ALARM_MARGIN_S))
        os.dup2(self.notes.fileno(), 1)
        os.dup2(self.notes.fileno(), 2)
        faulthandler.enable(self.notes, all_threads=False)
        warnings.simplefilter("ignore")
        try:
            outcome = pickle.dumps((self.name, Outcome(function(*arguments))))
        except BaseException:
            outcome = pickle.dumps((self.name, Outcome(crash=traceback.format_exc(limit=-4))))
        with contextlib.suppress(OSError), open(fd, "wb") as pipe:
            pipe.write(outcome)
        os._exit(0)

    def read(self) -> bool:
        """Takes what the child has written; False at the end."""
        data = os.read(self.fd, PIPE_BLOCK)
        self.answer += data
        return bool(data)

    def finish(self, late: bool = False) -> bytes:
        """Ends the child; returns its pickled (name, Outcome)."""
        if late:
            os.kill(self.pid, signal.SIGKILL)
        os.close(self.fd)
        _, status = os.waitpid(self.pid, 0)
        with contextlib.suppress(Exception):
            if not late:
                pickle.loads(self.answer)
                return bytes(self.answer)
        self.notes.seek(0)
        cause = f"hang: no result within {self.limit_s:g} s" if late else f"exit {os.waitstatus_to_exitcode(status)}"
        said = "".join(self.notes.readlines()[:N_CRASH_LINES])
        return pickle.dumps((self.name, Outcome(crash=f"{cause}\n{said}".strip())))


def play_all(function, tasks: dict[str, tuple], at_once: int, limit_s: float) -> Iterator[bytes]:
    waiting, living = list(tasks.items()), selectors.DefaultSelector()
    while waiting or living.get_map():
        while waiting and len(living.get_map()) < at_once:
            name, arguments = waiting.pop(0)
            child = Child(name, function, arguments, limit_s)
            living.register(child.fd, selectors.EVENT_READ, child)
        next_limit = min(key.data.limit for key in living.get_map().values())
        ready = [key.data for key, _ in living.select(max(0.0, next_limit - time.monotonic()))]
        late = [key.data for key in living.get_map().values() if key.data.limit < time.monotonic()]
        for child in {id(c): c for c in ready + late}.values():
            ended = child in ready and not child.read()
            if ended or child in late:
                living.unregister(child.fd)
                yield child.finish(late=not ended)


def main():
    work, tasks, at_once, limit_s = pickle.load(sys.stdin.buffer)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)                       # what a case prints must not get between the answers
    module, _, name = work.partition(":")
    function = getattr(importlib.import_module(module), name)
    gc.collect()
    gc.freeze()
    with contextlib.suppress(BrokenPipeError):
        for answer in play_all(function, tasks, at_once, limit_s):
            answers.write(answer)
            answers.flush()


if __name__ == "__main__":
    # Under its own name, so that pickles made here can be read by the caller.
    importlib.import_module("support.apart").main()
