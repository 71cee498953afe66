"""May a part be continued, and is an answer its continuation (RFC 9110 sections 13.1.5 and 14.2).

The ladder: a strong ETag goes into If-Range; without one Last-Modified, if it is strong; else the file is fetched anew, for a
weak ETag promises no equal bytes (RFC 9110 section 15.3.7.3). Whatever the rung, the total is compared, and the end of the part
is fetched once more and compared, too.
"""
from __future__ import annotations

import os

from qhttp.bulk.byteranges import content_range_of
from qhttp.bulk.files import OpenPart, open_locked
from qhttp.errors import BodyError, ResumeError, Truncated

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from qhttp.bulk.records import Part
    from qhttp.bulk.session import Session

OVERLAP = 16 << 10      # bytes of the part that are fetched once more
CONTINUE_FROM = 64 << 10        # bytes of a part that are worth a Range request


class Version:
    """What tells one version of a file from another. etag: as sent, or None; what is no entity tag, or one of several, is
    none. last_modified: as sent, if it is strong (RFC 9110 section 8.8.2.2: at least a second older than the answer).
    total: bytes, or None. date: Last-Modified as sent, for comparing."""

    __slots__ = ("date", "etag", "last_modified", "total")

    etag: str | None
    last_modified: str | None
    total: int | None
    date: str | None

    def __init__(self, etag: str | None, last_modified: str | None, total: int | None, date: str | None = None):
        self.etag, self.last_modified, self.total, self.date = etag, last_modified, total, date or last_modified

    @classmethod
    def of(cls, fields: list[tuple[str, str]], total: int | None) -> Version:
        """From the fields of a 200 or 206."""
        etag, date = _only(fields, "etag"), _only(fields, "last-modified")
        if etag is not None and not is_etag(etag):
            etag = None
        is_strong = date is not None and _is_strong(date, _only(fields, "date"))
        return cls(etag, date if is_strong else None, total, date)

    @property
    def if_range(self) -> str | None:
        """What to send in If-Range."""
        if self.etag is not None and not self.etag.startswith("W/"):
            return self.etag
        return self.last_modified

    @property
    def is_known(self) -> bool:
        """Whether another version could be told from it."""
        return self.if_range is not None

    def is_same(self, found: Version) -> bool:
        """Whether the very same would be noted of it."""
        return (self.etag, self.last_modified, self.total) == (found.etag, found.last_modified, found.total)

    def is_other(self, found: Version) -> bool:
        """Whether an answer says itself that it is of another version. A 206 has to show the ETag that it is asked for by
        (RFC 9110 section 15.3.7): one that shows none may come from a server that does not look at If-Range."""
        return ((self.etag is not None and self.etag != found.etag and (found.etag is not None or self.if_range == self.etag))
                or (self.last_modified is not None and found.date is not None and self.last_modified != found.date)
                or (self.total is not None and found.total is not None and self.total != found.total))


def _only(fields: list[tuple[str, str]], name: str) -> str | None:
    """The value of a field; None where there is none, or several that differ."""
    values = {value for given, value in fields if given.lower() == name}
    return values.pop() if len(values) == 1 else None


def is_etag(text: str) -> bool:
    """RFC 9110 section 8.8.3. What is between the quotes says nothing if it is empty."""
    opaque = text.removeprefix("W/")
    return len(opaque) > 2 and opaque[0] == opaque[-1] == '"' and not any(c <= " " or c in '"\x7f' for c in opaque[1:-1])


def _is_strong(last_modified: str, date: str | None) -> bool:
    try:
        from email.utils import parsedate_to_datetime
        return (parsedate_to_datetime(date or "") - parsedate_to_datetime(last_modified)).total_seconds() >= 1
    except (ValueError, TypeError, ImportError, OSError):       # the last two: no descriptor is left for the import
        return False


class Join:
    """A request for what is behind a part. expected: the end of the part, which the answer has to begin with. total: bytes of
    the whole file, once an answer has said so."""

    __slots__ = ("expected", "start", "total", "version")

    start: int
    expected: bytes
    version: Version

    def __init__(self, part_len: int, end_of_part: bytes, version: Version):
        self.start, self.expected, self.version = part_len - len(end_of_part), end_of_part, version
        self.total: int | None = None

    def fields(self) -> list[tuple[str, str]]:
        if_range = self.version.if_range
        return [("Range", f"bytes={self.start}-"), *([("If-Range", if_range)] if if_range is not None else ())]

    def judge(self, fields: list[tuple[str, str]], length: int | None) -> None:
        """Raises ResumeError for a 206 that is not the continuation; `length`: of its body as announced, None: it is not."""
        try:
            found = content_range_of(fields)
        except ValueError as error:
            raise ResumeError(f"the part cannot be continued: {error}") from None
        if found.start != self.start or found.total is None or found.end != found.total - 1:
            raise ResumeError("the part cannot be continued: the server sends other bytes than it was asked for")
        if length is not None and length != found.total - found.start:
            raise ResumeError("the part cannot be continued: the lengths in the server's answer do not agree")
        if self.version.is_other(Version.of(fields, found.total)):
            raise ResumeError("the part cannot be continued: the server has another version of the file")
        self.total = found.total

    def check_end(self, n: int) -> None:
        """The file has n bytes now; raises Truncated or BodyError where the answer said otherwise."""
        if self.total is not None and n < self.total:
            raise Truncated(f"the file ended after {n} of {self.total} bytes")
        if self.total is not None and n > self.total:
            raise BodyError(f"the server sent more than the {self.total} bytes that it announced")


def open_part(part: bytes, path: str, session: Session | None, kept: Part | None) -> OpenPart:
    """A part, made, with its folder, where it is missing.

    `kept`: the session's row about it; None: whatever is there is of no use. Raises OSError. For the file thread.
    """
    try:
        fd = open_locked(part)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(part), exist_ok=True)
        fd = open_locked(part)
    try:
        about = os.fstat(fd)
        if kept is not None and about.st_ino == kept.ino:
            if kept.segments is not None and kept.total is not None and end_of_pieces(kept) <= about.st_size <= kept.total:
                return OpenPart(fd, about.st_size, b"")
            if kept.segments is None and about.st_size >= CONTINUE_FROM and (kept.total is None or about.st_size <= kept.total):
                return OpenPart(fd, about.st_size, end_of(fd, about.st_size))
        empty_part(fd, path, session)
        return OpenPart(fd, 0, b"")
    except BaseException:
        os.close(fd)
        raise


def end_of_pieces(kept: Part) -> int:
    """How long a file in pieces is at least, after what the session says is still to come."""
    assert kept.total is not None and kept.segments is not None
    end = kept.total
    for first, behind in sorted(kept.segments, reverse=True):
        if behind < end:
            break
        end = first
    return end


def empty_part(fd: int, path: str, session: Session | None) -> None:
    """What is in the part is forgotten; first by the session, so that it never takes one version for another."""
    if session is not None:
        session.drop_part(path)
    if os.fstat(fd).st_size:
        os.ftruncate(fd, 0)


def end_of(fd: int, part_len: int) -> bytes:
    n = min(OVERLAP, part_len)
    return os.pread(fd, n, part_len - n)
