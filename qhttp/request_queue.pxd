"""The compiled base of QHttp: the queue, the current request, state and error, every emit."""
from libc.stdint cimport int64_t, uint16_t, uint64_t

from qhttp._connection cimport Connection
from qhttp._core cimport Fifo, Loop, Sink
from qhttp._signal cimport Signal
from qhttp._sinks cimport Memory
from qhttp.engine.exchange cimport Exchange
from qhttp.engine.observer cimport Observer, Request
from qhttp.engine.pool cimport Pool
from qhttp.engine.time_limits cimport Options

cdef enum:                      # kinds of entries
    SET_HOST
    SET_USER
    SET_PROXY
    SET_SOCKET
    CLOSE
    GET
    HEAD
    POST
    REQUEST

cdef enum:                      # State
    UNCONNECTED
    HOST_LOOKUP
    CONNECTING
    SENDING
    READING
    CONNECTED
    CLOSING

cdef enum:                      # Error
    NO_ERROR
    UNKNOWN_ERROR
    ABORTED = 7
    AUTHENTICATION_REQUIRED
    PROXY_AUTHENTICATION_REQUIRED


cdef class Entry:
    """One queued request. A million of them may wait: what few have is in `details`."""
    cdef int64_t id
    cdef bytes target       # of get, head, post, request; the host of setHost
    cdef Details details    # None for a plain get or head
    cdef Exchange ahead     # sent, or once sent, before its turn; None as a rule
    cdef uint16_t port      # of setHost
    cdef unsigned char kind, is_https       # is_https: of setHost
    cdef bint began         # its exchange has begun: the server is settled
    # Whether it may be sent before its turn: nothing happens if it is sent again, and nothing of the user's runs.
    cdef bint may_go_ahead(self)


cdef class Details:
    """What a request has beyond its path."""
    cdef object data        # bytes or a device; None: no body. Of setUser, setProxy and setSocket: what they set
    cdef object to          # a device; None: the body is for read()
    cdef object header      # QHttpRequestHeader of request(); None otherwise
    cdef bint may_go_ahead


cdef class RequestQueue(Observer):
    cdef readonly Signal requestStarted, requestFinished, done, stateChanged, responseHeaderReceived, readyRead
    cdef readonly Signal dataReadProgress, dataSendProgress, authenticationRequired, proxyAuthenticationRequired, sslErrors
    cdef Loop loop
    cdef Pool pool
    cdef Options options
    cdef Memory memory          # unread bytes of the current, or last, answer
    cdef Fifo entries           # of Entry, the current one first
    cdef Entry running          # the entry that was started and is not finished; None in between
    cdef Exchange exchange      # of the running entry
    cdef bint finishing         # requestFinished(id, False) of the running entry has been, or is being, emitted
    cdef bint failing           # inside requestFinished(id, True)
    cdef bint keeps_behind      # what fails is the first entry alone: those behind it go on waiting
    cdef bint in_pump
    cdef bint is_away           # it has left a thread, and has not come to the next
    cdef bint finish_due, closing_due, unconnected_due, deletion_due     # what the next turn is to do
    cdef Entry telling          # the running entry of the slot that is being called; None outside of slots
    cdef uint64_t n_started     # requests begun: tells whether a slot has begun another
    cdef bint blocked           # emits nothing
    cdef uint64_t began_ns, first_ns, end_ns    # of the current, or last, request to a server; 0: not yet
    cdef int state_now
    cdef int error_now
    cdef str error_text
    cdef str host               # None: no server was set
    cdef bint is_https
    cdef bint host_is_first     # it is the constructor's, and no request was made of it yet
    cdef bint has_way           # what follows is that of `host`
    cdef unsigned int n_set     # hosts set: tells whether another one has been set meanwhile
    cdef object route           # a Route: the way to the server
    cdef str no_way             # why there is none; None: there is one
    cdef object wiring          # a Wiring: users, proxies, TLS, sockets; None until one of them is needed
    cdef bytes host_field       # the value of Host
    cdef bytes target_head      # what stands before a target that has no scheme; empty but for caching proxies
    cdef bytes head_tail        # of a plain request: what stands behind its target
    cdef bint asking            # inside sslErrors ...
    cdef bint ignoring          # ... and ignoreSslErrors() was called there
    cdef int depth              # requests that may be under way at once; 1: no pipelining
    cdef bint in_look_ahead, looks_again    # requests are being lined up, and more have come meanwhile
    cdef int port
    cdef object key             # of the route
    cdef bytes head_block       # of the last answer; None: there was none
    cdef object response        # the QHttpResponseHeader of head_block, once somebody has asked
    cdef object __weakref__

    cdef object emit(self, Signal signal, object a, object b=*, object c=*)
    cdef object set_state(self, int state)
    cdef object tell_finished(self, Entry entry, bint error)
    cdef object set_host(self, str host, int port, bint is_https, bint is_new=*)
    cdef object find_wiring(self)
    cdef object read_on(self)
    cdef object take_setting(self, Entry entry)
    cdef bytes on_wire(self, bytes target)
    cdef object tell_closed(self)
    cdef object pump(self)
    cdef object start(self, Entry entry)
    cdef object take_effect(self, Entry entry)
    cdef object start_exchange(self, Entry entry)
    cdef Request make_request(self, Entry entry)
    cdef object finish(self)
    cdef object finished(self)
    cdef object fail_with(self, object error)
    cdef object fail(self, int error, str text)
    cdef object end_batch(self)
    cdef object close_after_failure(self)
    cdef object current_response(self)
    cdef Exchange make_exchange(self, Request request, Sink sink)
    cdef object look_ahead(self)
    cdef bint take_back(self, Py_ssize_t n_kept) except -1
    cdef object line_up(self)
    cdef bint close_pool(self) except -1
    cdef bint drop_behind(self, Py_ssize_t n_kept) except -1
    cdef object leave_loop(self)
    cdef object join_loop(self)
    cdef object delete(self)
    cdef int64_t add(self, int kind, bytes target, object data=*, object to=*, object header=*, int port=*,
                     bint is_https=*) except -1


cdef object state_member(int state)
cdef object error_member(int error)
