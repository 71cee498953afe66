"""describe_head: a block of bytes taken apart into what header objects are made of."""
import pytest

from qhttp._core import describe_head

OK = b"HTTP/1.1 200 OK\r\n"


def fields(*lines):
    """The fields of a head with these field lines."""
    return describe_head(OK + b"".join(line + b"\r\n" for line in lines) + b"\r\n")[4]


@pytest.mark.parametrize("line, parts", [
    (b"HTTP/1.1 200 OK", (1, 1, 200, "OK")),
    (b"HTTP/1.0 404 Not  Found", (1, 0, 404, "Not  Found")),
    (b"HTTP/1.1 204", (1, 1, 204, "")),
    (b"HTTP/1.1 204 ", (1, 1, 204, "")),
    (b"HTTP/1.1 500 S\xfcnde", (1, 1, 500, "S\xfcnde")),
    (b"HTTP/9.9 999 x:y", (9, 9, 999, "x:y")),
])
def test_describe_head_status_line_gives_its_parts(line, parts):
    assert describe_head(line + b"\r\n\r\n") == (*parts, [])


@pytest.mark.parametrize("line, field", [
    (b"Name: value", ("Name", "value")),
    (b"name:value", ("name", "value")),
    (b"Name: \t value \t ", ("Name", "value")),
    (b"Name:", ("Name", "")),
    (b"Name:  ", ("Name", "")),
    (b"Name: a: b", ("Name", "a: b")),
    (b"!#$%&'*+-.^_`|~0Az: x", ("!#$%&'*+-.^_`|~0Az", "x")),
    (b"Name: \xe4\xff", ("Name", "\xe4\xff")),
    (b"Name: a \t b", ("Name", "a \t b")),
])
def test_describe_head_field_line_gives_name_and_trimmed_value(line, field):
    assert fields(line) == [field]


def test_describe_head_fields_keep_order_spelling_and_repetition():
    assert fields(b"B: 1", b"a: 2", b"b: 3") == [("B", "1"), ("a", "2"), ("b", "3")]


@pytest.mark.parametrize("lines, value", [
    ([b"F: a", b" b"], "a b"),
    ([b"F: a", b"\tb"], "a b"),
    ([b"F: a  ", b" \t b\t ", b"  c"], "a b c"),
    ([b"F:", b" b"], "b"),
    ([b"F:   ", b"  b", b" c"], "b c"),
    ([b"F: \xe4", b" \xf6"], "\xe4 \xf6"),
    ([b"F: a:", b" G: b"], "a: G: b"),
])
def test_describe_head_folded_lines_are_joined_by_one_blank(lines, value):
    assert fields(*lines, b"Next: n") == [("F", value), ("Next", "n")]


@pytest.mark.parametrize("block", [
    b"", b"\r\n\r\n", b"\n", b"HTTP/1.1", b"HTTP/1.1 20 OK\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n", b"HTTP/11 200 OK\r\n\r\n",
    b"http/1.1 200 OK\r\n\r\n", b"HTTP/1.1  200 OK\r\n\r\n", b"HTTP/1.1\t200 OK\r\n\r\n", b"ICY 200 OK\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n", b"\r\n" + OK + b"\r\n", b"HTTP/1.1 000 x\r\n\r\n",
    OK + b"no colon\r\n\r\n", OK + b": nameless\r\n\r\n", OK + b"blank : x\r\n\r\n", OK + b" fold: of nothing\r\n\r\n",
    OK + b"N\xe4me: x\r\n\r\n", OK + b"N: a\x00b\r\n\r\n", OK + b"N: a\rb\r\n\r\n", OK + b"N: a\r\n \r\n\r\n",
    OK + b"N: a\r\n b\x00\r\n\r\n", b"HTTP/1.1 200 O\x00K\r\n\r\n", b"HTTP/1.1 200 O\rK\r\n\r\n",
])
def test_describe_head_block_that_is_no_head_is_refused(block):
    with pytest.raises(ValueError):
        describe_head(block)


@pytest.mark.parametrize("block", [None, "HTTP/1.1 200 OK\r\n\r\n", bytearray(OK + b"\r\n")])
def test_describe_head_block_that_is_no_bytes_is_refused(block):
    with pytest.raises(TypeError):
        describe_head(block)


def test_describe_head_many_fields_are_all_there():
    lines = [b"N%d: %d" % (n, n) for n in range(5000)]
    assert fields(*lines) == [(f"N{n}", str(n)) for n in range(5000)]
