"""What the class documentation says of proxies: both overloads, when they apply, what each type does, users."""
import base64
import shutil

import pytest
from support.actions import ReceiveRequest, Send, StartTls
from support.certificate import make_certificate
from support.faults import whole

from qhttp import QAuthenticator, QHttp, QNetworkProxy

ANSWER = [ReceiveRequest(), Send(whole(b"by proxy"))]
REFUSAL = whole(b"", b'Proxy-Authenticate: Basic realm="gate"', status=b"HTTP/1.1 407 Proxy Authentication Required\r\n")
LOGIN = b"Proxy-Authorization: Basic " + base64.b64encode(b"me:right") + b"\r\n"


def guard(peer):
    """407, unless the request carries the name and password."""
    while True:
        ReceiveRequest()(peer)
        peer.send(whole(b"by proxy") if LOGIN in peer.taken[-1] else REFUSAL)


@pytest.fixture
def proxy(scripted_server):
    return scripted_server(beyond=ANSWER)


def ask(http, finish, host="ticker.example.com"):
    http.setHost(host)
    http.get("/ticks.asp")
    finish(http)


def line(server, n=0):
    return server.requests[n][0].split(b"\r\n")[0]


def test_set_proxy_by_host_and_port_is_queued_and_gets_absolute_uris(make, proxy, record, finish):
    http = make()
    told = record(http)
    number = http.setProxy(proxy.host, proxy.port)
    ask(http, finish)
    assert told.started[0] == number and told.finished[0] == (number, False) and http.readAll() == b"by proxy"
    assert line(proxy) == b"GET http://ticker.example.com/ticks.asp HTTP/1.1"


@pytest.mark.parametrize("kind", [QNetworkProxy.HttpCachingProxy, QNetworkProxy.HttpProxy])
def test_set_proxy_object_http_types_cache_for_plain_http(make, proxy, finish, kind):
    http = make()
    http.setProxy(QNetworkProxy(kind, proxy.host, proxy.port))
    ask(http, finish)
    assert line(proxy) == b"GET http://ticker.example.com/ticks.asp HTTP/1.1"


def test_set_proxy_object_transparent_http_type_tunnels_https(make, scripted_server, finish, tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    proxy = scripted_server(beyond=[ReceiveRequest(), Send(b"HTTP/1.1 200 OK\r\n\r\n"),
                                    StartTls(make_certificate(tmp_path)), *ANSWER])
    http = make()
    http.sslErrors.connect(lambda errors: http.ignoreSslErrors())
    http.setProxy(QNetworkProxy(QNetworkProxy.HttpProxy, proxy.host, proxy.port))
    http.setHost("ticker.example.com", QHttp.ConnectionModeHttps)
    http.get("/ticks.asp")
    finish(http)
    assert http.readAll() == b"by proxy" and line(proxy) == b"CONNECT ticker.example.com:443 HTTP/1.1"
    assert proxy.requests[-1][1].startswith(b"GET /ticks.asp HTTP/1.1\r\n")


def socks(peer):
    """Agrees to everything that a SOCKS5 client asks for; takes the greeting, the address in two pieces."""
    while len(peer.pending) < 2:
        peer.more()
    peer.take(2 + peer.pending[1])
    peer.send(b"\x05\x00")
    peer.take(5)
    peer.take(peer.taken[-1][4] + 2)
    peer.send(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")


@pytest.mark.parametrize("mode, port", [(QHttp.ConnectionModeHttp, 80), (QHttp.ConnectionModeHttps, 443)])
def test_set_proxy_object_socks5_is_transparent(make, scripted_server, finish, tmp_path, mode, port):
    pytest.importorskip("socksio")
    if mode and shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    tls = [StartTls(make_certificate(tmp_path))] if mode else []
    proxy = scripted_server(beyond=[socks, *tls, *ANSWER])
    http = make()
    http.sslErrors.connect(lambda errors: http.ignoreSslErrors())
    http.setProxy(QNetworkProxy(QNetworkProxy.Socks5Proxy, proxy.host, proxy.port))
    http.setHost("ticker.example.com", mode)
    http.get("/ticks.asp")
    finish(http)
    assert http.readAll() == b"by proxy" and proxy.requests[-1][2] == b"ticker.example.com" + port.to_bytes(2, "big")
    assert proxy.requests[-1][3].startswith(b"GET /ticks.asp HTTP/1.1\r\n")


def test_set_proxy_after_set_host_applies_after_the_next_one(make, proxy, scripted_server, finish):
    server = scripted_server(beyond=[ReceiveRequest(), Send(whole(b"direct"))] * 2)
    http, bodies = make(), []
    http.done.connect(lambda error: bodies.append(http.readAll()))
    http.setHost(server.host, server.port)
    http.setProxy(proxy.host, proxy.port)
    http.get("/")
    finish(http)
    http.setHost(server.host, server.port)
    http.get("/")
    finish(http)
    assert bodies == [b"direct", b"by proxy"]


def test_set_proxy_before_the_first_request_applies_to_the_constructors_host(make, proxy, finish):
    http = make("ticker.example.com")
    http.setProxy(proxy.host, proxy.port)
    http.get("/")
    finish(http)
    assert http.readAll() == b"by proxy"


def test_set_proxy_no_proxy_and_empty_name_are_direct(make, scripted_server, proxy, finish):
    server = scripted_server(beyond=[ReceiveRequest(), Send(whole(b"direct"))] * 3)
    http = make()
    for none in (QNetworkProxy(QNetworkProxy.NoProxy, proxy.host, proxy.port), QNetworkProxy(QNetworkProxy.HttpProxy)):
        http.setProxy(none)
        http.setHost(server.host, server.port)
        http.get("/")
        finish(http)
        assert http.readAll() == b"direct"
    http.setProxy("", 0)
    http.setHost(server.host, server.port)
    http.get("/")
    finish(http)
    assert http.readAll() == b"direct" and proxy.connections == []


def test_set_proxy_user_and_password_used_when_the_proxy_asks(make, scripted_server, finish):
    proxy = scripted_server(beyond=[guard])
    http, asked = make(), []
    http.proxyAuthenticationRequired.connect(lambda *arguments: asked.append(arguments))
    http.setProxy(proxy.host, proxy.port, "me", "right")
    ask(http, finish)
    assert http.readAll() == b"by proxy" and asked == [] and LOGIN not in proxy.requests[0][0]


def test_proxy_authentication_required_names_proxy_and_authenticator(make, scripted_server, finish):
    proxy = scripted_server(beyond=[guard])
    http, asked = make(), []

    def answer(which, authenticator):
        asked.append((which.hostName(), which.port(), type(which), type(authenticator), authenticator.realm()))
        authenticator.setUser("me")
        authenticator.setPassword("right")

    http.proxyAuthenticationRequired.connect(answer)
    http.setProxy(proxy.host, proxy.port)
    ask(http, finish)
    assert asked == [(proxy.host, proxy.port, QNetworkProxy, QAuthenticator, "gate")] and http.readAll() == b"by proxy"


def test_proxy_authentication_not_solved_is_the_error(make, scripted_server, finish):
    proxy = scripted_server(beyond=[guard])
    http = make()
    http.setProxy(proxy.host, proxy.port, "me", "wrong")
    ask(http, finish)
    assert http.error() == QHttp.ProxyAuthenticationRequiredError and http.readAll() == b""


def test_set_proxy_by_keyword_arguments_of_the_documentation(make, proxy, finish):
    http = make()
    http.setProxy(host=proxy.host, port=proxy.port, username="", password="")
    ask(http, finish)
    assert http.readAll() == b"by proxy"


def test_set_proxy_caching_type_is_an_error_for_https(make, proxy, finish):
    http = make()
    http.setProxy(QNetworkProxy(QNetworkProxy.HttpCachingProxy, proxy.host, proxy.port))
    http.setHost("ticker.example.com", QHttp.ConnectionModeHttps)
    http.get("/ticks.asp")
    finish(http)
    assert http.error() == QHttp.UnknownError and "caching proxy" in http.errorString() and proxy.connections == []


def test_set_proxy_object_of_a_real_qt_is_accepted(make, proxy, finish):
    qt = pytest.importorskip("PySide6.QtNetwork")
    http = make()
    http.setProxy(qt.QNetworkProxy(qt.QNetworkProxy.HttpCachingProxy, proxy.host, proxy.port))
    ask(http, finish)
    assert http.readAll() == b"by proxy"
