"""setSocket with a socket.socket: connected or not, of any family; borrowed, for one server, never in the clear for https."""
import gc
import os
import socket
import threading

import pytest
from engine.recording import Recorded, noise
from support import faults
from support.actions import Close, CloseAtOnce, Pause, ReceiveAnything, ReceiveHead, ReceiveRequest, Reset, Send
from support.loops import turn_for, turn_until

import qhttp

OK = ("NoError", faults.BODY)
STATES = ["Sending", "Reading", "Connected"]


def connect(server):
    return socket.create_connection((server.host, server.port))


def is_open(sock):
    try:
        sock.getpeername()
    except OSError:
        return False
    return sock.fileno() >= 0


# -- what works
def test_connected_socket_is_used_and_no_other(scripted_server, client):
    server = scripted_server(faults.answer(faults.BODY, faults.BODY))
    with connect(server) as sock:
        recorded = client(server, sock)
        assert [recorded.get(), recorded.get()] == [OK, OK]
        assert recorded.states == STATES * 2
    assert len(server.connections) == 1


def test_unconnected_socket_is_connected_to_the_host(scripted_server, client):
    server = scripted_server(faults.answer())
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        recorded = client(server, sock)
        assert recorded.get() == OK
        assert recorded.states == ["Connecting", *STATES]
        assert sock.getpeername() == (server.host, server.port)
        assert sock.getsockname()[1] == port


@pytest.mark.parametrize("timeout", [None, 0, 3.5])
@pytest.mark.parametrize("is_connected", [True, False])
def test_timeout_of_the_socket_stays(scripted_server, client, timeout, is_connected):
    server = scripted_server(faults.answer())
    with connect(server) if is_connected else socket.socket() as sock:
        sock.settimeout(timeout)
        blocks = os.get_blocking(sock.fileno())
        recorded = client(server, sock)
        assert recorded.get() == OK
        assert (sock.gettimeout(), os.get_blocking(sock.fileno())) == (timeout, blocks)
        del recorded
        gc.collect()
        assert (sock.gettimeout(), os.get_blocking(sock.fileno())) == (timeout, blocks)


def test_socket_is_usable_after_its_http_is_gone(scripted_server, client):
    server = scripted_server([*faults.answer(), ReceiveAnything(), Send(b"by hand")])
    with connect(server) as sock:
        recorded = client(server, sock)
        assert recorded.get() == OK
        del recorded
        gc.collect()
        sock.sendall(b"hello")
        assert sock.recv(100) == b"by hand"
    server.wait_for(lambda: server.connections[0].taken[-1] == b"hello")


def test_socket_stays_open_after_close_and_abort(scripted_server, client):
    server = scripted_server([ReceiveRequest(), Pause(30)])
    with connect(server) as sock:
        recorded = client(server, sock)
        recorded.http.get("/")
        turn_until(lambda: recorded.http.state() == recorded.http.Sending)
        recorded.http.abort()
        turn_for(0.02)
        assert is_open(sock)


def test_refused_port_is_a_refused_connection(closed_port, client):
    with socket.socket() as sock:
        assert client(closed_port, sock).get()[0] == "ConnectionRefused"
        assert sock.fileno() >= 0


def test_family_that_does_not_fit_is_an_error(scripted_server, client):
    server = scripted_server(faults.answer())
    for family in (socket.AF_INET6, socket.AF_UNIX):
        with socket.socket(family) as sock:
            assert client(server, sock).get()[0] == "UnknownError"
    assert not server.connections


def test_unix_pair_is_used(scripted_server):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        recorded = Recorded("unix.test", 80)
        recorded.http.setSocket(ours)
        recorded.http.get("/x")
        turn_until(lambda: recorded.http.state() == recorded.http.Sending)
        assert theirs.recv(1000).startswith(b"GET /x HTTP/1.1\r\nConnection: Keep-Alive\r\nHost: unix.test\r\n")
        theirs.sendall(faults.whole())
        assert (recorded.wait(), bytes(recorded.http.readAll())) == OK


def test_unix_listener_is_used(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as sock:
        listener.bind(str(tmp_path / "listener"))
        listener.listen()

        def serve():
            with listener.accept()[0] as peer:
                peer.recv(1000)
                peer.sendall(faults.whole())
                peer.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        sock.connect(str(tmp_path / "listener"))
        recorded = Recorded("localhost", 80)
        recorded.http.setSocket(sock)
        assert recorded.get() == OK
    recorded.http.abort()
    del recorded
    gc.collect()
    thread.join(5)


def test_none_goes_back_to_our_own(scripted_server, client):
    server = scripted_server(faults.answer(), faults.answer())
    with connect(server) as sock:
        recorded = client(server, sock)
        assert recorded.get() == OK
        recorded.http.setSocket(None)
        assert recorded.get() == OK
        assert is_open(sock)
    assert [len(requests) for requests in server.requests] == [1, 1]


def test_socket_set_while_requests_wait_is_for_those_behind_it(scripted_server, client):
    server = scripted_server(*[faults.answer()] * 3)
    with socket.socket() as sock:
        recorded = client(server)
        bodies = []
        recorded.http.requestFinished.connect(lambda *_: bodies.append(recorded.http.readAll()))
        recorded.http.get("/1")
        recorded.http.setSocket(sock)
        recorded.http.get("/2")
        recorded.http.setSocket(None)
        recorded.http.get("/3")
        assert recorded.wait() == "NoError"
        assert b"".join(bodies) == faults.BODY * 3
        assert sock.getsockname() in [c.sock.getpeername() for c in server.connections if c.sock.fileno() >= 0]
        assert recorded.states == ["Connecting", *STATES] * 3


def test_socket_set_while_connected_replaces_the_connection(scripted_server, client):
    server = scripted_server(faults.answer(), faults.answer())
    recorded = client(server)
    assert recorded.get() == OK
    with connect(server) as sock:
        recorded.http.setSocket(sock)
        assert recorded.get() == OK
    assert [len(requests) for requests in server.requests] == [1, 1]


# -- one server, one connection
@pytest.mark.parametrize("end", [Close(), CloseAtOnce(), Reset()], ids=repr)
@pytest.mark.parametrize("waits", [True, False])
def test_server_that_closes_makes_the_next_request_a_clear_error(scripted_server, client, end, waits):
    server = scripted_server([*faults.answer(), end])
    with connect(server) as sock:
        recorded = client(server, sock)
        assert recorded.get() == OK
        if waits:
            turn_until(lambda: recorded.http.state() == recorded.http.Unconnected)
        error, body = recorded.get()
        assert (error, body) == ("UnknownError", b"")
        assert "has ended" in recorded.http.errorString()
        assert recorded.get()[0] == "UnknownError"          # and again
        assert sock.fileno() >= 0
        recorded.http.setSocket(None)
    assert len(server.connections) == 1


@pytest.mark.parametrize("end", [Close(), Reset()], ids=["close", "reset"])
def test_server_that_ends_the_connection_without_an_answer_is_an_unexpected_close(scripted_server, client, end):
    server = scripted_server([ReceiveRequest(), end])
    with connect(server) as sock:
        assert client(server, sock).get() == ("UnexpectedClose", b"")


def test_answer_that_ends_the_connection_makes_the_next_request_a_clear_error(scripted_server, client):
    server = scripted_server([ReceiveRequest(), Send(faults.whole(faults.BODY, b"Connection: close"))])
    with connect(server) as sock:
        recorded = client(server, sock)
        recorded.http.get("/1")
        recorded.http.get("/2")
        assert recorded.wait() == "UnknownError"
        assert "has ended" in recorded.http.errorString()


@pytest.mark.parametrize("waits", [True, False])
def test_other_server_never_gets_a_request_over_the_socket(scripted_server, client, waits):
    server, other = scripted_server(faults.answer() * 3), scripted_server(faults.answer())
    with connect(server) as sock:
        recorded = client(server, sock)
        recorded.http.get("/")
        if waits:
            assert recorded.wait() == "NoError"
        recorded.http.setHost(other.host, other.port)
        recorded.http.get("/secret")
        assert recorded.wait() == "UnknownError"
        assert f"{server.host}:{server.port}" in recorded.http.errorString()
        assert f"{other.host}:{other.port}" in recorded.http.errorString()
    assert len(server.requests[0]) == 1 and not other.connections


def test_host_set_again_keeps_the_connection(scripted_server, client):
    server = scripted_server(faults.answer(faults.BODY, faults.BODY))
    with connect(server) as sock:
        recorded = client(server, sock)
        assert recorded.get() == OK
        recorded.http.setHost(server.host, server.port)
        assert recorded.get() == OK


# -- what cannot be used
def test_closed_socket_is_an_error(scripted_server, client):
    server = scripted_server()
    sock = connect(server)
    sock.close()
    recorded = client(server, sock)
    assert recorded.get()[0] == "UnknownError"


def test_datagram_socket_is_refused(scripted_server, client):
    server = scripted_server()
    with socket.socket(type=socket.SOCK_DGRAM) as sock, socket.socket(type=socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        sock.connect(peer.getsockname())
        recorded = client(server, sock)
        assert recorded.get()[0] == "UnknownError"
        assert "stream" in recorded.http.errorString()
        peer.setblocking(False)
        with pytest.raises(BlockingIOError):
            peer.recv(10)


def test_listening_socket_is_an_error(scripted_server, client):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        assert client(scripted_server(), sock).get()[0] == "UnknownError"


@pytest.mark.parametrize("value", [1, "socket", object()])
def test_something_else_is_a_type_error(value):
    with pytest.raises(TypeError, match="recv_into"):
        qhttp.QHttp().setSocket(value)


def test_https_over_a_plain_socket_sends_nothing_in_the_clear(scripted_server):
    server = scripted_server([ReceiveAnything(), Send(faults.whole())])
    with connect(server) as sock:
        recorded = Recorded(server.host, server.port)
        recorded.http.setSocket(sock)
        recorded.http.setHost(server.host, qhttp.QHttp.ConnectionModeHttps, server.port)
        assert recorded.get("/secret")[0] != "NoError"
    assert server.connections[0].taken[0][:2] == b"\x16\x03" and b"secret" not in server.connections[0].received


# -- bodies, limits
def test_large_bodies_go_both_ways(scripted_server, client):
    up, down = noise(4 << 20), noise(8 << 20, 2)
    server = scripted_server([ReceiveRequest(), Send(faults.whole(down)), *faults.answer()])
    with connect(server) as sock:
        recorded = client(server, sock)
        recorded.http.post("/", up)
        assert recorded.wait() == "NoError"
        assert recorded.http.readAll() == down
        assert recorded.get() == OK
    assert server.connections[0].taken[0].endswith(up)


def test_file_upload_goes_over_it(scripted_server, client, tmp_path):
    (tmp_path / "file").write_bytes(noise(1 << 20))
    server = scripted_server(faults.answer())
    with connect(server) as sock, open(tmp_path / "file", "rb") as file:
        recorded = client(server, sock)
        recorded.http.post("/", file)
        assert recorded.wait() == "NoError"
    assert server.connections[0].taken[0].endswith(noise(1 << 20))


def test_read_buffer_size_holds_the_server_back(scripted_server, client):
    server = scripted_server([ReceiveRequest(), Send(faults.whole(noise(16 << 20)))])
    with connect(server) as sock:
        recorded = client(server, sock)
        recorded.http.setReadBufferSize(1000)
        recorded.http.get("/")
        turn_for(0.2)
        assert recorded.http.bytesAvailable() <= 1000 + (64 << 10) and server.connections[0].n_sent < 16 << 20
        data = bytearray()
        while recorded.http.hasPendingRequests() or recorded.http.bytesAvailable() or recorded.http.currentId():
            recorded.http.setReadBufferSize(1 << 20)
            data += recorded.http.readAll()
            qhttp.loop().run(5)
        assert data == noise(16 << 20)


def test_pipelining_goes_over_it(scripted_server, client):
    server = scripted_server([*faults.answer(), *[ReceiveHead()] * 3, Send(b"".join(map(faults.whole, (b"1", b"22", b"333"))))])
    with connect(server) as sock:
        recorded = client(server, sock)
        recorded.http.setPipelining(3)
        assert recorded.get() == OK     # now the server is known to keep its connections
        bodies = []
        recorded.http.requestFinished.connect(lambda *_: bodies.append(recorded.http.readAll()))
        for path in "/1", "/2", "/3":
            recorded.http.get(path)
        assert recorded.wait() == "NoError"
        assert b"".join(bodies) == b"122333"


def test_transfer_timeout_ends_a_stall(scripted_server, client):
    with connect(server := scripted_server(faults.stall())) as sock:
        recorded = client(server, sock)
        recorded.http.setTransferTimeout(100)
        assert recorded.get()[0] == "UnknownError"
        assert is_open(sock)
