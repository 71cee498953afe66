"""An open file of an HTTP server: reads what is asked for, and ahead only where it is read in order.

The first request is for the bytes that are wanted, and tells the size, too: a look at the end asks for the end. Whoever reads
on gets more each time; whoever jumps gets what he asked for, or the block size that he has set. So a table is a few requests,
and a Parquet file's columns no more bytes than they have. All pieces are of one version: the entity tag, or what else the
server says of it, the size and date, of the first is that of all. An answer that has less than was asked for is an error:
to a reader it would be the end of the file.
"""
from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from fsspec.asyn import sync

from qhttp.bulk.byteranges import content_range_of, parse_content_range
from qhttp.bulk.resume import is_etag
from qhttp.bulk.transfer import Transfer
from qhttp.errors import BodyError
from qhttp.protocol.shown import shown_url

if TYPE_CHECKING:
    from qhttp.fs import QHttpFileSystem

TAIL = 64 << 10             # what a look at the end fetches: a Parquet footer is in it, as a rule
READ_AHEAD = 1 << 20        # of the first read in order ...
GROWTH = 4                  # ... so many times as much with each further one ...
READ_AHEAD_MAX = 32 << 20   # ... up to so much
WHOLE = (200, 203)          # answers that are the file (RFC 9110 section 15.3)
CHANGED = "the file has changed while it was read: open it again"


class Window:
    """Bytes of a file that came together: `data` from `start` on, of `total` (None: the server does not know), of `version`."""

    __slots__ = ("data", "start", "total", "version")

    start: int
    data: memoryview
    total: int | None
    version: object

    def __init__(self, start: int, data: memoryview, total: int | None, version: object):
        self.start, self.data, self.total, self.version = start, data, total, version

    @property
    def end(self) -> int:
        """Of the last byte, plus one."""
        return self.start + len(self.data)

    @classmethod
    def of(cls, answer: Transfer, start: int, end: int | None, version: object = None) -> Window:
        """Out of the answer to a request for bytes [start, end), to the end where that is None, or for the last -start ones.
        Raises BodyError for another range, or another version."""
        content = memoryview(answer.content or b"")
        total: int | None
        if answer.status == 206:
            at, total = _range_of(answer, start, end, len(content))
        elif answer.status == 416:          # there is nothing where it was asked for
            at, content, total = max(start, 0), memoryview(b""), _total_of(answer)
            if total is None or (start < total if start >= 0 else total > 0):
                raise BodyError("the server does not send a range that the file has, or does not say how large that is")
        elif answer.status in WHOLE:
            at, total = 0, len(content)
        else:
            raise BodyError(f"the server answered {answer.status}, which is not the file")
        tag = answer.header("etag")
        is_strong = tag is not None and is_etag(tag) and not tag.startswith("W/")
        own = tag if is_strong else (tag, total, answer.header("last-modified"))
        if answer.status == 416:            # as a rule it says nothing of the version
            own = version
        if version is not None and own != version:
            raise BodyError(CHANGED)
        return cls(at, content, total, own)

    def cut(self, start: int, end: int | None) -> memoryview:
        """What it has of [start, end), or of the last -start bytes."""
        if start < 0:
            start = max((self.total if self.total is not None else self.end) + start, 0)
        first = max(start - self.start, 0)
        return self.data[first:None if end is None else max(end - self.start, first)]

    def last(self, n: int) -> Window:
        """One of its last n bytes at most, which does not hold the others in memory."""
        if len(self.data) <= n:
            return self
        return Window(self.end - n, memoryview(bytes(self.data[-n:])), self.total, self.version)

    def has(self, start: int, end: int | None) -> bool:
        """Whether it has all that there is of [start, end)."""
        return self.start <= start and (self.end == self.total or (end is not None and end <= self.end))


def _range_of(answer: Transfer, start: int, end: int | None, n: int) -> tuple[int, int | None]:
    """(first byte, total) of a 206 with n bytes. Raises BodyError unless it has all that there is of what was asked for."""
    try:
        found = content_range_of(answer.headers)
    except ValueError as error:
        raise BodyError(str(error)) from None
    at, total = found.start, found.total
    if at is None or found.length != n:
        raise BodyError("the server's answer does not have the bytes that it announces")
    if start < 0:
        is_all = total is not None and (at, at + n) == (max(total + start, 0), total)
    else:
        behind = total if end is None else end if total is None else min(end, total)
        is_all = at == start and behind is not None and at + n >= behind
    if not is_all:
        raise BodyError("the server sends another range than it was asked for, or less of it")
    return at, total


def _total_of(answer: Transfer) -> int | None:
    try:
        return parse_content_range(answer.header("content-range", "")).total
    except ValueError:
        return None


class RemoteFile(io.BufferedIOBase):
    """A binary file for reading; `size` (bytes) is asked for when it is needed."""

    fs: QHttpFileSystem
    path: str
    name: str

    mode = "rb"

    def __init__(self, fs: QHttpFileSystem, path: str, block_size: int | None = None):
        self.fs, self.path, self.name = fs, path, path
        self._at, self._first_ahead, self._jump_ahead = 0, block_size or READ_AHEAD, block_size or 0
        self._ahead = self._first_ahead
        self._window: Window | None = None
        self._tail: Window | None = None
        self._size: int | None = None
        self._version: object = None

    def __repr__(self) -> str:
        return f"<qhttp file {shown_url(self.path)} at {self._at}>"

    def readable(self) -> bool:
        return not self.closed

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    @property
    def size(self) -> int:
        """Bytes of the file."""
        if self._size is None:
            self._tail = self.fs._recent_tail(self.path)
            if self._tail is None or self._version not in (None, self._tail.version):
                self._tail = self._fetch(-TAIL, None)
                self.fs._keep_tail(self.path, self._tail)
            self._version = self._version or self._tail.version
            self._size = self._tail.end
        return self._size

    def seek(self, offset: int, whence: int = 0) -> int:
        base = {0: 0, 1: self._at, 2: 0}.get(whence)
        if base is None:
            raise ValueError(f"whence must be 0, 1 or 2, not {whence}")
        at = offset + (self.size if whence == 2 else base)
        if at < 0:
            raise ValueError(f"seek to {at}, before the beginning")
        self._at = at
        return at

    def read(self, n: int | None = -1, /) -> bytes:
        self._check()
        got = self._piece(self._at, None if n is None or n < 0 else self._at + n)
        self._at += len(got)
        return bytes(got)

    def read1(self, n: int = -1, /) -> bytes:
        return self.read(self._first_ahead if n < 0 else n)

    def readinto(self, buffer: Any, /) -> int:
        self._check()
        view = memoryview(buffer).cast("B")
        got = self._piece(self._at, self._at + len(view))
        view[:len(got)] = got
        self._at += len(got)
        return len(got)

    readinto1 = readinto

    def _check(self) -> None:
        if self.closed:
            raise ValueError("the file is closed")

    def _piece(self, start: int, end: int | None) -> memoryview | bytes:
        """[start, end), less at the end of the file."""
        if self._size is not None:
            end = self._size if end is None else min(end, self._size)
        if end is not None and end <= start:
            return b""
        for window in (self._window, self._tail):
            if window is not None and window.has(start, end):
                return window.cut(start, end)
        window, have = self._window, b""
        if window is not None and window.start <= start <= window.end:          # reads on: what is there, and ahead
            have = bytes(window.cut(start, None))
            ahead, self._ahead = self._ahead, min(GROWTH * self._ahead, READ_AHEAD_MAX)
        else:
            self._ahead = self._first_ahead
            ahead = self._first_ahead if start == 0 else self._jump_ahead
        begin = start + len(have)
        stop = None if end is None else max(end, begin + ahead)
        if stop is not None and self._size is not None:
            stop = min(stop, self._size)
        self._window = window = self._fetch(begin, stop)
        more = window.cut(begin, end)
        return have + bytes(more) if have else more

    def _fetch(self, start: int, end: int | None) -> Window:
        try:
            window: Window = sync(self.fs.loop, self.fs._window, self.path, start, end, self._version)
            if window.total is not None and self._size not in (None, window.total):
                raise BodyError(CHANGED)
        except BodyError:
            self.fs._forget(self.path)      # who opens it again begins with what is there now
            raise
        self._version = self._version or window.version
        if window.total is not None:
            self._size = window.total
        return window
