"""A URL taken apart, a reference joined to it (RFC 3986); nothing that could be read in two ways gets through.

What is percent-encoded stays so: nothing is decoded here that goes on the wire. No message shows a query or credentials: the
host stands in one only where no "@" is anywhere in the URL, since a broken one may have the password in the host's place.
"""
from __future__ import annotations

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_PORTS = {"http": 80, "https": 443}
HOST_LEN_CAP = 254              # characters of a host on the wire, with the dot at its end (RFC 1035 section 2.3.4)
LABEL_LEN_CAP = 63              # of one of its labels
WRITTEN_HOST_LEN_CAP = 1024     # of a host as it is written, before IDNA, whose time grows faster than its input

_HOST = "abcdefghijklmnopqrstuvwxyz0123456789-._"
_HEX = "0123456789abcdef"
DEVIATIONS = frozenset("\xdf\u1e9e\u03c2\u200c\u200d")     # IDNA 2003 and 2008 have different hosts for these (UTS 46)


class Url:
    """An http or https URL in its parts. Equal where all parts are; its repr shows no query.

    scheme: "http" or "https". host: str as it goes on the wire: lower case, IDNA-encoded, an IPv6 address without brackets.
    port: int, the scheme's own where none was given. target: bytes, path and query as sent (RFC 9112 section 3.2.1).
    """

    __slots__ = ("host", "port", "scheme", "target")

    scheme: str
    host: str
    port: int
    target: bytes

    def __init__(self, scheme: str, host: str, port: int, target: bytes):
        self.scheme, self.host, self.port, self.target = scheme, host, port, target

    @property
    def origin(self) -> tuple[str, str, int]:
        """(scheme, host, port): what credentials and connections are bound to (RFC 9110 section 4.3.1)."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """The value of a Host field (RFC 9110 section 7.2): the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def text(self) -> str:
        """The whole, without fragment: ASCII; split(url.text) == url."""
        return f"{self.scheme}://{self.authority}{self.target.decode('ascii')}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Url):
            return NotImplemented
        return self.target == other.target and self.origin == other.origin

    def __hash__(self) -> int:
        return hash((self.scheme, self.host, self.port, self.target))

    def __repr__(self) -> str:
        path, mark, _ = self.target.decode("latin-1").partition("?")
        return f"<Url {self.scheme}://{self.authority}{path}{mark and '?...'}>"


def split(url: str) -> Url:
    """The parts of an absolute URL. Its fragment is dropped, its dot segments are removed (RFC 3986 section 6.2.2.3).

    Characters outside ASCII become UTF-8, percent-encoded (RFC 3987 section 3.1), and IDNA in the host. Raises TypeError;
    ValueError that says what is wrong: no scheme or another one, no host, user information, a blank or control character, a
    host or port that is none, an IPv4 address that is not spelt as four decimal numbers.
    """
    if not isinstance(url, str):
        raise TypeError(f"URL must be str, not {type(url).__name__}")
    if not url.isprintable() or " " in url:
        _refuse_controls(url, "\x9f")
    scheme, colon, rest = url.partition("://")
    if scheme not in DEFAULT_PORTS or not colon:
        scheme = _checked_scheme(scheme, colon)
    return _parts(scheme, rest.partition("#")[0], "utf-8", "@" not in url)


def join(base: Url, reference: str) -> Url:
    """The URL that `reference` means where `base` is (RFC 3986 section 5.2, strict), as in a Location field.

    Characters outside ASCII are taken for the bytes of a field that was decoded as Latin-1, and percent-encoded as such. The
    fragment is dropped. Raises as split does; also where a colon in the first segment follows no scheme that is known here.
    """
    if not isinstance(reference, str):
        raise TypeError(f"reference must be str, not {type(reference).__name__}")
    if not reference.isprintable() or " " in reference:
        _refuse_controls(reference, "\x7f")
    text = reference.partition("#")[0]
    path, mark, query = text.partition("?")
    first, colon, _ = path.partition("/")[0].partition(":")
    is_shown = "@" not in reference
    if colon:
        slashes = text[len(first) + 1:len(first) + 3]
        return _parts(_checked_scheme(first, ":" + slashes), text[len(first) + 3:], "latin-1", is_shown)
    if path.startswith("//"):
        return _parts(base.scheme, text[2:], "latin-1", is_shown)
    base_path, base_mark, base_query = base.target.partition(b"?")
    if path.startswith("/"):
        target = _without_dots(_wire(path, "latin-1"))
    elif path:
        target = _without_dots(base_path[:base_path.rindex(b"/") + 1] + _wire(path, "latin-1"))
    else:
        target = base_path
        if not mark:
            target += base_mark + base_query
    return Url(*base.origin, target + _wire(mark + query, "latin-1"))


def split_authority(text: str, default_port: int, is_shown: bool = True) -> tuple[str, int]:
    """(host, port) of a `host[:port]` (RFC 3986 section 3.2), the host as Url.host is. Raises ValueError.

    `is_shown`: whether a message may show the host.
    """
    if "@" in text:
        raise ValueError("URL has user information: take it out, and put it into --user or netrc")
    if text.startswith("["):
        literal, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("URL has a broken IPv6 address: write [address] or [address]:port")
        return _ipv6(literal), _port(rest[1:], default_port)
    host, _, port = text.partition(":")
    if ":" in port:
        raise ValueError("URL has several colons in its host: an IPv6 address stands in brackets")
    if not host:
        raise ValueError("URL has no host: write scheme://host/path")
    wire = host.lower() if host.isascii() else encoded_host(host, is_shown)
    if wire.strip(_HOST):
        raise ValueError(f"URL has a host with a character that no host has: correct it{_shown(host, is_shown)}")
    labels = wire.removesuffix(".").split(".")
    if len(wire) > HOST_LEN_CAP or "" in labels or len(max(labels, key=len)) > LABEL_LEN_CAP:
        raise ValueError(f"URL has a host with an empty label, or one that is too long: correct it{_shown(host, is_shown)}")
    last = labels[-1]
    if (last.isdigit() or (last.startswith("0x") and not last[2:].strip(_HEX))) and not _is_quad(wire):
        raise ValueError("URL has an IPv4 address that can be read in several ways: "
                         f"write four decimal numbers, as 192.0.2.1{_shown(host, is_shown)}")
    return wire, _port(port, default_port)


def unescaped(data: bytes) -> bytes:
    """`data` with its percent-encoded bytes decoded (RFC 3986 section 2.1); a "%" without two hex digits stays."""
    first, *rest = data.split(b"%")
    if not rest:
        return data
    pieces = [first]
    for piece in rest:
        is_escape = len(piece) >= 2 and piece[:2].isalnum() and not piece[:2].lower().strip(_HEX.encode())
        pieces.append(bytes((int(piece[:2], 16),)) + piece[2:] if is_escape else b"%" + piece)
    return b"".join(pieces)


# -- what the above is made of
def _parts(scheme: str, rest: str, encoding: str, is_shown: bool) -> Url:
    """`rest`: what follows "//", without fragment. `encoding`: how it becomes bytes, "utf-8" or "latin-1"."""
    slash, mark = rest.find("/"), rest.find("?")
    end = mark if slash < 0 or 0 <= mark < slash else slash
    authority, tail = (rest, "") if end < 0 else (rest[:end], rest[end:])
    if encoding == "latin-1" and not authority.isascii():
        try:
            authority = authority.encode("latin-1").decode("utf-8")
        except UnicodeError:
            raise ValueError("URL has a host outside ASCII that is no UTF-8: the server must send its xn-- form") from None
    host, port = split_authority(authority, DEFAULT_PORTS[scheme], is_shown)
    target = _wire(tail, encoding) if tail.startswith("/") else b"/" + _wire(tail, encoding)
    if b"/." in target:
        path, question, query = target.partition(b"?")
        target = _without_dots(path) + question + query
    return Url(scheme, host, port, target)


def _refuse_controls(text: str, last: str) -> None:
    """Raises ValueError for a blank or control character; those from 0x7f to `last` are such, too."""
    if any(c <= " " or "\x7f" <= c <= last for c in text):
        raise ValueError("URL has a blank or control character: take it out, or percent-encode it (%20)")


def _checked_scheme(scheme: str, separator: str) -> str:
    """`scheme` in lower case; `separator`: what follows it, which should be "://"."""
    lower = scheme.lower()
    if lower in DEFAULT_PORTS and separator == "://":
        return lower
    if separator == "://" and lower.isascii() and lower.isalnum() and len(lower) < 20:
        raise ValueError(f"URL has the scheme {lower}: only http and https are fetched")
    raise ValueError("URL has no scheme that is known here: it must begin with http:// or https://")


def _shown(host: str, is_shown: bool) -> str:
    return f": {host[:80]!a}" if is_shown else ""


def _port(text: str, default_port: int) -> int:
    if not text:
        return default_port
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= 65535):
        raise ValueError("URL has a port that is none: it must be a number from 1 to 65535")
    return int(text)


def _is_quad(host: str) -> bool:
    numbers = host.split(".")
    return len(numbers) == 4 and all(n.isdigit() and len(n) <= 3 and int(n) <= 255 and str(int(n)) == n for n in numbers)


def _ipv6(literal: str) -> str:
    """In the spelling of RFC 5952, so that one address is one origin. A zone would be this machine's own affair (RFC 9844)."""
    import _socket  # for its syntax of addresses only
    try:
        return _socket.inet_ntop(_socket.AF_INET6, _socket.inet_pton(_socket.AF_INET6, literal))
    except (OSError, UnicodeError, ValueError):
        raise ValueError("URL has a broken IPv6 address: write it without a zone, as [2001:db8::1]") from None


def encoded_host(host: str, is_shown: bool) -> str:
    """`host` for the wire: by the package idna (UTS 46, as in browsers), else by Python's older rules where both agree."""
    if len(host) > WRITTEN_HOST_LEN_CAP:
        raise ValueError("URL has a host that is too long: correct it")
    encode: Callable[[], bytes]
    try:
        import idna
    except ImportError:
        if not DEVIATIONS.isdisjoint(host):
            raise ValueError("URL has a host that only the package idna can encode, write it in its xn-- form or "
                             f"pip install qhttp[idna]{_shown(host, is_shown)}") from None
        encode = lambda: host.encode("idna")
    else:
        encode = lambda: idna.encode(host, uts46=True)
    try:
        return encode().decode("ascii").lower()
    except UnicodeError:
        raise ValueError(f"URL has a host without a form for the wire: correct it{_shown(host, is_shown)}") from None


def _wire(text: str, encoding: str) -> bytes:
    """`text` as visible ASCII: what is not is percent-encoded."""
    if text.isascii():
        return text.encode("ascii")
    try:
        data = text.encode(encoding)
    except UnicodeEncodeError:
        raise ValueError("URL has characters that are no bytes of a field" if encoding == "latin-1" else
                         "URL has a lone surrogate, which is no character: percent-encode its bytes") from None
    return b"".join([b"%%%02X" % byte if byte > 126 else b"%c" % byte for byte in data])


def _without_dots(path: bytes) -> bytes:
    """RFC 3986 section 5.2.4 for a path that begins with "/"."""
    if b"/." not in path:
        return path
    kept: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            if kept:
                kept.pop()
        elif segment != b".":
            kept.append(segment)
    if segments[-1] in (b".", b".."):
        kept.append(b"")
    return b"/" + b"/".join(kept)
