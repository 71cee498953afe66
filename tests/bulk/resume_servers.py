"""Servers that take a Range request in all the ways there are, and what a part may become with each of them.

    python tests/bulk/resume_servers.py         # plays all, prints the table as Markdown

A part is there, the session knows of which version it is, and the server answers in its own way. The file must be whole in the
end, of one version, or the transfer has failed and the part is as it was. `BEHAVIOURS` is the table.
"""
import functools
import random
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.request_reading import take_head
from support.scripted_server import ScriptedServer

LARGE, SMALL = 400_000, 150_000     # bytes of the file: above and below of what a download keeps in memory
OVERLAP = 16 << 10                  # of the part, fetched once more (qhttp.bulk.resume)
N_TOO_MANY = 1000                   # bytes of a part that is too long
DATE = "Wed, 03 Jan 2024 00:00:00 GMT"

HALF, EMPTY, WHOLE, TOO_LONG, OTHER, UNKNOWN = STATES = (
    "half", "empty", "whole", "too long", "half of another version", "half, unknown to the session")

CONTINUED, ANEW, STATUS_ERROR = "continued", "anew", "HTTPStatusError"


@dataclass
class Version:
    """One version of the file on the server."""
    name: str
    content: bytes = field(repr=False)
    etag: str | None
    last_modified: str | None

    def fields(self) -> list[str]:
        return ["Date: " + DATE, *([f"ETag: {self.etag}"] if self.etag else []),
                *([f"Last-Modified: {self.last_modified}"] if self.last_modified else [])]

    def is_meant(self, condition: str | None) -> bool:
        """Whether an If-Range is fulfilled (RFC 9110 section 13.1.5)."""
        return condition is None or (condition in (self.etag, self.last_modified) and not condition.startswith("W/"))


@dataclass
class Ask:
    """One request: the how-many-eth, the start of its range (None: it has none), its If-Range."""
    n: int
    start: int | None
    if_range: str | None


@dataclass
class Reply:
    """One answer; `cut`: so many bytes of the body come, and then FIN."""
    status: str
    fields: list[str]
    body: bytes = field(repr=False)
    cut: int | None = None


# -- ways to answer
def whole(version: Version) -> Reply:
    return Reply("200 OK", version.fields(), version.content)


def piece(version: Version, start: int, *, told: str | None = "right", end: int | None = None) -> Reply:
    """A 206 from `start`; `told`: its Content-Range, None for none."""
    body = version.content[start:end]
    if told == "right":
        told = f"bytes {start}-{start + len(body) - 1}/{len(version.content)}"
    return Reply("206 Partial Content", [*version.fields(), *([f"Content-Range: {told}"] if told else [])], body)


def honours(version: Version, ask: Ask) -> Reply:
    """As RFC 9110 has it."""
    if ask.start is None or not version.is_meant(ask.if_range):
        return whole(version)
    if ask.start >= len(version.content):
        return not_satisfiable(version, ask)
    return piece(version, ask.start)


def ignores_range(version: Version, ask: Ask) -> Reply:
    return whole(version)


def ignores_if_range(version: Version, ask: Ask) -> Reply:
    return whole(version) if ask.start is None else piece(version, ask.start)


def not_satisfiable(version: Version, ask: Ask) -> Reply:
    if ask.start is None:
        return whole(version)
    return Reply("416 Range Not Satisfiable", [f"Content-Range: bytes */{len(version.content)}"], b"no such range")


def not_satisfiable_without_total(version: Version, ask: Ask) -> Reply:
    return whole(version) if ask.start is None else Reply("416 Range Not Satisfiable", [], b"no such range")


def wrong_start(version: Version, ask: Ask) -> Reply:
    return whole(version) if ask.start is None else piece(version, ask.start + 1)


def wrong_start_untold(version: Version, ask: Ask) -> Reply:
    """Says what was asked for, and sends from elsewhere."""
    if ask.start is None:
        return whole(version)
    size = len(version.content)
    shifted = version.content[1:] + b"\0"
    return Reply("206 Partial Content", [*version.fields(), f"Content-Range: bytes {ask.start}-{size - 1}/{size}"],
                 shifted[ask.start:])


def wrong_total(version: Version, ask: Ask) -> Reply:
    if ask.start is None:
        return whole(version)
    size = len(version.content)
    return piece(version, ask.start, told=f"bytes {ask.start}-{size - 1}/{size + 5}")


def no_content_range(version: Version, ask: Ask) -> Reply:
    return whole(version) if ask.start is None else piece(version, ask.start, told=None)


def multipart(version: Version, ask: Ask) -> Reply:
    """What only several ranges may be answered with."""
    if ask.start is None:
        return whole(version)
    size = len(version.content)
    head = f"--limit\r\nContent-Range: bytes {ask.start}-{size - 1}/{size}\r\n\r\n".encode()
    body = head + version.content[ask.start:] + b"\r\n--limit--\r\n"
    return Reply("206 Partial Content", [*version.fields(), "Content-Type: multipart/byteranges; boundary=limit"], body)


def only_a_piece(version: Version, ask: Ask) -> Reply:
    """Less than was asked for, which is allowed."""
    return whole(version) if ask.start is None else piece(version, ask.start, end=ask.start + OVERLAP + 5000)


def other_etag(version: Version, ask: Ask) -> Reply:
    if ask.start is None:
        return whole(version)
    return piece(Version("", version.content, '"elsewhere"', version.last_modified), ask.start)


def no_etag(version: Version, ask: Ask) -> Reply:
    """A 206 must have it (RFC 9110 section 15.3.7): this server may not look at If-Range either."""
    if ask.start is None:
        return whole(version)
    return piece(Version("", version.content, None, version.last_modified), ask.start)


def other_length(version: Version, ask: Ask) -> Reply:
    """The body is shorter than the range that it is said to be."""
    if ask.start is None:
        return whole(version)
    size = len(version.content)
    return piece(version, ask.start, told=f"bytes {ask.start}-{size - 1}/{size}", end=size - 10)


def coded(version: Version, ask: Ask) -> Reply:
    """The range is one of the coded file."""
    if ask.start is None:
        return whole(version)
    reply = piece(version, ask.start)
    return Reply(reply.status, [*reply.fields, "Content-Encoding: gzip"], reply.body)


def cut_once(version: Version, ask: Ask) -> Reply:
    """The first answer breaks off, the next is good."""
    reply = honours(version, ask)
    if ask.n == 0:
        reply.cut = len(reply.body) * 3 // 4
    return reply


def page_for_range(status: str, version: Version, ask: Ask) -> Reply:
    return whole(version) if ask.start is None else Reply(status, ["Content-Type: text/html"], b"<p>Not like this.</p>" * 50)


NOT_ASKED = {EMPTY: ANEW, TOO_LONG: ANEW, UNKNOWN: ANEW}         # there is no part that could be continued
GOOD = {HALF: CONTINUED, WHOLE: CONTINUED, OTHER: ANEW, **NOT_ASKED}
USELESS = dict.fromkeys(STATES, ANEW)
ENOUGH = {**USELESS, WHOLE: CONTINUED}      # little is missing, and that comes
REFUSED = {HALF: STATUS_ERROR, WHOLE: STATUS_ERROR, OTHER: STATUS_ERROR, **NOT_ASKED}


@dataclass
class Behaviour:
    """One server: what it does, in a few words; how; what it tells versions by; what becomes of each part."""
    name: str
    reply: Callable[[Version, Ask], Reply]
    expected: dict[str, str]
    validators: str = "strong"
    changes: bool = False           # it has another version of the file after the first request


BEHAVIOURS = (
    Behaviour("honours Range and If-Range", honours, GOOD),
    Behaviour("ignores Range: 200", ignores_range, USELESS),
    Behaviour("ignores If-Range: 206, and its new ETag", ignores_if_range, GOOD),
    Behaviour("keeps its ETag when the file changes", ignores_if_range, GOOD, "kept"),
    Behaviour("has weak ETags and Last-Modified", honours, GOOD, "weak and date"),
    Behaviour("has Last-Modified only", honours, GOOD, "date"),
    Behaviour("has weak ETags only", honours, USELESS, "weak"),
    Behaviour("has no validators at all", honours, USELESS, "none"),
    Behaviour("416 with the total", not_satisfiable, USELESS),
    Behaviour("416 without", not_satisfiable_without_total, USELESS),
    Behaviour("206 from elsewhere, and says so", wrong_start, USELESS),
    Behaviour("206 from elsewhere, and does not say so", wrong_start_untold, USELESS),
    Behaviour("206 with another total", wrong_total, USELESS),
    Behaviour("206 without Content-Range", no_content_range, USELESS),
    Behaviour("206 as multipart/byteranges", multipart, USELESS),
    Behaviour("206 with another ETag", other_etag, USELESS),
    Behaviour("206 without the ETag", no_etag, USELESS),
    Behaviour("206 shorter than its Content-Range", other_length, USELESS),
    Behaviour("206 with a piece of the range", only_a_piece, ENOUGH),
    Behaviour("206 with a content coding", coded, USELESS),
    Behaviour("206 cut off, then good", cut_once, GOOD),
    Behaviour("the file changes between two tries", cut_once, USELESS, changes=True),
    Behaviour("404 for a Range", functools.partial(page_for_range, "404 Not Found"), REFUSED),
    Behaviour("500 for a Range", functools.partial(page_for_range, "500 Internal Server Error"), REFUSED),
)


def versions(validators: str, size: int) -> tuple[Version, Version, Version]:
    """An old version, the present one, and one that is to come."""
    made = []
    for n, name in enumerate(("old", "present", "next")):
        strong, weak, date = f'"{name}"', f'W/"{name}"', f"Mon, 01 Jan 2024 00:00:0{n} GMT"
        etag = {"strong": strong, "kept": '"one"', "weak": weak, "weak and date": weak}.get(validators)
        made.append(Version(name, random.Random(n).randbytes(size), etag, date if "date" in validators else None))
    return tuple(made)


class ResumeServer(ScriptedServer):
    """Serves one file in the way of a behaviour; `asks` and `n_fetched` (bytes of 200 and 206) tell what happened."""

    def __init__(self, behaviour: Behaviour, size: int):
        self.behaviour = behaviour
        self.old, self.present, self.next = versions(behaviour.validators, size)
        self.asks: list[Ask] = []
        self.n_fetched = 0
        super().__init__()

    @property
    def last(self) -> Version:
        """The version that a download has to end with."""
        return self.next if self.behaviour.changes else self.present

    def script_for(self, connection):
        return [self.serve]

    def serve(self, peer):
        while True:
            head = take_head(peer).decode()
            start = re.search(r"(?im)^range: *bytes=(\d+)-\r$", head)
            condition = re.search(r"(?im)^if-range: *(.*?)\r$", head)
            ask = Ask(len(self.asks), int(start[1]) if start else None, condition[1] if condition else None)
            self.asks.append(ask)
            version = self.last if ask.n else self.present
            reply = self.behaviour.reply(version, ask)
            body = reply.body if reply.cut is None else reply.body[:reply.cut]
            if reply.status[0] == "2":
                self.n_fetched += len(body)
            lines = [f"HTTP/1.1 {reply.status}", f"Content-Length: {len(reply.body)}", *reply.fields, "", ""]
            peer.send("\r\n".join(lines).encode() + body)
            if reply.cut is not None:
                peer.half_close()


# -- a download with a part that is there
@dataclass
class Outcome:
    """What became of a part."""
    how: str                    # CONTINUED (less than the file was fetched), ANEW, or the name of the error's class
    is_whole: bool              # the file is there, and is the server's last version
    n_kept: int                 # bytes that the last answer went on behind, as the transfer tells
    n_fetched: int
    n_requests: int
    n_ranges: int
    part: bytes | None = field(repr=False)      # what lies there under the part's name

    def __str__(self):
        return f"{self.how}: {self.n_fetched:,}" if self.how in (CONTINUED, ANEW) else self.how


def part_for(state: str, server: ResumeServer) -> bytes:
    """What lies under the part's name before."""
    content = (server.old if state == OTHER else server.present).content
    return {EMPTY: b"", WHOLE: content, TOO_LONG: content + b"x" * N_TOO_MANY}.get(state, content[:len(content) // 2])


def prepare(state: str, server: ResumeServer, folder: Path) -> bytes:
    """Writes the part and, but for UNKNOWN, the session's row about it; returns the part."""
    from qhttp.bulk.session import Session
    folder.mkdir(exist_ok=True)
    name, content = folder / "file.part", part_for(state, server)
    name.write_bytes(content)
    version = server.old if state == OTHER else server.present
    with Session(folder / "session") as session:
        if state != UNKNOWN:
            session.put_part(str(folder / "file"), f"http://{server.host}:{server.port}/file", name.stat().st_ino, version.etag,
                             version.last_modified, len(version.content))
    return content


def download(server: ResumeServer, folder: Path, on_progress: Callable | None = None, **settings) -> Outcome:
    """One run of the downloader on the server's file."""
    import qhttp
    ended = []
    url = f"http://{server.host}:{server.port}/file"
    n_before, n_fetched_before = len(server.asks), server.n_fetched
    with qhttp.Downloader([url], dir=str(folder), session=str(folder / "session"), proxy=None, **settings) as downloader:
        downloader.finished.connect(ended.append)
        downloader.failed.connect(ended.append)
        if on_progress is not None:
            downloader.progress.connect(on_progress)
        downloader.run()
    transfer, = ended
    path, part = folder / "file", folder / "file.part"
    asks = server.asks[n_before:]
    n_fetched = server.n_fetched - n_fetched_before
    is_less = n_fetched < len(server.last.content)
    how = type(transfer.error).__name__ if transfer.error else CONTINUED if is_less else ANEW
    return Outcome(how, path.exists() and path.read_bytes() == server.last.content, transfer.n_resumed, n_fetched, len(asks),
                   sum(ask.start is not None for ask in asks),
                   part.read_bytes() if part.exists() else None)


def play(behaviour: Behaviour, state: str, size: int, folder: Path, **settings) -> Outcome:
    """What becomes of such a part with such a server."""
    with ResumeServer(behaviour, size) as server:
        prepare(state, server, folder)
        return download(server, folder, **settings)


def main():
    print(f"A file of {LARGE:,} bytes; what became of a part of it, and how many bytes were fetched:\n")
    print("| the server |", " | ".join(STATES), "|")
    print("|---" * (1 + len(STATES)) + "|")
    for behaviour in BEHAVIOURS:
        cells = []
        for state in STATES:
            with tempfile.TemporaryDirectory() as folder:
                cells.append(str(play(behaviour, state, LARGE, Path(folder), retries=1)))
        print(f"| {behaviour.name} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
