"""All parties about one row of cases: what was found, what explains it, and what nothing explains."""
import collections
from dataclasses import dataclass, field, replace

from differential.cases import Case, Outcome
from differential.comparison import OURS, departures, explanation, sole_cause, stand
from differential.differences import ALONE
from differential.parties import OTHERS
from differential.reading import Reading, read
from differential.receiving import Clients

HANG = "does not come to an end"
N_KEPT = 20             # findings that are remembered


@dataclass(frozen=True)
class Finding:
    """Something that nothing explains."""
    party: str
    how: str
    case: Case

    def __str__(self):
        case = self.case
        end = ("reset" if case.is_reset else "EOF") + (f", cut at {case.cuts}" if case.cuts else "")
        return f"{self.party}: {self.how}: {case.method} {case.data!r}, {end}"


@dataclass
class Tally:
    n_answers: int = 0
    n_cut: int = 0                  # given a second time, in pieces
    n_good: int = 0                 # by the reading
    n_agreed: dict = field(default_factory=collections.Counter)     # by all: "accepted", "refused"
    explained: dict = field(default_factory=collections.Counter)    # (cause, party, how)
    alone: dict = field(default_factory=collections.Counter)        # (stance, cause)
    n_unexplained: int = 0
    findings: list = field(default_factory=list)

    def add(self, finding: Finding) -> None:
        self.n_unexplained += 1
        if len(self.findings) < N_KEPT:
            self.findings.append(finding)


class Judge:
    def __init__(self):
        self.clients, self.tally = Clients(), Tally()

    def judge(self, cases: list[Case], cut_cases: list[Case]) -> None:
        """`cut_cases`: some of the cases once more, to be given in pieces."""
        readings, ours = [read(case) for case in cases], self.clients.ask(cases)
        for case, reading, outcome in zip(cases, readings, ours, strict=True):
            self.judge_case(case, reading, outcome)
        at = {(case.method, case.data, case.is_reset): n for n, case in enumerate(cases)}
        for case, outcome in zip(cut_cases, self.clients.ask(cut_cases), strict=True):
            n = at[case.method, case.data, case.is_reset]
            self.judge_cut(case, readings[n], ours[n], outcome)

    def judge_case(self, case: Case, reading: Reading, ours: Outcome | None) -> None:
        tally = self.tally
        tally.n_answers += 1
        tally.n_good += not reading.faults
        if ours is None:
            tally.add(Finding(OURS, HANG, case))
            return
        for how in departures(OURS, case, reading, ours):
            tally.add(Finding(OURS, how, case))
        others = {party: ask(case) for party, ask in OTHERS.items()}
        for party, outcome in others.items():
            for how in departures(party, case, reading, outcome):
                rows = explanation(party, how, reading, outcome)
                tally.explained.update((row.cause, party, how) for row in rows)
                if not rows:
                    tally.add(Finding(party, how, case))
        self.judge_stance(case, reading, ours, others)

    def judge_stance(self, case: Case, reading: Reading, ours: Outcome, others: dict) -> None:
        """qhttp against all others is looked at once more."""
        refusals = {outcome.why is None for outcome in (ours, *others.values())}
        if len(refusals) == 1:
            self.tally.n_agreed["accepted" if refusals.pop() else "refused"] += 1
        if stance := stand(ours, others):
            cause = sole_cause(stance, reading, others)
            self.tally.alone[stance, cause or "several causes"] += 1
            if cause and cause not in ALONE[stance]:
                self.tally.add(Finding(OURS, f"alone {stance}", case))

    def judge_cut(self, case: Case, reading: Reading, whole: Outcome | None, outcome: Outcome | None) -> None:
        """However an answer is cut, it is the same answer."""
        self.tally.n_cut += 1
        if outcome is None or whole is None:
            self.tally.add(Finding(OURS, HANG, case))
            return
        for how in departures(OURS, case, reading, outcome):
            self.tally.add(Finding(OURS, how, case))
        if outcome.why != whole.why:
            self.tally.add(Finding(OURS, "another outcome when cut", case))


def findings_of(case: Case) -> set[tuple[str, str]]:
    """What nothing explains in one case: (party, how)."""
    judge = Judge()
    judge.judge([replace(case, cuts=())], [case] if case.cuts else [])
    return {(finding.party, finding.how) for finding in judge.tally.findings}
