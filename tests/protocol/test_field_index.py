"""Properties: our index of a head says what httptools' own callbacks say, and no request gets a line it should not have."""
import httptools
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from qhttp._core import describe_head
from qhttp.protocol.head import is_valid_head
from qhttp.protocol.request import check_fields, check_target, full_head, head_tail, simple_head

TOKEN = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
QUICK = settings(max_examples=120, deadline=None, database=None)

names = st.one_of(st.text(TOKEN, min_size=1, max_size=12), st.sampled_from(
    ["Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Set-Cookie", "Proxy-Connection", "Keep-Alive"]))
value_bytes = st.one_of(
    st.text([chr(n) for n in [9, *range(32, 127), *range(128, 256)]], max_size=20).map(lambda text: text.encode("latin-1")),
    st.binary(max_size=6).map(lambda data: data.translate(None, b"\r\n")),
    st.sampled_from([b"5", b"0", b"007", b"5, 5", b"5,6", b"chunked", b"gzip, chunked", b"close", b"keep-alive, x",
                     b"upgrade", b"h2c", b""]))
gaps = st.sampled_from([b"", b" ", b"  ", b"\t", b" \t "])
folds = st.lists(st.tuples(st.sampled_from([b" ", b"\t", b"  "]), value_bytes), max_size=2)
status_lines = st.one_of(
    st.tuples(st.sampled_from([b"1.0", b"1.1"]), st.integers(100, 999), value_bytes).map(
        lambda parts: b"HTTP/%b %d %b" % parts),
    st.integers(100, 999).map(lambda status: b"HTTP/1.1 %d" % status))


@st.composite
def field_lines(draw):
    """A field line as servers write it, perhaps folded, perhaps not quite right."""
    line = draw(names).encode() + b":" + draw(gaps) + draw(value_bytes) + draw(gaps)
    for blank, more in draw(folds) if draw(st.booleans()) else ():
        line += b"\r\n" + blank + more
    return line


heads = st.tuples(status_lines, st.lists(field_lines(), max_size=5)).map(
    lambda parts: b"\r\n".join([parts[0], *parts[1], b"", b""]))


class Listener:
    """Remembers what a parser tells."""

    def __init__(self):
        self.reason, self.pairs, self.n_complete = b"", [], 0

    def on_status(self, data):
        self.reason += data

    def on_header(self, name, value):
        self.pairs.append((name, value))

    def on_headers_complete(self):
        self.n_complete += 1


def as_callbacks_tell(block, lenient):
    """(major, minor, status, reason, fields) as httptools' own callbacks have it, and how many heads it saw."""
    listener = Listener()
    parser = httptools.HttpResponseParser(listener)
    if lenient:
        parser.set_dangerous_leniencies(lenient_headers=True)
    try:
        parser.feed_data(block)
    except httptools.HttpParserUpgrade:
        pass
    major, minor = map(int, parser.get_http_version().split("."))
    return (major, minor, parser.get_status_code(), listener.reason, listener.pairs), listener.n_complete


def unfolded(value):
    """A value as we hand it out: lines joined by one blank."""
    if "\n" not in value:
        return value.strip(" \t")
    return " ".join(part for line in value.split("\n") if (part := line.strip(" \t\r")))


def first_head(block):
    """What the scan hands over: up to and with the first empty line."""
    at = 0
    while (end := block.find(b"\n", at)) >= 0:
        if block[at:end] in (b"", b"\r"):
            return block[:end + 1]
        at = end + 1
    return None


def check_index(block):
    try:
        ours = describe_head(block)
        has_fold = any(line[:1] in (b" ", b"\t") for line in block.split(b"\n"))
    except ValueError:
        return False                    # the index refuses more than llhttp: nothing is told of such a head
    if not is_valid_head(block, has_fold):
        return False
    (major, minor, status, reason, pairs), n_heads = as_callbacks_tell(block, has_fold)
    assert n_heads == 1
    assert ours[:3] == (major, minor, status)
    assert ours[3] == reason.decode("latin-1")
    assert [name for name, _ in ours[4]] == [name.decode("ascii") for name, _ in pairs]
    if not has_fold:
        assert [value for _, value in ours[4]] == [value.decode("latin-1").strip(" \t") for _, value in pairs]
    else:
        # httptools glues the lines of a folded value together: only what stands in them can be compared.
        flat = str.maketrans("", "", " \t\r\n")
        assert [value.translate(flat) for _, value in ours[4]] == \
            [value.decode("latin-1").translate(flat) for _, value in pairs]
    return True


@QUICK
@given(heads)
@example(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n")
@example(b"HTTP/1.1 200\r\nA:\r\n b\r\nC: \r\n\r\n")
@example(b"HTTP/1.1 101 x\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
@example(b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nConnection: close\r\n\r\n")
def test_describe_head_of_a_likely_head_is_what_the_callbacks_say(block):
    block = first_head(block)
    check_index(block)


@QUICK
@given(heads, st.data())
def test_describe_head_of_a_damaged_head_is_what_the_callbacks_say(block, data):
    block = bytearray(block)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(block) - 1))
        piece = data.draw(st.one_of(st.sampled_from([b"", b"\r", b"\n", b"\r\n", b" ", b":", b"\x00", b"\x7f", b"\xff"]),
                                    st.binary(max_size=2)))
        block[at:at + data.draw(st.integers(0, 2))] = piece
        assume(block)
    block = first_head(bytes(block) + b"\r\n\r\n")
    if block.startswith(b"HTTP/"):      # the scan lets nothing else through
        check_index(block)


def test_describe_head_property_sees_good_heads_too():
    good = [b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n" for lines in (
        b"", b"A: b\r\n", b"A: b\r\n c\r\n", b"A:\r\n b\r\n", b"Content-Length: 5\r\n", b"A: \xff\r\nb: c\r\n")]
    assert all(check_index(block) for block in good)


# -- requests
any_text = st.text(max_size=12)
nasty_text = st.text(st.sampled_from("aZ0:\r\n\x00\t \x7f\x80\xff\u0100-/"), max_size=8)
texts = st.one_of(any_text, nasty_text, st.text(TOKEN, min_size=1, max_size=8))


def lines_of(block):
    """The lines of a request head; AssertionError where it is not one block of lines ended by CR LF."""
    assert block.endswith(b"\r\n\r\n") and block.count(b"\r\n\r\n") == 1
    assert b"\x00" not in block
    lines = block[:-4].split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    return lines


@QUICK
@given(texts, texts, st.lists(st.tuples(texts, texts), max_size=4), st.none() | st.integers(0, 5), st.booleans(),
       st.integers(0, 1))
@example("GET", "/", [("A", "b\r\nC: d")], None, False, 1)
@example("GET", "/\r\nX: y", [], None, False, 1)
@example("GET", "/", [("Content-Length", "")], None, False, 1)
@example("GET", "/", [("Content-Length", "0\xa0")], None, False, 1)
def test_full_head_that_passed_the_checks_has_just_the_lines_it_should(method, path, fields, body_len, is_chunked, minor):
    body_len = None if is_chunked else body_len
    try:
        target = check_target(path)
        check_fields(method, fields, is_chunked or body_len is not None)
    except ValueError:
        return
    assume(target)                      # the face puts a slash there
    lines = lines_of(full_head(method.encode("ascii"), target, minor, fields, body_len, is_chunked))
    assert lines[0].split(b" ") == [method.encode(), target, b"HTTP/1.%d" % minor]
    lengths = [line.partition(b":")[2].strip(b" \t") for line in lines[1:] if line.lower().startswith(b"content-length:")]
    n_codings = sum(line.lower().startswith(b"transfer-encoding:") for line in lines[1:])
    assert n_codings == is_chunked
    if body_len is not None:
        assert lengths == [b"%d" % body_len]
    elif is_chunked:
        assert lengths == []
    else:
        assert lengths in ([], [b"0"]) or all(length.strip(b"0") == b"" != length for length in lengths)
    given_names = [name.lower().encode() for name, _ in fields if name.lower() != "content-length"]
    sent_names = [line.partition(b":")[0].lower() for line in lines[1:]]
    assert [name for name in sent_names if name not in (b"content-length", b"transfer-encoding")] == given_names


@QUICK
@given(texts)
def test_check_target_lets_only_visible_ascii_through(path):
    try:
        target = check_target(path)
    except ValueError:
        assert any(not "!" <= c <= "~" for c in path)
        return
    assert all(33 <= byte <= 126 for byte in target)
    assert target.decode() == path


@QUICK
@given(st.text(TOKEN, min_size=1, max_size=8), texts)
def test_simple_head_of_a_checked_target_has_just_the_lines_it_should(method, path):
    try:
        target = check_target(path)
    except ValueError:
        return
    lines = lines_of(simple_head(method.encode() + b" ", target, head_tail(b"host:81")))
    assert len(lines) == 3
    assert lines[2] == b"Host: host:81"


@QUICK
@given(st.one_of(any_text, nasty_text), st.one_of(any_text, nasty_text))
def test_check_fields_never_lets_a_line_break_through(name, value):
    if set(name + value) & {"\r", "\n", "\x00"}:
        try:
            check_fields("GET", [(name, value)], False)
        except ValueError:
            return
        raise AssertionError("let through")
