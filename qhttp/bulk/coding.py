"""Content codings undone piece by piece (RFC 9110 section 8.4), in bounded memory and time.

A coded body says itself where it ends, whatever the framing says: one that was cut off before is an error, never a shorter
file. One coded byte can stand for a megabyte: no piece is larger than PIECE_CAP, and growth has limits.
"""
from __future__ import annotations

import zlib

from qhttp.errors import DecodeError, TooLarge, Truncated

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, TypeAlias

    _Buffer: TypeAlias = bytes | bytearray | memoryview

MAX_CODINGS = 5                 # one after the other on one body
MAX_EXPANSION = 1000            # decoded bytes for one coded byte ...
EXPANSION_FROM = 64 << 20       # ... of what is longer than this
PIECE_CAP = 256 << 10           # of one decoded piece
STEP_LEN = 16 << 10             # coded bytes given to a decoder at once: what it did not use is copied at each piece
MEMBERS_FROM = 4096             # gzip members and zstd frames that are always decoded; of more, one ...
MEMBER_LEN = 16                 # ... for so many coded bytes: each costs time, even an empty one
WINDOW_LOG_MAX = 23             # zstd: 8 MiB (RFC 9659 section 3)

_BROTLI_CAP = 64 << 10          # brotli ends a piece at the first step of 32, 96, 352 ... KiB that is as long as its limit
_GZIP, _ZLIB, _RAW = 31, 15, -15        # wbits of zlib
_ZSTD_STARTS = bytes((0x28, *range(0x50, 0x60)))        # frames, and skippable ones (RFC 8878 section 3.1)
_NAMES_SHOWN = 40               # characters of a server's value in a message
_ALIASES = {"x-gzip": "gzip", "x-compress": "compress"}
_TOKEN_CHARS = frozenset("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


def parse_codings(values: list[str], max_codings: int = MAX_CODINGS) -> list[str]:
    """The codings of all Content-Encoding fields of a message, in the order they were applied (RFC 9110 section 8.4).

    Lower case, without identity; x-gzip and x-compress by their proper names. DecodeError: more than `max_codings` of them
    (0: any number), or something that is no token.
    """
    codings = []
    for value in values:
        for member in value.split(","):
            name = member.strip(" \t")
            if not _TOKEN_CHARS.issuperset(name):
                raise DecodeError(f"Content-Encoding is malformed: {name[:_NAMES_SHOWN]!a}")
            name = name.lower()
            if name and name != "identity":     # empty members of a list say nothing (RFC 9110 section 5.6.1.2)
                codings.append(_ALIASES.get(name, name))
                if 0 < max_codings < len(codings):
                    raise DecodeError(f"more than {max_codings} content codings one upon the other")
    return codings


def accept_encoding() -> str:
    """A value for Accept-Encoding (RFC 9110 section 12.5.3): all that can be undone with the packages that are there."""
    names = ["gzip", "deflate"]
    for name, module in ("br", _brotli_module()), ("zstd", _zstd_module()):
        if module is not None:
            names.append(name)
    return ", ".join(names)


class Decoder:
    """Undoes the codings of one body, the last one first. `codings`: as `parse_codings` gives them; none is allowed, too.

    `max_size`: decoded bytes, 0 for any number. `max_expansion`: decoded bytes (between two codings, too) for each coded one,
    once there are more than `expansion_from` of them; 0 for any number. n_in, n_out: coded and decoded bytes so far.
    DecodeError: a coding is unknown, or needs a package that is missing; the text says which.

    A gzip body may have several members (RFC 1952 section 2.2) and zeros behind them, a zstd body several frames (RFC 8878
    section 3.1). Anything else behind the end is an error. `deflate` is the zlib format (RFC 1950), and for the servers that
    took the name literally its bare data (RFC 1951).
    """

    __slots__ = ("_is_under_way", "_max_expansion", "_max_size", "_stages", "_unguarded_len", "n_in", "n_out")

    n_in: int
    n_out: int

    def __init__(self, codings: list[str], *, max_size: int = 0, max_expansion: int = MAX_EXPANSION,
                 expansion_from: int = EXPANSION_FROM):
        self._max_size, self._max_expansion, self._unguarded_len = max_size, max_expansion, expansion_from
        self._stages = [_stage(coding) for coding in reversed(codings)]
        self._is_under_way = False      # a feed; it stays so where that one failed, or its pieces were not all taken
        self.n_in = self.n_out = 0

    def feed(self, data: _Buffer) -> Iterator[bytes]:
        """The next coded bytes; gives what can be decoded now, in pieces of at most PIECE_CAP bytes. Take them all.

        DecodeError: the data is broken, or something follows it. TooLarge: a limit; what is above it is not given.
        After an error, or where pieces were not taken, this decoder is of no more use: `feed` and `finish` raise DecodeError.
        """
        self._begin()
        return self._pieces(data)

    def finish(self) -> None:
        """Nothing comes any more. Truncated: a coding has not come to its end, and what was given is only a beginning."""
        self._begin()
        for stage in self._stages:
            if not stage.is_at_end:
                raise Truncated(f"the {stage.coding} data breaks off: {self.n_in} bytes came, {self.n_out} decoded, no end")
        self._is_under_way = False

    def _begin(self) -> None:
        if self._is_under_way:
            raise DecodeError("decoding failed before, or its pieces were not all taken")
        self._is_under_way = True

    def _pieces(self, data: _Buffer) -> Iterator[bytes]:
        for step in _steps(data, STEP_LEN if self._stages else PIECE_CAP):
            self.n_in += len(step)
            yield from self._through(0, step)
        self._is_under_way = False

    def _through(self, n: int, data: bytes) -> Iterator[bytes]:
        """What comes out at the end for data that goes into stage n."""
        if n == len(self._stages):
            self.n_out += len(data)
            if self._max_size and self.n_out > self._max_size:
                raise TooLarge(f"the decoded body is larger than {self._max_size} bytes")
            yield data
            return
        stage = self._stages[n]
        for step in _steps(data, STEP_LEN):
            for piece in stage.pieces(step, MEMBERS_FROM + self.n_in // MEMBER_LEN):
                stage.n_out += len(piece)
                if self._max_expansion and stage.n_out > self._unguarded_len and stage.n_out > self._max_expansion * self.n_in:
                    raise TooLarge(f"the {stage.coding} data grows to more than {self._max_expansion} times its size")
                yield from self._through(n + 1, piece)


def _steps(data: _Buffer, step_len: int) -> Iterable[bytes]:
    """The data as bytes objects of at most `step_len`."""
    if isinstance(data, bytes) and len(data) <= step_len:
        return (data,) if data else ()
    view = memoryview(data).cast("B")
    return (bytes(view[start:start + step_len]) for start in range(0, len(view), step_len))


class _Stage:
    """One coding: its members one after the other.

    `make` gives a decompressor for one member, with the interface of bz2's and lzma's: decompress(data, max_length),
    needs_input, eof, unused_data. `error`: what that raises. `next_starts`: first bytes of another member, b"" where there is
    only one; `is_padded`: zeros may follow.
    """

    __slots__ = ("_error", "_is_in_padding", "_is_padded", "_make", "_member", "_next_starts", "coding", "n_members", "n_out")

    def __init__(self, coding: str, make: Any, error: Any, next_starts: bytes = b"", is_padded: bool = False):
        self.coding, self._make, self._error, self._next_starts, self._is_padded = coding, make, error, next_starts, is_padded
        self._member: Any = None        # None: before the first, or behind the end of one
        self._is_in_padding = False
        self.n_members = self.n_out = 0

    @property
    def is_at_end(self) -> bool:
        return self._member is None and self.n_members > 0

    def pieces(self, data: bytes, max_members: int) -> Iterator[bytes]:
        """What `data` decodes to now. DecodeError: it does not, or there are more than `max_members`."""
        while True:
            if self._member is None:
                if not data:
                    return
                if self.n_members and self._is_behind_all(data):
                    return
                if self.n_members >= max_members:
                    raise DecodeError(f"the {self.coding} data is in too many members for its size")
                self._member = self._make()
            member = self._member
            try:
                piece = member.decompress(data, PIECE_CAP)
            except self._error as error:
                raise DecodeError(f"the {self.coding} data is broken: {error}") from error
            data = b""
            if piece:
                yield piece
            if member.eof:
                data, self._member = member.unused_data, None
                self.n_members += 1
            elif member.needs_input or not piece:       # without a piece there is no progress, whatever it needs
                return

    def _is_behind_all(self, data: bytes) -> bool:
        """Whether data behind the end of a member is padding; if it is not, it has to begin another member."""
        if self._is_padded and data[0] == 0:
            self._is_in_padding = True
        if data.strip(b"\0") if self._is_in_padding else data[0] not in self._next_starts:
            raise DecodeError(f"something follows the end of the {self.coding} data")
        return self._is_in_padding


class _Inflater:
    """zlib's decompressor, as _Stage wants it. It verifies the checksum, and gzip's length."""

    __slots__ = ("_inflate", "_tail", "needs_input")

    def __init__(self, wbits: int):
        self._inflate, self._tail, self.needs_input = zlib.decompressobj(wbits), b"", True

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = self._inflate.decompress(self._tail + data if self._tail else data, max_length)
        self._tail = self._inflate.unconsumed_tail
        self.needs_input = not self._tail and len(piece) < max_length
        return piece

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data


class _Deflated:
    """The two formats that are sent under the name deflate; the first two bytes tell them apart.

    What passes for a header of zlib (RFC 1950 section 2.2) begins as bare data only where that is a stored block with set bits
    in its padding, which no encoder writes.
    """

    __slots__ = ("_inflater", "_start")

    def __init__(self) -> None:
        self._inflater: _Inflater | None = None
        self._start = b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if self._inflater is None:
            data = self._start + data
            if len(data) < 2:
                self._start = data
                return b""
            is_zlib = data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            self._inflater = _Inflater(_ZLIB if is_zlib else _RAW)
        return self._inflater.decompress(data, max_length)

    @property
    def needs_input(self) -> bool:
        return self._inflater is None or self._inflater.needs_input

    @property
    def eof(self) -> bool:
        return self._inflater is not None and self._inflater.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflater.unused_data if self._inflater is not None else b""


class _Brotli:
    """brotli's decompressor, as _Stage wants it. It raises by itself where something follows the end in the same data."""

    __slots__ = ("_decompressor", "needs_input")

    unused_data = b""

    def __init__(self, module: Any):
        self._decompressor, self.needs_input = module.Decompressor(), True

    def decompress(self, data: bytes, max_length: int) -> bytes:
        limit = min(max_length, _BROTLI_CAP)
        piece: bytes = self._decompressor.process(data, output_buffer_limit=limit)
        self.needs_input = len(piece) < limit and self._decompressor.can_accept_more_data()
        return piece

    @property
    def eof(self) -> bool:
        return bool(self._decompressor.is_finished())


def _stage(coding: str) -> _Stage:
    if coding == "gzip":
        return _Stage(coding, lambda: _Inflater(_GZIP), zlib.error, b"\x1f", is_padded=True)
    if coding == "deflate":
        return _Stage(coding, _Deflated, zlib.error)
    if coding == "br":
        brotli = _brotli_module()
        if brotli is None:
            raise DecodeError("the content coding br needs the package brotli, 1.2 or later: pip install -U qhttp[brotli]")
        return _Stage(coding, lambda: _Brotli(brotli), brotli.error)
    if coding == "zstd":
        zstd = _zstd_module()
        if zstd is None:
            raise DecodeError("the content coding zstd needs the package backports.zstd: pip install qhttp[zstd]")
        options = {zstd.DecompressionParameter.window_log_max: WINDOW_LOG_MAX}
        return _Stage(coding, lambda: zstd.ZstdDecompressor(options=options), zstd.ZstdError, _ZSTD_STARTS)
    raise DecodeError(f"unknown content coding {coding[:_NAMES_SHOWN]!a}")


_modules: dict[str, Any] = {}       # module, or None where there is none that will do; looked for once


def _brotli_module() -> Any:
    """brotli, or brotlicffi; None without one that can limit its output, as both can since 1.2."""
    return _find("br", ("brotli", "brotlicffi"), lambda module: hasattr(module.Decompressor, "can_accept_more_data"))


def _zstd_module() -> Any:
    """The standard library's module (Python 3.14), or its backport."""
    return _find("zstd", ("compression.zstd", "backports.zstd"), lambda module: hasattr(module, "ZstdDecompressor"))


def _find(coding: str, names: Iterable[str], will_do: Callable[[Any], bool]) -> Any:
    if coding not in _modules:
        from importlib import import_module
        found = None
        for name in names:
            try:
                module = import_module(name)
            except ImportError:
                continue
            if will_do(module):
                found = module
                break
        _modules[coding] = found        # not before: another thread would take it that there is none
    return _modules[coding]
