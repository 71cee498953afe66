"""The exit statuses, and what can be done about a failure: both from the class of its error."""
from __future__ import annotations

from qhttp import errors

ALL_DONE, OTHER, USAGE, STATUS, CONNECT, TIME, BODY, INTERRUPTED, RESUME, DISK = range(10)

MEANINGS = {
    ALL_DONE: "all is done",
    OTHER: "failures of several kinds, or another one",
    USAGE: "the command cannot be run as it was given",
    STATUS: "HTTP: a status that is no success, a redirect that is not followed, or credentials are wanted",
    CONNECT: "no connection: DNS, connecting, TLS, or it was closed before the answer",
    TIME: "a time ran out, or it was too slow",
    BODY: "a body was wrong: cut off, too large, cannot be decoded, or its checksum does not fit",
    INTERRUPTED: "interrupted, with work left",
    RESUME: "a part cannot be continued",
    DISK: "a file, the session, the log or stdout cannot be written, or a file is there already",
}

# The first class that fits counts: a class stands before its bases.
_KINDS: tuple[tuple[type[BaseException], int], ...] = (
    (errors.ResumeError, RESUME), (errors.BodyError, BODY), (errors.DeviceError, DISK), (errors.HTTPStatusError, STATUS),
    (errors.RedirectError, STATUS), (errors.AuthenticationRequired, STATUS), (errors.ProxyAuthenticationRequired, STATUS),
    (errors.TimeoutError, TIME), (errors.ConnectError, CONNECT), (errors.NetworkError, CONNECT),
    (errors.UnexpectedClose, CONNECT), (OSError, DISK),
)

_ADVICE: dict[type[BaseException], str] = {
    errors.HostNotFound: "check the spelling of the host, and the resolver",
    errors.ConnectError: "check host, port and network, or try again later",
    errors.TimeoutError: "try again, or set a longer limit",
    errors.ProtocolError: "the server is at fault, its answer is no HTTP",
    errors.UnexpectedClose: "try again later",
    errors.Truncated: "the part is kept: try again",
    errors.ChecksumMismatch: "try again; if it stays, the file or the checksum is wrong",
    errors.DecodeError: "keep it as it is with --no-decode",
    errors.TooLarge: "raise --max-size, if that is meant",
    errors.ResumeError: "remove the part, or start anew with --no-resume",
    errors.BodyError: "try again",
    errors.DeviceError: "check the folder, its rights and its space",
    errors.RedirectError: "see --max-redirects",
    errors.AuthenticationRequired: "give --user or --netrc",
    errors.ProxyAuthenticationRequired: "give user and password in the URL of --proxy",
}
_STATUS_ADVICE = {401: "give --user or --netrc", 403: "credentials may help: --user, --netrc, --cookie-file",
                  404: "check the URL", 410: "check the URL", 407: "give user and password in the URL of --proxy",
                  429: "ask less often: --host-rate, --per-host"}


def kind_of(error: BaseException | None) -> int:
    """The exit status that a failure alone would give."""
    for cls, status in _KINDS:
        if isinstance(error, cls):
            return status
    return OTHER


def advice_for(error: BaseException | None) -> str:
    """What to do about it, in a few words; "" where nothing sensible can be said."""
    if isinstance(error, errors.HTTPStatusError):
        return _STATUS_ADVICE.get(error.status, "try again later" if error.status >= 500 else "")
    for cls in type(error).__mro__:
        if cls in _ADVICE:
            return _ADVICE[cls]
    return ""


class Failures:
    """Counts failures by their kind; `status` is that of the run so far."""

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}

    def add(self, kind: int) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1

    @property
    def status(self) -> int:
        """0 without failures, the one kind that there is, or 1 for several."""
        return ALL_DONE if not self.counts else next(iter(self.counts)) if len(self.counts) == 1 else OTHER
