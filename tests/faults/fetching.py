"""Files whose bytes say whose they are, and what a client made of them behind a way with faults."""
import collections
import hashlib
import io
import random
import re

from bulk.downloads import Quick, download
from support.way_faults import Stall

import qhttp

N_FILES, N_LARGE = 24, 3
LARGEST_SMALL, LARGE = 100_000, 700_000
CELL = re.compile(rb"\[(f\d\d|large\d) ")
N_BY_CHANCE = 2
IDLE_S = 0.1                # against stalls; whatever else is late because the machine is busy is only tried again
PATIENT_S = 8.0             # where nothing stalls
TOTAL_MS = 10_000           # of one request, with drips and pauses
PATIENCE_MS = 10_000
N_TRIES = 20                # more than any plan has faults

# What a way that changes no byte may make of a request: each says what the caller can do next.
HONEST_ERRORS = (qhttp.errors.ConnectError, qhttp.errors.NetworkError, qhttp.errors.TimeoutError, qhttp.errors.UnexpectedClose,
                 qhttp.errors.Truncated)


def content(name: str, size: int) -> bytes:
    """So many bytes, a line of which tells the file and its place in it. Nothing that a filter of nginx's would look at."""
    cells = b"".join(b"[%b %07d]\n" % (name.encode(), n) for n in range(size // 12 + 2))
    return cells[:size]


def make_files() -> dict[str, bytes]:
    numbers = random.Random(12)
    files = {f"f{n:02}": content(f"f{n:02}", int(LARGEST_SMALL ** numbers.random())) for n in range(N_FILES)}
    files["f00"] = b""
    return files | {f"large{n}": content(f"large{n}", LARGE + n) for n in range(N_LARGE)}


FILES = make_files()
SMALL_NAMES = [name for name in FILES if name.startswith("f")]
LARGE_NAMES = [name for name in FILES if name.startswith("large")]


def write_files(nginx) -> None:
    for name, data in FILES.items():
        nginx.file(name).write_bytes(data)


def strangers(name: str, data: bytes) -> set[str]:
    """Of which other files there are bytes in this body: a few lines, more than turned-over bits of its own look like."""
    found = collections.Counter(CELL.findall(data))
    return {other.decode() for other, n in found.items() if n > N_BY_CHANCE} - {name}


def limit_s(end) -> float:
    """How long may be waited for a byte over a way with such a fault."""
    return IDLE_S if end is Stall or isinstance(end, Stall) else PATIENT_S


def url(way, name: str, location: str = "plain", scheme: str = "http") -> str:
    return f"{scheme}://localhost:{way.port}/{location}/{name}"


def row(way, name: str, location: str = "plain", scheme: str = "http", with_checksum: bool = True) -> dict:
    checksum = {"checksum": f"sha256:{hashlib.sha256(FILES[name]).hexdigest()}"} if with_checksum else {}
    return {"url": url(way, name, location, scheme), **checksum}


def fetch_files(rows, folder, **settings):
    """Downloads the rows; asserts that what is said to be finished is whole, that nothing else has a final name, and that each
    row has one end. Returns what was seen."""
    options = {"dir": folder, "idle_timeout": PATIENT_S, "retries": N_TRIES, "per_host": 4, "min_speed": (0, 0), **settings}
    seen = download(rows, kind=Quick, **options)
    assert len(seen.ended) == len(rows)
    for transfer in seen.finished:
        name = transfer.url.rpartition("/")[2]
        assert open(transfer.path, "rb").read() == FILES[name], f"{name} is wrong and was called done"
    done = {transfer.url.rpartition("/")[2] for transfer in seen.finished}
    assert {path.name for path in folder.iterdir() if not path.name.startswith("session") and path.suffix == ""} == done
    return seen


class Asker:
    """A QHttp that asks a way, one request after the other; `outcomes` has (name, error or None, body) of each."""

    def __init__(self, way, location: str = "plain", context=None):
        self.location, self.outcomes = location, []
        self.http = qhttp.QHttp()
        if context is None:
            self.http.setHost("localhost", way.port)
        else:
            self.http.setSslConfiguration(context)
            self.http.setHost("localhost", qhttp.QHttp.ConnectionModeHttps, way.port)
        self.http.setTotalTimeout(TOTAL_MS)
        self.wait_for_bytes(PATIENT_S)

    def wait_for_bytes(self, seconds: float) -> None:
        """Sets how long may be waited for a connection, or a byte."""
        self.http.setConnectTimeout(round(seconds * 1000))
        self.http.setTransferTimeout(round(seconds * 1000))

    def get(self, name: str) -> tuple[str | None, bytes]:
        """(name of the error or None, what came of the body)."""
        body = io.BytesIO()
        self.http.get(f"/{self.location}/{name}", body)
        assert self.http.waitForDone(PATIENCE_MS), "it does not come to an end"
        error = self.http.error().name
        outcome = None if error == "NoError" else error, body.getvalue()
        self.outcomes.append((name, *outcome))
        return outcome

    @property
    def status(self) -> int:
        return self.http.lastResponse().statusCode()
