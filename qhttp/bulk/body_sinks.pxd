"""Where the body of a download goes: into memory as long as it is small, then into the part; as it comes, or decoded."""
from libc.stdint cimport uint64_t

from qhttp._core cimport Sink
from qhttp._sinks cimport Memory

cdef enum:
    IN_MEMORY_CAP = 256 << 10       # a body up to this size never needs a descriptor of its own


cdef class PartSink(Memory):
    """Memory first. When that is full, or the body is known to be large, C writes straight into the part."""
    cdef object owner               # its want_part(sink) is called, once, when a part is needed and there is none
    cdef int fd                     # of the part, which is the transfer's; -1: none yet
    cdef uint64_t start             # where in the part the body's first byte goes
    cdef bytes expected             # what its first bytes have to be: they are in the part already; None: nothing is known
    cdef object failure             # the exception why the part cannot be written, or is not continued by this body
    cdef bint is_wanted
    cdef object opened(self, int fd, uint64_t start)
    cdef bint is_written(self)      # C writes into the part
    cdef uint64_t end(self)         # where the part ends now
    cdef bint is_worth_writing(self)
    cdef bint begin_part(self)
    cdef object want(self)


cdef class PieceSink(Memory):
    """Takes what comes piece by piece: to be decoded, or because it is only to come slowly."""
    cdef object decoder             # a coding.Decoder, or None
    cdef object pacer               # asked for leave before more is received; None: it may come as it likes
    cdef list kept                  # pieces in memory
    cdef uint64_t n_kept            # bytes of them
    cdef uint64_t in_memory_cap     # 0: all of it stays in memory
    cdef object pending             # iterator of pieces that were decoded and not taken; None: there are none
    cdef object owner               # its want_part(sink) is called when there is too much for memory
    cdef int fd                     # of the part; -1: none yet
    cdef uint64_t offset            # where the next byte goes
    cdef bytes expected             # as in PartSink
    cdef object failure
    cdef bint is_written(self)
    cdef bint is_waiting(self)      # for the part
    cdef object opened(self, int fd, uint64_t start)
    cdef object write_pending(self)
    cdef object write(self, bytes piece)
    cdef bytes check_join(self, bytes piece)
    cdef object finish_decoding(self)


cdef class RangeSink(Sink):
    """C writes straight to a place in a file, whose descriptor is somebody else's."""
