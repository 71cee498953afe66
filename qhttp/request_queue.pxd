"""The compiled base of QHttp: the queue, the current request, state and error, every emit."""
from libc.stdint cimport int64_t, uint64_t

from qhttp._core cimport Loop, Sink
from qhttp._signal cimport Signal
from qhttp._sinks cimport Memory
from qhttp.engine.exchange cimport Exchange, Observer, Options, Request
from qhttp.engine.pool cimport Pool


cdef class Entry:
    """One queued request."""
    cdef int64_t id
    cdef int kind
    cdef bytes target       # of get, head, post, request; the host of setHost
    cdef object data        # bytes or a device; None: no body
    cdef object to          # a device; None: the body is for read()
    cdef object header      # QHttpRequestHeader of request(); None otherwise
    cdef int port           # of setHost
    cdef bint began         # its exchange has begun: the server is settled


cdef class RequestQueue(Observer):
    cdef readonly Signal requestStarted, requestFinished, done, stateChanged, responseHeaderReceived, readyRead
    cdef readonly Signal dataReadProgress, dataSendProgress, authenticationRequired, proxyAuthenticationRequired, sslErrors
    cdef Loop loop
    cdef Pool pool
    cdef Options options
    cdef Memory memory          # unread bytes of the current, or last, answer
    cdef object entries         # deque of Entry, the current one first
    cdef Entry running          # the entry that was started and is not finished; None in between
    cdef Exchange exchange      # of the running entry
    cdef bint finishing         # requestFinished(id, False) of the running entry has been, or is being, emitted
    cdef bint failing           # inside requestFinished(id, True)
    cdef bint in_pump
    cdef bint finish_due, closing_due, unconnected_due, deletion_due     # what the next turn is to do
    cdef Entry telling          # the running entry of the slot that is being called; None outside of slots
    cdef uint64_t n_started     # requests begun: tells whether a slot has begun another
    cdef int state_now
    cdef int error_now
    cdef str error_text
    cdef str host               # None: no server was set
    cdef bytes host_field       # the value of Host
    cdef int port
    cdef object key             # of the pool
    cdef bytes head_block       # of the last answer; None: there was none
    cdef object response        # the QHttpResponseHeader of head_block, once somebody has asked
    cdef object __weakref__

    cdef object emit(self, Signal signal, tuple args)
    cdef object set_state(self, int state)
    cdef object set_host(self, str host, int port)
    cdef object pump(self)
    cdef object start(self, Entry entry)
    cdef object start_exchange(self, Entry entry)
    cdef Request make_request(self, Entry entry)
    cdef object finish(self)
    cdef object fail(self, int error, str text)
    cdef object close_after_failure(self)
    cdef object current_response(self)
    cpdef int64_t add(self, int kind, bytes target, object data=*, object to=*, object header=*, int port=*) except -1
