"""challenges: what is read from WWW-Authenticate and Proxy-Authenticate values, and what is skipped."""
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qhttp.protocol.challenges import (
    MAX_CHALLENGES,
    MAX_FIELD_LEN,
    MAX_PARAMETERS,
    octets,
    parse_challenges,
    parse_parameters,
    quoted,
)

PIECES = ["Basic", "digest ", "NTLM", " ", "  ", "\t", ",", ", ", "=", "==", '"', '""', "\\", '\\"', "realm", "nonce",
          'realm="a, b"', "realm=x", "charset = UTF-8", "TlRMTVNTUA==", "abc/+", "\xe4", "\x00", "\u20ac", "qop=auth", ";", "("]


def read(*values):
    return [(challenge.scheme, challenge.token or challenge.parameters) for challenge in parse_challenges(list(values))]


@pytest.mark.parametrize("value, expected", [
    ("Basic", [("basic", {})]),
    ('BASIC realm="the realm"', [("basic", {"realm": "the realm"})]),
    ("Basic realm=word", [("basic", {"realm": "word"})]),
    ('Basic Realm = "x" , CHARSET\t=UTF-8', [("basic", {"realm": "x", "charset": "UTF-8"})]),
    ('Basic realm=""', [("basic", {"realm": ""})]),
    (r'Basic realm="a \"b\" \\ c"', [("basic", {"realm": r'a "b" \ c'})]),
    ('Basic realm="a, Digest nonce=1, b"', [("basic", {"realm": "a, Digest nonce=1, b"})]),
    ('Basic ,, realm="x",,', [("basic", {"realm": "x"})]),
    (', Basic realm="x"', [("basic", {"realm": "x"})]),
    ("NTLM", [("ntlm", {})]),
    ("NTLM TlRMTVNTUAACAAAA", [("ntlm", "TlRMTVNTUAACAAAA")]),
    ("Negotiate oYG2/+-._~MIG== ", [("negotiate", "oYG2/+-._~MIG==")]),
    ('Negotiate, NTLM,Basic realm="x"', [("negotiate", {}), ("ntlm", {}), ("basic", {"realm": "x"})]),
    ('Negotiate abc=, Basic realm="x"', [("negotiate", "abc="), ("basic", {"realm": "x"})]),
    ('Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"',     # RFC 9110 section 11.6.1
     [("newauth", {"realm": "apps", "type": "1", "title": 'Login to "apps"'}), ("basic", {"realm": "simple"})]),
    ('Digest realm="a", qop="auth, auth-int", nonce=n, Digest realm="b", nonce=m',
     [("digest", {"realm": "a", "qop": "auth, auth-int", "nonce": "n"}), ("digest", {"realm": "b", "nonce": "m"})]),
])
def test_parse_challenges_well_formed_value_is_read(value, expected):
    assert read(value) == expected


@pytest.mark.parametrize("value, expected", [
    ("", []), (" , ,", []), ('"', []), ("=", []), ('realm="x"', []), ('="x", Basic', [("basic", {})]),
    ('Basic realm="open', [("basic", {})]),
    ('Basic realm="open\\', [("basic", {})]),
    ('Basic realm=My Site, charset=UTF-8', [("basic", {"charset": "UTF-8"})]),
    ('Basic realm="x"y, charset=UTF-8', [("basic", {"charset": "UTF-8"})]),
    ('Basic realm=, charset=UTF-8', [("basic", "realm=")]),
    ('Basic Digest realm="x"', [("basic", {})]),
    ('Basic (realm="a, b"), Digest nonce=1', [("basic", {}), ("digest", {"nonce": "1"})]),
    ('Basic realm="a", realm="b"', []),
    ('Basic realm="a", REALM="a", NTLM', [("ntlm", {})]),
    ("\u20acuro, NTLM", [("ntlm", {})]),
])
def test_parse_challenges_malformed_part_is_skipped(value, expected):
    assert read(value)[:len(expected) or None] == expected


def test_parse_challenges_several_fields_are_read_in_order():
    assert read("NTLM", 'Basic realm="x"', "") == [("ntlm", {}), ("basic", {"realm": "x"})]


def test_parse_challenges_more_than_the_bounds_is_left():
    assert len(read(", ".join(["Basic"] * 99))) == len(read(*["Basic"] * 99)) == MAX_CHALLENGES
    assert read("Basic realm=" + "x" * MAX_FIELD_LEN, "NTLM") == [("ntlm", {})]
    many = [f"p{n}=v" for n in range(MAX_PARAMETERS + 1)]
    assert len(read("Digest " + ", ".join(many[1:]))) == 1
    assert read("Digest " + ", ".join(many)) == []


@given(st.lists(st.one_of(st.text(max_size=40), st.lists(st.sampled_from(PIECES), max_size=12).map("".join)), max_size=4))
@settings(deadline=None)
def test_parse_challenges_any_text_never_raises(values):
    for challenge in parse_challenges(values):
        assert challenge.scheme and challenge.scheme == challenge.scheme.lower()
        assert not (challenge.token and challenge.parameters)
        assert all(name and name == name.lower() for name in challenge.parameters)
    for value in values:
        assert isinstance(parse_parameters(value), dict)


@pytest.mark.parametrize("piece", [",", '"', "a,", 'a="",', "a=,", "\\", "a ", " ", '"a",', "=", "Basic "])
def test_parse_challenges_longest_value_takes_no_square_time(piece):
    parse_challenges([(piece * MAX_FIELD_LEN)[:MAX_FIELD_LEN]])       # a square would be a billion steps: the suite would hang


@given(st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f")))
def test_quoted_text_is_read_back(text):
    assert parse_challenges([f"X a={quoted(text)}"])[0].parameters == {"a": text}


@pytest.mark.parametrize("value, expected", [
    ('nextnonce="n2", qop=auth, nc=00000001', {"nextnonce": "n2", "qop": "auth", "nc": "00000001"}),
    ("nextnonce=n2", {"nextnonce": "n2"}), ("", {}), ("abc==", {}), ("a=1, a=2", {}), ("x" * (MAX_FIELD_LEN + 1), {}),
])
def test_parse_parameters_value_without_scheme_is_read(value, expected):
    assert parse_parameters(value) == expected


@pytest.mark.parametrize("user, password, is_utf8, expected", [
    ("joe", "p\xe4", False, (b"joe", b"p\xe4", False)), ("j\xf6", "\u20ac", False, (b"j\xc3\xb6", b"\xe2\x82\xac", True)),
    ("j\xf6", "p", True, (b"j\xc3\xb6", b"p", True)), ("jo\u0308", "p", True, (b"j\xc3\xb6", b"p", True)),
])
def test_octets_are_latin1_where_it_suffices(user, password, is_utf8, expected):
    assert octets(user, password, is_utf8) == expected
