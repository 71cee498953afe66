"""SOCKS5 (RFC 1928, RFC 1929): what is sent, what may be answered, and in how many pieces."""
import sys

import pytest
from proxies.test_choice import OK, script
from support.actions import Close, Pause, Receive, ReceiveRequest, Reset, Send, StartTls
from support.credentials import PASSWORD, USER, WRONG_PASSWORD, basic, proxy_refused, refused, values
from support.faults import BODY

import qhttp
from qhttp import QNetworkProxy

ORIGIN, PORT = "origin.test", 8080
HTTPS = qhttp.QHttp.ConnectionModeHttps
METHODS = b"\x05\x02\x00\x02"
OPEN, LOGIN = b"\x05\x00", b"\x05\x02"
LET_IN, REFUSED_LOGIN = b"\x01\x00", b"\x01\x01"
REQUEST = b"\x05\x01\x00\x03\x0borigin.test\x1f\x90"
REPLY = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38"
REPLY_6 = b"\x05\x00\x00\x04" + bytes(16) + b"\x04\x38"
REPLY_NAME = b"\x05\x00\x00\x03\x05there\x04\x38"
REPLY_LONG_NAME = b"\x05\x00\x00\x03\xff" + b"n" * 255 + b"\x04\x38"
REPLY_NO_NAME = b"\x05\x00\x00\x03\x00\x04\x38"
RIGHT, WRONG = (USER, PASSWORD), (USER, WRONG_PASSWORD)
REJECTED = "ProxyAuthenticationRequiredError"
DID_NOT = "HTTP request failed: the SOCKS5 proxy did not connect: "


def login(user=USER, password=PASSWORD):
    name, secret = user.encode(), password.encode()
    return b"\x01%c%b%c%b" % (len(name), name, len(secret), secret)


def passing(request=REQUEST, reply=REPLY, cuts=()):
    """Lets the client pass without a login."""
    return [Receive(len(METHODS)), Send(OPEN), Receive(len(request)), Send(reply, cuts=cuts)]


def with_login(answer=LET_IN, given=login()):
    return [Receive(len(METHODS)), Send(LOGIN), Receive(len(given)), Send(answer)]


def at_request(*actions):
    return [Receive(len(METHODS)), Send(OPEN), Receive(len(REQUEST)), *actions]


@pytest.fixture
def asking(client):
    """Makes clients that go through this proxy: asking(proxy, user, password)."""
    def make(proxy, *given, host=ORIGIN, mode=qhttp.QHttp.ConnectionModeHttp, **answers):
        c = client(**answers)
        c.http.setProxy(QNetworkProxy(QNetworkProxy.Socks5Proxy, proxy.host, proxy.port, *given))
        c.http.setHost(host, mode, PORT)
        return c
    return make


# -- what is sent
def test_socks_http_exact_bytes_and_states(scripted_server, asking):
    proxy = scripted_server([*passing(), *script(OK, OK)])
    c = asking(proxy)
    assert [c.get("/a"), c.get("/b")] == [("NoError", BODY)] * 2
    fields = b" HTTP/1.1\r\nConnection: Keep-Alive\r\nHost: origin.test:8080\r\n\r\n"
    assert proxy.requests == [[METHODS, REQUEST, b"GET /a" + fields, b"GET /b" + fields]]
    assert c.told.states == ["Connecting", "Sending", "Reading", "Connected", "Sending", "Reading", "Connected"]


@pytest.mark.parametrize("host, sent", [
    ("1.2.3.4", b"\x01\x01\x02\x03\x04"), ("::1", b"\x04" + bytes(15) + b"\x01"), ("[::1]", b"\x04" + bytes(15) + b"\x01"),
    ("localhost", b"\x03\x09localhost"), ("no.such.host.invalid", b"\x03\x14no.such.host.invalid"), ("a" * 63 + ".test", None),
])
def test_socks_address_sent_as_address_and_name_as_name(scripted_server, asking, host, sent):
    sent = sent or b"\x03" + bytes([len(host)]) + host.encode()
    request = b"\x05\x01\x00" + sent + b"\x1f\x90"
    proxy = scripted_server([*passing(request), *script(OK)])
    assert asking(proxy, host=host).get() == ("NoError", BODY)
    assert proxy.requests[0][1] == request


def test_socks_https_passes_tls_through(scripted_server, asking, tls, certificates):
    proxy = scripted_server([*passing(), StartTls(certificates.pem), *script(OK)])
    assert tls(asking(proxy, mode=HTTPS)).get() == ("NoError", BODY)


def test_socks_connection_not_used_for_another_host(scripted_server, asking):
    request = b"\x05\x01\x00\x03\x0aother.test\x1f\x90"
    proxy = scripted_server([*passing(), *script(OK)], [*passing(request), *script(OK)])
    c = asking(proxy)
    c.get()
    c.http.setHost("other.test", PORT)
    assert c.get() == ("NoError", BODY)


def test_socks_application_proxy_used(scripted_server, client):
    proxy = scripted_server([*passing(), *script(OK)])
    QNetworkProxy.setApplicationProxy(QNetworkProxy(QNetworkProxy.Socks5Proxy, proxy.host, proxy.port))
    assert client(ORIGIN, PORT).get() == ("NoError", BODY)


# -- what may be answered
@pytest.mark.parametrize("reply", [REPLY, REPLY_6, REPLY_NAME, REPLY_LONG_NAME, REPLY_NO_NAME],
                         ids=["ipv4", "ipv6", "name", "long name", "empty name"])
@pytest.mark.parametrize("split", [False, True], ids=["whole", "bytewise"])
def test_socks_reply_of_each_kind_passes(scripted_server, asking, reply, split):
    proxy = scripted_server([*passing(reply=reply, cuts=tuple(range(1, len(reply))) if split else ()), *script(OK)])
    assert asking(proxy).get() == ("NoError", BODY)


@pytest.mark.parametrize("at", range(1, len(REPLY_NAME)))
def test_socks_reply_split_at_each_byte_passes(scripted_server, asking, at):
    proxy = scripted_server([Receive(4), Send(OPEN, cuts=(1,), pause_s=0.002), Receive(len(REQUEST)),
                             Send(REPLY_NAME, cuts=(at,), pause_s=0.002), *script(OK)])
    assert asking(proxy).get() == ("NoError", BODY)


@pytest.mark.parametrize("code, text", [(1, "general failure"), (2, "not allowed by its rules"), (3, "network unreachable"),
                                        (4, "host unreachable"), (5, "connection refused"), (6, "the time to live ran out"),
                                        (7, "it cannot CONNECT"), (8, "it cannot use such addresses"), (9, "reply 9"),
                                        (255, "reply 255")])
def test_socks_refusal_is_an_error_that_says_why(scripted_server, asking, code, text):
    proxy = scripted_server(at_request(Send(b"\x05" + bytes([code]) + REPLY[2:])))
    c = asking(proxy)
    assert c.get() == ("UnknownError", b"")
    assert c.http.errorString() == DID_NOT + text
    assert len(proxy.connections) == 1


@pytest.mark.parametrize("actions", [
    [Send(b"\x04\x00")], [Send(b"HTTP/1.1 400 Bad Request\r\n\r\n")], [Send(b"\x05\x01")], [Send(b"\x05\x7f")],
    [Close()], [Reset()], [Send(b"\x05"), Close()],
], ids=["version 4", "http", "gssapi", "unknown method", "closed", "reset", "cut"])
def test_socks_choice_of_method_faulty_is_an_error(scripted_server, asking, actions):
    proxy = scripted_server([Receive(len(METHODS)), *actions])
    c = asking(proxy)
    assert c.get() == ("UnknownError", b"")
    assert c.http.errorString().startswith(DID_NOT)


@pytest.mark.parametrize("actions", [
    [Send(b"\x04" + REPLY[1:])], [Send(REPLY[:3] + b"\x02" + REPLY[4:])], [Send(REPLY[:3] + b"\x00" + REPLY[4:])],
    [Close()], [Reset()],
    *[[Send(REPLY[:n]), Close()] for n in (1, 4, 5, 9)], [Send(REPLY_LONG_NAME[:-1]), Close()],
], ids=["version 4", "kind 2", "kind 0", "closed", "reset", "cut 1", "cut 4", "cut 5", "cut 9", "cut name"])
def test_socks_reply_faulty_is_an_error(scripted_server, asking, actions):
    proxy = scripted_server(at_request(*actions))
    c = asking(proxy)
    assert c.get() == ("UnknownError", b"")
    assert c.http.errorString().startswith(DID_NOT) and c.told.of("done") == [True]


def test_socks_passed_then_closed_is_unexpected_close(scripted_server, asking):
    proxy = scripted_server(beyond=[*passing(), ReceiveRequest(), Close()])
    assert asking(proxy).get() == ("UnexpectedClose", b"")


@pytest.mark.parametrize("actions", [[], [Receive(4), Send(b"\x05")], [Receive(4), Send(OPEN)], at_request(Send(REPLY[:7]))],
                         ids=["at once", "in the choice", "before the reply", "in the reply"])
def test_socks_stall_connect_timeout_ends_it(scripted_server, asking, actions):
    proxy = scripted_server([*actions, Pause(30)])
    c = asking(proxy)
    c.http.setConnectTimeout(80)
    assert c.get() == ("ConnectionRefused", b"")


def test_socks_surplus_behind_the_reply_no_https(scripted_server, asking, tls):
    """It belongs to TLS, which it is not."""
    proxy = scripted_server(at_request(Send(REPLY + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"), Pause(30)))
    c = tls(asking(proxy, mode=HTTPS))
    assert c.get() == ("UnknownError", b"")
    assert c.statuses == []


def test_socks_tls_records_right_behind_the_reply_are_not_lost(scripted_server, asking):
    """A server that speaks at once, here to say that it does not like TLS, is heard."""
    proxy = scripted_server(at_request(Send(REPLY + b"\x15\x03\x03\x00\x02\x02\x28"), Pause(30)))
    c = asking(proxy, mode=HTTPS)
    assert c.get() == ("UnknownError", b"")
    assert "handshake failure" in c.http.errorString()


# -- logging in
@pytest.mark.parametrize("by_slot", [False, True], ids=["set_proxy", "slot"])
def test_socks_login_right_passes(scripted_server, asking, by_slot):
    proxy = scripted_server([*with_login(), Receive(len(REQUEST)), Send(REPLY), *script(OK)])
    c = asking(proxy, proxy_answers=[RIGHT]) if by_slot else asking(proxy, *RIGHT)
    assert c.get() == ("NoError", BODY)
    assert proxy.requests[0][1] == login()
    assert b"secret" not in b"".join(proxy.requests[0][2:])
    assert c.asked_by_proxy == ([(proxy.host, proxy.port, "", "")] if by_slot else [])


def test_socks_login_answered_by_a_slot_kept_for_the_next_connection(scripted_server, asking):
    proxy = scripted_server(beyond=[*with_login(), Receive(len(REQUEST)), Send(REPLY), *script(OK)])
    c = asking(proxy, proxy_answers=[RIGHT])
    c.get()
    c.http.close()
    c.http.setHost(ORIGIN, PORT)
    assert c.get() == ("NoError", BODY)
    assert (len(c.asked_by_proxy), len(proxy.connections)) == (1, 2)


def test_socks_login_wrong_is_the_error_and_asked_for_by_the_next_request(scripted_server, asking):
    wrong = with_login(REFUSED_LOGIN, login(*WRONG))
    proxy = scripted_server(wrong, [*with_login(), Receive(len(REQUEST)), Send(REPLY), *script(OK)])
    c = asking(proxy, *WRONG, proxy_answers=[RIGHT])
    assert c.get() == (REJECTED, b"")
    assert (c.http.errorString(), c.asked_by_proxy) == ("Proxy authentication required", [])
    assert c.get() == ("NoError", BODY)
    assert [user for *_, user in c.asked_by_proxy] == [USER]


def test_socks_login_slot_always_wrong_one_signal_for_each_request(scripted_server, asking):
    proxy = scripted_server(beyond=with_login(REFUSED_LOGIN, login(*WRONG)))
    c = asking(proxy, proxy_answers=[WRONG] * 3)
    for n in range(1, 4):
        assert c.get() == (REJECTED, b"")
        assert (len(c.asked_by_proxy), len(proxy.connections)) == (n, n)


def test_socks_login_wanted_and_none_known_is_the_error(scripted_server, asking):
    proxy = scripted_server([Receive(4), Send(LOGIN), Receive(1)])
    c = asking(proxy)
    assert c.get() == (REJECTED, b"")
    assert proxy.requests == [[METHODS]]


def test_socks_no_method_good_enough_is_the_error(scripted_server, asking):
    proxy = scripted_server([Receive(4), Send(b"\x05\xff")])
    c = asking(proxy, *RIGHT)
    assert c.get() == (REJECTED, b"")
    assert c.http.errorString() == "Proxy authentication required"


@pytest.mark.parametrize("given", [("u" * 256, "p"), ("u", "p" * 256), ("ü" * 128, "p")])
def test_socks_login_too_long_is_the_error_and_not_sent(scripted_server, asking, given):
    proxy = scripted_server([Receive(4), Send(LOGIN), Receive(1)])
    c = asking(proxy, *given)
    assert c.get() == (REJECTED, b"")
    assert proxy.requests == [[METHODS]]


@pytest.mark.parametrize("given", [("u" * 255, "p" * 255), ("ü:ß", "密码"), ("u", "")])
def test_socks_login_odd_sent_as_utf_8(scripted_server, asking, given):
    proxy = scripted_server([*with_login(LET_IN, login(*given)), Receive(len(REQUEST)), Send(REPLY), *script(OK)])
    assert asking(proxy, *given).get() == ("NoError", BODY)
    assert proxy.requests[0][1] == login(*given)


def test_socks_login_that_is_no_text_is_an_error(scripted_server, asking):
    proxy = scripted_server([Receive(4), Send(LOGIN), Receive(1)])
    c = asking(proxy, "\ud800", "p")
    assert c.get() == (REJECTED, b"")


@pytest.mark.parametrize("what", ["abort", "turn", "turn and abort", "deleteLater", "get"])
def test_socks_login_slot_does_what_it_likes(scripted_server, asking, what):
    def slot(authenticator):
        authenticator.setUser(USER)
        authenticator.setPassword(PASSWORD)
        if "turn" in what:
            c.http.waitForDone(50)
        if "abort" in what:
            c.http.abort()
        if what == "deleteLater":
            c.http.deleteLater()
        if what == "get":
            c.http.get("/second")

    proxy = scripted_server([*with_login(), Receive(len(REQUEST)), Send(REPLY), *script(OK, OK)])
    c = asking(proxy, proxy_answers=[slot])
    c.http.get("/")
    assert c.http.waitForDone(4000)
    assert (c.told.faults(), len(c.told.of("done"))) == ([], 1)
    assert len(c.told.finished) == 3 + (what == "get")


def test_socks_proxy_leaves_while_the_slot_turns_the_loop_is_an_error(scripted_server, asking):
    def slot(authenticator):
        authenticator.setUser(USER)
        c.http.waitForDone(80)

    proxy = scripted_server([Receive(4), Send(LOGIN), Pause(0.02), Close()])
    c = asking(proxy, proxy_answers=[slot])
    assert c.get() == ("UnknownError", b"")
    assert len(c.told.of("done")) == 1


def test_socks_slot_takes_longer_than_the_connect_timeout_is_let(scripted_server, asking):
    def think(authenticator):
        c.http.waitForDone(200)
        authenticator.setUser(USER)
        authenticator.setPassword(PASSWORD)

    proxy = scripted_server([*with_login(), Receive(len(REQUEST)), Send(REPLY), *script(OK)])
    c = asking(proxy, proxy_answers=[think])
    c.http.setConnectTimeout(100)
    assert c.get() == ("NoError", BODY)


def test_socks_login_slot_raises_request_fails_once(scripted_server, asking):
    proxy = scripted_server([Receive(4), Send(LOGIN), Receive(1)])
    c = asking(proxy, proxy_answers=[lambda authenticator: 1 // 0])
    c.http.get("/")
    with pytest.raises(ZeroDivisionError):
        c.http.waitForDone(4000)
    assert c.http.waitForDone(4000)
    assert (c.http.error().name, c.told.of("done")) == (REJECTED, [True])


# -- who logs in where
def test_socks_407_of_the_server_is_an_error_and_sends_nothing(scripted_server, asking):
    proxy = scripted_server([*passing(), *script(proxy_refused()), ReceiveRequest()])
    c = asking(proxy, *RIGHT, proxy_answers=[RIGHT])
    assert c.get() == (REJECTED, b"")
    assert (c.asked_by_proxy, len(proxy.requests[0])) == ([], 3)


def test_socks_401_of_the_server_answered_inside(scripted_server, asking):
    proxy = scripted_server([*passing(), *script(refused(), OK)])
    c = asking(proxy, "proxyuser", "proxysecret")
    c.http.setUser(*RIGHT)
    assert c.get() == ("NoError", BODY)
    assert values(proxy.requests[0][-1]) == [basic()]
    assert b"proxysecret" not in b"".join(proxy.requests[0])


def test_socks_401_with_close_repeated_through_the_proxy(scripted_server, asking):
    proxy = scripted_server([*passing(), *script(refused(fields=[b"Connection: close"])), Close()], [*passing(), *script(OK)])
    c = asking(proxy)
    c.http.setUser(*RIGHT)
    assert c.get() == ("NoError", BODY)
    assert values(proxy.requests[1][-1]) == [basic()]


def test_socks_without_socksio_is_an_error_that_says_so(scripted_server, asking, monkeypatch):
    monkeypatch.setitem(sys.modules, "socksio", None)
    proxy = scripted_server([Receive(1)])
    c = asking(proxy)
    assert c.get() == ("UnknownError", b"")
    assert c.http.errorString() == "a SOCKS5 proxy needs the package socksio: pip install qhttp[socks]"


def test_socks_trickle_of_bytes_connect_timeout_ends_it(scripted_server, asking):
    proxy = scripted_server(at_request(Send(REPLY_LONG_NAME, cuts=tuple(range(1, 262)), pause_s=0.02)))
    c = asking(proxy)
    c.http.setConnectTimeout(100)
    assert c.get() == ("ConnectionRefused", b"")
