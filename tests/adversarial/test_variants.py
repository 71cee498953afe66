"""Other spellings of hostile answers, and what is at and around each limit: played in this process, where each costs little.

The cases are in the form of the corpus (corpus.py). Those that need what only one client has are for that one.
"""
import pathlib

import pytest
from support.case_files import load_cases

from adversarial.bulk_client import client as bulk
from adversarial.client import client as face
from adversarial.corpus import DEFAULTS, missing_feature
from adversarial.judge import judge, may_be_load
from adversarial.play import run

DATA = pathlib.Path(__file__).parent / "data" / "more.json"
CASES = {case["id"]: DEFAULTS | {"max_seconds": 3} | case for case in load_cases(DATA)}


def faults_of(case, make_session):
    seen = run(case, "whole", None, make_session)
    if may_be_load(case, [seen]):
        seen = run(case, "whole", None, make_session)
    faults = [str(fault) for fault in judge(case, seen)]
    if seen.replies and "prefer" in case:
        [reply, *_] = seen.replies
        if (reply.error is not None) is not (case["prefer"] == "error"):
            faults.append(f"to be preferred is {case['prefer']}: {reply.status} {reply.error}")
    return faults


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not missing_feature(case)])
def test_variant_gets_the_right_verdict_of_qhttp(name):
    assert faults_of(CASES[name], face) == []


@pytest.mark.parametrize("name", CASES)
def test_variant_gets_the_right_verdict_of_a_client(name):
    assert faults_of(CASES[name], bulk) == []
