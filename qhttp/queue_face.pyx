"""What of QHttp's face is compiled: the requests, and what asks the queue how it stands. QHttp itself stands on this."""
from qhttp.byte_array cimport as_byte_array
from qhttp.header_base cimport received_header
from qhttp.protocol.request cimport check_target
from qhttp.request_queue cimport (
    ABORTED, CLOSE, GET, HEAD, POST, REQUEST, SET_HOST, SET_PROXY, SET_SOCKET, SET_USER, Entry, RequestQueue, error_member, state_member,
)

from qhttp.arguments import checked_data, checked_destination, plain_path, root_for_empty
from qhttp.headers import QHttpRequestHeader, QHttpResponseHeader
from qhttp.protocol.request import check_fields

cdef dict METHODS = {GET: "GET", HEAD: "HEAD", POST: "POST"}


cdef inline bytes target_of(path):
    return check_target(path if type(path) is str else plain_path(path))


cdef class QueueFace(RequestQueue):
    # -- requests: each is queued and returns its id
    def get(self, path, to=None):
        """Queues a GET for `path` (str or bytes, percent-encoded, or a QUrl). The body goes to the device `to`, else it is for readAll().

        Returns the request's id (int). Raises ValueError for a path with blanks, line breaks or non-ASCII (Qt: QHttp::get).
        """
        cdef bytes target = target_of(path)
        return self.add(GET, target or root_for_empty("get"), None, None if to is None else checked_destination(to))

    def head(self, path):
        """Queues a HEAD for `path`; returns the request's id (Qt: QHttp::head)."""
        return self.add(HEAD, target_of(path) or root_for_empty("head"))

    def post(self, path, data, to=None):
        """Queues a POST of `data`: bytes, or a binary file object or device with read(n), sent from its start.

        Returns the request's id (Qt: QHttp::post).
        """
        return self.add(POST, target_of(path) or root_for_empty("post"), checked_data(data), checked_destination(to))

    def request(self, header, data=None, to=None):
        """Queues any request. The header is sent as given (no Host is added); only the body's length is ours.

        Returns the request's id. Raises ValueError for a header that must not be sent: line breaks, a method or name
        that is no token, a Transfer-Encoding, a Content-Length without data. An invalid header object ends the request
        with UnknownError (Qt: QHttp::request).
        """
        if not isinstance(header, QHttpRequestHeader):
            raise TypeError(f"header must be a QHttpRequestHeader, not {type(header).__name__}")
        data, header, target = checked_data(data), QHttpRequestHeader(header), b"/"
        if header.isValid():
            check_fields(header.method(), header.values(), data is not None)
            if (header.majorVersion(), header.minorVersion()) not in ((1, 0), (1, 1)):
                raise ValueError("header has a version other than 1.0 and 1.1")
            target = check_target(header.path()) or root_for_empty("request")
        return self.add(REQUEST, target, data, checked_destination(to), header)

    def close(self):
        """Queues the closing of a kept connection; returns the request's id (Qt: QHttp::close)."""
        return self.add(CLOSE, b"")

    closeConnection = close

    def _add_host(self, host, port, is_https):
        return self.add(SET_HOST, host.encode(), None, None, None, port, is_https)

    def _add_user(self, user, password):
        return self.add(SET_USER, b"", (user, password))

    def _add_proxy(self, proxy):
        return self.add(SET_PROXY, b"", proxy)

    def _add_socket(self, sock):
        return self.add(SET_SOCKET, b"", (sock,))

    def _set_tls(self, context):
        self.loop.check()
        self.find_wiring().set_tls(context)
        if self.host is not None:
            self.set_host(self.host, self.port, self.is_https, False)

    def _set_pipelining(self, depth):
        self.loop.check()
        self.depth = depth

    # -- how it stands, and how it ends
    def abort(self):
        """Ends the current request and drops all others (Qt: QHttp::abort).

        requestFinished(id, True) and done(True) are emitted with the error Aborted, the connection is closed. Without
        a request nothing happens; the connection stays.
        """
        self.loop.check()
        if self.entries.n():
            self.fail(ABORTED, "Request aborted")

    def clearPendingRequests(self):
        """Drops the requests that wait; the first of the queue stays, started or not (Qt: QHttp::clearPendingRequests)."""
        self.loop.check()
        if self.drop_behind(1):
            self.connection_lost(None)

    def hasPendingRequests(self):
        """Whether requests wait behind the current one: bool (Qt: QHttp::hasPendingRequests)."""
        return self.entries.n() > 1

    def currentId(self):
        """The id of the current request, 0 where there is none: int (Qt: QHttp::currentId)."""
        return (<Entry>self.entries.item(0)).id if self.entries.n() else 0

    def currentRequest(self):
        """The QHttpRequestHeader of the current request; an invalid one for setHost, close and when idle
        (Qt: QHttp::currentRequest)."""
        cdef Entry entry = self.entries.item(0) if self.entries.n() else None
        if entry is None or entry.kind < GET:
            return QHttpRequestHeader()
        if entry.details is not None and entry.details.header is not None:
            return QHttpRequestHeader(entry.details.header)
        header = QHttpRequestHeader(METHODS[entry.kind], entry.target.decode())
        header.setValue("Connection", "Keep-Alive")
        if entry.began:
            header.setValue("Host", self.host_field.decode("ascii"))
        return header

    def currentUrl(self):
        """The URL that the current request asks for: str; empty for setHost, close and when idle, and without a server."""
        cdef Entry entry = self.entries.item(0) if self.entries.n() else None
        if entry is None or entry.kind < GET or self.host is None:
            return ""
        target = entry.target.decode()
        if "://" in target.partition("?")[0] and not target.startswith("/"):
            return target
        name = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == (443 if self.is_https else 80) else f":{self.port}"
        return f"{'https' if self.is_https else 'http'}://{name}{port}{'' if target.startswith('/') else '/'}{target}"

    def currentSourceDevice(self):
        """The device that the current request's body comes from, or None (Qt: QHttp::currentSourceDevice)."""
        cdef Entry entry = self.entries.item(0) if self.entries.n() else None
        if entry is None or entry.kind < GET or entry.details is None or isinstance(entry.details.data, bytes):
            return None
        return entry.details.data

    def currentDestinationDevice(self):
        """The device that the current answer's body goes to, or None (Qt: QHttp::currentDestinationDevice)."""
        cdef Entry entry = self.entries.item(0) if self.entries.n() else None
        return entry.details.to if entry is not None and entry.details is not None else None

    def lastResponse(self):
        """The QHttpResponseHeader received last, interim ones included; invalid before the first (Qt: QHttp::lastResponse)."""
        if self.head_block is None:
            return QHttpResponseHeader()
        return received_header(QHttpResponseHeader, self.head_block)

    def timings(self):
        """Where the time of the current request went, or of the last one: a qhttp.Timings, in seconds. Complete as soon as
        requestFinished is emitted."""
        return self.timings_between(self.began_ns, self.first_ns, self.end_ns)

    def state(self):
        """QHttp.State (Qt: QHttp::state)."""
        return state_member(self.state_now)

    def error(self):
        """QHttp.Error of the last request; NoError again when one starts (Qt: QHttp::error)."""
        return error_member(self.error_now)

    def errorString(self):
        """The last error in words: str; "Unknown error" where there was none, as in Qt (Qt: QHttp::errorString)."""
        return self.error_text

    def bytesAvailable(self):
        """Body bytes that can be read now: int (Qt: QHttp::bytesAvailable)."""
        return self.memory.available()

    def read(self, maxlen):
        """Takes at most `maxlen` body bytes: QByteArray, a bytes; empty where none are there (Qt: QHttp::read).

        Raises ValueError for a negative number.
        """
        if not isinstance(maxlen, int):
            raise TypeError(f"maxlen must be int, not {type(maxlen).__name__}")
        if maxlen < 0:
            raise ValueError(f"maxlen must be 0 or more, not {maxlen}")
        self.loop.check()
        data = as_byte_array(self.memory.take(min(maxlen, self.memory.available())))
        self.read_on()
        return data

    def readAll(self):
        """Takes all body bytes that are there: QByteArray, a bytes (Qt: QHttp::readAll)."""
        self.loop.check()
        data = as_byte_array(self.memory.take(self.memory.available()))
        self.read_on()
        return data

    def waitForDone(self, msecs=None):
        """Turns the loop until this object has no request left, at most `msecs` milliseconds (int; None: for ever).

        True where nothing is left. May be called inside a slot, there with `msecs`: a slot that waits for its own request
        without a limit would wait for itself, which raises RuntimeError. Raises what `qhttp.run()` raises.
        """
        self.loop.check()
        if msecs is None and self.is_blocked():
            raise RuntimeError("waitForDone() inside a slot or device of the request it waits for: give it msecs, or return first")
        return self.loop.run_while(self, msecs)

    def blockSignals(self, block):
        """Makes it emit nothing from now on, or again; transfers go on. Returns what was so before (Qt: QObject::blockSignals)."""
        before, self.blocked = self.blocked, block
        return before

    def signalsBlocked(self):
        """Whether it emits nothing (Qt: QObject::signalsBlocked)."""
        return self.blocked

    def _leave_loop(self):
        """Before another thread takes it over with _join_loop(): see qhttp.qt."""
        self.loop.check()
        self.leave_loop()

    def _join_loop(self):
        self.join_loop()

    def _delete_from_thread(self):
        """deleteLater(), from any thread; nothing is emitted any more."""
        self.blocked = True
        self.loop.call_from_thread(self.deleteLater)

    def deleteLater(self):
        """Aborts in the next turn, closes the connection, and disconnects all slots (Qt: QObject::deleteLater)."""
        self.loop.check()
        self.deletion_due = True
        self.loop.schedule(self)
