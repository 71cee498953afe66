"""What the class documentation says of setSocket: the socket is used, stays the caller's, and comes through the queue."""
import gc
import socket
import threading

import pytest
from support.actions import ReceiveRequest, Send
from support.faults import whole

from qhttp import QHttp


@pytest.fixture
def server(scripted_server):
    return scripted_server(beyond=[ReceiveRequest(), Send(whole(b"1")), ReceiveRequest(), Send(whole(b"2"))])


class CountingSocket(socket.socket):
    """A subclass of one's own."""


@pytest.mark.parametrize("is_connected", [True, False])
@pytest.mark.parametrize("kind", [socket.socket, CountingSocket])
def test_socket_replaces_the_internal_one(make, server, finish, record, kind, is_connected):
    http = make(server)
    told = record(http)
    with kind() as sock:
        if is_connected:
            sock.connect((server.host, server.port))
        number = http.setSocket(sock)
        http.get("/")
        http.get("/")
        assert told.events == []
        finish(http)
        assert told.started[0] == number and told.finished[0] == (number, False)
        assert http.readAll() == b"2" and len(server.connections) == 1
        assert sock.getpeername() == (server.host, server.port)


def test_socket_that_only_its_methods_know_is_used(make, server, finish):
    class Counting:
        def __init__(self, sock):
            self.sock, self.n_received, self.n_sent = sock, 0, 0
            self.fileno = sock.fileno

        def recv_into(self, room):
            n = self.sock.recv_into(room)
            self.n_received += n
            return n

        def send(self, data):
            n = self.sock.send(data)
            self.n_sent += n
            return n

    with socket.create_connection((server.host, server.port)) as sock:
        mine, http = Counting(sock), make(server)
        http.setSocket(mine)
        http.get("/")
        finish(http)
        assert http.readAll() == b"1" and mine.n_received == len(whole(b"1")) and mine.n_sent == len(server.requests[0][0])


def test_socket_is_neither_owned_nor_closed(server, finish):
    http = QHttp(server.host, server.port)
    with socket.create_connection((server.host, server.port)) as sock:
        http.setSocket(sock)
        http.get("/")
        finish(http)
        http.deleteLater()
        finish(http)
        del http
        gc.collect()
        sock.sendall(b"GET /mine HTTP/1.1\r\n\r\n")
        assert sock.recv(4096).endswith(b"2")


def test_socket_none_goes_back_to_the_internal_one(make, server, finish):
    http = make(server)
    with socket.create_connection((server.host, server.port)) as sock:
        http.setSocket(sock)
        http.get("/")
        http.setSocket(None)
        http.get("/")
        finish(http)
    assert http.readAll() == b"1" and len(server.connections) == 2


def test_socket_made_in_another_thread_is_used_in_the_objects_own(server):
    """There is nothing to be moved: a socket of Python's belongs to no thread."""
    bodies = []
    with socket.create_connection((server.host, server.port)) as sock:
        def work():
            http = QHttp(server.host, server.port)
            http.setSocket(sock)
            http.get("/")
            http.waitForDone(4000)
            bodies.append(http.readAll())

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert bodies == [b"1"]


def test_socket_whose_connection_has_ended_is_not_connected_again(make, scripted_server, finish):
    server = scripted_server(beyond=[ReceiveRequest(), Send(whole(b"1", b"Connection: close"))])
    http = make(server)
    with socket.create_connection((server.host, server.port)) as sock:
        http.setSocket(sock)
        http.get("/")
        http.get("/")
        finish(http)
    assert http.error() == QHttp.UnknownError and "setSocket has ended" in http.errorString() and len(server.connections) == 1
