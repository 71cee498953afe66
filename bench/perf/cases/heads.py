"""A typical head, judged and taken apart."""

from __future__ import annotations

from qhttp._core import describe_head
from qhttp.protocol.head import is_valid_head

HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"Server: nginx/1.22.1\r\n"
    b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    b"Content-Type: application/octet-stream\r\n"
    b"Content-Length: 1024\r\n"
    b"Last-Modified: Sun, 06 Nov 1994 08:00:00 GMT\r\n"
    b"Connection: keep-alive\r\n"
    b'ETag: "2ebd4a5f-400"\r\n'
    b"Accept-Ranges: bytes\r\n\r\n"
)
N_FIELDS = 8


class IsValidHead:
    def __init__(self, port: int = 0) -> None:
        assert not is_valid_head(HEAD.replace(b"200 OK", b"200 \x01"), False)      # and llhttp is loaded

    def repeat(self, n: int) -> None:
        for _ in range(n):
            if not is_valid_head(HEAD, False):
                raise AssertionError("a valid head was refused")


class DescribeHead:
    def __init__(self, port: int = 0) -> None:
        assert describe_head(HEAD)[:4] == (1, 1, 200, "OK")

    def repeat(self, n: int) -> None:
        for _ in range(n):
            if len(describe_head(HEAD)[4]) != N_FIELDS:
                raise AssertionError("fields were lost")
