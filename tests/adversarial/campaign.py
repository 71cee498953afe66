"""Plays every adversarial case on every way, whole, byte by byte and cut at seeded random places, several times over.

    python -m adversarial.campaign                                          # in tests/ (make adversarial): all, three times
    python -m adversarial.campaign --ways qhttp-direct                      # one way; patterns and several are allowed
    python -m adversarial.campaign --ways 'files-*' --modes whole,byte --runs 1
    python -m adversarial.campaign --only 'ch_*' te_nul chunked             # cases by id or category
    python -m adversarial.campaign --cases adversarial/data/*.json          # other files of cases, of the same form

Each play is judged, and has to come to the same in each run. A play that is wrong in a way that a busy machine explains (too
slow, too large, an error where there should be none) is played once more with few beside it, if need be alone, and that verdict
counts; plays that do not come to the same are all played once more, alone, and have to then. Prints a table; exit status 0: all
agree; 1: not so.
"""
import argparse
import collections
import fnmatch
import itertools
import os
import pathlib
import sys
import time

from adversarial.corpus import DATA, cases
from adversarial.modes import mode_names
from adversarial.playing import N_WAITING, Playing
from adversarial.preferences import BY_CHANCE, UNFOLLOWED
from adversarial.ways import WAYS, ways_like, why_not

N_SHOWN = 40            # wrong plays that are told
N_FAULTS, N_CRASH_LINES = 3, 4      # of each
TOLD_EVERY_S = 15.0     # how far it has come, on stderr


class Tally:
    """What has come of all plays so far."""

    def __init__(self):
        self.n_plays, self.n_wrong, self.n_hangs, self.n_again = (collections.Counter() for _ in range(4))
        self.first: dict[tuple, tuple] = {}         # what came of a play in the run that ended first
        self.differing: dict[tuple, str] = {}       # plays that did not come to the same in each run, and how
        self.wrong: list[str] = []
        self.unpreferred: dict[tuple[str, str], set] = collections.defaultdict(set)     # (case, what was done) -> ways

    def add(self, key: tuple, outcome) -> None:
        way, name = key[:2]
        self.n_plays[way] += 1
        if outcome.crash:
            self.n_hangs[way] += outcome.crash.startswith("hang")
            self.note_wrong(key, "crash: " + " | ".join(outcome.crash.split("\n")[-N_CRASH_LINES:]))
            return
        verdict = outcome.value
        self.n_hangs[way] += verdict.is_hang
        if verdict.faults:
            self.note_wrong(key, "; ".join(verdict.faults[:N_FAULTS]))
            return
        if verdict.unpreferred:
            self.unpreferred[name, verdict.unpreferred].add(way)
        if self.first.setdefault(key[:3], verdict.outcomes) != verdict.outcomes:
            self.differing[key[:3]] = difference(self.first[key[:3]], verdict.outcomes)

    def note_wrong(self, key: tuple, text: str) -> None:
        self.n_wrong[key[0]] += 1
        self.wrong.append(f"{' '.join(map(str, key))}: {text}")
        if len(self.wrong) <= N_SHOWN:
            print(self.wrong[-1], flush=True)

    def table(self, ways: list, n_cases: dict[str, int], n_modes: int, n_runs: int):
        yield (f"{'way':<24} {'cases':>5} {'modes':>5} {'runs':>4} {'plays':>8} {'agree':>8} {'faults':>6} {'hangs':>5} "
               f"{'again':>5}")
        for way in ways:
            n, n_wrong = self.n_plays[way.name], self.n_wrong[way.name]
            yield (f"{way.name:<24} {n_cases[way.name]:>5} {n_modes:>5} {n_runs:>4} {n:>8,} {n - n_wrong:>8,} {n_wrong:>6} "
                   f"{self.n_hangs[way.name]:>5} {self.n_again[way.name]:>5}")
        n, n_wrong = sum(self.n_plays.values()), sum(self.n_wrong.values())
        bound = f" (95 % bound {3 / n:.1e})" if n and not n_wrong else ""
        yield f"{n_wrong} of {n:,} plays wrong{bound}; {sum(self.n_again.values())} were played again"


def difference(one: tuple, other: tuple) -> str:
    return "; ".join(f"{a} and {b}" for a, b in itertools.zip_longest(one, other) if a != b)


def may_be_load(outcome) -> bool:
    return bool(outcome.crash or (outcome.value.faults and outcome.value.may_be_load))


def play(given, chosen: dict, ways: list, modes: list[str], tally: Tally) -> None:
    keys = [(way.name, name, mode, run) for run in range(1, given.runs + 1) for way in ways for name, case in chosen.items()
            if not why_not(way, case) for mode in modes]
    told, n_done, repeated = time.monotonic(), 0, []
    with Playing(chosen, n_computing=given.jobs, n_waiting=given.waiting) as playing:
        for key, outcome in playing.play(keys):
            if may_be_load(outcome):
                repeated.append(key)
            else:
                tally.add(key, outcome)
            n_done += 1
            if time.monotonic() - told > TOLD_EVERY_S:
                told = time.monotonic()
                print(f"{n_done:,} of {len(keys):,} plays, {len(tally.wrong)} wrong, {len(repeated)} to be played again",
                      file=sys.stderr, flush=True)
        for key, outcome in playing.play_few(repeated[:given.most_again]):
            tally.n_again[key[0]] += 1
            tally.add(key, playing.again(key) if may_be_load(outcome) else outcome)
        for key in repeated[given.most_again:]:
            tally.n_plays[key[0]] += 1
            tally.note_wrong(key, "not played again: there were too many that had to be")
        for key, text in tally.differing.items():
            if key[1] in BY_CHANCE:
                continue
            alone = [playing.again(key) for _ in range(given.runs)]
            tally.n_again[key[0]] += given.runs
            if any(outcome.crash or outcome.value.faults for outcome in alone) or (
                    len({outcome.value.outcomes for outcome in alone}) > 1):
                tally.note_wrong(key, f"not the same in each run: {text}")


def select(patterns: list[str], known: dict) -> dict:
    """The cases whose id or category one of the patterns fits."""
    return {name: case for name, case in known.items()
            if any(fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(case["category"], pattern) for pattern in patterns)}


def tell_left_out(chosen: dict, ways: list) -> None:
    """What is not played, and why."""
    left_out = collections.defaultdict(list)        # (reason, cases) -> ways
    for way in ways:
        reasons = collections.defaultdict(list)
        for name, case in chosen.items():
            reasons[why_not(way, case)].append(name)
        for reason, names in reasons.items():
            left_out[reason, tuple(names)].append(way.name)
    for (reason, names), of_ways in left_out.items():
        if reason:
            print(f"{reason}:\n    {' '.join(names)}\n    on {' '.join(of_ways)}")


def tell_unpreferred(tally: Tally) -> None:
    """What was done instead of what cases prefer; the same on all ways, as a rule."""
    for (name, what), ways in sorted(tally.unpreferred.items()):
        print(f"not as preferred: {name} {what}, on {len(ways)} ways; {UNFOLLOWED.get(name, 'no reason is known')}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m adversarial.campaign", description=__doc__.partition("\n")[0],
                                     epilog=f"Ways: {', '.join(WAYS)}")
    parser.add_argument("--ways", nargs="+", default=["*"], metavar="PATTERN", help="of the ways' names; all")
    parser.add_argument("--modes", type=lambda text: text.split(","), metavar="LIST",
                        help="whole, byte, split-1 ... with commas between; in place of --splits")
    parser.add_argument("--splits", type=int, default=20, metavar="N", help="random cuts besides whole and byte")
    parser.add_argument("--seed", type=int, default=0, help="of the first of them")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=["*"], metavar="PATTERN", help="ids or categories of cases")
    parser.add_argument("--cases", type=pathlib.Path, nargs="+", default=[DATA], metavar="FILE", help="of the corpus's form")
    parser.add_argument("--jobs", type=int, default=8 * (os.cpu_count() or 1), help="children that compute, at a time")
    parser.add_argument("--waiting", type=int, default=3 * N_WAITING, help="children that mostly wait, at a time")
    parser.add_argument("--most-again", type=int, default=2000, help="plays that are repeated, at most")
    parser.add_argument("--left-out", action="store_true", help="list what is not played, and why")
    given = parser.parse_args()
    try:
        ways = ways_like(given.ways)
    except ValueError as why:
        parser.error(str(why))
    known = {name: case for path in given.cases for name, case in cases(path).items()}
    chosen, modes = select(given.only, known), given.modes or mode_names(given.splits, given.seed)
    if not chosen:
        parser.error("no case fits")
    if given.left_out:
        tell_left_out(chosen, ways)
        return 0
    began, tally = time.monotonic(), Tally()
    play(given, chosen, ways, modes, tally)
    if len(tally.wrong) > N_SHOWN:
        print(f"... and {len(tally.wrong) - N_SHOWN} more")
    tell_unpreferred(tally)
    n_cases = {way.name: sum(not why_not(way, case) for case in chosen.values()) for way in ways}
    print(*tally.table(ways, n_cases, len(modes), given.runs), sep="\n")
    print(f"{time.monotonic() - began:.0f} s")
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
