"""Other spellings of hostile answers, and what is at and around each limit: played in this process, where each costs little.

The cases are in the form of the corpus (corpus.py). They are of routes without TLS and proxies: what these change is another
matter.
"""
import pathlib

import pytest
from support.case_files import load_cases

from adversarial.corpus import DEFAULTS
from adversarial.judge import judge, may_be_load
from adversarial.play import Player
from adversarial.ways import WAYS, why_not

DATA = pathlib.Path(__file__).parent / "data" / "more.json"
CASES = {case["id"]: DEFAULTS | {"max_seconds": 3} | case for case in load_cases(DATA)}
ASKERS = "qhttp-direct", "client-direct", "files-direct"        # the last one for parts that are continued
ASKED = [(way, name) for way in ASKERS for name, case in CASES.items()
         if not why_not(WAYS[way], case) and (way != "files-direct" or "resume" in case.get("needs", []))]


@pytest.fixture(scope="module")
def players():
    """Made once: the first play of each is a warm-up."""
    return {way: Player(way, None) for way in ASKERS}


def faults_of(case, player):
    played, [seen] = player.play(case, "whole")
    if may_be_load(played, [seen]):
        played, [seen] = player.play(case, "whole")
    faults = [str(fault) for fault in judge(played, seen)]
    if seen.replies and "prefer" in case:
        [reply, *_] = seen.replies
        if (reply.error is not None) is not (case["prefer"] == "error"):
            faults.append(f"to be preferred is {case['prefer']}: {reply.status} {reply.error}")
    return faults


@pytest.mark.parametrize("way, name", ASKED)
def test_variant_gets_the_right_verdict(way, name, players):
    assert faults_of(CASES[name], players[way]) == []
