# cython: language_level=3
"""One or several requests over one connection of the product's, and what became of them.

The connection is a socket that is handed over connected, as Opening does it, or one that the pool has kept; its bytes are
received by the loop, or through a socket object's methods. Nothing here looks into an answer.
"""
from libc.errno cimport EAGAIN, errno
from libc.stdint cimport uint64_t

from qhttp._connection cimport Connection, adopt_descriptor
from qhttp._core cimport Sink
from qhttp._sinks cimport FileSink, Memory
from qhttp.engine.exchange cimport Exchange
from qhttp.engine.observer cimport Request

from os import fdopen, ftruncate, memfd_create

from qhttp.engine.foreign import adopt_object
from qhttp.errors import QHttpError

cdef extern from "<sys/socket.h>" nogil:
    int AF_UNIX, SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC, MSG_DONTWAIT, MSG_NOSIGNAL, SHUT_WR
    int socketpair(int domain, int kind, int protocol, int *fds)
    ssize_t send(int fd, const void *data, size_t length, int flags)
    ssize_t recv(int fd, void *data, size_t length, int flags)
    int shutdown(int fd, int how)

cdef extern from "<unistd.h>" nogil:
    int close(int fd)

cdef enum:
    SMALL_LIMIT = 16
    TURNS_MAX = 64              # for one piece


cdef class Told(Observer):
    cdef object forget(self):
        self.exchange = None
        self.outcome = NOTHING_YET
        self.status = 0
        self.was_challenged = self.is_connected = self.began = False
        self.block = self.tunnelled_bytes = None
        self.interims = None
        self.pieces = None
        self.error = None
        self.n_done = 0

    # -- what its reader does
    cdef object read(self):
        if self.pieces is None:
            self.pieces = []
        self.pieces.append(self.memory.take(self.memory.available()))

    cdef bytes body(self):
        """All of it, where it went to memory."""
        cdef bytes rest = self.memory.take(self.memory.available())
        return rest if self.pieces is None else b"".join(self.pieces) + rest

    # -- what the exchange tells and asks
    cdef bint wants_sent(self):
        return self.wants_to_know

    cdef object lost(self):
        self.outcome = LOST
        self.exchange.cancel()

    cdef object closing(self):
        self.outcome = REPEATED
        self.exchange.cancel()

    cdef object challenged(self, bytes block, int status):
        self.was_challenged = True
        if self.accepts_challenge:
            return True
        return QHttpError("authentication is required")

    cdef object interim(self, bytes block):
        if self.interims is None:
            self.interims = []
        self.interims.append(block)

    cdef object head_received(self, bytes block, int status):
        self.block, self.status = block, status

    cdef object tunnelled(self, Connection connection, bytes received):
        self.outcome = TUNNELLED
        self.tunnelled_bytes = received
        connection.pause(True)          # whoever has it now reads what comes, at the end

    cdef object progressed(self, uint64_t n_done, uint64_t n_total):
        assert n_done > self.n_done, f"progress from {self.n_done} to {n_done}"
        self.n_done = n_done
        if self.reads_early:
            self.read()

    cdef object ended(self, bint is_connected):
        self.outcome = ENDED
        self.is_connected = is_connected

    cdef object failed(self, object error):
        self.outcome = FAILED
        self.error = error


cdef class Socket:
    """What may be given to setSocket beside a socket of the system's."""
    cdef int fd

    def fileno(self):
        return self.fd

    def recv_into(self, unsigned char[::1] room):
        cdef ssize_t n = recv(self.fd, &room[0], room.shape[0], MSG_DONTWAIT)
        if n < 0:
            raise (BlockingIOError if errno == EAGAIN else OSError)(errno, "recv")
        return n

    def send(self, const unsigned char[::1] data):
        cdef ssize_t n = send(self.fd, &data[0], data.shape[0], MSG_DONTWAIT | MSG_NOSIGNAL)
        if n < 0:
            raise (BlockingIOError if errno == EAGAIN else OSError)(errno, "send")
        return n


cdef class Plan:
    pass


cdef class Run:
    def __cinit__(self, loop, pool, route):
        self.loop, self.pool, self.route, self.key = loop, pool, route, route.key
        self.ours = self.peer = -1
        self.file = fdopen(memfd_create("body"), "w+b", 0)
        self.sock = Socket()
        self.line = [Told() for _ in range(LINE_MAX)]
        for told in self.line:
            (<Told>told).memory = Memory()

    cdef object open_pair(self):
        cdef int fds[2]
        if socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0:
            raise OSError(errno, "socketpair")
        self.ours, self.peer = fds

    cdef object make_exchange(self, Told told, Plan plan, int i):
        cdef Exchange exchange = Exchange.__new__(Exchange)
        told.forget()
        told.wants_to_know, told.accepts_challenge = plan.wants_to_know, plan.accepts_challenge
        told.reads_early = plan.reads_early and plan.sink < TO_FILE
        told.memory.discard()
        told.memory.set_limit(SMALL_LIMIT if plan.sink == TO_SMALL_MEMORY else 0)
        if plan.sink < TO_FILE:
            told.sink = told.memory
        elif plan.sink == TO_FILE and i == 0:
            ftruncate(self.file.fileno(), 0)
            self.file.seek(0)
            told.sink = FileSink(self.file)
        else:
            told.sink = Sink()
        told.exchange = exchange
        exchange.loop, exchange.pool, exchange.key, exchange.route = self.loop, self.pool, self.key, self.route
        exchange.sink, exchange.observer, exchange.options = told.sink, told, plan.options
        exchange.carry(plan.request)

    cdef object start(self, Plan plan):
        """Asks; further requests stand in line behind the first."""
        cdef Connection connection
        cdef Exchange first
        cdef int i
        cdef bint is_again = plan.is_again and self.pool.n_idle
        if not is_again:
            self.finish(False)
        self.n = plan.n_requests
        for i in range(self.n):
            self.make_exchange(self.line[i], plan, i)
        first = (<Told>self.line[0]).exchange
        (<Told>self.line[0]).began = True
        if is_again:
            connection = self.connection
            first.begin()               # takes it out of the pool
        else:
            self.open_pair()
            if plan.is_foreign:
                (<Socket>self.sock).fd = self.ours
                connection = adopt_object(self.loop, self.sock, self.key)
                close(self.ours)
                self.ours = (<Socket>self.sock).fd = connection.c.fd
            else:
                connection = Connection(self.key)
                adopt_descriptor(self.loop, connection, self.ours, True)
            self.connection = connection
            first.opened(connection)
        if self.n > 1:
            for i in range(1, self.n):
                (<Told>self.line[i]).exchange.stand_in_line(connection)
            connection.send_line()

    cdef object turn(self):
        """Turns until there is nothing more to do; those in line have their turn when the one before them has ended."""
        cdef Told told
        cdef int i, j
        cdef bint goes_on = True
        for i in range(TURNS_MAX):
            self.loop.turn(0)
            goes_on = self.loop.is_busy()
            for j in range(self.n):
                told = self.line[j]
                if told.outcome == NOTHING_YET:
                    if not told.began:
                        told.began = goes_on = True
                        if told.exchange.connection is None:
                            told.outcome = NEVER_SENT
                            continue
                        told.exchange.begin()
                    elif told.exchange.congested:
                        told.read()
                        told.exchange.resume()
                        goes_on = True
                    if told.outcome == NOTHING_YET:
                        break
            if not goes_on:
                return
        raise AssertionError("the loop does not come to rest")

    cdef object end_stream(self, Plan plan):
        if plan.end == ENDS:
            shutdown(self.peer, SHUT_WR)
        elif plan.end == BREAKS:
            close(self.peer)            # a request that was not read is an error for the other side
            self.peer = -1

    cdef object play(self, Plan plan, const char *answer, size_t length):
        cdef size_t at = 0, end
        cdef int i
        self.start(plan)
        if not plan.is_early:
            self.turn()
        for i in range(plan.n_cuts + 1):
            end = plan.cuts[i] if i < plan.n_cuts else length
            if end > at and send(self.peer, answer + at, end - at, MSG_DONTWAIT | MSG_NOSIGNAL) < 0:
                break                   # the client has closed
            at = max(at, end)
            if i == plan.n_cuts and plan.end_comes_along:
                self.end_stream(plan)
            self.turn()
        if not plan.end_comes_along:
            self.end_stream(plan)
        self.turn()
        if plan.end != STAYS_OPEN:
            self.turn()
        self.read_tunnel()
        self.is_open = self.connection.c.fd >= 0 and self.pool.n_idle == 1

    cdef object read_tunnel(self):
        cdef Told told = self.line[0]
        cdef char room[4096]
        cdef ssize_t n
        if told.outcome == TUNNELLED:
            n = recv(self.ours, room, sizeof(room), MSG_DONTWAIT)
            if n > 0:
                told.tunnelled_bytes += room[:n]

    cdef object finish(self, bint keeps):
        """Ends what is left; `keeps`: all but an idle connection."""
        cdef int i
        for i in range(self.n):
            (<Told>self.line[i]).exchange.cancel()
            (<Told>self.line[i]).exchange = None
        self.n = 0
        if keeps and self.is_open:
            return
        if self.connection is not None:
            self.connection.close()
            self.connection = None
            self.pool.close()
        if self.peer >= 0:
            close(self.peer)
            self.peer = -1
