from qhttp._connection cimport Connection


cdef class Pool:
    cdef readonly int max_idle
    cdef Connection recent  # the one used last; None: it is with the others, or there is none
    cdef dict idle          # key -> list of Connection, the most recently used last
    cdef int n_idle
    cdef object owner       # weak reference: its connection_lost(connection) hears of an idle connection's end; or None
    cdef object self_ref    # weak reference to the pool, one for all its connections
    cdef object __weakref__
    cpdef Connection take(self, key)
    cpdef put(self, Connection connection)
    cpdef close(self)
    cdef object file_recent(self)
    cdef object forget_oldest(self)
