"""What is downloaded: files whose length and content follow from a seed and their number.

The content of a file is cut out of a random block, again and again from a place of its own: two files differ, and so
do two parts of one. The block's length is a prime, so a lost, doubled or moved piece of any usual size shows.
"""

from __future__ import annotations

import functools
import hashlib
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.pattern import is_pattern

PERIOD = 1048573  # a prime
PIECE_LEN = 1 << 20  # of a file that is written or compared; at most PERIOD + 1, see pieces()
PREFIX = "/served/"  # where nginx has the files


@functools.cache
def _block(seed: int) -> bytes:
    """The period twice: a piece from anywhere is one slice."""
    return random.Random(seed).randbytes(PERIOD) * 2


@dataclass(frozen=True)
class Corpus:
    """Files 0 to `n_files` - 1 on nginx, of `min_len` to `max_len` bytes: their logarithms are spread evenly."""

    n_files: int
    min_len: int
    max_len: int
    seed: int = 5

    def _drawn(self, number: int) -> tuple[int, int]:
        """(length, where in the block it begins)"""
        digest = hashlib.blake2b(f"{self.seed}/{number}".encode(), digest_size=16).digest()
        part = int.from_bytes(digest[:8]) / 2**64
        return int(self.min_len * (self.max_len / self.min_len) ** part), int.from_bytes(digest[8:]) % PERIOD

    def name(self, number: int) -> str:
        """Of the file, in the URL and in the folder."""
        return f"f{number:07d}.bin"

    def path(self, number: int) -> str:
        """What a request asks for."""
        return PREFIX + self.name(number)

    def number(self, url: str) -> int:
        """Of the file a URL or a path ends with."""
        return int(url[-11:-4])

    def length(self, number: int) -> int:
        """In bytes."""
        return self._drawn(number)[0]

    def total_len(self) -> int:
        """Of all files."""
        return sum(map(self.length, range(self.n_files)))

    def pieces(self, number: int) -> Iterator[bytes]:
        """The content."""
        left, start = self._drawn(number)
        block = _block(self.seed)
        while left > 0:
            piece = block[start : start + min(left, PIECE_LEN)]
            yield piece
            left -= len(piece)
            start = (start + len(piece)) % PERIOD

    def is_right(self, number: int, body: bytes) -> bool:
        """True when these are the bytes of that file."""
        return body == b"".join(self.pieces(number))

    def write(self, folder: Path) -> None:
        """Make the files; real blocks on the disk, no holes."""
        for number in range(self.n_files):
            with open(folder / self.name(number), "wb", buffering=0) as file:
                for piece in self.pieces(number):
                    file.write(piece)

    def fault(self, folder: Path, own_file: str = "") -> str:
        """Compare a folder with what was served; says the first difference, "" when there is none. Another file of this name
        may be there."""
        found, names = set(os.listdir(folder)) - {own_file}, {self.name(number) for number in range(self.n_files)}
        if found != names:
            missing, surplus = names - found, found - names
            example = min(missing or surplus)
            return f"{len(missing)} files are missing and {len(surplus)} too many, such as {example}"
        for number in range(self.n_files):
            with open(folder / self.name(number), "rb", buffering=0) as file:
                if os.fstat(file.fileno()).st_size != self.length(number):
                    return f"{self.name(number)} has another length"
                if any(file.read(len(piece)) != piece for piece in self.pieces(number)):
                    return f"{self.name(number)} has other bytes"
        return ""


@dataclass(frozen=True)
class Made(Corpus):
    """The same from the benchmarks' C server, which makes each body when it is asked: lengths go round, no file is written."""

    def length(self, number: int) -> int:
        return self.min_len + number % (self.max_len - self.min_len + 1)

    def path(self, number: int) -> str:
        return f"/b/{self.length(number)}"

    def number(self, url: str) -> int:
        """The first one with this length."""
        return int(url.rpartition("/")[2]) - self.min_len

    def is_right(self, number: int, body: bytes) -> bool:
        return is_pattern(body, self.length(number))
