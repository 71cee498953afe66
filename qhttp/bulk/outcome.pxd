"""What a transfer is asked for and what becomes of it; whom it belongs to, and the host it is fetched from."""
from libc.stdint cimport int64_t, uint64_t

from qhttp._core cimport Fifo, Loop, Sink, Task
from qhttp._signal cimport Signal
from qhttp.bulk.files cimport FileThread
from qhttp.engine.exchange cimport Exchange
from qhttp.engine.observer cimport Observer
from qhttp.engine.pool cimport Pool
from qhttp.engine.time_limits cimport Options

cdef enum:                      # what becomes of a transfer
    WAITING                     # for a lane, or for its next try
    RUNNING                     # has a lane, and an exchange as a rule
    IN_PIECES                   # others have lanes for it
    PLACING                     # received whole; its file is being put in its place
    ENDED


cdef class Runner(Task):
    """Whom transfers belong to: what they share, and whom they tell. Its methods are those of Lanes."""
    cdef readonly object settings
    cdef Loop loop
    cdef Pool pool
    cdef Options options
    cdef readonly FileThread files
    cdef readonly object session        # a session.Session that may know something; None
    cdef object policy                  # a retry.RetryPolicy
    cdef readonly object identity       # an Identity: credentials, cookies; None: there are none
    cdef dict in_flight                 # path -> the transfer that will have it; the Session whose it is
    cdef dict named                     # hash of a path -> hash of the URL, of files made here; only where such are skipped
    cdef set wholes                     # transfers whose pieces are under way
    cdef readonly Signal started, progress, finished, failed, retrying, done
    cdef readonly int64_t n_done, n_failed, n_skipped, n_retries
    cdef readonly uint64_t n_bytes      # of bodies, as they came
    cdef int64_t started_wall_ns        # CLOCK_REALTIME, when the run began
    cdef int64_t started_ns             # CLOCK_MONOTONIC, then
    cdef int n_emitting                 # emits under way: slots may turn the loop
    cdef bint takes_times
    cdef bint takes_any_status          # every final answer is one, and no error
    cdef object emit(self, Signal signal, a, b=*, c=*)
    cdef object lane_free(self, Outcome transfer)
    cdef object wait_again(self, Outcome transfer, uint64_t delay_ns)
    cdef object ended(self, Outcome transfer)
    cdef object forget(self, Outcome transfer)
    cdef Host host_of(self, url)


cdef class Host:
    """One origin: how it is reached, and how much of it is in use."""
    cdef readonly tuple origin          # (scheme, host, port)
    cdef readonly object route
    cdef bytes head_tail                # of a plain request to it, from behind the target
    cdef bytes target_head              # before the target: for a proxy that fetches
    cdef Fifo waiting                   # transfers for which there is no lane
    cdef list again                     # those that have waited for another try, and come first
    cdef int n_running
    cdef int n_lanes, n_lanes_most      # transfers to it at a time, now and at most
    cdef int n_good                     # answers since there was last one lane more
    cdef bint is_listed                 # stands in the list of hosts that may have something to start ...
    cdef Host next_ready                # ... before this one
    cdef uint64_t paused_until_ns       # it said 429 or 503: nothing starts before
    cdef int n_refusals                 # such answers in a row
    cdef uint64_t next_start_ns         # of the limit on requests a second
    cdef readonly object budget         # a retry.RetryBudget
    cdef object bucket                  # a rate.TokenBucket, or None
    cdef Py_ssize_t n_waiting(self)
    cdef object has_answered(self)


cdef class Outcome(Observer):
    cdef Runner runner
    cdef int state
    # -- what is asked for
    cdef readonly int64_t number        # of its row in the run, from 0
    cdef readonly object url            # as given
    cdef object given                   # the row (dict); None: it was a URL alone
    cdef object effective               # as redirected; None: it was not
    cdef list added_headers             # (name, value) from a slot of `started`; None: there are none
    cdef Host host                      # where it is fetched from now; after a redirect another one
    cdef Host first_host
    cdef bytes method, body             # as they are sent now; body None: there is none
    cdef bytes target
    cdef object ranges                  # the value of a Range of the caller's own; None
    # -- the try under way
    cdef Exchange exchange
    cdef Sink sink
    cdef bytes block                    # the latest final head
    cdef bint has_digest                # there may be a digest in it
    cdef uint64_t n_told                # bytes of the body under way that were counted
    # -- what became of it
    cdef readonly object path           # str; None: not known, or none
    cdef readonly int status
    cdef readonly int n_retries, n_redirects
    cdef readonly uint64_t n_done, n_total, n_resumed
    cdef readonly int64_t size
    cdef readonly object error
    cdef readonly bint was_skipped
    cdef readonly object content
    cdef object check                   # verify.Check, which has the digests; None: nothing was hashed
    # -- times, CLOCK_MONOTONIC; 0: not reached
    cdef uint64_t start_ns, lookup_ns, connect_ns, secure_ns, sent_ns, first_ns, end_ns

    cdef Outcome told(self)
    cdef double since_start(self, uint64_t moment)
    # -- of Transfer, called from the floors between
    cdef object send(self)
    cdef object break_off(self)
    cdef object complete(self)
    cdef object place_file(self, bytes body)
    cdef object fail_with(self, error)
    cdef object end_with(self, error)
