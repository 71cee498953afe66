"""Through Dante: http and https by SOCKS5, names only it knows, with and without a password."""
import pytest
from support.faults import BODY

from qhttp.compat import QNetworkProxy
from world.dante import KNOWN_NAME
from world.programs import missing
from world.users import PASSWORD, USER, WRONG_PASSWORD


@pytest.fixture(params=["http", "https"])
def lead(request, nginx, tls_client):
    """Makes a client that gets to nginx through a SOCKS server: lead(dante, name, *credentials); it has .port."""
    def make(dante, name, *credentials):
        client = tls_client()
        client.http.setProxy(QNetworkProxy(QNetworkProxy.Socks5Proxy, dante.host, dante.port, *credentials))
        return (client.to if request.param == "http" else client.to_tls)(name, make.port)

    make.port = nginx.port[request.param]
    return make


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_socks_get_is_the_file_on_disk(nginx, dante, lead, name):
    client = lead(dante, name)
    assert (client.get("/plain/16mib"), client.error) == (nginx.file("16mib").read_bytes(), "NoError")
    dante.wait_for_log(f"127.0.0.1.{lead.port}")


def test_socks_name_known_to_the_server_only_is_resolved_there(dante, lead):
    if not dante.knows_names:
        missing("a name of its own in Dante needs root and a mount namespace")
    assert lead(dante, KNOWN_NAME).get("/plain/small") == BODY


def test_socks_two_gets_use_one_connection(nginx, dante, lead, mark):
    client = lead(dante, "localhost")
    assert [client.get(f"/plain/small?{mark}") for _ in range(2)] == [BODY, BODY]
    assert len({record["connection"] for record in nginx.log.wait_about(mark, 2)}) == 1


def test_socks_request_is_one_to_the_origin(nginx, dante, lead, mark):
    lead(dante, "localhost").get(f"/plain/small?{mark}")
    record, = nginx.log.wait_about(mark)
    assert (record["uri"], record["proxy_authorization"]) == (f"/plain/small?{mark}", "")


def test_socks_password_right_gets_the_file(login_dante, lead, nginx, mark):
    assert lead(login_dante, KNOWN_NAME, USER, PASSWORD).get(f"/plain/small?{mark}") == BODY
    record, = nginx.log.wait_about(mark)
    assert (record["proxy_authorization"], record["authorization"]) == ("", "")


@pytest.mark.parametrize("credentials", [(USER, WRONG_PASSWORD), ()], ids=["wrong", "none"])
def test_socks_password_wrong_or_none_is_an_error(login_dante, lead, nginx, mark, credentials):
    client = lead(login_dante, KNOWN_NAME, *credentials)
    assert client.get(f"/plain/small?{mark}") == b""
    assert client.error != "NoError" and client.http.state() == client.http.Unconnected
    assert nginx.log.about(mark) == []


def test_socks_server_cannot_connect_is_an_error(dante, client, closed_port):
    client.http.setProxy(QNetworkProxy(QNetworkProxy.Socks5Proxy, dante.host, dante.port))
    assert client.to(closed_port.host, closed_port.port).get("/") == b""
    assert client.error != "NoError" and client.http.state() == client.http.Unconnected
