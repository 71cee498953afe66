"""Every bound and switch of the downloader: its name, its default, what it may be. One object, shared by all transfers of a
run."""
from __future__ import annotations

from os import fsdecode
from os.path import abspath

from qhttp.bulk.integrity import algorithm_name
from qhttp.bulk.rate import RATE_MIN
from qhttp.protocol.shown import shown_url

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    import ssl
    from typing import Any

    from qhttp._core import Limits

MIB = 1 << 20
EXISTING = ("error", "skip", "overwrite")
DESTINATIONS = ("file", "bytes")
METHODS = ("GET", "HEAD")

# name -> default. Times in seconds, sizes in bytes, rates in bytes a second but host_rate; 0 means no limit.
DEFAULTS: dict[str, Any] = {
    "dir": ".",                         # folder for the files; made where it is missing
    "name": None,                       # file name, where one URL is fetched; else it comes from the URL
    "into": "file",                     # or "bytes": Transfer.content
    "method": "GET",                    # or HEAD: no body, no file
    "dry_run": False,                   # nothing is fetched: each transfer ends with its path; a session is only read
    "existing": "error",                # of a final name that is there: "error", "skip" (take it as done), "overwrite"
    "content_disposition": False,       # take file names from the answer
    "jobs": 64,                         # transfers at a time
    "per_host": 8,                      # of them to one host
    "window": 10_000,                   # rows read ahead, and transfers that wait for another try
    "pipelining": 1,                    # requests under way on one connection (RFC 9112 section 9.3.2)
    "split": 1,                         # connections for one large file
    "min_split_size": 16 * MIB,         # a piece is at least so large
    "headers": (),                      # (name, value) pairs for every request
    "user": None,                       # (user, password) for the hosts that are asked for them
    "netrc": False,                     # True or a path: credentials from there
    "cookies": None,                    # True, a Netscape cookie file's path, or an http.cookiejar.CookieJar
    "proxy": "environment",             # or None, or the URL of one
    "context": None,                    # an ssl.SSLContext
    "family": 0,                        # 4 or 6: only such addresses
    "public_only": False,               # connect to public addresses only, wherever a name or redirect leads; no proxy then
    "limits": None,                     # a qhttp.Limits: on heads, and on what stands around chunks
    "connect_timeout": 30.0,
    "idle_timeout": 60.0,               # without a byte
    "min_speed": (100, 60.0),           # bytes a second, over so many seconds; (0, 0): no limit
    "max_time": 0.0,                    # of one transfer, all tries together, from its own start
    "retries": 5,                       # of one transfer
    "retry_max_time": 0.0,              # no further try after so long
    "limit_rate": 0,                    # of all transfers together
    "host_limit_rate": 0,               # of those of one host
    "host_rate": 0.0,                   # requests a second to one host
    "max_size": 0,                      # of one body, as it is stored
    "max_redirects": 10,
    "compressed": False,                # ask for content codings; a file without them can be resumed
    "decode": True,                     # undo those that come
    "max_codings": 5,                   # on one body
    "max_expansion": 1100,              # decoded bytes for one coded byte, beyond the first 64 MiB
    "server_digest": True,              # verify Repr-Digest, Content-Digest and Digest where they are sent
    "content_md5": False,               # and Content-MD5
    "hashes": (),                       # algorithms to compute in any case: Transfer.checksums
    "resume": True,                     # continue parts
    "session": None,                    # path of the file that remembers what is done
    "fsync": False,                     # a file is on the disk before it is finished
    "timings": False,                   # take the moments that curl has: Transfer.time_...
    "fail_fast": False,                 # the first failure stops the run
}
COUNTS = {"jobs": 4096, "per_host": 4096, "window": 10**7, "pipelining": 64, "split": 64, "min_split_size": 2**53}
AMOUNTS = ("retries", "limit_rate", "host_limit_rate", "max_size", "max_redirects", "max_codings", "max_expansion")
TIMES = ("connect_timeout", "idle_timeout", "max_time", "retry_max_time", "host_rate")
LONGEST_S = 10.0**9
SECRET = ("user", "netrc", "cookies", "context")    # not shown


class Settings:
    """Attributes are the names above. Raises TypeError for an unknown name, ValueError for a value it may not have."""

    __slots__ = (*DEFAULTS,)

    if TYPE_CHECKING:
        dir: str
        name: str | None
        into: str
        method: str
        dry_run: bool
        existing: str
        content_disposition: bool
        jobs: int
        per_host: int
        window: int
        pipelining: int
        split: int
        min_split_size: int
        headers: tuple[tuple[str, str], ...]
        user: tuple[str, str] | None
        netrc: Any
        cookies: Any
        proxy: str | None
        context: ssl.SSLContext | None
        family: int
        public_only: bool
        limits: Limits | None
        connect_timeout: float
        idle_timeout: float
        min_speed: tuple[float, float]
        max_time: float
        retries: int
        retry_max_time: float
        limit_rate: int
        host_limit_rate: int
        host_rate: float
        max_size: int
        max_redirects: int
        compressed: bool
        decode: bool
        max_codings: int
        max_expansion: int
        server_digest: bool
        content_md5: bool
        hashes: tuple[str, ...]
        resume: bool
        session: str | None
        fsync: bool
        timings: bool
        fail_fast: bool

    def __init__(self, **given: Any):
        for name in given:
            if name not in DEFAULTS:
                raise TypeError(f"{name} is no setting; known are: {', '.join(DEFAULTS)}")
        for name, default in DEFAULTS.items():
            setattr(self, name, given.get(name, default))
        self._check_numbers()
        self._check_choices()
        self.dir = abspath(fsdecode(self.dir))      # names in a session must not depend on where it is run
        self.session = None if self.session is None else fsdecode(self.session)
        pairs = self.headers.items() if isinstance(self.headers, dict) else self.headers
        self.headers = tuple((name, value) for name, value in pairs)
        names = (self.hashes,) if isinstance(self.hashes, str) else self.hashes
        if not isinstance(names, (tuple, list)) or not all(isinstance(name, str) for name in names):
            raise TypeError("hashes must be names of algorithms, such as sha256")
        self.hashes = tuple(map(algorithm_name, names))

    def __repr__(self) -> str:
        """What differs from the defaults; nothing that could be a secret."""
        shown = []
        for name, default in DEFAULTS.items():
            value = getattr(self, name, default)
            if value == default:
                continue
            if name == "headers":
                shown.append(f"headers={[header for header, _ in value]}")
            elif name in SECRET:
                shown.append(f"{name}=...")
            else:
                shown.append(f"{name}={shown_url(value) if name == 'proxy' and value else value!r}")
        return f"<qhttp settings: {', '.join(shown)}>"

    def _check_numbers(self) -> None:
        for name, most in COUNTS.items():
            _check(name, getattr(self, name), int, 1, most)
        for name in AMOUNTS:
            _check(name, getattr(self, name), int, 0, 2**53)
        for name in TIMES:
            _check(name, getattr(self, name), (int, float), 0, LONGEST_S)
        if self.host_rate:
            _check("host_rate", self.host_rate, (int, float), RATE_MIN, LONGEST_S)
        if not isinstance(self.min_speed, tuple) or len(self.min_speed) != 2:
            raise ValueError(f"min_speed must be (bytes a second, seconds), not {self.min_speed!r}")
        for number in self.min_speed:
            _check("min_speed", number, (int, float), 0, 2**53)

    def _check_choices(self) -> None:
        for name, choices in (("existing", EXISTING), ("into", DESTINATIONS), ("method", METHODS), ("family", (0, 4, 6))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, not {getattr(self, name)!r}")
        if self.user is not None and (not isinstance(self.user, (tuple, list)) or len(self.user) != 2
                                      or not all(isinstance(text, str) for text in self.user)):
            raise ValueError("user must be (user, password), both str")
        if self.limits is not None:
            from qhttp._core import Limits
            if not isinstance(self.limits, Limits):
                raise TypeError(f"limits must be a qhttp.Limits, not {type(self.limits).__name__}")
        if self.context is not None:
            from qhttp.engine.tls_context import configuration_of
            configuration_of(self.context)      # raises TypeError, ValueError
        if self.name is not None:
            from qhttp.bulk.names import place
            place("", self.name)


def _check(name: str, value: Any, kind: Any, least: float, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, kind):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    if not least <= value <= most:
        raise ValueError(f"{name} must be from {least} to {most}, not {value}")
