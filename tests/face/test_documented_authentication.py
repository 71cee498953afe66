"""What the class documentation says of users: setUser, authenticationRequired, the error where neither helps."""
import base64

import pytest
from support.actions import ReceiveRequest
from support.faults import whole

from qhttp import QAuthenticator, QHttp

REFUSAL = whole(b"who are you?", b'WWW-Authenticate: Basic realm="attic"', status=b"HTTP/1.1 401 Unauthorized\r\n")
WELCOME = whole(b"welcome")


def basic(user, password):
    return b"Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()) + b"\r\n"


def guarded(user="me", password="right"):
    """A script: 401, unless the request carries that name and password."""
    def guard(peer):
        while True:
            ReceiveRequest()(peer)
            peer.send(WELCOME if basic(user, password) in peer.taken[-1] else REFUSAL)
    return [guard]


@pytest.fixture
def server(scripted_server):
    return scripted_server(beyond=guarded())


def test_set_user_is_queued_like_any_request(make, record, finish):
    http = make()
    told = record(http)
    numbers = [http.setUser("me", "right"), http.setUser("me")]
    assert told.events == []
    finish(http)
    assert told.started == numbers and told.finished == [(number, False) for number in numbers]


def test_set_user_used_when_the_page_requires_it(make, server, finish):
    http, asked = make(server), []
    http.authenticationRequired.connect(lambda *arguments: asked.append(arguments))
    http.setUser("me", "right")
    http.get("/")
    finish(http)
    assert http.readAll() == b"welcome" and http.lastResponse().statusCode() == 200 and asked == []
    assert b"Authorization" not in server.requests[0][0] and basic("me", "right") in server.requests[0][1]


def test_set_user_password_is_empty_by_default(make, scripted_server, finish):
    server = scripted_server(beyond=guarded("me", ""))
    http = make(server)
    http.setUser("me")
    http.get("/")
    finish(http)
    assert http.readAll() == b"welcome"


def test_authentication_required_names_host_port_and_authenticator(make, server, finish):
    http, asked = make(server), []

    def ask(host, port, authenticator):
        asked.append((host, port, type(authenticator), authenticator.realm(), authenticator.user()))
        authenticator.setUser("me")
        authenticator.setPassword("right")

    http.authenticationRequired.connect(ask)
    http.get("/")
    finish(http)
    assert asked == [("127.0.0.1", server.port, QAuthenticator, "attic", "")] and http.readAll() == b"welcome"


def test_authentication_required_asks_again_while_the_answers_change(make, server, finish):
    http, passwords = make(server), iter(["wrong", "worse", "right"])

    def ask(host, port, authenticator):
        authenticator.setUser("me")
        authenticator.setPassword(next(passwords))

    http.authenticationRequired.connect(ask)
    http.get("/")
    finish(http)
    assert http.readAll() == b"welcome" and list(passwords) == []


@pytest.mark.parametrize("answer", [None, ("me", "wrong")])
def test_authentication_not_solved_is_the_error_and_its_page_is_no_content(make, server, record, finish, answer):
    http = make(server)
    told = record(http)
    if answer:
        http.authenticationRequired.connect(lambda host, port, authenticator: (
            authenticator.setUser(answer[0]), authenticator.setPassword(answer[1])))
    http.get("/")
    finish(http)
    assert http.error() == QHttp.AuthenticationRequiredError and told.of("done") == [True]
    assert http.lastResponse().statusCode() == 401 and http.readAll() == b"" and told.of("responseHeaderReceived") == []


def test_credentials_of_one_server_are_not_sent_to_another(make, scripted_server, finish):
    servers = [scripted_server(beyond=guarded()) for _ in range(2)]
    http = make(servers[0])
    http.setUser("me", "right")
    http.get("/")
    http.setHost(servers[1].host, servers[1].port)
    http.get("/")
    finish(http)
    assert http.error() == QHttp.AuthenticationRequiredError
    assert all(b"uthorization" not in request for request in servers[1].requests[0])
