"""Clocks that stand still until a test moves them, for the whole of its process: `still_clock.c`, compiled and put before libc.

    run_apart(work, tasks, ..., environment=preloaded(build(folder)))       # the caller
    clock = StillClock(); clock.start(); ...; clock.advance(60)             # in the child

What the package does is what it does elsewhere: it knows nothing of this. A loop is turned by `run(0)` then, or by `until()`;
to wait for a time would be to wait for ever, unless `skip()` was called.
"""
import ctypes
import os
import pathlib
import select
import subprocess

import qhttp

SOURCE = pathlib.Path(__file__).with_suffix(".c")
FLAGS = ["-O1", "-g", "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
NS = 1_000_000_000
PATIENCE_S = 8.0            # of real time, for what has to happen
LOOK_S = 0.002              # between two looks
QUIET_S = 0.01              # for what must not happen
SKIP_MS = 25                # real time without anything to do, after which time is skipped


def build(folder) -> str:
    """Compiles the library into a folder; its path."""
    path = os.path.join(folder, "still_clock.so")
    subprocess.run([os.environ.get("CC", "cc"), *FLAGS, SOURCE, "-o", path, "-ldl", "-pthread"], check=True)
    return path


def preloaded(path: str) -> dict[str, str]:
    """The variables with which a child has it; behind what is preloaded already."""
    return {"LD_PRELOAD": " ".join(filter(None, [os.environ.get("LD_PRELOAD"), path]))}


class StillClock:
    """The clocks of this process. Times are seconds; `now` and `wall` are those that the package sees."""

    def __init__(self):
        self._c = library = ctypes.CDLL(None)
        library.still_clock_advance.argtypes = library.still_clock_set_wall.argtypes = [ctypes.c_int64]
        for name in ("still_clock_next", "still_clock_real_ns", "still_clock_n_skips"):
            getattr(library, name).restype = ctypes.c_int64

    def start(self) -> None:
        """The clocks stop here. What was made before (a loop) still goes by the others."""
        self._c.still_clock_start()

    def advance(self, seconds: float = 0, ns: int = 0) -> None:
        """Time passes; nothing is called: the loop has to turn for that."""
        self._c.still_clock_advance(round(seconds * NS) + ns)

    def set_wall(self, seconds: float) -> None:
        """Somebody sets the wall clock: seconds since 1970. Nothing else changes."""
        self._c.still_clock_set_wall(round(seconds * NS))

    def skip(self, ms: int = SKIP_MS) -> None:
        """From now on a loop that waits, and to which nothing comes for so long (real milliseconds), is at its next timer."""
        self._c.still_clock_skip(ms)

    @property
    def n_skips(self) -> int:
        """How often that was done."""
        return self._c.still_clock_n_skips()

    @property
    def next_timer_ns(self) -> int:
        """When the next timer descriptor goes off (CLOCK_MONOTONIC); 0: none will."""
        return self._c.still_clock_next()

    @property
    def real_s(self) -> float:
        """The time outside."""
        return self._c.still_clock_real_ns() / NS

    # -- turning this thread's loop
    def until(self, condition, seconds: float = PATIENCE_S) -> None:
        """Turns the loop until the condition holds, while the clocks stand; TimeoutError when it does not (real seconds)."""
        end = self.real_s + seconds
        while not condition():
            if self.real_s > end:
                raise TimeoutError(f"not within {seconds} s")
            qhttp.loop().run(0)
            select.select([qhttp.loop().fileno()], [], [], LOOK_S)

    def settle(self) -> None:
        """Turns the loop until there is nothing left to do at this time."""
        while True:
            qhttp.loop().run(0)
            if not select.select([qhttp.loop().fileno()], [], [], QUIET_S)[0]:
                return

    def goes_off(self, seconds: float, condition, late_s: float = 0.0) -> None:
        """Asserts that the condition comes true when so much time has passed, and not a nanosecond before; with `late_s` up
        to so much later."""
        self.settle()
        assert not condition(), "at once"
        self.advance(seconds, ns=-1)
        self.settle()
        assert not condition(), f"a nanosecond before {seconds} s"
        self.advance(late_s, ns=1)
        self.until(condition)
