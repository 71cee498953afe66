from qhttp._connection cimport Channel, Connection


cdef class SocksChannel(Channel):
    cdef object machine             # socksio's
    cdef object asker
    cdef object stage               # what takes the reply that is waited for
    cdef bytes received             # of it
    cdef size_t wanted              # its bytes, as far as that is known
    cdef str host
    cdef int port
    cpdef start(self, Connection connection)
    cdef object flush(self, Connection connection)
    cdef object expect(self, stage, size_t n)
    cdef object refuse(self, Connection connection, str why)
    cdef object request(self, Connection connection)
