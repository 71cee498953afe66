"""One large file over several connections."""
from libc.stdint cimport uint64_t

from qhttp.bulk.outcome cimport Host
from qhttp.bulk.transfer cimport Transfer


cdef class Source:
    """Where pieces of a file come from: its URL, or a mirror."""
    cdef Host host
    cdef bytes target
    cdef object url
    cdef object version                 # a resume.Version; None: nothing has come from it yet
    cdef bint is_main                   # what all others are compared with
    cdef bint is_bad                    # it has another file


cdef class Piece(Transfer):
    """Fetches bytes start to end (excluded) of a file. What the pieces of a file come to is told by the file's own transfer."""
    cdef Split whole
    cdef Source source
    cdef uint64_t first, end            # what is still to be fetched


cdef class Split:
    cdef Transfer transfer              # of the file
    cdef uint64_t total
    cdef list ranges                    # [start, end] that nobody fetches, the last ones first
    cdef set pieces                     # under way, or waiting for a lane
    cdef list sources
    cdef Py_ssize_t n_begun             # pieces, to take sources in turn
    cdef bint has_checksum
    cdef bint first_is_out              # the transfer's own request fetches the beginning
    cdef uint64_t first_end
    cdef bint is_over
    cdef object fill(self)
    cdef object note_head(self, Piece piece)
    cdef Source next_source(self)
    cdef object settle(self)
    cdef object piece_ended(self, Piece piece, object error)
    cdef object go_on_behind(self, Piece piece, object error)
    cdef object note(self)
