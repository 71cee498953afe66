"""TakenNames: one URL for a name; where names are not known before the answer, nothing is said."""
import pytest

from qhttp.bulk.taken_names import TakenNames

A, B = "http://a/x/data.csv", "http://b/y/data.csv"


def test_names_second_url_of_a_name_is_told_its_path():
    names = TakenNames({"dir": "/data"})
    assert (names.take(A), names.take(B), names.take({"url": B})) == (None, "/data/data.csv", "/data/data.csv")


@pytest.mark.parametrize("row", [A, {"url": A}, {"url": B, "out": "other"}, {"url": B, "dir": "other"}, {"url": B + "2"}])
def test_names_same_row_or_another_name_is_none_of_its_business(row):
    names = TakenNames({})
    assert (names.take(A), names.take(row)) == (None, None)


@pytest.mark.parametrize("settings", [{"into": "bytes"}, {"content_disposition": True}, {"method": "HEAD"}])
def test_names_where_there_is_none_yet_nothing_is_refused(settings):
    names = TakenNames(settings)
    assert (names.take(A), names.take(B)) == (None, None)


@pytest.mark.parametrize("row", [None, 1, {}, {"url": None}, {"url": "ftp://x/"}, {"url": A, "out": "../x"},
                                 {"url": A, "dir": 1}])
def test_names_row_that_is_none_is_left_to_the_worker(row):
    assert TakenNames({}).take(row) is None
