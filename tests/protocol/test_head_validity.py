"""is_valid_head: which blocks llhttp and we let pass as the head of an answer."""
import sys

import pytest

from qhttp.protocol.head import is_valid_head

OK = b"HTTP/1.1 200 OK\r\n"


def head(*lines):
    return OK + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


@pytest.mark.parametrize("block", [
    head(),
    head(b"Content-Length: 5"),
    head(b"Content-Length: 0"),
    head(b"Transfer-Encoding: chunked"),
    head(b"Connection: close", b"Connection: keep-alive"),
    head(b"Name:"),
    head(b"Name:value"),
    head(b"Name: \t a \t b \t"),
    head(b"Name: \xe4\x80\xff"),
    head(b"!#$%&'*+-.^_`|~09: x"),
    head(*[b"N%d: x" % n for n in range(500)]),
    head(b"Upgrade: h2c", b"Connection: upgrade"),
    b"HTTP/1.0 200 OK\r\n\r\n",
    b"HTTP/1.1 204\r\n\r\n",
    b"HTTP/1.1 204 \r\n\r\n",
    b"HTTP/1.1 404 Nicht da, \xfcberall\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.1 599 x\r\n\r\n",
])
def test_is_valid_head_good_block_passes(block):
    assert is_valid_head(block, False) is True


@pytest.mark.parametrize("block", [
    b"HTTP/1.1 200 OK\n\n",
    b"HTTP/1.1 200 OK\n\r\n",
    OK + b"Name: x\n\r\n",
    OK + b"Name: x\r\n\n",
    OK + b"Name: x\r\r\n\r\n",
    b"ICY 200 OK\r\n\r\n",
    b"http/1.1 200 OK\r\n\r\n",
    b"HTTP/11 200 OK\r\n\r\n",
    b"HTTP/1.10 200 OK\r\n\r\n",
    b"HTTP/1.1 2x0 OK\r\n\r\n",
    b"HTTP/1.1 20 OK\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\n\r\n",
    b"HTTP/1.1  200 OK\r\n\r\n",
    b"HTTP/1.1 \r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    head(b"Name"),
    head(b": x"),
    head(b"Name : x"),
    head(b"Na me: x"),
    head(b"N\xe4me: x"),
    head(b"Na\x00me: x"),
    head(b"Name: a\x00b"),
    head(b"Name: a\rb"),
    head(b"Name: a\x01b"),
    head(b"Name: a\x7fb"),
    head(b"Name: a\x1b[31m"),
    head(b"Content-Length: x"),
    head(b"Content-Length: -5"),
    head(b"Content-Length: 5", b"Content-Length: 6"),
    head(b"Content-Length: 99999999999999999999999"),
    head(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    head(b"Name: a", b" folded"),                           # only with has_fold
    head(b" folded: from nothing"),
])
def test_is_valid_head_bad_block_is_refused(block):
    assert is_valid_head(block, False) is False


@pytest.mark.parametrize("control", [1, 27, 127])
def test_is_valid_head_control_character_in_the_reason_is_refused(control):
    assert is_valid_head(b"HTTP/1.1 200 O%bK\r\n\r\n" % bytes([control]), False) is False


# -- folded values
@pytest.mark.parametrize("lines", [
    [b"Name: a", b" b"], [b"Name: a", b"\tb"], [b"Name: a", b"  b", b"\t c"], [b"Name:", b" b"],
    [b"Name: a \t", b" \t b\xe4"], [b"Name: a", b" b", b"Next: c", b" d"],
])
def test_is_valid_head_folded_value_passes_where_the_index_saw_it(lines):
    assert is_valid_head(head(*lines), True) is True


@pytest.mark.parametrize("control", [n for n in range(32) if n not in (9, 10, 13)] + [127])
@pytest.mark.parametrize("form", [b"Name: a%b\r\n b", b"Name: a\r\n b%b", b"Name: a\r\n %b", b"Name: a\r\n b\r\nOther: x%by"])
def test_is_valid_head_folded_value_with_a_control_character_is_refused(form, control):
    assert is_valid_head(head(form % bytes([control])), True) is False


@pytest.mark.parametrize("lines", [
    [b"Name: a", b" b", b"Bad name: x"],
    [b"Name: a", b" b", b"Other : x"],
    [b"Name: a", b" b", b"Content-Length: 5", b"Content-Length: 6"],
    [b"Name: a", b" b", b"Content-Length: 5", b"Transfer-Encoding: chunked"],
    [b"Name: a", b" b\n\n"],
    [b"Name: a\n b"],
    [b"Name: a", b" b\rc"],
])
def test_is_valid_head_folded_value_makes_nothing_else_lenient(lines):
    assert is_valid_head(head(*lines), True) is False


# -- the parser
def test_is_valid_head_judges_each_block_anew():
    good, bad = head(b"Content-Length: 5"), head(b"Bad name: x")
    assert [is_valid_head(block, False) for block in (good, bad, good, good, bad)] == [True, False, True, True, False]


def test_is_valid_head_leaves_no_reference_to_the_block():
    block = head(b"Name: value")
    before = sys.getrefcount(block)
    for _ in range(100):
        is_valid_head(block, False)
        is_valid_head(block, True)
    assert sys.getrefcount(block) == before


@pytest.mark.parametrize("block", ["HTTP/1.1 200 OK\r\n\r\n", bytearray(OK)])
def test_is_valid_head_block_that_is_no_bytes_is_refused(block):
    with pytest.raises(TypeError):
        is_valid_head(block, False)
