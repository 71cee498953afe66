"""Files that nobody stores: size, content and validators are functions of a seed, a number and a version.

    files = SeededFiles(seed=7)
    files.size(12)                              # 0 .. largest, log-uniform: each order of magnitude is as likely
    files.view(12, start=100, end=200)          # memoryview, without a copy; the same bytes in every process

A content is a slice of one random block, at a place that number and version choose. Two versions of a file never have the
same place, so that any file of more than a few bytes tells which version it is, and whether its bytes stand where they should.
"""
import hashlib
import random
from email.utils import formatdate

LARGEST = 1 << 20           # bytes of the largest file, unless told
BLOCK_LEN = 8 << 20         # of the random block; a power of two
STEP = 2_654_435_761        # odd: versions 0 .. BLOCK_LEN - 1 of a file stand at different places
FIRST_DATE = 1_700_000_000  # Last-Modified of version 0; each version is a day younger
DAY_S = 86_400
OWN_LEN = 32                # of a content, that nothing else begins with


def numbers(*key: int) -> tuple[int, float, float]:
    """Three independent numbers of a key: 32 bits, and two of [0, 1)."""
    digest = hashlib.blake2b(b"%d " * len(key) % key, digest_size=12).digest()
    return (int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:8], "big") / 2**32,
            int.from_bytes(digest[8:], "big") / 2**32)


class SeededFiles:
    """The files of one seed, up to `largest` bytes each (at most BLOCK_LEN)."""

    def __init__(self, seed: int, largest: int = LARGEST):
        if not 0 <= largest <= BLOCK_LEN:
            raise ValueError(f"largest must be 0 .. {BLOCK_LEN}")
        self.seed, self.largest = seed, largest
        block = random.Random(seed).randbytes(BLOCK_LEN)
        self._block = memoryview(block + block[:largest])

    def size(self, number: int, version: int = 0) -> int:
        """Bytes of a file."""
        _, u, _ = numbers(self.seed, number, version)
        return min(self.largest, int((self.largest + 1) ** u) - 1)

    def view(self, number: int, version: int = 0, start: int = 0, end: int | None = None) -> memoryview:
        """The bytes [start, end) of a file; to its end where none is given."""
        size = self.size(number, version)
        end = size if end is None else min(end, size)
        place = (numbers(self.seed, number)[0] + version * STEP) % BLOCK_LEN
        return self._block[place + min(start, end):place + end]

    def sha256(self, number: int, version: int = 0) -> bytes:
        """The SHA-256 of a file, 32 bytes."""
        return hashlib.sha256(self.view(number, version)).digest()

    def owner(self, data: bytes, n_files: int) -> int | None:
        """Whose these bytes are, by their beginning: the first such file of 0 .. n_files - 1; None: nobody's."""
        start = data[:OWN_LEN]
        return next((number for number in range(n_files if start else 0) if self.view(number, 0, 0, len(start)) == start), None)

    def etag(self, number: int, version: int = 0) -> str:
        """A strong entity tag, with its quotes."""
        return f'"{self.seed}-{number}-{version}"'

    def last_modified(self, number: int, version: int = 0) -> str:
        """A date in the form of HTTP (RFC 9110 section 5.6.7)."""
        return formatdate(FIRST_DATE + number + version * DAY_S, usegmt=True)
