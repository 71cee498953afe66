"""Floor 1: a connection of the loop, and whoever is told what happens on it. What each field means stands in _connection.pxd."""
cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.errno cimport errno
from libc.stdint cimport uint64_t
from libc.string cimport memcmp

from qhttp._core cimport (
    QH_AGAIN, QH_DONE, QH_E_SINK, QH_EVENT_CONNECTED, QH_PHASE_HEAD, QH_PHASE_IDLE, QH_EVENT_END, QH_EVENT_FIRST_BYTES, QH_EVENT_FULL, QH_EVENT_HEAD,
    QH_EVENT_IDLE_END, QH_EVENT_PROGRESS, QH_EVENT_READABLE, QH_EVENT_SENT, QH_EVENT_STALE, QH_EVENT_WRITABLE, QH_FRAMING_LENGTH, Endpoint, Limits, Loop,
    OWNERS_ARE_WEAK, Sink, os_error, qh_body_feed, qh_body_init, qh_conn, qh_conn_call_again, qh_conn_close, qh_conn_end_of_stream, qh_conn_expect_head,
    qh_conn_keep, qh_conn_next_head, qh_conn_room, qh_conn_tell_stale, qh_conn_took,
    qh_conn_open, qh_conn_pause, qh_conn_rest, qh_conn_resume_body, qh_conn_scan_input, qh_conn_send, qh_conn_send_file, qh_conn_send_later, qh_conn_watch,
    qh_conn_start_body, qh_conn_stop_sending, qh_event, qh_event_kind, qh_fields_index, qh_framing, qh_status,
)

from _weakref import ref

from qhttp.errors import NetworkError

cdef enum:
    ROOM_MIN = 16 << 10


cdef class Watcher:
    cdef object on_connected(self, Connection connection, int error):
        pass

    cdef object on_sent(self, Connection connection, size_t n):
        pass

    cdef object on_stale(self, Connection connection):
        pass

    cdef object on_first_bytes(self, Connection connection):
        pass

    cdef object on_head(self, Connection connection):
        pass

    cdef object on_progress(self, Connection connection):
        pass

    cdef object on_full(self, Connection connection):
        pass

    cdef object on_end(self, Connection connection, size_t n_surplus):
        pass

    cdef object on_failed(self, Connection connection, qh_status status, int error):
        pass

    cdef object on_line_lost(self):
        pass

    cdef object on_broken(self, Connection connection, object error):
        pass


cdef class Channel:
    cdef size_t unsent(self):
        return len(self.plain) - self.plain_at if self.plain is not None else 0

    cdef object add_plain(self, bytes piece):
        """Puts a piece behind what is being sent."""
        self.plain = piece if self.plain is None else self.plain[self.plain_at:] + piece
        self.plain_at = 0

    cdef object send(self, Connection connection, bytes piece, bint check):
        raise NotImplementedError

    cdef object receive(self, Connection connection):
        raise NotImplementedError

    cdef object on_sent(self, Connection connection):
        pass

    cdef object on_writable(self, Connection connection):
        pass

    cdef object rested(self, Connection connection):
        pass

    cdef object closing(self, Connection connection):
        pass

    cdef bint is_committed(self):
        return False

    cdef bint is_silent(self, Connection connection) except -1:
        return True


cdef int adopt_descriptor(Loop loop, Connection connection, int fd, bint connected) except -1:
    """Takes a non-blocking socket over into the loop; where that fails, the descriptor is still the caller's."""
    connection.loop = loop
    if not OWNERS_ARE_WEAK:
        connection.c.owner = <void *>connection
    elif connection.c.owner == NULL:
        weak = ref(connection)
        Py_INCREF(weak)
        connection.c.owner = <void *>weak
    if qh_conn_open(&loop.c, connection.c, fd, connected) < 0:
        raise os_error(errno)
    return 0


@cython.no_gc_clear      # its loop must be there to the last: the poll set has its address
cdef class Connection(Endpoint):
    def __cinit__(self, key=None):
        self.c = <qh_conn *>PyMem_RawCalloc(1, sizeof(qh_conn))
        if self.c == NULL:
            raise MemoryError
        self.c.fd = -1
        self.key = key

    def __dealloc__(self):
        if self.c == NULL:
            return
        if self.loop is not None and self.c.fd >= 0:
            if PyThread_get_thread_ident() != self.loop.thread:
                self.loop.adopt_orphan(self.c, self.out)
                return
            qh_conn_close(&self.loop.c, self.c, False)
        if OWNERS_ARE_WEAK and self.c.owner != NULL:
            Py_DECREF(<object>self.c.owner)
        PyMem_RawFree(self.c)

    def __repr__(self):
        return f"<qhttp connection {'open' if self.c.fd >= 0 else 'closed'}, used {self.n_uses} times>"

    cdef object take(self, qh_event *event):
        cdef Watcher watcher = self.watcher
        try:
            self.tell(watcher, event)
        except BaseException as error:
            self.loop.note_error(error)
            if self.watcher is not None:    # whoever has the connection now
                watcher = self.watcher
            if watcher is not None:
                watcher.on_broken(self, error)

    cdef object tell(self, Watcher watcher, qh_event *event):
        cdef qh_event_kind kind = event.kind
        if self.channel is not None and kind >= QH_EVENT_SENT and self.tell_channel(kind):
            return
        if watcher is None:
            self.end_idle()
        elif kind == QH_EVENT_HEAD:
            self.data, self.head_len, self.n, self.head_turn = event.data, event.head_len, event.n, self.loop.c.n_turns
            watcher.on_head(self)
        elif kind == QH_EVENT_SENT:
            watcher.on_sent(self, event.n)
        elif kind == QH_EVENT_PROGRESS:
            watcher.on_progress(self)
        elif kind == QH_EVENT_END:
            watcher.on_end(self, event.n)
        elif kind == QH_EVENT_FULL:
            watcher.on_full(self)
        elif kind == QH_EVENT_FIRST_BYTES:
            watcher.on_first_bytes(self)
        elif kind == QH_EVENT_CONNECTED:
            watcher.on_connected(self, event.error)
        elif kind == QH_EVENT_STALE or kind == QH_EVENT_IDLE_END:
            watcher.on_stale(self)
        else:
            watcher.on_failed(self, event.status, event.error)

    cdef bint tell_channel(self, qh_event_kind kind) except -1:
        """What only the channel has to know; False: it is for the watcher."""
        cdef Channel channel = self.channel
        if kind == QH_EVENT_READABLE:
            channel.receive(self)
        elif kind == QH_EVENT_SENT:
            channel.on_sent(self)
        elif kind == QH_EVENT_WRITABLE:
            channel.on_writable(self)
        else:
            return False
        return True

    cdef uint64_t received(self):
        return self.c.body.n_received

    cdef size_t unsent(self):
        return self.channel.unsent() if self.channel is not None else self.c.out_left + self.c.file_left

    cdef uint64_t last_moved(self):
        return self.c.last_moved_ns

    cdef bint has_input(self):
        return self.c.input_at < self.c.input_len

    cdef Py_ssize_t n_in_line(self):
        return len(self.line) if self.line is not None else 0

    cdef int send(self, bytes piece, bint check) except -1:
        """Sends `piece` in the next turn. With `check`, an idle connection is looked at before (on_stale). Nothing happens where
        it is closed, as of the others that send."""
        cdef Channel channel = self.channel     # a reference of our own, here and below: its code may close the connection
        if self.c.fd < 0:
            return 0
        if channel is not None:
            self.c.request_end = self.c.n_sent + self.unsent() + PyBytes_GET_SIZE(piece)
            channel.send(self, piece, check)
            return 0
        self.out = piece
        qh_conn_send(&self.loop.c, self.c, PyBytes_AS_STRING(piece), PyBytes_GET_SIZE(piece), check)
        return 0

    cdef int send_file(self, int file, uint64_t offset, uint64_t length) except -1:
        """Sends so many bytes of a file in the next turns; its descriptor must stay open until then."""
        if self.c.fd >= 0:
            qh_conn_send_file(&self.loop.c, self.c, file, offset, length)
        return 0

    cdef int set_channel(self, Channel channel) except -1:
        """From now on `channel` moves the bytes; None: the loop does."""
        self.channel = channel
        self.c.foreign = channel is not None
        self.c.has_more = self.c.wants_room = False
        if qh_conn_watch(&self.loop.c, self.c) < 0:
            raise os_error(errno)
        return 0

    cdef int note_sent(self, size_t n) except -1:
        """n bytes that a channel was given to send are written: counts them, and tells."""
        cdef Watcher watcher = self.watcher
        self.c.n_sent += n
        if n and self.c.tells_sent and watcher is not None:
            watcher.on_sent(self, n)
        return 0

    cdef bint is_idle(self):
        return self.c.phase == QH_PHASE_IDLE

    cdef bint is_in_head(self):
        return self.c.phase == QH_PHASE_HEAD

    cdef bint find_room(self, char **room, size_t *length):
        """Where what is received should go; False: nothing is waited for now, or nothing may come at all (is_idle). No room: the
        sink is full (took(0) tells)."""
        return qh_conn_room(&self.loop.c, self.c, room, length)

    # A channel calls code that may do anything, also close the connection: then nothing is left to be told.
    cdef int took(self, size_t n) except -1:
        """That room now holds n bytes."""
        if self.c.fd >= 0:
            with nogil:                 # the sink may be a file
                qh_conn_took(&self.loop.c, self.c, n)
        return 0

    cdef int end_of_stream(self, int error) except -1:
        """Nothing more will be received; `error` is the errno of a stream that was broken off."""
        if self.c.fd >= 0:
            qh_conn_end_of_stream(&self.loop.c, self.c, error)
        return 0

    cdef int tell_stale(self) except -1:
        """What was to be sent was not: the connection is of no more use."""
        if self.c.fd >= 0:
            qh_conn_tell_stale(&self.loop.c, self.c)
            self.loop.wake()
        return 0

    cdef int call_again(self, bint wanted) except -1:
        """Whether the channel holds bytes that no poller knows of: `receive` is called as soon as somebody waits for them."""
        self.c.has_more = wanted and self.c.fd >= 0
        if self.c.has_more:
            qh_conn_call_again(&self.loop.c, self.c)
        return 0

    cdef int want_room(self, bint wanted) except -1:
        """Whether `on_writable` is to be called when the socket takes more."""
        if self.c.fd < 0:
            return 0
        self.c.wants_room = wanted
        if qh_conn_watch(&self.loop.c, self.c) < 0:
            raise os_error(errno)
        self.loop.wake()
        return 0

    cdef int send_raw(self, bytes out) except -1:
        """Sends bytes as they are; on_sent of the channel tells when all are written."""
        if self.c.fd >= 0:
            self.out = out
            qh_conn_send_later(&self.loop.c, self.c, PyBytes_AS_STRING(out), PyBytes_GET_SIZE(out))
        return 0

    cdef int make_line(self) except -1:
        """Makes the place where requests stand in line; finalizers may run meanwhile, and not after that."""
        if self.line is None:
            line, later = [], []
            if self.line is None:
                self.line, self.later = line, later
        return 0

    cdef uint64_t stand_in_line(self, Watcher watcher, bytes piece) except? 0:
        """Puts a request behind those under way (send_line sends it); its watcher has the connection when theirs are answered.
        Returns where it begins, in bytes sent."""
        cdef uint64_t start
        self.make_line()
        start = self.c.n_sent + self.unsent() + self.later_len
        self.later.append(piece)
        try:
            self.line.append(watcher)
        except MemoryError:             # a request without an owner, or the other way round, would shift all answers behind it
            self.later.pop()
            raise
        self.later_len += PyBytes_GET_SIZE(piece)
        self.c.pipelined = True
        return start

    cdef int send_line(self) except -1:
        """Sends what stands in line and was not sent yet, by one call."""
        cdef Channel channel = self.channel
        cdef bytes whole
        if self.c.fd < 0 or not self.later:     # code of the user's has closed it, or sent them
            return 0
        whole = b"".join(self.later)
        if channel is not None:
            self.later.clear()
            self.later_len = 0
            channel.send(self, whole, False)
            return 0
        if self.c.out_left:
            whole = self.out[PyBytes_GET_SIZE(self.out) - self.c.out_left:] + whole
        self.out = whole
        self.later.clear()
        self.later_len = 0
        qh_conn_send_later(&self.loop.c, self.c, PyBytes_AS_STRING(whole), PyBytes_GET_SIZE(whole))
        return 0

    cdef int expect_head(self, Limits limits) except -1:
        self.n_uses += 1
        self.n_surplus = 0
        if qh_conn_expect_head(&self.loop.c, self.c, &limits.head) < 0:
            raise os_error(errno)
        return 0

    cdef bytes head_block(self):
        return PyBytes_FromStringAndSize(self.data, self.head_len)

    cdef bint is_head_known(self):
        """Whether this head is, byte for byte, the one judged last: then `judged` and `facts` are right for it, too."""
        return (self.judged is not None and <size_t>PyBytes_GET_SIZE(self.judged) == self.head_len
                and memcmp(PyBytes_AS_STRING(self.judged), self.data, self.head_len) == 0)

    cdef qh_status read_facts(self):
        self.judged = None
        return qh_fields_index(self.data, self.head_len, NULL, 0, &self.facts)

    cdef qh_status find_head(self):
        """Looks for the expected head in what came behind the answer before: QH_DONE, QH_AGAIN, or an error."""
        cdef size_t head_len = 0
        cdef qh_status status = qh_conn_scan_input(self.c, &head_len)
        if status == QH_DONE:
            self.data, self.head_len = self.c.input + self.c.input_at, head_len
            self.n = self.c.input_len - self.c.input_at
        return status

    cdef qh_status skip_head(self):
        """The head was an interim answer's: QH_DONE where the next one is there already, QH_AGAIN, or an error."""
        cdef size_t head_len = 0, rest = self.n - self.head_len
        cdef qh_status status = qh_conn_next_head(&self.loop.c, self.c, self.data + self.head_len, rest, &head_len)
        if status == QH_DONE:
            self.data, self.head_len, self.n = self.c.input + self.c.input_at, head_len, rest
        return status

    cdef int check_rest(self) except -1:
        """Raises NetworkError where what came behind the head is lost: code of the user's that came in between (a signal's handler,
        a finalizer) has closed the connection, or has turned the loop, which then received other heads in the same place."""
        cdef char *own = self.c.input
        if self.c.fd < 0 or (self.n > self.head_len and self.head_turn != self.loop.c.n_turns
                             and not (own != NULL and own <= self.data <= own + self.c.input_len)):
            raise NetworkError("HTTP request failed: the loop was turned while the answer's head was looked at, by a signal's "
                               "handler or the like")
        return 0

    cdef qh_status begin_body(self, qh_framing framing, uint64_t length, Limits limits, Sink sink) except? QH_E_SINK:
        """Sets the body up and takes what came with the head. QH_DONE, QH_AGAIN (the loop goes on), or an error.

        After this nothing of the head event is needed any more: user code may run.
        """
        cdef qh_status status = QH_AGAIN
        cdef size_t used = 0, rest = self.n - self.head_len
        cdef char *data = self.data + self.head_len
        self.check_rest()
        self.sink = sink
        qh_body_init(&self.c.body, framing, length, &limits.chunk, &sink.c)
        if self.c.body.whole:
            status = QH_DONE
        elif rest > 0:
            sink.make_room(rest if framing != QH_FRAMING_LENGTH or rest < length else length, length)
            self.check_rest()           # to ask for room may be code of ours in Python
            if sink.c.fd >= 0:
                with nogil:
                    status = qh_body_feed(&self.c.body, data, rest, &used)
            else:
                status = qh_body_feed(&self.c.body, data, rest, &used)
        elif 0 < sink.c.cap - sink.c.len < ROOM_MIN:
            sink.make_room(0, length)
            self.check_rest()
        self.data = NULL
        self.n_surplus = rest - used
        if status == QH_AGAIN:
            if qh_conn_start_body(&self.loop.c, self.c) < 0:
                raise os_error(errno)
        elif (self.line is not None or rest == used) and not qh_conn_keep(self.c, data + used, rest - used):
            raise MemoryError           # with nothing to keep: this answer must not be found again by one queued from now on
        return status

    cdef bint more_room(self, uint64_t claim) except -1:
        """The sink was full: goes on receiving if it has room now."""
        cdef Sink sink = self.sink
        if sink.c.cap - sink.c.len < ROOM_MIN and not sink.make_room(0, claim):
            return False
        if self.c.fd < 0:
            return False                # closed meanwhile, by a signal's handler
        if qh_conn_resume_body(&self.loop.c, self.c) < 0:
            raise os_error(errno)
        return True

    cdef int stop_sending(self) except -1:
        """The answer came before the request was sent whole: the rest of it is not sent any more."""
        if self.channel is not None:
            self.channel.plain = None
        if qh_conn_stop_sending(&self.loop.c, self.c) < 0:
            raise os_error(errno)
        return 0

    cdef int pause(self, bint paused) except -1:
        if self.c.fd >= 0:
            if qh_conn_pause(&self.loop.c, self.c, paused) < 0:
                raise os_error(errno)
            self.loop.wake()
        return 0

    cdef bint pass_on(self) except -1:
        """The exchange is over: gives the connection to the one that stands next in line; False where nobody does."""
        if not self.line:
            return False
        self.watcher = <Watcher>self.line.pop(0)
        self.is_persistent = self.facts.minor > 0
        self.sink = None
        self.c.tells_sent = False       # not before its turn has come
        return True

    cdef bint send_line_back(self) except -1:
        """Nothing of the requests in line has gone out: they have to ask again, and so begin with a look at the socket. Where they
        cannot be taken back, that look is now; False: it has found something, and the connection is of no more use."""
        cdef Channel channel = self.channel
        if channel is None:
            self.stop_sending()
        elif channel.is_committed():
            return channel.is_silent(self)
        else:
            channel.plain = None        # what the loop still has is TLS's own, and numbered: that goes out
        for watcher in self.take_line():
            (<Watcher>watcher).on_line_lost()
        return True

    cdef object take_line(self):
        """Nobody stands in line any more, and nothing of it waits to be sent. Returns who stood there."""
        line = self.line if self.line is not None else ()
        self.line, self.later, self.later_len = None, None, 0
        return line

    cdef int rest(self) except -1:
        """The exchange is over and the connection fit for another."""
        cdef Channel channel = self.channel
        self.watcher = None
        self.is_persistent = self.facts.minor > 0
        self.sink = None
        if self.c.out_left == 0:        # else TLS's own, which the loop has yet to send
            self.out = None
        self.take_line()
        if qh_conn_rest(&self.loop.c, self.c) < 0:
            raise os_error(errno)
        if channel is not None and self.channel is channel:
            channel.rested(self)
        return 0

    cdef object end_idle(self):
        """The server has closed an idle connection, or sent what nobody asked for: it is of no more use."""
        owner = self.idle_owner() if self.idle_owner is not None else None
        try:
            self.close()
        finally:                        # also where that was interrupted: nobody is to have it again
            if owner is not None:
                owner.connection_lost(self)

    cpdef close(self):
        """Closes the socket at once; safe to repeat."""
        cdef object line = self.take_line()
        cdef Channel channel = self.channel
        try:
            if channel is not None:
                self.channel = None
                channel.closing(self)   # its code may close the connection once more, or be interrupted
        finally:
            if self.c.fd >= 0:
                qh_conn_close(&self.loop.c, self.c, False)
            self.watcher = None
            for watcher in line:
                (<Watcher>watcher).on_line_lost()
            self.sink = None
            self.out = None
