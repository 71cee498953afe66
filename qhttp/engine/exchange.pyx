"""One request and its answer, from asking the pool for a connection to giving it back.

Two rules keep it sound whatever user code does. State is brought in order first and the observer told then. After each
thing told, `over` says whether a slot has cancelled meanwhile. What a head event points to is used up before anything
is told, since a slot may turn the loop.

    begin -> (pool | look-up -> connect) -> use -> send ... -> head -> body ... -> finish | fail
      ^                                      |
      +--- lose: the connection went before any byte of an answer came (twice at most, idempotent requests only)

With pipelining a request may be sent before its turn (stand_in_line). Its exchange then stands in the connection's line, tells
nothing, and has the connection when those before it are finished: begin goes straight to the head. If the connection
goes first, it is as if the request had never been sent.
"""
cimport cython
from cpython.bytes cimport PyBytes_GET_SIZE
from libc.errno cimport ECONNREFUSED, ECONNRESET, EPIPE, ETIMEDOUT
from libc.stdint cimport uint64_t

from qhttp._connection cimport Connection
from qhttp._core cimport (
    QH_AGAIN, QH_DONE, QH_E_HEAD_TOO_LARGE, QH_E_LINE_TOO_LONG, QH_E_NOT_HTTP, QH_E_RECEIVE, QH_E_SEND, QH_E_SINK,
    QH_E_TOO_MANY_FIELDS, QH_E_TRUNCATED, QH_FRAMING_CLOSE, QH_FRAMING_LENGTH, Sink, qh_is_error, qh_status,
)
from qhttp.engine.time_limits cimport Timed, TimeLimits
from qhttp.protocol.framing cimport decide, keeps_alive
from qhttp.protocol.head cimport is_valid_head

from os import strerror

from qhttp.errors import (
    BodyError, ConnectError, DeviceError, HostNotFound, NetworkError, ProtocolError, QHttpError, Truncated, UnexpectedClose,
)

cdef enum:
    MAX_RETRIES = 2
    JOINED_MAX = 64 << 10       # head and body up to this size are sent by one call

cdef enum:                      # stages of sending
    SEND_HEAD
    SEND_BODY
    SEND_SOURCE
    SEND_NOTHING


@cython.freelist(16)
cdef class Request:
    pass


cdef class Observer(Task):
    cdef object looking_up(self):
        pass

    cdef object connecting(self):
        pass

    cdef object sending(self):
        pass

    cdef bint wants_sent(self):
        return True

    cdef object sent(self, uint64_t n_done, uint64_t n_total):
        pass

    cdef object lost(self):
        pass

    cdef object reading(self):
        pass

    cdef Sink sink_for(self, int status):
        return None

    cdef object interim(self, bytes block):
        pass

    cdef object head_received(self, bytes block, int status):
        pass

    cdef object progressed(self, uint64_t n_done, uint64_t n_total):
        pass

    cdef object ended(self, bint is_connected):
        pass

    cdef object failed(self, object error):
        pass


cdef object closed_unexpectedly():
    return UnexpectedClose("Server closed connection unexpectedly")


cdef class Exchange(Timed):
    """Use: `Exchange.__new__(Exchange)`, set loop to options, `carry(request)`, `begin()`; then the observer hears of everything,
    and `cancel()` ends it silently."""

    cdef object carry(self, Request request):
        self.request = request
        if not request.is_chunked:
            self.n_to_send = PyBytes_GET_SIZE(request.head) + request.source_len
            if request.body is not None:
                self.n_to_send += PyBytes_GET_SIZE(request.body)

    # -- a connection
    cdef object begin(self):
        cdef Connection connection
        if self.limits is None and (self.options.total_ms or self.options.transfer_ms or self.options.min_rate):
            self.limits = TimeLimits(self.loop, self.options, self)
            self.limits.limit_total()
        if self.connection is not None:
            self.take_turn()
            return
        connection = self.pool.take(self.key)
        if connection is not None:
            self.use(connection, True)
        else:
            self.open()

    cdef object open(self):
        if self.options.connect_ms:
            if self.limits is None:
                self.limits = TimeLimits(self.loop, self.options, self)
            self.limits.limit_connect()
        from qhttp.engine.resolver import literal_address, resolver     # not before the first connection: imports are felt
        addresses = literal_address(self.host, self.port)
        if addresses is None and self.host:
            self.observer.looking_up()
            if not self.over:
                resolver.lookup(self.loop, self.host, self.port, self.looked_up)
            return
        self.observer.connecting()
        if not self.over:
            if addresses is None:
                self.loop.call_soon(self.not_found)
            else:
                self.connect_to(addresses)

    def looked_up(self, addresses, error):
        if self.over:
            return
        if not addresses:
            self.not_found()
            return
        self.observer.connecting()
        if not self.over:
            self.connect_to(addresses)

    def connect_to(self, addresses):
        from qhttp.engine.connect import Connector
        self.connector = Connector(self.loop, self.key, addresses, self.connected)

    def not_found(self):
        if not self.over:
            self.fail(HostNotFound(f"Host {self.host} not found"))

    def connected(self, Connection connection, int error):
        self.connector = None
        if connection is not None:
            self.use(connection, False)
        elif error == ECONNRESET or error == EPIPE:     # it stood, and was gone before we looked
            self.lose()
        elif error == ECONNREFUSED or error == ETIMEDOUT:
            self.fail(ConnectError("Connection refused (or timed out)"))
        else:
            self.fail(NetworkError(f"HTTP request failed: {strerror(error)}"))

    cdef object use(self, Connection connection, bint reused):
        if self.limits is not None:
            self.limits.connected()
        self.connection, connection.watcher = connection, self
        self.observer.sending()
        if self.over or self.connection is not connection:
            return
        connection.expect_head(self.options.limits)
        self.out_start, self.stage = connection.c.n_sent, SEND_HEAD
        if self.limits is not None:
            self.limits.watch_traffic()
        self.send_next(reused)

    # -- before its turn
    cdef object stand_in_line(self, Connection connection):
        """Puts the request behind those under way on `connection`, which is to send it; it must be without a body."""
        self.connection, self.sent_ahead = connection, True
        self.out_start = connection.stand_in_line(self, self.request.head)

    cdef object on_line_lost(self):
        self.connection, self.sent_ahead = None, False

    cdef bint may_send_behind(self):
        """Whether requests may follow this one on its connection before it is answered (RFC 9112 section 9.3.2)."""
        cdef Connection connection = self.connection
        return (connection is not None and not self.over and connection.is_persistent and not connection.is_doomed
                and self.stage == SEND_NOTHING and not (self.head_done and not self.keep_alive))

    cdef bint withdraw(self) except -1:
        """The request is not wanted any more, though it may have been sent. True: that has closed its connection."""
        cdef Connection connection = self.connection
        self.over, self.connection = True, None
        if connection is None:
            return False
        if connection.watcher is self:
            connection.close()
            return True
        connection.is_doomed = True     # whoever is before it gets the answer first
        return False

    cdef object take_turn(self):
        """Its request was sent ahead: all that a request of its own would tell now, and then the answer."""
        cdef qh_status status
        cdef Connection connection = self.connection
        cdef uint64_t n
        self.stage = SEND_NOTHING
        connection.c.request_end = self.out_end()
        self.observer.sending()
        if self.over or self.connection is not connection:
            return
        connection.c.tells_sent = self.observer.wants_sent()
        n = self.n_sent()
        if n and connection.c.tells_sent:
            self.observer.sent(n, self.n_to_send)
            if self.over or self.connection is not connection:
                return
        if self.limits is not None:
            self.limits.watch_traffic()
        connection.expect_head(self.options.limits)
        if connection.c.n_sent + connection.unsent() < self.out_end():      # sending has failed meanwhile
            self.on_failed(connection, QH_E_SEND, 0)
            return
        status = connection.find_head()
        if status == QH_DONE:
            self.on_head(connection)
        elif qh_is_error(status):
            self.on_failed(connection, status, 0)
        elif connection.has_input():
            self.on_first_bytes(connection)

    # -- sending
    cdef object send_next(self, bint check):
        """Gives the connection what comes next, in as few calls as the recorded progress allows."""
        cdef Request request = self.request
        cdef Connection connection = self.connection
        cdef bytes piece = None
        if self.stage == SEND_HEAD:
            piece = request.head
            self.stage = SEND_BODY if request.body else SEND_SOURCE if request.source is not None else SEND_NOTHING
            if self.stage == SEND_BODY and self.n_to_send <= JOINED_MAX:
                piece, self.stage = piece + request.body, SEND_NOTHING
            elif self.stage == SEND_SOURCE:
                self.rewind()
        elif self.stage == SEND_BODY:
            piece, self.stage = request.body, SEND_NOTHING
        elif self.stage == SEND_SOURCE:
            piece = self.next_piece()
        # The source may have done anything, also turned the loop until all was over.
        if piece and not self.over and not self.stop_sending and self.connection is connection:
            connection.c.tells_sent = self.stage != SEND_NOTHING or self.observer.wants_sent()
            connection.send(piece, check)

    cdef object rewind(self):
        self.in_source = True
        try:
            self.request.source.rewind(self.n_retries > 0)
        except DeviceError as error:
            if not self.over:
                self.fail(error)
        finally:
            self.in_source = False

    cdef bytes next_piece(self):
        self.in_source = True
        try:
            piece = self.request.source.next_piece()
        except DeviceError as error:
            if not self.over:
                self.fail(error)
            return None
        finally:
            self.in_source = False
        if self.over or self.stage != SEND_SOURCE:
            return None
        if self.request.source.is_at_end:
            self.stage = SEND_NOTHING
        return piece

    cdef uint64_t n_sent(self):
        """Bytes of this request that were written; those behind it do not count."""
        cdef uint64_t n = self.connection.c.n_sent
        n = n - self.out_start if n > self.out_start else 0
        return n if self.request.is_chunked else min(n, self.n_to_send)

    cdef object on_sent(self, Connection connection, size_t n):
        if self.stage == SEND_NOTHING and connection.c.n_sent - n >= connection.c.request_end:
            return                      # of those behind it
        self.observer.sent(self.n_sent(), self.n_to_send)
        if self.over or self.connection is not connection or self.stop_sending:
            return
        if connection.unsent() == 0:
            self.send_next(False)

    cdef object on_stale(self, Connection connection):
        """The server closed it while it was idle, or sent what nobody asked for: nothing of this request was sent."""
        self.connection = None
        self.sent_ahead = False
        connection.close()
        self.observer.lost()
        if not self.over:
            self.begin()

    # -- the head
    cdef bint tell_reading(self) except -1:
        """Announces, once, that an answer comes; False: that was the end of it."""
        if not self.reading_told:
            self.reading_told = True
            self.observer.reading()
        return not self.over

    cdef object on_first_bytes(self, Connection connection):
        self.answer_begun = True
        self.tell_reading()

    cdef object on_head(self, Connection connection):
        cdef bytes block
        cdef qh_status status
        self.answer_begun = True
        while True:
            if not connection.is_head_known() and not self.judge_head(connection):
                return
            block = connection.judged
            if connection.facts.status >= 200 or connection.facts.status == 101:
                break
            status = connection.skip_head()
            self.observer.interim(block)
            if status == QH_AGAIN:
                self.tell_reading()
                return
            if qh_is_error(status):
                self.fail_head(status)
                return
        self.begin_body(connection, block)

    cdef bint judge_head(self, Connection connection) except -1:
        """Takes the facts of the head that has come; False: it is not valid, and that was the end of it."""
        cdef bytes block
        cdef qh_status status = connection.read_facts()
        if not qh_is_error(status) and connection.facts.status >= 100 and connection.facts.major == 1:
            block = connection.head_block()
            if is_valid_head(block, connection.facts.has_fold):
                connection.judged = block
                return True
        self.fail_head(status)
        return False

    cdef object fail_head(self, qh_status status):
        if self.tell_reading():
            text = "Invalid HTTP response header"
            if status == QH_E_NOT_HTTP:
                text += ": the answer is not HTTP"
            elif status == QH_E_HEAD_TOO_LARGE or status == QH_E_LINE_TOO_LONG or status == QH_E_TOO_MANY_FIELDS:
                text += ": it is larger than the limits allow (Limits)"
            self.fail(ProtocolError(text))

    cdef object begin_body(self, Connection connection, bytes block):
        cdef qh_status status
        try:
            self.framing = decide(self.request.is_head, connection.facts)
        except ProtocolError as error:
            if self.tell_reading():
                self.fail(error)
            return
        self.keep_alive = keeps_alive(self.framing, connection.facts)
        self.n_announced = connection.facts.length if self.framing == QH_FRAMING_LENGTH else 0
        self.head_done = True
        if self.stage != SEND_NOTHING or connection.c.n_sent < connection.c.request_end:
            self.stop_sending, self.keep_alive = True, False
            connection.stop_sending()
        self.sink = self.observer.sink_for(connection.facts.status) or self.sink
        status = connection.begin_body(self.framing, self.n_announced, self.options.limits, self.sink)
        self.block = block
        # From here on user code runs. The body goes on beside it if a slot turns the loop.
        if not self.tell_head():
            return
        if qh_is_error(status):
            self.on_failed(connection, status, 0)
        elif self.tell_progress() and status == QH_DONE:
            self.finish()

    # -- the body
    cdef bint tell_head(self) except -1:
        """Announces the head, once, and before anything of the body: also where a slot of `reading` turns the loop and the
        body's events come first. False: that was the end of it."""
        if self.tell_reading() and not self.head_told:
            self.head_told = True
            self.observer.head_received(self.block, self.connection.facts.status)
        return not self.over

    cdef bint tell_progress(self) except -1:
        """Hands on what has come; False: that was the end of it."""
        cdef uint64_t n
        if not self.tell_head():
            return False
        n = self.connection.received()
        if n == self.n_told or self.settling:
            return True                 # nothing new, or it is for the one who is handing on already
        self.settling = True
        try:
            self.sink.settle()
        except DeviceError as error:
            if not self.over:
                self.fail(error)
            return False
        finally:
            self.settling = False
        if self.over:
            return False
        n = self.n_told = self.connection.received()
        self.observer.progressed(n, self.n_announced)
        if not self.over and self.end_held:
            self.end_held = False
            if self.held_status == QH_DONE:
                self.on_end(self.connection, self.held_surplus)
            else:
                self.on_failed(self.connection, self.held_status, self.held_error)
        return not self.over

    cdef bint hold(self, qh_status status, size_t n_surplus, int error):
        """True while the destination's code runs: the end of the body waits for it."""
        if self.settling:
            self.end_held, self.held_status, self.held_surplus, self.held_error = True, status, n_surplus, error
        return self.settling

    cdef object on_progress(self, Connection connection):
        self.tell_progress()

    cdef object on_full(self, Connection connection):
        if not self.tell_progress() or self.connection is not connection:      # a reader may take it, and make room
            return
        self.congested = not connection.more_room(self.n_announced)
        if self.congested:
            connection.pause(True)

    cdef object resume(self):
        """The reader has taken something: goes on receiving if there is room."""
        if self.congested and not self.over and self.connection.more_room(self.n_announced):
            self.congested = False
            if self.limits is not None:
                self.limits.watch_traffic()     # what the reader has waited does not count
            self.connection.pause(False)

    cdef object on_end(self, Connection connection, size_t n_surplus):
        connection.n_surplus = n_surplus
        if not self.hold(QH_DONE, n_surplus, 0) and self.tell_progress():
            self.finish()

    # -- the end
    cdef object on_failed(self, Connection connection, qh_status status, int error):
        cdef bint was_cut = status == QH_E_TRUNCATED or status == QH_E_RECEIVE or status == QH_E_SEND
        if self.hold(status, 0, error):
            return
        if not self.head_done:
            if not was_cut:
                self.fail_head(status)
            elif self.answer_begun:
                self.fail(closed_unexpectedly())
            else:
                self.lose()
        elif not self.tell_head():
            return
        elif status == QH_E_SINK:
            self.fail(DeviceError(f"Error writing response to device: {strerror(self.sink.c.error)}"))
        elif not self.tell_progress_before(status):
            return
        elif was_cut and self.framing == QH_FRAMING_CLOSE:
            self.fail(closed_unexpectedly())
        elif was_cut:
            self.fail(Truncated("Wrong content length"))
        else:
            self.fail(BodyError("Invalid HTTP chunked body"))

    def tell_progress_before(self, qh_status status):
        """What came before a cut is good and is handed on; what came with bad framing in one piece is not."""
        if status == QH_E_TRUNCATED or status == QH_E_RECEIVE:
            return self.tell_progress()
        return self.tell_head()

    cdef object lose(self):
        """The connection went before any byte of an answer: tries again where that cannot do harm."""
        if not self.request.is_idempotent or self.n_retries == MAX_RETRIES or self.in_source:
            self.fail(closed_unexpectedly())
            return
        if not self.sent_ahead:         # then it was the answer before that ended the connection
            self.n_retries += 1
        self.sent_ahead = False
        if self.connection is not None:
            self.connection.close()
            self.connection = None
        self.observer.lost()
        if not self.over:
            self.begin()

    cdef object on_broken(self, Connection connection, object error):
        if not self.over:
            self.fail(QHttpError(f"the request was broken off by {type(error).__name__}"))

    cdef object finish(self):
        cdef Connection connection = self.connection
        cdef bint reusable = self.keep_alive and not connection.is_doomed
        if connection.n_surplus:        # another answer, if its request was out when that was received
            reusable = reusable and connection.n_in_line() > 0 and (
                <Exchange>connection.line[0]).out_end() <= connection.c.n_sent_then
        elif reusable and connection.n_in_line() and (<Exchange>connection.line[0]).out_start >= connection.c.n_sent:
            connection.send_line_back()     # nothing of it has gone out: it begins as any other, with a look at the socket
        self.leave()
        if not reusable:
            connection.close()
        elif not connection.pass_on():
            connection.rest()
            self.pool.put(connection)
        self.sink.finish()
        self.observer.ended(reusable)

    cdef uint64_t out_end(self):
        return self.out_start + self.n_to_send

    cdef object fail(self, error):
        self.cancel()
        self.observer.failed(error)

    cpdef cancel(self):
        """Ends it silently and closes its connection."""
        cdef Connection connection = self.connection
        if self.over:
            return
        if self.connector is not None:
            self.connector.cancel()
        self.leave()
        if connection is not None:
            if self.head_done:
                self.sink.drop_last(connection.received() - self.n_told)
            connection.close()
        self.sink.finish()

    cdef object leave(self):
        """Nothing more is told, and nothing that waits holds this exchange any longer."""
        self.over = True
        self.connection = self.connector = None
        if self.limits is not None:
            self.limits.stop()
            self.limits = None

    # -- what the limits of time look at
    cdef bint is_moving(self):
        return self.connection is not None

    cdef uint64_t n_moved(self):
        return self.n_sent() + (self.connection.received() if self.head_done else 0)

    cdef uint64_t last_moved(self):
        return self.connection.last_moved()
