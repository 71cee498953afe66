"""framing: which answers have which body, which are refused, and after which the connection stays open."""
import pytest

from qhttp.errors import ProtocolError
from qhttp.protocol.framing import decide, keeps_alive

NONE, LENGTH, CHUNKED, CLOSE = range(4)                     # qh_framing
NO_LENGTH, ONE_LENGTH, BAD_LENGTH = range(3)                # qh_length_state

PLAIN = {
    "reason_at": 13, "reason_len": 2, "status": 200, "major": 1, "minor": 1, "length_state": NO_LENGTH, "length": 0,
    "n_fields": 0, "n_codings": 0, "n_chunked": 0, "n_identity": 0, "chunked_is_last": 0, "codings_malformed": 0,
    "connection_close": 0, "connection_keep": 0, "has_fold": 0,
}
FIVE = {"length_state": ONE_LENGTH, "length": 5}
ZERO = {"length_state": ONE_LENGTH, "length": 0}
BAD = {"length_state": BAD_LENGTH}
CHUNKED_CODING = {"n_codings": 1, "n_chunked": 1, "chunked_is_last": 1}
IDENTITY = {"n_codings": 1, "n_identity": 1}


def facts(*parts, **more):
    """The facts of a 200 answer in HTTP/1.1, but for these."""
    merged = dict(PLAIN)
    for part in parts:
        merged |= part
    merged |= more
    assert merged.keys() == PLAIN.keys()
    return merged


@pytest.mark.parametrize("given, framing", [
    (facts(), CLOSE),
    (facts(minor=0), CLOSE),
    (facts(connection_keep=1), CLOSE),
    (facts(FIVE), LENGTH),
    (facts(FIVE, minor=0), LENGTH),
    (facts(ZERO), LENGTH),
    (facts(length_state=ONE_LENGTH, length=2**63 - 1), LENGTH),
    (facts(CHUNKED_CODING), CHUNKED),
    (facts(CHUNKED_CODING, connection_close=1), CHUNKED),
    (facts(IDENTITY), CLOSE),
    (facts(FIVE, status=404), LENGTH),
    (facts(FIVE, status=999), LENGTH),
    (facts(FIVE, status=206), LENGTH),
    (facts(FIVE, has_fold=1), LENGTH),
])
def test_decide_answer_with_a_body_by_its_fields(given, framing):
    assert decide(False, given) == framing


@pytest.mark.parametrize("status", [100, 102, 103, 199, 204, 205, 304])
@pytest.mark.parametrize("fields", [{}, FIVE, ZERO, CHUNKED_CODING, IDENTITY, {"n_codings": 2, "codings_malformed": 1}])
def test_decide_status_without_a_body_has_none(status, fields):
    assert decide(False, facts(fields, status=status)) == NONE


@pytest.mark.parametrize("fields", [{}, FIVE, CHUNKED_CODING, IDENTITY, {"minor": 0}, {"status": 404},
                                    {**FIVE, **CHUNKED_CODING}])
def test_decide_answer_to_head_has_no_body(fields):
    assert decide(True, facts(fields)) == NONE


@pytest.mark.parametrize("given", [
    facts(BAD),
    facts(BAD, CHUNKED_CODING),
    facts(BAD, status=204),
    facts(BAD, status=304),
    facts(CHUNKED_CODING, FIVE),
    facts(CHUNKED_CODING, ZERO),
    facts(CHUNKED_CODING, minor=0),
    facts(CHUNKED_CODING, codings_malformed=1),
    facts(n_codings=2, n_chunked=1, chunked_is_last=1),                     # gzip, chunked
    facts(n_codings=2, n_chunked=2, chunked_is_last=1),                     # chunked, chunked
    facts(n_codings=2, n_chunked=1),                                        # chunked, gzip
    facts(n_codings=1),                                                     # gzip
    facts(n_codings=1, codings_malformed=1),                                # an empty one
    facts(n_codings=2, n_identity=2),
    facts(n_codings=2, n_identity=1, n_chunked=1, chunked_is_last=1),       # identity, chunked
    facts(IDENTITY, FIVE),
    facts(IDENTITY, minor=0),
    facts(status=101),
    facts(FIVE, status=101),
])
def test_decide_answer_that_could_be_read_in_two_ways_is_refused(given):
    with pytest.raises(ProtocolError, match="Invalid HTTP response header"):
        decide(False, given)


@pytest.mark.parametrize("given", [facts(BAD), facts(status=101)])
def test_decide_answer_to_head_is_refused_for_what_makes_it_doubtful(given):
    with pytest.raises(ProtocolError):
        decide(True, given)


@pytest.mark.parametrize("framing, given, stays", [
    (LENGTH, facts(FIVE), True),
    (CHUNKED, facts(CHUNKED_CODING), True),
    (NONE, facts(status=204), True),
    (NONE, facts(status=304, length_state=ONE_LENGTH, length=5), True),
    (LENGTH, facts(FIVE, connection_keep=1), True),
    (LENGTH, facts(FIVE, connection_close=1), False),
    (LENGTH, facts(FIVE, connection_close=1, connection_keep=1), False),
    (LENGTH, facts(FIVE, minor=0), False),
    (LENGTH, facts(FIVE, minor=0, connection_keep=1), True),
    (LENGTH, facts(FIVE, minor=0, connection_keep=1, connection_close=1), False),
    (NONE, facts(minor=0), False),
    (CLOSE, facts(), False),
    (CLOSE, facts(connection_keep=1), False),
    (NONE, facts(status=205), True),
    (NONE, facts(ZERO, status=205), True),
    (NONE, facts(FIVE, status=205), False),
    (NONE, facts(CHUNKED_CODING, status=205), False),
])
def test_keeps_alive_by_version_tokens_and_framing(framing, given, stays):
    assert keeps_alive(framing, given) is stays


@pytest.mark.parametrize("name", PLAIN)
def test_decide_facts_that_are_not_complete_are_refused(name):
    with pytest.raises((ValueError, KeyError)):
        decide(False, {key: value for key, value in PLAIN.items() if key != name})
