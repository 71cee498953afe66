"""What the class documentation says of https: modes and their ports, sslErrors, ignoreSslErrors."""
import shutil
import socket
import ssl

import pytest
from support.actions import Close, ReceiveRequest, Send, StartTls
from support.certificate import make_certificate
from support.faults import whole

from qhttp import QHttp, QSslError

HTTPS = QHttp.ConnectionModeHttps
ANSWER = [ReceiveRequest(), Send(whole(b"secret"))]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A self-signed certificate of 127.0.0.1 that nobody trusts."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def trusting(certificate):
    """A context that trusts it."""
    context = ssl.create_default_context(cafile=certificate)
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    return context


@pytest.fixture
def secure(scripted_server, certificate):
    """A server of https whose every connection plays these actions."""
    return lambda *script: scripted_server(beyond=[StartTls(certificate), *(script or ANSWER)])


def connected_port(make, record, finish, *arguments):
    """The port that an object asks for: that of a server that does not exist, in Host."""
    http = make()
    http.setHost(*arguments)
    sent = []
    http.requestFinished.connect(lambda *_: sent.append(http.currentRequest().value("Host")))
    http.get("/")
    finish(http)
    return sent[-1]


@pytest.mark.parametrize("arguments, host", [
    (("127.0.0.2",), "127.0.0.2"), (("127.0.0.2", QHttp.ConnectionModeHttp, 0), "127.0.0.2"),
    (("127.0.0.2", HTTPS), "127.0.0.2:443"), (("127.0.0.2", HTTPS, 0), "127.0.0.2:443"),
    (("127.0.0.2", HTTPS, 4430), "127.0.0.2:4430"), (("127.0.0.2", 0), "127.0.0.2")])
def test_port_zero_is_the_default_of_the_mode(make, record, finish, arguments, host):
    assert connected_port(make, record, finish, *arguments) == host


def test_https_mode_encrypts(make, secure, trusting, finish):
    server = secure()
    http = make(server.host, HTTPS, server.port)
    http.setSslConfiguration(trusting)
    http.get("/")
    finish(http)
    assert http.readAll() == b"secret" and server.connections[0].sock.version().startswith("TLSv1.")


def test_http_mode_does_not_encrypt(make, scripted_server, finish):
    server = scripted_server(ANSWER)
    http = make(server.host, QHttp.ConnectionModeHttp, server.port)
    http.get("/")
    finish(http)
    assert http.readAll() == b"secret" and server.requests[0][0].startswith(b"GET / HTTP/1.1\r\n")


def test_ssl_errors_reported_before_anything_is_sent(make, secure, finish, record, certificate):
    server = secure()
    http, told = make(server.host, HTTPS, server.port), []
    states = record(http)
    http.sslErrors.connect(lambda errors: told.append((errors, http.state())))
    http.get("/")
    finish(http)
    [(errors, state)] = told
    assert [error.error() for error in errors] == [QSslError.SelfSignedCertificate] and state == QHttp.Sending
    assert errors[0].certificate().toPem().strip() in open(certificate, "rb").read()
    assert http.error() == QHttp.UnknownError and states.of("done") == [True] and states.of("dataSendProgress") == []
    assert all(not connection.taken for connection in server.connections)


def test_ignore_ssl_errors_in_the_slot_goes_on(make, secure, finish):
    server = secure()
    http = make(server.host, HTTPS, server.port)
    http.sslErrors.connect(lambda errors: http.ignoreSslErrors())
    http.get("/")
    finish(http)
    assert http.error() == QHttp.NoError and http.readAll() == b"secret"


def test_ignore_ssl_errors_by_name_goes_on(make, secure, finish):
    """connect(http, SIGNAL("sslErrors(...)"), http, SLOT("ignoreSslErrors()")), as old code has it."""
    server = secure()
    http = make(server.host, HTTPS, server.port)
    http.connect(http, "2sslErrors(const QList<QSslError>&)", http, "1ignoreSslErrors()")
    http.get("/")
    finish(http)
    assert http.readAll() == b"secret"


def test_ignore_ssl_errors_elsewhere_has_no_effect(make, secure, finish):
    server = secure()
    http = make(server.host, HTTPS, server.port)
    http.sslErrors.connect(lambda errors: None)
    http.requestStarted.connect(lambda number: http.ignoreSslErrors())
    http.stateChanged.connect(lambda state: http.ignoreSslErrors())
    http.ignoreSslErrors()
    http.get("/")
    finish(http)
    assert http.error() == QHttp.UnknownError and "certificate" in http.errorString()


def test_ignore_ssl_errors_asked_again_on_the_next_connection(make, secure, finish):
    server = secure(ReceiveRequest(), Send(whole(b"1", b"Connection: close")), Close())
    http, told = make(server.host, HTTPS, server.port), []
    http.sslErrors.connect(lambda errors: (told.append(errors), http.ignoreSslErrors()))
    http.get("/")
    http.get("/")
    finish(http)
    assert len(told) == 2 and http.error() == QHttp.NoError


def test_without_a_slot_a_bad_certificate_fails(make, secure, finish):
    server = secure()
    http = make(server.host, HTTPS, server.port)
    http.get("/")
    finish(http)
    assert http.error() == QHttp.UnknownError and len(server.connections) == 1


@pytest.mark.parametrize("is_verified, error", [(True, QHttp.UnexpectedClose), (False, QHttp.NoError)])
def test_end_without_close_notify_is_an_error_where_the_server_was_verified(make, secure, trusting, finish, is_verified, error):
    server = secure(ReceiveRequest(), Send(b"HTTP/1.1 200 OK\r\n\r\ncut?"), lambda peer: peer.end("fin"))
    http = make(server.host, HTTPS, server.port)
    if is_verified:
        http.setSslConfiguration(trusting)
    http.sslErrors.connect(lambda errors: http.ignoreSslErrors())
    http.get("/")
    finish(http)
    assert http.error() == error and http.readAll() == b"cut?"


# -- on a socket of the user's
def test_socket_connected_and_plain_gets_tls(make, secure, trusting, finish):
    server = secure()
    with socket.create_connection((server.host, server.port)) as sock:
        http = make(server.host, HTTPS, server.port)
        http.setSslConfiguration(trusting)
        http.setSocket(sock)
        http.get("/")
        finish(http)
        assert http.readAll() == b"secret"


def test_socket_of_ssl_is_used_as_it_is(make, secure, trusting, finish):
    server = secure()
    with trusting.wrap_socket(socket.create_connection((server.host, server.port)), server_hostname="localhost") as sock:
        http = make(server.host, HTTPS, server.port)
        http.setSocket(sock)
        http.get("/")
        finish(http)
        assert http.readAll() == b"secret" and sock.version()


def test_socket_without_tls_of_its_own_class_is_refused_for_https(make, secure, finish):
    class Clear:
        def __init__(self, sock):
            self.fileno, self.recv_into, self.send = sock.fileno, sock.recv_into, sock.send

    server = secure()
    with socket.create_connection((server.host, server.port)) as sock:
        http = make(server.host, HTTPS, server.port)
        http.setSocket(Clear(sock))
        http.get("/")
        finish(http)
        assert http.error() == QHttp.UnknownError and "in the clear" in http.errorString()


def test_socket_whose_certificate_is_refused_is_told_and_cannot_be_ignored(make, secure, finish):
    server, told = secure(), []
    with socket.create_connection((server.host, server.port)) as sock:
        http = make(server.host, HTTPS, server.port)
        http.sslErrors.connect(lambda errors: (told.extend(errors), http.ignoreSslErrors()))
        http.setSocket(sock)
        http.get("/")
        finish(http)
    assert [(error.error(), error.certificate().isNull()) for error in told] == [(QSslError.SelfSignedCertificate, True)]
    assert http.error() == QHttp.UnknownError and len(server.connections) == 1
