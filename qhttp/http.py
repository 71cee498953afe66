"""QHttp: the Qt face. A thin class on the compiled queue: its names, how it is made, what is set on it."""
from __future__ import annotations

from sys import modules as _modules

from qhttp._core import Limits
from qhttp.arguments import (
    checked_amount,
    checked_host,
    checked_number,
    checked_port,
    checked_proxy,
    checked_socket,
    checked_text,
    is_url,
)
from qhttp.objects import QObject
from qhttp.queue_face import QueueFace
from qhttp.request_queue import ERROR_NAMES, STATE_NAMES
from qhttp.watching import _watchers, announce

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    import ssl
    from typing import Any

    from qhttp.network import ConnectionMode as Mode
    from qhttp.network import Error as _Error
    from qhttp.network import State as _State


class _Late:
    """An enumeration, or a member of one, as a class attribute that is made when first asked for: to import `enum` takes as
    long as all of qhttp."""

    __slots__ = ("enumeration", "member")

    def __init__(self, enumeration: str, member: str = "") -> None:
        self.enumeration, self.member = enumeration, member

    def __get__(self, instance: object, owner: type) -> Any:
        import qhttp.network

        value = getattr(qhttp.network, self.enumeration)
        if self.member:
            value = value[self.member]
        setattr(QHttp, self.member or self.enumeration, value)
        return value


def _is_mode(value: object) -> bool:
    if value is None or type(value) is int:
        return False
    from qhttp.network import ConnectionMode

    return isinstance(value, ConnectionMode)


def _is_https(mode: object) -> bool:
    return _is_mode(mode) and mode == 1


class QHttp(QueueFace, QObject):
    """Requests that are queued, return an id at once, and run one after the other on one connection (Qt 4: QHttp).

    QHttp(), QHttp(parent), QHttp(hostname), QHttp(hostname, port), QHttp(hostname, mode, port=0), each with `parent=`.
    Only a ConnectionMode member selects a mode; a plain int is a port. Everything that happens is told by signals
    (`http.done.connect(slot)`):

    requestStarted(id), requestFinished(id, error), done(error), stateChanged(State), responseHeaderReceived(header),
    readyRead(header), dataReadProgress(done, total), dataSendProgress(done, total): body bytes, and bytes of the whole
    request; total 0 where it is unknown. Those that ask: authenticationRequired(hostname, port, QAuthenticator),
    proxyAuthenticationRequired(QNetworkProxy, QAuthenticator), sslErrors([QSslError]).

    Signals come while the loop of the thread turns that made the object: `qhttp.run()`, `waitForDone()`, or a foreign
    loop (`qhttp.loop().dispatch()`). An object with requests stays alive until they are done.
    """

    if TYPE_CHECKING:
        State = _State
        Error = _Error
        ConnectionMode = Mode
        Unconnected: _State
        HostLookup: _State
        Connecting: _State
        Sending: _State
        Reading: _State
        Connected: _State
        Closing: _State
        NoError: _Error
        UnknownError: _Error
        HostNotFound: _Error
        ConnectionRefused: _Error
        UnexpectedClose: _Error
        InvalidResponseHeader: _Error
        WrongContentLength: _Error
        Aborted: _Error
        AuthenticationRequiredError: _Error
        ProxyAuthenticationRequiredError: _Error
        ConnectionModeHttp: Mode
        ConnectionModeHttps: Mode
    else:
        State, Error, ConnectionMode = _Late("State"), _Late("Error"), _Late("ConnectionMode")
        (Unconnected, HostLookup, Connecting, Sending, Reading, Connected, Closing) = (
            _Late("State", member) for member in STATE_NAMES)
        (NoError, UnknownError, HostNotFound, ConnectionRefused, UnexpectedClose, InvalidResponseHeader, WrongContentLength,
         Aborted, AuthenticationRequiredError, ProxyAuthenticationRequiredError) = (
            _Late("Error", member) for member in ERROR_NAMES)
        ConnectionModeHttp, ConnectionModeHttps = (
            _Late("ConnectionMode", member) for member in ("ConnectionModeHttp", "ConnectionModeHttps"))

    def __init__(self, hostname: Any = None, mode: Mode | int | None = None, port: Any = None,
                 parent: object = None) -> None:
        if hostname is not None and not isinstance(hostname, str) and not is_url(hostname):     # QHttp(parent)
            if mode is not None or port is not None or parent is not None:
                raise TypeError(f"hostname must be str, not {type(hostname).__name__}")
            hostname, parent = None, hostname
        if mode is not None and not _is_mode(mode):     # QHttp(hostname, port, parent)
            if port is not None and not isinstance(port, int):
                if parent is not None:
                    raise TypeError("parent is given twice")
                port, parent = None, port
            if port is not None:
                raise TypeError("mode must be a QHttp.ConnectionMode")
            mode, port = None, mode
        if parent is not None:
            self.setParent(parent)
        if hostname is not None:
            self._set_first_host(checked_host(hostname), checked_port(0 if port is None else port), _is_https(mode))
        elif mode is not None or port is not None:
            raise TypeError("hostname is missing")
        if _watchers or "logging" in _modules:
            announce(self)

    def __repr__(self) -> str:
        return f"<QHttp {self.state().name}, current request {self.currentId()}, {self.error().name}>"

    def deleteLater(self) -> None:
        """Aborts in the next turn, closes the connection, disconnects all slots, and ends its children
        (Qt: QObject::deleteLater)."""
        super().deleteLater()
        self._leave_family()

    def _find_own_signal(self, name: str, n_args: int | None) -> None:
        """A QHttp has the signals it has."""

    # -- requests: get, head, post, request and close are in QueueFace
    def setHost(self, hostname: str, mode: Mode | int | None = None, port: int | None = None) -> int:
        """Queues the choice of the server for the requests after it: setHost(hostname, port=80) or setHost(hostname, mode,
        port=0). Port 0 is the mode's own. Returns the request's id (Qt: QHttp::setHost)."""
        if mode is not None and not _is_mode(mode):
            if port is not None:
                raise TypeError("mode must be a QHttp.ConnectionMode")
            mode, port = None, mode
        return self._add_host(checked_host(hostname), checked_port(0 if port is None else port), _is_https(mode))

    # -- limits of time and size: for the requests that start afterwards
    def setConnectTimeout(self, msecs: int) -> None:
        """Limits looking up and connecting to so many milliseconds (int; 0: no limit; 30000 at first)."""
        self._options.connect_ms = checked_amount("msecs", msecs)

    def setTransferTimeout(self, msecs: int) -> None:
        """Ends a request on whose connection no byte comes for so many milliseconds (int; 0, as at first: never).

        Qt 6: QNetworkRequest::setTransferTimeout.
        """
        self._options.transfer_ms = checked_amount("msecs", msecs)

    def setTotalTimeout(self, msecs: int) -> None:
        """Ends a request that takes longer than so many milliseconds from its start (int; 0, as at first: never)."""
        self._options.total_ms = checked_amount("msecs", msecs)

    def setMinimumRate(self, bytes_per_second: int, over_ms: int = 10000) -> None:
        """Ends a request slower than so many bytes a second, measured over each `over_ms` milliseconds (0: never)."""
        rate, window = checked_amount("bytes_per_second", bytes_per_second), checked_amount("over_ms", over_ms)
        self._options.min_rate, self._options.rate_ms = rate, window

    def setReadBufferSize(self, size: int) -> None:
        """Stops receiving while `size` bytes or more are unread (int; 0, as at first: never). Qt 6: QNetworkReply."""
        self._set_read_buffer_size(checked_amount("size", size))

    def setPipelining(self, depth: int) -> None:
        """Sends up to `depth` requests before the first of them is answered (int from 1, as at first, to 1024).

        Only get(), head() and request() with GET, HEAD or OPTIONS, without a body or a device, and only once the server
        has kept the connection open after an answer. Everything else waits for its turn, and holds up what is behind it.
        Signals come as ever, one request after the other. A connection that ends early gives its unanswered requests a
        new one. Dropping requests that were sent (clearPendingRequests, abort) closes the connection. RFC 9112 section
        9.3.2.
        """
        self._set_pipelining(checked_number("depth", depth, 1, 1024))

    def setLimits(self, limits: Limits) -> None:
        """Sets the bounds on what a server may make us hold: a qhttp.Limits."""
        if not isinstance(limits, Limits):
            raise TypeError(f"limits must be a qhttp.Limits, not {type(limits).__name__}")
        self._options.limits = limits

    # -- users, proxies, sockets
    def setUser(self, username: str, password: str = "") -> int:
        """Queues name and password for the server that is asked next, should it want them. Returns the request's id.

        They are bound to that scheme, host and port, and not sent before it has asked (401). What it does not accept is asked
        for by authenticationRequired. Raises TypeError for what is not str (Qt: QHttp::setUser).
        """
        return self._add_user(checked_text("username", username), checked_text("password", password))

    def setProxy(self, host: Any, port: int | None = None, username: str = "", password: str = "") -> int:
        """Queues the choice of a proxy: setProxy(host, port, username="", password="") or setProxy(QNetworkProxy).

        It applies with the next setHost. A proxy given by host and port is an HttpProxy: it gets absolute URIs for http, and
        CONNECT for https. Returns the request's id (Qt: QHttp::setProxy).
        """
        return self._add_proxy(checked_proxy(host, port, username, password))

    def setSocket(self, socket: Any) -> int:
        """Queues the use of a socket of one's own: a socket.socket, connected or not, an ssl.SSLSocket, or any connected object
        with recv_into, send and fileno; None: back to qhttp's own. Returns the request's id.

        It is borrowed: never closed here. A connection that has ended is not made again on it (Qt: QHttp::setSocket).
        """
        return self._add_socket(checked_socket(socket))

    # -- TLS
    def setSslConfiguration(self, context: ssl.SSLContext | None) -> None:
        """Sets whom to trust, and with which certificate to answer, on connections made from now on: an ssl.SSLContext for
        clients; None: the system's certificates, TLS 1.2 or newer. Raises TypeError and ValueError.

        Qt 6: QNetworkRequest::setSslConfiguration.
        """
        self._set_tls(context)

    def ignoreSslErrors(self) -> None:
        """Goes on over the connection whose certificate sslErrors has just reported. Without effect outside of a slot of that
        signal (Qt: QHttp::ignoreSslErrors)."""
        self._ignore_ssl_errors()
