"""Which body an answer has, and whether it is whole, read as RFC 9112 says, strictly. The judge of what qhttp delivered.

WHOLE, DAMAGED, or OPEN: more may come, since the server has not closed the connection.
"""
import enum
import re
from dataclasses import dataclass


class Wholeness(enum.Enum):
    WHOLE = "whole"
    DAMAGED = "damaged"
    OPEN = "open"


WHOLE, DAMAGED, OPEN = Wholeness

HEAD = re.compile(rb"(?s)(?:\r\n)*(.*?)(\r?\n\r?\n|\Z)(.*)")
STATUS_LINE = re.compile(rb"HTTP/1\.\d ([1-9]\d\d)( [^\r\n]*)?")
FIELD_NAME = re.compile(rb"[!#-'*+.^_`|~0-9A-Za-z-]+:")
FOLD = re.compile(rb"\r\n[ \t]+")
FORBIDDEN = re.compile(rb"\0|(?<!\r)\n")
SIZE_LINE = re.compile(rb"([0-9A-Fa-f]+)[ \t]*(?:;[^\r\n]*)?\r\n")
BEGUN_SIZE_LINE = re.compile(rb"(?:[0-9A-Fa-f]+[ \t]*(?:;[^\r\n]*)?\r?)?")
TRAILERS = re.compile(rb"(?:[^\r\n]+\r\n)*\r\n")
WITHOUT_BODY = b"204", b"205", b"304"


@dataclass
class Head:
    status: bytes
    fields: list            # (lower-case name, value)

    def values(self, name: bytes) -> list:
        return [value for key, value in self.fields if key == name]


def framed(method: str, data: bytes, ended: str | None) -> tuple[bytes, Wholeness]:
    """The body in what a server sent after a request, and its state; `ended` is "fin", "rst" or None."""
    head, rest = final_head(data)
    if head is None:
        return b"", OPEN if rest is OPEN and not ended else DAMAGED
    body, state = body_of(method, head, rest, ended)
    return body, DAMAGED if state is OPEN and ended else state


def final_head(data: bytes):
    """(Head, what follows it) of the first answer that is not an interim one; (None, OPEN or DAMAGED) without one."""
    while True:
        text, blank, data = HEAD.match(data).groups()
        if not blank:
            return None, OPEN
        head = parsed(text, blank)
        if head is None:
            return None, DAMAGED
        if not head.status.startswith(b"1") or head.status == b"101":
            return head, data


def parsed(text: bytes, blank: bytes) -> Head | None:
    first, _, rest = text.partition(b"\r\n")
    lines = FOLD.sub(b" ", rest).split(b"\r\n") if rest else []
    status_line = STATUS_LINE.fullmatch(first)
    if not status_line or FORBIDDEN.search(text + blank) or not all(map(FIELD_NAME.match, lines)):
        return None
    pairs = [line.partition(b":") for line in lines]
    return Head(status_line[1], [(name.lower(), value.strip()) for name, _, value in pairs])


def body_of(method: str, head: Head, data: bytes, ended: str | None) -> tuple[bytes, Wholeness]:
    if method in ("HEAD", "CONNECT") or head.status in WITHOUT_BODY:
        return b"", WHOLE
    if codings := b",".join(value.lower() for value in head.values(b"transfer-encoding")):
        return chunked(data) if codings == b"chunked" else (b"", DAMAGED)
    if lengths := {n.strip() for value in head.values(b"content-length") for n in value.split(b",")}:
        if len(lengths) > 1 or not all(n.isdigit() for n in lengths):
            return b"", DAMAGED
        length = int(lengths.pop())
        return data[:length], WHOLE if len(data) >= length else OPEN
    if not ended:
        return data, OPEN
    return data, WHOLE if ended == "fin" else DAMAGED


def chunked(data: bytes) -> tuple[bytes, Wholeness]:
    body = b""
    while size_line := SIZE_LINE.match(data):
        size, data = int(size_line[1], 16), data[size_line.end():]
        if size == 0:
            return body, WHOLE if TRAILERS.match(data) else OPEN
        body, data = body + data[:size], data[size:]
        if not data.startswith(b"\r\n"):
            return body, OPEN if b"\r\n".startswith(data) else DAMAGED
        data = data[2:]
    return body, OPEN if BEGUN_SIZE_LINE.fullmatch(data) else DAMAGED
