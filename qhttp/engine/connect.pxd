from qhttp._connection cimport Connection, Watcher
from qhttp._core cimport Loop, Timer


cdef class Connector(Watcher):
    cdef Loop loop
    cdef object key             # for the pool
    cdef list waiting           # (family, sockaddr) not tried yet
    cdef list attempts          # Connections under way
    cdef object given           # a socket of the user's, or None
    cdef object callback        # callback(connection, error); None once called or cancelled
    cdef int error              # errno of the last attempt that failed
    cdef Timer next_attempt
    cdef object try_next(self)
    cdef object broken(self)
    cdef object end(self, Connection connection)
    cpdef cancel(self)
