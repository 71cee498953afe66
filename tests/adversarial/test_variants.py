"""Other spellings of hostile answers, and what is at and around each limit: played in this process, where each costs little.

The cases are in the form of the corpus (corpus.py), so that the campaign can play them on every way, too (--cases).
"""
import pathlib

import pytest

from adversarial.corpus import cases
from adversarial.play import Player
from adversarial.verdicts import verdict
from adversarial.ways import WAYS, why_not

DATA = pathlib.Path(__file__).parent / "data" / "more.json"
CASES = {name: {**case, "max_seconds": max(case["max_seconds"], 3)} for name, case in cases(DATA).items()}
PLAYED = ("qhttp-direct", "client-direct", "files-direct")


@pytest.fixture(scope="module")
def players():
    return {way: Player(way, None) for way in PLAYED}


@pytest.mark.parametrize("way, name", [
    (way, name) for way in PLAYED for name, case in CASES.items() if not why_not(WAYS[way], case)])
def test_variant_gets_the_right_verdict(way, name, players):
    found = verdict(*players[way].play(CASES[name], "whole"))
    if found.faults and found.may_be_load:
        found = verdict(*players[way].play(CASES[name], "whole"))
    assert (found.faults, found.unpreferred) == ((), None)
