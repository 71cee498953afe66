"""The limits of time of one exchange: connect, transfer, total, minimum rate. One that has none costs nothing.

A limit on traffic looks now and then, and comes back later, instead of being set anew by every byte.
"""
from libc.stdint cimport uint64_t

from qhttp._core cimport Limits, Loop, Timer

from qhttp.errors import ConnectError, TimeoutError

cdef enum:
    NS_PER_MS = 1000000


cdef class Options:
    def __init__(self):
        self.limits = Limits()
        self.connect_ms = 30000

    def __repr__(self):
        return (f"<qhttp options: connect_ms={self.connect_ms}, transfer_ms={self.transfer_ms}, total_ms={self.total_ms}, "
                f"min_rate={self.min_rate} over {self.rate_ms} ms, public_only={bool(self.public_only)}, {self.limits}>")


cdef class Timed(Watcher):
    cdef bint is_moving(self):
        return False

    cdef uint64_t n_moved(self):
        return 0

    cdef uint64_t last_moved(self):
        return 0

    cdef object fail(self, object error):
        pass


cdef Timer cancelled(Timer timer):
    if timer is not None:
        timer.cancel()
    return None


cdef class TimeLimits:
    """Until `stop()`, it and its target hold each other."""

    def __cinit__(self, Loop loop, Options options, Timed target):
        self.loop, self.options, self.target = loop, options, target

    cdef Timer call_in(self, uint64_t msecs, callback):
        timer = self.loop.call_at(self.loop.now() + msecs * NS_PER_MS, callback)
        return timer if self.target is not None else cancelled(timer)      # a finalizer has ended it meanwhile

    cdef object limit_total(self):
        if self.options.total_ms and self.total_timer is None:
            self.total_timer = self.call_in(self.options.total_ms, self.total_time_up)

    cdef object limit_connect(self):
        """Begins, or begins anew where another connection is opened."""
        self.connect_timer = cancelled(self.connect_timer)
        if self.options.connect_ms:
            self.connect_timer = self.call_in(self.options.connect_ms, self.connect_time_up)

    cdef object connected(self):
        self.connect_timer = cancelled(self.connect_timer)

    cdef object watch_traffic(self):
        """Starts, or starts again on another connection or after a pause, the limits that look at the traffic."""
        self.since_ns = self.loop.now()
        self.transfer_timer = cancelled(self.transfer_timer)
        self.rate_timer = cancelled(self.rate_timer)
        if self.options.transfer_ms:
            self.transfer_timer = self.call_in(self.options.transfer_ms, self.transfer_time_up)
        if self.options.min_rate and self.options.rate_ms and self.target is not None:
            self.rate_mark = self.target.n_moved()
            self.rate_timer = self.call_in(self.options.rate_ms, self.rate_time_up)

    cdef object stop(self):
        self.target = None
        self.connect_timer = cancelled(self.connect_timer)
        self.transfer_timer = cancelled(self.transfer_timer)
        self.total_timer = cancelled(self.total_timer)
        self.rate_timer = cancelled(self.rate_timer)

    cdef bint is_watching(self):
        return self.target is not None and not self.target.over and self.target.is_moving()

    def connect_time_up(self):
        cdef Timed target = self.target         # a reference of our own: it lets go of us, and we of it, when it fails
        if target is not None and not target.over:
            target.fail(ConnectError("Connection refused (or timed out)"))

    def total_time_up(self):
        cdef Timed target = self.target
        if target is not None and not target.over:
            target.fail(TimeoutError(f"the request took longer than {self.options.total_ms} ms in all"))

    def transfer_time_up(self):
        cdef Timed target = self.target
        cdef uint64_t now, moved, limit_ns = self.options.transfer_ms * NS_PER_MS
        if not self.is_watching() or not limit_ns:
            return
        now = self.loop.now()
        moved = now if target.congested else max(target.last_moved(), self.since_ns)    # congested: the reader waits
        if now - moved >= limit_ns:
            target.fail(TimeoutError(f"no byte came for {self.options.transfer_ms} ms"))
        else:
            self.transfer_timer = self.loop.call_at(moved + limit_ns, self.transfer_time_up)

    def rate_time_up(self):
        cdef Timed target = self.target
        cdef uint64_t moved, mark = self.rate_mark
        if not self.is_watching() or not self.options.rate_ms:
            return
        self.rate_mark = moved = target.n_moved()
        if not target.congested and (moved - mark) * 1000.0 < <double>self.options.min_rate * self.options.rate_ms:
            target.fail(TimeoutError(f"slower than {self.options.min_rate} bytes/s over {self.options.rate_ms} ms"))
        else:
            self.rate_timer = self.call_in(self.options.rate_ms, self.rate_time_up)
