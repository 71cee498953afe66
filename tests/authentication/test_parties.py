"""Credentials are for one scheme, host and port: nobody else ever sees them."""
import pytest
from authentication.test_credentials import OK, REJECTED, RIGHT, answers_of, script, sent
from support.credentials import basic, refused, values
from support.faults import BODY, whole

import qhttp


@pytest.fixture
def two(scripted_server):
    return scripted_server(script(refused(), OK), beyond=script(OK)), scripted_server(script(OK, OK))


def test_party_other_port_gets_nothing_and_the_first_gets_them_again(two, client):
    ours, other = two
    c = client(ours)
    c.http.setUser(*RIGHT)
    c.get()
    c.http.setHost(other.host, other.port)
    assert c.get() == ("NoError", BODY)
    c.http.setHost(ours.host, ours.port)
    assert c.get() == ("NoError", BODY)
    assert answers_of(other) == [[]]
    assert answers_of(ours) == [[], [basic()], [basic()]]


def test_party_other_name_of_the_same_server_gets_nothing(scripted_server, client):
    server = scripted_server(script(refused(), OK), script(OK))
    c = client(server)
    c.http.setUser(*RIGHT)
    c.get()
    c.http.setHost("localhost", server.port)
    assert c.get() == ("NoError", BODY)
    assert values(server.requests[1][0]) == []


def test_party_other_port_asks_nothing_known_is_offered(scripted_server, client):
    ours, other = scripted_server(script(refused(), OK)), scripted_server(script(refused(), OK))
    c = client(ours)
    c.http.setUser(*RIGHT)
    c.get()
    c.http.setHost(other.host, other.port)
    assert c.get() == (REJECTED, b"")
    assert [user for *_, user in c.asked] == [""]
    assert answers_of(other) == [[]]


def test_party_redirect_followed_by_a_slot_sends_nothing(scripted_server, client):
    other = scripted_server(script(OK))
    moved = whole(b"", b"Location: http://%b:%d/x" % (other.host.encode(), other.port), status=b"HTTP/1.1 302 Found\r\n")
    ours = scripted_server(script(refused(), moved))
    c = client(ours)
    c.http.setUser(*RIGHT)

    def follow(header):
        if header.statusCode() == 302:
            c.http.setHost(other.host, other.port)
            c.http.get("/x")

    c.http.responseHeaderReceived.connect(follow)
    assert c.get() == ("NoError", BODY)
    assert answers_of(other) == [[]]


def test_party_set_user_before_set_host_is_for_the_server_asked_next(scripted_server):
    ours, other = scripted_server(script(refused(), OK)), scripted_server(script(refused()))
    http = qhttp.QHttp()
    http.setUser(*RIGHT)
    http.setHost(ours.host, ours.port)
    http.get("/")
    http.setHost(other.host, other.port)
    http.get("/")
    assert http.waitForDone(4000)
    assert answers_of(ours) == [[], [basic()]]
    assert answers_of(other) == [[]]


def test_party_set_user_between_two_set_hosts_is_for_the_one_asked(scripted_server, client):
    ours, other = scripted_server(script(refused())), scripted_server(script(refused(), OK))
    c = client(ours)
    c.http.setUser(*RIGHT)
    c.http.setHost(other.host, other.port)
    assert c.get() == ("NoError", BODY)
    c.http.setHost(ours.host, ours.port)
    assert c.get() == (REJECTED, b"")
    assert answers_of(ours) == [[]]


@pytest.mark.parametrize("host", ["refuses", "no.such.host.invalid"])
def test_party_server_asked_first_cannot_be_reached_next_one_gets_nothing(scripted_server, closed_port, client, host):
    """They were meant for the one that was asked first, whether or not it could be reached."""
    other = scripted_server(script(refused(), OK))
    c = client(other)
    c.http.setHost(closed_port.host if host == "refuses" else host, closed_port.port)
    c.http.setUser(*RIGHT)
    assert c.get()[0] in ("ConnectionRefused", "HostNotFound")
    c.http.setHost(other.host, other.port)
    assert c.get() == (REJECTED, b"")
    assert answers_of(other) == [[]]


def test_party_device_of_the_first_request_fails_next_server_gets_nothing(scripted_server, client):
    ours, other = scripted_server(), scripted_server(script(refused(), OK))
    c = client(ours)
    c.http.setUser(*RIGHT)

    class Broken:
        def read(self, n):
            raise OSError("broken")

        def size(self):
            raise OSError("broken")

    c.http.post("/", Broken())
    assert c.outcome()[0] == "UnknownError"
    c.http.setHost(other.host, other.port)
    assert c.get() == (REJECTED, b"")
    assert answers_of(other) == [[]]


def test_party_close_and_new_connection_keeps_them(scripted_server, client):
    server = scripted_server(script(refused(), OK), script(OK))
    c = client(server)
    c.http.setUser(*RIGHT)
    c.get()
    c.http.close()
    assert c.get() == ("NoError", BODY)
    assert values(server.requests[1][0]) == [basic()]


def test_party_kept_across_an_error(scripted_server, client):
    server = scripted_server(script(refused(), OK, b"garbage\r\n\r\n"), script(OK))
    c = client(server)
    c.http.setUser(*RIGHT)
    assert [c.get()[0], c.get()[0], c.get()[0]] == ["NoError", "InvalidResponseHeader", "NoError"]
    assert values(server.requests[1][0]) == [basic()]


def test_party_empty_set_user_forgets_them(scripted_server, client):
    server = scripted_server(script(refused(), OK, OK))
    c = client(server)
    c.http.setUser(*RIGHT)
    c.get()
    c.http.setUser("", "")
    assert c.get() == ("NoError", BODY)
    assert values(sent(server)[2]) == []


def test_party_two_clients_share_nothing(scripted_server, client):
    server = scripted_server(script(refused(), OK), script(OK))
    first, second = client(server), client(server)
    first.http.setUser(*RIGHT)
    first.get()
    assert second.get() == ("NoError", BODY)
    assert values(server.requests[1][0]) == []


# -- a field of the caller's own
def own_header(server):
    header = qhttp.QHttpRequestHeader("GET", "/")
    header.setValue("Host", f"{server.host}:{server.port}")
    header.setValue("Authorization", "Bearer mine")
    return header


def test_own_authorization_sent_as_given(scripted_server, client):
    server = scripted_server(script(OK, OK))
    c = client(server)
    c.http.request(own_header(server))
    assert c.outcome() == ("NoError", BODY)
    c.get()
    assert answers_of(server) == [["Bearer mine"], []]


def test_own_authorization_rejected_replaced_by_credentials(scripted_server, client):
    server = scripted_server(script(refused(), OK))
    c = client(server, answers=[RIGHT])
    c.http.request(own_header(server))
    assert c.outcome() == ("NoError", BODY)
    assert answers_of(server) == [["Bearer mine"], [basic()]]


def test_own_authorization_rejected_without_credentials_is_the_error(scripted_server, client):
    server = scripted_server(script(refused()))
    c = client(server)
    c.http.request(own_header(server))
    assert c.outcome() == (REJECTED, b"")
    assert answers_of(server) == [["Bearer mine"]]
