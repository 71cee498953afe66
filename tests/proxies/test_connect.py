"""Tunnels by CONNECT: what is sent to the proxy, what it may answer, and that everything behind it is TLS with the server."""
import threading

import pytest
from proxies.test_choice import OK, network_proxy, script
from support.actions import Close, Pause, ReceiveFor, ReceiveHead, ReceiveRequest, Repeat, Reset, Send, StartTls
from support.credentials import (
    BASIC,
    PASSWORD,
    USER,
    WRONG_PASSWORD,
    basic,
    digest,
    is_right_digest,
    proxy_refused,
    refused,
    values,
)
from support.faults import BODY, head, whole
from support.loops import turn_until
from support.pipelined import Gate

import qhttp

ORIGIN, PORT = "origin.test", 8443
QUIET_S = 0.05                  # long enough for what must not be sent to arrive
HTTPS = qhttp.QHttp.ConnectionModeHttps
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
REJECTED = "ProxyAuthenticationRequiredError"
RIGHT, WRONG = (USER, PASSWORD), (USER, WRONG_PASSWORD)
CONNECT = b"CONNECT origin.test:8443 HTTP/1.1\r\nProxy-Connection: keep-alive\r\nHost: origin.test:8443\r\n\r\n"


@pytest.fixture
def asking(client, tls):
    """Makes clients that ask for https through this proxy: asking(proxy, user, password)."""
    def make(proxy, *login, **answers):
        c = tls(client(**answers))
        c.http.setProxy(proxy.host, proxy.port, *login)
        c.http.setHost(ORIGIN, HTTPS, PORT)
        return c
    return make


@pytest.fixture
def origin(certificates):
    """The script of a tunnel's inside: TLS, and one answer after the other."""
    return lambda *answers: [StartTls(certificates.pem), *script(*(answers or (OK,)))]


def tunnel(*answers):
    """Takes one CONNECT after the other and answers each."""
    return [action for answer in answers or (ESTABLISHED,) for action in (ReceiveHead(), Send(answer))]


def test_connect_exact_bytes_and_states(scripted_server, asking, origin):
    proxy = scripted_server([*tunnel(), *origin()])
    c = asking(proxy)
    assert c.get("/a") == ("NoError", BODY)
    assert proxy.requests == [[CONNECT, b"GET /a HTTP/1.1\r\nConnection: Keep-Alive\r\nHost: origin.test:8443\r\n\r\n"]]
    assert c.told.states == ["Connecting", "Sending", "Reading", "Connected"]


def test_connect_tunnel_used_again_for_the_same_server(scripted_server, asking, origin):
    proxy = scripted_server([*tunnel(), *origin(OK, OK)])
    c = asking(proxy)
    c.get()
    c.http.setHost(ORIGIN, HTTPS, PORT)
    assert c.get() == ("NoError", BODY)
    assert len(proxy.connections) == 1


def test_connect_pipelining_nothing_ahead_before_the_server_behind_it_has_answered(scripted_server, asking, certificates):
    """That the proxy keeps connections says nothing of the server's."""
    queued = threading.Event()
    inside = [StartTls(certificates.pem), ReceiveRequest(), Gate(queued), ReceiveFor(QUIET_S)]
    proxy = scripted_server([*tunnel(), *inside, *[Send(OK), ReceiveRequest()] * 2, Send(OK)])
    c = asking(proxy)
    c.http.setPipelining(4)
    c.http.get("/a")
    turn_until(lambda: proxy.connections and len(proxy.connections[0].taken) == 2)
    c.http.get("/b")
    c.http.get("/c")
    queued.set()
    assert c.outcome() == ("NoError", BODY)
    assert [request.split(b" ")[1:2] for request in proxy.requests[0]] == [[b"origin.test:8443"], [b"/a"], [], [b"/b"], [b"/c"]]


def test_connect_tunnel_not_used_for_another_server(scripted_server, asking, origin):
    proxy = scripted_server(beyond=[*tunnel(), *origin()])
    c = asking(proxy)
    c.get()
    c.http.setHost("127.0.0.1", HTTPS, PORT)
    assert c.get() == ("NoError", BODY)
    assert [requests[0].split(b" ")[1] for requests in proxy.requests] == [b"origin.test:8443", b"127.0.0.1:8443"]


def test_connect_default_port_is_named(scripted_server, asking, origin):
    proxy = scripted_server([*tunnel(), *origin()])
    c = asking(proxy)
    c.http.setHost(ORIGIN, HTTPS)
    assert c.get() == ("NoError", BODY)
    assert proxy.requests[0][0].startswith(b"CONNECT origin.test:443 HTTP/1.1\r\n")
    assert values(proxy.requests[0][1], "Host") == ["origin.test:443"]


@pytest.mark.parametrize("answer", [
    head(b"Content-Length: 1000", status=b"HTTP/1.1 200 OK\r\n"), head(b"Transfer-Encoding: chunked"),
    head(b"Connection: close"), b"HTTP/1.0 200 \r\n\r\n",
    head(status=b"HTTP/1.1 299 Strange\r\n"), b"HTTP/1.1 100 Continue\r\n\r\n" + ESTABLISHED,
    b"HTTP/1.1 103 X\r\nA: b\r\n\r\n" * 3 + ESTABLISHED,
], ids=["length", "chunked", "close", "1.0", "299", "100 before", "103 before"])
@pytest.mark.parametrize("split", [False, True], ids=["whole", "bytewise"])
def test_connect_2xx_makes_the_tunnel_whatever_its_head_says(scripted_server, asking, origin, answer, split):
    cuts = tuple(range(1, len(answer))) if split else ()
    proxy = scripted_server([ReceiveHead(), Send(answer, cuts=cuts), *origin()])
    assert asking(proxy).get() == ("NoError", BODY)


@pytest.mark.parametrize("status", [b"403 Forbidden", b"502 Bad Gateway", b"301 Moved", b"200x", b"401 Unauthorized",
                                    b"101 Switching"])
def test_connect_refused_is_an_error_and_its_page_is_nobodys(scripted_server, asking, status):
    proxy = scripted_server(tunnel(whole(b"a page", b"WWW-Authenticate: " + BASIC, status=b"HTTP/1.1 " + status + b"\r\n")))
    c = asking(proxy, answers=[RIGHT])
    assert c.get() == ("UnknownError", b"")
    assert (c.statuses, c.asked, len(proxy.connections)) == ([], [], 1)
    if status[3:4] == b" " and status[:1] != b"1":
        assert c.http.errorString() == f"HTTP request failed: the proxy refused CONNECT: {status.decode()}"


@pytest.mark.parametrize("ending", [
    [Close()], [Reset()], [Send(b"HTTP/1.1 200"), Close()], [Send(b"garbage\r\n\r\n")],
    [Send(b"\x16\x03\x01\x00\x05"), Close()],
    [Send(b"HTTP/1.1 200 OK\r\n"), Repeat(b"X: y\r\n", 200_000)], [Send(b"HTTP/1.1 200 " + b"x" * 200_000)],
    [Repeat(b"HTTP/1.1 100 Continue\r\n\r\n", 60_000)], [Send(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000 + b"\r\n\r\n")],
], ids=["closed", "reset", "cut head", "garbage", "no HTTP", "endless head", "endless line", "endless 100s", "too long head"])
def test_connect_answer_faulty_is_an_error_for_the_request(scripted_server, asking, ending):
    proxy = scripted_server([ReceiveHead(), *ending], beyond=[ReceiveHead(), *ending])
    c = asking(proxy)
    assert c.get() == ("UnknownError", b"")
    assert "proxy" in c.http.errorString() and c.told.of("done") == [True]


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_connect_stalls_connect_timeout_ends_it(scripted_server, asking, sent):
    proxy = scripted_server([ReceiveHead(), Send(sent), Pause(30)])
    c = asking(proxy)
    c.http.setConnectTimeout(100)
    assert c.get() == ("ConnectionRefused", b"")


def test_connect_abort_while_the_proxy_is_waited_for(scripted_server, asking):
    proxy = scripted_server([ReceiveHead(), Pause(30)])
    c = asking(proxy)
    c.http.stateChanged.connect(lambda state: c.http.abort() if state.name == "Connecting" else None)
    assert c.get() == ("Aborted", b"")


def test_connect_bytes_behind_the_head_reach_tls(scripted_server, asking):
    """Here they are no TLS, and so the handshake fails at once: they were neither lost nor taken for an answer."""
    proxy = scripted_server([ReceiveHead(), Send(ESTABLISHED + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"), Pause(30)])
    c = asking(proxy)
    assert c.get() == ("UnknownError", b"")
    assert "TLS" in c.http.errorString() and c.statuses == []


@pytest.mark.parametrize("ending", [[Close()], [Send(b"no TLS at all"), Close()], [Reset()]])
def test_connect_then_no_tls_is_an_error(scripted_server, asking, ending):
    proxy = scripted_server([*tunnel(), *ending])
    c = asking(proxy)
    assert c.get() == ("UnknownError", b"")


def test_connect_wrong_certificate_asked_through_a_second_tunnel(scripted_server, client, origin):
    proxy = scripted_server(beyond=[*tunnel(), *origin()])
    c = client()
    c.http.setProxy(proxy.host, proxy.port)
    c.http.setHost(ORIGIN, HTTPS, PORT)
    c.http.sslErrors.connect(lambda errors: c.http.ignoreSslErrors())
    assert c.get() == ("NoError", BODY)
    assert [requests[0] for requests in proxy.requests] == [CONNECT] * 2


def test_connect_wrong_certificate_is_the_error(scripted_server, client, origin):
    proxy = scripted_server([*tunnel(), *origin()])
    c = client()
    c.http.setProxy(proxy.host, proxy.port)
    c.http.setHost(ORIGIN, HTTPS, PORT)
    assert c.get() == ("UnknownError", b"")
    assert len(proxy.requests[0]) == 1


# -- who logs in where
@pytest.mark.parametrize("challenge", [BASIC, digest()], ids=["basic", "digest"])
@pytest.mark.parametrize("closes", [False, True], ids=["kept", "closed"])
@pytest.mark.parametrize("by_slot", [False, True], ids=["set_proxy", "slot"])
def test_connect_407_answered_to_the_proxy_only(scripted_server, asking, origin, challenge, closes, by_slot):
    refusing = tunnel(proxy_refused(challenge, fields=[b"Connection: close"] if closes else []))
    accepting = [*tunnel(), *origin()]
    proxy = scripted_server(*([[*refusing, Close()], accepting] if closes else [[*refusing, *accepting]]))
    c = asking(proxy, proxy_answers=[RIGHT]) if by_slot else asking(proxy, *RIGHT)
    assert c.get() == ("NoError", BODY)
    first, second, inside = [request for requests in proxy.requests for request in requests]
    assert first == CONNECT
    assert is_right_digest(second, name="Proxy-Authorization") or values(second, "Proxy-Authorization") == [basic()]
    assert b"uthorization" not in inside
    assert c.asked_by_proxy == ([(proxy.host, proxy.port, "a realm", "")] if by_slot else [])
    assert (c.statuses, c.asked) == ([200], [])


def test_connect_407_not_solved_is_the_error(scripted_server, asking):
    proxy = scripted_server(tunnel(*[proxy_refused()] * 4))
    c = asking(proxy, *WRONG, proxy_answers=[WRONG] * 3)
    assert c.get() == (REJECTED, b"")
    assert c.http.errorString() == "Proxy authentication required"
    assert [values(request, "Proxy-Authorization") for request in proxy.requests[0]] == [[], [basic(*WRONG)]]
    assert c.http.lastResponse().statusCode() == 407


def test_connect_407_slot_changes_until_right(scripted_server, asking, origin):
    proxy = scripted_server([*tunnel(*[proxy_refused()] * 3), *tunnel(), *origin()])
    c = asking(proxy, proxy_answers=[WRONG, (USER, "third"), RIGHT])
    assert c.get() == ("NoError", BODY)
    assert len(c.asked_by_proxy) == 3


@pytest.mark.parametrize("body", [b"x" * 60_000, b"x" * 300_000])
def test_connect_407_with_a_body_answered(scripted_server, asking, origin, body):
    proxy = scripted_server([*tunnel(proxy_refused(body=body)), *tunnel(), *origin()], [*tunnel(), *origin()])
    c = asking(proxy, *RIGHT)
    assert c.get() == ("NoError", BODY)


@pytest.mark.parametrize("what", ["abort", "turn", "turn and abort", "deleteLater", "get", "close", "clearPendingRequests"])
def test_connect_407_slot_does_what_it_likes(scripted_server, asking, origin, what):
    def slot(authenticator):
        authenticator.setUser(USER)
        authenticator.setPassword(PASSWORD)
        if "turn" in what:
            c.http.waitForDone(50)
        if "abort" in what:
            c.http.abort()
        if what in ("deleteLater", "close", "clearPendingRequests"):
            getattr(c.http, what)()
        if what == "get":
            c.http.get("/second")

    late = [Send(proxy_refused()[:-3]), Pause(0.02), Send(proxy_refused()[-3:])]
    proxy = scripted_server([ReceiveHead(), *late, *tunnel(), *origin(OK, OK)])
    c = asking(proxy, proxy_answers=[slot])
    c.http.get("/")
    assert c.http.waitForDone(4000)
    assert (c.told.faults(), len(c.told.of("done"))) == ([], 1)
    assert len(c.told.finished) == 3 + (what in ("get", "close"))
    if what in ("turn", "get", "close", "clearPendingRequests"):
        assert c.told.of("done") == [False]


def test_connect_407_slot_takes_longer_than_the_connect_timeout_is_let(scripted_server, asking, origin):
    def think(authenticator):
        c.http.waitForDone(200)
        authenticator.setUser(USER)

    proxy = scripted_server([*tunnel(proxy_refused()), *tunnel(), *origin()])
    c = asking(proxy, proxy_answers=[think])
    c.http.setConnectTimeout(100)
    assert c.get() == ("NoError", BODY)


def test_connect_stalls_behind_the_407_connect_timeout_ends_it(scripted_server, asking):
    proxy = scripted_server([*tunnel(proxy_refused()), ReceiveHead(), Pause(30)])
    c = asking(proxy, *RIGHT)
    c.http.setConnectTimeout(150)
    assert c.get() == ("ConnectionRefused", b"")


def test_origin_credentials_inside_the_tunnel_only(scripted_server, asking, origin):
    proxy = scripted_server([*tunnel(proxy_refused()), *tunnel(), *origin(refused(), OK)], [*tunnel(), *origin(OK)])
    c = asking(proxy, "proxyuser", "proxysecret")
    c.http.setUser(*RIGHT)
    assert c.get() == ("NoError", BODY)
    c.http.close()
    assert c.get() == ("NoError", BODY)
    for requests in proxy.requests:
        for request in requests:
            name = "Proxy-Authorization" if request.startswith(b"CONNECT") else "Authorization"
            assert values(request, name) in ([], [basic("proxyuser", "proxysecret") if name[0] == "P" else basic()])
            assert request.count(b"uthorization") == len(values(request, name))
    assert [len(values(requests[0], "Proxy-Authorization")) for requests in proxy.requests] == [0, 1]


def test_407_out_of_the_tunnel_is_an_error_and_sends_nothing(scripted_server, asking, origin):
    """It is the server that says so. It does not get the proxy's password, nor does it choose how that is sent."""
    accepting = [*tunnel(proxy_refused(digest())), *tunnel()]
    proxy = scripted_server([*accepting, *origin(proxy_refused(), proxy_refused())], [*tunnel(), *origin()])
    c = asking(proxy, *RIGHT, proxy_answers=[RIGHT])
    assert c.get() == (REJECTED, b"")
    assert (c.asked_by_proxy, len(proxy.requests[0])) == ([], 3)
    assert c.get() == ("NoError", BODY)
    assert is_right_digest(proxy.requests[1][0], name="Proxy-Authorization")


def test_tunnel_of_one_user_not_used_for_another(scripted_server, asking, origin):
    proxy = scripted_server(beyond=[*tunnel(proxy_refused()), *tunnel(), *origin(OK, OK)])
    c = asking(proxy, *RIGHT)
    c.get()
    c.http.setProxy(proxy.host, proxy.port, "other", "word")
    c.http.setHost(ORIGIN, HTTPS, PORT)
    assert c.get() == ("NoError", BODY)
    assert [values(requests[1], "Proxy-Authorization") for requests in proxy.requests] == [[basic()], [basic("other", "word")]]


def test_proxy_credentials_answered_by_a_slot_kept_across_set_host(scripted_server, asking, origin):
    proxy = scripted_server([*tunnel(proxy_refused(), proxy_refused()), *tunnel(), *origin(OK)],
                            beyond=[*tunnel(), *origin(OK)])
    c = asking(proxy, *WRONG, proxy_answers=[RIGHT])
    assert c.get() == ("NoError", BODY)
    c.http.setHost("127.0.0.1", HTTPS, PORT)
    assert c.get() == ("NoError", BODY)
    assert values(proxy.requests[1][0], "Proxy-Authorization") == [basic()]


def test_proxy_credentials_not_for_another_proxy(scripted_server, asking, origin):
    first = scripted_server([*tunnel(proxy_refused()), *tunnel(), *origin()])
    second = scripted_server(tunnel(proxy_refused()))
    c = asking(first, *RIGHT)
    c.get()
    c.http.setProxy(second.host, second.port)
    c.http.setHost(ORIGIN, HTTPS, PORT)
    assert c.get() == (REJECTED, b"")
    assert [values(request, "Proxy-Authorization") for request in second.requests[0]] == [[]]
    assert [user for *_, user in c.asked_by_proxy] == [""]


def test_connect_407_slot_sets_another_configuration_credentials_stay_with_their_proxy(scripted_server, asking, certificates):
    """A proxy that waits for the next setHost gets nothing of this one, nor this one of that."""
    def slot(authenticator):
        c.http.setSslConfiguration(certificates.context)
        authenticator.setUser(USER)
        authenticator.setPassword(PASSWORD)

    proxy, other = scripted_server(tunnel(proxy_refused(), proxy_refused())), scripted_server(beyond=[])
    c = asking(proxy, proxy_answers=[slot])
    c.http.setProxy(other.host, other.port, "otheruser", "othersecret")
    assert c.get() == (REJECTED, b"")
    assert [values(request, "Proxy-Authorization") for request in proxy.requests[0]] == [[], [basic()]]
    assert other.connections == []


# -- a caching proxy's own
def test_caching_407_answered_and_kept(scripted_server, client):
    proxy = scripted_server(script(proxy_refused(), OK, OK))
    c = client(proxy_answers=[RIGHT])
    c.http.setProxy(network_proxy("HttpCachingProxy", proxy))
    for host in ("one.test", "two.test"):
        c.http.setHost(host)
        assert c.get() == ("NoError", BODY)
    assert [values(request, "Proxy-Authorization") for request in proxy.requests[0]] == [[], [basic()], [basic()]]
    assert c.asked_by_proxy == [(proxy.host, proxy.port, "a realm", "")]


def test_caching_digest_signs_the_absolute_uri(scripted_server, client):
    proxy = scripted_server(script(proxy_refused(digest()), refused(digest(b"o")), OK))
    c = client(proxy_answers=[RIGHT], answers=[RIGHT])
    c.http.setProxy(proxy.host, proxy.port)
    c.http.setHost("one.test")
    assert c.get("/x?y") == ("NoError", BODY)
    last = proxy.requests[0][-1]
    assert last.startswith(b"GET http://one.test/x?y HTTP/1.1\r\n")
    assert is_right_digest(last) and is_right_digest(last, name="Proxy-Authorization")


def test_caching_407_then_401_then_answer(scripted_server, client):
    proxy = scripted_server(script(proxy_refused(), refused(), OK))
    c = client(proxy_answers=[("p", "q")], answers=[RIGHT])
    c.http.setProxy(proxy.host, proxy.port)
    c.http.setHost("one.test")
    assert c.get() == ("NoError", BODY)
    found = [(values(request, "Proxy-Authorization"), values(request)) for request in proxy.requests[0]]
    assert found == [([], []), ([basic("p", "q")], []), ([basic("p", "q")], [basic()])]


def test_caching_origin_credentials_not_for_another_host(scripted_server, client):
    proxy = scripted_server(script(refused(), OK, OK, OK))
    c = client()
    c.http.setProxy(proxy.host, proxy.port)
    c.http.setHost("one.test")
    c.http.setUser(*RIGHT)
    c.get()
    c.http.setHost("two.test")
    c.get()
    c.http.setHost("one.test", 81)
    c.get()
    assert [values(request) for request in proxy.requests[0]] == [[], [basic()], [], []]


@pytest.mark.parametrize("path", ["http://two.test/", "http://one.test:81/", "http://one.test@two.test/", "https://one.test/",
                                  "http://two.test?http://one.test/", "http://one.test.two.test/", "http://two.test#@one.test/"])
def test_caching_path_that_names_another_server_gets_no_credentials(scripted_server, client, path):
    proxy = scripted_server(script(refused(), OK, refused(), OK))
    c = client(answers=[RIGHT])
    c.http.setProxy(proxy.host, proxy.port)
    c.http.setHost("one.test")
    c.http.setUser(*RIGHT)
    c.get()
    assert c.get(path) == ("AuthenticationRequiredError", b"")
    assert [values(request) for request in proxy.requests[0]] == [[], [basic()], []]
    assert c.asked == []


@pytest.mark.parametrize("path", ["http://one.test/x", "http://ONE.test:80/x", "HTTP://one.test?x"])
def test_caching_path_that_names_the_same_server_gets_credentials(scripted_server, client, path):
    proxy = scripted_server(script(refused(), OK, OK))
    c = client()
    c.http.setProxy(proxy.host, proxy.port)
    c.http.setHost("one.test")
    c.http.setUser(*RIGHT)
    c.get()
    assert c.get(path) == ("NoError", BODY)
    assert values(proxy.requests[0][2]) == [basic()]


def test_going_direct_after_a_proxy_sends_no_proxy_credentials(scripted_server, client):
    proxy, server = scripted_server(script(proxy_refused(), OK)), scripted_server(script(OK))
    c = client()
    c.http.setProxy(proxy.host, proxy.port, *RIGHT)
    c.http.setHost("one.test")
    c.get()
    c.http.setProxy(qhttp.QNetworkProxy(qhttp.QNetworkProxy.NoProxy))
    c.http.setHost(server.host, server.port)
    assert c.get() == ("NoError", BODY)
    assert b"roxy-" not in server.requests[0][0]


def test_proxy_credentials_shown_nowhere(scripted_server, asking):
    proxy = scripted_server(tunnel(*[proxy_refused()] * 2))
    shown = []
    c = asking(proxy, "someuser", "somesecret")
    c.http.proxyAuthenticationRequired.connect(lambda *arguments: shown.extend(map(repr, arguments)))
    c.get()
    shown += [repr(c.http), c.http.errorString(), c.http.currentRequest().toString()]
    assert len(shown) == 5 and not [text for text in shown if "some" in text]


def test_post_through_a_tunnel_is_not_sent_to_the_proxy(scripted_server, asking, origin):
    proxy = scripted_server([*tunnel(proxy_refused()), ReceiveHead(), Send(ESTABLISHED), *origin()])
    c = asking(proxy, *RIGHT)
    c.http.post("/", b"the body")
    assert c.outcome() == ("NoError", BODY)
    assert [request.count(b"the body") for request in proxy.requests[0]] == [0, 0, 1]

