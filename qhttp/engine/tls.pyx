"""TLS by the standard library's ssl, through memory: the loop's socket carries the records, and what is in them goes the way
of all other bytes, decrypted straight to where it stays.

A stream that ends without close_notify is broken off (RFC 8446 section 6.1), and so is a body that only the end of the stream
delimits. Only where a certificate was refused, and the refusal ignored, the end is taken as it comes: as the original does.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.buffer cimport PyBUF_READ, PyBUF_WRITE
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.errno cimport EAGAIN, ECONNRESET, EINTR, EPIPE, errno
from libc.stdint cimport uint64_t

from qhttp._connection cimport Channel, Connection

import ssl

cdef extern from "Python.h":
    bint PyGC_Disable()
    bint PyGC_Enable()

cdef extern from "<sys/socket.h>" nogil:
    int MSG_DONTWAIT, MSG_NOSIGNAL
    Py_ssize_t recv(int fd, void *room, size_t length, int flags)
    Py_ssize_t send(int fd, const void *data, size_t length, int flags)

cdef enum:
    RECEIVE_MAX = 64 << 10      # of records at once: more only fills what OpenSSL keeps for each connection
    SLICE = 256 << 10           # of plain bytes encrypted at once
    WANTS_MORE = -1             # decrypt: the next record is not whole yet
    ENDED = -2

cdef object WantRead = ssl.SSLWantReadError
cdef object EndOfFile = ssl.SSLEOFError


cdef class TlsChannel(Channel):
    """A connection's TLS. `asker` is told `secured(connection)`, or `insecure(connection, error)` with an OSError of ssl's; with
    `is_verified` False the server's certificate is not looked at."""

    def __init__(self, configuration, str host, int port, bint is_verified, asker):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = configuration.wrap(self.incoming, self.outgoing, host, port, is_verified)
        own = getattr(self.tls, "_sslobj", self.tls)    # OpenSSL's: see receive
        self.read, self.pending = own.read, own.pending
        self.configuration, self.host, self.port, self.asker = configuration, host, port, asker
        self.is_verified = is_verified and configuration.is_verifying
        self.takes_any_end = not is_verified

    @property
    def certificate(self):
        """The server's certificate in DER, or None: bytes."""
        return self.tls.getpeercert(True)

    cpdef start(self, Connection connection, bytes received):
        """Begins the handshake; `received` are bytes that have come already."""
        connection.set_channel(self)
        if received:
            self.take_records(received, len(received))
        self.shake(connection)

    cdef object shake(self, Connection connection):
        cdef bint wants_more = True
        asker, failure = self.asker, None
        while wants_more:
            wants_more = False
            try:
                self.tls.do_handshake()
            except WantRead:
                wants_more = True
            except (OSError, ValueError) as error:      # ValueError: a certificate that Python cannot read
                failure = error
            if connection.channel is not self:
                return                  # closed meanwhile, by a signal's handler say
            if wants_more:
                self.pump(connection)
                if not self.fill(connection):
                    return
        if failure is not None:
            self.asker = None
            self.flush_at_once(connection)
            if self.error:
                failure = OSError(self.error, "the connection was broken off")
            asker.insecure(connection, failure)
            return
        self.asker = None
        self.pump(connection)
        asker.secured(connection)

    # -- receiving
    cdef object take_records(self, char *data, Py_ssize_t n):
        """Gives records to ssl, and follows where they end: to ask it for one that is not whole is dear."""
        cdef Py_ssize_t at = 0
        cdef int step
        self.incoming.write(PyMemoryView_FromMemory(data, n, PyBUF_READ))
        while at < n:
            if self.record_left == 0 and self.header_len < 5:
                self.header[self.header_len] = data[at]
                self.header_len += 1
                self.part_len += 1
                at += 1
                if self.header_len == 5:
                    self.record_left = self.header[3] << 8 | self.header[4]
            else:
                step = <int>min(<Py_ssize_t>self.record_left, n - at)
                self.record_left -= step
                self.part_len += step
                at += step
            if self.header_len == 5 and self.record_left == 0:
                self.header_len = self.part_len = 0

    cdef bint has_record(self) except -1:
        """Whether there is something to decrypt, or decrypted and not handed out."""
        return self.incoming.pending > self.part_len or (self.is_cut and self.pending() > 0)

    cdef bint fill(self, Connection connection) except -1:
        """Takes what the socket has; False: nothing now. After the end, decrypt tells."""
        cdef char[RECEIVE_MAX] room
        cdef Py_ssize_t n
        cdef int number
        if self.has_ended:
            return False
        with nogil:
            n = recv(connection.c.fd, room, RECEIVE_MAX, MSG_DONTWAIT)
            while n < 0 and errno == EINTR:
                n = recv(connection.c.fd, room, RECEIVE_MAX, MSG_DONTWAIT)
            number = errno
        if n > 0:
            self.take_records(room, n)
            return True
        if n < 0 and number == EAGAIN:
            return False
        self.error = number if n < 0 else 0
        self.has_ended = True
        self.incoming.write_eof()
        return True

    cdef Py_ssize_t decrypt(self, char *room, size_t length) except? -9:
        """Bytes into `room`: how many, or WANTS_MORE, or ENDED (then `error` is 0 where the end was announced)."""
        cdef Py_ssize_t n
        if not self.has_record() and not self.has_ended:
            return WANTS_MORE           # ssl would say so by an exception, which costs as much as a record
        try:
            n = self.read(length, PyMemoryView_FromMemory(room, length, PyBUF_WRITE))
        except WantRead:
            n = WANTS_MORE
        except EndOfFile:
            if not self.takes_any_end and not self.error:
                self.error = ECONNRESET         # no close_notify
            n = 0
        except OSError:
            self.error = self.error or ECONNRESET
            n = 0
        if n == WANTS_MORE:
            return n
        if n == 0:
            self.has_ended = True
            return ENDED
        self.is_cut = <size_t>n == length
        return n

    cdef object receive(self, Connection connection):
        cdef size_t length = 0, got = 0
        cdef Py_ssize_t n = 0
        cdef char *room = NULL
        cdef uint64_t turn = connection.loop.c.n_turns
        cdef size_t n_receives
        cdef bint is_head, collects, is_there = True
        if self.asker is not None:
            self.shake(connection)
            return
        if not connection.find_room(&room, &length):
            if connection.is_idle():
                self.look_idle(connection)
            else:
                connection.call_again(True)     # when its watcher has decided what comes next
            return
        self.n_receives += 1
        n_receives = self.n_receives
        is_head = connection.is_in_head()
        collects = PyGC_Disable()       # finalizers could close the connection, or take the block away; a signal's handler can
        try:
            while got < length:
                n = self.decrypt(room + got, length - got)
                is_there = self.has_room_at(connection, room, turn, n_receives)
                if not is_there:
                    break
                if n > 0:
                    got += n
                elif n == ENDED or (is_head and got > 0) or not self.fill(connection):
                    break
        finally:
            if collects:
                PyGC_Enable()
        if connection.channel is not self:
            return
        if not is_there:
            connection.end_of_stream(ECONNRESET)        # who knows where it went
        elif got > 0 or length == 0:
            connection.took(got)
        elif n == ENDED:
            connection.end_of_stream(self.error)
        connection.call_again(got > 0 and (n == ENDED or (n > 0 and self.has_record())))
        self.pump(connection)           # an answer of TLS's own, to a new key or the like

    cdef bint has_room_at(self, Connection connection, char *room, uint64_t turn, size_t n_receives):
        """Whether what is received still goes there, and nobody else has put anything there: a signal's handler may turn the
        loop, in which all connections share the scratch memory."""
        cdef char *now = NULL
        cdef size_t length = 0
        return (connection.channel is self and connection.find_room(&now, &length) and now == room
                and (connection.loop.c.n_turns == turn
                     or (self.n_receives == n_receives and room != connection.loop.c.scratch.memory)))

    cdef object look_idle(self, Connection connection):
        """An idle connection is readable: a new session ticket is all that may come."""
        connection.call_again(False)
        if not self.is_silent(connection):
            connection.end_of_stream(0)

    cdef bint is_silent(self, Connection connection) except -1:
        cdef char byte
        while self.decrypt(&byte, 1) == WANTS_MORE:
            if not self.fill(connection):
                self.pump(connection)
                return True
        return False

    # -- sending
    cdef object send(self, Connection connection, bytes piece, bint check):
        if check and not self.is_silent(connection):
            connection.tell_stale()
            return
        self.add_plain(piece)
        self.pump(connection)

    cdef object pump(self, Connection connection):
        """Gives the loop records to send, if it has sent those before."""
        if connection.c.out_left or connection.c.fd < 0 or connection.channel is not self or self.in_write:
            return
        if self.n_flying == 0 and self.plain is not None and self.asker is None:
            self.in_write = True        # whatever a handler or a finalizer adds stands behind this, and goes out after it
            try:
                self.encrypt(self.plain, self.plain_at)
            except WantRead:
                pass                    # it renegotiates (RFC 5246 section 7.4.1.1): the rest waits for what comes
            except BaseException as problem:        # who knows what of it is encrypted: it must not be once more
                self.plain, self.n_flying = None, 0
                connection.c.cannot_send = True
                connection.end_of_stream(EPIPE)
                if not isinstance(problem, OSError):        # that is the other side's good-bye
                    raise
            finally:
                self.in_write = False
            if connection.channel is not self:
                return                  # closed meanwhile
        if self.outgoing.pending:
            connection.send_raw(self.outgoing.read())

    cdef object encrypt(self, bytes plain, Py_ssize_t at):
        cdef Py_ssize_t n = min(len(plain) - at, <Py_ssize_t>SLICE)
        view = memoryview(plain)[at:at + n]
        while self.n_flying < n:
            self.n_flying += <Py_ssize_t>self.tls.write(view[self.n_flying:])

    cdef object on_sent(self, Connection connection):
        cdef size_t n = self.n_flying
        if connection.c.out_left or self.in_write:
            return                      # that was TLS's own: what is flying comes after it
        self.n_flying = 0
        if self.plain is not None:
            self.plain_at += n
            if self.plain_at == len(self.plain):
                self.plain = None
            connection.note_sent(n)
        self.pump(connection)

    cdef bint is_committed(self):
        return self.n_flying > 0 or self.in_write       # its records are made, and numbered: none may be missing

    # -- the end
    cdef object rested(self, Connection connection):
        if self.is_verified and not self.is_kept:
            self.is_kept = True
            self.configuration.keep_session(self.host, self.port, self.tls)

    cdef object closing(self, Connection connection):
        """Says good-bye (RFC 8446 section 6.1), as far as the socket takes it at once."""
        if self.asker is None and not self.has_ended and connection.c.out_left == 0:
            try:
                self.tls.unwrap()
            except (OSError, ValueError):
                pass                    # it waits for the other side's, which nobody needs
            self.flush_at_once(connection)

    cdef object flush_at_once(self, Connection connection):
        cdef bytes out = self.outgoing.read()
        if out:
            send(connection.c.fd, PyBytes_AS_STRING(out), PyBytes_GET_SIZE(out), MSG_DONTWAIT | MSG_NOSIGNAL)
