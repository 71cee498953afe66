"""What is to be fetched: the URLs of the command line and the rows of lists, one by one, as the downloader asks for them."""
from __future__ import annotations

import sys
from io import BufferedReader, FileIO

from qhttp.cli.arguments import UsageError
from qhttp.cli.exits import OTHER, Failures
from qhttp.cli.pipe import PipedRows
from qhttp.errors import ManifestError, QHttpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from typing import Any, BinaryIO

    from _typeshed import WriteableBuffer

    from qhttp.cli.messages import Messages

COUNT_CAP = 1 << 28         # bytes of a list that are looked through to count its rows
COUNT_BLOCK = 1 << 20


class Intake:
    """What cannot be read is told, counted in `failures` and passed over; with `fail_fast` None comes in its place, and
    `stop()` is called in the loop's next turn."""

    is_over: bool
    n_unreadable: int

    def __init__(self, arguments: argparse.Namespace, messages: Messages, failures: Failures, stop: Callable[[], Any]):
        self._messages, self._failures, self._stop = messages, failures, stop
        self._fail_fast, self._has_stopped = arguments.fail_fast, False
        self._given = _given_rows(arguments)
        self._lists = [(path, _opened(path, arguments.input_format)) for path in arguments.input_file or ()]
        self._piped: list[PipedRows] = []
        self._n_given = 0
        self.is_over = False        # all rows were given
        self.n_unreadable = 0
        self._n_expected: int | None = None

    def rows(self, more: Callable[[], Any]) -> Iterator[str | dict[str, Any] | None]:
        """The rows, as URLs where they are no more than that: those cost the downloader less. None where a pipe has nothing
        now: `more()` is called in the loop when it is worth asking again."""
        for row in self._given:
            self._n_given += 1
            yield row["url"] if len(row) == 1 else row
        for path, rows in self._lists:
            source: Iterator[Any] = rows
            if _is_slow(path):
                source = PipedRows(rows, more)
                self._piped.append(source)
            for read in self._readable(path, source):
                self._n_given += read is not None
                yield read["url"] if read is not None and len(read) == 1 else read
        self.is_over = True

    def block(self) -> None:
        """From now on rows() waits for pipes: the loop has nothing else to do."""
        for rows in self._piped:
            rows.block()

    def reads(self, path: str) -> bool:
        """Whether a file is one of the lists."""
        return any(_is_same(path, 0 if each == "-" else each) for each, _ in self._lists)

    def _readable(self, path: str, rows: Iterator[Any]) -> Iterator[dict[str, Any] | None]:
        """The rows without what cannot be read. A list that breaks off is told of like a row."""
        while True:
            try:
                row: dict[str, Any] | ManifestError | None = next(rows)
            except StopIteration:
                return
            except (QHttpError, OSError, ValueError) as error:
                row = ManifestError(f"{path} cannot be read on: {error}")
            if not isinstance(row, ManifestError):
                yield row
                continue
            self.n_unreadable += 1
            self._messages.failure(str(row))
            self._failures.add(OTHER)
            if self._fail_fast and not self._has_stopped:
                from qhttp._core import loop
                self._has_stopped = True
                loop().call_soon(self._stop)
            if self._fail_fast:
                yield None              # nothing more is begun; what is left is read on for --save-session

    def n_unread(self) -> int | None:
        """About how many rows there are that nobody has asked for yet; None: nobody knows."""
        if self.is_over:
            return 0
        if self._n_expected is None:
            return None
        return max(0, self._n_expected - self._n_given)

    def count(self) -> None:
        """Has a look at the lists for n_unread(), if that is possible and quick."""
        counts = [_n_lines(path) for path, _ in self._lists]
        if None not in counts:
            self._n_expected = len(self._given) + sum(n or 0 for n in counts)


def _given_rows(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of the URLs on the command line."""
    extra: dict[str, Any] = {}
    if arguments.checksum:
        extra["checksum"] = arguments.checksum
    if arguments.out is not None:       # its folder is that of the settings
        extra["out"] = arguments.settings["name"]
    if arguments.mirrors:
        first, *others = arguments.urls
        return [{"url": first, "mirrors": others, **extra}]
    return [{"url": url, **extra} for url in arguments.urls]


def _opened(path: str, form: str | None) -> Iterator[dict[str, Any] | ManifestError]:
    """The rows of a list. Raises UsageError where it cannot be read at all."""
    from qhttp.bulk.manifest import read_list
    if path == "-" and sys.stdin is None:
        raise UsageError("-i -: stdin is closed")
    try:
        return read_list(path, format=form, stdin=_stdin() if path == "-" else None)
    except (ManifestError, ValueError, ImportError, OSError) as error:
        raise UsageError(f"-i {path}: {error}") from None


class _Waiting(FileIO):
    """A file that somebody may have made non-blocking: a reader with a buffer takes "nothing now" for the end."""

    def readinto(self, buffer: WriteableBuffer) -> int:
        while (n := super().readinto(buffer)) is None:
            from select import POLLIN, poll
            waiting = poll()
            waiting.register(self, POLLIN)
            waiting.poll()
        return n


def _stdin() -> BinaryIO | None:
    """Stdin with a buffer of its own: where a thread waits in that of sys.stdin, the interpreter cannot end. None: as it is."""
    try:
        return BufferedReader(_Waiting(sys.stdin.fileno(), closefd=False))
    except (AttributeError, OSError, ValueError):       # closed, or no real file
        return None


def _is_slow(path: str) -> bool:
    """Whether reading it may have to wait: for what stands behind a pipe, a terminal, a socket."""
    import os
    import stat
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode if path == "-" else os.stat(path).st_mode
    except (AttributeError, OSError, ValueError):       # no real file
        return False
    return not stat.S_ISREG(mode)


def _is_same(path: str, other: str | int) -> bool:
    from os.path import samefile
    try:
        return samefile(path, other)
    except OSError:         # one of them is not there
        return False


def _n_lines(path: str) -> int | None:
    """About how many rows a list has: its lines without those that are empty, indented or comments. None: no such list."""
    import os
    if not os.path.isfile(path) or path.endswith((".meta4", ".metalink", ".parquet")) or os.path.getsize(path) > COUNT_CAP:
        return None
    n = 0
    last = b"\n"
    with open(path, "rb") as file:
        while block := file.read(COUNT_BLOCK):
            text = last + block
            n += block.count(b"\n") - sum(text.count(b"\n" + c) for c in (b"\n", b" ", b"\t", b"#"))
            last = block[-1:]
    return max(0, n + (last != b"\n"))
