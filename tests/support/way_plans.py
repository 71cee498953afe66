"""Plans for `support.fault_proxy` drawn from a seed: the number of a connection decides what happens to it, and nothing else.

    with SeededWay(("127.0.0.1", port), seed=7, n_faulty=6) as way: ...

The first `n_faulty` connections have one or two faults, those after them none: a client that tries again often enough gets
through.
"""
import random
from collections.abc import Collection

from support import way_faults as faults
from support.fault_proxy import FaultyWay, Plan

LONGEST = 1 << 20           # offsets are below, each order of magnitude as likely as the others
SHORT_S = 0.02              # of a stall that ends

# What ends or delays a connection, and never changes a byte: any client must get through, or say that it did not.
HONEST = ("reset", "cut", "half close", "stall", "pause", "drip", "split", "refuse", "wait")
# What changes bytes.
FALSE = ("corrupt", "swap", "drop", "repeat")


def draw_fault(name: str, at: int, numbers: random.Random):
    """One fault of a direction."""
    n = 1 + int(numbers.random() * 200)
    match name:
        case "reset":
            return faults.Reset(at)
        case "cut":
            return faults.Cut(at)
        case "half close":
            return faults.HalfClose(at)
        case "stall":
            return faults.Stall(at)
        case "pause":
            return faults.Stall(at, SHORT_S)
        case "drip":
            return faults.Drip(at, min(n, 50), 1 + n % 7)
        case "split":
            return faults.Split(at, 20 * n, 1 + n % 7)
        case "corrupt":
            return faults.Corrupt(at, 1 << n % 8)
        case "swap":
            return faults.Swap(at, n, 1 + n // 2)
        case "drop":
            return faults.Drop(at, n)
        case "repeat":
            return faults.Repeat(at, n)
    raise ValueError(f"no such fault of a direction: {name}")


def draw_plan(numbers: random.Random, names: Collection[str], longest: int = LONGEST) -> Plan:
    """One or two faults somewhere: four times of five in what the server says."""
    up, down, accept = [], [], None
    for _ in range(numbers.choice((1, 1, 2))):
        name = numbers.choice(sorted(names))
        is_down = numbers.random() < 0.8
        at = int(longest ** numbers.random()) - 1 if is_down else int(numbers.random() * 200)
        if name == "refuse":
            accept = faults.Refuse()
        elif name == "wait":
            accept = faults.Wait(SHORT_S)
        else:
            (down if is_down else up).append(draw_fault(name, at, numbers))
    return Plan(up, down, accept)


class SeededWay(FaultyWay):
    """A way whose plans are drawn; see the top of this file."""

    def __init__(self, server: tuple[str, int], seed: int, n_faulty: int = 6, names: Collection[str] = HONEST,
                 longest: int = LONGEST):
        self.seed, self.n_faulty, self.names, self.longest = seed, n_faulty, names, longest
        super().__init__(server)

    def plan_for(self, number: int) -> Plan:
        if number >= self.n_faulty:
            return Plan()
        return draw_plan(random.Random(f"{self.seed}/{number}"), self.names, self.longest)
