"""One Python case, N times, and nothing else: what runs under callgrind.

    python -m bench.perf.repeat CASE N [PORT]

Only the case depends on N: there is no tidying up at the end, and the cyclic garbage collector is off, because a full
collection costs as much as hundreds of repetitions and would fall into one run or the other.
"""

from __future__ import annotations

import gc
import os
import sys

from bench.perf.cases import make_case

if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    gc.disable()
    case = make_case(sys.argv[1], int(sys.argv[3]) if len(sys.argv) == 4 else 0)
    case.repeat(int(sys.argv[2]))
    os._exit(0)
