"""The map of floor 1: what the C floor offers, and the four things built on it.

    Loop         one per thread: turns, delivers events, keeps timers and deferred work
    Connection   one socket in a loop
    Watcher      whoever is told what happens on a connection (an exchange, a connect attempt)
    Sink         where a body goes (its kinds are in _sinks.pxd)

Nothing here knows HTTP's rules: which framing, which status, which error it is, is for the floors above.
"""
cimport cython
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "qh_status.h" nogil:
    ctypedef enum qh_status:
        QH_AGAIN
        QH_DONE
        QH_FULL
        QH_BUDGET
        QH_E_FIRST
        QH_E_NOT_HTTP
        QH_E_HEAD_TOO_LARGE
        QH_E_LINE_TOO_LONG
        QH_E_TOO_MANY_FIELDS
        QH_E_FIELD_LINE
        QH_E_CHUNK_SIZE
        QH_E_CHUNK_TOO_LARGE
        QH_E_CHUNK_EXTENSION
        QH_E_CHUNK_END
        QH_E_TRAILER
        QH_E_TRAILERS_TOO_LARGE
        QH_E_TRUNCATED
        QH_E_RECEIVE
        QH_E_SEND
        QH_E_SINK
        QH_E_SOURCE
    bint qh_is_error(qh_status status)


cdef extern from "fields.h" nogil:
    ctypedef struct qh_field:
        uint32_t name_at, name_len, value_at, value_len
    ctypedef enum qh_length_state:
        QH_LENGTH_NONE
        QH_LENGTH_ONE
        QH_LENGTH_BAD
    ctypedef struct qh_head_facts:
        uint32_t reason_at, reason_len
        uint16_t status
        uint8_t major, minor, length_state
        uint64_t length
        uint32_t n_fields, n_codings, n_chunked, n_identity
        uint8_t chunked_is_last, codings_malformed, connection_close, connection_keep, has_fold
    qh_status qh_fields_index(const char *head, size_t len, qh_field *fields, size_t n_cap, qh_head_facts *facts)


cdef extern from "sink.h" nogil:
    ctypedef struct qh_sink:
        int fd, error
        char *memory
        size_t len, cap
        uint64_t offset
    void qh_sink_init_memory(qh_sink *sink, char *memory, size_t len, size_t cap)
    void qh_sink_init_descriptor(qh_sink *sink, int fd, uint64_t offset)
    void qh_sink_release(qh_sink *sink)
    size_t qh_memory_next_cap(size_t len, size_t cap, uint64_t n_claimed)
    void qh_memory_advise(char *memory, size_t cap, bint grows)


cdef extern from "body.h" nogil:
    ctypedef enum qh_framing:
        QH_FRAMING_NONE
        QH_FRAMING_LENGTH
        QH_FRAMING_CHUNKED
        QH_FRAMING_CLOSE
    ctypedef struct qh_chunk_limits:
        uint64_t size_cap
        uint32_t extension_cap, trailer_cap
    ctypedef struct qh_body:
        bint whole
        int error
        uint64_t n_received, left
    void qh_body_init(qh_body *body, qh_framing framing, uint64_t length, const qh_chunk_limits *limits, qh_sink *sink)
    qh_status qh_body_feed(qh_body *body, char *data, size_t len, size_t *used)


cdef extern from "turn.h" nogil:
    ctypedef struct qh_head_limits:
        uint32_t head_cap, line_cap, n_fields_cap
    ctypedef enum qh_phase:
        QH_PHASE_IDLE
        QH_PHASE_HEAD
    ctypedef enum qh_event_kind:
        QH_EVENT_CONNECTED
        QH_EVENT_SENT
        QH_EVENT_STALE
        QH_EVENT_FIRST_BYTES
        QH_EVENT_HEAD
        QH_EVENT_PROGRESS
        QH_EVENT_FULL
        QH_EVENT_END
        QH_EVENT_FAILED
        QH_EVENT_IDLE_END
        QH_EVENT_TIMER
        QH_EVENT_READABLE
        QH_EVENT_WRITABLE
    ctypedef struct qh_event:
        uint32_t slot, generation
        qh_event_kind kind
        qh_status status
        int error
        char *data
        size_t head_len, n
    ctypedef struct qh_poller:
        int fd
    ctypedef struct qh_conn:
        void *owner
        int fd
        qh_phase phase
        bint pipelined, tells_sent, cannot_send, foreign, has_more, wants_room, in_body
        uint64_t last_moved_ns, n_sent, n_sent_then, request_end
        size_t out_left
        uint64_t file_left
        char *input
        size_t input_at, input_len
        qh_body body
    ctypedef struct qh_list:
        qh_conn *first
    ctypedef struct qh_scratch:
        char *memory
    ctypedef struct qh_loop:
        qh_poller poller
        qh_conn **conns
        uint32_t n_slots, n_conns, ring_len
        uint64_t n_turns
        qh_list outbox, unfinished
        uint64_t now_ns
        qh_scratch scratch
    uint64_t qh_monotonic_ns()
    int qh_loop_open(qh_loop *loop)
    void qh_loop_close(qh_loop *loop)
    void qh_loop_abandon(qh_loop *loop)
    int qh_conn_open(qh_loop *loop, qh_conn *conn, int fd, bint connected)
    void qh_conn_close(qh_loop *loop, qh_conn *conn, bint keep_fd)
    void qh_conn_send(qh_loop *loop, qh_conn *conn, const char *data, size_t len, bint check)
    void qh_conn_send_file(qh_loop *loop, qh_conn *conn, int file, uint64_t offset, uint64_t len)
    void qh_conn_send_later(qh_loop *loop, qh_conn *conn, const char *data, size_t len)
    int qh_conn_stop_sending(qh_loop *loop, qh_conn *conn)
    int qh_conn_expect_head(qh_loop *loop, qh_conn *conn, const qh_head_limits *limits)
    bint qh_conn_keep(qh_conn *conn, const char *data, size_t len)
    qh_status qh_conn_scan_input(qh_conn *conn, size_t *head_len)
    qh_status qh_conn_next_head(qh_loop *loop, qh_conn *conn, const char *data, size_t len, size_t *head_len)
    int qh_conn_start_body(qh_loop *loop, qh_conn *conn)
    int qh_conn_resume_body(qh_loop *loop, qh_conn *conn)
    int qh_conn_rest(qh_loop *loop, qh_conn *conn)
    int qh_conn_pause(qh_loop *loop, qh_conn *conn, bint paused)
    int qh_conn_watch(qh_loop *loop, qh_conn *conn)
    void qh_conn_call_again(qh_loop *loop, qh_conn *conn)
    bint qh_conn_room(qh_loop *loop, qh_conn *conn, char **room, size_t *len)
    void qh_conn_took(qh_loop *loop, qh_conn *conn, size_t n)
    void qh_conn_end_of_stream(qh_loop *loop, qh_conn *conn, int error)
    void qh_conn_tell_stale(qh_loop *loop, qh_conn *conn)
    int qh_turn(qh_loop *loop, int timeout_ms)
    bint qh_loop_next_event(qh_loop *loop, qh_event *event)
    qh_conn *qh_loop_conn(const qh_loop *loop, uint32_t slot, uint32_t generation)
    int qh_poller_arm(qh_poller *poller, uint64_t deadline_ns)
    int qh_poller_wake(qh_poller *poller)


cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    #define QH_OWNERS_ARE_WEAK 1
    #else
    #define QH_OWNERS_ARE_WEAK 0
    #endif
    """
    # Whether qh_conn.owner is a weak reference to the Endpoint, held by whoever frees the qh_conn, and not the Endpoint: without
    # the GIL its last reference may go in another thread at the very moment at which its loop takes one.
    const bint OWNERS_ARE_WEAK "QH_OWNERS_ARE_WEAK"


cdef enum:
    COMPACT_FROM = 256


@cython.final
cdef class Fifo:
    """First in, first out: a list with a moving start. To append or take costs a few instructions, not a method call."""
    cdef list items             # None up to `start`
    cdef Py_ssize_t start

    cdef inline Py_ssize_t n(self):
        return len(self.items) - self.start

    cdef inline object append(self, object item):
        self.items.append(item)

    cdef inline object item(self, Py_ssize_t i):
        """The i-th from the front; it must be there."""
        return self.items[self.start + i]

    cdef inline object take_first(self):
        cdef object item = self.items[self.start]
        self.items[self.start] = None
        self.start += 1
        if self.start == len(self.items) or self.start >= COMPACT_FROM:
            self.compact()
        return item

    cdef inline object take_last(self):
        return self.items.pop()

    cdef inline object clear(self):
        """Drops all; to take them one by one may need memory, since a list becomes shorter in steps."""
        self.items.clear()
        self.start = 0

    cdef object compact(self)


cdef class Limits:
    """The bounds on what a server may make us hold; read-only once made."""
    cdef qh_head_limits head
    cdef qh_chunk_limits chunk


cdef class Sink:
    """Where a body goes. The struct lives here, so that it outlives the connection that fills it."""
    cdef qh_sink c
    # Makes room for n more bytes of a body that may need `claim` in all (0: unknown); False: not now, wait.
    cdef bint make_room(self, size_t n, uint64_t claim) except -1
    # Bytes have come: hands them on where C could not (a device with a write method). May run user code.
    cdef object settle(self)
    # The last n bytes were never told of, and never will be: a reader must not find them.
    cdef object drop_last(self, size_t n)
    # The last byte was written, or the body failed: leaves file positions and reserved space in order.
    cdef object finish(self)


cdef class Endpoint:
    """Where the events of a qh_conn go: its owner."""
    cdef object take(self, qh_event *event)


cdef class Task:
    """Something that wants a later turn of the loop, and may keep the loop running until it is done."""
    cdef bint scheduled         # stands in the loop's deferred list
    cdef Task next_deferred     # behind it there: to be put off needs no memory, and so cannot fail
    cdef object run_deferred(self)
    cdef bint is_pending(self)
    cdef bint is_blocked(self)  # it waits for code of its user's to return: turning the loop there will not help it


cdef class Timer:
    cdef readonly uint64_t when_ns      # CLOCK_MONOTONIC
    cdef object callback                # None once it has run or was cancelled
    cdef Loop loop                      # None once it has run or was cancelled
    cpdef cancel(self)


cdef class Loop:
    cdef qh_loop c
    cdef unsigned long thread           # the only one that may call
    cdef unsigned long native_thread    # the kernel's number of it, which is not soon used again
    cdef bint is_threads                # loop() gives it out; else somebody has made it for himself
    cdef unsigned int n_forks           # at birth: another number now means that this is a child process
    cdef Task first_deferred, last_deferred     # for the next turn
    cdef Py_ssize_t n_deferred
    cdef list timers                    # heap of (when_ns, number, Timer)
    cdef uint64_t n_timers              # made so far: the tie-breaker
    cdef Py_ssize_t n_cancelled         # about how many of them are cancelled
    cdef uint64_t armed_ns              # what the timer descriptor is set to
    cdef set kept                       # tasks and users' timers with work to do: alive as long as they have
    cdef object foreign                 # deque of callables from other threads
    cdef list orphans                   # (qh_conn pointer: int, what it sends), whose Connection went in another thread
    cdef object error                   # the first exception out of user code, to be raised by run()
    cdef unsigned int n_skipped         # turns in a row that did without the kernel: deferred work was there
    cdef bint turning                   # inside run or dispatch: no wake-up is needed
    cdef uint64_t told_ns               # what the turn's clock said when a slot had run
    cdef object sender                  # whose signal called the slot that is running; None outside of slots
    cdef object __weakref__
    cdef int check(self) except -1
    cdef void schedule(self, Task task)
    cdef object forget(self, Task task)
    cdef int keep(self, Task task) except -1
    cdef void let_go(self, Task task)
    cdef void note_error(self, object error)
    cdef Timer call_at(self, uint64_t when_ns, object callback)
    cdef uint64_t now(self)
    cdef uint64_t moment(self)
    cdef int turn(self, int timeout_ms) except -1
    cdef bint run_while(self, Task task, object msecs) except -1
    cdef bint is_busy(self)
    cdef bint is_pending(self)
    cdef void adopt_orphan(self, qh_conn *conn, bytes out)
    cdef object bury_orphans(self)
    cdef void wake(self)
    cdef void show_work(self)
    cdef bint turn_while(self, Task task, object msecs, uint64_t end) except -1
    cdef object forget_timer(self, Timer timer)
    cdef object arm(self)
    cdef object call(self, object function)
    cdef object deliver(self, qh_event *event)
    cdef object deliver_all(self)
    cdef object run_deferred(self)
    cdef Task take_deferred(self)
    cdef object run_timers(self)


cdef object os_error(int number)
cdef Loop current_loop()
cdef bytes joined(bytes a, bytes b, bytes c)
