"""How long is waited for whom."""
from libc.stdint cimport uint64_t

from qhttp._core cimport Timer
from qhttp.bulk.intake cimport Intake


cdef class Patience(Intake):
    cdef set busy                       # transfers that have a lane
    cdef object bucket                  # rate.TokenBucket for all, or None
    cdef Timer watch                    # looks at the limits of time
    cdef uint64_t idle_ns, max_time_ns, speed_ns, tick_ns
    cdef double min_speed
