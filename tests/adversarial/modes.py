"""How the bytes of a case's sends are cut: as the case says, byte by byte, or at seeded random places."""
import random

LONGEST_BYTEWISE = 8192     # bytes of a send that are still sent one by one
CUT_PAUSE_S = 0.003         # between pieces cut at chosen places, so that each arrives by itself
MOST_RANDOM_CUTS = 8


def mode_names(n_random_splits: int, first_seed: int = 0) -> list[str]:
    return ["whole", "byte", *(f"split-{first_seed + number}" for number in range(n_random_splits))]


def seed_of(mode: str) -> int | None:
    """The seed of a mode that cuts at random places; None of another."""
    return int(mode.removeprefix("split-")) if mode.startswith("split-") else None


def cuts(mode: str, case: dict, data: bytes) -> tuple[tuple[int, ...], float]:
    """Where to cut one send, and the pause between the pieces."""
    if mode == "byte" or (mode == "whole" and case["splits"] == "byte-by-byte"):
        return (tuple(range(1, len(data))) if len(data) <= LONGEST_BYTEWISE else ()), 0.0
    if mode.startswith("split-") and len(data) > 1:
        chance = random.Random(f"{mode} {case['id']} {len(data)}")
        n_cuts = chance.randint(1, min(MOST_RANDOM_CUTS, len(data) - 1))
        return tuple(sorted(chance.sample(range(1, len(data)), n_cuts))), CUT_PAUSE_S
    return (tuple(case["splits"]) if isinstance(case["splits"], list) else ()), CUT_PAUSE_S
