"""The body of a request that comes out of a device of the user's: its length, its pieces, and what can go wrong with it.

Every call runs the device's own code, which may do anything. What it raises, or gives in place of bytes, becomes a
DeviceError.
"""
from _io import BufferedReader, FileIO
from os import fstat
from stat import S_ISREG

from qhttp.devices import open_device
from qhttp.errors import DeviceError

BLOCK = 4096        # bytes of a read, as in the original


def _is_seekable(device):
    if callable(getattr(device, "isSequential", None)):     # Qt's word for it
        return hasattr(device, "seek") and not device.isSequential()
    return hasattr(device, "seek") and (not hasattr(device, "seekable") or device.seekable())


def _descriptor_of(device):
    """Only of the library's own classes: what a subclass does in its read method must happen."""
    raw = device.raw if type(device) is BufferedReader else device
    if type(raw) is FileIO and S_ISREG(fstat(raw.fileno()).st_mode):
        return raw.fileno()
    return -1


def _rewind(device):
    if device.seek(0) is False:     # as Qt's devices say no
        raise OSError("it does not go back to its start")


class Source:
    """`length` is in bytes; None where nobody knows, and the pieces are chunks (RFC 9112 section 7.1). `file` is the descriptor
    of a real file that the system may send from, whatever its class's read() does not do; -1: there is none."""

    __slots__ = ("device", "file", "left", "length", "was_read")

    def __init__(self, device):
        self.device, self.was_read = device, False
        try:
            open_device(device, "ReadOnly")
            self.length = self.left = self._find_length()
            self.file = _descriptor_of(device)
        except Exception as error:
            raise DeviceError(f"Error reading from device: {error}") from error

    def _find_length(self):
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

    def rewind(self):
        """Back to the start."""
        self.left = self.length
        try:
            if _is_seekable(self.device):
                _rewind(self.device)
                return
        except Exception as error:
            raise DeviceError(f"Error reading from device: {error}") from error
        if self.was_read:
            raise DeviceError("the body cannot be sent again: its device cannot seek")

    @property
    def is_at_end(self):
        return self.left == 0

    def next_piece(self):
        """What is to be sent next: bytes; b"" where nothing is left."""
        wanted = BLOCK if self.left is None else min(BLOCK, self.left)
        if wanted == 0:
            return b""
        self.was_read = True
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
