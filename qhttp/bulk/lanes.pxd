"""Which transfer runs when."""
from libc.stdint cimport uint64_t

from qhttp._connection cimport Connection
from qhttp._core cimport Timer
from qhttp.bulk.outcome cimport Host, Outcome
from qhttp.bulk.scarcity cimport Scarcity
from qhttp.bulk.transfer cimport Transfer
from qhttp.engine.exchange cimport Exchange


cdef class Lanes(Scarcity):
    cdef object not_done                # deque of rows that failed
    cdef Timer wake_up                  # a host may go on then
    cdef uint64_t wake_up_ns
    cdef object pump(self)
    cdef Transfer next_transfer(self)
    cdef bint is_gentle                 # what is under way may come to its end
    cdef Transfer take_waiting(self, Host host)
    cdef object put_back(self, Transfer transfer)
    cdef bint may_start(self, Host host, uint64_t now)
    cdef object begin_transfer(self, Transfer transfer)
    cdef int n_lining_up                # calls of send_ahead under way
    cdef object send_ahead(self, Transfer transfer)
    cdef bint line_up(self, Transfer transfer, Exchange exchange, Connection connection) except -1
    cdef bint may_follow(self, Transfer transfer, Exchange exchange, Connection connection)
    cdef object wake_at(self, uint64_t when_ns)
    cdef object check_over(self)
    cdef object tell_end(self, Outcome transfer)
