"""One request and its answer, from asking the pool for a connection to giving it back.

Two rules keep it sound whatever user code does. State is brought in order first and the observer told then. After each
thing told, `over` says whether a slot has cancelled meanwhile. What a head event points to is used up before anything
is told, since a slot may turn the loop.

    begin -> (pool | Opening) -> use -> send ... -> head -> body ... -> finish | fail
      ^                           |                                 |
      |                           +---- repeat: 401 or 407, and credentials to answer with
      +--- lose: the connection went before any byte of an answer came (twice at most, idempotent requests only)

With pipelining a request may be sent before its turn (stand_in_line). Its exchange then stands in the connection's line, tells
nothing, and has the connection when those before it are finished: begin goes straight to the head. If the connection
goes first, it is as if the request had never been sent.
"""
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint64_t

from qhttp._connection cimport Connection
from qhttp._core cimport (
    QH_AGAIN, QH_DONE, QH_E_HEAD_TOO_LARGE, QH_E_LINE_TOO_LONG, QH_E_NOT_HTTP, QH_E_RECEIVE, QH_E_SEND, QH_E_SINK, QH_E_SOURCE,
    QH_E_TOO_MANY_FIELDS, QH_E_TRUNCATED, QH_FRAMING_CLOSE, QH_FRAMING_LENGTH, Sink, qh_is_error, qh_status,
)
from qhttp.engine.observer cimport broken_off
from qhttp.engine.sending cimport SEND_HEAD, SEND_NOTHING, SEND_WHEN_ASKED, Sending
from qhttp.engine.time_limits cimport TimeLimits
from qhttp.protocol.framing cimport decide, keeps_alive
from qhttp.protocol.head cimport is_valid_head

from os import strerror

from qhttp._core import describe_head
from qhttp.errors import BodyError, DeviceError, ProtocolError, QHttpError, Truncated, UnexpectedClose

cdef enum:
    MAX_RETRIES = 2
    DISCARD_MAX = 64 << 10      # of the body of a 401 or 407: a longer one costs more than another connection


cdef bint proxy_closes(bytes block):
    """Whether a head says so in the old field that only matters here, as recorded."""
    if b"proxy-connection" not in block.lower():
        return False
    return any(token.strip().lower() == "close" for name, value in describe_head(block)[4]
               if name.lower() == "proxy-connection" for token in value.split(","))


cdef object closed_unexpectedly():
    return UnexpectedClose("Server closed connection unexpectedly")


cdef object opening_class():
    """Not before the first connection: imports are felt. What it needs comes first: a compiled module that was interrupted in its
    own body, where imports run other code, could not be imported again."""
    import qhttp.engine.resolver
    import qhttp.engine.route
    import qhttp.engine.connect
    from qhttp.engine.opening import Opening
    return Opening


cdef class Exchange(Sending):
    """Use: `Exchange.__new__(Exchange)`, set loop to options, `carry(request)`, `begin()`; then the observer hears of everything,
    and `cancel()` ends it silently."""

    # -- a connection
    cdef object begin(self):
        cdef Connection connection
        if self.limits is None and (self.options.total_ms or self.options.transfer_ms or self.options.min_rate):
            limits = self.limits = TimeLimits(self.loop, self.options, self)
            limits.limit_total()
            if self.over:
                return
        if self.connection is not None:
            self.take_turn()
            return
        connection = self.pool.take(self.key)
        if connection is not None:
            self.use(connection, True)
        else:
            self.open()

    cdef object open(self):
        if self.options.connect_ms and self.limits is None:
            self.limits = TimeLimits(self.loop, self.options, self)
        self.start_connect_limit()
        self.opening = opening_class()(self.loop, self.route, self.options, self, self.observer)
        self.opening.start()

    # -- what the opening tells and asks
    def looking_up(self):
        self.observer.looking_up()
        return not self.over

    def connecting(self):
        self.observer.connecting()
        return not self.over

    def shaking(self):
        self.observer.sending()
        return not self.over

    def opened(self, Connection connection):
        self.opening = None
        self.use(connection, False)

    def not_opened(self, error):
        self.opening = None
        self.fail(error)

    def dropped(self):
        self.opening = None
        self.lose()

    def wants_ssl_errors(self):
        return self.observer.wants_ssl_errors()

    def asked(self, error, certificate):
        self.stop_connect_limit()
        return self.observer.ssl_errors(error, certificate) and not self.over

    def proxy_challenged(self, block, edition):
        self.stop_connect_limit()
        outcome = self.observer.proxy_challenged(block, edition)
        self.start_connect_limit()
        return outcome

    def proxy_login(self):
        self.stop_connect_limit()
        login = self.observer.proxy_login()
        self.start_connect_limit()
        return login

    cdef object start_connect_limit(self):
        cdef TimeLimits limits = self.limits    # a reference of our own, here and below: a finalizer may end this
        if limits is not None and not self.over:
            limits.limit_connect()

    cdef object stop_connect_limit(self):
        """There is a connection; or the user is asked, who may take his time."""
        cdef TimeLimits limits = self.limits
        if limits is not None:
            limits.connected()

    cdef object watch_traffic(self):
        """Looks anew at how it moves."""
        cdef TimeLimits limits = self.limits
        if limits is not None:
            limits.watch_traffic()

    cdef object use(self, Connection connection, bint reused):
        self.stop_connect_limit()
        self.connection, connection.watcher = connection, self
        self.stage = SEND_HEAD          # nothing goes behind it before it is out
        self.compose(not reused)
        if self.over or self.connection is not connection:
            return
        self.observer.sending()
        if self.over or self.connection is not connection:
            return
        connection.expect_head(self.options.limits)
        self.out_start = connection.c.n_sent
        self.watch_traffic()
        if self.connection is connection:
            self.send_next(reused)

    # -- before its turn
    cdef object stand_in_line(self, Connection connection):
        """Puts the request behind those under way on `connection`, which is to send it; it must be without a body."""
        self.compose(False)
        self.take_place(connection)

    cdef object take_place(self, Connection connection):
        """The same with a head that is composed."""
        self.out_start = connection.stand_in_line(self, self.head)
        self.connection, self.sent_ahead = connection, True

    cdef object on_line_lost(self):
        self.connection, self.sent_ahead = None, False

    cdef bint may_send_behind(self):
        """Whether requests may follow this one on its connection before it is answered (RFC 9112 section 9.3.2)."""
        cdef Connection connection = self.connection
        return (connection is not None and not self.over and connection.is_persistent and not connection.is_doomed
                and not connection.c.cannot_send and self.stage == SEND_NOTHING and not (self.head_done and not self.keep_alive)
                and connection.c.n_sent + connection.unsent() >= self.out_end())      # a channel looks first: any code may run

    cdef bint withdraw(self) except -1:
        """The request is not wanted any more, though it may have been sent. True: that has closed its connection."""
        cdef Connection connection = self.connection
        self.over, self.connection = True, None
        if connection is None:
            return False
        if connection.watcher is self:
            connection.close()
            return True
        connection.is_doomed = True     # whoever is before it gets the answer first
        return False

    cdef object take_turn(self):
        """Its request was sent ahead: all that a request of its own would tell now, and then the answer."""
        cdef qh_status status
        cdef Connection connection = self.connection
        cdef uint64_t n
        self.stage = SEND_NOTHING
        connection.c.request_end = self.out_end()
        self.observer.sending()
        if self.over or self.connection is not connection:
            return
        connection.c.tells_sent = self.observer.wants_sent()
        n = self.n_sent()
        if n and connection.c.tells_sent:
            self.observer.sent(n, self.n_to_send)
            if self.over or self.connection is not connection:
                return
        self.watch_traffic()
        if self.over or self.connection is not connection:
            return
        connection.expect_head(self.options.limits)
        if connection.c.n_sent + connection.unsent() < self.out_end():      # sending has failed meanwhile
            self.on_failed(connection, QH_E_SEND, 0)
            return
        status = connection.find_head()
        if status == QH_DONE:
            self.on_head(connection)
        elif qh_is_error(status):
            self.on_failed(connection, status, 0)
        elif connection.has_input():
            self.on_first_bytes(connection)

    cdef object on_stale(self, Connection connection):
        """The server closed it while it was idle, or sent what nobody asked for: nothing of this request was sent."""
        self.connection = None
        self.sent_ahead = False
        connection.close()
        self.observer.lost()
        if not self.over:
            self.begin()

    # -- the head
    cdef bint tell_reading(self) except -1:
        """Announces, once, that an answer comes; False: that was the end of it."""
        if not self.reading_told:
            self.reading_told = True
            self.observer.reading()
        return not self.over

    cdef object on_first_bytes(self, Connection connection):
        self.answer_begun = True
        self.tell_reading()

    cdef object on_head(self, Connection connection):
        try:
            self.read_head(connection)
        except QHttpError as error:     # there is no memory for its body, say
            if not self.over:
                self.fail(error)

    cdef object read_head(self, Connection connection):
        cdef bytes block
        cdef qh_status status
        self.answer_begun = True
        while True:
            if not connection.is_head_known() and not self.judge_head(connection):
                return
            block = connection.judged
            if connection.facts.status >= 200 or connection.facts.status == 101:
                break
            status = connection.skip_head()
            self.observer.interim(block)
            if connection.facts.status == 100 and self.stage == SEND_WHEN_ASKED and not self.over:
                self.continue_now()
            if self.over or self.connection is not connection:
                return                  # a device's own code has ended it
            if status == QH_AGAIN:
                self.tell_reading()
                return
            if qh_is_error(status):
                self.fail_head(status)
                return
        self.begin_body(connection, block)

    cdef bint judge_head(self, Connection connection) except -1:
        """Takes the facts of the head that has come; False: it is not valid, or not wanted any more, and that was the end of it."""
        cdef bytes block
        cdef qh_status status = connection.read_facts()
        if not qh_is_error(status) and connection.facts.status >= 100 and connection.facts.major == 1:
            block = connection.head_block()
            if is_valid_head(block, connection.facts.has_fold):
                connection.judged = block
                return not self.over    # a finalizer may have ended it
            if self.over:
                return False
        self.fail_head(status)
        return False

    cdef object fail_head(self, qh_status status):
        if self.tell_reading():
            text = "Invalid HTTP response header"
            if status == QH_E_NOT_HTTP:
                text += ": the answer is not HTTP"
            elif status == QH_E_HEAD_TOO_LARGE or status == QH_E_LINE_TOO_LONG or status == QH_E_TOO_MANY_FIELDS:
                text += ": it is larger than the limits allow (Limits)"
            self.fail(ProtocolError(text))

    cdef object begin_body(self, Connection connection, bytes block):
        cdef qh_status status
        connection.check_rest()
        if self.request.is_connect and connection.facts.status < 300 and connection.facts.status != 101:
            self.hand_over(connection)
            return
        failure = None
        try:
            self.framing = decide(self.request.is_head, connection.facts)
        except ProtocolError as error:
            failure = error
        if failure is not None:
            if self.tell_reading():
                self.fail(failure)
            return
        self.keep_alive = keeps_alive(self.framing, connection.facts)
        self.n_announced = connection.facts.length if self.framing == QH_FRAMING_LENGTH else 0
        self.head_done = True
        if self.is_sending() and (connection.facts.status >= 300 or self.stage == SEND_WHEN_ASKED):
            self.stop_sending, self.keep_alive = True, False        # it will not look at the rest (RFC 9112 section 9.5)
            connection.stop_sending()
        self.stop_waiting()
        self.is_challenge = connection.facts.status == 401 or connection.facts.status == 407
        self.block = block
        if not self.is_challenge:
            self.sink = self.observer.sink_for(connection.facts.status) or self.sink
            if self.over:
                return                  # by a signal's handler
        status = connection.begin_body(self.framing, self.n_announced, self.options.limits,
                                       Sink() if self.is_challenge else self.sink)
        # From here on user code runs. The body goes on beside it if a slot turns the loop.
        if not self.tell_head():
            return
        if qh_is_error(status):
            self.on_failed(connection, status, 0)
        elif self.tell_progress() and status == QH_DONE:
            self.finish()

    # -- the body
    cdef bint tell_head(self) except -1:
        """Announces the head, once, and before anything of the body: also where a slot of `reading` turns the loop and the
        body's events come first. False: that was the end of it, or the request has been sent once more."""
        cdef Connection connection = self.connection
        cdef unsigned int n_repeats = self.n_repeats
        if self.tell_reading() and not self.head_told and self.n_repeats == n_repeats:
            self.head_told = True
            if self.is_challenge:
                self.tell_challenge()
            else:
                self.observer.head_received(self.block, connection.facts.status)
        return not self.over and self.connection is connection and self.n_repeats == n_repeats

    cdef bint tell_progress(self) except -1:
        """Hands on what has come; False: that was the end of it."""
        cdef uint64_t n
        if not self.tell_head():
            return False
        if self.is_challenge:
            return self.drop_progress()
        n = self.connection.received()
        if n == self.n_told or self.settling:
            return True                 # nothing new, or it is for the one who is handing on already
        self.settling = True
        try:
            self.sink.settle()
        except DeviceError as error:
            if not self.over:
                self.fail(error)
        finally:
            self.settling = False
        if self.over:
            return False
        n = self.n_told = self.connection.received()
        self.observer.progressed(n, self.n_announced)
        if not self.over and self.end_held:
            self.end_held = False
            if self.held_status == QH_DONE:
                self.on_end(self.connection, self.held_surplus)
            else:
                self.on_failed(self.connection, self.held_status, self.held_error)
        return not self.over

    cdef bint drop_progress(self) except -1:
        """The body of a 401 or 407, which is nobody's. False: that was the end of it."""
        if self.asking:
            return True                 # whether the request is sent again is not known yet
        if self.end_held:
            self.end_held = False
            if self.held_status == QH_DONE:
                self.finish()
            else:
                self.on_failed(self.connection, self.held_status, self.held_error)
            return False
        if self.connection.received() > DISCARD_MAX:
            self.repeat_anew()
            return False
        return True

    cdef bint hold(self, qh_status status, size_t n_surplus, int error):
        """True while the destination's code runs, or that of whoever is asked for credentials: the end of the body waits."""
        if self.settling or self.asking:
            self.end_held, self.held_status, self.held_surplus, self.held_error = True, status, n_surplus, error
        return self.settling or self.asking

    cdef object on_progress(self, Connection connection):
        self.tell_progress()

    cdef object on_full(self, Connection connection):
        if not self.tell_progress() or self.connection is not connection:      # a reader may take it, and make room
            return
        if self.looks_for_room(connection) and self.congested:
            connection.pause(True)

    cdef bint looks_for_room(self, Connection connection) except -1:
        """Whether the sink has some is in `congested` then. False: there is no memory for it, say, and that was the end."""
        failure = None
        try:
            self.congested = not connection.more_room(self.n_announced)
        except QHttpError as error:
            failure = error
        if self.over:                   # by a signal's handler
            return False
        if failure is not None:         # behind the handler: slots do not run with an exception under way
            self.fail(failure)
        return failure is None

    cdef object resume(self):
        """The reader has taken something: goes on receiving if there is room."""
        cdef Connection connection = self.connection
        if not self.congested or self.over:
            return
        if self.looks_for_room(connection) and not self.congested:
            self.watch_traffic()        # what the reader has waited does not count
            if self.connection is connection:
                connection.pause(False)

    cdef object on_end(self, Connection connection, size_t n_surplus):
        connection.n_surplus = n_surplus
        if not self.hold(QH_DONE, n_surplus, 0) and self.tell_progress():
            self.finish()

    # -- the end
    cdef object on_failed(self, Connection connection, qh_status status, int error):
        cdef bint was_cut = status == QH_E_TRUNCATED or status == QH_E_RECEIVE or status == QH_E_SEND
        if self.hold(status, 0, error):
            return
        if status == QH_E_SOURCE:
            why = strerror(error) if error else f"it ended {self.n_to_send - self.n_sent()} bytes early"
            self.fail(DeviceError(f"Error reading from device: {why}"))
        elif not self.head_done:
            if not was_cut:
                self.fail_head(status)
            elif self.answer_begun:
                self.fail(closed_unexpectedly())
            else:
                self.lose()
        elif not self.tell_head():
            return
        elif self.is_challenge:
            self.repeat_anew()          # all that it has said that matters was in its head
        elif status == QH_E_SINK:
            self.fail(DeviceError(f"Error writing response to device: {strerror(self.sink.c.error)}"))
        elif not self.tell_progress_before(status):
            return
        elif was_cut and self.framing == QH_FRAMING_CLOSE:
            self.fail(closed_unexpectedly())
        elif was_cut:
            self.fail(Truncated("Wrong content length"))
        else:
            self.fail(BodyError("Invalid HTTP chunked body"))

    def tell_progress_before(self, qh_status status):
        """What came before a cut is good and is handed on; what came with bad framing in one piece is not."""
        if status == QH_E_TRUNCATED or status == QH_E_RECEIVE:
            return self.tell_progress()
        return self.tell_head()

    cdef object lose(self):
        """The connection went before any byte of an answer: tries again where that cannot do harm, and there can be another one."""
        cdef Connection connection = self.connection
        if not self.request.is_idempotent or self.n_retries == MAX_RETRIES or self.in_source or self.was_all():
            self.fail(closed_unexpectedly())
            return
        if not self.sent_ahead:         # then it was the answer before that ended the connection
            self.n_retries += 1
        self.sent_ahead = False
        self.stop_waiting()
        if connection is not None:
            self.connection = None
            connection.close()
        self.observer.lost()
        if not self.over:
            self.begin()

    cdef bint was_all(self):
        """A connection of the user's that ends in its first use: there will be no other."""
        return self.route.socket is not None and self.connection is not None and self.connection.n_uses == 1

    # -- once more, with credentials
    cdef object tell_challenge(self):
        """Asks what is to become of a 401 or 407: the request is sent again, or this was the end of it."""
        self.asking = True
        outcome = self.observer.challenged(self.block, self.connection.facts.status)
        self.asking = False
        if self.over:
            return
        if outcome is not True:
            self.fail(outcome)
            return
        if self.in_source:
            self.fail(DeviceError("the body cannot be sent again while its device is being read"))
            return
        self.watch_traffic()            # whoever was asked may have taken his time
        if self.over:
            return
        self.repeats = True
        if (not self.keep_alive or self.framing == QH_FRAMING_CLOSE or self.n_announced > DISCARD_MAX
                or proxy_closes(self.block)):
            self.repeat_anew()

    cdef object repeat(self):
        """The answer has been received whole: sends the request again on its connection, if that is fit for it."""
        cdef Connection connection = self.connection
        if (not self.keep_alive or connection.is_doomed or connection.c.cannot_send or connection.n_surplus
                or connection.n_in_line()):
            self.repeat_anew()
            return
        connection.rest()               # where that is interrupted, it is still ours to close
        self.forget_answer()
        self.use(connection, True)

    cdef object repeat_anew(self):
        """The same on another connection."""
        cdef Connection connection = self.connection
        self.forget_answer()
        connection.close()
        self.observer.closing()
        if not self.over:
            self.open()

    cdef object forget_answer(self):
        self.n_repeats += 1
        self.connection = None
        self.answer_begun = self.reading_told = self.head_told = self.head_done = False
        self.is_challenge = self.repeats = self.stop_sending = self.sent_ahead = self.end_held = False
        self.n_told = 0

    cdef object hand_over(self, Connection connection):
        """The proxy has made a tunnel of the connection: it is the observer's now, with what came behind the head."""
        cdef bytes received = PyBytes_FromStringAndSize(connection.data + connection.head_len, connection.n - connection.head_len)
        connection.rest()               # where that fails, somebody is still told
        connection.is_persistent = False        # that was the proxy: the server behind it has not said a word
        self.leave()
        self.observer.tunnelled(connection, received)

    cdef object on_broken(self, Connection connection, object error):
        if not self.over:
            self.fail(broken_off(error))

    cdef object finish(self):
        cdef Connection connection = self.connection
        cdef bint reusable = self.keep_alive and not connection.is_doomed and not self.is_sending()
        if self.repeats:
            self.repeat()
            return
        if connection.n_surplus:        # another answer, if its request was out when that was received
            reusable = reusable and connection.n_in_line() > 0 and (
                <Exchange>connection.line[0]).out_end() <= connection.c.n_sent_then
        elif reusable and connection.c.cannot_send:     # of what stands in line, what was sent before is answered
            reusable = connection.n_in_line() > 0 and (<Exchange>connection.line[0]).out_end() <= connection.c.n_sent
        elif reusable and connection.n_in_line() and (<Exchange>connection.line[0]).out_start >= connection.c.n_sent:
            reusable = connection.send_line_back()
        self.leave()
        reusable = self.tidy(connection, reusable)
        try:
            self.sink.finish()
        except BaseException as error:
            self.loop.note_error(error)
        self.observer.ended(reusable)

    cdef bint tidy(self, Connection connection, bint reusable) except -1:
        """Lets go of the connection; what goes wrong there is no matter to the answer, which is whole. Says whether it may be
        used again. An interrupt (KeyboardInterrupt and the like) is raised by run()."""
        problem = None
        try:
            if reusable:
                if not connection.pass_on():
                    connection.rest()
                    if connection.c.fd < 0:
                        return False    # its end came while a handler turned the loop
                    self.pool.put(connection)
                return True
        except BaseException as error:
            problem = error
        try:
            connection.close()
        except BaseException as error:
            if problem is None or isinstance(problem, Exception):
                problem = error
        if problem is not None and not isinstance(problem, Exception):
            self.loop.note_error(problem)
        return False

    cdef object fail(self, error):
        if not isinstance(error, QHttpError):
            error = broken_off(error)   # there was no memory for the error that it should be
        try:
            self.cancel()
        finally:                        # whatever cannot be tidied up: it is over, and somebody waits to hear it
            self.observer.failed(error)

    cpdef cancel(self):
        """Ends it silently and closes its connection."""
        cdef Connection connection = self.connection
        if self.over:
            return
        try:
            if self.opening is not None:
                self.opening.cancel()
        finally:
            self.leave()
            try:
                if connection is not None:
                    if self.head_done:
                        self.sink.drop_last(connection.received() - self.n_told)
                    connection.close()
            finally:
                self.sink.finish()

    cdef object leave(self):
        """Nothing more is told, and nothing that waits holds this exchange any longer."""
        self.over = True
        self.connection = self.opening = None
        self.stop_waiting()
        if self.limits is not None:
            self.limits.stop()
            self.limits = None

    # -- what the limits of time look at
    cdef bint is_moving(self):
        return self.connection is not None and not self.asking

    cdef uint64_t n_moved(self):
        return self.n_sent() + (self.connection.received() if self.head_done else 0)

    cdef uint64_t last_moved(self):
        return self.connection.last_moved()
