"""auth: NTLM and Negotiate, leg by leg, against the acceptor of pyspnego."""
from base64 import b64decode, b64encode

import pytest

from qhttp.engine.authentication import PER_CONNECTION
from qhttp.protocol.auth import Negotiated, choose, parse_challenges

spnego = pytest.importorskip("spnego")
USER, PASSWORD = "DOM\\joe", "s3cret#"


@pytest.fixture
def acceptor(tmp_path, monkeypatch):
    """Makes servers that know one user: acceptor("ntlm")."""
    users = tmp_path / "users"
    users.write_text(f"DOM:joe:{PASSWORD}\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(users))
    return lambda protocol: spnego.server(hostname="h.example", service="http", protocol=protocol)


def chosen(*values):
    return choose(parse_challenges(list(values)), "h.example")


def challenge_of(scheme, token):
    challenge, = parse_challenges([f"{scheme.name} {b64encode(token).decode()}" if token else scheme.name])
    return challenge


def play(scheme, server, password=PASSWORD):
    """The legs up to the server's verdict: (whether it accepted, the number of values that were sent)."""
    assert scheme.prepare(USER, password) == ""
    for n_legs in range(1, 9):
        name, token = scheme.value(USER, password, "GET", "/").split()
        assert name == scheme.name
        assert scheme.value(USER, password, "GET", "/") is None      # a leg is sent once
        try:
            answer = server.step(b64decode(token, validate=True))
        except spnego.exceptions.SpnegoError:
            return False, n_legs
        if server.complete:
            return True, n_legs
        assert scheme.again(challenge_of(scheme, answer))
    raise AssertionError("no end of legs")


@pytest.mark.parametrize("name", ["NTLM", "Negotiate"])
def test_negotiated_right_password_is_accepted(acceptor, name):
    scheme = chosen(name.upper())
    assert (scheme.name, scheme.realm, scheme.is_per_connection) == (name, "", True)
    assert play(scheme, acceptor(name.lower())) == (True, 2)
    scheme.informed("")
    assert scheme.value(USER, PASSWORD, "GET", "/") is None      # the connection is authenticated


def test_negotiated_names_are_those_that_can_be_passed_over():
    assert {chosen(name).name for name in ("negotiate", "ntlm")} == PER_CONNECTION


@pytest.mark.parametrize("name", ["NTLM", "Negotiate"])
def test_negotiated_wrong_password_is_rejected(acceptor, name):
    scheme = chosen(name)
    assert play(scheme, acceptor(name.lower()), "wrong") == (False, 2)
    assert scheme.was_heard
    assert not scheme.again(challenge_of(scheme, b""))
    assert scheme.value(USER, "wrong", "GET", "/") is None


@pytest.mark.parametrize("name", ["NTLM", "Negotiate"])
def test_negotiated_new_connection_begins_with_the_first_leg(acceptor, name):
    scheme = chosen(name)
    assert play(scheme, acceptor(name.lower()))[0]
    scheme.restart()
    assert scheme.value(USER, PASSWORD, "GET", "/") is None      # nothing is sent unasked
    assert scheme.again(challenge_of(scheme, b""))
    first = b64decode(scheme.value(USER, PASSWORD, "GET", "/").split()[1])
    assert acceptor(name.lower()).step(first)       # a first leg, or it would raise


def test_negotiated_new_connection_before_the_first_leg_keeps_it_due():
    scheme = chosen("NTLM")
    scheme.prepare(USER, PASSWORD)
    scheme.restart()
    assert scheme.value(USER, PASSWORD, "GET", "/").startswith("NTLM TlRMTVNTUAABAAAA")


def test_negotiated_before_its_first_challenge_sends_nothing():
    assert chosen("NTLM").value(USER, PASSWORD, "GET", "/") is None


@pytest.mark.parametrize("name", ["NTLM", "Negotiate"])
@pytest.mark.parametrize("token", ["", "!", "abc", "AAAA", "TlRMTVNTUAAC", "YGFh", "oQcwBaADCgEC", "A" * 5000])
def test_negotiated_token_that_means_nothing_is_a_rejection(name, token):
    scheme = chosen(name)
    scheme.prepare(USER, PASSWORD)
    scheme.value(USER, PASSWORD, "GET", "/")
    challenge = challenge_of(scheme, b"")
    challenge.token = token
    assert scheme.again(challenge) is False
    assert scheme.was_heard is False
    assert scheme.value(USER, PASSWORD, "GET", "/") is None


def test_negotiated_that_cannot_begin_says_so_without_the_credentials(monkeypatch):
    def fail(*args, **options):
        raise OSError(f"no ticket for {USER} {PASSWORD}")

    monkeypatch.setattr(spnego, "client", fail)
    scheme = chosen("Negotiate")
    problem = scheme.prepare(USER, PASSWORD)
    assert "Negotiate" in problem and USER not in problem and PASSWORD not in problem
    assert scheme.value(USER, PASSWORD, "GET", "/") is None


def test_negotiated_asks_for_its_host_and_never_for_a_cache(monkeypatch):
    asked = []
    real = spnego.client
    monkeypatch.setattr(spnego, "client", lambda *args, **options: asked.append((args, options)) or real(*args, **options))
    chosen("NTLM").prepare(USER, "")
    (credential,), options = asked[0]
    assert type(credential) is spnego.Password
    assert options == {"hostname": "h.example", "service": "http", "protocol": "ntlm"}


def test_negotiated_repr_shows_no_credential():
    scheme = chosen("NTLM")
    scheme.prepare(USER, PASSWORD)
    assert type(scheme) is Negotiated and "joe" not in repr(scheme) and PASSWORD not in repr(scheme)


@pytest.mark.parametrize("values, expected", [
    (["Basic, NTLM"], "NTLM"), (["NTLM", 'Digest realm="x", nonce="y"'], "Digest"), (["NTLM, Negotiate, Basic"], "Negotiate"),
    (['Digest realm="x", nonce="y", algorithm=SHA-512-256', "negotiate"], "Negotiate"),
])
def test_choose_with_pyspnego_has_its_place_for_them(values, expected):
    assert chosen(*values).name == expected
