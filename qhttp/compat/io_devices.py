"""QIODevice, QBuffer and QFile: devices for those who have no Qt. QHttp knows a device by what it can do, not by its class."""
from __future__ import annotations

import os
from enum import IntFlag

from qhttp.byte_array import QByteArray

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from collections.abc import Callable


class OpenModeFlag(IntFlag):
    """How a device is opened (Qt: QIODevice::OpenModeFlag)."""

    NotOpen = 0
    ReadOnly = 1
    WriteOnly = 2
    ReadWrite = 3
    Append = 4
    Truncate = 8
    Text = 16           # nothing is translated
    Unbuffered = 32


_Mode = OpenModeFlag        # inside QIODevice, its name is the class's attribute


class QIODevice:
    """What the devices share (Qt: QIODevice): a mode, a position, an error in words. As in Qt nothing is raised for the state
    of a device: open() gives False, write() -1, read() nothing."""

    OpenModeFlag = OpenModeFlag
    NotOpen: _Mode
    ReadOnly: _Mode
    WriteOnly: _Mode
    ReadWrite: _Mode
    Append: _Mode
    Truncate: _Mode
    Text: _Mode
    Unbuffered: _Mode
    NotOpen, ReadOnly, WriteOnly, ReadWrite = (OpenModeFlag(number) for number in range(4))
    Append, Truncate, Text, Unbuffered = (OpenModeFlag(number) for number in (4, 8, 16, 32))

    def __init__(self) -> None:
        self._mode, self._error = 0, ""

    def __repr__(self) -> str:
        return f"<qhttp {type(self).__name__}, {'open' if self._mode else 'closed'}>"

    def open(self, mode: int) -> bool:
        """Opens it; False, with errorString(), where that cannot be (Qt: QIODevice::open)."""
        mode = int(mode)
        if self._mode or not mode & 7:
            self._error = "it is open already" if self._mode else "the mode says neither ReadOnly nor WriteOnly"
            return False
        if mode & OpenModeFlag.Append:
            mode |= OpenModeFlag.WriteOnly
        try:
            self._open(mode)
        except (OSError, ValueError) as error:
            self._error = getattr(error, "strerror", None) or str(error)
            return False
        self._mode, self._error = mode, ""
        return True

    def close(self) -> None:
        """Closes it (Qt: QIODevice::close)."""
        if self._mode:
            self._mode = 0
            self._close()

    def isOpen(self) -> bool:
        """Whether it is open (Qt: QIODevice::isOpen)."""
        return self._mode != 0

    def openMode(self) -> _Mode:
        """How it was opened (Qt: QIODevice::openMode)."""
        return OpenModeFlag(self._mode)

    def isReadable(self) -> bool:
        """Whether it is open for reading (Qt: QIODevice::isReadable)."""
        return bool(self._mode & 1)

    def isWritable(self) -> bool:
        """Whether it is open for writing (Qt: QIODevice::isWritable)."""
        return bool(self._mode & 2)

    def isSequential(self) -> bool:
        """False: it has positions (Qt: QIODevice::isSequential)."""
        return False

    def errorString(self) -> str:
        """What went wrong last, in words: str (Qt: QIODevice::errorString)."""
        return self._error

    def read(self, maxlen: int) -> QByteArray:
        """At most `maxlen` bytes from the position on (Qt: QIODevice::read)."""
        return QByteArray(self._read(maxlen)) if self._mode & 1 and maxlen > 0 else QByteArray()

    def readAll(self) -> QByteArray:
        """All bytes from the position on (Qt: QIODevice::readAll)."""
        return self.read(max(self.size() - self.pos(), 0))

    def write(self, data: bytes) -> int:
        """Writes all of `data`; the number of bytes, or -1 (Qt: QIODevice::write)."""
        if not self._mode & 2:
            return -1
        try:
            return self._write(data)
        except OSError as error:
            self._error = error.strerror or str(error)
            return -1

    def atEnd(self) -> bool:
        """Whether nothing is left to read (Qt: QIODevice::atEnd)."""
        return self.pos() >= self.size()

    # What a kind of device fills in.
    def size(self) -> int:
        """Its size in bytes: int (Qt: QIODevice::size)."""
        raise NotImplementedError

    def pos(self) -> int:
        """The position: int (Qt: QIODevice::pos)."""
        raise NotImplementedError

    def seek(self, pos: int) -> bool:
        """Goes to that position; False where there is none (Qt: QIODevice::seek)."""
        raise NotImplementedError

    def _open(self, mode: int) -> None:
        raise NotImplementedError

    def _close(self) -> None:
        pass

    def _read(self, n: int) -> bytes:
        raise NotImplementedError

    def _write(self, data: bytes) -> int:
        raise NotImplementedError


class QBuffer(QIODevice):
    """A device in memory (Qt: QBuffer)."""

    def __init__(self, data: bytes = b"") -> None:
        super().__init__()
        self._content, self._at = bytearray(data), 0

    def data(self) -> QByteArray:
        """The content (Qt: QBuffer::data)."""
        return QByteArray(self._content)

    buffer = data

    def setData(self, data: bytes) -> None:
        """Sets the content of a closed buffer (Qt: QBuffer::setData)."""
        self._content, self._at = bytearray(data), 0

    def size(self) -> int:
        return len(self._content)

    def pos(self) -> int:
        return self._at

    def seek(self, pos: int) -> bool:
        if not self._mode or not 0 <= pos <= len(self._content):
            return False
        self._at = pos
        return True

    def _open(self, mode: int) -> None:
        if mode & OpenModeFlag.Truncate or mode & 7 == OpenModeFlag.WriteOnly:
            self._content.clear()
        self._at = len(self._content) if mode & OpenModeFlag.Append else 0

    def _read(self, n: int) -> bytes:
        data = bytes(self._content[self._at:self._at + n])
        self._at += len(data)
        return data

    def _write(self, data: bytes) -> int:
        if self._mode & OpenModeFlag.Append:
            self._at = len(self._content)
        self._content[self._at:self._at + len(data)] = data
        self._at += len(data)
        return len(data)


class QFile(QIODevice):
    """A file (Qt: QFile). What is written is handed to the system at once; so a full disk shows in write()."""

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self._file_name, self._fd = os.fspath(name), -1

    def __repr__(self) -> str:
        return f"<qhttp {type(self).__name__} {self._file_name!r}, {'open' if self._mode else 'closed'}>"

    def fileName(self) -> str:
        """The name given (Qt: QFile::fileName)."""
        return self._file_name

    def setFileName(self, name: str) -> None:
        """Gives a closed file another name (Qt: QFile::setFileName)."""
        self._file_name = os.fspath(name)

    def exists(self: QFile | str) -> bool:
        """Whether it is there; also QFile.exists(name) (Qt: QFile::exists)."""
        return os.path.exists(_name_of(self))

    def remove(self: QFile | str) -> bool:
        """Closes and deletes it; also QFile.remove(name). False where that cannot be (Qt: QFile::remove)."""
        return _tried(self, os.unlink, _name_of(self))

    def rename(self: QFile | str, name: str) -> bool:
        """Closes and renames it, unless `name` exists; also QFile.rename(old, new). False where that cannot be
        (Qt: QFile::rename)."""
        if os.path.lexists(name) or not _tried(self, os.rename, _name_of(self), name):
            return False
        if isinstance(self, QFile):
            self._file_name = name
        return True

    def handle(self) -> int:
        """The descriptor, -1 for a closed file (Qt: QFile::handle)."""
        return self._fd

    def flush(self) -> bool:
        """True: nothing is held back (Qt: QFile::flush)."""
        return True

    def size(self) -> int:
        try:
            return os.fstat(self._fd).st_size if self._fd >= 0 else os.stat(self._file_name).st_size
        except OSError:
            return 0

    def pos(self) -> int:
        return os.lseek(self._fd, 0, os.SEEK_CUR) if self._fd >= 0 else 0

    def seek(self, pos: int) -> bool:
        if self._fd < 0 or pos < 0:
            return False
        os.lseek(self._fd, pos, os.SEEK_SET)
        return True

    def _open(self, mode: int) -> None:
        flags = (0, os.O_RDONLY, os.O_WRONLY, os.O_RDWR)[mode & 3] | os.O_CLOEXEC
        if mode & OpenModeFlag.WriteOnly:
            flags |= os.O_CREAT
        if mode & OpenModeFlag.Append:
            flags |= os.O_APPEND
        elif mode & OpenModeFlag.Truncate or mode & 3 == OpenModeFlag.WriteOnly:
            flags |= os.O_TRUNC
        self._fd = os.open(self._file_name, flags, 0o666)

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        os.close(fd)

    def _read(self, n: int) -> bytes:
        return os.read(self._fd, n)

    def _write(self, data: bytes) -> int:
        left = memoryview(data)
        while left:
            left = left[os.write(self._fd, left):]
        return len(data)

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            self.close()


def _name_of(file: QFile | str) -> str:
    return file._file_name if isinstance(file, QFile) else file


def _tried(file: QFile | str, deed: Callable[..., object], *args: str) -> bool:
    if isinstance(file, QFile):
        file.close()
    try:
        deed(*args)
    except OSError as error:
        if isinstance(file, QFile):
            file._error = error.strerror or str(error)
        return False
    return True
