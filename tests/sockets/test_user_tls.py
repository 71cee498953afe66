"""setSocket with an ssl.SSLSocket, and https over a plain socket: TLS or an error, never clear text."""
import gc
import socket
import ssl

import pytest
import trustme
from engine.recording import Recorded, noise
from support import faults
from support.actions import CloseAtOnce, Pause, ReceiveAnything, ReceiveRequest, Send, StartTls

import qhttp

OK = ("NoError", faults.BODY)
NAMES = "localhost", "127.0.0.1"


class Authority:
    def __init__(self, folder):
        ca, self.pem = trustme.CA(), str(folder / "server.pem")
        ca.issue_cert(*NAMES).private_key_and_cert_chain_pem.write_to_path(self.pem)
        self.context = ssl.create_default_context()
        ca.configure_trust(self.context)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def shaken(server, authority, **options):
    sock = socket.create_connection((server.host, server.port))
    return authority.context.wrap_socket(sock, server_hostname="localhost", **options)


def to_https(server, authority, sock):
    recorded = Recorded(server.host, server.port)
    recorded.http.setSslConfiguration(authority.context)
    recorded.http.setSocket(sock)
    recorded.http.setHost(server.host, qhttp.QHttp.ConnectionModeHttps, server.port)
    return recorded


@pytest.mark.parametrize("is_https", [True, False])
def test_ssl_socket_is_used_as_it_is(scripted_server, authority, is_https):
    server = scripted_server([StartTls(authority.pem), *faults.answer(faults.BODY, faults.BODY)])
    with shaken(server, authority) as sock:
        recorded = to_https(server, authority, sock)
        if not is_https:
            recorded.http.setHost(server.host, server.port)
        assert [recorded.get(), recorded.get()] == [OK, OK]
        assert recorded.states == ["Sending", "Reading", "Connected"] * 2
    assert len(server.connections) == 1


@pytest.mark.parametrize("timeout", [None, 0, 3.5])
def test_ssl_socket_is_borrowed(scripted_server, authority, timeout):
    script = [StartTls(authority.pem), *faults.answer(), ReceiveAnything(), Send(b"by hand")]
    server = scripted_server(script)
    with shaken(server, authority) as sock:
        sock.settimeout(timeout)
        recorded = to_https(server, authority, sock)
        assert recorded.get() == OK
        del recorded
        gc.collect()
        assert sock.gettimeout() == timeout and sock.suppress_ragged_eofs is True
        sock.settimeout(5)
        sock.sendall(b"hello")
        assert sock.recv(100) == b"by hand"


def test_ssl_socket_large_bodies_go_both_ways(scripted_server, authority):
    server = scripted_server([StartTls(authority.pem), ReceiveRequest(), Send(faults.whole(noise(3 << 20, 2)))])
    with shaken(server, authority) as sock:
        recorded = to_https(server, authority, sock)
        recorded.http.post("/", noise(3 << 20))
        assert recorded.wait() == "NoError"
        assert recorded.http.readAll() == noise(3 << 20, 2)
    assert server.connections[0].taken[0].endswith(noise(3 << 20))


def test_ssl_socket_cut_without_farewell_is_an_unexpected_close(scripted_server, authority):
    server = scripted_server([StartTls(authority.pem), ReceiveRequest(), Send(faults.head() + b"to the"), CloseAtOnce()])
    with shaken(server, authority) as sock:
        recorded = to_https(server, authority, sock)
        assert recorded.get()[0] == "UnexpectedClose"


@pytest.mark.parametrize("is_https", [True, False])
@pytest.mark.parametrize("is_connected", [True, False])
def test_ssl_socket_without_handshake_is_refused_and_nothing_sent(scripted_server, authority, is_https, is_connected):
    server = scripted_server([Pause(5)])
    inner = socket.create_connection((server.host, server.port)) if is_connected else socket.socket()
    with authority.context.wrap_socket(inner, server_hostname="localhost", do_handshake_on_connect=False) as sock:
        recorded = to_https(server, authority, sock)
        if not is_https:
            recorded.http.setHost(server.host, server.port)
        assert recorded.get("/secret")[0] == "UnknownError"
        assert "handshake" in recorded.http.errorString()
    for connection in server.connections:
        assert not connection.received


@pytest.mark.parametrize("is_connected", [True, False])
def test_https_over_a_plain_socket_does_tls(scripted_server, authority, is_connected):
    server = scripted_server([StartTls(authority.pem), *faults.answer(faults.BODY, faults.BODY)])
    with socket.socket() as sock:
        if is_connected:
            sock.connect((server.host, server.port))
        recorded = to_https(server, authority, sock)
        assert [recorded.get(), recorded.get()] == [OK, OK]


@pytest.mark.parametrize("listens", [True, False])
def test_https_over_a_plain_socket_to_a_stranger_is_refused(scripted_server, authority, tmp_path, listens):
    stranger = Authority(tmp_path)
    server = scripted_server([StartTls(stranger.pem), *faults.answer()])
    asked = []
    with socket.create_connection((server.host, server.port)) as sock:
        recorded = to_https(server, authority, sock)
        if listens:
            recorded.http.sslErrors.connect(asked.append)
            recorded.http.sslErrors.connect(lambda _: recorded.http.ignoreSslErrors())
        assert recorded.get("/secret")[0] == "UnknownError"
        assert "certificate" in recorded.http.errorString()
    assert len(asked) == listens and not server.connections[0].taken
