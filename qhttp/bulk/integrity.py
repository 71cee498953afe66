"""Checksums: those that the caller gave, those that a server sent, and the hashing that proves either.

A digest that a server sent is proof against accidents, and of a text that cannot be read nothing: it is passed over. A checksum
that the caller gave has to be understood, or it is an error.
"""
from __future__ import annotations

from qhttp.errors import ChecksumMismatch

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

# hashlib's names of what every Python has, the strongest last -> bytes of a digest
DIGEST_LENGTHS = {
    "md5": 16, "sha1": 20, "sha224": 28, "sha3_224": 28, "blake2s": 32, "sha3_256": 32, "sha256": 32, "sha384": 48,
    "sha3_384": 48, "blake2b": 64, "sha3_512": 64, "sha512": 64,
}
_STRENGTHS = {name: n for n, name in enumerate(DIGEST_LENGTHS)}
_KNOWN = {name.replace("_", ""): name for name in DIGEST_LENGTHS}       # without what people write between name and number

# Of the registries of RFC 9530 section 7.2 and RFC 3230 section 4.1.1 (RFC 5843), what can be computed here.
_ON_THE_WIRE = {"md5": "md5", "sha": "sha1", "sha-256": "sha256", "sha-512": "sha512"}
REPRESENTATION, CONTENT = "representation", "content"
_HEX_CHARS = frozenset("0123456789abcdefABCDEF")
_BASE64_CHARS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
_TEXT_SHOWN = 80                # characters of the caller's value in a message


class Checksum:
    """A digest and its algorithm. `algorithm`: a name of hashlib's, or as people write it (SHA-256); kept as hashlib has it.

    ValueError: the algorithm is unknown, or its digests have another length.
    """

    __slots__ = ("algorithm", "digest")

    algorithm: str
    digest: bytes

    def __init__(self, algorithm: str, digest: bytes):
        self.algorithm, self.digest = algorithm_name(algorithm), bytes(digest)
        if len(self.digest) != DIGEST_LENGTHS[self.algorithm]:
            raise ValueError(f"a digest of {self.algorithm} has {DIGEST_LENGTHS[self.algorithm]} bytes, not {len(self.digest)}")

    @staticmethod
    def parse(text: str) -> Checksum:
        """From "sha256:HEX", "sha-256=HEX" or the same with base64. ValueError says what was expected."""
        if not isinstance(text, str):
            raise TypeError(f"a checksum is a str as sha256:0123..., not {type(text).__name__}")
        text = text.strip()
        ends = [n for n in (text.find(":"), text.find("=")) if n >= 0]
        if not ends:
            raise ValueError(f"no checksum: {text[:_TEXT_SHOWN]!a}; it is written ALGORITHM:HEX, as in sha256:0123...")
        end = min(ends)
        algorithm, value = algorithm_name(text[:end].strip()), text[end + 1:].strip()
        digest = _from_hex(value) if len(value) == 2 * DIGEST_LENGTHS[algorithm] else _from_base64(value)
        if digest is None or len(digest) != DIGEST_LENGTHS[algorithm]:
            raise ValueError(f"no digest of {algorithm}: {value[:_TEXT_SHOWN]!a}; it has "
                             f"{2 * DIGEST_LENGTHS[algorithm]} hexadecimal digits, or as many bytes in base64")
        return Checksum(algorithm, digest)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.digest.hex()}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self!s})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        return self.algorithm, self.digest


class ServerDigest(Checksum):
    """A digest that a server sent in the field `field`. `of`: what it is made from, both as coded by Content-Encoding:
    "representation" (the whole, even where the answer is a part of it) or "content" (of this very answer)."""

    __slots__ = ("field", "of")

    of: str
    field: str

    def __init__(self, algorithm: str, digest: bytes, of: str, field: str):
        super().__init__(algorithm, digest)
        self.of, self.field = of, field

    def _key(self) -> tuple[object, ...]:
        return self.algorithm, self.digest, self.of, self.field


def algorithm_name(name: str) -> str:
    """hashlib's name of an algorithm: "sha256" for "SHA-256", "sha3_256" for "sha3-256". ValueError lists what is known."""
    known = _KNOWN.get(name.lower().replace("-", "").replace("_", ""))
    if known is None:
        raise ValueError(f"unknown checksum algorithm {name[:_TEXT_SHOWN]!a}; known are {', '.join(sorted(DIGEST_LENGTHS))}")
    return known


def server_digests(fields: Iterable[tuple[str, str]], content_md5: bool = False) -> list[ServerDigest]:
    """What a message's fields say its body is, the strongest digest of each field: Repr-Digest and Content-Digest (RFC 9530),
    Digest (RFC 3230) and, if `content_md5`, Content-MD5 (RFC 2616 section 14.15; some servers send that of the whole file with
    a part). Never raises for what a server sent: what cannot be read, or computed here, is passed over.
    """
    values: dict[str, list[str]] = {}
    for name, value in fields:
        values.setdefault(name.lower(), []).append(value)
    found = []
    for field, of, read in _FIELDS:
        if field.lower() not in values or (read is _read_content_md5 and not content_md5):
            continue
        digests = read(", ".join(values[field.lower()]))
        if digests:
            algorithm = max(digests, key=_STRENGTHS.__getitem__)
            found.append(ServerDigest(algorithm, digests[algorithm], of, field))
    return found


def _read_dictionary(value: str) -> dict[str, bytes]:
    """algorithm -> digest of a dictionary of byte sequences (RFC 9651 sections 3.2 and 3.3.5), member by member."""
    digests: dict[str, bytes] = {}
    for member in _members(value):
        key, _, item = member.strip(" \t").partition("=")
        encoded, colon, parameters = item[1:].partition(":")
        if item[:1] == colon == ":" and parameters[:1] in ("", ";"):
            _keep(digests, key, encoded)
    return digests


def _read_instance_digests(value: str) -> dict[str, bytes]:
    """The same of a Digest field (RFC 3230 section 4.3.2); names are in any case there."""
    digests: dict[str, bytes] = {}
    for member in value.split(","):
        name, _, encoded = member.strip(" \t").partition("=")
        _keep(digests, name.lower(), encoded)
    return digests


def _read_content_md5(value: str) -> dict[str, bytes]:
    digests: dict[str, bytes] = {}
    _keep(digests, "md5", value.strip(" \t"))
    return digests


_FIELDS = (
    ("Repr-Digest", REPRESENTATION, _read_dictionary),
    ("Digest", REPRESENTATION, _read_instance_digests),
    ("Content-Digest", CONTENT, _read_dictionary),
    ("Content-MD5", CONTENT, _read_content_md5),
)


def _keep(digests: dict[str, bytes], name: str, encoded: str) -> None:
    """Adds what is a digest; of a name that comes twice, the last counts (RFC 9651 section 3.2)."""
    algorithm = _ON_THE_WIRE.get(name)
    if algorithm is not None:
        digest = _from_base64(encoded)
        if digest is not None and len(digest) == DIGEST_LENGTHS[algorithm]:
            digests[algorithm] = digest


def _members(value: str) -> list[str]:
    """The members of a dictionary or list: what stands between commas that are in no quoted string."""
    if '"' not in value:
        return value.split(",")
    members, start, is_quoted, is_escaped = [], 0, False, False
    for n, char in enumerate(value):
        if is_escaped:
            is_escaped = False
        elif char == '"':
            is_quoted = not is_quoted
        elif char == "\\":
            is_escaped = is_quoted
        elif char == "," and not is_quoted:
            members.append(value[start:n])
            start = n + 1
    return members if is_quoted else [*members, value[start:]]      # what has no end is no member


def _from_hex(text: str) -> bytes | None:
    """Bytes, or None. bytes.fromhex() alone would allow spaces."""
    return bytes.fromhex(text) if _HEX_CHARS.issuperset(text) else None


def _from_base64(text: str) -> bytes | None:
    """Bytes, or None; without its padding, too."""
    if not _BASE64_CHARS.issuperset(text):
        return None
    from binascii import Error, a2b_base64
    try:
        return a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except Error:
        return None


class Hashers:
    """Hashes the same bytes with several algorithms. ValueError: one is unknown."""

    __slots__ = ("_hashes",)

    def __init__(self, algorithms: Iterable[str]):
        self._hashes: dict[str, Any] = {}
        for name in map(algorithm_name, algorithms):
            import hashlib  # takes milliseconds, and most transfers need none
            self._hashes[name] = getattr(hashlib, name)(usedforsecurity=False)

    @property
    def algorithms(self) -> list[str]:
        """hashlib's names, each once."""
        return list(self._hashes)

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """More bytes, behind those before."""
        for a_hash in self._hashes.values():
            a_hash.update(data)

    def hexdigest(self, name: str) -> str:
        """The digest of all bytes so far. ValueError: this algorithm is not computed."""
        digits: str = self._of(name).hexdigest()
        return digits

    def verify(self, checksum: Checksum) -> None:
        """ChecksumMismatch: the bytes are not those that it was made from. ValueError: its algorithm is not computed."""
        found = self._of(checksum.algorithm).digest()
        if found != checksum.digest:
            origin = f"{checksum.field}: " if isinstance(checksum, ServerDigest) else ""
            raise ChecksumMismatch(f"{origin}{checksum.algorithm} expected: {checksum.digest.hex()}, found: {found.hex()}")

    def _of(self, name: str) -> Any:
        name = algorithm_name(name)
        if name not in self._hashes:
            raise ValueError(f"{name} is not computed here; computed are: {', '.join(self._hashes) or 'none'}")
        return self._hashes[name]
