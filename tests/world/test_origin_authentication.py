"""Basic and Digest of nginx and Apache: right, wrong and no password, stale nonces, and who gets to see what."""
import pytest
from support.faults import BODY

from world import apache as apache_server
from world import nginx as nginx_server
from world.users import PASSWORD, USER, WRONG_PASSWORD

HTTP, HTTPS = "http", "https"
SCHEMES = [("basic", "Basic "), ("digest", "Digest ")]


@pytest.fixture(params=SCHEMES, ids=["basic", "digest"])
def protected(request, apache):
    """(server, path, the scheme as it stands in the field)."""
    location, scheme = request.param
    return apache, f"/{location}/small", scheme


# -- right, wrong, none
def test_authentication_set_user_right_gets_the_file(protected, client, mark):
    server, path, scheme = protected
    client.to(server.host, server.port)
    client.http.setUser(USER, PASSWORD)
    assert (client.get(f"{path}?{mark}"), client.error, client.status) == (BODY, "NoError", 200)
    first, second = server.log.wait_about(mark, 2)
    assert first["authorization"] == "-"                # nothing before it was asked for
    assert second["authorization"].startswith(scheme)


def test_authentication_set_user_wrong_is_the_error(protected, client, mark):
    server, path, _ = protected
    client.to(server.host, server.port)
    client.http.setUser(USER, WRONG_PASSWORD)
    assert (client.get(f"{path}?{mark}"), client.error) == (b"", "AuthenticationRequiredError")
    assert len(server.log.wait_about(mark, 2)) == 2     # and no third try


def test_authentication_nobody_to_ask_is_the_error(protected, client, mark):
    server, path, _ = protected
    client.to(server.host, server.port)
    assert (client.get(f"{path}?{mark}"), client.error) == (b"", "AuthenticationRequiredError")
    assert len(server.log.wait_about(mark)) == 1


def test_authentication_slot_right_gets_the_file(protected, client):
    server, path, _ = protected
    asked = client.to(server.host, server.port).answers("authenticationRequired", USER, PASSWORD)
    assert (client.get(path), client.error) == (BODY, "NoError")
    assert asked == [(server.host, server.port, apache_server.REALM)]


def test_authentication_slot_corrects_set_user(protected, client):
    server, path, _ = protected
    asked = client.to(server.host, server.port).answers("authenticationRequired", USER, PASSWORD)
    client.http.setUser(USER, WRONG_PASSWORD)
    assert (client.get(path), client.error) == (BODY, "NoError")
    assert len(asked) == 1


def test_authentication_slot_always_wrong_comes_to_an_end(protected, client):
    server, path, _ = protected
    client.to(server.host, server.port).answers("authenticationRequired", USER, WRONG_PASSWORD)
    assert (client.get(path), client.error) == (b"", "AuthenticationRequiredError")


def test_authentication_second_get_sends_credentials_at_once(protected, client, mark):
    server, path, scheme = protected
    client.to(server.host, server.port)
    client.http.setUser(USER, PASSWORD)
    assert [client.get(f"{path}?{mark}") for _ in range(2)] == [BODY, BODY]
    records = server.log.wait_about(mark, 3)
    assert [record["status"] for record in records] == ["401", "200", "200"]
    assert records[2]["authorization"].startswith(scheme)


def test_basic_of_nginx_by_https_gets_the_file(nginx, tls_client, mark):
    client = tls_client().to_tls("localhost", nginx.port[HTTPS])
    asked = client.answers("authenticationRequired", USER, PASSWORD)
    assert client.get(f"/basic/16mib?{mark}") == nginx.file("16mib").read_bytes()
    assert asked == [("localhost", nginx.port[HTTPS], nginx_server.REALM)]
    assert nginx.log.wait_about(mark, 2)[1]["user"] == USER


# -- Digest
def test_digest_post_is_sent_again(apache, client, mark):
    client.to(apache.host, apache.port)
    client.http.setUser(USER, PASSWORD)
    assert client.post(f"/digest/echo?{mark}", BODY * 1000) == BODY * 1000
    assert [record["status"] for record in apache.log.wait_about(mark, 2)] == ["401", "200"]


def test_digest_post_of_a_file_is_sent_again_from_its_start(apache, client, tmp_path):
    (tmp_path / "source").write_bytes(BODY * 5000)
    client.to(apache.host, apache.port)
    client.http.setUser(USER, PASSWORD)
    with open(tmp_path / "source", "rb") as source:
        assert client.post("/digest/echo", source) == BODY * 5000


def test_digest_many_gets_count_the_nonce_up(apache, client, mark):
    client.to(apache.host, apache.port)
    client.http.setUser(USER, PASSWORD)
    assert [client.get(f"/digest/small?{mark}") for _ in range(3)] == [BODY] * 3
    sent = [record["authorization"] for record in apache.log.wait_about(mark, 4)[1:]]
    assert [f"nc={n:08x}" in field for n, field in enumerate(sent, 1)] == [True] * 3


def test_digest_stale_nonce_renewed_without_asking(apache, client, mark):
    path = f"/stale/small?{mark}"
    asked = client.to(apache.host, apache.port).answers("authenticationRequired", USER, PASSWORD)
    assert client.get(path) == BODY
    before = apache.log.wait_about(mark, 2)
    apache.wait_until_stale(path, before[1]["authorization"])
    assert (client.get(path), client.error) == (BODY, "NoError")
    assert len(asked) == 1


# -- who gets to see what
def test_credentials_of_one_server_not_sent_to_another(nginx, apache, client, mark):
    client.to(apache.host, apache.port)
    client.http.setUser(USER, PASSWORD)
    assert client.get("/basic/small") == BODY
    client.to(nginx.host, nginx.port[HTTP])
    assert client.get(f"/plain/small?{mark}") == BODY
    assert [record["authorization"] for record in nginx.log.wait_about(mark)] == [""]


def test_credentials_of_http_not_sent_to_https_of_the_same_name(nginx, tls_client, mark):
    client = tls_client().to("localhost", nginx.port[HTTP])
    client.http.setUser(USER, PASSWORD)
    assert client.get("/basic/small") == BODY
    client.to_tls("localhost", nginx.port[HTTPS])
    assert client.get(f"/plain/small?{mark}") == BODY
    assert [record["authorization"] for record in nginx.log.wait_about(mark)] == [""]


def test_credentials_not_sent_to_a_public_location(nginx, client, mark):
    client.to(nginx.host, nginx.port[HTTP])
    client.http.setUser(USER, PASSWORD)
    assert client.get(f"/plain/small?{mark}") == BODY
    assert [record["authorization"] for record in nginx.log.wait_about(mark)] == [""]
