"""`Client`: one request at a time, its answer in memory, with all that the downloader knows about redirects, tries and codings.

    answer = qhttp.Client().get("http://example.org/")
    answer.status, answer.headers, answer.content
"""
from __future__ import annotations

from qhttp.bulk.downloader import Downloader
from qhttp.bulk.requests import checked_headers
from qhttp.bulk.transfer import Transfer
from qhttp.errors import BodyError, HTTPStatusError
from qhttp.protocol.request import check_fields

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

MAX_RANGES = 1000       # of one request


class Asking:
    """What a client has, whoever waits for its answers: a Downloader that never ends, and what of an answer is an error."""

    _downloader: Downloader

    def __init__(self, **settings: Any):
        for name in ("fail_fast", "dry_run"):
            if settings.get(name):
                raise ValueError(f"{name} is not for a Client: each of its requests is sent, and has its own end")
        self._downloader = self._make({"compressed": True, **settings, "into": "bytes"})
        self._downloader.set_any_status()
        self._downloader.start()

    def __repr__(self) -> str:
        d: Downloader | None = getattr(self, "_downloader", None)
        how = f": {d.n_running} running, {d.n_done} done, {d.n_failed} failed" if d is not None else ""     # wrong settings
        return f"<qhttp {type(self).__name__}{how}>"

    def _make(self, settings: dict[str, Any]) -> Downloader:
        return Downloader(**settings)

    def _begin(self, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes | None) -> Transfer:
        if body is not None and not isinstance(body, bytes):
            raise TypeError(f"body must be bytes, not {type(body).__name__}")
        check_fields(method, [], body is not None)
        return self._downloader.ask(method, url, checked_headers(headers), body, None)

    def _begin_ranges(self, url: str, wanted: list[tuple[int, int]], headers: Iterable[tuple[str, str]]) -> Transfer:
        from qhttp.bulk.byteranges import ranges_value
        if not 0 < len(wanted) <= MAX_RANGES:
            raise ValueError(f"ranges must be 1 to {MAX_RANGES} pairs, not {len(wanted)}")
        return self._begin_range(url, ranges_value(wanted), headers)

    def _begin_range(self, url: str, value: str, headers: Iterable[tuple[str, str]]) -> Transfer:
        """value: of the field Range."""
        return self._downloader.ask("GET", url, [*checked_headers(headers), ("Accept-Encoding", "identity")], None, value)


class Client(Asking):
    """Keeps connections, cookies and credentials from one call to the next. settings: those of Downloader.

    Its calls turn this thread's loop until the answer is there. They return a Transfer: `status`, `headers`, `content`
    (bytes), `url_effective`. Any final status is an answer, but for 401 and 407, which are AuthenticationRequired and
    ProxyAuthenticationRequired. These and all that is no answer is raised as a QHttpError (Cancelled where close() came
    meanwhile), wrong arguments as ValueError or TypeError. A call that an exception of a slot or signal handler leaves takes
    its request back.
    """

    def get(self, url: str, headers: Iterable[tuple[str, str]] = ()) -> Transfer:
        """A GET."""
        return self.request("GET", url, headers)

    def head(self, url: str, headers: Iterable[tuple[str, str]] = ()) -> Transfer:
        """A HEAD: the answer has no content."""
        return self.request("HEAD", url, headers)

    def request(self, method: str, url: str, headers: Iterable[tuple[str, str]] = (), body: bytes | None = None) -> Transfer:
        """Any request. One whose method is not idempotent (RFC 9110 section 9.2.2) is sent once."""
        return self._answer(self._begin(method, url, headers, body))

    def get_ranges(self, url: str, ranges: Iterable[tuple[int, int]], headers: Iterable[tuple[str, str]] = ()) -> list[bytes]:
        """Pieces of a file by one request (RFC 9110 section 14): [(start, end), ...], ends excluded, in the order asked for.

        Works with servers that send one part, several, or the whole. BodyError: the file is shorter; HTTPStatusError: there
        is none.
        """
        wanted = checked_ranges(ranges)
        return pieces_of(self._answer(self._begin_ranges(url, wanted, headers)), wanted)

    def _answer(self, transfer: Transfer) -> Transfer:
        try:
            self._downloader.turn_until(lambda: transfer.state_name == "ended")
        finally:
            transfer.cancel()           # nothing to take back where it has ended
        return final(transfer)

    def close(self) -> None:
        """Closes its connections."""
        self._downloader.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def final(transfer: Transfer) -> Transfer:
    """The transfer, which has ended; raises its error."""
    if transfer.error is not None:
        raise transfer.error
    return transfer


def checked_ranges(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    from operator import index
    return [(index(start), index(end)) for start, end in ranges]


def pieces_of(answer: Transfer, wanted: list[tuple[int, int]]) -> list[bytes]:
    """What was asked for, out of an answer with one part, several, or the whole."""
    if answer.status not in (200, 206):
        raise HTTPStatusError(f"the server answered {answer.status}", answer.status)
    parts = _parts(answer)
    return [_piece(parts, start, end) for start, end in wanted]


def _parts(answer: Transfer) -> list[tuple[int, bytes | memoryview]]:
    """[(start, bytes-like)] of what came."""
    from qhttp.bulk.byteranges import content_range_of, parse_byteranges
    content = answer.content or b""
    if answer.status == 200:
        return [(0, content)]
    kind = answer.header("content-type", "")
    if kind.lower().startswith("multipart/byteranges"):
        return [(part.start, part.data) for part in parse_byteranges(kind, content)]
    try:
        found = content_range_of(answer.headers)
    except ValueError as error:
        raise BodyError(str(error)) from None
    if found.start is None or found.length != len(content):
        raise BodyError("the server's answer does not have the bytes that it announces")
    return [(found.start, content)]


def _piece(parts: list[tuple[int, bytes | memoryview]], start: int, end: int) -> bytes:
    for at, data in parts:
        if at <= start and end <= at + len(data):
            return bytes(data[start - at:end - at])
    raise BodyError(f"bytes {start} to {end} did not come: the file may be shorter")
