"""The exceptions of qhttp: one small tree, picklable, each saying what the caller can do next.

On the Qt face they are not raised but become `error()` and `errorString()`; their `qt_name` is the member of QHttp.Error.
"""
import builtins


class QHttpError(Exception):
    """Something went wrong with a transfer. `args[0]` is a text for people; nothing secret is in it."""

    qt_name = "UnknownError"


class ConnectError(QHttpError):
    """No connection came about. Check the host, the port and the network; trying again later may help."""

    qt_name = "ConnectionRefused"


class HostNotFound(ConnectError):
    """The name has no address. Check its spelling and the resolver; trying again soon will not help."""

    qt_name = "HostNotFound"


class NetworkError(QHttpError):
    """The system refused a socket call for another reason than a refusal or a reset; the text names it."""


class TimeoutError(QHttpError, builtins.TimeoutError):
    """A limit of time ran out; the text says which and how long it was. Try again, or set a longer one.

    Python's own TimeoutError is a base, so that either `except` catches it.
    """


class ProtocolError(QHttpError):
    """The answer's head is not valid HTTP/1.1, or above a limit. The server is at fault; do not trust the connection."""

    qt_name = "InvalidResponseHeader"


class UnexpectedClose(QHttpError):
    """The server closed or reset the connection before the answer was there. A safe request may be sent again."""

    qt_name = "UnexpectedClose"


class BodyError(QHttpError):
    """The body is not what the head announced. What was received is not the whole; fetch it again."""

    qt_name = "WrongContentLength"


class Truncated(BodyError):
    """The connection ended before the body did. What was received is a true beginning: a range request may go on from there."""


class DeviceError(QHttpError):
    """A file or device of the caller's failed: the destination did not take the bytes, or the source did not give them."""


class RequestError(QHttpError):
    """The request cannot be sent as it is; nothing was. The text says what to change."""


class AuthenticationRequired(QHttpError):
    """The server wants credentials that it was not given, or rejected those it got. Set others (setUser) and ask again."""

    qt_name = "AuthenticationRequiredError"


class ProxyAuthenticationRequired(QHttpError):
    """The same of a proxy (setProxy)."""

    qt_name = "ProxyAuthenticationRequiredError"
