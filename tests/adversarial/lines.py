"""What a case's bytes are to the requests that stand behind its own on one connection (RFC 9112 section 9.3.2).

What comes behind an answer is, on a line, the answer to the next request that was sent: nobody can tell that it was meant as
something else. So where a case sends another answer behind the first, final or interim, nothing is sent behind its request;
where it sends other bytes there, the requests behind may fail, but never get those bytes as an answer. In all other cases each
of them has to be answered, on another connection if need be.
"""
import base64
import re
from dataclasses import dataclass

N_BEHIND = 2            # requests behind that of the case
MOST = 16 << 20         # bytes of a step that are looked at: no answer of a case that is to be accepted has more
WITHOUT_BODY, RESET_CONTENT = {204, 304}, 205
STATUS_LINE = re.compile(rb"HTTP/\d\.\d (\d{3})[ \r]")
FINAL = re.compile(rb"HTTP/\d\.\d [2-9]\d\d[ \r]")
LENGTH = re.compile(rb"(?im)^content-length:[ \t]*(\d+)[ \t]*\r$")
CHUNKED = re.compile(rb"(?im)^transfer-encoding:[ \t]*chunked[ \t]*\r$")
CHUNK = re.compile(rb"([0-9a-fA-F]{1,15})(?:;[^\r\n]*)?\r\n")
TRAILERS = re.compile(rb"(?:[^\r\n]+\r\n)*\r\n")


@dataclass(frozen=True)
class Line:
    n_behind: int       # requests to send behind that of the case
    may_fail: bool      # these, for bytes that came in the place of their answers

    @classmethod
    def of(cls, case: dict) -> "Line":
        sent, is_forgetful = sent_by(case["server"])
        rest = behind_answer(sent, case["method"] == "HEAD")
        may_fail = bool(case.get("probe_may_fail")) or rest != b""
        has_answer = (STATUS_LINE.search(rest) if rest is not None else FINAL.search(sent[1:])) is not None
        return cls(0 if has_answer or is_forgetful else N_BEHIND, may_fail)


def sent_by(steps: list) -> tuple[bytes, bool]:
    """What a server sends before it reads again or ends; and whether it throws away what it receives meanwhile."""
    sent = b""
    for step in steps:
        match step:
            case {"await": "head"} | {"close": _} | {"reset": _} | {"half_close": _}:
                return sent, False
            case {"drain_ms": _}:
                return sent, True
            case {"b64": text}:
                sent += base64.b64decode(text)
            case {"send": text} | {"drip": text}:
                sent += text.encode("latin-1")
            case {"repeat": text, "times": times}:
                sent += text.encode("latin-1") * min(times, MOST // len(text))
    return sent, False


def behind_answer(data: bytes, is_head: bool) -> bytes | None:
    """What is behind the first final answer, as any reader would frame it; None where that is not sure."""
    at = 0
    while (found := STATUS_LINE.match(data, at)) and (end := data.find(b"\r\n\r\n", at) + 4) > 3:
        head, status, at = data[at:end - 2], int(found[1]), end
        if status >= 200:
            lengths, coding = LENGTH.findall(head), b"\ntransfer-encoding" in head.lower()
            if is_head or status in WITHOUT_BODY:
                return data[at:]
            if status == RESET_CONTENT:
                return None             # it has no body, and yet may be framed as if it had one (RFC 9110 section 15.3.6)
            if CHUNKED.search(head) and not lengths:
                return behind_chunks(data, at)
            if b"\ncontent-length" not in head.lower() and not coding:
                return b""              # up to the end of the connection
            return data[at + int(lengths[0]):] if len(lengths) == 1 and not coding else None
    return None


def behind_chunks(data: bytes, at: int) -> bytes | None:
    """What is behind the chunked body that begins there; None where that is none."""
    while found := CHUNK.match(data, at):
        size, at = int(found[1], 16), found.end()
        if size == 0:
            end = TRAILERS.match(data, at)
            return data[end.end():] if end else None
        at += size + 2
        if data[at - 2:at] != b"\r\n":
            return None
    return None
