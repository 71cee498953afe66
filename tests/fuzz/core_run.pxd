"""One or several requests over one connection of the product's, and what became of them."""
from qhttp._connection cimport Connection
from qhttp._core cimport Loop, Sink
from qhttp._sinks cimport Memory
from qhttp.engine.exchange cimport Exchange
from qhttp.engine.observer cimport Observer, Request
from qhttp.engine.pool cimport Pool
from qhttp.engine.time_limits cimport Options

cdef enum:                      # what may become of a request
    NOTHING_YET                 # it waits for more
    ENDED
    FAILED
    TUNNELLED                   # its connection was handed over
    LOST                        # no byte of an answer came, and it would be tried again
    REPEATED                    # it would be sent again on another connection
    NEVER_SENT                  # it stood in line, and the connection went before its turn

cdef enum:                      # where a body goes
    TO_MEMORY
    TO_SMALL_MEMORY             # with a limit: receiving stops until something was read
    TO_FILE
    TO_NOTHING
    N_SINKS

cdef enum:                      # how the server's side ends
    STAYS_OPEN
    ENDS
    BREAKS                      # as with RST: behind what was sent, an error

cdef enum:
    LINE_MAX = 3                # requests on one connection at once
    CUTS_MAX = 40


cdef class Told(Observer):
    """What one exchange told, and what its reader took."""
    cdef Exchange exchange
    cdef Memory memory
    cdef Sink sink
    cdef int outcome, status
    cdef bint accepts_challenge, was_challenged, wants_to_know, reads_early, is_connected, began
    cdef bytes block, tunnelled_bytes
    cdef list interims, pieces
    cdef unsigned long long n_done
    cdef object error
    cdef object forget(self)
    cdef object read(self)
    cdef bytes body(self)


cdef class Plan:
    """What is asked, and how the answer comes."""
    cdef Request request
    cdef Options options
    cdef int n_requests, sink, end
    cdef bint wants_to_know, is_early, end_comes_along, accepts_challenge, reads_early, is_foreign, is_again
    cdef size_t cuts[CUTS_MAX]        # where pieces end
    cdef int n_cuts             # without the last end, the answer's own


cdef class Run:
    cdef Loop loop
    cdef Pool pool
    cdef Connection connection
    cdef list line              # of Told, all there can be
    cdef object route, key, file, sock
    cdef int n, ours, peer
    cdef bint is_open           # the connection could be used again in the end
    cdef object start(self, Plan plan)
    cdef object open_pair(self)
    cdef object make_exchange(self, Told told, Plan plan, int i)
    cdef object play(self, Plan plan, const char *answer, size_t length)
    cdef object end_stream(self, Plan plan)
    cdef object turn(self)
    cdef object read_tunnel(self)
    cdef object finish(self, bint keeps)
