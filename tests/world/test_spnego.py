"""NTLM and Negotiate against pyspnego's acceptor: the connection is who it says it is."""
import pytest
from support.faults import BODY

from world.spnego_origin import DOMAIN, PASSWORD
from world.users import USER, WRONG_PASSWORD

NAME = f"{DOMAIN}\\{USER}"


@pytest.fixture(params=["ntlm", "negotiate"])
def origin(request):
    """An origin for each of the two."""
    return request.getfixturevalue(f"{request.param}_origin")


def test_spnego_set_user_right_is_known(origin, client):
    client.to(origin.host, origin.port)
    client.http.setUser(NAME, PASSWORD)
    assert (client.get("/"), client.error) == (NAME.encode() + b" ", "NoError")
    assert len(origin.connections) == 1


def test_spnego_slot_right_is_known(origin, client):
    asked = client.to(origin.host, origin.port).answers("authenticationRequired", NAME, PASSWORD)
    assert (client.get("/"), client.error) == (NAME.encode() + b" ", "NoError")
    assert [place[:2] for place in asked] == [(origin.host, origin.port)]


@pytest.mark.parametrize("credentials", [(NAME, WRONG_PASSWORD), ("WORLD\\nobody", PASSWORD)], ids=["password", "name"])
def test_spnego_set_user_wrong_is_the_error(origin, client, credentials):
    client.to(origin.host, origin.port)
    client.http.setUser(*credentials)
    assert (client.get("/"), client.error) == (b"", "AuthenticationRequiredError")


def test_spnego_nobody_to_ask_is_the_error(origin, client):
    client.to(origin.host, origin.port)
    assert (client.get("/"), client.error) == (b"", "AuthenticationRequiredError")


def test_spnego_second_get_on_the_connection_is_still_known(origin, client):
    client.to(origin.host, origin.port)
    client.http.setUser(NAME, PASSWORD)
    assert [client.get("/") for _ in range(2)] == [NAME.encode() + b" "] * 2
    assert len(origin.connections) == 1


def test_spnego_next_connection_is_known_again(origin, client):
    client.to(origin.host, origin.port)
    client.http.setUser(NAME, PASSWORD)
    client.get("/")
    client.close()
    assert (client.get("/"), client.error) == (NAME.encode() + b" ", "NoError")
    assert len(origin.connections) == 2


def test_spnego_post_arrives_whole_at_the_end(origin, client):
    client.to(origin.host, origin.port)
    client.http.setUser(NAME, PASSWORD)
    assert client.post("/", BODY * 1000) == NAME.encode() + b" " + BODY * 1000
