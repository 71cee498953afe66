"""Which transfer runs when: lanes, hosts, limits."""
from libc.stdint cimport int64_t, uint64_t

from qhttp._core cimport Fifo, Timer
from qhttp.bulk.outcome cimport Host, Runner
from qhttp.bulk.transfer cimport Transfer


cdef class Lanes(Runner):
    cdef bytes method
    cdef int64_t n_rows                 # taken so far
    cdef dict hosts                     # origin -> Host
    cdef dict hosts_by_text             # "http://host:port" as it stands in URLs -> Host
    cdef object ready                   # deque of Hosts that may have something to start
    cdef object sources                 # deque of iterators of rows
    cdef set busy                       # transfers that have a lane
    cdef Py_ssize_t n_waiting           # at hosts, for a lane
    cdef dict delayed                   # transfers that wait for the time of their next try -> its Timer, or None
    cdef object not_done                # deque of rows that failed
    cdef bint has_begun, is_stopping, is_over
    cdef bint is_dry                    # a source has nothing now: more() will say when
    cdef object choose_proxy            # access.ProxyChoice, or None
    cdef object bucket                  # rate.TokenBucket for all, or None
    cdef Timer watch                    # looks at the limits of time
    cdef Timer wake_up                  # a host may go on then
    cdef uint64_t wake_up_ns
    cdef uint64_t idle_ns, max_time_ns, speed_ns, tick_ns
    cdef double min_speed
    cdef object pump(self)
    cdef Transfer next_transfer(self)
    cdef Transfer take_row(self)
    cdef Transfer make_transfer(self, row)
    cdef bint may_start(self, Host host, uint64_t now)
    cdef object list_host(self, Host host)
    cdef object begin_transfer(self, Transfer transfer)
    cdef object send_ahead(self, Transfer transfer)
    cdef object wake_at(self, uint64_t when_ns)
    cdef object check_over(self)
    cdef Host new_host(self, tuple origin)
