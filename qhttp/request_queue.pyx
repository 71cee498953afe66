"""The queue behind QHttp: requests one after the other, in the order and with the signals of Qt's class.

What a turn of the loop brings is either about the running exchange (the Observer's methods) or was put off to a later
turn (run_deferred). A slot may abort, queue, close or turn the loop at any emit; so each step is complete before it is
told, and goes on afterwards only if the same entry is still running.

    add -> (next turn) pump: start -> requestStarted -> exchange -> ended -> (next turn) finish -> requestFinished -> pump
                                                        failed | abort -> fail -> requestFinished(True), done(True)
"""
cimport cython
from libc.stdint cimport int64_t, uint64_t

from qhttp._connection cimport Connection
from qhttp._core cimport Fifo, Loop, Sink, current_loop
from qhttp._signal cimport Signal
from qhttp._sinks cimport Memory
from qhttp.engine.exchange cimport Exchange
from qhttp.engine.observer cimport Observer, Request, broken_off
from qhttp.engine.pool cimport Pool
from qhttp.engine.time_limits cimport Options
from qhttp.header_base cimport received_header
from qhttp.protocol.request cimport full_head, head_tail, simple_head

from sys import modules

from qhttp._sinks import make_sink
from qhttp.engine.route import Route
from qhttp.errors import DeviceError, HostNotFound, RequestError
from qhttp.headers import QHttpResponseHeader
from qhttp.protocol.request import IDEMPOTENT

AHEAD_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))

cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    #define QH_COUNT_ON(counter) __atomic_add_fetch(&(counter), 1, __ATOMIC_RELAXED)
    #else
    #define QH_COUNT_ON(counter) (++(counter))
    #endif
    """
    int64_t count_on "QH_COUNT_ON"(int64_t counter)     # the next number: no two threads get the same

cdef extern from "Python.h":
    void PyObject_GC_UnTrack(object)

# By their numbers. The enumerations themselves are imported when somebody asks for a member: imports are felt.
STATE_NAMES = ("Unconnected", "HostLookup", "Connecting", "Sending", "Reading", "Connected", "Closing")
ERROR_NAMES = ("NoError", "UnknownError", "HostNotFound", "ConnectionRefused", "UnexpectedClose", "InvalidResponseHeader",
               "WrongContentLength", "Aborted", "AuthenticationRequiredError", "ProxyAuthenticationRequiredError")
cdef tuple STATES = None
cdef tuple ERRORS = None
cdef str NO_ERROR_TEXT = "Unknown error"        # what the original says when there is none
cdef str NO_MEMORY_TEXT = "no memory"
cdef int64_t last_id = 0                        # one counter for all objects of the process
cdef tuple STARTS = (None, None, None, None, None, b"GET ", b"HEAD ", b"POST ")     # of a request line, by kind


@cython.freelist(64)
cdef class Entry:
    cdef bint may_go_ahead(self):
        if self.details is None:
            return self.kind == GET or self.kind == HEAD
        return self.details.may_go_ahead


cdef class Details:
    pass


cdef int load_members() except -1:
    global STATES, ERRORS
    from qhttp.network import Error, State
    with cython.critical_section(State):        # once: another thread may be reading what is there
        if ERRORS is None:
            ERRORS = tuple(Error)
        if STATES is None:
            STATES = tuple(State)
    return 0


cdef object state_member(int state):
    if STATES is None:
        load_members()
    return STATES[state]


cdef object error_member(int error):
    if ERRORS is None:
        load_members()
    return ERRORS[error]


cdef bint leaves_the_connection(header):
    """Whether a request with this header neither changes anything if it is sent again nor says anything about its connection."""
    if not header.isValid() or header.method() not in AHEAD_METHODS or header.minorVersion() != 1:
        return False
    for value in header.allValues("Connection"):
        for token in value.split(","):
            if token.strip().lower() not in ("", "keep-alive"):
                return False
    return not header.hasKey("Upgrade") and not header.hasKey("Expect")


def sender():
    """The object whose signal called the slot that is running in this thread, None outside of slots."""
    return current_loop().sender


def emit_as(emitter, Signal signal not None, tuple args):
    """Emits a signal of another object's, so that its slots find it as their sender()."""
    cdef Loop loop = current_loop()
    outer_sender, loop.sender = loop.sender, emitter
    try:
        signal.emit(*args)
    finally:
        loop.sender = outer_sender


cdef bytes told_to_proxy(bytes head):
    """A head, or the end of one, with what a proxy gets besides, as recorded."""
    return head[:-2] + b"Proxy-Connection: keep-alive\r\n\r\n"


cdef bint expects_continue(header):
    for value in header.allValues("Expect"):
        if value.strip().lower() == "100-continue":
            return True
    return False


cdef class RequestQueue(Observer):
    def __cinit__(self, *args, **kwargs):
        self.requestStarted = Signal("requestStarted", 1)
        self.requestFinished = Signal("requestFinished", 2)
        self.done = Signal("done", 1)
        self.stateChanged = Signal("stateChanged", 1)
        self.responseHeaderReceived = Signal("responseHeaderReceived", 1)
        self.readyRead = Signal("readyRead", 1)
        self.dataReadProgress = Signal("dataReadProgress", 2)
        self.dataSendProgress = Signal("dataSendProgress", 2)
        self.authenticationRequired = Signal("authenticationRequired", 3)
        self.proxyAuthenticationRequired = Signal("proxyAuthenticationRequired", 2)
        self.sslErrors = Signal("sslErrors", 1)
        self.loop = current_loop()
        self.pool = Pool(1, self)
        self.options = Options()
        self.memory = Memory()
        self.entries = Fifo.__new__(Fifo)
        self.error_text = NO_ERROR_TEXT
        self.depth = 1

    # -- emits, state
    cdef object emit(self, Signal signal, object a, object b=None, object c=None):
        cdef Entry outer = self.telling
        if self.blocked or signal.slots is None:
            return
        outer_sender, self.loop.sender = self.loop.sender, self     # slots may turn the loop: emits are nested
        self.telling = self.running
        error = signal.fire(a, b, c)
        self.telling = outer
        self.loop.sender = outer_sender
        self.loop.told_ns = self.loop.c.now_ns
        if error is not None:
            self.loop.note_error(error)

    cdef object set_state(self, int state):
        if state == self.state_now:
            return
        self.state_now = state
        if self.stateChanged.slots is not None:
            try:
                self.emit(self.stateChanged, state_member(state))
            except BaseException as error:      # no memory to tell of it, or an interrupt: what is under way goes on
                self.loop.note_error(error)

    cdef object tell_finished(self, Entry entry, bint error):
        if self.requestFinished.slots is not None:
            try:
                self.emit(self.requestFinished, entry.id, error)
            except BaseException as problem:
                self.loop.note_error(problem)

    cdef object set_host(self, str host, int port, bint is_https, bint is_new=True):
        """The server for the requests that start from now on. An open connection to it is used again, no other. Not `is_new`: what
        leads to it has changed, except for the proxy."""
        cdef bytes host_field, tail, target_head = b""
        cdef unsigned int n
        port = port if port else 443 if is_https else 80
        self.has_way = False            # where this is interrupted, the next request begins here; never with another server's way
        self.host, self.port, self.is_https = host, port, is_https
        self.n_set = n = self.n_set + 1
        name = f"[{host.partition('%')[0]}]" if ":" in host else host      # a zone is our own affair (RFC 6874 section 4)
        host_field = (name if port == 80 else f"{name}:{port}").encode("ascii")
        tail, no_way = head_tail(host_field), None
        if self.wiring is None and not is_https and "qhttp.network_proxy" not in modules:
            route = Route(host, port)
        else:
            try:
                route = self.find_wiring().route(host, port, is_https, is_new)
            except (RequestError, ValueError) as error:     # told by the request that needs it: setHost never fails
                route, no_way = Route(host, port), str(error)
            if route.is_fetched:
                target_head = b"http://" + host_field
                tail = told_to_proxy(tail)
        key, former = route.key, self.route     # that goes when all is set: a socket's finalizer may be run
        if self.n_set == n:             # else another one was set meanwhile, by a signal's handler
            self.host_field, self.target_head, self.head_tail, self.no_way = host_field, target_head, tail, no_way
            self.route, self.key, self.has_way = route, key, True

    cdef object find_wiring(self):
        if self.wiring is None:
            from qhttp.wiring import Wiring     # not before something of it is needed: imports are felt
            self.wiring = Wiring()
        return self.wiring

    cdef bytes on_wire(self, bytes target):
        """The request target: for a caching proxy in absolute form (RFC 9112 section 3.2.2), which has no fragment."""
        if not self.target_head:
            return target
        target = target.partition(b"#")[0]
        if target.startswith(b"/"):
            return self.target_head + target
        return target if b"://" in target.partition(b"?")[0] else self.target_head + b"/" + target

    def _set_first_host(self, str host, int port, bint is_https):
        self.set_host(host, port, is_https)
        self.host_is_first = True

    @property
    def _options(self):
        return self.options

    def _set_read_buffer_size(self, size):
        self.loop.check()
        self.memory.set_limit(size)
        self.read_on()

    cdef object read_on(self):
        """There is room for more, perhaps."""
        cdef Exchange exchange = self.exchange      # a reference of our own: any code may run
        if exchange is not None:
            exchange.resume()

    # -- the queue
    cdef int64_t add(self, int kind, bytes target, object data=None, object to=None, object header=None,
                     int port=0, bint is_https=False) except -1:
        """Queues a request and returns its id; the first of a batch starts in the next turn."""
        cdef Entry entry = Entry.__new__(Entry)
        cdef Details details
        self.loop.check()
        entry.id = count_on(last_id)
        entry.kind, entry.target, entry.port, entry.is_https = kind, target, port, is_https
        if data is not None or to is not None or header is not None:
            details = entry.details = Details.__new__(Details)
            details.data, details.to, details.header = data, to, header
            details.may_go_ahead = data is None and to is None and header is not None and leaves_the_connection(header)
        else:
            PyObject_GC_UnTrack(entry)      # nothing in it can lead back to it: the collector need not look at a million of them
        self.entries.append(entry)
        if self.entries.n() == 1:
            try:
                self.loop.keep(self)
            except MemoryError:         # what add() has not said to be queued is not
                self.entries.take_last()
                raise
            self.loop.schedule(self)
        elif self.depth > 1 and self.exchange is not None and self.entries.n() <= self.depth:
            self.look_ahead()
        return entry.id

    cdef bint is_pending(self):
        return self.scheduled or self.entries.n() > 0

    cdef bint is_blocked(self):
        return ((self.telling is not None and self.telling is self.running)
                or (self.is_away and self.entries.n() > 0)      # nothing begins until it has come to the next thread
                or (self.exchange is not None and (self.exchange.in_source or self.exchange.settling)))

    cdef object run_deferred(self):
        cdef bint was_in_pump = self.in_pump
        self.tell_closed()
        if self.finish_due:
            self.finish_due = False
            self.finish()
        if self.deletion_due:
            self.deletion_due = False
            self.delete()
        self.in_pump = False            # a slot under pump() may have turned the loop: that one waits for us
        self.pump()
        self.in_pump = was_in_pump

    cdef object tell_closed(self):
        """What is still to be told of a connection that a failure has closed."""
        if self.closing_due:
            self.close_after_failure()
        if self.unconnected_due:
            self.unconnected_due = False
            self.set_state(UNCONNECTED)

    cdef object pump(self):
        """Starts entries until one has to wait for the network. Not recursive: the queue may be long."""
        cdef Entry entry
        cdef Loop loop = self.loop      # a slot may have the object moved to another thread
        if self.in_pump:
            return
        self.in_pump = True
        try:
            while (self.entries.n() and self.running is None and not self.failing and not self.unconnected_due
                   and not self.is_away and self.loop is loop and loop.error is None):
                entry = self.entries.item(0)
                try:
                    self.start(entry)
                except BaseException as error:      # out of a device: KeyboardInterrupt and the like; or no memory
                    self.loop.note_error(error)
                    if self.running is entry:
                        self.fail_with(broken_off(error))
        finally:
            self.in_pump = False
        # A slot has raised: run() tells, and comes back; or it has aborted: first it is told that the connection is closed.
        if self.entries.n() and self.running is None and not self.is_away and self.loop is loop:
            loop.schedule(self)

    cdef object start(self, Entry entry):
        self.running, self.exchange = entry, None
        self.n_started += 1
        self.error_now, self.error_text = NO_ERROR, NO_ERROR_TEXT
        self.memory.discard()
        if self.requestStarted.slots is not None:
            self.emit(self.requestStarted, entry.id)
            if self.running is not entry:
                return
        if entry.kind < GET:
            self.take_effect(entry)
        else:
            self.start_exchange(entry)

    cdef object take_effect(self, Entry entry):
        """What an entry does that is no request to a server: at once, and without the network."""
        if entry.kind == SET_HOST:
            self.host_is_first = False
            self.set_host(entry.target.decode("utf-8"), entry.port, entry.is_https)
        elif entry.kind < CLOSE:
            self.take_setting(entry)
        elif self.close_pool():
            self.set_state(CLOSING)
            if self.running is entry:
                self.set_state(UNCONNECTED)
        if self.running is entry:       # else code of the user's has aborted, and may have queued others
            self.finish()

    cdef object take_setting(self, Entry entry):
        """setUser, setProxy, setSocket: for the requests behind them. Connections made under others are not used for those."""
        value = entry.details.data
        if entry.kind == SET_USER:
            if self.find_wiring().set_user(*value):
                self.close_pool()
        elif entry.kind == SET_PROXY:
            self.find_wiring().set_proxy(value)
        else:
            self.find_wiring().set_socket(value[0])
            self.close_pool()
            if self.host is not None:
                self.set_host(self.host, self.port, self.is_https, False)

    cdef object start_exchange(self, Entry entry):
        cdef Sink sink = self.memory
        cdef Exchange exchange = entry.ahead    # a name of its own: a slot may abort and so drop self.exchange
        self.began_ns, self.first_ns, self.end_ns = self.loop.moment(), 0, 0
        self.forget_times()
        if self.host is None:
            self.fail(UNKNOWN_ERROR, "No server set to connect to")
            return
        if not self.has_way or (self.host_is_first and "qhttp.network_proxy" in modules):      # a proxy may have been set since
            self.set_host(self.host, self.port, self.is_https)
            if self.running is not entry:
                return
        self.host_is_first = False
        if self.wiring is not None and self.wiring.has_parties:
            self.wiring.asks("https" if self.is_https else "http", self.host, self.port)
        if self.no_way is not None:
            self.fail(UNKNOWN_ERROR, self.no_way)
            return
        if not self.host and self.route.proxy is not None:
            self.failed(HostNotFound("Host  not found"))
            return
        if exchange is not None and exchange.connection is None and exchange.key != self.key:
            exchange = None             # its line was lost, and the way is another one by now
        if exchange is None:
            outer, self.telling = self.telling, entry       # devices are asked: code of the user's
            request = None
            try:
                if entry.details is not None and entry.details.to is not None:
                    sink = make_sink(entry.details.to)
                request = self.make_request(entry)
            except (DeviceError, RequestError) as error:
                if self.running is entry:
                    self.fail(UNKNOWN_ERROR, str(error))
            finally:
                self.telling = outer
            if request is None or self.running is not entry:
                return                  # a device's own code has aborted
            exchange = self.make_exchange(request, sink)
        entry.began = True
        entry.ahead = None
        self.exchange = exchange
        exchange.begin()
        if self.depth > 1 and self.exchange is exchange and entry.may_go_ahead():
            self.look_ahead()

    cdef Exchange make_exchange(self, Request request, Sink sink):
        cdef Exchange exchange = Exchange.__new__(Exchange)
        exchange.loop, exchange.pool, exchange.key, exchange.route = self.loop, self.pool, self.key, self.route
        exchange.sink, exchange.observer, exchange.options = sink, self, self.options
        exchange.carry(request)
        return exchange

    cdef object look_ahead(self):
        """Sends what may be sent before its turn behind the current request."""
        self.looks_again = True
        if self.in_look_ahead:          # a handler, or a finalizer, within that: whoever is at it already looks once more
            return
        self.in_look_ahead = True
        try:
            while self.looks_again:
                self.looks_again = False
                self.line_up()
        finally:
            self.in_look_ahead = False

    cdef object line_up(self):
        cdef Exchange exchange = self.exchange, ahead
        cdef Connection connection
        cdef Entry entry
        cdef Py_ssize_t i
        if exchange is None or self.running is None or not self.running.may_go_ahead() or not exchange.may_send_behind():
            return
        connection = exchange.connection
        if connection.key != self.key or not self.has_way:      # what was set since holds for all that comes
            return
        connection.make_line()
        i = 1 + connection.n_in_line()
        while i < self.depth and i < self.entries.n():
            entry = self.entries.item(i)
            if not entry.may_go_ahead():
                break
            ahead, entry.ahead = entry.ahead, None      # from here on code of the user's may run: it might begin otherwise
            if ahead is None:
                ahead = self.make_exchange(self.make_request(entry), self.memory)
            ahead.compose(False)
            if (self.exchange is not exchange or exchange.connection is not connection or not exchange.may_send_behind()
                    or 1 + connection.n_in_line() != i or i >= self.entries.n() or self.entries.item(i) is not entry):
                self.looks_again = True
                break
            entry.ahead = ahead
            ahead.take_place(connection)
            i += 1
        connection.send_line()          # if anything was lined up, and still is

    cdef Request make_request(self, Entry entry):
        cdef Request request = Request.__new__(Request)
        cdef Details details = entry.details
        cdef bint has_body = False
        if details is None:
            request.is_head, request.is_idempotent = entry.kind == HEAD, entry.kind != POST
            request.head = simple_head(<bytes>STARTS[entry.kind], self.on_wire(entry.target), self.head_tail)
            return request
        if details.data is not None:
            has_body = True
            if isinstance(details.data, bytes):
                request.body = details.data
                request.source_len = 0
            else:
                from qhttp.engine.source import Source      # not before the first device: imports are felt
                request.source = Source(details.data)
                request.is_chunked = request.source.length is None
                request.source_len = request.source.length or 0
        body_len = None
        if has_body and not request.is_chunked:
            body_len = len(request.body) if request.body is not None else request.source_len
        if details.header is None:
            method, minor = (<bytes>STARTS[entry.kind])[:-1], 1
            fields = [("Connection", "Keep-Alive"), ("Host", self.host_field.decode("ascii"))]
        else:
            if not details.header.isValid():
                raise RequestError("the request header is not valid: set a method and a path (setRequest)")
            minor, fields = details.header.minorVersion(), details.header.values()
            if request.is_chunked and minor == 0:
                raise RequestError("a body of unknown length cannot be sent in HTTP/1.0: use 1.1, or a device with a size()")
            method = details.header.method().encode("ascii")
            request.awaits_continue = request.source is not None and minor == 1 and expects_continue(details.header)
        request.is_head, request.is_idempotent = method == b"HEAD", method in IDEMPOTENT
        request.head = full_head(method, self.on_wire(entry.target), minor, fields, body_len, request.is_chunked)
        if self.target_head:
            request.head = told_to_proxy(request.head)
        return request

    cdef object finish(self):
        """The running entry is done, without an error."""
        cdef Entry entry = self.running
        if entry is None:
            return
        self.exchange = None
        self.finishing = True
        self.tell_finished(entry, False)
        if self.running is entry:       # else it was aborted, or moved to another thread, in that slot
            self.finished()

    cdef object finished(self):
        """The second half of finish(): that the running entry is done has been told."""
        self.finishing = False
        self.running = None
        self.entries.take_first()
        if self.entries.n():
            self.pump()
        else:
            self.loop.let_go(self)
            if self.done.slots is not None:
                self.emit(self.done, False)

    cdef object fail(self, int error, str text):
        """Ends the batch: the first entry fails, the others vanish without a signal (but for keeps_behind), and the connection
        is closed."""
        cdef Entry entry = self.entries.item(0)
        cdef Loop loop = self.loop
        if self.failing:                # abort() inside requestFinished(id, True)
            self.keeps_behind = False
            return
        self.failing = True
        self.finish_due = False
        self.error_now, self.error_text = error, text
        exchange, self.exchange = self.exchange, None
        try:
            if exchange is not None:
                (<Exchange>exchange).cancel()
        except BaseException as problem:        # KeyboardInterrupt and the like: run() will raise it, the batch ends here
            self.loop.note_error(problem)
        if self.end_ns == 0:
            self.end_ns = self.loop.now()
        if not self.finishing:
            self.running = entry        # current while it is told, as ever
            self.tell_finished(entry, True)
        if self.failing and self.loop is loop:      # else the object was moved in that slot, and has done this
            self.end_batch()

    cdef object end_batch(self):
        """The second half of fail(): the failure of the first entry has been told."""
        if self.keeps_behind:
            self.keeps_behind = False   # what a slot aborts from here on is all
            self.take_back(0)
            self.entries.take_first()
        else:
            self.drop_behind(0)
        self.running = None
        self.finishing = self.failing = False
        self.loop.let_go(self)
        self.close_pool()
        self.closing_due = self.state_now != UNCONNECTED
        self.emit(self.done, True)
        self.close_after_failure()      # unless a slot has turned the loop and this was done there

    cdef bint close_pool(self) except -1:
        """Closes idle connections; says whether there were any."""
        cdef bint any_open = True
        try:
            any_open = self.pool.close()
        except BaseException as problem:        # they are closed all the same; no return from here: there may be no traceback
            self.loop.note_error(problem)
        return any_open

    cdef object close_after_failure(self):
        """Tells that the connection is closed, once and before anything new begins."""
        cdef uint64_t n_started = self.n_started
        if not self.closing_due:
            return
        self.closing_due = False
        if self.error_now == ABORTED:
            self.unconnected_due = True
            self.set_state(CLOSING)
            self.loop.schedule(self)
            return
        if self.state_now != HOST_LOOKUP and self.state_now != CONNECTING:
            self.set_state(CLOSING)
        if self.n_started == n_started:
            self.set_state(UNCONNECTED)

    # -- what the exchange tells
    cdef object looking_up(self):
        self.set_state(HOST_LOOKUP)

    cdef object connecting(self):
        self.set_state(CONNECTING)

    cdef object sending(self):
        self.set_state(SENDING)

    cdef bint wants_sent(self):
        return self.dataSendProgress.slots is not None

    cdef object sent(self, uint64_t n_done, uint64_t n_total):
        if self.dataSendProgress.slots is not None:
            self.emit(self.dataSendProgress, n_done, n_total)

    cdef object lost(self):
        cdef Entry entry = self.running
        self.set_state(CLOSING)
        if self.running is entry:
            self.set_state(UNCONNECTED)

    cdef object closing(self):
        self.set_state(CLOSING)

    cdef object reading(self):
        self.first_ns = self.loop.c.now_ns
        self.set_state(READING)

    # -- credentials: a 401 or 407 is never an answer like any other, nobody may take its page for the content
    # The route is the exchange's: that of the queue may be another one by now.
    cdef object credentials(self, object route, Request request, bint is_fresh):
        if self.wiring is None or not self.wiring.has_parties:
            return None
        return self.wiring.credentials(route, request.head, is_fresh)

    cdef object challenged(self, bytes block, int status):
        self.head_block, self.response = block, None
        return self.find_wiring().challenged(self, self.exchange.route, self.exchange.request.head, block, status)

    cdef object proxy_challenged(self, bytes block, object edition):
        self.head_block, self.response = block, None
        return self.find_wiring().proxy_challenged(self, self.exchange.route, block, edition)

    cdef object proxy_login(self):
        return self.find_wiring().proxy_login(self, self.exchange.route)

    def _ask_for_user(self, authenticator):
        self.emit(self.authenticationRequired, self.host, self.port, authenticator)

    def _ask_for_proxy_user(self, proxy, authenticator):
        self.emit(self.proxyAuthenticationRequired, proxy, authenticator)

    # -- certificates
    cdef bint wants_ssl_errors(self):
        return self.sslErrors.slots is not None and not self.blocked

    cdef object ssl_errors(self, object error, object certificate):
        from qhttp.ssl_error import QSslError
        self.asking, self.ignoring = True, False
        self.emit(self.sslErrors, [QSslError.from_openssl(error.verify_code, error.verify_message, certificate)])
        self.asking = False
        return self.ignoring

    def _ignore_ssl_errors(self):
        self.loop.check()
        self.ignoring = self.asking

    cdef object interim(self, bytes block):
        self.head_block, self.response = block, None

    cdef object head_received(self, bytes block, int status):
        self.head_block, self.response = block, None
        if self.wiring is not None and self.wiring.has_parties:
            self.wiring.accepted(self.exchange.route, self.exchange.request.head, block)
        if self.responseHeaderReceived.slots is not None:
            self.emit(self.responseHeaderReceived, self.current_response())

    cdef object progressed(self, uint64_t n_done, uint64_t n_total):
        cdef Exchange exchange = self.exchange
        if self.dataReadProgress.slots is not None:
            self.emit(self.dataReadProgress, n_done, n_total)
        if self.readyRead.slots is not None and self.exchange is exchange and exchange.sink is self.memory:
            self.emit(self.readyRead, self.current_response())

    cdef object ended(self, bint is_connected):
        cdef Entry entry = self.running
        self.exchange, self.end_ns = None, self.loop.c.now_ns
        if is_connected:
            self.set_state(CONNECTED)
        else:
            self.set_state(CLOSING)
            if self.running is entry:
                self.set_state(UNCONNECTED)
        if self.running is entry:
            self.finish_due = True
            self.loop.schedule(self)

    cdef object failed(self, object error):
        self.exchange = None
        self.fail_with(error)

    cdef object fail_with(self, object error):
        try:
            number, text = ERROR_NAMES.index(error.qt_name), str(error)
        except MemoryError:
            number, text = <int>UNKNOWN_ERROR, NO_MEMORY_TEXT
        self.fail(number, text)

    def connection_lost(self, connection):
        """The idle connection has ended by itself (the pool tells)."""
        cdef uint64_t n_started = self.n_started
        if self.state_now == CONNECTED:
            self.set_state(CLOSING)
            if self.n_started == n_started:
                self.set_state(UNCONNECTED)

    cdef object current_response(self):
        if self.response is None:
            self.response = received_header(QHttpResponseHeader, self.head_block) if self.head_block else QHttpResponseHeader()
        return self.response

    # -- what the face asks for
    cdef bint take_back(self, Py_ssize_t n_kept) except -1:
        """Those behind the first so many are as if none had been sent before its turn. True: that has cost the connection."""
        cdef Entry entry
        cdef Exchange ahead
        cdef bint closed = False
        cdef Py_ssize_t i
        for i in range(self.entries.n() - 1, n_kept - 1, -1):
            if i >= self.entries.n():
                continue                # code of the user's has dropped it, while one behind it was withdrawn
            entry = self.entries.item(i)
            ahead, entry.ahead = entry.ahead, None
            if ahead is not None:
                try:
                    closed = ahead.withdraw() or closed
                except BaseException as problem:        # its connection is closed all the same
                    closed = True
                    self.loop.note_error(problem)
        return closed

    cdef bint drop_behind(self, Py_ssize_t n_kept) except -1:
        """Drops the entries behind the first so many. True: one of them was sent before its turn, and has cost the connection."""
        cdef bint closed = self.take_back(n_kept)
        cdef Py_ssize_t i
        if n_kept == 0:
            self.entries.clear()
        else:
            for i in range(self.entries.n() - n_kept):
                self.entries.take_last()
        return closed

    cdef object leave_loop(self):
        """Makes it ready for another thread: what is under way is aborted, and the connection closed; what waits goes along.

        So does what was sent before its turn: it may be sent again, as after a lost connection.
        """
        cdef bint closed
        self.is_away = True
        if self.failing:                # in its slot: that ends the batch, as ever
            self.end_batch()
        elif self.finishing:            # in its slot: it is told, and not under way any more
            self.finished()
        elif self.running is not None and self.running.kind < GET:      # in its requestStarted: what waits counts on it
            self.take_effect(self.running)
        elif self.running is not None:
            self.keeps_behind = True
            self.fail(ABORTED, "Request aborted: its object moves to another thread")
        closed = self.take_back(0)
        self.tell_closed()
        if self.close_pool() or closed:
            self.set_state(CLOSING)
            self.set_state(UNCONNECTED)
        self.loop.forget(self)
        self.loop.let_go(self)

    cdef object join_loop(self):
        """This thread's loop is its own from now on."""
        self.loop, self.is_away = current_loop(), False
        if self.entries.n() or self.deletion_due:
            self.loop.keep(self)
            self.loop.schedule(self)

    cdef object delete(self):
        if self.entries.n():
            self.fail(ABORTED, "Request aborted")
        elif self.close_pool():
            self.set_state(CLOSING)
            self.set_state(UNCONNECTED)
        for signal in (self.requestStarted, self.requestFinished, self.done, self.stateChanged, self.responseHeaderReceived,
                       self.readyRead, self.dataReadProgress, self.dataSendProgress, self.authenticationRequired,
                       self.proxyAuthenticationRequired, self.sslErrors):
            signal.disconnect()
        # What a slot has queued, or even begun, on the way out:
        exchange, self.exchange, self.running, self.finish_due = self.exchange, None, None, False
        if exchange is not None:
            exchange.cancel()
        self.drop_behind(0)
        self.loop.let_go(self)
        self.state_now = UNCONNECTED
