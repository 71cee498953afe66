"""One request and its answer: what it is made of and what it tells. Documented in docs/design/0002-exchange.md."""
from libc.stdint cimport uint64_t

from qhttp._core cimport Connection, Limits, Loop, Sink, Task, Timer, Watcher, qh_framing, qh_status
from qhttp.engine.pool cimport Pool


cdef class Options:
    """Limits of time and size; shared by the exchanges of one user. 0: no limit."""
    cdef public Limits limits
    cdef public uint64_t connect_ms, transfer_ms, total_ms, min_rate, rate_ms


cdef class Request:
    """What to send: `head`, then `body` (bytes) or what `source` gives."""
    cdef bytes head
    cdef bytes body             # None: no body, or it comes from the source
    cdef object source          # has read(n); None: no source
    cdef uint64_t source_len    # bytes of the source, unless it is chunked
    cdef bint is_chunked        # the source's length is unknown
    cdef bint is_head           # the answer has no body
    cdef bint is_idempotent     # may be sent again when no byte of an answer has come


cdef class Observer(Task):
    """Is told how an exchange goes. Each call may run user code, which may do anything; the exchange looks afterwards."""
    cdef object looking_up(self)
    cdef object connecting(self)
    cdef object sending(self)
    cdef object sent(self, uint64_t n_done, uint64_t n_total)
    cdef object lost(self)
    cdef object reading(self)
    # The final head is here: where its body goes; None: where the exchange was told. Must not run user code.
    cdef Sink sink_for(self, int status)
    cdef object interim(self, bytes block)
    cdef object head_received(self, bytes block)
    cdef object progressed(self, uint64_t n_done, uint64_t n_total)
    cdef object ended(self, bint is_connected)
    cdef object failed(self, object error)


cdef class Exchange(Watcher):
    cdef Loop loop
    cdef Pool pool
    cdef object key             # of the pool
    cdef str host
    cdef int port
    cdef Request request
    cdef Sink sink
    cdef Observer observer
    cdef Options options
    cdef Connection connection  # None while there is none
    cdef object connector       # what is under way to one, or None
    cdef Timer connect_timer, transfer_timer, total_timer, rate_timer
    cdef bint over              # ended, failed or cancelled: nothing is told any more
    cdef bint answer_begun      # a byte of an answer has come (interim ones count)
    cdef bint reading_told, head_told
    cdef bint head_done         # the final head is here, the body is under way
    cdef bytes block            # the final head
    cdef bint stop_sending      # the answer came first
    cdef bint congested         # receiving rests until the reader has taken something
    cdef bint keep_alive
    cdef bint in_source         # the source's own code runs
    cdef bint settling          # the destination's own code runs: what ends the body waits until it is through
    cdef bint end_held          # such an end has come
    cdef size_t held_surplus    # and these are its particulars
    cdef qh_status held_status
    cdef int held_error
    cdef qh_framing framing
    cdef int n_retries
    cdef uint64_t n_sent, n_to_send     # bytes of the request
    cdef uint64_t n_source_left
    cdef int stage              # of sending: what comes next
    cdef uint64_t n_told        # body bytes, in the last progressed()
    cdef uint64_t n_announced   # body bytes by Content-Length; 0: unknown
    cdef uint64_t sent_ns       # when something was last sent
    cdef uint64_t rate_mark     # bytes moved when the rate's window began
    cdef object begin(self)
    cdef object open(self)
    cdef object use(self, Connection connection, bint reused)
    cdef object send_next(self, bint check)
    cdef bytes next_block(self)
    cdef object fail_head(self, qh_status status)
    cdef object begin_body(self, Connection connection, bytes block)
    cdef bint tell_reading(self) except -1
    cdef bint tell_head(self) except -1
    cdef bint hold(self, qh_status status, size_t n_surplus, int error)
    cdef bint tell_progress(self) except -1
    cdef object finish(self)
    cdef object fail(self, object error)
    cdef object lose(self, object error)
    cdef object leave(self)
    cdef object resume(self)
    cdef uint64_t n_moved(self)
    cpdef cancel(self)
