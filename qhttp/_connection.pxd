"""A connection, the Watcher that is told what happens on it, and the Channel that moves the bytes of a foreign one. HTTP's rules
are for the floors above."""
from libc.stdint cimport uint64_t

from qhttp._core cimport (
    QH_E_SINK, Endpoint, Limits, Loop, Sink, qh_conn, qh_event, qh_event_kind, qh_framing, qh_head_facts, qh_status,
)


cdef class Watcher:
    """Is told what happens on a connection. Every method may be called again from inside a slot's own turn of the loop."""
    cdef object on_connected(self, Connection connection, int error)
    cdef object on_sent(self, Connection connection, size_t n)
    cdef object on_stale(self, Connection connection)
    cdef object on_first_bytes(self, Connection connection)
    cdef object on_head(self, Connection connection)
    cdef object on_progress(self, Connection connection)
    cdef object on_full(self, Connection connection)
    cdef object on_end(self, Connection connection, size_t n_surplus)
    cdef object on_failed(self, Connection connection, qh_status status, int error)
    # The connection on which its request was sent before its turn is gone: the request is as if it had not been sent.
    cdef object on_line_lost(self)
    # An exception came out of one of these, KeyboardInterrupt among them; run() will raise it.
    cdef object on_broken(self, Connection connection, object error)


cdef class Channel:
    """Moves the bytes of one connection in the loop's place: through TLS, or through a socket of the user's.

    What is sent is counted as the bytes of HTTP that it stands for. `receive` may run user code; whatever it is, when it comes
    back the connection may have been closed, and the channel then is no longer its own (`Connection.channel`).
    """
    cdef bytes plain                    # what is being sent; None: nothing
    cdef Py_ssize_t plain_at            # so much of it was written
    cdef size_t unsent(self)
    cdef object add_plain(self, bytes piece)
    cdef object send(self, Connection connection, bytes piece, bint check)
    cdef object receive(self, Connection connection)       # the socket is readable, or call_again was asked for
    cdef object on_sent(self, Connection connection)       # all output that the loop was given is written
    cdef object on_writable(self, Connection connection)   # wants_room is set, and the socket takes more
    cdef object rested(self, Connection connection)        # an exchange is over and the connection fit for another
    cdef object closing(self, Connection connection)       # the socket is about to be closed
    cdef bint is_committed(self)                           # what it was given to send cannot be taken back
    cdef bint is_silent(self, Connection connection) except -1     # nothing has come that was not asked for


cdef class Connection(Endpoint):
    """One socket in a loop. Its owner is whoever holds a reference; the loop holds none."""
    cdef qh_conn *c
    cdef Loop loop
    cdef Channel channel                # None: the loop moves the bytes
    cdef Watcher watcher                # of the exchange under way; None in between
    cdef list line                      # those whose requests were sent before their turn, in that order; None: nobody
    cdef list later                     # bytes of their requests that were not given to the loop yet
    cdef size_t later_len
    cdef object idle_owner              # weak reference: its connection_lost(connection) is called when an idle one ends
    cdef readonly object key            # of the pool: what the connection may be used for
    cdef readonly unsigned int n_uses   # exchanges begun on it
    cdef bint is_persistent             # the server has kept it open after an answer: it may be asked ahead
    cdef bint is_doomed                 # answers will come that nobody wants any more: it must not be used again
    cdef bytes out                      # what is being sent: kept until it is
    cdef Sink sink                      # of the body under way
    cdef char *data                     # of the head event under way: head, then what follows it
    cdef size_t head_len, n
    cdef uint64_t head_turn             # of the loop, in which that head was told of
    cdef qh_head_facts facts            # of the head under way
    cdef bytes judged                   # the head that `facts` is about, once it was found valid; None: there is none
    cdef readonly size_t n_surplus      # bytes behind the message that nobody asked for
    cdef object __weakref__             # see OWNERS_ARE_WEAK
    cdef object tell(self, Watcher watcher, qh_event *event)
    cdef uint64_t received(self)
    cdef size_t unsent(self)
    cdef uint64_t last_moved(self)
    cdef bint has_input(self)
    cdef Py_ssize_t n_in_line(self)
    cdef int send(self, bytes piece, bint check) except -1
    cdef int send_file(self, int file, uint64_t offset, uint64_t length) except -1
    cdef int set_channel(self, Channel channel) except -1
    cdef int note_sent(self, size_t n) except -1
    # -- what a channel calls, each at most once for a `receive`: they bring events for the watcher
    cdef bint is_idle(self)
    cdef bint is_in_head(self)
    cdef bint find_room(self, char **room, size_t *length)
    cdef int took(self, size_t n) except -1
    cdef int end_of_stream(self, int error) except -1
    cdef int tell_stale(self) except -1
    # -- and at any time
    cdef int call_again(self, bint wanted) except -1
    cdef int want_room(self, bint wanted) except -1
    cdef int send_raw(self, bytes out) except -1
    cdef int make_line(self) except -1
    cdef uint64_t stand_in_line(self, Watcher watcher, bytes piece) except? 0
    cdef int send_line(self) except -1
    cdef int expect_head(self, Limits limits) except -1
    cdef bint tell_channel(self, qh_event_kind kind) except -1
    cdef bytes head_block(self)
    cdef bint is_head_known(self)
    cdef qh_status read_facts(self)
    cdef qh_status find_head(self)
    cdef qh_status skip_head(self)
    cdef int check_rest(self) except -1
    cdef qh_status begin_body(self, qh_framing framing, uint64_t length, Limits limits, Sink sink) except? QH_E_SINK
    cdef bint more_room(self, uint64_t claim) except -1
    cdef int stop_sending(self) except -1
    cdef int pause(self, bint paused) except -1
    cdef bint pass_on(self) except -1
    cdef bint send_line_back(self) except -1
    cdef object take_line(self)
    cdef int rest(self) except -1
    cdef object end_idle(self)
    cpdef close(self)


cdef int adopt_descriptor(Loop loop, Connection connection, int fd, bint connected) except -1
