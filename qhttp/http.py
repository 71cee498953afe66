"""QHttp: the Qt face. A thin class on the compiled queue; what is checked and named here is what Qt's users see."""
from __future__ import annotations

import warnings
from codecs import StreamWriter

from qhttp._core import Limits
from qhttp.headers import QHttpRequestHeader
from qhttp.network import ConnectionMode, Error, State
from qhttp.network import ConnectionMode as Mode
from qhttp.protocol.request import check_fields, check_target
from qhttp.request_queue import CLOSE, GET, HEAD, POST, REQUEST, SET_HOST, RequestQueue

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from typing import Any, NoReturn


def _checked_host(hostname: str) -> str:
    """The name as it goes on the wire, or the address without brackets; "" is let pass, and not found later."""
    if not isinstance(hostname, str):
        raise TypeError(f"hostname must be str, not {type(hostname).__name__}")
    name = str.__str__(hostname)
    bracketed = name.startswith("[") and name.endswith("]")     # an IPv6 address as it stands in a URL
    if bracketed or ":" in name:
        from qhttp.engine.resolver import literal_address
        name = name[1:-1] if bracketed else name
        if literal_address(name, 0) is None or ":" not in name:
            raise ValueError(f"hostname must be a name or an address alone, not {hostname[:80]!r}")
        return name
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise ValueError(f"hostname has no form for the wire: {hostname[:80]!a}: {error}") from None
    if any(c <= " " or c == "\x7f" or c in "/?#@\\[]%:" for c in name):
        raise ValueError(f"hostname must be a name or an address alone, not {hostname[:80]!r}")
    labels = name.removesuffix(".").split(".")
    if name and (len(name) > 254 or not all(0 < len(label) < 64 for label in labels)):
        raise ValueError(f"hostname has an empty label, or one that is too long: {hostname[:80]!r}")
    return name


def _checked_port(port: int) -> int:
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"port must be int, not {type(port).__name__}")
    if not 0 <= port <= 65535:
        raise ValueError(f"port must be from 0 to 65535, not {port}")
    return port


ENDLESS = 10**12        # milliseconds, or bytes: as good as no limit, and safe to calculate with


def _checked_amount(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be int, not {type(value).__name__}")
    if not 0 <= value < 2**53:
        raise ValueError(f"{name} must be from 0 to 2**53 - 1, not {value}")
    return min(value, ENDLESS)


def _checked_data(data: Any) -> Any:
    """A body: bytes-like (copied where it could change), or a device with read()."""
    if data is None or type(data) is bytes:
        return data
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(memoryview(data))
    if callable(getattr(data, "read", None)):
        if hasattr(data, "encoding"):
            raise TypeError("data must be a binary file, this one gives text")
        return data
    raise TypeError(f"data must be bytes or have a read(n) method, not {type(data).__name__}")


def _checked_destination(to: Any) -> Any:
    if to is None:
        return None
    if hasattr(to, "encoding") or isinstance(to, (type, StreamWriter)) or not callable(getattr(to, "write", None)):
        raise TypeError(f"to must be a binary file or have a write(bytes) method, not {type(to).__name__}")
    return to


def _not_yet(what: str) -> NoReturn:
    raise NotImplementedError(f"{what} is not part of this version of qhttp: plain HTTP/1.1 without a proxy or a user only")


class QHttp(RequestQueue):
    """Requests that are queued, return an id at once, and run one after the other on one connection (Qt 4: QHttp).

    QHttp(), QHttp(parent), QHttp(hostname), QHttp(hostname, port), QHttp(hostname, mode, port=0), each with `parent=`.
    Only a ConnectionMode member selects a mode; a plain int is a port. Everything that happens is told by signals
    (`http.done.connect(slot)`):

    requestStarted(id), requestFinished(id, error), done(error), stateChanged(State), responseHeaderReceived(header),
    readyRead(header), dataReadProgress(done, total), dataSendProgress(done, total): body bytes, and bytes of the whole
    request; total 0 where it is unknown.

    Signals come while the loop of the thread turns that made the object: `qhttp.run()`, `waitForDone()`, or a foreign
    loop (`qhttp.loop().dispatch()`). An object with requests stays alive until they are done.
    """

    State, Error, ConnectionMode = State, Error, ConnectionMode
    Unconnected, HostLookup, Connecting, Sending, Reading, Connected, Closing = State
    (NoError, UnknownError, HostNotFound, ConnectionRefused, UnexpectedClose, InvalidResponseHeader, WrongContentLength,
     Aborted, AuthenticationRequiredError, ProxyAuthenticationRequiredError) = Error
    ConnectionModeHttp, ConnectionModeHttps = ConnectionMode

    def __init__(self, hostname: Any = None, mode: Mode | int | None = None, port: Any = None,
                 parent: object = None) -> None:
        if hostname is not None and not isinstance(hostname, str):      # QHttp(parent)
            if mode is not None or port is not None or parent is not None:
                raise TypeError(f"hostname must be str, not {type(hostname).__name__}")
            hostname, parent = None, hostname
        if mode is not None and not isinstance(mode, ConnectionMode):   # QHttp(hostname, port, parent)
            if port is not None and not isinstance(port, int):
                if parent is not None:
                    raise TypeError("parent is given twice")
                port, parent = None, port
            if port is not None:
                raise TypeError("mode must be a QHttp.ConnectionMode")
            mode, port = None, mode
        self._parent = parent
        if hostname is not None:
            if mode is ConnectionMode.ConnectionModeHttps:
                _not_yet("https")
            self._set_first_host(_checked_host(hostname), _checked_port(0 if port is None else port))
        elif mode is not None or port is not None:
            raise TypeError("hostname is missing")

    def __repr__(self) -> str:
        return f"<QHttp {self.state().name}, current request {self.currentId()}, {self.error().name}>"

    def parent(self) -> object:
        """The object given as parent, or None (Qt: QObject::parent)."""
        return self._parent

    # -- requests: each is queued and returns its id (int)
    def setHost(self, hostname: str, mode: Mode | int | None = None, port: int | None = None) -> int:
        """Queues the choice of the server for the requests after it: setHost(hostname, port=80) or setHost(hostname, mode,
        port=0). Port 0 is the mode's own. Returns the request's id (Qt: QHttp::setHost)."""
        if mode is not None and not isinstance(mode, ConnectionMode):
            if port is not None:
                raise TypeError("mode must be a QHttp.ConnectionMode")
            mode, port = None, mode
        if mode is ConnectionMode.ConnectionModeHttps:
            _not_yet("https")
        return self.add(SET_HOST, _checked_host(hostname).encode(), port=_checked_port(0 if port is None else port))

    def get(self, path: str, to: Any = None) -> int:
        """Queues a GET for `path` (str, percent-encoded). The body goes to the device `to`, else it is for readAll().

        Returns the request's id. Raises ValueError for a path with blanks, line breaks or non-ASCII (Qt: QHttp::get).
        """
        return self.add(GET, check_target(path) or self._root("get"), None, _checked_destination(to))

    def head(self, path: str) -> int:
        """Queues a HEAD for `path`; returns the request's id (Qt: QHttp::head)."""
        return self.add(HEAD, check_target(path) or self._root("head"))

    def post(self, path: str, data: Any, to: Any = None) -> int:
        """Queues a POST of `data`: bytes, or a binary file object or device with read(n), sent from its start.

        Returns the request's id (Qt: QHttp::post).
        """
        return self.add(POST, check_target(path) or self._root("post"), _checked_data(data), _checked_destination(to))

    def request(self, header: QHttpRequestHeader, data: Any = None, to: Any = None) -> int:
        """Queues any request. The header is sent as given (no Host is added); only the body's length is ours.

        Returns the request's id. Raises ValueError for a header that must not be sent: line breaks, a method or name
        that is no token, a Transfer-Encoding, a Content-Length without data. An invalid header object ends the request
        with UnknownError (Qt: QHttp::request).
        """
        if not isinstance(header, QHttpRequestHeader):
            raise TypeError(f"header must be a QHttpRequestHeader, not {type(header).__name__}")
        data, header, target = _checked_data(data), QHttpRequestHeader(header), b"/"
        if header.isValid():
            check_fields(header.method(), header.values(), data is not None)
            if (header.majorVersion(), header.minorVersion()) not in ((1, 0), (1, 1)):
                raise ValueError("header has a version other than 1.0 and 1.1")
            target = check_target(header.path()) or self._root("request")
        return self.add(REQUEST, target, data, _checked_destination(to), header)

    def close(self) -> int:
        """Queues the closing of a kept connection; returns the request's id (Qt: QHttp::close)."""
        return self.add(CLOSE, b"")

    closeConnection = close

    @staticmethod
    def _root(method: str) -> bytes:
        warnings.warn(f"QHttp: empty path requested is invalid -- using '/' ({method})", stacklevel=3)
        return b"/"

    # -- limits of time and size: for the requests that start afterwards
    def setConnectTimeout(self, msecs: int) -> None:
        """Limits looking up and connecting to so many milliseconds (int; 0: no limit; 30000 at first)."""
        self._options.connect_ms = _checked_amount("msecs", msecs)

    def setTransferTimeout(self, msecs: int) -> None:
        """Ends a request on whose connection no byte comes for so many milliseconds (int; 0, as at first: never).

        Qt 6: QNetworkRequest::setTransferTimeout.
        """
        self._options.transfer_ms = _checked_amount("msecs", msecs)

    def setTotalTimeout(self, msecs: int) -> None:
        """Ends a request that takes longer than so many milliseconds from its start (int; 0, as at first: never)."""
        self._options.total_ms = _checked_amount("msecs", msecs)

    def setMinimumRate(self, bytes_per_second: int, over_ms: int = 10000) -> None:
        """Ends a request slower than so many bytes a second, measured over each `over_ms` milliseconds (0: never)."""
        rate, window = _checked_amount("bytes_per_second", bytes_per_second), _checked_amount("over_ms", over_ms)
        self._options.min_rate, self._options.rate_ms = rate, window

    def setReadBufferSize(self, size: int) -> None:
        """Stops receiving while `size` bytes or more are unread (int; 0, as at first: never). Qt 6: QNetworkReply."""
        self._set_read_buffer_size(_checked_amount("size", size))

    def setLimits(self, limits: Limits) -> None:
        """Sets the bounds on what a server may make us hold: a qhttp.Limits."""
        if not isinstance(limits, Limits):
            raise TypeError(f"limits must be a qhttp.Limits, not {type(limits).__name__}")
        self._options.limits = limits

    # -- not there yet: the names, so that nobody looks for them in vain
    def setUser(self, username: str, password: str = "") -> int:
        """Not in this version; raises NotImplementedError."""
        _not_yet("authentication (setUser)")

    def setProxy(self, *args: Any, **kwargs: Any) -> int:
        """Not in this version; raises NotImplementedError."""
        _not_yet("a proxy (setProxy)")

    def setSocket(self, socket: Any) -> int:
        """Not in this version; raises NotImplementedError."""
        _not_yet("a socket of one's own (setSocket)")

    def ignoreSslErrors(self) -> None:
        """Not in this version; raises NotImplementedError."""
        _not_yet("https (ignoreSslErrors)")
