"""What has to hold before a file may have its name: the checksums that were given, and those that the server has sent.

Runs on the file thread: hashing a large file takes seconds.
"""
from __future__ import annotations

import os
from stat import S_ISREG

from qhttp.bulk.integrity import Checksum, Hashers, server_digests
from qhttp.bulk.settings import Settings
from qhttp.errors import BodyError, FileError

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from typing import Any

READ_LEN = 1 << 20


def checksums_of(given: str | list[str] | None) -> list[Checksum]:
    """From a row's `checksum`."""
    return [Checksum.parse(text) for text in ([given] if isinstance(given, str) else given or ())]


class Check:
    """Called with a Placing on the file thread. `digests`: algorithm -> hex, of what was hashed.

    wanted: checksums that must hold. algorithms: those that are computed in any case, by hashlib's names.
    """

    __slots__ = ("_algorithms", "_wanted", "digests")

    def __init__(self, wanted: list[Checksum], algorithms: Any = ()):
        self._wanted, self._algorithms = wanted, [*algorithms, *(checksum.algorithm for checksum in wanted)]
        self.digests: dict[str, str] = {}

    @classmethod
    def of(cls, settings: Settings, given: str | list[str] | None, fields: list[tuple[str, str]],
           kinds: list[str]) -> Check | None:
        """For an answer with these fields; None: there is nothing to compare or compute. `kinds`: which of the server's
        digests are about what is stored: "representation", "content"."""
        wanted = checksums_of(given)
        if settings.server_digest and kinds:
            wanted += [digest for digest in server_digests(fields, settings.content_md5) if digest.of in kinds]
        return cls(wanted, settings.hashes) if wanted or settings.hashes else None

    def __call__(self, placing: Any) -> None:
        if placing.body is not None:
            self.check_bytes(placing.body)
        else:
            self.check_descriptor(placing.fd)

    def check_bytes(self, body: bytes) -> None:
        """Raises ChecksumMismatch."""
        hashers = Hashers(self._algorithms)
        hashers.update(body)
        self._compare(hashers)

    def check_descriptor(self, fd: int) -> None:
        """The same of all that is in a file. Raises OSError, too."""
        hashers, room, offset = Hashers(self._algorithms), bytearray(READ_LEN), 0
        view = memoryview(room)
        while n := os.preadv(fd, [room], offset):
            hashers.update(view[:n])
            offset += n
        self._compare(hashers)

    def _compare(self, hashers: Hashers) -> None:
        self.digests = {name: hashers.hexdigest(name) for name in hashers.algorithms}
        for checksum in self._wanted:
            hashers.verify(checksum)


def check_existing(path: str, row: dict[str, Any] | None) -> int:
    """The size of a file that is to be taken as done. Raises OSError; BodyError, ChecksumMismatch: it is not what the row
    says."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)      # a FIFO would keep us waiting
    try:
        about = os.fstat(fd)
        size = about.st_size
        if not S_ISREG(about.st_mode):
            raise FileError(f"{path} is there, and no file: choose another name")
        if row is not None and row.get("size") is not None and size != row["size"]:
            raise BodyError(f"{path} exists, and has {size} bytes instead of the {row['size']} that the list says")
        wanted = checksums_of((row or {}).get("checksum"))
        if wanted:
            Check(wanted).check_descriptor(fd)
        return size
    finally:
        os.close(fd)


