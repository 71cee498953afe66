"""What an exchange is made of and whom it tells. Documented in docs/design/0002-exchange.md."""
from libc.stdint cimport uint64_t

from qhttp._connection cimport Connection
from qhttp._core cimport Sink, Task


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


cdef enum:                      # steps to a connection, whose time is taken
    NO_STEP
    LOOKING_UP
    CONNECTING                  # with what a proxy makes of it
    SECURING
    N_STEPS


cdef object broken_off(object error)


cdef class Observer(Task):
    """Is told how an exchange goes. Each call may run user code, which may do anything; the exchange looks afterwards."""
    cdef uint64_t took_ns[N_STEPS]  # all that went into each step, of all connections that were made for it; 0: there was none
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
    # The same of a proxy's answer to CONNECT; edition: of the proxy's Party, when the CONNECT was sent.
    cdef object proxy_challenged(self, bytes block, object edition)
    # Fields to add to the head of the request, or None; is_fresh: on a connection of its own. Must not run user code.
    cdef object credentials(self, object route, Request request, bint is_fresh)
    cdef object proxy_login(self)   # (user, password) for a proxy that wants one, or None
    cdef object tunnelled(self, Connection connection, bytes received)
    cdef bint wants_ssl_errors(self)
    cdef object ssl_errors(self, object error, object certificate)  # True: go on all the same
    cdef object progressed(self, uint64_t n_done, uint64_t n_total)
    cdef object ended(self, bint is_connected)
    cdef object failed(self, object error)
    cdef object forget_times(self)
    cdef object timings_between(self, uint64_t began, uint64_t first, uint64_t end)
