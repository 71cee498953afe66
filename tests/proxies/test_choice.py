"""Which way a request takes: setProxy, kinds of QNetworkProxy, the application's, and when each of them counts."""
import pytest
from support.actions import ReceiveRequest, Send
from support.credentials import PASSWORD, USER, basic, proxy_refused, refused, values
from support.faults import BODY, whole

import qhttp
from qhttp import QNetworkProxy

OK = whole()
ORIGIN, PORT = "origin.test", 8080


def script(*answers):
    return [action for answer in answers for action in (ReceiveRequest(), Send(answer))]


def first_line(request):
    return request.partition(b"\r\n")[0]


def lines(server):
    return [first_line(request) for requests in server.requests for request in requests]


def network_proxy(kind, server, *login):
    return QNetworkProxy(getattr(QNetworkProxy, kind), server.host, server.port, *login)


@pytest.fixture
def proxy(scripted_server):
    return scripted_server(script(OK, OK, OK), beyond=script(OK))


@pytest.mark.parametrize("overload", ["host and port", "HttpProxy", "HttpCachingProxy"])
def test_http_through_a_proxy_absolute_uri_exact_bytes(proxy, client, overload):
    c = client()
    c.http.setProxy(*([proxy.host, proxy.port] if overload == "host and port" else [network_proxy(overload, proxy)]))
    c.http.setHost(ORIGIN, PORT)
    assert c.get("/a?b=c") == ("NoError", BODY)
    assert proxy.requests == [[b"GET http://origin.test:8080/a?b=c HTTP/1.1\r\nConnection: Keep-Alive\r\n"
                               b"Host: origin.test:8080\r\nProxy-Connection: keep-alive\r\n\r\n"]]
    assert c.told.states == ["Connecting", "Sending", "Reading", "Connected"]


def test_http_through_a_proxy_port_80_left_out(proxy, client):
    c = client()
    c.http.setProxy(proxy.host, proxy.port)
    c.http.setHost(ORIGIN)
    c.get()
    assert lines(proxy) == [b"GET http://origin.test/ HTTP/1.1"]


@pytest.mark.parametrize("path, target", [
    ("x", b"http://origin.test/x"), ("//x/y", b"http://origin.test//x/y"), ("/?a=http://b", b"http://origin.test/?a=http://b"),
    ("/web/http://b/", b"http://origin.test/web/http://b/"), ("/a#b", b"http://origin.test/a"),
    ("http://other.test/y", b"http://other.test/y"), ("?q", b"http://origin.test/?q"),
])
def test_http_through_a_proxy_target(proxy, client, path, target):
    c = client()
    c.http.setProxy(proxy.host, proxy.port)
    c.http.setHost(ORIGIN)
    assert c.get(path) == ("NoError", BODY)
    assert lines(proxy) == [b"GET %b HTTP/1.1" % target]


def test_http_through_a_proxy_ipv6_host_in_brackets(proxy, client):
    c = client()
    c.http.setProxy(proxy.host, proxy.port)
    c.http.setHost("::1", PORT)
    c.get()
    assert lines(proxy) == [b"GET http://[::1]:8080/ HTTP/1.1"]


def test_request_and_post_through_a_proxy(proxy, client):
    c = client()
    c.http.setProxy(proxy.host, proxy.port)
    c.http.setHost(ORIGIN)
    c.http.post("/p", b"data")
    header = qhttp.QHttpRequestHeader("PUT", "/r")
    header.setValue("Host", "mine")
    c.http.request(header, b"more")
    assert c.outcome()[0] == "NoError"
    assert lines(proxy) == [b"POST http://origin.test/p HTTP/1.1", b"PUT http://origin.test/r HTTP/1.1"]
    assert [request[-4:] for request in proxy.requests[0]] == [b"data", b"more"]


@pytest.mark.parametrize("kind", ["NoProxy", "DefaultProxy", "FtpCachingProxy"])
def test_kind_without_a_proxy_is_direct(scripted_server, proxy, client, kind):
    server = scripted_server(script(OK))
    c = client()
    c.http.setProxy(network_proxy(kind, proxy))
    c.http.setHost(server.host, server.port)
    assert c.get() == ("NoError", BODY)
    assert (proxy.connections, lines(server)) == ([], [b"GET / HTTP/1.1"])


@pytest.mark.parametrize("kind", ["HttpProxy", "HttpCachingProxy", "Socks5Proxy"])
def test_empty_proxy_name_is_direct(scripted_server, client, kind):
    server = scripted_server(script(OK))
    c = client()
    c.http.setProxy(QNetworkProxy(getattr(QNetworkProxy, kind), "", 1))
    c.http.setHost(server.host, server.port)
    assert c.get() == ("NoError", BODY)


def test_caching_proxy_for_https_is_an_error_that_says_so(proxy, client):
    c = client()
    c.http.setProxy(network_proxy("HttpCachingProxy", proxy))
    c.http.setHost(ORIGIN, qhttp.QHttp.ConnectionModeHttps)
    assert c.get() == ("UnknownError", b"")
    assert "caching proxy" in c.http.errorString()
    assert proxy.connections == []


# -- when it counts
def test_set_proxy_counts_with_the_next_set_host(scripted_server, proxy, client):
    server = scripted_server(script(OK), beyond=script(OK))
    c = client()
    c.http.setHost(server.host, server.port)
    c.http.setProxy(proxy.host, proxy.port)
    assert c.get() == ("NoError", BODY)
    assert proxy.connections == []
    c.http.setHost(server.host, server.port)
    assert c.get() == ("NoError", BODY)
    assert lines(proxy) == [b"GET http://%b:%d/ HTTP/1.1" % (server.host.encode(), server.port)]


@pytest.mark.parametrize("call", ["setSslConfiguration", "setSocket"])
def test_set_proxy_does_not_count_before_set_host_whatever_else_is_set(scripted_server, proxy, client, call):
    server = scripted_server(script(OK, OK), beyond=script(OK))
    c = client()
    c.http.setHost(server.host, server.port)
    c.http.setProxy(proxy.host, proxy.port)
    assert c.get() == ("NoError", BODY)
    getattr(c.http, call)(None)
    assert c.get() == ("NoError", BODY)
    assert proxy.connections == []


def test_proxy_in_use_kept_where_a_configuration_is_set(proxy, client):
    c = client()
    c.http.setProxy(proxy.host, proxy.port)
    c.http.setHost(ORIGIN)
    c.get()
    c.http.setProxy(QNetworkProxy(QNetworkProxy.NoProxy))
    c.http.setSslConfiguration(None)
    assert c.get() == ("NoError", BODY)
    assert len(lines(proxy)) == 2


def test_set_proxy_with_constructor_host_counts_for_the_first_request(proxy, client):
    c = client(ORIGIN)
    c.http.setProxy(proxy.host, proxy.port)
    assert c.get() == ("NoError", BODY)
    assert lines(proxy) == [b"GET http://origin.test/ HTTP/1.1"]


def test_set_proxy_after_the_first_request_of_constructor_host_does_not_count(scripted_server, proxy, client):
    server = scripted_server(script(OK, OK))
    c = client(server.host, server.port)
    c.get()
    c.http.setProxy(proxy.host, proxy.port)
    assert c.get() == ("NoError", BODY)
    assert proxy.connections == []


def test_set_proxy_object_changed_afterwards_is_without_effect(scripted_server, proxy, client):
    c, ours = client(), network_proxy("HttpProxy", proxy)
    c.http.setProxy(ours)
    ours.setPort(1)
    ours.setType(QNetworkProxy.NoProxy)
    c.http.setHost(ORIGIN)
    ours.setHostName("elsewhere.invalid")
    assert c.get() == ("NoError", BODY)
    assert len(lines(proxy)) == 1


def test_no_proxy_set_later_goes_direct(scripted_server, proxy, client):
    server = scripted_server(script(OK))
    c = client()
    c.http.setProxy(proxy.host, proxy.port)
    c.http.setHost(server.host, server.port)
    c.get()
    c.http.setProxy(QNetworkProxy(QNetworkProxy.NoProxy))
    c.http.setHost(server.host, server.port)
    assert c.get() == ("NoError", BODY)
    assert (len(lines(proxy)), lines(server)) == (1, [b"GET / HTTP/1.1"])


# -- the application's
def test_application_proxy_used_where_none_was_set(proxy, client):
    QNetworkProxy.setApplicationProxy(network_proxy("HttpProxy", proxy))
    c = client()
    c.http.setHost(ORIGIN)
    assert c.get() == ("NoError", BODY)
    assert lines(proxy) == [b"GET http://origin.test/ HTTP/1.1"]


def test_application_proxy_object_changed_afterwards_is_without_effect(proxy, client):
    ours = network_proxy("HttpProxy", proxy)
    QNetworkProxy.setApplicationProxy(ours)
    ours.setType(QNetworkProxy.NoProxy)
    c = client()
    c.http.setHost(ORIGIN)
    assert c.get() == ("NoError", BODY)
    assert len(lines(proxy)) == 1


def test_application_proxy_not_used_with_no_proxy(scripted_server, proxy, client):
    QNetworkProxy.setApplicationProxy(network_proxy("HttpProxy", proxy))
    server = scripted_server(script(OK))
    c = client()
    c.http.setProxy(QNetworkProxy(QNetworkProxy.NoProxy))
    c.http.setHost(server.host, server.port)
    assert c.get() == ("NoError", BODY)
    assert proxy.connections == []


def test_application_proxy_set_between_constructor_and_first_request_is_used(proxy, client):
    c = client(ORIGIN)
    QNetworkProxy.setApplicationProxy(network_proxy("HttpProxy", proxy))
    assert c.get() == ("NoError", BODY)
    assert len(lines(proxy)) == 1


def test_application_proxy_set_later_counts_with_the_next_set_host(scripted_server, proxy, client):
    server = scripted_server(script(OK, OK))
    c = client(server.host, server.port)
    c.get()
    QNetworkProxy.setApplicationProxy(network_proxy("HttpProxy", proxy))
    assert c.get() == ("NoError", BODY)
    assert proxy.connections == []
    c.http.setHost(ORIGIN)
    assert c.get() == ("NoError", BODY)
    assert len(lines(proxy)) == 1


# -- connections
def test_caching_proxy_one_connection_for_all_hosts(proxy, client):
    c = client()
    c.http.setProxy(proxy.host, proxy.port)
    for host in ("one.test", "two.test", "three.test"):
        c.http.setHost(host)
        assert c.get() == ("NoError", BODY)
    assert len(proxy.connections) == 1
    assert [values(request, "Host") for request in proxy.requests[0]] == [["one.test"], ["two.test"], ["three.test"]]


def test_connection_of_one_proxy_not_used_for_another(scripted_server, proxy, client):
    other = scripted_server(script(OK))
    c = client()
    for each in (proxy, other):
        c.http.setProxy(each.host, each.port)
        c.http.setHost(ORIGIN)
        assert c.get() == ("NoError", BODY)
    assert [len(each.connections) for each in (proxy, other)] == [1, 1]


def test_direct_connection_not_used_for_the_same_address_as_proxy(proxy, client):
    c = client()
    c.http.setHost(proxy.host, proxy.port)
    c.get()
    c.http.setProxy(proxy.host, proxy.port)
    c.http.setHost(proxy.host, proxy.port)
    assert c.get() == ("NoError", BODY)
    assert len(proxy.connections) == 2


@pytest.mark.parametrize("mode", ["Http", "Https"])
def test_proxy_name_not_found_is_the_error(client, mode):
    c = client()
    c.http.setProxy("no.such.proxy.invalid", 3128)
    c.http.setHost(ORIGIN, getattr(qhttp.QHttp, f"ConnectionMode{mode}"))
    assert c.get() == ("HostNotFound", b"")
    assert c.http.errorString() == "Host no.such.proxy.invalid not found"


@pytest.mark.parametrize("kind", ["HttpProxy", "Socks5Proxy"])
@pytest.mark.parametrize("mode", ["Http", "Https"])
def test_proxy_refuses_connections_is_the_error(closed_port, client, kind, mode):
    c = client()
    c.http.setProxy(network_proxy(kind, closed_port))
    c.http.setHost(ORIGIN, getattr(qhttp.QHttp, f"ConnectionMode{mode}"))
    assert c.get() == ("ConnectionRefused", b"")


@pytest.mark.parametrize("kind", ["HttpProxy", "Socks5Proxy"])
@pytest.mark.parametrize("mode", ["Http", "Https"])
def test_empty_host_name_is_not_found_and_no_proxy_is_asked(scripted_server, client, kind, mode):
    server = scripted_server(beyond=[])
    c = client()
    c.http.setProxy(network_proxy(kind, server))
    c.http.setHost("", getattr(qhttp.QHttp, f"ConnectionMode{mode}"))
    assert c.get()[0] == "HostNotFound"
    assert server.connections == [] or not server.connections[0].received


def test_proxy_given_with_a_password_in_its_name_refused_without_showing_it(client):
    c = client()
    with pytest.raises(ValueError) as refusal:
        c.http.setProxy("someuser:somesecret@proxy.test", 3128)
    c.http.setProxy(QNetworkProxy(QNetworkProxy.HttpProxy, "someuser:somesecret@proxy.test", 3128))
    c.http.setHost(ORIGIN)
    assert c.get()[0] == "UnknownError"
    for text in (str(refusal.value), c.http.errorString()):
        assert "proxy.test" in text and "some" not in text


def test_pipelining_through_a_caching_proxy_407_and_401_each_answered_once(scripted_server, client):
    def serve(peer):
        while True:
            ReceiveRequest()(peer)
            request = peer.taken[-1]
            if values(request, "Proxy-Authorization") != [basic("p", "q")]:
                peer.send(proxy_refused())
            elif values(request) != [basic()]:
                peer.send(refused())
            else:
                peer.send(whole(request.split(b" ")[1]))

    proxy = scripted_server(beyond=[serve])
    c = client(answers=[(USER, PASSWORD)], proxy_answers=[("p", "q")])
    c.http.setPipelining(4)
    c.http.setProxy(proxy.host, proxy.port)
    c.http.setHost(ORIGIN)
    bodies = []
    c.http.requestFinished.connect(lambda *_: bodies.append(bytes(c.http.readAll())))
    for n in range(6):
        c.http.get(f"/{n}")
    assert c.outcome()[0] == "NoError"
    assert bodies[2:] == [b"http://origin.test/%d" % n for n in range(6)]
    assert (len(c.asked), len(c.asked_by_proxy)) == (1, 1)
