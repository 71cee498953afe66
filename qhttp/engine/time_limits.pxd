"""The limits of time of one exchange: what they are, and what they must know of it."""
from libc.stdint cimport uint64_t

from qhttp._connection cimport Watcher
from qhttp._core cimport Limits, Loop, Timer


cdef class Options:
    """Limits of time and size, and of addresses; shared by the exchanges of one user. 0: no limit."""
    cdef public Limits limits
    cdef public bint public_only        # connect to public addresses only
    cdef public uint64_t connect_ms, transfer_ms, total_ms, min_rate, rate_ms


cdef class Timed(Watcher):
    """What can be limited: an exchange."""
    cdef bint over              # ended, failed or cancelled: nothing is told any more
    cdef bint congested         # receiving rests until the reader has taken something
    cdef bint is_moving(self)               # it has a connection
    cdef uint64_t n_moved(self)             # bytes sent and received on it
    cdef uint64_t last_moved(self)          # when the last of them was; CLOCK_MONOTONIC
    cdef object fail(self, object error)


cdef class TimeLimits:
    cdef Loop loop
    cdef Options options
    cdef Timed target           # None once all is over
    cdef Timer connect_timer, transfer_timer, total_timer, rate_timer
    cdef uint64_t since_ns      # what was before does not count
    cdef uint64_t rate_mark     # bytes moved when the rate's window began
    cdef Timer call_in(self, uint64_t msecs, callback)
    cdef bint is_watching(self)
    cdef object limit_total(self)
    cdef object limit_connect(self)
    cdef object connected(self)
    cdef object watch_traffic(self)
    cdef object stop(self)
