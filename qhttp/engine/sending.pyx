"""How a request goes out: its head, then its body out of memory, a device or a file, in as few calls as the recorded progress
allows. What comes back, and what that means for the sending, is the exchange's.
"""
from cpython.bytes cimport PyBytes_GET_SIZE
from libc.stdint cimport uint64_t

from qhttp._connection cimport Connection
from qhttp.engine.observer cimport Request
from qhttp.engine.time_limits cimport Timed
from qhttp.protocol.request cimport with_fields

from qhttp.errors import DeviceError

cdef enum:
    JOINED_MAX = 64 << 10       # head and body up to this size are sent by one call
    CONTINUE_NS = 1000000000    # how long a 100 answer is waited for (RFC 9110 section 10.1.1: not without end)


cdef class Sending(Timed):
    cdef object carry(self, Request request):
        self.request = request
        self.set_head(request.head)

    cdef object set_head(self, bytes head):
        self.head = head
        if not self.request.is_chunked:
            self.n_to_send = PyBytes_GET_SIZE(head) + self.request.source_len
            if self.request.body is not None:
                self.n_to_send += PyBytes_GET_SIZE(self.request.body)

    cdef object compose(self, bint is_fresh):
        """The head as it is sent on this connection."""
        cdef bytes head = self.request.head
        fields = self.observer.credentials(self.route, self.request, is_fresh)
        if fields is not None:
            head = with_fields(head, fields)
        if head is not self.head:       # it may have been composed before, with others or none
            self.set_head(head)

    cdef object send_next(self, bint check):
        """Gives the connection what comes next, in as few calls as the recorded progress allows."""
        cdef Request request = self.request
        cdef Connection connection = self.connection
        cdef bytes piece = None
        if self.stage == SEND_HEAD:
            piece = self.head
            self.stage = SEND_BODY if request.body else SEND_SOURCE if request.source is not None else SEND_NOTHING
            if self.stage == SEND_SOURCE and request.awaits_continue:
                self.stage = SEND_WHEN_ASKED
            if self.stage == SEND_BODY and self.n_to_send <= JOINED_MAX:
                piece, self.stage = piece + request.body, SEND_NOTHING
            elif self.stage == SEND_SOURCE or self.stage == SEND_WHEN_ASKED:
                self.rewind()
        elif self.stage == SEND_BODY:
            piece, self.stage = request.body, SEND_NOTHING
        elif self.stage == SEND_SOURCE:
            if request.source.file >= 0 and not self.over and connection.channel is None and self.route.socket is None:
                self.stage = SEND_NOTHING
                connection.c.tells_sent = True
                connection.send_file(request.source.file, 0, request.source_len)
                return
            piece = self.next_piece()
        # The source may have done anything, also turned the loop until all was over.
        if piece and not self.over and not self.stop_sending and self.connection is connection:
            connection.c.tells_sent = self.stage != SEND_NOTHING or self.observer.wants_sent()
            connection.send(piece, check)

    cdef object rewind(self):
        self.in_source = True
        try:
            self.request.source.rewind()
        except DeviceError as error:
            if not self.over:
                self.fail(error)
        finally:
            self.in_source = False

    cdef bytes next_piece(self):
        piece = None
        self.in_source = True
        try:
            piece = self.request.source.next_piece()
        except DeviceError as error:
            if not self.over:
                self.fail(error)
        finally:
            self.in_source = False
        if piece is None or self.over or self.stage != SEND_SOURCE:
            return None
        if self.request.source.is_at_end:
            self.stage = SEND_NOTHING
        return piece

    cdef uint64_t n_sent(self):
        """Bytes of this request that were written; those behind it do not count."""
        cdef uint64_t n = self.connection.c.n_sent
        n = n - self.out_start if n > self.out_start else 0
        return n if self.request.is_chunked else min(n, self.n_to_send)

    cdef bint is_sending(self):
        return self.stage != SEND_NOTHING or self.connection.c.n_sent < self.connection.c.request_end

    cdef uint64_t out_end(self):
        return self.out_start + self.n_to_send

    cdef object on_sent(self, Connection connection, size_t n):
        if self.stage == SEND_NOTHING and connection.c.n_sent - n >= connection.c.request_end:
            return                      # of those behind it
        self.observer.sent(self.n_sent(), self.n_to_send)
        if self.over or self.connection is not connection or self.stop_sending:
            return
        if connection.unsent() == 0:
            if self.stage == SEND_WHEN_ASKED:
                self.wait_for_continue()
            else:
                self.send_next(False)

    cdef object wait_for_continue(self):
        if self.continue_timer is None:
            self.continue_timer = self.loop.call_at(self.loop.now() + CONTINUE_NS, self.wait_no_longer)

    def wait_no_longer(self):
        """No 100 answer has come in time."""
        cdef Connection connection = self.connection
        try:
            self.continue_now()
        except BaseException as error:      # out of a device: KeyboardInterrupt and the like
            self.on_broken(connection, error)
            raise

    cdef object continue_now(self):
        """A 100 answer has come, or nobody waits for it any longer."""
        self.stop_waiting()
        if self.stage == SEND_WHEN_ASKED and self.connection is not None and not self.over and not self.stop_sending:
            self.stage = SEND_SOURCE
            if self.connection.unsent() == 0 and not self.in_source:    # else its head is not out yet
                self.send_next(False)

    cdef object stop_waiting(self):
        if self.continue_timer is not None:
            self.continue_timer.cancel()
            self.continue_timer = None
