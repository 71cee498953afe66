"""The body of a request that comes out of a device of the user's: its length, its pieces, and what can go wrong with it.

Every call runs the device's own code, which may do anything. What it raises, or gives in place of bytes, becomes a
DeviceError.
"""
from __future__ import annotations

from _io import BufferedReader, FileIO
from os import close, fstat
from os import dup as duplicate
from stat import S_ISREG

from qhttp.devices import open_device
from qhttp.errors import DeviceError

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from typing import Any

BLOCK = 4096        # bytes of a read, as in the original


def _is_seekable(device: Any) -> bool:
    if callable(getattr(device, "isSequential", None)):     # Qt's word for it
        return hasattr(device, "seek") and not device.isSequential()
    return hasattr(device, "seek") and (not hasattr(device, "seekable") or device.seekable())


def _descriptor_of(device: Any) -> int:
    """Only of the library's own classes: what a subclass does in its read method must happen."""
    raw = device.raw if type(device) is BufferedReader else device
    if type(raw) is FileIO and S_ISREG(fstat(raw.fileno()).st_mode):
        return raw.fileno()
    return -1


def _rewind(device: Any) -> None:
    if device.seek(0) is False:     # as Qt's devices say no
        raise OSError("it does not go back to its start")


class Source:
    """`length` is in bytes; None where nobody knows, and the pieces are chunks (RFC 9112 section 7.1). `file` is a descriptor
    of a real file that the system may send from, as nothing of its class's read() is missed; -1: there is none. It is a
    duplicate: the device may be closed meanwhile, and its number belong to another file."""

    __slots__ = ("device", "file", "left", "length", "was_asked")

    device: Any
    length: int | None
    file: int
    was_asked: bool

    def __init__(self, device: Any) -> None:
        self.device, self.file, self.was_asked = device, -1, False
        try:
            open_device(device, "ReadOnly")
            self.length = self.left = self._find_length()
            descriptor = _descriptor_of(device)
            if descriptor >= 0:
                self.file = duplicate(descriptor)
        except Exception as error:
            raise DeviceError(f"Error reading from device: {error}") from error

    def __del__(self) -> None:
        if self.file >= 0:
            close(self.file)

    def _find_length(self) -> int | None:
        """Its size(), else its seekable end, else None."""
        seekable = _is_seekable(self.device)
        if seekable:
            _rewind(self.device)
        if callable(getattr(self.device, "size", None)):
            size = self.device.size()
        elif seekable:
            size = self.device.seek(0, 2)
        else:
            return None
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size < 2**62:
            raise ValueError(f"its size is {size!r}")
        return size

    def rewind(self) -> None:
        """Back to the start."""
        self.left = self.length
        try:
            if _is_seekable(self.device):
                _rewind(self.device)
                return
        except Exception as error:
            raise DeviceError(f"Error reading from device: {error}") from error
        if self.was_asked:
            raise DeviceError("the body cannot be sent again: its device cannot seek")

    @property
    def is_at_end(self) -> bool:
        return self.left == 0

    def next_piece(self) -> bytes:
        """What is to be sent next: bytes; b"" where nothing is left."""
        wanted = BLOCK if self.left is None else min(BLOCK, self.left)
        if wanted == 0:
            return b""
        self.was_asked = True
        try:
            block = self.device.read(wanted)
            if not isinstance(block, (bytes, bytearray, memoryview)):
                if not callable(getattr(block, "data", None)):      # a QByteArray has it
                    raise TypeError(f"read() must give bytes, not {type(block).__name__}")
                block = block.data()
            block = bytes(block)
        except Exception as error:
            raise DeviceError(f"Error reading from device: {error}") from error
        if len(block) > wanted:
            raise DeviceError(f"Error reading from device: it gave {len(block)} bytes, {wanted} were asked for")
        if self.left is None:
            if not block:
                self.left = 0
            return b"%x\r\n%b\r\n" % (len(block), block)
        if not block:
            raise DeviceError(f"Error reading from device: it ended {self.left} bytes early")
        self.left -= len(block)
        return block
