# cython: nonecheck=True
# (what is public may be called at any time, also before there is a host)
"""Fewer lanes, where this machine has no more descriptors or ports: slower, and nothing is lost.

A lane needs a descriptor for its connection, one for its part, and one for the connection that it leaves behind. What the
limit of the process allows is counted when a run begins, and some are left to everybody else in it. Where they run out all the
same, whoever gets none waits until one of the others has ended, which is no try of its own; and there are no more lanes than
had what they need. With each round of good files there is one lane more again.
"""
from posix.resource cimport RLIMIT_NOFILE, getrlimit, rlimit

from qhttp.bulk.outcome cimport Host
from qhttp.bulk.transfer cimport Transfer

from os import listdir

cdef enum:
    PER_LANE = 3                # its connection, its part, an idle connection
    FILES_MOST = 64             # files that the file thread has open at a time
    SPARED = 8                  # for imports, look-ups, sessions, and what is not ours
    UNKNOWN = 16                # taken to be open where nobody tells


cdef class Scarcity(Patience):
    def __init__(self, settings):
        Patience.__init__(self, settings)
        self.n_lanes = self.n_lanes_most = settings.jobs
        self.n_parts_most = FILES_MOST

    cdef object count_descriptors(self):
        """How many lanes there may be in this run."""
        cdef rlimit limit
        cdef Py_ssize_t n_free, jobs = self.settings.jobs
        self.n_lanes_most = jobs
        if getrlimit(RLIMIT_NOFILE, &limit) == 0 and limit.rlim_cur < <unsigned long>(
                (PER_LANE + 1) * jobs + FILES_MOST + SPARED + UNKNOWN):
            try:
                n_open = len(listdir("/proc/self/fd"))
            except OSError:
                n_open = UNKNOWN
            n_free = <Py_ssize_t>limit.rlim_cur - n_open - SPARED
            self.n_lanes_most = max(1, min(jobs, n_free // PER_LANE))
            self.pool.max_idle = self.n_parts_most = self.files.n_open_most = self.n_lanes_most
        self.n_lanes = min(self.n_lanes, self.n_lanes_most)

    def spare(self):
        """The file thread has no descriptor for a file: an idle connection ends, or there is one lane less."""
        if len(self.pool):
            self.pool.forget_oldest()
        elif len(self.busy) > 1:
            self.n_lanes, self.n_good = min(self.n_lanes, len(self.busy) - 1), 0

    cdef bint may_begin(self):
        """Whether there is a lane, and room for what it brings."""
        return len(self.busy) < self.n_lanes and self.files.n_parts_waiting < self.n_parts_most

    def next_try(self, Transfer transfer, error):
        cdef bint is_late = 0 < self.max_time_ns <= self.loop.now() - transfer.start_ns
        what = getattr(error, "lacks", None)
        if what is not None and not self.is_stopping and not is_late and self.make_do(transfer.host, what):
            self.n_retries += 1
            return 0.0
        return Patience.next_try(self, transfer, error)

    def make_do(self, Host host, what):
        """True: it will have what it lacks when another one has ended, and is not to begin before. False: nobody else has any
        of it."""
        if what == "descriptors":
            if len(self.pool):
                self.pool.forget_oldest()
                return True
            if self.busy:
                self.n_lanes, self.n_good = len(self.busy), 0
            return bool(self.busy)
        if host.n_running:
            host.n_lanes, host.n_good = host.n_running, 0
        return host.n_running > 0

    cdef object thrive(self):
        """One more file is good."""
        self.n_good += 1
        if self.n_good >= self.n_lanes:
            self.n_good = 0
            self.n_lanes += 1
