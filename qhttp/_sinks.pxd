"""The kinds of Sink (see _core.pxd): memory to read from, a file's descriptor, an object with a write method."""
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from qhttp._core cimport Sink


cdef class Memory(Sink):
    """Body bytes that wait to be read. C fills `block` at the end while nobody else can see it."""
    cdef PyObject *block    # bytes of c.cap, the first c.len of them filled; ours alone; NULL: no memory taken
    cdef size_t start       # bytes already read
    cdef bint is_read       # somebody takes what comes, while the body comes
    cdef size_t limit       # of unread bytes, beyond which nothing more is received; 0: none
    cdef size_t available(self)
    cdef bint is_congested(self)
    cdef bytes take(self, size_t n)
    cdef object discard(self)
    cdef object set_limit(self, size_t limit)
    cdef int resize(self, size_t cap) except -1
    cdef object forget(self)


cdef class FileSink(Sink):
    """A real file, written through its descriptor; the file object's own position follows in the end."""
    cdef object file


cdef class ObjectSink(Memory):
    """Anything with a `write(bytes)` method: gets what has come after each receive."""
    cdef object device
    cdef bint is_raw        # a write may take a part, or nothing (None)
