"""One URL of a run: whom it belongs to, the host it is fetched from, and what becomes of it."""
from libc.stdint cimport int64_t, uint64_t

from qhttp._core cimport Fifo, Loop, Sink, Task
from qhttp._signal cimport Signal
from qhttp.bulk.body_sinks cimport PartSink, PieceSink
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
    cdef dict in_flight                 # path -> the transfer that will have it
    cdef readonly Signal started, progress, finished, failed, retrying, done
    cdef readonly int64_t n_done, n_failed, n_skipped, n_retries
    cdef readonly uint64_t n_bytes      # of bodies, as they came
    cdef bint takes_times
    cdef bint takes_any_status          # every final answer is one, and no error
    cdef uint64_t started_wall_ns       # CLOCK_REALTIME, when the run began
    cdef object emit(self, Signal signal, a, b=*, c=*)
    cdef object lane_free(self, Transfer transfer)
    cdef object wait_again(self, Transfer transfer, uint64_t delay_ns)
    cdef object ended(self, Transfer transfer)
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
    cdef bint is_listed                 # stands in the list of hosts that may have something to start
    cdef uint64_t paused_until_ns       # it said 429 or 503: nothing starts before
    cdef int n_refusals                 # such answers in a row
    cdef uint64_t next_start_ns         # of the limit on requests a second
    cdef readonly object budget         # a retry.RetryBudget
    cdef object bucket                  # a rate.TokenBucket, or None
    cdef Py_ssize_t n_waiting(self)


cdef class Transfer(Observer):
    cdef Runner runner
    cdef Host host                      # where it is fetched from now; after a redirect another one
    cdef Host first_host
    cdef readonly int64_t number        # of its row in the run, from 0
    cdef bytes method, body             # as they are sent now; body None: there is none
    cdef bytes target
    cdef object ranges                  # the value of a Range of the caller's own; None
    cdef readonly object url            # as given
    cdef object effective               # as redirected; None: it was not
    cdef object given                   # the row (dict); None: it was a URL alone
    cdef int state
    cdef Exchange exchange
    cdef list followers                 # transfers whose requests went out behind this one's
    cdef Sink sink
    cdef bytes block                    # the latest final head
    cdef bint has_digest                # there may be a digest in it
    # -- its file
    cdef readonly object path           # str; None: not known, or none
    cdef bytes final, part              # its names as the system has them, when it is whole and before; None: as path
    cdef int fd                         # of the part, open for writing; -1
    cdef bint is_opening                # the file thread opens or empties the part ...
    cdef object wanting                 # ... and this sink waits for it; None: none does any more
    cdef uint64_t part_len              # bytes of the version at hand that are in it
    cdef bint is_prepared
    cdef object kept                    # the session's row about its part, not looked at yet; None
    cdef object version                 # a resume.Version: of what is in the part; None: not known
    cdef object asked                   # the resume.Join that the request asked for; None: the whole
    cdef bint probes                    # the request asks for the beginning, to see whether there are pieces to be had
    cdef object pieces                  # segments.Split; None: the file comes in one
    cdef object left                    # [[start, end], ...] of a file in pieces that is to go on; None
    cdef bint no_mirrors                # mixed with theirs the file was not the right one
    cdef Py_ssize_t n_mirrors_tried
    cdef object hashers                 # integrity.Hashers, while or after the file is hashed
    # -- how it went
    cdef object after_head              # what the head decided: called in head_received, None: the body is the file
    cdef object verdict                 # the error that the answer is, however its body ends
    cdef object location                # where it sends us
    cdef readonly int status
    cdef readonly int n_retries, n_redirects
    cdef readonly uint64_t n_done, n_total, n_resumed
    cdef readonly int64_t size
    cdef readonly object error
    cdef readonly bint was_skipped
    cdef readonly object content
    cdef object failures                # retry.Failures; None: there was none
    cdef uint64_t n_told                # bytes of the body under way that were counted
    cdef bint is_there                  # the name that the answer gave the file is taken, by a file that is to be taken as done
    cdef bint is_joined                 # out of several answers
    cdef bint no_part                   # continuing has failed: from the start
    cdef public object editions         # of the credentials that its request carried (identity.py)
    # -- times, CLOCK_MONOTONIC; 0: not reached
    cdef uint64_t start_ns, lookup_ns, connect_ns, secure_ns, sent_ns, first_ns, end_ns
    cdef uint64_t since_ns              # of the limits on traffic: what was before does not count
    cdef uint64_t mark_ns, mark_n       # of the limit on speed: where its window began

    cdef object prepare(self)
    cdef bint get_ready(self)
    cdef bint may_go_ahead(self)
    cdef object start(self)
    cdef object send(self)
    cdef Exchange make_exchange(self)
    cdef bytes make_head(self)
    cdef object break_off(self)
    cdef object fail_with(self, error)
    cdef object complete(self)
    cdef object end_with(self, error)
    cdef object close_part(self, bint keep)
    cdef Sink choose_sink(self, int status, bytes lower, uint64_t announced, bint is_empty)
    cdef Sink choose_for_part(self, bytes lower, uint64_t announced)
    cdef Sink choose_whole(self, bytes lower, uint64_t announced, bint is_empty)
    cdef Sink choose_probed(self, bytes lower, uint64_t announced)
    cdef Transfer told(self)
    cdef object count(self, uint64_t n)
    cdef object answered(self)
    cdef object place_file(self, bytes body)
    cdef double since_start(self, uint64_t moment)
