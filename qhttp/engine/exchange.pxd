"""One request and its answer. Documented in docs/design/0002-exchange.md."""
from libc.stdint cimport uint64_t

from qhttp._connection cimport Connection
from qhttp._core cimport Sink, qh_framing, qh_status
from qhttp.engine.pool cimport Pool
from qhttp.engine.sending cimport Sending
from qhttp.engine.time_limits cimport Options, TimeLimits


cdef class Exchange(Sending):
    cdef Pool pool
    cdef object key             # of the route
    cdef Sink sink
    cdef Options options
    cdef object opening         # what is under way to one, or None
    cdef TimeLimits limits      # None: no limit of time is set
    cdef bint sent_ahead        # its request went out before its turn, on the connection that it has
    cdef bint answer_begun      # a byte of an answer has come (interim ones count)
    cdef bint reading_told, head_told
    cdef bint head_done         # the final head is here, the body is under way
    cdef bytes block            # the final head
    cdef bint is_challenge      # it is a 401 or 407: its body is dropped ...
    cdef bint asking            # the user is asked about it: his time does not count, and what ends its body waits
    cdef bint repeats           # ... and the request sent once more
    cdef unsigned int n_repeats # how often it was
    cdef bint keep_alive
    cdef bint settling          # the destination's own code runs: what ends the body waits until it is through
    cdef bint end_held          # such an end has come
    cdef size_t held_surplus    # and these are its particulars
    cdef qh_status held_status
    cdef int held_error
    cdef qh_framing framing
    cdef int n_retries
    cdef uint64_t n_told        # body bytes, in the last progressed()
    cdef uint64_t n_announced   # body bytes by Content-Length; 0: unknown
    cdef object begin(self)
    cdef object stand_in_line(self, Connection connection)
    cdef object take_place(self, Connection connection)
    cdef bint looks_for_room(self, Connection connection) except -1
    cdef bint withdraw(self) except -1
    cdef bint may_send_behind(self)
    cdef object open(self)
    cdef object stop_connect_limit(self)
    cdef object start_connect_limit(self)
    cdef object watch_traffic(self)
    cdef object tell_challenge(self)
    cdef object repeat(self)
    cdef object repeat_anew(self)
    cdef object forget_answer(self)
    cdef object hand_over(self, Connection connection)
    cdef object use(self, Connection connection, bint reused)
    cdef object take_turn(self)
    cdef object read_head(self, Connection connection)
    cdef bint judge_head(self, Connection connection) except -1
    cdef object fail_head(self, qh_status status)
    cdef object begin_body(self, Connection connection, bytes block)
    cdef bint tell_reading(self) except -1
    cdef bint tell_head(self) except -1
    cdef bint drop_progress(self) except -1
    cdef bint hold(self, qh_status status, size_t n_surplus, int error)
    cdef bint tell_progress(self) except -1
    cdef object finish(self)
    cdef bint tidy(self, Connection connection, bint reusable) except -1
    cdef object lose(self)
    cdef bint was_all(self)
    cdef object leave(self)
    cdef object resume(self)
    cpdef cancel(self)
