"""auth: Basic and Digest against the RFCs' and recorded values; the choice of a scheme; nothing secret shown."""
import hashlib
import sys
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qhttp.protocol import digest as digest_module
from qhttp.protocol.auth import Basic, Digest, Negotiated, choose, parse_challenges

NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
NONCE_2 = "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK"      # these of section 3.9.2
OPAQUE_2 = "HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS"
CNONCE_2 = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v"
RECORDED_CNONCE = "99e92818b6c1ea3e84469c3907932fd7"


def one(value):
    challenge, = parse_challenges([value])
    return challenge


def chosen(*values):
    return choose(parse_challenges(list(values)), "h.example")


# -- Basic
@pytest.mark.parametrize("value, user, password, expected", [
    ('Basic realm="WallyWorld"', "Aladdin", "open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),      # RFC 7617 section 2
    ('Basic realm="foo", charset="UTF-8"', "test", "123\xa3", "dGVzdDoxMjPCow=="),               # RFC 7617 section 2.1
    ('Basic realm="the realm"', "joe", "secret", "am9lOnNlY3JldA=="),                            # recorded
    ("Basic", "joe", "wrong", "am9lOndyb25n"),
    ("Basic", "test", "123\xa3", "dGVzdDoxMjOj"),
    ("Basic", "jo\xe9", "\u20ac", "am/DqTrigqw="),
    ("Basic", "", "to:ken", "OnRvOmtlbg=="),
    ("Basic", "joe", "x" * 200, None),
])
def test_basic_value_is_base64_of_the_octets(value, user, password, expected):
    sent = Basic(one(value)).value(user, password, "GET", "/")
    assert sent.isprintable() and sent.startswith("Basic ")
    assert expected is None or sent == f"Basic {expected}"


@pytest.mark.parametrize("user, password", [("jo:e", "s"), ("jo\ne", "s"), ("joe", "\x00"), ("\x7f", "s"), ("joe", "\ud800")])
def test_basic_credentials_it_cannot_carry_are_refused(user, password):
    scheme = Basic(one("Basic"))
    assert scheme.prepare(user, password) != ""
    with pytest.raises(ValueError, match="user name"):
        scheme.value(user, password, "GET", "/")


# -- Digest
@pytest.mark.parametrize("algorithm, response", [
    ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
    ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
])
def test_digest_rfc_7616_section_3_9_1_gives_its_response(algorithm, response):
    scheme = Digest(one(f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, nonce="{NONCE}", '
                        f'opaque="{OPAQUE}"'), CNONCE)
    assert scheme.value("Mufasa", "Circle of Life", "GET", "/dir/index.html") == (
        f'Digest username="Mufasa", realm="http-auth@example.org", nonce="{NONCE}", uri="/dir/index.html", opaque="{OPAQUE}", '
        f'response="{response}", algorithm={algorithm}, qop=auth, nc=00000001, cnonce="{CNONCE}"')


def section_3_9_2():
    return Digest(one(f'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, nonce="{NONCE_2}", '
                      f'opaque="{OPAQUE_2}", charset=UTF-8, userhash=true'), CNONCE_2)


def value_of_3_9_2(username, response):
    return (f'Digest username="{username}", realm="api@example.org", nonce="{NONCE_2}", uri="/doe.json", opaque="{OPAQUE_2}", '
            f'response="{response}", algorithm=SHA-512-256, qop=auth, nc=00000001, cnonce="{CNONCE_2}", userhash=true')


@pytest.mark.skipif(not digest_module._has_hash("sha512_256"), reason="this OpenSSL has no SHA-512/256")
def test_digest_rfc_7616_section_3_9_2_gives_the_values_of_sha_512_256():
    """The values of erratum 4897, not those printed: see the next test."""
    assert section_3_9_2().value("J\xe4s\xf8n Doe", "Secret, or not?", "GET", "/doe.json") == value_of_3_9_2(
        "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b",
        "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5")


def test_digest_rfc_7616_section_3_9_2_as_printed_is_sha_512_cut_short(monkeypatch):
    """Everything but the hash agrees with what is printed there, which was made with the first half of SHA-512."""
    class Cut:
        def __init__(self, name, data=b"", usedforsecurity=True):
            self._digest = hashlib.sha512(data)

        def hexdigest(self):
            return self._digest.hexdigest()[:64]

    monkeypatch.setattr(hashlib, "new", Cut)
    assert section_3_9_2().value("J\xe4s\xf8n Doe", "Secret, or not?", "GET", "/doe.json") == value_of_3_9_2(
        "488869477bf257147b804c45308cd62ac4e25eb717b12b298c79e62dcea254ec",
        "ae66e67d6b427bd3f120414a82e4acff38e8ecd9101d6c861229025f607a79dd")


def test_digest_rfc_2617_section_3_5_gives_its_response():
    scheme = Digest(one('Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
                        'opaque="5ccc069c403ebaf9f0171e9517f40e41"'), "0a4f113b")
    assert 'response="6629fae49393a05397450978507c4ef1", qop=auth, nc=00000001, cnonce="0a4f113b"' in scheme.value(
        "Mufasa", "Circle Of Life", "GET", "/dir/index.html")


OP = 'realm="dr", nonce="abc123", qop="auth", opaque="op4que"'


@pytest.mark.parametrize("challenge, requests", [
    (OP, [("GET", "/s?q=1", 'opaque="op4que", response="68565218a81a4bf1e2fea32ca22048d6", qop=auth, nc=00000001'),
          ("GET", "/t", 'opaque="op4que", response="8082862eaab733db133108042ec35206", qop=auth, nc=00000002')]),
    (OP, [("GET", "/s", 'opaque="op4que", response="176d896ebf4b8c719b3a2b1d357bec4f", qop=auth, nc=00000001')]),
    (OP, [("POST", "/s", 'opaque="op4que", response="b3928e183ce72b9dc8355acc12a4f470", qop=auth, nc=00000001')]),
    ('realm="dr", nonce="n1", algorithm=MD5, qop="auth-int,auth"',
     [("GET", "/s", 'response="70c71e7e8da7dd77d260a0de28553059", algorithm=MD5, qop=auth, nc=00000001')]),
    ('realm="dr", nonce="n1", algorithm=MD5-sess, qop="auth"',
     [("GET", "/s", 'response="921157c0b34b59fa21e8f1028fd7562b", algorithm=MD5-sess, qop=auth, nc=00000001')]),
])
def test_digest_recorded_challenge_gives_the_recorded_values(challenge, requests):
    scheme = Digest(one(f"Digest {challenge}"), RECORDED_CNONCE)
    nonce = "abc123" if "abc123" in challenge else "n1"
    for method, target, rest in requests:
        assert scheme.value("joe", "secret", method, target) == (
            f'Digest username="joe", realm="dr", nonce="{nonce}", uri="{target}", {rest}, cnonce="{RECORDED_CNONCE}"')


def md5(text):
    return hashlib.md5(text.encode("latin-1"), usedforsecurity=False).hexdigest()


def test_digest_without_qop_is_that_of_rfc_2069():
    response = md5(f"{md5('joe:dr:secret')}:n1:{md5('GET:/s')}")
    assert Digest(one('Digest realm="dr", nonce="n1"')).value("joe", "secret", "GET", "/s") == (
        f'Digest username="joe", realm="dr", nonce="n1", uri="/s", response="{response}"')


def test_digest_sess_without_qop_sends_its_cnonce():
    response = md5(f"{md5(md5('joe:dr:secret') + ':n1:c')}:n1:{md5('GET:/s')}")
    assert Digest(one('Digest realm="dr", nonce="n1", algorithm=md5-SESS'), "c").value("joe", "secret", "GET", "/s").endswith(
        f'uri="/s", response="{response}", algorithm=md5-SESS, cnonce="c"')


def test_digest_values_are_quoted_again():
    scheme = Digest(one(r'Digest realm="a \"b\\", nonce="n\"", opaque=""'))
    assert scheme.realm == 'a "b\\'
    assert scheme.value('j"o\\e', "s", "GET", '/"\\').startswith(
        r'Digest username="j\"o\\e", realm="a \"b\\", nonce="n\"", uri="/\"\\", opaque="", response="')


@pytest.mark.parametrize("challenge, user, password, username", [
    ("", "J\xe4s\xf8n", "s", 'username="J\xe4s\xf8n"'),
    (", charset=UTF-8", "J\xe4s\xf8n Doe", "s", "username*=UTF-8''J%C3%A4s%C3%B8n%20Doe"),       # as in RFC 7616 section 4
    (", charset=utf-8", "joe", "\u20ac", 'username="joe"'),
    (", charset=UTF-8", "\u212aim", "s", 'username="Kim"'),         # the sign of Kelvin: its normal form is a K
    ("", "\u20ac*'", "s", "username*=UTF-8''%E2%82%AC%2A%27"),
    ("", "joe", "\u20ac", 'username="joe"'),
])
def test_digest_user_name_is_sent_in_the_form_that_fits(challenge, user, password, username):
    value = Digest(one(f'Digest realm="dr", nonce="n1", qop=auth{challenge}')).value(user, password, "GET", "/")
    assert value.startswith(f"Digest {username}, realm=")
    value.encode("latin-1")


def test_digest_userhash_has_no_extended_user_name():
    value = Digest(one('Digest realm="dr", nonce="n1", userhash=TRUE, charset=UTF-8')).value("J\xe4", "s", "GET", "/")
    hashed = hashlib.md5(b"J\xc3\xa4:dr", usedforsecurity=False).hexdigest()
    assert value.startswith(f'Digest username="{hashed}", ')
    assert value.endswith(", userhash=true")


def test_digest_cnonce_is_32_random_hex_digits():
    cnonces = {Digest(one(f"Digest {OP}")).value("joe", "s", "GET", "/").rpartition("cnonce=")[2] for _ in range(9)}
    assert len(cnonces) == 9
    assert all(len(cnonce) == 34 and set(cnonce[1:-1]) <= set("0123456789abcdef") for cnonce in cnonces)


@pytest.mark.parametrize("challenge", [
    'realm="x"', 'nonce="x"', 'realm="x", nonce=""', 'realm="x", nonce="y", qop="auth-int"', 'realm="x", nonce="y", qop=other',
    'realm="x", nonce="y", algorithm=SHA-1', 'realm="x", nonce="y", algorithm=-sess', 'realm="x", nonce="y", algorithm=""-sess',
    'realm="x\ny", nonce="y"', 'realm="x", nonce="y\x00"', 'realm="x", nonce="y", opaque="\x7f"', 'realm="\u20ac", nonce="y"',
    'realm="x", nonce="y", algorithm="SHA-256\x01"',
])
def test_digest_challenge_that_cannot_be_answered_is_not_chosen(challenge):
    if not challenge.endswith('""-sess'):       # a malformed part: skipped, so that MD5 is meant
        assert chosen(f"Digest {challenge}") is None
    assert chosen(f"Digest {challenge}", "Basic").name in ("Basic", "Digest")


@pytest.mark.parametrize("user", ["jo\ne", "\x00", "\ud800"])
def test_digest_user_name_that_cannot_be_sent_is_refused(user):
    with pytest.raises(ValueError, match="user name"):
        Digest(one(f"Digest {OP}")).value(user, "s", "GET", "/")


@pytest.mark.parametrize("later, goes_on", [
    ('realm="dr", nonce="n2", stale=true', True), ('realm="dr", nonce="n2", stale="TRUE"', True),
    ('realm="dr", nonce="n2"', False), ('realm="dr", nonce="n2", stale=false', False),
    ('realm="dr", nonce="n1", stale=true', False), ('realm="dr", nonce="n2", stale=true, qop="auth-int"', False),
    ('realm="other", nonce="n1"', True), ('realm="other"', False),
])
def test_digest_further_challenge_goes_on_when_stale_or_for_another_realm(later, goes_on):
    scheme = Digest(one('Digest realm="dr", nonce="n1", qop=auth'))
    scheme.value("joe", "s", "GET", "/")
    assert scheme.is_of(one(f"Digest {later}"))
    assert scheme.again(one(f"Digest {later}")) is goes_on
    value = scheme.value("joe", "s", "GET", "/")
    assert ('nonce="n2"' in value) is (goes_on and "n2" in later)
    assert ("nc=00000002" in value) is not goes_on


def test_digest_challenge_of_another_algorithm_is_not_its_own():
    scheme = Digest(one(f"Digest {OP}"))
    assert scheme.is_of(one(f"Digest {OP}, algorithm=md5"))
    assert not scheme.is_of(one(f"Digest {OP}, algorithm=SHA-256")) and not scheme.is_of(one("Basic"))


@pytest.mark.parametrize("info, nonce, count", [
    ('nextnonce="n2", qop=auth', "n2", 1), ('nextnonce="abc123"', "abc123", 2), ("", "abc123", 2), ("garbage==", "abc123", 2),
    ('nextnonce="\n"', "abc123", 2), ('nextnonce="\u20ac"', "abc123", 2), ('rspauth="x"', "abc123", 2),
])
def test_digest_nextnonce_is_used_for_the_next_request(info, nonce, count):
    scheme = Digest(one(f"Digest {OP}"))
    scheme.value("joe", "s", "GET", "/")
    scheme.informed(info)
    value = scheme.value("joe", "s", "GET", "/")
    assert f'nonce="{nonce}"' in value and f"nc={count:08x}" in value


def test_digest_nextnonce_keeps_the_session_of_sess():
    scheme = Digest(one('Digest realm="dr", nonce="n1", algorithm=MD5-sess, qop=auth'), "c")
    scheme.informed("nextnonce=n2")
    response = md5(f"{md5(md5('joe:dr:s') + ':n1:c')}:n2:00000001:c:auth:{md5('GET:/')}")
    assert f'response="{response}"' in scheme.value("joe", "s", "GET", "/")


# -- the choice
D = 'Digest realm="x", nonce="y"'


@pytest.mark.parametrize("values, expected", [
    (["Basic", D], "Digest"), ([f"Basic, {D}, Unknown"], "Digest"), (["bASIC"], "Basic"), (["Unknown"], None), ([], None),
    (["Bearer abc", 'Basic realm="r"'], "Basic"), ([f'{D}, qop="auth-int"', "Basic"], "Basic"),
])
def test_choose_is_the_strongest_that_can_be_done(values, expected):
    scheme = chosen(*values)
    assert (scheme.name if scheme else None) == expected


def test_choose_is_the_strongest_algorithm_and_the_first_of_equals():
    best = chosen(f"{D}, algorithm=MD5", f"{D}, algorithm=SHA-256", f"{D}, algorithm=SHA-1", f"{D}, algorithm=SHA-256-sess")
    assert ", algorithm=SHA-256, " in best.value("joe", "s", "GET", "/") + ", "


def test_choose_without_some_takes_the_next():
    assert choose(parse_challenges([D, "Basic"]), "h", {"Digest"}).name == "Basic"


def test_choose_without_a_scheme_of_pyspnego_does_not_ask_for_it(monkeypatch):
    monkeypatch.setattr("qhttp.protocol.auth.Negotiated", lambda *args: pytest.fail("it was asked for"))
    assert choose(parse_challenges(["Negotiate, NTLM, Basic"]), "h", {"Negotiate", "NTLM"}).name == "Basic"


def test_choose_without_pyspnego_passes_over_its_schemes(monkeypatch):
    monkeypatch.setitem(sys.modules, "spnego", None)
    assert chosen("Negotiate", "NTLM") is None
    assert chosen("Negotiate, NTLM, Basic").name == "Basic"


def test_choose_hash_that_is_not_there_passes_over_its_algorithm(monkeypatch):
    monkeypatch.setattr(digest_module, "_has_hash", lambda name: name != "md5")
    assert chosen(D, "Basic").name == "Basic"
    assert chosen(D, f"{D}, algorithm=SHA-256").name == "Digest"


# -- secrets
SECRET = st.text(st.characters(categories=("L", "N", "Cc", "Cs")), min_size=1, max_size=8).map("#{}#".format)


@given(SECRET, SECRET, st.sampled_from(["Basic", "Basic charset=UTF-8", f"Digest {OP}", f"Digest {OP}, charset=UTF-8"]))
@settings(deadline=None)
def test_schemes_show_no_credential_anywhere(user, password, value):
    scheme = chosen(value)
    shown = [scheme.prepare(user, password)]
    try:
        scheme.value(user, password, "GET", "/")
    except ValueError as error:
        assert error.__context__ is None and error.__cause__ is None
        shown += [str(error), repr(error), "".join(traceback.format_exception(error))]
    shown += [repr(scheme), str(scheme), repr(one(value))]
    assert not any(secret in text for text in shown for secret in (user, password, ascii(user)[1:-1], ascii(password)[1:-1]))


def test_negotiated_is_a_scheme_of_connections_and_the_others_are_not():
    assert (Negotiated.is_per_connection, Basic.is_per_connection, Digest.is_per_connection) == (True, False, False)
