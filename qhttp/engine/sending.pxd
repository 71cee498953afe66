"""How a request goes out; the base of Exchange."""
from libc.stdint cimport uint64_t

from qhttp._connection cimport Connection
from qhttp._core cimport Loop, Timer
from qhttp.engine.observer cimport Observer, Request
from qhttp.engine.time_limits cimport Timed

cdef enum:                      # stages: what comes next
    SEND_HEAD
    SEND_BODY
    SEND_WHEN_ASKED             # of the source, when the server says 100, or after a while
    SEND_SOURCE
    SEND_NOTHING


cdef class Sending(Timed):
    cdef Loop loop
    cdef object route           # a Route
    cdef Request request
    cdef bytes head             # what is sent of it, with what the route and the credentials need
    cdef Observer observer
    cdef Connection connection  # None while there is none
    cdef Timer continue_timer   # until when a 100 is waited for; None: it is not
    cdef bint stop_sending      # the answer came first
    cdef bint in_source         # the source's own code runs
    cdef int stage
    cdef uint64_t out_start     # where the request begins, in bytes sent on the connection
    cdef uint64_t n_to_send     # bytes of the request; 0: unknown
    cdef object carry(self, Request request)
    cdef object compose(self, bint is_fresh)
    cdef object set_head(self, bytes head)
    cdef object send_next(self, bint check)
    cdef bint is_sending(self)
    cdef uint64_t n_sent(self)
    cdef uint64_t out_end(self)
    cdef object wait_for_continue(self)
    cdef object continue_now(self)
    cdef object stop_waiting(self)
    cdef object rewind(self)
    cdef bytes next_piece(self)
