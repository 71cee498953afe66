"""Fewer lanes, where this machine has no more descriptors or ports."""
from qhttp.bulk.outcome cimport Host
from qhttp.bulk.patience cimport Patience
from qhttp.bulk.transfer cimport Transfer


cdef class Scarcity(Patience):
    cdef Py_ssize_t n_lanes             # transfers at a time, now: `jobs`, or as many as there are descriptors for
    cdef Py_ssize_t n_lanes_most        # of this run
    cdef Py_ssize_t n_good              # files since there was last one lane more
    cdef Py_ssize_t n_parts_most        # that may wait for the file thread: each is a descriptor
    cdef object count_descriptors(self)
    cdef bint may_begin(self)
    cdef object thrive(self)
