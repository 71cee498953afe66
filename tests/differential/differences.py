"""Every way in which a reader of HTTP/1.1 was seen to differ from the reading, with who is right and why. Reviewed by hand.

A row is about one cause: a fault for which qhttp refuses an answer and others do not, or something unusual in an answer that is
good (see `reading.py`, which gives them their names). `ways` says who departs and in what: it accepts, it refuses, or it finds
another status, other fields, another body, another number of bytes left, or keeps a connection that should not be kept (or the
other way about). The examples show that each of them still does. qhttp itself has no row: it departs nowhere.
"""
from collections.abc import Callable
from dataclasses import dataclass

OK = b"HTTP/1.1 200 OK\r\n"
EMPTY = OK + b"Content-Length: 0\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BODY_FAULTS = {"short", "reset", "chunk-line", "chunk-end", "chunk-cut", "chunk-too-large", "trailers", "trailers-cut"}


def nothing(faults: set) -> set:
    return set()


@dataclass(frozen=True)
class Difference:
    cause: str
    right: str                      # qhttp, they, either
    rfc: str                        # the section that decides, or leaves it open
    why: str
    ways: dict                      # party -> what it departs in
    examples: tuple                 # of answers
    undo: Callable | None = None    # makes fields equal that differ for this cause alone
    hides: Callable = nothing       # of an answer's faults, those that whoever reads it so does not come to


def accepted(cause: str, by: str, right: str, rfc: str, why: str, *examples: bytes) -> Difference:
    """A row about a fault that others let pass."""
    return Difference(cause, right, rfc, why, dict.fromkeys(by.split(), "accepts"), examples)


def differs(cause: str, ways: dict, right: str, rfc: str, why: str, *examples: bytes, **more) -> Difference:
    """A row about something unusual that is no fault."""
    return Difference(cause, right, rfc, why, ways, examples, **more)


def of_bodies(faults: set) -> set:
    return faults & BODY_FAULTS


def all_of_them(faults: set) -> set:
    return faults


def stripped(fields: list) -> list:
    return [(name, value.strip(b" \t")) for name, value in fields]


def unfolded(fields: list) -> list:
    return [(name, b" ".join(value.split())) for name, value in fields]


def small_codings(fields: list) -> list:
    return [(name, value.lower() if name == b"transfer-encoding" else value) for name, value in fields]


HEADS = [
    accepted("not-http", "llhttp http.client", "qhttp", "9112 2.3",
             "llhttp knows ICE and RTSP, too; http.client trims the line first",
             b" HTTP/1.1 200 OK\r\n\r\n", b"ICE/1.0 200 OK\r\n\r\n"),
    accepted("version", "h11 llhttp http.client", "they", "9110 2.5",
             "1.2 and above should be read as 1.1. None was ever given out, and llhttp, which judges heads for qhttp, refuses "
             "them; what 0.9 and 2.0 would mean here nobody can say",
             b"HTTP/1.2 200 OK\r\n\r\n", b"HTTP/2.0 200 OK\r\n\r\n"),
    accepted("status-line", "http.client", "qhttp", "9112 4", "it splits at any white space, and takes any number",
             b"HTTP/1.1 +200 OK\r\n\r\n"),
    accepted("status-below-100", "llhttp", "qhttp", "9110 15", "there is no such class: is it interim or final?",
             b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n" + EMPTY),
    accepted("unasked-101", "llhttp http.client", "qhttp", "9110 15.2.2", "a server must not switch to what was not asked for",
             b"HTTP/1.1 101 OK\r\n\r\n"),
    accepted("challenge", "h11 llhttp http.client", "either", "9110 11.6",
             "QHttp answers 401 and 407 or ends with an error of their own; nobody takes their page for the content",
             b"HTTP/1.1 401 OK\r\nContent-Length: 0\r\n\r\n"),
    accepted("head-cut", "http.client", "qhttp", "9112 8", "an answer that ends inside its head is incomplete", OK),
    accepted("bare-lf", "h11 http.client", "either", "9112 2.2",
             "may be taken for a line end; who does finds other lines than who does not",
             b"HTTP/1.1 200 OK\n\r\n"),
    accepted("bare-cr", "http.client", "qhttp", "9112 2.2", "invalid, or a blank: never part of a value, nor a line end",
             OK + b"A: b\rc\r\n\r\n"),
    accepted("nul", "llhttp http.client", "qhttp", "9110 5.5", "llhttp looks for it in fields, not in the reason phrase",
             b"HTTP/1.1 200 O\0\r\n\r\n"),
    accepted("control", "h11 llhttp http.client", "qhttp", "9110 5.5",
             "none may stand in a value, nor (9112 4) in a reason; h11 lets some pass, llhttp those in reasons",
             b"HTTP/1.1 200 \x01\r\n\r\n"),
    accepted("no-colon", "http.client", "qhttp", "9112 5", "what follows it is no field any more, as in a mail",
             OK + b"Name\r\n\r\n"),
    accepted("no-name", "http.client", "qhttp", "9112 5", "a name has one character at least", OK + b": a\r\n\r\n"),
    accepted("field-name", "http.client", "qhttp", "9112 5", "a name is a token", OK + b"(x): a\r\n\r\n"),
    accepted("blank-before-colon", "http.client", "qhttp", "9112 5.1", "not allowed: it has served to hide fields",
             OK + b"Content-Length : 5\r\n\r\n"),
    accepted("fold-first", "http.client", "qhttp", "9112 2.2", "it continues nothing", OK + b" a: b\r\n\r\n"),
    accepted("fold-blank", "h11 http.client", "either", "9112 5.2", "whoever trims lines sees the end of the head there",
             OK + b"A: b\r\n \r\n\r\n"),
]

FRAMING = [
    accepted("length-no-number", "h11 llhttp http.client", "qhttp", "9110 8.6",
             "invalid, also where no body follows. Nobody can count above 2**63 - 1 (llhttp: 2**64 - 1; h11: no bound)",
             b"HTTP/1.1 304 OK\r\nContent-Length: 9223372036854775808\r\n\r\n"),
    accepted("length-repeated", "h11 http.client", "either", "9110 8.6", "the same twice may be taken for one, or refused",
             OK + b"Content-Length: 1, 1\r\n\r\na"),
    accepted("lengths-differ", "http.client", "qhttp", "9112 6.3", "unrecoverable; it takes the first, or none",
             OK + b"Content-Length: 0\r\nContent-Length: 1\r\n\r\n"),
    accepted("length-folded", "h11 http.client", "either", "9112 5.2", "a fold may be read; for framing nobody should have to",
             OK + b"Content-Length:\r\n 1\r\n\r\na"),
    accepted("coding-and-length", "h11 http.client", "either", "9112 6.3",
             "ought to be handled as an error; where it is not, the coding overrides the length",
             OK + b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"),
    accepted("coding-empty", "http.client", "either", "9110 5.6.1", "an empty list: is it no coding, or one that was lost?",
             OK + b"Transfer-Encoding:\r\n\r\n"),
    accepted("coding-unknown", "h11 llhttp http.client", "qhttp", "9112 6.1",
             "it was not asked for (no TE field), and nobody here can undo it: what is handed on is not the content. h11 "
             "refuses it, too, but takes chunked where it is folded",
             OK + b"Transfer-Encoding: gzip\r\n\r\na", OK + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
    accepted("coding-in-1.0", "h11 llhttp http.client", "qhttp", "9112 6.1", "to be treated as faulty framing",
             b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    differs("identity", {"h11": "refuses"}, "either", "9112 7",
            "a coding of RFC 2616 that changes nothing; it is gone from the registry",
            OK + b"Transfer-Encoding: identity\r\n\r\na"),
    differs("length-zeros-many", {"h11": "refuses"}, "either", "9110 8.6", "any number of digits; h11 reads 20",
            OK + b"Content-Length: " + b"0" * 21 + b"\r\n\r\n"),
    differs("coding-in-capitals", {"h11": "fields"}, "either", "9112 7", "the same coding; h11 tells of it in small letters",
            OK + b"Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", undo=small_codings),
    differs("blank-behind-coding", {"http.client": "accepts refuses fields body left kept"}, "qhttp", "9112 5",
            "white space around a value is no part of it; http.client then does not know the coding, and reads to the close",
            OK + b"Transfer-Encoding: chunked \r\n\r\n0\r\n\r\n", undo=stripped, hides=of_bodies),
    differs("tab-behind-coding",
            {"llhttp": "accepts refuses fields body kept", "http.client": "accepts refuses fields body left kept"},
            "qhttp", "9112 5",
            "the same; llhttp skips blanks there, but not tabs",
            OK + b"Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n", undo=stripped, hides=of_bodies),
    differs("205", {"h11": "refuses body left kept", "llhttp": "refuses body kept", "http.client": "refuses body left kept"},
            "either", "9110 15.3.6",
            "must not have content, and Qt reads none; by 9112 6.3 alone it has a body like any other. Where one was announced "
            "qhttp closes the connection",
            b"HTTP/1.1 205 OK\r\nContent-Length: 1\r\n\r\n"),
    differs("chunked-without-body", {"http.client": "refuses body left"}, "qhttp", "9112 6.3",
            "204 and 304 have no body whatever the fields say; http.client reads chunks",
            b"HTTP/1.1 304 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    differs("coding-without-body", {"h11": "refuses"}, "either", "9112 6.3",
            "the same, and to HEAD; h11 judges the coding first",
            b"HTTP/1.1 304 OK\r\nTransfer-Encoding: gzip\r\n\r\n"),
]

BODIES = [
    accepted("chunk-line", "h11 http.client", "qhttp", "9112 7.1",
             "signs, 0x, underscores, bare line feeds (http.client); any byte in an extension (both)",
             CHUNKED + b"0;\0\r\n\r\n"),
    accepted("chunk-end", "http.client", "qhttp", "9112 7.1", "it drops two bytes behind a chunk, whatever they are",
             CHUNKED + b"1\r\naxx0\r\n\r\n"),
    accepted("chunk-cut", "http.client", "qhttp", "9112 8", "a last chunk without its line end is incomplete", CHUNKED + b"0"),
    accepted("trailers", "h11 http.client", "qhttp", "9112 7.1.2",
             "trailers are field lines; http.client drops lines of any kind, h11 takes bare line feeds",
             CHUNKED + b"0\r\n\n"),
    accepted("trailers-cut", "http.client", "qhttp", "9112 8", "without the empty line the body is incomplete",
             CHUNKED + b"0\r\n"),
    differs("chunk-blank", {"llhttp": "refuses"}, "either", "9112 7.1",
            "not in the grammar; old servers fill sizes up with blanks, and all but llhttp skip them",
            CHUNKED + b"0 \r\n\r\n"),
    differs("chunk-blank-extension", {"h11": "refuses", "llhttp": "refuses"}, "qhttp", "9112 7.1.1",
            "bad white space before an extension must be read over (9110 5.6.3)",
            CHUNKED + b"0 ;a\r\n\r\n"),
    differs("chunk-extension", {"llhttp": "refuses"}, "either", "9112 7.1.1",
            "unknown ones must be ignored; llhttp judges their grammar first",
            CHUNKED + b'0;"a"\r\n\r\n'),
    differs("chunk-zeros-many", {"h11": "refuses"}, "either", "9112 7.1",
            "any number of digits; h11 reads 20, qhttp counts zeros against a limit",
            CHUNKED + b"0" * 21 + b"\r\n\r\n"),
    differs("trailer-folded", {"llhttp": "refuses"}, "either", "9112 5.2", "qhttp drops trailers, folded or not",
            CHUNKED + b"0\r\nA: b\r\n c\r\n\r\n"),
    differs("trailer-about-framing", {"h11": "refuses", "llhttp": "refuses kept"}, "either", "9110 6.5.1",
            "must not stand there; qhttp drops it unread, these two take it to heart",
            CHUNKED + b"0\r\nTransfer-Encoding: gzip\r\n\r\n"),
    differs("trailer-about-connection", {"llhttp": "kept"}, "qhttp", "9110 6.5.1", "the same",
            CHUNKED + b"0\r\nConnection: close\r\n\r\n"),
]

OTHERS = [
    differs("interim-other", {"http.client": "accepts refuses status fields body left kept"}, "qhttp", "9110 15.2",
            "any number of interim answers may come first; http.client knows 100 alone, and takes another for the answer",
            b"HTTP/1.1 103 Early Hints\r\n\r\n" + EMPTY, undo=lambda fields: [], hides=all_of_them),
    differs("interim-about-framing", {"h11": "refuses", "llhttp": "refuses status fields body kept"}, "either", "9110 8.6",
            "must not be sent, and cannot mean anything; llhttp reads a body after all but 100 to 103, h11 judges the coding",
            b"HTTP/1.1 100 Continue\r\nTransfer-Encoding: gzip\r\n\r\n" + EMPTY,
            b"HTTP/1.1 199 Wait\r\nTransfer-Encoding: chunked\r\n\r\n" + EMPTY),
    differs("interim-closing", {"llhttp": "refuses"}, "qhttp", "9110 15.2",
            "the final answer comes all the same; llhttp wants nothing behind it",
            b"HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n" + EMPTY),
    differs("fold", {"llhttp": "refuses", "http.client": "fields", "h11": "fields"}, "qhttp", "9112 5.2",
            "a user agent must put blanks in its place; http.client leaves the line ends in the value, llhttp refuses it, h11 "
            "leaves the blanks around it",
            OK + b"A: b \r\n c\r\n\r\n", undo=unfolded),
    differs("blank-behind-value", {"llhttp": "fields", "http.client": "fields"}, "qhttp", "9112 5",
            "white space around a value is no part of it",
            OK + b"A: b \r\n\r\n", undo=stripped),
    differs("1.0-kept", {"h11": "kept"}, "either", "9112 9.3", "may be kept where keep-alive is said; h11 never does",
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"),
    differs("1.0-close-and-keep-alive", {"llhttp": "kept", "http.client": "kept"}, "qhttp", "9112 9.3", "close wins",
            b"HTTP/1.0 200 OK\r\nConnection: close, keep-alive\r\nContent-Length: 0\r\n\r\n"),
    differs("nearly-close", {"http.client": "kept"}, "qhttp", "9110 7.6.1",
            "options are compared whole; http.client looks for the word anywhere",
            OK + b"Connection: closed\r\nContent-Length: 0\r\n\r\n"),
    differs("nearly-keep-alive", {"http.client": "kept"}, "qhttp", "9110 7.6.1", "the same",
            b"HTTP/1.0 200 OK\r\nConnection: x-keep-alive\r\nContent-Length: 0\r\n\r\n"),
    differs("connection-repeated", {"http.client": "kept"}, "qhttp", "9110 5.3",
            "several fields are one list; http.client looks at the first",
            OK + b"Connection: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
    differs("proxy-connection", {"llhttp": "kept", "http.client": "kept"}, "either", "9112 C.2.2",
            "means nothing in an answer; llhttp heeds its close, http.client its keep-alive in 1.0",
            OK + b"Proxy-Connection: close\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nProxy-Connection: keep-alive\r\nContent-Length: 0\r\n\r\n"),
]

DIFFERENCES = [*HEADS, *FRAMING, *BODIES, *OTHERS]

# Where all others differ from qhttp for one and the same cause: each of these was weighed, and no other may come.
ALONE = {
    "accepts": {"205"},
    "refuses": {"version", "challenge", "control", "length-no-number", "coding-unknown", "coding-in-1.0"},
}
