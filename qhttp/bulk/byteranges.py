"""Ranges of bytes on the wire: Range, Content-Range and multipart/byteranges (RFC 9110 section 14), strictly read.

Positions in fields are inclusive, as they stand there: ContentRange.end is the last byte's. An end_exclusive is one more.
"""
from __future__ import annotations

from qhttp.errors import BodyError, Truncated

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from collections.abc import Iterator

RANGES_CAP = 1024           # ranges of one request, and parts of one answer
PART_HEAD_CAP = 8192        # bytes of one part's fields
PREAMBLE_CAP = 8192         # bytes before the first part
PADDING_CAP = 256           # blanks behind a delimiter
BOUNDARY_CAP = 70           # characters (RFC 2046 section 5.1.1)
DIGITS_CAP = 19             # of a position: it is below 2**63
CONTENT_TYPE_CAP = 1024     # characters

_BOUNDARY = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'()+_,-./:=? ")
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_BLANKS = b" \t"


class ContentRange:
    """A Content-Range: `start` and `end`, both inclusive, and `total`, as ints; it unpacks in this order.

    start and end are None where the range was not satisfiable (`bytes */total`), total where the server does not know it.
    """

    __slots__ = ("end", "start", "total")

    start: int | None
    end: int | None
    total: int | None

    def __init__(self, start: int | None, end: int | None, total: int | None):
        self.start, self.end, self.total = start, end, total

    @property
    def length(self) -> int:
        """Bytes in the range; 0 where it was not satisfiable."""
        return 0 if self.start is None or self.end is None else self.end - self.start + 1

    def __iter__(self) -> Iterator[int | None]:
        return iter((self.start, self.end, self.total))

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, ContentRange) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"ContentRange({self.start}, {self.end}, {self.total})"


class Part:
    """One part of a multipart/byteranges: the bytes from `start` up to, without `end_exclusive`, of `total` (None: unknown).

    data: memoryview of them, a piece of the body that was parsed. It unpacks in this order.
    """

    __slots__ = ("data", "end_exclusive", "start", "total")

    start: int
    end_exclusive: int
    total: int | None
    data: memoryview

    def __init__(self, start: int, end_exclusive: int, total: int | None, data: memoryview):
        self.start, self.end_exclusive, self.total, self.data = start, end_exclusive, total, data

    def __iter__(self) -> Iterator[int | memoryview | None]:
        return iter((self.start, self.end_exclusive, self.total, self.data))

    def __repr__(self) -> str:
        return f"<Part {self.start}-{self.end_exclusive - 1}/{'*' if self.total is None else self.total}>"


def parse_content_range(value: str) -> ContentRange:
    """A Content-Range field value (RFC 9110 section 14.4). Raises ValueError for whatever it may not be."""
    unit, blank, rest = value.strip(" \t").partition(" ")
    positions, slash, total_text = rest.partition("/")
    if unit.lower() != "bytes" or not blank or not slash:
        raise ValueError(f"Content-Range is not of the form bytes a-b/total: {value[:80]!a}")
    total = None if total_text == "*" else _number(total_text)
    if positions == "*":
        if total is None:
            raise ValueError("Content-Range says nothing: bytes */*")
        return ContentRange(None, None, total)
    first, _, last = positions.partition("-")
    start, end = _number(first), _number(last)
    if start > end or (total is not None and end >= total):
        raise ValueError(f"Content-Range has an end before its start, or beyond the total: {value[:80]!a}")
    return ContentRange(start, end, total)


def content_range_of(fields: list[tuple[str, str]]) -> ContentRange:
    """The Content-Range among the fields of a 206. Raises ValueError as above, and where there is none, or several."""
    values = [value for name, value in fields if name.lower() == "content-range"]
    if len(values) != 1:
        raise ValueError("there are several Content-Range fields" if values else "the server does not say which bytes it sends")
    return parse_content_range(values[0])


def range_value(start: int, end: int | None) -> str:
    """The Range field value for the bytes from `start` to `end`, both inclusive; None: to the last (RFC 9110 section 14.1.2).

    Raises ValueError.
    """
    if start < 0 or (end is not None and end < start):
        raise ValueError(f"start must not be negative, nor above end: {start}, {end}")
    return f"bytes={start}-" if end is None else f"bytes={start}-{end}"


def ranges_value(ranges: list[tuple[int, int]]) -> str:
    """The Range field value for several (start, end_exclusive). Raises ValueError for none, empty ones, or above RANGES_CAP."""
    if not 0 < len(ranges) <= RANGES_CAP:
        raise ValueError(f"ranges must be from 1 to {RANGES_CAP}, not {len(ranges)}: ask in several requests")
    for start, end_exclusive in ranges:
        if not 0 <= start < end_exclusive:
            raise ValueError(f"ranges must be (start, end_exclusive) with at least one byte: {start}, {end_exclusive}")
    return "bytes=" + ",".join([f"{start}-{end_exclusive - 1}" for start, end_exclusive in ranges])


def parse_byteranges(content_type: str, body: bytes | bytearray | memoryview) -> list[Part]:
    """The parts of a whole multipart/byteranges body, in its order (RFC 9110 section 14.6, RFC 2046 section 5.1.1).

    `content_type`: the answer's Content-Type. A part is as long as its Content-Range says, so data may look like a delimiter;
    none is copied.
    Raises Truncated where the body ends before its closing delimiter, BodyError for anything else that is not as it must be.
    """
    delimiter = b"--" + _boundary(content_type).encode("ascii")
    view = memoryview(body).cast("B")
    parts: list[Part] = []
    pos = _first_delimiter(view, delimiter)
    total = None
    while (pos := _delimiter_end(view, pos)) >= 0:
        if len(parts) == RANGES_CAP:
            raise BodyError(f"multipart/byteranges has more than {RANGES_CAP} parts")
        content_range, pos = _part_head(view, pos)
        if content_range.total is not None:
            if total not in (None, content_range.total):
                raise BodyError("multipart/byteranges has parts of different totals")
            total = content_range.total
        end = pos + content_range.length
        tail = bytes(view[end:end + 2 + len(delimiter)])
        if tail != b"\r\n" + delimiter:
            if (b"\r\n" + delimiter).startswith(tail):
                raise Truncated(f"multipart/byteranges ends inside of its part {len(parts) + 1}, or behind it")
            raise BodyError(f"multipart/byteranges has a part {len(parts) + 1} that is not as long as its Content-Range")
        start = content_range.start
        assert start is not None        # _part_head lets no other pass
        parts.append(Part(start, start + content_range.length, content_range.total, view[pos:end]))
        pos = end + 2 + len(delimiter)
    if not parts:
        raise BodyError("multipart/byteranges has no part")
    return parts


# -- pieces of the above
def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS_CAP and int(text) < 1 << 63):
        raise ValueError(f"Content-Range has something that is no position: {text[:40]!a}")
    return int(text)


def _boundary(content_type: str) -> str:
    """The boundary parameter of a multipart/byteranges Content-Type."""
    kind, semicolon, rest = content_type[:CONTENT_TYPE_CAP + 1].partition(";")
    if kind.strip(" \t").lower() != "multipart/byteranges" or len(content_type) > CONTENT_TYPE_CAP:
        raise BodyError(f"Content-Type is not multipart/byteranges: {kind[:80]!a}")
    boundaries: list[str] = []
    while semicolon:
        name, equals, rest = rest.lstrip(" \t").partition("=")
        if not equals and not name.strip(" \t"):
            break                   # nothing behind the last semicolon
        if not name or not _TOKEN.issuperset(name):
            raise BodyError("Content-Type has a broken parameter")
        if rest.startswith('"'):
            value, rest = _quoted(rest)
            between, semicolon, rest = rest.partition(";")
            if between.strip(" \t"):
                raise BodyError("Content-Type has a broken parameter")
        else:
            value, semicolon, rest = rest.partition(";")
            value = value.rstrip(" \t")
            if '"' in value or " " in value:
                raise BodyError("Content-Type has a broken parameter")
        if name.lower() == "boundary":
            boundaries.append(value)
    if len(boundaries) != 1:
        raise BodyError("Content-Type has no boundary, or several")
    boundary = boundaries[0]
    if not 0 < len(boundary) <= BOUNDARY_CAP or not _BOUNDARY.issuperset(boundary) or boundary.endswith(" "):
        raise BodyError("Content-Type has a boundary that is none (RFC 2046 section 5.1.1)")
    return boundary


def _quoted(text: str) -> tuple[str, str]:
    """(what the quoted-string at the beginning of `text` holds, what follows it)."""
    pieces: list[str] = []
    pos = 1
    while pos < len(text) and text[pos] != '"':
        pos += text[pos] == "\\"
        pieces.append(text[pos:pos + 1])
        pos += 1
    if pos >= len(text):
        raise BodyError("Content-Type has quotes that do not end")
    return "".join(pieces), text[pos + 1:]


def _first_delimiter(view: memoryview, delimiter: bytes) -> int:
    """The place behind the first delimiter; what stands before it is for people."""
    line = b"\r\n" + delimiter
    window = b"\r\n" + bytes(view[:PREAMBLE_CAP + len(delimiter) + PADDING_CAP + 2])
    pos = -1
    while (pos := window.find(line, pos + 1, PREAMBLE_CAP + len(line))) >= 0:
        end = pos + len(line)
        if window[end:end + 2] in (b"--", b"-") or window[end:].lstrip(_BLANKS)[:2] in (b"\r\n", b"\r", b""):
            return end - 2          # else it is a line that only begins like it
    if len(view) < PREAMBLE_CAP:
        raise Truncated("multipart/byteranges ends before its first part")
    raise BodyError(f"multipart/byteranges has no delimiter in its first {PREAMBLE_CAP} bytes")


def _delimiter_end(view: memoryview, pos: int) -> int:
    """`pos`: behind "--boundary". The place where the part's head begins; -1 where it was the closing delimiter."""
    window = bytes(view[pos:pos + PADDING_CAP + 4])
    is_closing = window.startswith(b"--")
    line = window[2:] if is_closing else window
    rest = line.lstrip(_BLANKS)
    if rest.startswith(b"\r\n"):
        return -1 if is_closing else pos + len(line) - len(rest) + 2
    if is_closing and not rest:
        return -1                   # the end of the body ends the line, too
    if (rest in (b"", b"\r") or window == b"-") and len(window) < PADDING_CAP + 4:
        raise Truncated("multipart/byteranges ends in a delimiter")
    raise BodyError("multipart/byteranges has a broken delimiter")


def _part_head(view: memoryview, pos: int) -> tuple[ContentRange, int]:
    """(the part's ContentRange, where its data begins)."""
    window = bytes(view[pos:pos + PART_HEAD_CAP])
    end = -2 if window.startswith(b"\r\n") else window.find(b"\r\n\r\n")
    if end == -1:
        if len(window) < PART_HEAD_CAP:
            raise Truncated("multipart/byteranges ends in a part's fields")
        raise BodyError(f"multipart/byteranges has a part whose fields are longer than {PART_HEAD_CAP} bytes")
    found: list[str] = []
    for line in window[:end].decode("latin-1").split("\r\n") if end > 0 else []:
        name, colon, value = line.partition(":")
        if not colon or not name or not _TOKEN.issuperset(name) or "\n" in value or "\r" in value or "\0" in value:
            raise BodyError("multipart/byteranges has a part with a broken field")
        if name.lower() == "content-range":
            found.append(value)
    if len(found) != 1:
        raise BodyError("multipart/byteranges has a part without Content-Range, or with several")
    try:
        content_range = parse_content_range(found[0])
    except ValueError as error:
        raise BodyError(f"multipart/byteranges has a part with a broken field: {error}") from None
    if content_range.start is None:
        raise BodyError("multipart/byteranges has a part that is not satisfiable")
    return content_range, pos + end + 4
