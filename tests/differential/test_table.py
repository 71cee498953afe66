"""The table of differences: each row is still true."""
import pytest

from differential.cases import Case
from differential.comparison import departures, explanation
from differential.differences import DIFFERENCES
from differential.parties import OTHERS
from differential.reading import read


@pytest.mark.parametrize("row", DIFFERENCES, ids=lambda row: row.cause)
def test_difference_examples_show_who_departs_and_in_what(row):
    seen = set()
    for case in (Case("GET", data) for data in row.examples):
        reading = read(case)
        assert row.cause in reading.faults | reading.notes
        for party, ask in OTHERS.items():
            outcome = ask(case)
            for how in departures(party, case, reading, outcome):
                rows = explanation(party, how, reading, outcome)
                assert rows
                seen |= {party} if row in rows else set()
    assert seen == set(row.ways)


def test_differences_causes_stand_once():
    assert len({row.cause for row in DIFFERENCES}) == len(DIFFERENCES)
