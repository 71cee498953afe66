"""Sockets that are no socket.socket: what setSocket takes by its methods."""
import socket


class Wrapped:
    """A connected socket by its three methods; it blocks."""

    def __init__(self, sock):
        self.sock, self.n_received, self.n_sent = sock, 0, 0

    def fileno(self):
        return self.sock.fileno()

    def recv_into(self, room):
        n = self.sock.recv_into(room)
        self.n_received += n
        return n

    def send(self, data):
        n = self.sock.send(data)
        self.n_sent += n
        return n


class NonBlocking(Wrapped):
    """One that can be told not to block."""

    def gettimeout(self):
        return self.sock.gettimeout()

    def settimeout(self, timeout):
        self.sock.settimeout(timeout)

    def setblocking(self, blocks):
        self.sock.setblocking(blocks)


class Bytewise(Wrapped):
    """One byte at a time, each way."""

    def recv_into(self, room):
        return super().recv_into(room[:1])

    def send(self, data):
        return super().send(data[:1])


class Buffered(NonBlocking):
    """It takes from the socket what there is, and gives it in small pieces: no poller knows of the rest."""

    def __init__(self, sock):
        super().__init__(sock)
        self.held = b""

    def recv_into(self, room):
        if not self.held:
            self.held = self.sock.recv(1 << 16)
        n = min(7, len(self.held), len(room))
        room[:n] = self.held[:n]
        self.held = self.held[n:]
        return n

    def pending(self):
        return len(self.held)


class Doing(NonBlocking):
    """Calls `action` in one of its methods, from the n-th call on, and gives what that gives; ... : goes on as ever."""

    def __init__(self, sock, where, action, nth=1):
        super().__init__(sock)
        self.where, self.action, self.left = where, action, nth

    def _act(self, where):
        if where != self.where:
            return ...
        self.left -= 1
        return self.action() if self.left <= 0 else ...

    def fileno(self):
        given = self._act("fileno")
        return super().fileno() if given is ... else given

    def recv_into(self, room):
        given = self._act("recv_into")
        return super().recv_into(room) if given is ... else given

    def send(self, data):
        given = self._act("send")
        return super().send(data) if given is ... else given

    def pending(self):
        given = self._act("pending")
        return 0 if given is ... else given


def connected(server, kind=Wrapped, **options):
    """An object of a kind over a new connection to a server."""
    return kind(socket.create_connection((server.host, server.port)), **options)
