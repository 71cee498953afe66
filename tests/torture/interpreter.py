"""Whether this interpreter itself survives an allocation that fails, without a line of the package.

CPython 3.12.1 and 3.13.0 do not: where there is no memory for a generator, they go on with one that was never made, and die.
What a scene without memory comes to there says nothing of the package.
"""
import os
import pathlib
import subprocess
import sys

from torture.failing import Failing, faults_of

TESTS = pathlib.Path(__file__).resolve().parents[1]
N_WARM_UPS = 20             # until the code is specialized
LIMIT_S = 60
DIES = "this interpreter itself dies where there is no memory for a generator"


def is_sound(library: str) -> bool:
    """Whether it lives with each allocation of a generator refused in turn: once, and from there on."""
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "PYTHONMALLOC": "malloc", "LD_PRELOAD": library}
    return subprocess.run([sys.executable, "-m", "torture.interpreter"], env=environment, timeout=LIMIT_S, check=False,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def work() -> None:
    any(letter == "." for letter in "localhost")


def main() -> None:
    failing = Failing()
    for fault in faults_of("allocate"):
        n, n_failed = 0, 1
        while n_failed:
            for _ in range(N_WARM_UPS):
                work()
            n += 1
            failing.arm(fault, n)
            try:
                work()
            except MemoryError:
                pass
            finally:
                failing.disarm()
            n_failed = failing.n_failed()


if __name__ == "__main__":
    main()
