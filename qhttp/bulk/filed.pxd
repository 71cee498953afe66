"""The file of a transfer and its part."""
from libc.stdint cimport uint64_t

from qhttp.bulk.outcome cimport Outcome


cdef class Filed(Outcome):
    cdef bytes final, part              # its names as the system has them, when it is whole and before; None: as path
    cdef bint is_prepared               # its name is chosen, and nothing is in its way
    cdef int fd                         # of the part, open for writing; -1
    cdef bint is_opening                # the file thread opens or empties the part ...
    cdef bint is_empty                  # the part is open, and nothing has been written since it was emptied
    cdef bint has_stale                 # there is a part that the session does not know
    cdef object wanting                 # ... and this sink waits for it; None: none does any more
    cdef object kept                    # the session's row about the part, not looked at yet; None
    cdef uint64_t part_len              # bytes of the version at hand that are in the part
    cdef object version                 # a resume.Version: of what is in the part; None: not known
    cdef object asked                   # the resume.Join that the request asked for; None: the whole
    cdef bint no_part                   # continuing has failed: from the start
    cdef bint is_joined                 # out of several answers
    cdef object pieces                  # segments.Split; None: the file comes in one
    cdef bint is_mixed                  # they are of mirrors of which only a checksum can tell whether they have the same file
    cdef object left                    # [[start, end], ...] of a file in pieces that is to go on; None
    cdef object prepare(self)
    cdef object close_part(self, bint keep)
