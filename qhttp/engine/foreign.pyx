"""A socket of the user's that only its own methods can be asked: an ssl.SSLSocket, or any object with recv_into, send and
fileno.

It is called when its descriptor is ready, once for each time, so that one which blocks does not stop the loop. Its code may do
anything: it fills a buffer of ours that nobody else has, and what it raises is the end of the connection.
"""
from libc.errno cimport ECONNRESET, EIO, EPIPE
from libc.string cimport memcpy

from qhttp._connection cimport Channel, Connection, adopt_descriptor
from qhttp._core cimport Loop

from os import close as close_descriptor, dup as duplicate, getpid

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events, revents
    int poll(pollfd *those, unsigned long n, int timeout_ms)
    int POLLIN

cdef enum:
    SLICE = 256 << 10       # bytes given to one send
    SMALL_SLICE = 4 << 10   # where that may block: so much a socket takes that calls itself writable
    ROOM = 64 << 10         # for one recv_into

cdef object FAILED = object()       # in the place of what a call returns
cdef tuple NOT_NOW = ("SSLWantReadError", "SSLWantWriteError")      # by name: ssl need not be imported


cdef bint means_not_now(error):
    return isinstance(error, (BlockingIOError, InterruptedError)) or type(error).__name__ in NOT_NOW


cdef int errno_of(error, int otherwise):
    """Whatever an exception of the user's has in that place."""
    number = getattr(error, "errno", None)
    return number if isinstance(number, int) and 0 < number < 4096 else otherwise


cdef bint is_readable(int fd):
    cdef pollfd one = pollfd(fd, POLLIN, 0)
    return poll(&one, 1, 0) > 0


cdef class ObjectChannel(Channel):
    def __init__(self, sock):
        self.sock, self.room = sock, bytearray(ROOM)
        self.pending = getattr(sock, "pending", None)
        self.timeout, self.slice, self.pid = 0, SMALL_SLICE, getpid()

    # -- receiving
    cdef object read(self, Connection connection):
        """Asks the socket once; what it gives is held then."""
        self.in_call = True
        try:
            n = self.sock.recv_into(memoryview(self.room))
            if n is not None and not (isinstance(n, int) and 0 <= n <= ROOM):
                raise OSError(EIO, "recv_into gave no number of bytes")
        except Exception as error:
            if not means_not_now(error):
                self.end(errno_of(error, ECONNRESET))
            elif self.send_error:       # nothing lies there that would tell more
                self.end(self.send_error)
            n = FAILED
        finally:
            self.in_call = False
        if n is FAILED:
            return
        if n == 0:
            self.end(0)
        elif n is not None:
            self.held_at, self.held_end = 0, n

    cdef object end(self, int error):
        self.has_ended, self.error = True, error

    cdef bint has_pending(self):
        """Whether the socket itself holds bytes, of which its descriptor says nothing."""
        cdef bint any_there = True      # the end is something, too
        try:
            any_there = self.pending is not None and self.pending() > 0
        except Exception as error:      # no return from here: there may be no memory for a traceback
            self.end(errno_of(error, ECONNRESET))
        return any_there

    cdef object receive(self, Connection connection):
        cdef size_t length = 0, n
        cdef char *room = NULL
        if self.in_call:                # it turns the loop itself
            return
        if self.held_at == self.held_end and not self.has_ended:
            self.read(connection)
            if connection.channel is not self:
                return                  # closed meanwhile
        n = self.held_end - self.held_at
        if not connection.find_room(&room, &length):
            connection.call_again(not connection.is_idle())     # in between: when its watcher has decided
            if connection.is_idle() and (n or self.has_ended):  # whatever comes there is its end
                connection.end_of_stream(0)
            return
        n = min(n, length)
        if n > 0:
            memcpy(room, <char *>self.room + self.held_at, n)
            self.held_at += n
        if n > 0 or (length == 0 and self.held_at < self.held_end):
            connection.took(n)
        elif self.has_ended:
            connection.end_of_stream(self.error)
        connection.call_again(n > 0 and (self.held_at < self.held_end or self.has_ended or self.has_pending()))

    # -- sending
    cdef object send(self, Connection connection, bytes piece, bint check):
        if check and not self.in_call and self.held_at == self.held_end and not self.has_ended and (
                self.has_pending() or is_readable(connection.c.fd)):
            self.read(connection)       # what nobody has asked for must not be the answer to this
        if self.has_ended or (check and self.held_at < self.held_end):
            connection.tell_stale()
            return
        self.add_plain(piece)
        connection.want_room(True)

    cdef object on_writable(self, Connection connection):
        cdef bytes plain = self.plain
        cdef Py_ssize_t at = self.plain_at, n_offered
        if self.in_call:
            return
        if plain is None:
            connection.want_room(False)
            return
        n_offered = min(self.slice, len(plain) - at)
        self.in_call = True
        try:
            n = self.sock.send(memoryview(plain)[at:at + n_offered])
            if not isinstance(n, int) or not 0 <= n <= n_offered:
                raise OSError(EIO, "send gave no number of bytes")
        except Exception as error:
            n = None
            if means_not_now(error):
                n = FAILED
            else:
                self.send_error = errno_of(error, EPIPE)
        finally:
            self.in_call = False
        if n is FAILED:
            return
        if connection.channel is not self or self.plain is None:
            return                      # closed, or not to be sent any more
        if n is None:
            self.plain, connection.c.cannot_send = None, True
            connection.want_room(False)
            if not connection.c.in_body:        # else the answer is under way, and goes on
                self.look_for_answer(connection)
            return
        self.plain_at += <Py_ssize_t>n  # also where more was put behind it meanwhile, and it begins anew
        if self.plain_at == len(self.plain):
            self.plain = None
            connection.want_room(False)
        connection.note_sent(n)

    cdef object look_for_answer(self, Connection connection):
        """Sending has failed: an answer that came before that is read first, and then tells more."""
        if self.held_at < self.held_end or is_readable(connection.c.fd):
            connection.call_again(True)
        else:
            self.end(self.send_error)
            connection.end_of_stream(self.error)

    cdef object closing(self, Connection connection):
        self.give_back()

    def __del__(self):                  # of a connection that nobody has closed
        self.give_back()

    cdef object give_back(self):
        """Sets the socket as its owner had it; once."""
        timeout, self.timeout = self.timeout, 0
        try:
            if self.is_eof_kept:
                self.is_eof_kept = False
                self.sock.suppress_ragged_eofs = True
            if timeout != 0 and self.pid == getpid():       # in a forked child it is still the parent's
                self.sock.settimeout(timeout)
        except Exception:
            pass                        # closed by its owner


# ------------------------------------------------------------------------------------------ taking them in
def adopt_descriptor_of(Loop loop, sock, key):
    """A Connection over a connected socket.socket, by its descriptor: as fast as one of ours."""
    return adopt(loop, sock, key)


def adopt_object(Loop loop, sock, key):
    """A Connection over any other connected socket, by its methods; it does not block from now on, if it can be told so."""
    cdef ObjectChannel channel = ObjectChannel(sock)
    cdef Connection connection = adopt(loop, sock, key)
    if hasattr(sock, "gettimeout") and hasattr(sock, "setblocking"):
        channel.timeout, channel.slice = sock.gettimeout(), SLICE
        sock.setblocking(False)
    if getattr(sock, "suppress_ragged_eofs", None) is True:     # an end that was not announced is no end (RFC 8446 section 6.1)
        sock.suppress_ragged_eofs, channel.is_eof_kept = False, True
    connection.set_channel(channel)
    return connection


cdef Connection adopt(Loop loop, sock, key):
    cdef Connection connection = Connection(key)
    cdef int fd = duplicate(sock.fileno())
    try:
        adopt_descriptor(loop, connection, fd, True)
    except BaseException:
        close_descriptor(fd)
        raise
    return connection
