"""The verdict on one play, small enough to keep a million of them; and rows of plays, played in one process.

    run_apart(WORK, {key: (way name, [(case, mode), ...], pem)}, ...) gives for each key a list of Verdicts
"""
from dataclasses import dataclass

from adversarial.judge import judge_all, may_be_load
from adversarial.play import Player

WORK = "adversarial.verdicts:judged"
PREFERRED = {"error": True, "ok": False}    # whether an error is preferred


@dataclass(frozen=True)
class Verdict:
    """What is wrong with one play, and what came of it."""
    faults: tuple[str, ...]
    may_be_load: bool           # all of them may be the fault of a busy machine
    is_hang: bool
    outcomes: tuple             # what has to be the same in each run
    unpreferred: str | None     # what was done instead of what the case prefers


def judged(way_name: str, plays: list, pem: str | None) -> list[Verdict]:
    """Plays (case, mode) pairs one after the other."""
    player = Player(way_name, pem)
    return [verdict(*player.play(case, mode)) for case, mode in plays]


def verdict(case: dict, observations: list) -> Verdict:
    return Verdict(tuple(judge_all(case, observations)), may_be_load(case, observations),
                   any(seen.hang for seen in observations),
                   tuple(outcome for seen in observations for outcome in outcomes(case, seen)),
                   next(filter(None, (unpreferred(case, seen) for seen in observations)), None))


def outcomes(case: dict, seen):
    """What a client made of each request; not of those that may go either way, because two ends of a connection race."""
    for n, reply in enumerate(seen.replies):
        if n == 0 or not case.get("probe_may_fail"):
            yield outcome(reply)
        if not case.get("behind_may_fail"):
            yield from (outcome(beside.reply) for beside in reply.beside)


def outcome(reply) -> tuple:
    return (reply.error_class,) if reply.error is not None else (reply.status, reply.body.length, reply.body.sha256[:8])


def unpreferred(case: dict, seen) -> str | None:
    prefers_error = PREFERRED.get(case.get("prefer"))
    if prefers_error is None or not seen.replies or not seen.replies[0].is_kept:
        return None                 # an answer that gives no file is either
    reply = seen.replies[0]
    if (reply.error is not None) is prefers_error:
        return None
    return f"refused: {reply.error}" if reply.error is not None else f"accepted: {reply.status}"
