"""From addresses to one open connection: each is tried in order, the next one a quarter of a second after the last, or at
once when that failed; the first that stands wins (RFC 8305 section 5)."""
from libc.stdint cimport uint64_t

from qhttp._connection cimport Connection, Watcher, adopt_descriptor
from qhttp._core cimport Loop

from errno import EAFNOSUPPORT, EINPROGRESS, ENOMEM
from os import dup as duplicate, get_blocking, set_blocking

cdef enum:
    ATTEMPT_DELAY_NS = 250000000        # RFC 8305 section 5: 250 ms is recommended


cdef int connect_at_once(sock, address) except -1:
    """Begins to connect a duplicate of a socket of the user's, and leaves it blocking or not, as it is: an errno."""
    cdef int error, fd = sock.fileno()
    cdef bint blocks = get_blocking(fd)
    sock.setblocking(False)
    error = sock.connect_ex(address)
    set_blocking(fd, blocks)
    return error


cdef class Connector(Watcher):
    """Connects to one of `addresses` ([(family, sockaddr)]); then calls `callback(connection, 0)`, or `callback(None, errno)`
    when all have failed, in a later turn of the loop. `given` is a socket of the user's to connect, None: as many as it takes."""

    def __init__(self, Loop loop, key, addresses, callback, given=None):
        self.loop, self.key, self.callback, self.given = loop, key, callback, given
        self.waiting, self.attempts = addresses[:], []
        if given is not None:
            self.waiting = [address for address in self.waiting if address[0] == given.family]
            self.error = EAFNOSUPPORT
        self.try_next()

    cdef object try_next(self):
        cdef Connection connection
        import _socket
        while self.waiting:
            family, address = self.waiting.pop(0)
            sock = None
            try:
                if self.given is not None:
                    sock = _socket.socket(family, _socket.SOCK_STREAM, 0, duplicate(self.given.fileno()))
                else:
                    sock = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC)
                    sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
                error = connect_at_once(sock, address) if self.given is not None else sock.connect_ex(address)
                if error in (0, EINPROGRESS):
                    connection = Connection(self.key)
                    adopt_descriptor(self.loop, connection, sock.fileno(), False)
                    sock.detach()
                    connection.watcher = self
                    self.attempts.append(connection)
                    if self.waiting and self.given is None:
                        self.next_attempt = self.loop.call_at(self.loop.now() + <uint64_t>ATTEMPT_DELAY_NS, self.try_later)
                    return
            except OSError as problem:
                error = problem.errno or 0
            self.error = error
            if sock is not None:
                sock.close()
        if not self.attempts:
            self.loop.call_soon(self.give_up)

    def try_later(self):
        if self.callback is not None:
            try:
                self.try_next()
            except BaseException:
                self.broken()
                raise

    def give_up(self):
        self.end(None)

    cdef object on_connected(self, Connection connection, int error):
        self.attempts.remove(connection)
        if error == 0:
            self.end(connection)
            return
        self.error = error
        connection.close()
        if self.next_attempt is not None:
            self.next_attempt.cancel()
        self.try_next()

    cdef object on_stale(self, Connection connection):
        pass                            # it was connected a moment ago; whoever has it now is told

    cdef object on_broken(self, Connection connection, object error):
        self.broken()

    cdef object broken(self):
        """An exception has come in between: no further address is tried."""
        if self.callback is not None:
            self.error = ENOMEM
            self.end(None)

    cdef object end(self, Connection connection):
        callback = self.callback
        self.cancel()
        if callback is not None:
            callback(connection, 0 if connection is not None else self.error)

    cpdef cancel(self):
        """Closes what is under way; the callback is not called any more."""
        self.callback = None
        if self.next_attempt is not None:
            self.next_attempt.cancel()
        for connection in self.attempts:
            (<Connection>connection).close()
        self.attempts.clear()
        self.waiting.clear()
