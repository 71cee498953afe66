"""What an exchange is made of and whom it tells: a request, and an observer that does nothing of itself."""
cimport cython
from libc.stdint cimport uint64_t

from qhttp._connection cimport Connection
from qhttp._core cimport Sink, Task

from qhttp.errors import QHttpError


cdef object NO_MEMORY = QHttpError("the request was broken off by MemoryError")     # made while there is some


cdef object broken_off(object error):
    """The error of a request that was ended by an exception which says nothing of it."""
    made = NO_MEMORY
    try:
        made = QHttpError(f"the request was broken off by {type(error).__name__}")
    except MemoryError:
        pass
    return made


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

    cdef object closing(self):
        pass

    cdef object challenged(self, bytes block, int status):
        return QHttpError("authentication is required")

    cdef object proxy_challenged(self, bytes block, object edition):
        return QHttpError("authentication is required")

    cdef object credentials(self, object route, Request request, bint is_fresh):
        return None

    cdef object proxy_login(self):
        return None

    cdef object tunnelled(self, Connection connection, bytes received):
        connection.close()

    cdef bint wants_ssl_errors(self):
        return False

    cdef object ssl_errors(self, object error, object certificate):
        return False

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

    # -- times
    cdef object forget_times(self):
        self.took_ns[LOOKING_UP] = self.took_ns[CONNECTING] = self.took_ns[SECURING] = 0

    cdef object timings_between(self, uint64_t began, uint64_t first, uint64_t end):
        """The Timings of what has begun, and of which the first byte has come, and the end, at those moments; 0: not yet."""
        from qhttp.timings import Timings       # not before somebody asks: imports are felt
        return Timings(seconds(self.took_ns[LOOKING_UP]), seconds(self.took_ns[CONNECTING]), seconds(self.took_ns[SECURING]),
                       since(began, first), since(began, end))


cdef object seconds(uint64_t ns):
    return ns / 1e9 if ns else None


cdef object since(uint64_t began, uint64_t moment):
    """0.0: it was there already, as what answers a request that was sent before its turn."""
    if not began or not moment:
        return None
    return (moment - began) / 1e9 if moment > began else 0.0
