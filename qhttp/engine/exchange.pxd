"""One request and its answer: what it is made of and what it tells. Documented in docs/design/0002-exchange.md."""
from libc.stdint cimport uint64_t

from qhttp._connection cimport Connection
from qhttp._core cimport Loop, Sink, Task, Timer, qh_framing, qh_status
from qhttp.engine.pool cimport Pool
from qhttp.engine.time_limits cimport Options, Timed, TimeLimits


cdef class Request:
    """What to send: `head`, then `body` (bytes) or what `source` gives."""
    cdef bytes head
    cdef bytes body             # None: no body, or it comes from the source
    cdef object source          # a Source; None: no source
    cdef uint64_t source_len    # bytes of the source, unless it is chunked
    cdef bint is_chunked        # the source's length is unknown
    cdef bint is_head           # the answer has no body
    cdef bint is_connect        # a 2xx answer makes a tunnel of the connection
    cdef bint awaits_continue   # the source is not asked before a 100 answer, or a while
    cdef bint is_idempotent     # may be sent again when no byte of an answer has come


cdef class Observer(Task):
    """Is told how an exchange goes. Each call may run user code, which may do anything; the exchange looks afterwards."""
    cdef object looking_up(self)
    cdef object connecting(self)
    cdef object sending(self)
    cdef bint wants_sent(self)      # somebody listens to the next one
    cdef object sent(self, uint64_t n_done, uint64_t n_total)
    cdef object lost(self)
    cdef object closing(self)       # the connection is closed to send the request again on another
    cdef object reading(self)
    # The final head is here, and no challenge: where its body goes; None: where the exchange was told. Must not run user code.
    cdef Sink sink_for(self, int status)
    cdef object interim(self, bytes block)
    cdef object head_received(self, bytes block, int status)
    # A 401 or 407: True to send the request again (credentials() is asked then), else the error.
    cdef object challenged(self, bytes block, int status)
    cdef object proxy_challenged(self, bytes block)     # the same of a proxy's answer to CONNECT
    # Fields to add to the head of the request, or None; is_fresh: on a connection of its own. Must not run user code.
    cdef object credentials(self, object route, Request request, bint is_fresh)
    cdef object proxy_login(self)   # (user, password) for a proxy that wants one, or None
    cdef object tunnelled(self, Connection connection, bytes received)
    cdef bint wants_ssl_errors(self)
    cdef object ssl_errors(self, object error, object certificate)  # True: go on all the same
    cdef object progressed(self, uint64_t n_done, uint64_t n_total)
    cdef object ended(self, bint is_connected)
    cdef object failed(self, object error)


cdef class Exchange(Timed):
    cdef Loop loop
    cdef Pool pool
    cdef object route           # a Route
    cdef object key             # its key
    cdef Request request
    cdef bytes head             # what is sent of it, with what the route and the credentials need
    cdef Sink sink
    cdef Observer observer
    cdef Options options
    cdef Connection connection  # None while there is none
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
    cdef Timer continue_timer   # until when a 100 is waited for; None: it is not
    cdef bint stop_sending      # the answer came first
    cdef bint keep_alive
    cdef bint in_source         # the source's own code runs
    cdef bint settling          # the destination's own code runs: what ends the body waits until it is through
    cdef bint end_held          # such an end has come
    cdef size_t held_surplus    # and these are its particulars
    cdef qh_status held_status
    cdef int held_error
    cdef qh_framing framing
    cdef int n_retries
    cdef int stage              # of sending: what comes next
    cdef uint64_t out_start     # where the request begins, in bytes sent on the connection
    cdef uint64_t n_to_send     # bytes of the request; 0: unknown
    cdef uint64_t n_told        # body bytes, in the last progressed()
    cdef uint64_t n_announced   # body bytes by Content-Length; 0: unknown
    cdef object carry(self, Request request)
    cdef object begin(self)
    cdef object stand_in_line(self, Connection connection)
    cdef bint withdraw(self) except -1
    cdef bint may_send_behind(self)
    cdef object open(self)
    cdef object set_head(self, bytes head)
    cdef object wait_for_continue(self)
    cdef object stop_waiting(self)
    cdef object compose(self, bint is_fresh)
    cdef object stop_connect_limit(self)
    cdef object start_connect_limit(self)
    cdef object tell_challenge(self)
    cdef object repeat(self)
    cdef object repeat_anew(self)
    cdef object forget_answer(self)
    cdef object hand_over(self, Connection connection)
    cdef object use(self, Connection connection, bint reused)
    cdef object take_turn(self)
    cdef uint64_t n_sent(self)
    cdef bint is_sending(self)
    cdef uint64_t out_end(self)
    cdef object send_next(self, bint check)
    cdef object rewind(self)
    cdef bytes next_piece(self)
    cdef bint judge_head(self, Connection connection) except -1
    cdef object fail_head(self, qh_status status)
    cdef object begin_body(self, Connection connection, bytes block)
    cdef bint tell_reading(self) except -1
    cdef bint tell_head(self) except -1
    cdef bint drop_progress(self) except -1
    cdef bint hold(self, qh_status status, size_t n_surplus, int error)
    cdef bint tell_progress(self) except -1
    cdef object finish(self)
    cdef object lose(self)
    cdef object leave(self)
    cdef object resume(self)
    cpdef cancel(self)
