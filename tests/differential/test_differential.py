"""qhttp among other readers of HTTP/1.1: a short campaign, and the recorded adversarial answers. The long one is a program
(campaign.py)."""
from dataclasses import replace

import pytest
from support.watchdog import limited

from differential import judging
from differential.campaign import play, shrunk
from differential.cases import Case
from differential.judging import Judge
from differential.mutation import corpus_seeds
from differential.reading import read
from differential.shrinking import shortest

N_ANSWERS, SEED = 10_000, 20250
LIMIT_S = 120


@pytest.fixture(autouse=True)
def watchdog():
    with limited(LIMIT_S):
        yield


def test_differential_mutated_answers_every_difference_is_in_the_table():
    tally = play(SEED, N_ANSWERS)
    assert [str(shrunk(finding)) for finding in tally.findings] == []
    assert tally.n_unexplained == 0
    assert min(tally.n_good, tally.n_answers - tally.n_good, *tally.n_agreed.values()) > N_ANSWERS // 5
    assert tally.n_cut > N_ANSWERS // 10


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_differential_adversarial_answers_every_difference_is_in_the_table(method):
    judge = Judge()
    for is_reset in (False, True):
        cases = [Case(method, data, is_reset) for data in set(corpus_seeds())]
        judge.judge(cases, [replace(case, cuts=tuple(range(1, len(case.data)))) for case in cases])
    assert [str(finding) for finding in judge.tally.findings] == []


def test_differential_wrong_reading_is_found_and_shrunk(monkeypatch):
    def lax(case):
        reading = read(case)
        reading.faults.discard("coding-and-length")
        return reading

    monkeypatch.setattr(judging, "read", lax)
    found = [finding for finding in play(SEED, 500).findings if finding.party == "qhttp"]
    case = shrunk(found[0]).case
    assert found and found[0].how == "refuses"
    assert b"transfer-encoding:" in case.data.lower() and b"content-length:" in case.data.lower() and len(case.data) < 90


def test_shortest_takes_away_all_but_what_shows():
    case = shortest(Case("GET", b"abcdefghijklmnop", cuts=(3, 12)), lambda case: b"d" in case.data and b"m" in case.data)
    assert case == Case("GET", b"dm", cuts=(1,))
