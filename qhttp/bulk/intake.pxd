"""Rows in, and the hosts at which they wait."""
from libc.stdint cimport int64_t

from qhttp.bulk.outcome cimport Host, Runner
from qhttp.bulk.transfer cimport Transfer


cdef class Intake(Runner):
    cdef bytes method                   # of all rows
    cdef int64_t n_rows                 # taken so far
    cdef object sources                 # deque of iterators of rows
    cdef object row_read                # one for which there was no memory yet; None: there is none
    cdef bint is_reading                # a source is asked for its next row at this moment
    cdef bint is_dry                    # a source has nothing now: more() will say when
    cdef bint has_begun, is_stopping, is_over
    cdef dict hosts                     # origin -> Host
    cdef dict hosts_by_text             # "http://host:port" as it stands in URLs -> Host
    cdef Host first_ready, last_ready   # Hosts that may have something to start
    cdef Py_ssize_t n_ready
    cdef Py_ssize_t n_waiting           # transfers at hosts, for a lane
    cdef dict delayed                   # transfers that wait for the time of their next try -> its Timer, or None
    cdef object choose_proxy            # access.ProxyChoice, or None
    cdef Transfer take_row(self)
    cdef Transfer make_transfer(self, row)
    cdef Host new_host(self, tuple origin)
    cdef object list_host(self, Host host)
    cdef Host take_listed(self)
