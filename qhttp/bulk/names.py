"""File names that are safe, from what others chose: a URL's path, a Content-Disposition, a line of a manifest.

A name that is made here is changed until it is safe; a place that the user's manifest asks for is taken as it is, or refused.
"""
from __future__ import annotations

from qhttp.protocol.url import unescaped

NAME_CAP = 240              # bytes of a name in UTF-8; file systems take 255, and ".parts" must fit behind it
EXTENSION_CAP = 32          # bytes of an extension that is kept where a name is cut
DISPOSITION_CAP = 8192      # characters of a Content-Disposition; a longer one is not read
PARAMETERS_CAP = 32         # of a Content-Disposition; it is not read with more

UNNAMED = "index.html"      # what a target that ends in "/" is called
PART_SUFFIXES = (".part", ".parts")     # of files that are not whole yet: no whole file has such a name

_PLAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
_PLAIN_TEXT = _PLAIN.decode("ascii")
_TOKEN = frozenset(_PLAIN_TEXT + "!#$%&'*+^`|~")        # RFC 9110 section 5.6.2
_BLANKS = " \t"
_AROUND = " \t\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"       # blanks
_TRAILING = "." + _AROUND
_FORBIDDEN = frozenset([*map(chr, range(32)), *map(chr, range(127, 160)), "/", "\\",
                        "\u2028", "\u2029", "\ufeff",                       # lines' and texts' ends and beginnings
                        *"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"])      # bidi controls
_NUMBERS = "0123456789\xb9\xb2\xb3"
_DEVICES = frozenset(["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", *[k + n for k in ("COM", "LPT") for n in _NUMBERS]])


def name_from_target(target: bytes) -> str:
    """The safe name of a request target: its path's last segment, decoded; UNNAMED where that is empty.

    Bytes that are no UTF-8 stay percent-encoded. An encoded "/" becomes "_".
    """
    segment = target.partition(b"?")[0].rpartition(b"/")[2]
    if segment.strip(_PLAIN):
        text = unescaped(segment).decode("utf-8", "surrogateescape")
        if not text.isascii():
            text = "".join([f"%{ord(c) - 0xdc00:02X}" if "\udc80" <= c <= "\udcff" else c for c in text])
        return safe_name(text)
    return safe_name(segment.decode("ascii")) if segment else UNNAMED


def name_from_disposition(value: str) -> str | None:
    """The safe name in a Content-Disposition field value (RFC 6266); None where there is none that can be used.

    filename* (RFC 8187) goes before filename. Only what stands behind the last slash of either kind counts. A name that would
    be hidden gets "_" for its dot: servers have no business with a user's dot files. Quoted-pairs are undone; bytes outside
    ASCII are UTF-8, else Latin-1; a value with blanks and without quotes, which is common and wrong, reaches to the next ";".
    """
    if len(value) > DISPOSITION_CAP:
        return None
    parameters = _parameters(value)
    for name, decode in (("filename*", _extended), ("filename", _plain)):
        text = decode(parameters[name]) if name in parameters else None
        if text is not None:
            text = _trimmed(text.replace("\\", "/").rpartition("/")[2])
            if text:
                return safe_name("_" + text[1:] if text.startswith(".") else text)
    return None


def safe_name(text: str) -> str:
    """`text` as one path component that means the same everywhere; what is good already comes back as it is.

    Slashes, control characters, bidirectional overrides and lone surrogates become "_"; blanks around it and dots behind it go;
    "_" goes before the name of a Windows device and behind .part and .parts; at most NAME_CAP bytes, the extension kept.
    """
    if text.strip(_PLAIN_TEXT):
        text = _trimmed("".join(["_" if c in _FORBIDDEN or "\ud800" <= c <= "\udfff" else c for c in text]))
    else:
        text = text.rstrip(".")
    name = _guarded(text)
    if len(name) * 4 > NAME_CAP and len(name.encode("utf-8")) > NAME_CAP:
        name = _guarded(_trimmed(_cut(name, NAME_CAP - 2)))      # 2: what _guarded may add
    return name


def place(folder: str, out: str) -> str:
    """The path of `out`, a relative name with "/" between its components, inside of `folder`.

    Raises ValueError where a component is not what safe_name leaves alone: absolute paths, "..", ".", empty ones, backslashes,
    control characters, names of devices, .part and .parts, blanks around them, more than NAME_CAP bytes.
    """
    for component in out.split("/"):
        if not component or safe_name(component) != component:
            problem = f"has {component[:80]!a}, name it otherwise" if component else "has an empty one, or is absolute"
            raise ValueError(f"out must be a relative path of safe names: {out[:80]!a} {problem}")
    return f"{folder}{out}" if folder.endswith("/") or not folder else f"{folder}/{out}"


# -- what is done to a name
def _trimmed(text: str) -> str:
    return text.strip(_AROUND).rstrip(_TRAILING)


def _guarded(name: str) -> str:
    """Not empty, no device, no part. Adds two characters at most."""
    if not name:
        return "_"
    if name[0] in "CPANLcpanl" and name.partition(".")[0].partition(":")[0].rstrip(_AROUND).upper() in _DEVICES:
        name = "_" + name       # Windows ignores extensions, and blanks before them
    return name + "_" if name[-1] in "TtSs" and name.lower().endswith(PART_SUFFIXES) else name


def _cut(name: str, n_most: int) -> str:
    """The beginning of `name` and its extension, in `n_most` bytes."""
    stem, dot, extension = name.rpartition(".")
    if stem.lower().endswith(".tar"):
        stem, extension = stem[:-4], stem[-3:] + dot + extension
    n_kept = n_most - 1 - len(extension.encode("utf-8"))
    if not stem or n_kept < n_most - 1 - EXTENSION_CAP:
        return name.encode("utf-8")[:n_most].decode("utf-8", "ignore")
    return stem.encode("utf-8")[:n_kept].decode("utf-8", "ignore") + "." + extension


# -- what is in a field
def _parameters(value: str) -> dict[str, tuple[str, bool]]:
    """{lower-case name: (value, whether it was quoted)} of a Content-Disposition, the first of each name; {} where broken."""
    found: dict[str, tuple[str, bool]] = {}
    pos = 0
    for _ in range(PARAMETERS_CAP + 1):
        end = _find(value, ";=", pos)
        name = value[pos:end].strip(_BLANKS).lower()
        pos = end + 1
        if value[end:pos] == "=":           # else it is the type, or a parameter without value
            end = _find(value, ";", pos)
            text = value[pos:end].strip(_BLANKS)
            is_quoted = text.startswith('"')
            if is_quoted:
                inner, pos = _quoted(value, value.index('"', pos) + 1)
                end = _find(value, ";", pos)
                if inner is None or value[pos:end].strip(_BLANKS):
                    return {}               # the quotes do not end, or something follows them
                text = inner
            found.setdefault(name, (text, is_quoted))
            pos = end + 1
        if pos >= len(value):
            return found
    return {}


def _find(text: str, characters: str, pos: int) -> int:
    """Where the first of these is at or behind `pos`, else the end."""
    places = [place for place in (text.find(c, pos) for c in characters) if place >= 0]
    return min(places, default=len(text))


def _quoted(text: str, pos: int) -> tuple[str | None, int]:
    """(what a quoted-string holds, the place behind its closing quote); (None, ...) where it does not end."""
    pieces: list[str] = []
    while pos < len(text):
        end = _find(text, '"\\', pos)
        pieces.append(text[pos:end])
        if text[end:end + 1] == '"':
            return "".join(pieces), end + 1
        pieces.append(text[end + 1:end + 2])
        pos = end + 2
    return None, pos


def _extended(parameter: tuple[str, bool]) -> str | None:
    """The text of an ext-value (RFC 8187 section 3.2), or None."""
    text, is_quoted = parameter
    charset, tick, rest = text.partition("'")
    _, second_tick, encoded = rest.partition("'")
    if is_quoted or not (tick and second_tick) or not text.isascii() or not _TOKEN.issuperset(encoded):
        return None
    try:
        return unescaped(encoded.encode("ascii")).decode({"utf-8": "utf-8", "iso-8859-1": "latin-1"}[charset.lower()])
    except (KeyError, UnicodeDecodeError):
        return None


def _plain(parameter: tuple[str, bool]) -> str | None:
    text = parameter[0]
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text
