"""What an answer is, read as RFC 9112 says and as strictly as qhttp promises to be: the yardstick that all parties are held to.

It shares nothing with qhttp: regular expressions over the whole answer, where qhttp has state machines over pieces of it. A
reading has `faults` (any: it is refused) and `notes`: what is unusual in it, which may be why others read it otherwise.
"""
import re
from dataclasses import dataclass, field

from differential.cases import Case

TCHAR = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
TEXT = rb"[\t\x20-\x7e\x80-\xff]"
PLAIN = rb"[\t\x20\x21\x23-\x7e\x80-\xff]"              # of an extension: not a quotation mark
QUOTED = rb"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\" + TEXT + rb")*+"
EXTENSION = rb';(?:' + PLAIN + rb'|"' + QUOTED + rb'")*+'
FIELD = TCHAR + rb"++:" + TEXT + rb"*+\r\n(?:[ \t]" + TEXT + rb"*+\r\n)*+"

HEAD_END = re.compile(rb"\n\r?\n")
STATUS_LINE = re.compile(rb"HTTP/([0-9])\.([0-9]) ([0-9]{3})(?: (.*))?", re.S)
FIELD_LINE = re.compile(rb"(" + TCHAR + rb"+):(.*)", re.S)
CONTROL = re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
BARE_LF, BARE_CR = re.compile(rb"(?<!\r)\n"), re.compile(rb"\r(?!\n)")
TOKEN = re.compile(TCHAR + rb"+")
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]+)([ \t]*)(" + EXTENSION + rb")?\r\n")
CHUNK_LINE_BEGUN = re.compile(rb"(?:[0-9A-Fa-f]+(?:[ \t]*+(?:" + EXTENSION + rb'(?:"' + QUOTED + rb"\\?)?)?\r?)?)?\Z")
TRAILERS = re.compile(rb"(?:" + FIELD + rb")*+\r\n")
TRAILERS_BEGUN = re.compile(rb"(?:" + FIELD + rb")*+(?:" + TCHAR + rb"++(?::" + TEXT + rb"*+\r?)?|\r)?\Z|"
                            rb"(?:" + FIELD + rb")++[ \t]" + TEXT + rb"*+\r?\Z")
FRAMING, CONNECTION = {b"content-length", b"transfer-encoding"}, {b"connection", b"proxy-connection", b"upgrade"}
LARGEST_LENGTH, LARGEST_CHUNK = 2**63 - 1, 2**62 - 1
LARGEST_UNUSED = 2**64 - 1              # of an interim answer, where nobody counts by it
FORBIDDEN = (("nul", re.compile(rb"\0")), ("control", CONTROL), ("bare-lf", BARE_LF), ("bare-cr", BARE_CR))


@dataclass(slots=True)
class Reading:
    """`body` is what may be delivered at most; `n_used` where the next answer would begin; `is_kept`: its connection is."""
    faults: set = field(default_factory=set)
    notes: set = field(default_factory=set)
    status: int = 0
    minor: int = 1
    fields: list = field(default_factory=list)          # (name, value), bytes
    body: bytes = b""
    n_used: int = 0
    is_kept: bool = False

    def values(self, name: bytes) -> list:
        """The elements of all lists under that name."""
        return [one.strip(b" \t") for key, value in self.fields if key.lower() == name for one in value.split(b",")]


def read(case: Case) -> Reading:
    """The final answer in what came, before the connection was closed or reset."""
    reading, data, at = Reading(), case.data, 0
    while True:
        if not data.startswith(b"HTTP/", at):
            reading.faults.add("nothing" if at == len(data) else "not-http")
            return reading
        end = HEAD_END.search(data, at)
        if end is None:
            reading.faults.add("head-cut")
            return reading
        read_head(reading, data[at:end.end()])
        at = end.end()
        find_faults_of_fields(reading)
        if reading.status >= 200 or reading.status == 101 or reading.faults:
            break
        if reading.status != 100:
            reading.notes.add("interim-other")
        if any(key.lower() in FRAMING for key, _ in reading.fields):
            reading.notes.add("interim-about-framing")
        options = {one.lower() for name in (b"connection", b"proxy-connection") for one in reading.values(name)}
        if reading.minor == 0 or b"close" in options:
            reading.notes.add("interim-closing")
    find_faults_of_framing(reading, case.method)
    if not reading.faults:
        read_body(reading, case, at)
    return reading


# -- heads
def read_head(reading: Reading, head: bytes) -> None:
    reading.status, reading.fields = 0, []
    reading.notes -= {"length-folded", "coding-folded"}         # of an interim answer before it
    reading.faults.update(name for name, pattern in FORBIDDEN if pattern.search(head))
    first, *lines = [line.removesuffix(b"\r") for line in head.split(b"\n")]
    read_status_line(reading, first)
    fields = reading.fields
    for line in lines[:-2]:
        if line[:1] in (b" ", b"\t"):
            read_continuation(reading, fields, line)
        elif match := FIELD_LINE.fullmatch(line):
            name, value = match[1], match[2].strip(b" \t")
            fields.append((name, value))
            if match[2].endswith((b" ", b"\t")):
                reading.notes.add("blank-behind-value")
                if name.lower() == b"transfer-encoding":
                    reading.notes.add("tab-behind-coding" if b"\t" in match[2].lstrip(b" \t") else "blank-behind-coding")
        else:
            name, colon, _ = line.partition(b":")
            reading.faults.add("no-colon" if not colon else "no-name" if not name else
                               "blank-before-colon" if TOKEN.fullmatch(name.rstrip(b" \t")) else "field-name")


def read_status_line(reading: Reading, line: bytes) -> None:
    match = STATUS_LINE.fullmatch(line)
    if match is None:
        reading.faults.add("status-line")
        return
    reading.status, reading.minor = int(match[3]), int(match[2])
    if match[1] != b"1" or match[2] not in b"01":
        reading.faults.add("version")
    if reading.status < 100:
        reading.faults.add("status-below-100")


def read_continuation(reading: Reading, fields: list, line: bytes) -> None:
    """A folded value: one blank stands for the fold (RFC 9112 section 5.2)."""
    if not fields:
        reading.faults.add("fold-first")
    elif not line.strip(b" \t"):
        reading.faults.add("fold-blank")
    else:
        name, value = fields[-1]
        fields[-1] = name, (value + b" " + line.strip(b" \t")).strip(b" ")
        reading.notes.add("fold")
        if name.lower() == b"content-length":
            reading.notes.add("length-folded")
        elif name.lower() == b"transfer-encoding":
            reading.notes.add("coding-folded")


# -- framing
def find_faults_of_fields(reading: Reading) -> None:
    """Of the fields about framing in any head, also where they mean nothing."""
    faults, lengths = reading.faults, reading.values(b"content-length")
    if lengths:
        largest = LARGEST_LENGTH if reading.status >= 200 else LARGEST_UNUSED
        if not all(one.isdigit() for one in lengths) or int(lengths[0]) > largest:
            faults.add("length-no-number")
        elif len(set(lengths)) > 1:
            faults.add("lengths-differ")
        elif len(lengths) > 1:
            faults.add("length-repeated")
        if len(lengths[0]) > 20:
            reading.notes.add("length-zeros-many")
        if reading.values(b"transfer-encoding"):
            faults.add("coding-and-length")
    if any(key.lower() == b"transfer-encoding" and not value for key, value in reading.fields):
        faults.add("coding-empty")


def find_faults_of_framing(reading: Reading, method: str) -> None:
    """Of what the final head says about the body that comes."""
    faults, notes = reading.faults, reading.notes
    lengths, codings = reading.values(b"content-length"), [one.lower() for one in reading.values(b"transfer-encoding")]
    if "length-folded" in notes:
        faults.add("length-folded")
    if reading.status == 101:
        faults.add("unasked-101")
    if reading.status in (401, 407):
        faults.add("challenge")
    if reading.status == 205:
        notes.add("205")
    if codings and codings != reading.values(b"transfer-encoding"):
        notes.add("coding-in-capitals")
    if has_no_body(reading, method):
        if codings:
            if codings != [b"chunked"]:
                notes.add("coding-without-body")
            if codings[0] == b"chunked":
                notes.add("chunked-without-body")
    elif codings == [b"identity"] and reading.minor == 1 and not lengths:
        notes.add("identity")
    elif codings:
        if codings != [b"chunked"] or "coding-folded" in notes:
            faults.add("coding-unknown")
        if reading.minor == 0:
            faults.add("coding-in-1.0")


def has_no_body(reading: Reading, method: str) -> bool:
    return method == "HEAD" or reading.status in (204, 205, 304)


# -- bodies
def read_body(reading: Reading, case: Case, at: int) -> None:
    data = case.data
    lengths, codings = reading.values(b"content-length"), reading.values(b"transfer-encoding")
    options = [one.lower() for one in reading.values(b"connection")]
    reading.is_kept = b"close" not in options and (reading.minor == 1 or b"keep-alive" in options)
    reading.n_used = at
    note_connection(reading, options)
    if has_no_body(reading, case.method):
        if reading.status == 205 and (codings or any(int(one) for one in lengths)):
            reading.is_kept = False
    elif codings and codings[0].lower() == b"chunked":
        read_chunked(reading, data, at)
    elif lengths:
        reading.body = data[at:at + int(lengths[0])]
        reading.n_used = at + len(reading.body)
        if len(reading.body) < int(lengths[0]):
            reading.faults.add("short")
    else:
        reading.body, reading.n_used, reading.is_kept = data[at:], len(data), False
        if case.is_reset:
            reading.faults.add("reset")


def note_connection(reading: Reading, options: list) -> None:
    if reading.minor == 0 and reading.is_kept:
        reading.notes.add("1.0-kept")
    if reading.minor == 0 and b"close" in options and b"keep-alive" in options:
        reading.notes.add("1.0-close-and-keep-alive")
    if any(b"close" in one and one != b"close" for one in options):
        reading.notes.add("nearly-close")
    if any(b"keep-alive" in one and one != b"keep-alive" for one in options):
        reading.notes.add("nearly-keep-alive")
    if len([name for name, _ in reading.fields if name.lower() == b"connection"]) > 1:
        reading.notes.add("connection-repeated")
    if reading.values(b"proxy-connection"):
        reading.notes.add("proxy-connection")


def read_chunked(reading: Reading, data: bytes, at: int) -> None:
    pieces = []
    while match := CHUNK_LINE.match(data, at):
        size, at = int(match[1], 16), match.end()
        if size > LARGEST_CHUNK:
            reading.faults.add("chunk-too-large")
            break
        note_chunk_line(reading, match)
        if size == 0:
            read_trailers(reading, data, at)
            break
        pieces.append(data[at:at + size])
        at += size
        if data[at:at + 2] != b"\r\n":
            reading.faults.add("chunk-cut" if data[at:] in (b"", b"\r") else "chunk-end")
            break
        at += 2
    else:
        reading.faults.add("chunk-cut" if CHUNK_LINE_BEGUN.match(data, at) else "chunk-line")
    reading.body = b"".join(pieces)


def note_chunk_line(reading: Reading, match) -> None:
    if len(match[1]) > 20:
        reading.notes.add("chunk-zeros-many")
    if match[2]:
        reading.notes.add("chunk-blank-extension" if match[3] else "chunk-blank")
    if match[3]:
        reading.notes.add("chunk-extension")


def read_trailers(reading: Reading, data: bytes, at: int) -> None:
    match = TRAILERS.match(data, at)
    if match is None:
        reading.faults.add("trailers-cut" if TRAILERS_BEGUN.match(data, at) else "trailers")
        return
    names = {line.partition(b":")[0].lower() for line in match[0].split(b"\r\n")[:-2]}
    if names & FRAMING:
        reading.notes.add("trailer-about-framing")
    if names & CONNECTION:
        reading.notes.add("trailer-about-connection")
    if b"\r\n " in match[0] or b"\r\n\t" in match[0]:
        reading.notes.add("trailer-folded")
    reading.n_used = match.end()
