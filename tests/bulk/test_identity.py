"""Identity: credentials and cookies each go to the one they are for."""
import sys
import types

import pytest
from support.credentials import PASSWORD, USER, basic

from qhttp.bulk.identity import Identity
from qhttp.bulk.settings import Settings
from qhttp.engine.route import CACHING, CONNECT, SOCKS
from qhttp.errors import AuthenticationRequired, ProxyAuthenticationRequired

HOME, AWAY = ("http", "a.test", 80), ("http", "b.test", 80)
HEAD = b"GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n"
BLOCK = b'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="r"\r\nContent-Length: 0\r\n\r\n'
DIGEST = b'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="r", nonce="%b", qop="auth"%b\r\nContent-Length: 0\r\n\r\n'


def identity(has_proxy=False, **settings):
    return Identity.needed(Settings(**{"user": (USER, PASSWORD), **settings}), has_proxy)


def transfer_at(origin, proxy=None, is_fetched=False):
    route = types.SimpleNamespace(proxy=proxy, is_fetched=is_fetched)
    return types.SimpleNamespace(
        place=(origin, b"/x"),
        home=HOME,
        is_at_home=origin == HOME,
        route=route,
        editions=None,
        url_effective="http://a.test/x",
        headers=[],
    )


def names(fields):
    return [name for name, _ in fields or ()]


@pytest.mark.parametrize(
    "settings, has_proxy, is_needed",
    [
        ({"user": None}, False, False),
        ({}, False, True),
        ({"user": None}, True, True),
        ({"user": None, "cookies": True}, False, True),
        ({"user": None, "netrc": True}, False, True),
        ({"user": None, "cookies": False}, False, False),
    ],
)
def test_identity_is_made_where_somebody_may_ask(settings, has_proxy, is_needed):
    assert (identity(has_proxy, **settings) is not None) is is_needed


def test_identity_nothing_is_sent_before_a_challenge():
    assert not identity().credentials(transfer_at(HOME), HEAD, True)


def test_identity_challenge_of_home_is_answered_with_the_user():
    me, transfer = identity(), transfer_at(HOME)
    me.credentials(transfer, HEAD, True)
    assert me.challenged(transfer, BLOCK, 401) is True
    assert me.credentials(transfer, HEAD, True) == [(b"Authorization", basic().encode())]


@pytest.mark.parametrize("origin", [AWAY, ("https", "a.test", 443), ("http", "a.test", 8080)])
def test_identity_challenge_of_another_origin_gets_nothing(origin):
    me, home, away = identity(), transfer_at(HOME), transfer_at(origin)
    me.credentials(home, HEAD, True)
    me.challenged(home, BLOCK, 401)
    assert not me.credentials(away, HEAD, True)
    error = me.challenged(away, BLOCK, 401)
    assert isinstance(error, AuthenticationRequired) and PASSWORD not in str(error) and USER not in str(error)


def test_identity_second_challenge_to_the_same_credentials_is_the_end():
    me, transfer = identity(), transfer_at(HOME)
    me.credentials(transfer, HEAD, True)
    me.challenged(transfer, BLOCK, 401)
    me.credentials(transfer, HEAD, True)
    error = me.challenged(transfer, BLOCK, 401)
    assert isinstance(error, AuthenticationRequired) and PASSWORD not in str(error)


def test_identity_challenge_to_a_request_that_went_out_without_is_no_rejection():
    """Many requests go out before the first challenge comes: each is sent once more."""
    me, transfers = identity(), [transfer_at(HOME) for _ in range(20)]
    for transfer in transfers:
        me.credentials(transfer, HEAD, True)
    assert [me.challenged(transfer, BLOCK, 401) for transfer in transfers] == [True] * 20
    assert names(me.credentials(transfers[0], HEAD, False)) == [b"Authorization"]


def test_identity_scheme_that_is_not_known_is_an_error():
    me, transfer = identity(), transfer_at(HOME)
    me.credentials(transfer, HEAD, True)
    error = me.challenged(transfer, BLOCK.replace(b"Basic", b"Mystery"), 401)
    assert isinstance(error, AuthenticationRequired) and "not known" in str(error)


def test_identity_without_login_is_an_error():
    error = identity(user=None, netrc=False, cookies=True).challenged(transfer_at(HOME), BLOCK, 401)
    assert isinstance(error, AuthenticationRequired)


def write_netrc(tmp_path, text):
    path = tmp_path / "netrc"
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def test_identity_netrc_login_is_for_its_host_also_after_a_redirect(tmp_path):
    me = identity(user=None, netrc=write_netrc(tmp_path, "machine b.test login franz password secret\n"))
    for origin, expected in ((AWAY, True), (HOME, AuthenticationRequired)):
        transfer = transfer_at(origin)
        me.credentials(transfer, HEAD, True)
        outcome = me.challenged(transfer, BLOCK, 401)
        assert outcome is True if expected is True else isinstance(outcome, expected)


@pytest.mark.parametrize("entry", ["machine b.test", "machine a.test", "machine A.test", "default", "machine default"])
@pytest.mark.parametrize("home, origin, named", [
    (HOME, AWAY, "b.test"), (HOME, ("https", "b.test", 443), "b.test"),
    (("https", "a.test", 443), ("https", "b.test", 443), "b.test"),
    (HOME, ("https", "a.test", 443), "a.test"),             # the same host, and safer than before
    (HOME, ("http", "a.test", 8080), None), (HOME, ("https", "a.test", 8443), None),
    (("https", "a.test", 443), HOME, None), (("https", "a.test", 443), AWAY, None), (HOME, ("http", "default", 80), None),
])
def test_identity_netrc_where_a_redirect_leads_only_what_names_that_host(home, origin, named, entry, tmp_path):
    me = identity(user=None, netrc=write_netrc(tmp_path, f"{entry} login franz password secret\n"))
    transfer = transfer_at(origin)
    transfer.home, transfer.is_at_home = home, False
    me.credentials(transfer, HEAD, True)
    is_given = me.challenged(transfer, BLOCK, 401) is True
    assert is_given is (named is not None and entry.lower() == f"machine {named}")


def test_identity_netrc_is_not_read_for_every_request(tmp_path, monkeypatch):
    import netrc
    n_read, real = [], netrc.netrc
    monkeypatch.setattr(netrc, "netrc", lambda *arguments: n_read.append(1) or real(*arguments))
    me = identity(user=None, netrc=write_netrc(tmp_path, "machine a.test login franz password secret\n"))
    for _ in range(10):
        me.credentials(transfer_at(HOME), HEAD, True)
    assert len(n_read) <= 1


def test_identity_user_goes_before_netrc(tmp_path):
    me, transfer = identity(netrc=write_netrc(tmp_path, "default login other password other\n")), transfer_at(HOME)
    me.credentials(transfer, HEAD, True)
    me.challenged(transfer, BLOCK, 401)
    assert me.credentials(transfer, HEAD, True) == [(b"Authorization", basic().encode())]


# -- what authenticates a connection, of which there are many here
OTHERS = {"Basic": 'Basic realm="r"', "Digest": 'Digest realm="r", nonce="n", qop="auth"'}


@pytest.fixture(params=["with pyspnego", "without pyspnego"])
def spnego(request, monkeypatch):
    """Whether it is there; it must never be given a password here."""
    module = None
    if request.param == "with pyspnego":
        module = types.ModuleType("spnego")
        module.Password = lambda *login: pytest.fail("pyspnego was given the password")
        module.client = lambda *args, **options: types.SimpleNamespace(step=lambda: b"a leg")
    monkeypatch.setitem(sys.modules, "spnego", module)
    return module is not None


def challenge(status, *values):
    name = b"WWW-Authenticate" if status == 401 else b"Proxy-Authenticate"
    fields = b"".join(b"%b: %b\r\n" % (name, value.encode()) for value in values)
    return b"HTTP/1.1 %d No\r\n%bContent-Length: 0\r\n\r\n" % (status, fields)


def asked(me, status, *values, is_fetched=True):
    """What becomes of a server's or proxy's challenge: the outcome, and what the next request carries."""
    proxy = types.SimpleNamespace(party=me.proxy_party(CACHING if is_fetched else CONNECT, "p.test", 80, USER, PASSWORD))
    transfer = transfer_at(HOME, proxy if status == 407 else None, status == 407 and is_fetched)
    me.credentials(transfer, HEAD, True)
    block = challenge(status, *values)
    outcome = me.challenged(transfer, block, status) if status == 401 or is_fetched else me.proxy_challenged(transfer, block, 0)
    return outcome, [value for _, value in me.credentials(transfer, HEAD, True) or ()]


@pytest.mark.parametrize("status", [401, 407])
@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("names", [["Negotiate"], ["NTLM"], ["Negotiate", "NTLM"]])
def test_identity_connection_scheme_is_passed_over_for_another(names, other, status, spnego):
    for values in ([*names, OTHERS[other]], [OTHERS[other], *names]):
        outcome, (value,) = asked(identity(True), status, *values)
        assert outcome is True and value.startswith(other.encode() + b" ")


def test_identity_connection_scheme_of_a_tunnel_is_passed_over_for_another(spnego):
    me = identity(True)
    assert asked(me, 407, "Negotiate", OTHERS["Basic"], is_fetched=False) == (True, [])
    assert me.proxy_party(CONNECT, "p.test", 80, USER, PASSWORD).scheme.name == "Basic"


@pytest.mark.parametrize("status, kind", [(401, AuthenticationRequired), (407, ProxyAuthenticationRequired)])
@pytest.mark.parametrize("name", ["Negotiate", "NTLM"])
def test_identity_connection_scheme_alone_is_an_error_and_gets_nothing(name, status, kind, spnego):
    me = identity(True)
    for _ in range(2):
        outcome, values = asked(me, status, name)
        assert type(outcome) is kind and values == [] and PASSWORD not in str(outcome)
        assert (f"wants {name}, which only QHttp knows" if spnego else "not known here") in str(outcome)
    assert asked(me, status, name, OTHERS["Basic"]) == (True, [basic().encode()])      # nobody has rejected them


def test_identity_connection_scheme_beside_a_rejected_one_is_not_tried(spnego):
    me, transfer = identity(), transfer_at(HOME)
    for expected in (True, AuthenticationRequired):
        me.credentials(transfer, HEAD, True)
        outcome = me.challenged(transfer, challenge(401, "Negotiate", OTHERS["Basic"]), 401)
        assert outcome is True if expected is True else type(outcome) is expected and "does not accept" in str(outcome)
    assert not me.credentials(transfer, HEAD, True)


# -- proxies
PROXY_BLOCK = BLOCK.replace(b"401", b"407").replace(b"WWW", b"Proxy")


@pytest.mark.parametrize("kind, is_fetched", [(CACHING, True), (CONNECT, False)])
def test_identity_proxy_gets_its_own_user(kind, is_fetched):
    me = identity(True)
    proxy = types.SimpleNamespace(party=me.proxy_party(kind, "p.test", 80, "puser", "ppw"))
    transfer = transfer_at(HOME, proxy, is_fetched)
    me.credentials(transfer, HEAD, True)
    assert (me.challenged(transfer, PROXY_BLOCK, 407) if is_fetched else me.proxy_challenged(transfer, PROXY_BLOCK, 0)) is True
    expected = [b"Proxy-Authorization"] if is_fetched else []      # else it goes out with CONNECT only
    fields = me.credentials(transfer, HEAD, True)
    assert names(fields) == expected
    assert basic("puser", "ppw").encode() in [value for _, value in fields or ()] or not is_fetched


@pytest.mark.parametrize("kind", [CONNECT, SOCKS])
def test_identity_407_of_a_server_behind_a_tunnel_says_nothing_of_the_proxy(kind):
    me = identity(True)
    party = me.proxy_party(kind, "p.test", 80, "puser", "ppw")
    transfer = transfer_at(HOME, types.SimpleNamespace(party=party))
    me.credentials(transfer, HEAD, True)
    assert isinstance(me.challenged(transfer, PROXY_BLOCK, 407), ProxyAuthenticationRequired)
    assert party.scheme is None and party.login() == ("puser", "ppw")


def test_identity_proxy_without_user_is_an_error():
    me = identity(True)
    proxy = types.SimpleNamespace(party=me.proxy_party(CACHING, "p.test", 80, "", ""))
    transfer = transfer_at(HOME, proxy, True)
    me.credentials(transfer, HEAD, True)
    assert isinstance(me.challenged(transfer, PROXY_BLOCK, 407), ProxyAuthenticationRequired)


def test_identity_407_without_a_proxy_is_an_error():
    assert isinstance(identity().challenged(transfer_at(HOME), PROXY_BLOCK, 407), ProxyAuthenticationRequired)


def test_identity_proxy_parties_are_told_apart_by_all_that_is_given():
    me = identity(True)
    party = me.proxy_party(CACHING, "p.test", 80, "u", "p")
    assert me.proxy_party(CACHING, "p.test", 80, "u", "p") is party
    for other in (
        (CONNECT, "p.test", 80, "u", "p"),
        (CACHING, "p.test", 81, "u", "p"),
        (CACHING, "p.test", 80, "v", "p"),
        (CACHING, "p.test", 80, "u", "q"),
    ):
        assert me.proxy_party(*other) is not party


# -- Digest, many times
def test_identity_digest_nonces_that_grow_stale_are_no_rejection():
    """A server may want a fresh nonce again and again; in between answers are accepted."""
    me = identity()
    for number in range(20):
        transfer = transfer_at(HOME)
        me.credentials(transfer, HEAD, True)
        outcome = me.challenged(transfer, DIGEST % (b"n%d" % number, b", stale=true" if number else b""), 401)
        assert outcome is True, f"after {number} fresh nonces"
        assert names(me.credentials(transfer, HEAD, False)) == [b"Authorization"]
        me.answered(transfer)


def test_identity_right_credentials_stay_right_after_a_wrong_answer_elsewhere():
    me, transfer = identity(), transfer_at(HOME)
    me.credentials(transfer, HEAD, True)
    me.answered(transfer)           # no challenge: nobody has accepted anything
    assert me.challenged(transfer, BLOCK, 401) is True


def test_identity_cookies_of_an_answer_are_kept():
    me, transfer = identity(cookies=True), transfer_at(HOME)
    transfer.headers = [("Set-Cookie", "k=v")]
    me.credentials(transfer, HEAD, True)
    me.answered(transfer)
    assert me.cookies.header_for("http://a.test/") == "k=v" and me.cookies.header_for("http://b.test/") is None
