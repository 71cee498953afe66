"""The log of ended transfers: one JSON object a line, written in blocks."""
from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, BinaryIO

BLOCK_LEN = 64 * 1024       # bytes kept before they are written; a beat of the command's writes what there is


class JsonLog:
    """`add(transfer)` keeps its line, `flush()` writes what is kept. `file`: binary, unbuffered.

    Where the file does not take it, `broken(error)` is called, once, and all that comes later is dropped.
    """

    def __init__(self, file: BinaryIO, broken: Callable[[OSError], Any]):
        from json import JSONEncoder
        self._encode = JSONEncoder(separators=(",", ":"), default=str).encode
        self._file: BinaryIO | None = file
        self._broken = broken
        self._kept = bytearray()

    def add(self, transfer: Any) -> None:
        self._kept += self._encode(transfer.to_dict()).encode() + b"\n"
        if len(self._kept) >= BLOCK_LEN:
            self.flush()

    def flush(self) -> None:
        """Whole lines reach the file, unless it is full."""
        kept, self._kept = self._kept, bytearray()
        file = self._file
        if file is None or not kept:
            return
        try:
            left = memoryview(kept)
            while left:
                n_written = file.write(left)
                if n_written is None:       # a pipe that somebody has made non-blocking, and that is full
                    from select import select
                    select([], [file], [])
                left = left[n_written or 0:]
        except OSError as error:
            self._file = None
            self._broken(error)

    def close(self) -> None:
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None


def open_log(path: str) -> BinaryIO:
    """A log to append to; only its owner may read it, if it is made here: URLs may be secrets. A line that a kill has cut
    stays a line of its own. Raises OSError."""
    import os
    file = open(path, "ab", buffering=0, opener=lambda name, flags: os.open(name, flags, 0o600))
    try:
        with open(path, "rb") as written:
            is_cut = written.seek(0, os.SEEK_END) > 0 and written.seek(-1, os.SEEK_END) >= 0 and written.read(1) != b"\n"
        if is_cut:
            file.write(b"\n")
    except OSError:
        pass                        # what cannot be read, a pipe say, has no lines
    return file



def open_stdout() -> BinaryIO:
    """Stdout as a log. Raises OSError where there is none."""
    import os
    import sys
    try:
        sys.stdout.flush()
        return open(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    except (AttributeError, ValueError):
        raise OSError("stdout is closed") from None
