"""Mutated answers by the million, to all parties: python -m differential.campaign --answers 1000000 --seed 1

Prints figures, and each difference by its cause. Exit status 0: every difference is in the table; 1: one is not.
"""
import argparse
import sys
import time
from dataclasses import replace

from soak.runs import bound, tell

from differential.differences import DIFFERENCES
from differential.judging import Finding, Judge, Tally, findings_of
from differential.mutation import Mutator
from differential.shrinking import shortest

N_AT_ONCE = 64


def play(seed: int, n_answers: int, **shares: int) -> Tally:
    """Makes so many answers and has them judged."""
    mutator, judge = Mutator(seed, **shares), Judge()
    for start in range(0, n_answers, N_AT_ONCE):
        cases = [mutator.case() for _ in range(min(N_AT_ONCE, n_answers - start))]
        cut = [replace(case, cuts=cuts) for case in cases if (cuts := mutator.cuts(case.data))]
        judge.judge(cases, cut)
    return judge.tally


def shrunk(finding: Finding) -> Finding:
    sort = finding.party, finding.how
    return replace(finding, case=shortest(finding.case, lambda case: sort in findings_of(case)))


def report(tally: Tally, seed: int, wall_s: float, cpu_s: float) -> None:
    tell({"answers": tally.n_answers, "seed": seed, "once more, cut": tally.n_cut, "good": tally.n_good,
          "accepted by all": tally.n_agreed["accepted"], "refused by all": tally.n_agreed["refused"],
          "unexplained": bound(tally.n_unexplained, tally.n_answers), "wall s": wall_s, "CPU s": cpu_s,
          "answers/CPU s": tally.n_answers / cpu_s})
    for (stance, cause), n in sorted(tally.alone.items()):
        print(f"  qhttp alone {stance}: {n} x {cause}")
    for row in DIFFERENCES:
        seen = {key: n for key, n in tally.explained.items() if key[0] == row.cause}
        told = ", ".join(f"{party} {how} {n}" for (_, party, how), n in sorted(seen.items()))
        print(f"  {row.cause} (RFC {row.rfc}, right: {row.right}): {told or 'not seen'}")
    for finding in tally.findings:
        print(f"NOT explained: {shrunk(finding)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--answers", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    start, cpu_start = time.monotonic(), time.process_time()
    tally = play(given.seed, given.answers)
    report(tally, given.seed, time.monotonic() - start, time.process_time() - cpu_start)
    return 1 if tally.n_unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
