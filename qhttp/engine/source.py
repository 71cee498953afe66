"""The body of a request that comes out of a device of the user's: its length, its pieces, and what can go wrong with it.

Every call runs the device's own code, which may do anything. What it raises, or gives in place of bytes, becomes a
DeviceError.
"""
from qhttp.errors import DeviceError

BLOCK = 4096        # bytes of a read, as in the original


def _is_seekable(device):
    return hasattr(device, "seek") and (not hasattr(device, "seekable") or device.seekable())


class Source:
    """`length` is in bytes; None where nobody knows, and the pieces are chunks (RFC 9112 section 7.1)."""

    __slots__ = ("device", "left", "length")

    def __init__(self, device):
        self.device = device
        try:
            self.length = self.left = self._find_length()
        except Exception as error:
            raise DeviceError(f"Error reading from device: {error}") from error

    def _find_length(self):
        """Its size(), else its seekable end, else None."""
        seekable = _is_seekable(self.device)
        if seekable:
            self.device.seek(0)
        if callable(getattr(self.device, "size", None)):
            size = self.device.size()
        elif seekable:
            size = self.device.seek(0, 2)
        else:
            return None
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size < 2**62:
            raise ValueError(f"its size is {size!r}")
        return size

    def rewind(self, again):
        """Back to the start; `again`: something of it was sent before."""
        self.left = self.length
        try:
            if _is_seekable(self.device):
                self.device.seek(0)
                return
        except Exception as error:
            raise DeviceError(f"Error reading from device: {error}") from error
        if again:
            raise DeviceError("the body cannot be sent again: its device cannot seek")

    @property
    def is_at_end(self):
        return self.left == 0

    def next_piece(self):
        """What is to be sent next: bytes; b"" where nothing is left."""
        wanted = BLOCK if self.left is None else min(BLOCK, self.left)
        if wanted == 0:
            return b""
        try:
            block = self.device.read(wanted)
            if not isinstance(block, (bytes, bytearray, memoryview)):
                raise TypeError(f"read() must give bytes, not {type(block).__name__}")
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
