"""The process in which something fails: `python -m torture.child`, started by campaign.py with the library preloaded.

It is told a scene first, and then (fault, n) again and again; it answers with a Run.
"""
import faulthandler
import gc
import os
import pickle
import sys
import time
import traceback
from dataclasses import dataclass, field

import qhttp
from torture.failing import Failing, Fault

THREAD_ENDS_S = 2.0
N_WARM_UPS = 8              # imports, caches
N_CANCELLED = 70            # so many cancelled timers make the loop forget all such
N_KEPT = 16                 # so many dead MemoryErrors are kept by the interpreter
LEFT = " are left"
WITHOUT_ERROR = "error return without exception set"    # CPython 3.11 where there is no memory for the frame of a call


@dataclass
class Place:
    """Where a scene's servers are."""
    host: str
    port: int
    tls_port: int = 0
    certificate: str = ""
    case: dict | None = None


@dataclass
class Run:
    """What was seen of one run."""
    n_failed: int                   # calls that were made to fail
    n_calls: int                    # of that kind
    faults: list = field(default_factory=list)
    replies: list = field(default_factory=list)
    raised: list = field(default_factory=list)      # in words
    was_told: bool = False
    grown: int = 0                  # allocations that are left
    where: str = ""                 # names of functions that called for the first that failed
    lines: list = field(default_factory=list)       # of Python, where exceptions were raised; see lines_of
    seconds: float = 0.0


def n_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def lines_of(error):
    """Where it was raised, and where what was going on then; "" where there was no memory to note that."""
    while error is not None:
        yield traceback.extract_tb(error.__traceback__)[-1].line if error.__traceback__ is not None else ""
        error = error.__context__


def n_threads() -> int:
    return len(os.listdir("/proc/self/task"))


def forget_last_resort() -> None:
    """The interpreter has one MemoryError that never dies, for when it cannot make another: what it was raised for stays alive
    with it."""
    held = []
    for _ in range(2 * N_KEPT):
        try:
            [None] * (sys.maxsize // 2)
        except MemoryError as error:
            held.append(error)
    for error in held:
        error.__traceback__ = error.__context__ = None


class Stage:
    """Plays a scene again and again."""

    def __init__(self, scene):
        self.scene, self.failing = scene, Failing()
        self.unraisable, self.is_new = [], True
        sys.unraisablehook = lambda what: self.unraisable.append(repr(what.exc_value))
        self.loop = qhttp.loop()
        self.n_live = 0
        self.look_around()

    def look_around(self):
        """What is there now is no fault."""
        self.n_descriptors, self.n_threads = n_descriptors(), n_threads()

    def run(self, fault: Fault | None, n: int) -> Run:
        began = time.monotonic()
        run = self.play(fault, n)
        run.seconds = time.monotonic() - began
        self.tidy()
        before, self.n_live = self.n_live, self.failing.n_live()
        run.grown = self.n_live - before
        return run

    def tidy(self):
        """What is only put off is done now."""
        for _ in range(N_CANCELLED):
            self.loop.call_later(1, self.tidy).cancel()
        _ = [MemoryError() for _ in range(N_KEPT)]
        gc.collect()

    def play(self, fault: Fault | None, n: int) -> Run:
        scene, disarm = self.scene, self.failing.disarm
        raised = []
        scene.prepare()
        if fault is not None:
            self.failing.arm(fault, n)
        try:
            try:
                scene.play()
            finally:
                disarm()
        except BaseException as error:
            raised.append(error)
        n_failed, n_calls = (self.failing.n_failed(), self.failing.n_calls()) if fault is not None else (0, 0)
        raised = [*scene.raised, *raised]
        found = [*self.odd(raised, n_failed)]
        scene.raised = words = [repr(error) for error in raised]
        lines = [line for error in [*raised, *scene.errors] for line in lines_of(error)]
        raised = None           # they hold all that was there when they were raised
        forget_last_resort()
        gc.collect()
        try:
            found += scene.settle()
        except BaseException as error:
            found.append(f"afterwards: {''.join(traceback.format_exception(error, limit=-6))}")
        run = Run(n_failed, n_calls, found, scene.replies, words, scene.was_told,
                  where=self.failing.where() if n_failed else "", lines=lines)
        scene.raised = []
        try:
            scene.close()
        except BaseException as error:
            run.faults.append(f"at its end: {''.join(traceback.format_exception(error, limit=-6))}")
        run.faults += self.left()
        return run

    def odd(self, raised, n_failed):
        """Exceptions that do not say what has failed."""
        for error in raised:
            if not n_failed or not isinstance(error, (MemoryError, OSError, qhttp.QHttpError, ImportError)):
                if isinstance(error, RuntimeError) and ("thread" in str(error) or "lock" in str(error)):
                    continue
                if n_failed and isinstance(error, SystemError) and str(error) == WITHOUT_ERROR:
                    continue
                yield f"raised: {''.join(traceback.format_exception(error, limit=-6))}"

    def left(self):
        gc.collect()
        end = time.monotonic() + THREAD_ENDS_S
        while n_threads() > self.n_threads and time.monotonic() < end:
            time.sleep(0.002)
        if (n := n_threads()) > self.n_threads:
            yield f"{n - self.n_threads} threads{LEFT}"
            self.n_threads = n
        if (n := n_descriptors()) > self.n_descriptors:
            yield f"{n - self.n_descriptors} descriptors{LEFT}"
            self.n_descriptors = n


def main():
    faulthandler.enable()
    orders, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    family, name, place = pickle.load(orders)
    from torture import bulk_scenes, http_scenes
    if place.case is not None:
        scene = {"http": http_scenes.CaseScene, "bulk": bulk_scenes.CaseFiles}[family](place)
    else:
        scene = {"http": http_scenes, "bulk": bulk_scenes}[family].SCENES[name](place)
    stage = Stage(scene)
    for _ in range(N_WARM_UPS):
        run = stage.run(None, 0)
        if stage.is_new:
            stage.is_new, run.faults = False, [text for text in run.faults if not text.endswith(LEFT)]
        pickle.dump(run, answers)
        answers.flush()
        if pickle.load(orders) is None:
            return
    gc.collect()
    gc.freeze()
    stage.look_around()
    while (order := pickle.load(orders)) is not None:
        pickle.dump(stage.run(*order), answers)
        answers.flush()


if __name__ == "__main__":
    # Under its own name, so that pickles made here can be read by others.
    from torture.child import main as own_main
    own_main()
