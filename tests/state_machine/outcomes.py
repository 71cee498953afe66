"""What each kind of answer has to come to, where nobody interferes."""
from dataclasses import dataclass, field

from state_machine.server import body_of

GOOD = ("sized", "pieces", "chunked", "chunks", "close", "last", "leaving", "surplus", "interim", "missing", "moved")
BAD = {"short": "WrongContentLength", "short-chunks": "WrongContentLength", "bad-chunk": "WrongContentLength",
       "reset-body": "WrongContentLength", "reset-close": "UnexpectedClose", "bad-head": "InvalidResponseHeader",
       "short-head": "UnexpectedClose", "nothing": "UnexpectedClose", "reset": "UnexpectedClose",
       "auth-strange": "AuthenticationRequiredError", "auth-proxy": "ProxyAuthenticationRequiredError"}
LOGIN = ("auth", "auth-close")          # good with the right user, else AuthenticationRequiredError
ENDLESS = ("never", "stalled")
KINDS = (*GOOD, *BAD, *LOGIN, *ENDLESS)
# Of these a HEAD gets all that belongs to it.
ONLY_BODY_IS_BAD = {"short", "short-chunks", "bad-chunk", "reset-body", "reset-close", "stalled"}
# The server closes the connection behind an answer that says nothing of it.
LEAVING = {"GET": {"leaving"}, "HEAD": {"leaving", "close", *ONLY_BODY_IS_BAD}}
STATUSES = {"missing": 404, "moved": 302}


@dataclass
class Wanted:
    """What may become of one request. `errors`: names of QHttp.Error; `may_succeed` with this status and body."""
    what: str
    may_succeed: bool
    errors: set = field(default_factory=set)
    status: int = 0
    body: bytes | None = field(default=None, repr=False)        # None: it is no request with an answer
    is_unsized: bool = False            # how long the request is cannot be told

    def also(self, *errors: str) -> None:
        self.errors.update(errors)


def setting(what: str) -> Wanted:
    """setHost and the like, and close: they always succeed."""
    return Wanted(what, True)


def wanted(method: str, path: str) -> Wanted:
    kind = path.split("/")[1]
    result = Wanted(f"{method} {path}", True, set(), STATUSES.get(kind, 200), b"" if method == "HEAD" else body_of(path))
    if kind in GOOD or (method == "HEAD" and kind in ONLY_BODY_IS_BAD):
        return result
    result.may_succeed = False
    if kind in LOGIN:
        result.also("AuthenticationRequiredError")
    elif kind in BAD:
        result.also(BAD[kind])
    return result
