"""Through Squid: hits of its cache, tunnels, names only it knows, Basic and Digest of the proxy, and what the origin sees."""
import pytest
from support.faults import BODY

from qhttp.compat import QNetworkProxy
from world.squid import FORBIDDEN_NAME, KNOWN_NAME, NONCE_USES, REALM
from world.users import PASSWORD, USER, WRONG_PASSWORD

SCHEMES = [("squid", "http"), ("squid", "https"), ("digest_squid", "http"), ("digest_squid", "https")]


def go(client, proxy, port, nginx, scheme, *credentials):
    """Leads the client to nginx through a port of the proxy."""
    client.http.setProxy(proxy.host, proxy.port[port], *credentials)
    return (client.to if scheme == "http" else client.to_tls)(KNOWN_NAME, nginx.port[scheme])


# -- without a password
def test_squid_http_second_get_is_a_hit(nginx, squid, client, mark):
    go(client, squid, "open", nginx, "http")
    assert [client.get(f"/cached/4mib?{mark}") for _ in range(2)] == [nginx.file("4mib").read_bytes()] * 2
    assert [record["cache"] for record in squid.log.wait_about(mark, 2)] == ["TCP_MISS", "TCP_MEM_HIT"]
    assert len(nginx.log.wait_about(mark)) == 1


def test_squid_http_gets_the_whole_address(nginx, squid, client, mark):
    go(client, squid, "open", nginx, "http").get(f"/plain/small?{mark}")
    record, = squid.log.wait_about(mark)
    assert (record["method"], record["uri"]) == ("GET", f"http://{KNOWN_NAME}:{nginx.port['http']}/plain/small?{mark}")


def test_squid_https_goes_through_a_tunnel(nginx, squid, tls_client, mark):
    client = go(tls_client(), squid, "open", nginx, "https")
    assert client.get(f"/plain/16mib?{mark}") == nginx.file("16mib").read_bytes()
    client.close()                          # Squid tells of a tunnel when it has ended
    tunnels = squid.log.wait_about(f"{KNOWN_NAME}:{nginx.port['https']}")
    assert {(record["method"], record["uri"]) for record in tunnels} == {("CONNECT", f"{KNOWN_NAME}:{nginx.port['https']}")}
    assert squid.log.about(mark) == []      # the path is not for the proxy
    assert nginx.log.wait_about(mark)[0]["name"] == KNOWN_NAME


def test_squid_https_two_gets_use_one_tunnel(nginx, squid, tls_client, mark):
    client = go(tls_client(), squid, "open", nginx, "https")
    assert [client.get(f"/plain/small?{mark}") for _ in range(2)] == [BODY, BODY]
    assert len({record["connection"] for record in nginx.log.wait_about(mark, 2)}) == 1


@pytest.mark.parametrize("kind, method", [("HttpProxy", "GET"), ("HttpCachingProxy", "GET")])
def test_squid_given_as_object_is_a_caching_proxy_for_http(nginx, squid, client, mark, kind, method):
    client.http.setProxy(QNetworkProxy(getattr(QNetworkProxy, kind), squid.host, squid.port["open"]))
    assert client.to(KNOWN_NAME, nginx.port["http"]).get(f"/plain/small?{mark}") == BODY
    assert [record["method"] for record in squid.log.wait_about(mark)] == [method]


def test_squid_refuses_tunnel_error_has_its_status(squid, tls_client):
    client = tls_client()
    client.http.setProxy(squid.host, squid.port["open"])
    assert client.to_tls(FORBIDDEN_NAME, 443).get("/") == b""
    assert client.error == "UnknownError"
    assert client.http.errorString().startswith("HTTP request failed: ") and "403" in client.http.errorString()
    assert client.http.state() == client.http.Unconnected


def test_squid_refuses_http_is_an_answer(squid, client):
    client.http.setProxy(squid.host, squid.port["open"])
    client.to(FORBIDDEN_NAME, 80).get("/")
    assert (client.error, client.status) == ("NoError", 403)


def test_squid_taken_away_next_host_asked_directly(nginx, squid, client, mark):
    go(client, squid, "open", nginx, "http").get("/plain/small")
    client.http.setProxy(QNetworkProxy(QNetworkProxy.NoProxy))
    assert client.to("localhost", nginx.port["http"]).get(f"/plain/small?{mark}") == BODY
    assert (len(nginx.log.wait_about(mark)), squid.log.about(mark)) == (1, [])


# -- with a password
@pytest.fixture(params=SCHEMES, ids=["-".join(pair) for pair in SCHEMES])
def login(request, nginx, tls_client):
    """Leads a client through the port that asks for a password: login(*credentials); it has .proxy and .scheme."""
    name, scheme = request.param

    def lead(*credentials):
        return go(tls_client(), lead.proxy, "login", nginx, scheme, *credentials)

    lead.proxy, lead.scheme = request.getfixturevalue(name), scheme
    return lead


def test_proxy_authentication_set_proxy_right_gets_the_file(login):
    client = login(USER, PASSWORD)
    assert (client.get("/plain/small"), client.error) == (BODY, "NoError")


def test_proxy_authentication_slot_right_gets_the_file(login):
    client = login()
    asked = client.answers("proxyAuthenticationRequired", USER, PASSWORD)
    assert (client.get("/plain/small"), client.error) == (BODY, "NoError")
    assert asked == [(login.proxy.host, login.proxy.port["login"], REALM)]


@pytest.mark.parametrize("credentials", [(USER, WRONG_PASSWORD), ()], ids=["wrong", "none"])
def test_proxy_authentication_wrong_or_none_is_the_error(login, credentials):
    client = login(*credentials)
    assert (client.get("/plain/small"), client.error) == (b"", "ProxyAuthenticationRequiredError")


def test_proxy_authentication_stale_nonces_renewed_without_asking(login):
    """Squid's Digest calls a nonce stale after some uses; with Basic there is no such thing."""
    client = login()
    asked = client.answers("proxyAuthenticationRequired", USER, PASSWORD)
    for _ in range(2 * NONCE_USES):
        assert client.get("/plain/small") == BODY
        client.close()                      # for https each one needs a tunnel, and each tunnel a use of the nonce
    assert len(asked) == 1


def test_proxy_credentials_never_reach_the_origin(nginx, login, mark):
    client = login(USER, PASSWORD)
    assert client.get(f"/plain/small?{mark}") == BODY
    record, = nginx.log.wait_about(mark)
    assert (record["proxy_authorization"], record["authorization"]) == ("", "")


def test_proxy_credentials_not_sent_without_the_proxy(nginx, login, mark):
    client = login(USER, PASSWORD)
    assert client.get("/plain/small") == BODY
    client.http.setProxy(QNetworkProxy(QNetworkProxy.NoProxy))
    assert client.to("localhost", nginx.port["http"]).get(f"/plain/small?{mark}") == BODY
    assert nginx.log.wait_about(mark)[0]["proxy_authorization"] == ""


def test_proxy_credentials_not_sent_to_another_proxy(squid, login, mark, nginx):
    client = login(USER, PASSWORD)
    assert client.get("/plain/small") == BODY
    assert go(client, squid, "open", nginx, "http").get(f"/plain/small?{mark}") == BODY
    assert squid.log.wait_about(mark)[0]["proxy_authorization"] == "-"


def test_proxy_and_origin_authentication_both_answered(nginx, login, mark):
    client = login()
    at_proxy = client.answers("proxyAuthenticationRequired", USER, PASSWORD)
    at_origin = client.answers("authenticationRequired", USER, PASSWORD)
    assert (client.get(f"/basic/small?{mark}"), client.error) == (BODY, "NoError")
    assert (len(at_proxy), len(at_origin)) == (1, 1)
    assert nginx.log.wait_about(mark, 2)[-1]["user"] == USER


def test_origin_credentials_by_https_never_reach_the_proxy(nginx, squid, tls_client):
    client = go(tls_client(), squid, "open", nginx, "https")
    client.http.setUser(USER, PASSWORD)
    assert client.get("/basic/small") == BODY
    client.close()
    tunnels = squid.log.wait_about(f"{KNOWN_NAME}:{nginx.port['https']}")
    assert {record["authorization"] for record in tunnels} == {"-"}
