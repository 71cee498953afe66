"""The recorded devices: binary file objects that may refuse to be read, written or moved."""
import io


class Device(io.BytesIO):
    """A buffer that may fail to read, take only `room` bytes (and then fail, or write short), or not seek."""

    def __init__(self, data=b"", room=None, writes_short=False, can_read=True, can_seek=True):
        super().__init__(data)
        self.room, self.writes_short, self.can_read, self.can_seek = room, writes_short, can_read, can_seek

    def read(self, *size):
        if not self.can_read:
            raise OSError("this device cannot be read")
        return super().read(*size)

    def readinto(self, buffer):
        piece = self.read(len(buffer))
        buffer[:len(piece)] = piece
        return len(piece)

    def writable(self):
        return self.room is None or self.room > 0 or self.writes_short

    def write(self, data):
        if self.room is None:
            return super().write(data)
        if len(data) > self.room and not self.writes_short:
            raise OSError("this device takes no more")
        n_taken = super().write(data[:self.room])
        self.room -= n_taken
        return n_taken

    def seekable(self):
        return self.can_seek

    def seek(self, *place):
        if not self.can_seek:
            raise io.UnsupportedOperation("this device cannot seek")
        return super().seek(*place)

    def size(self):
        """What can be read from here on, as in Qt: all that is known of a device that cannot seek."""
        return len(self.getbuffer()) - self.tell()


def make_device(recorded) -> Device:
    data = b"x" * recorded["size"] if "size" in recorded else recorded.get("data", "").encode("latin-1")
    match recorded["kind"]:
        case "seq":
            return Device(data, can_seek=False)
        case "bad":
            short = recorded.get("ret") == -2
            return Device(data, recorded.get("limit", 0), short, can_read=not recorded.get("failRead"))
        case "file":                                    # one that does not exist
            return Device(room=0, can_read=False)
    device = Device(data, room=0 if recorded.get("open") == "r" else None)
    device.seek(recorded.get("seek", 0))
    return device
