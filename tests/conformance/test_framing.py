"""The judge of bodies knows which answers are whole."""
import pytest

from conformance.framing import DAMAGED, OPEN, WHOLE, framed

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("data, body", [
    (OK + b"Content-Length: 2\r\n\r\nok", b"ok"),
    (OK + b"Content-Length: 2, 2\r\n\r\nokmore", b"ok"),
    (CHUNKED + b"2;x=y\r\nok\r\n1\r\n!\r\n0\r\nA: b\r\n\r\n", b"ok!"),
    (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n", b""),
    (OK + b"A: b\r\n c\r\nContent-Length: 1\r\n\r\nx", b"x"),
    (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
])
def test_framed_whole_answer_gives_its_body(data, body):
    assert framed("GET", data, None) == (body, WHOLE)


@pytest.mark.parametrize("data", [
    b"ICY 200 OK\r\n\r\n", OK + b"no colon\r\n\r\n", OK + b"A: \0\r\n\r\n", OK + b"A: b\n\n",
    OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nokk", OK + b"Content-Length: +2\r\n\r\nok",
    OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", CHUNKED + b"0x2\r\nok\r\n0\r\n\r\n", CHUNKED + b"2\r\nokk\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nContent-Length: x\r\n\r\n",
])
def test_framed_malformed_answer_is_damaged(data):
    assert framed("GET", data, None)[1] is DAMAGED


@pytest.mark.parametrize("data, body", [
    (b"", b""), (OK, b""), (OK + b"Content-Length: 3\r\n\r\nok", b"ok"), (OK + b"\r\nok", b"ok"),
    (CHUNKED + b"3\r\nok", b"ok"), (CHUNKED + b"2\r\nok\r", b"ok"), (CHUNKED + b"2\r\nok\r\n0\r\n", b"ok"),
])
def test_framed_begun_answer_is_open_and_damaged_once_reset(data, body):
    assert framed("GET", data, None) == (body, OPEN)
    assert framed("GET", data, "rst") == (body, DAMAGED)


def test_framed_until_close_whole_only_with_fin():
    assert framed("GET", OK + b"\r\nok", "fin") == (b"ok", WHOLE)
    assert framed("GET", OK + b"\r\nok", "rst") == (b"ok", DAMAGED)


def test_framed_answer_to_head_has_no_body():
    assert framed("HEAD", OK + b"Content-Length: 5\r\n\r\n", None) == (b"", WHOLE)
