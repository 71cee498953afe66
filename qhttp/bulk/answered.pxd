"""What an answer is, and what follows from it."""
from libc.stdint cimport uint64_t

from qhttp._core cimport Sink
from qhttp.bulk.filed cimport Filed


cdef class Answered(Filed):
    cdef object verdict                 # the error that the answer is, however its body ends
    cdef object location                # where it sends us: list of str; None: nowhere
    cdef bint is_there                  # the name that it gives the file is taken, by a file that is to be taken as done
    cdef readonly bint has_lost_body    # a redirect has made a GET of it
    cdef bint probes                    # the request asks for the beginning, to see whether there are pieces to be had
    cdef bint no_mirrors                # mixed with theirs the file was not the right one
    cdef Py_ssize_t n_mirrors_tried
    cdef object failures                # retry.Failures of this source; None: there was none
    cdef Sink choose_sink(self, int status, bytes lower, uint64_t announced, bint is_empty)
    cdef Sink choose_whole(self, bytes lower, uint64_t announced, bint is_empty)
    cdef Sink choose_for_part(self, bytes lower, uint64_t announced)
    cdef Sink choose_probed(self, bytes lower, uint64_t announced)
