"""One URL of a run, from its first request to its end."""
from libc.stdint cimport uint64_t

from qhttp.bulk.answered cimport Answered
from qhttp.engine.exchange cimport Exchange


cdef class Transfer(Answered):
    cdef list followers                 # transfers whose requests went out behind this one's; None: there are none
    cdef public object editions         # of the credentials that its request carried (identity.py)
    cdef uint64_t since_ns              # of the limits on traffic: what was before does not count
    cdef uint64_t mark_ns, mark_n       # of the limit on speed: where its window began
    cdef bint is_told                   # that it has begun
    cdef bint is_cancelled
    cdef bint tell_started(self)
    cdef bint get_ready(self)
    cdef bint may_go_ahead(self)
    cdef object start(self)
    cdef Exchange make_exchange(self)
    cdef bytes make_head(self)
    cdef object count(self, uint64_t n)
    cdef object answered(self)
