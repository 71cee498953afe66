from libc.stdint cimport uint64_t

from qhttp._connection cimport Connection, Watcher
from qhttp._core cimport Loop, qh_status
from qhttp.engine.observer cimport Observer
from qhttp.engine.time_limits cimport Options


cdef class Opening(Watcher):
    cdef readonly Loop loop
    cdef readonly object route
    cdef Options options
    cdef object listener        # None once it is over
    cdef Observer observer      # has the times
    cdef int step               # what is under way since step_ns
    cdef uint64_t step_ns
    cdef object connector       # what is under way ...
    cdef object tunnel
    cdef Connection connection  # ... or the connection that is being made ready
    cdef object verdict         # why the server's certificate was refused; None: it was not
    cdef bint is_asking         # a look-up is under way
    cdef bint was_lost          # the connection ended while the user was asked
    cdef object begin_step(self, int step)
    cpdef cancel(self)
    cpdef go(self)
    cdef object prepare(self)
    cdef object fail(self, error)
    cdef object shake(self, Connection connection, bytes received)
    cdef object ask(self, Connection connection)
    cpdef hand_over(self, Connection connection)
