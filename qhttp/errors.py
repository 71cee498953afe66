"""The exceptions of qhttp: one small tree, picklable, each saying what the caller can do next.

On the Qt face they are not raised but become `error()` and `errorString()`; their `qt_name` is the member of QHttp.Error.
"""
from __future__ import annotations

import builtins
from errno import EADDRNOTAVAIL, EMFILE, ENFILE, ENOBUFS, ENOMEM

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from typing import TypeVar

    _Failure = TypeVar("_Failure", bound="QHttpError")

LACKING = {EMFILE: "descriptors", ENFILE: "descriptors", EADDRNOTAVAIL: "ports", ENOBUFS: "memory", ENOMEM: "memory"}


class QHttpError(Exception):
    """Something went wrong with a transfer. `args[0]` is a text for people; nothing secret is in it.

    `lacks`: what this machine had no more of, where that was the cause ("descriptors", "ports", "memory"), else None. When
    something else has ended, there may be some again.
    """

    qt_name = "UnknownError"
    lacks: str | None = None


class ConnectError(QHttpError):
    """No connection came about. Check the host, the port and the network; trying again later may help."""

    qt_name = "ConnectionRefused"


class HostNotFound(ConnectError):
    """The name has no address. Check its spelling and the resolver; trying again soon will not help."""

    qt_name = "HostNotFound"


class NetworkError(QHttpError):
    """The system refused a socket call for another reason than a refusal or a reset; the text names it."""


class CertificateError(NetworkError):
    """The server could not prove who it is. Trying again will not help: check its name, its certificate, and which are
    trusted."""

    is_final = True


class AddressError(NetworkError):
    """The host has no address that may be connected to: `public_only` was asked for. Trying again will not help."""

    is_final = True


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


class ChecksumMismatch(BodyError):
    """What was received is not what the checksum was made from. Fetch it again; if it stays, the file or the checksum is
    wrong."""


class DecodeError(BodyError):
    """The content coding (gzip, br, ...) is broken, or unknown. Fetch it again, or as it is (decode=False)."""


class TooLarge(BodyError):
    """The body is larger than the limit that was set, or grows beyond reason when it is decoded. Raise the limit if that is
    meant."""


class ResumeError(BodyError):
    """The part that is there cannot be continued, and starting again was not allowed. Remove it, or allow that."""


class DeviceError(QHttpError):
    """A file or device of the caller's failed: the destination did not take the bytes, or the source did not give them."""


class FileError(DeviceError):
    """A file could not be made, written or put in its place; the text names it. What was received stays in the part, if there
    is one."""


class HTTPStatusError(QHttpError):
    """The server answered, and not with the file. `status` (int) is its status code; 429 and 5xx may go away by themselves."""

    def __init__(self, text: str = "", status: int = 0) -> None:
        super().__init__(text)
        self.status = status

    def __reduce__(self) -> tuple[type, tuple[str, int]]:
        return type(self), (str(self), self.status)


class RedirectError(QHttpError):
    """A redirect that is not followed: there were too many, or it leads to something that is no http or https URL."""


class ManifestError(QHttpError):
    """A list of downloads, or a line of it, cannot be read; the text names the line."""


class RequestError(QHttpError):
    """The request cannot be sent as it is; nothing was. The text says what to change."""


class Cancelled(QHttpError):
    """The program took the transfer back (`cancel()`). What had come of a file stays in its part, for a later run."""

    qt_name = "Aborted"


class AuthenticationRequired(QHttpError):
    """The server wants credentials that it was not given, or rejected those it got. Set others (setUser) and ask again."""

    qt_name = "AuthenticationRequiredError"


class ProxyAuthenticationRequired(QHttpError):
    """The same of a proxy (setProxy)."""

    qt_name = "ProxyAuthenticationRequiredError"


def lacking(error: _Failure, number: int) -> _Failure:
    """The same error, with what was lacking, if that is what an errno says."""
    if number in LACKING:
        error.lacks = LACKING[number]
    return error
