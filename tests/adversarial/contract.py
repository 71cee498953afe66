"""What the player of cases and a client adapter agree on.

A client is a callable: client(call) -> session. A session has fetch(request) -> Reply, which does not raise but says in
Reply.error what went wrong, and close(). Both are called in one thread. Reply is found in the module of the call.
"""
import dataclasses
import hashlib

N_FIRST = 512       # bytes of a body that are kept


@dataclasses.dataclass
class Request:
    method: str = "GET"
    target: str = "/"
    headers: list = dataclasses.field(default_factory=list)     # (name, value)
    body: bytes | None = None
    user: str | None = None         # for Basic authentication
    expect100: bool = False
    held: bytes | None = None       # resume behind these bytes


@dataclasses.dataclass
class Call:
    host: str
    port: int
    port_b: int             # of a second origin
    idle_timeout: float     # seconds without a byte
    deadline: float         # seconds for one whole request
    redirects: int          # 0: do not follow
    decode: bool            # undo Content-Encoding
    # What a judge from elsewhere need not have:
    scheme: str = "http"
    proxy: str | None = None        # its URL
    trusted: str | None = None      # a file with the certificates to trust
    n_behind: int = 0               # requests to send behind the first one before it is answered, where a client does that


class Sink:
    """Takes a body piece by piece; keeps its length, its digest and its first bytes."""

    def __init__(self):
        self.length, self.hash, self.first = 0, hashlib.sha256(), b""

    def write(self, piece) -> int:
        self.length += len(piece)
        self.hash.update(piece)
        self.first += bytes(piece[:N_FIRST - len(self.first)])
        return len(piece)

    def __reduce__(self):
        return SeenBody, (self.length, self.sha256, self.first)

    @property
    def sha256(self) -> str:
        return self.hash.hexdigest()


@dataclasses.dataclass
class SeenBody:
    """What is left of a Sink that was sent to another process."""
    length: int
    sha256: str
    first: bytes


@dataclasses.dataclass
class Beside:
    """What became of a request that was on the same line as the one of the case."""
    path: str
    reply: "Reply"
    is_behind: bool
    is_ended: bool = False      # its end was told


@dataclasses.dataclass
class Reply:
    status: int | None = None
    headers: list = dataclasses.field(default_factory=list)     # (name, value)
    body: Sink = dataclasses.field(default_factory=Sink)
    error: str | None = None        # what went wrong, in words
    error_class: str | None = None  # a name of QHttp.Error, or of the exception that a call raised
    unsupported: bool = False
    is_kept: bool = True            # False: an answer with a status that gives no file, so that its body was dropped
    ends_queue: bool = False        # what was behind it is dropped without a word
    beside: list[Beside] = dataclasses.field(default_factory=list)
