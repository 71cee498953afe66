"""The header classes of Qt 4: `QHttpHeader`, `QHttpRequestHeader`, `QHttpResponseHeader`.

The one idea: a header is three immutable values, its first line, its fields and whether it is valid. A call that changes the
header replaces one of them, so a copy shares all three and costs nothing. A header from the wire holds only the bytes it came
in and is taken apart when someone first asks.

As in Qt, nothing is trimmed or checked on the way in: whoever sends a request has to look at it. White space is Unicode's, as
in Qt's `trimmed()`.
"""

from __future__ import annotations

from qhttp.header_base import HeaderBase, ResponseBase

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar


def _text(name: str, value: str) -> str:
    """`value`, or TypeError naming the argument."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be str, not {type(value).__name__}")
    return value


def _target(path: Any) -> str:
    """A path as text: str, or the bytes that QUrl.toPercentEncoding() gives, or a QUrl."""
    if not isinstance(path, str):
        from qhttp.arguments import plain_path
        path = plain_path(path)
        if isinstance(path, (bytes, bytearray)):
            path = path.decode("latin-1")
    return _text("path", path)


def _integer(name: str, value: int, n_bits: int = 32) -> int:
    """`value` as a plain int, or TypeError and ValueError (for what C++ could not hold) naming the argument."""
    if not isinstance(value, int):
        raise TypeError(f"{name} must be int, not {type(value).__name__}")
    if not -(1 << n_bits - 1) <= value < 1 << n_bits - 1:
        raise ValueError(f"{name} must fit into {n_bits} bits")
    return int(value)


def _number(text: str, largest: int) -> int:
    """The decimal number in `text`, 0 where there is none or a larger one (Qt 4 QString::toInt, toUInt)."""
    digits = text.strip().removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        return 0
    digits = digits.lstrip("0")
    # The length first: int() of thousands of digits is slow, then an error.
    number = int(digits or "0") if len(digits) <= len(str(largest)) else 0
    return number if number <= largest else 0


def _version(word: str) -> tuple[int, int] | None:
    """The two numbers of the `HTTP/d.d` that `word` begins with, if it does."""
    digits = word[5:6] + word[7:8]
    if word.startswith("HTTP/") and word[6:7] == "." and len(digits) == 2 and digits.isascii() and digits.isdigit():
        return int(digits[0]), int(digits[1])
    return None


def _presentable(target: str) -> str:
    """What may be shown of a request target: no query, no fragment, no name and password."""
    # Only the form "/path" has no place for "user:password@". Where these may end is not guessed at.
    if "@" in target and (target[0] != "/" or target.startswith("//")):
        return "..."
    return target.partition("?")[0].partition("#")[0]


class QHttpHeader(HeaderBase):
    """What request and response headers share: the fields (Qt 4 QHttpHeader). Abstract: TypeError when called.

    Keys are compared without regard to case and keep the spelling they came with. A key may occur several times. An argument
    of the wrong type is a TypeError that names it.
    """

    __slots__ = ()      # what there is to keep is in HeaderBase

    _EMPTY_LINE: tuple[Any, str, int, int]

    def __init__(self) -> None:
        """An invalid header without fields."""
        if type(self) is QHttpHeader:
            raise TypeError("QHttpHeader is abstract: use QHttpRequestHeader or QHttpResponseHeader")
        self._line, self._fields, self._valid = self._EMPTY_LINE, (), False

    # What the two kinds of header fill in.
    def _first_line(self, show: Callable[[str], str] = str) -> str:
        """The first line without its end; `show` filters what a caller may have put secrets into."""
        raise NotImplementedError

    def _read_line(self, words: list[str]) -> bool:
        """Takes the first line from its words; False if it is malformed."""
        raise NotImplementedError

    # Ways to make one.
    def _read_or_copy(self, source: str | QHttpHeader, kind: type) -> None:
        """Becomes what the text says, or a copy of a header of the same kind."""
        if isinstance(source, str):
            self._read(source)
        elif isinstance(source, kind):
            self._line, self._fields, self._valid = source._line, source._fields, source._valid
        else:
            raise TypeError(f"text must be str or {kind.__name__}, not {type(source).__name__}")

    def _read(self, text: str) -> None:
        """Becomes what `text` says (Qt 4 QHttpHeader::parse). At the first malformed line it stops and is invalid."""
        # The first line's end is that of all lines.
        end = text.find("\n")
        line_end = "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"
        lines: list[str] = []
        for line in text.strip().split(line_end):
            if line[:1].isspace():      # a folded line; never the first one, the text is stripped
                lines[-1] += " " + line.strip()
            elif line:
                lines.append(line)
        self._valid = not lines or self._read_line(lines[0].split())
        if not self._valid:
            return
        fields = []
        for line in lines[1:]:
            key, colon, value = line.partition(":")
            if not colon:
                self._valid = False
                break
            fields.append((key.strip(), value.strip()))
        self._fields = tuple(fields)

    def _set_line(self, first: str | int, second: str, major: int, minor: int) -> None:
        """Replaces the first line, which makes the header valid."""
        line = (first, second, _integer("major", major), _integer("minor", minor))
        self._line, self._valid = line, True

    # Fields.
    def _index(self, key: str) -> int:
        """Where the first field of that key is, or one past the last field: where a new one belongs."""
        wanted = _text("key", key).lower()
        for index, (known, _) in enumerate(self._fields):
            if known.lower() == wanted:
                return index
        return len(self._fields)

    def value(self, key: str) -> str:
        """The first value of `key`, "" if there is none (Qt 4 QHttpHeader::value)."""
        index = self._index(key)
        return self._fields[index][1] if index < len(self._fields) else ""

    def allValues(self, key: str) -> list[str]:
        """All values of `key` in their order (Qt 4 QHttpHeader::allValues)."""
        wanted = _text("key", key).lower()
        return [value for known, value in self._fields if known.lower() == wanted]

    def values(self) -> list[tuple[str, str]]:
        """All fields as (key, value) in their order; the list is the caller's (Qt 4 QHttpHeader::values)."""
        return list(self._fields)

    def keys(self) -> list[str]:
        """Each key once, as first spelled, in order (Qt 4 QHttpHeader::keys)."""
        spellings: dict[str, str] = {}
        for key, _ in self._fields:
            spellings.setdefault(key.lower(), key)
        return list(spellings.values())

    def hasKey(self, key: str) -> bool:
        """Whether there is a field of that key (Qt 4 QHttpHeader::hasKey)."""
        return self._index(key) < len(self._fields)

    def setValue(self, key: str, value: str) -> None:
        """Gives the first field of that key a new value, or appends one (Qt 4 QHttpHeader::setValue)."""
        index = self._index(key)
        if index < len(self._fields):
            key = self._fields[index][0]
        field = (key, _text("value", value))
        self._fields = (*self._fields[:index], field, *self._fields[index + 1:])

    def addValue(self, key: str, value: str) -> None:
        """Appends a field, also when there is one of that key (Qt 4 QHttpHeader::addValue)."""
        self._fields += ((_text("key", key), _text("value", value)),)

    def setValues(self, values: list[tuple[str, str]]) -> None:
        """Replaces all fields by these (key, value) pairs (Qt 4 QHttpHeader::setValues)."""
        pairs: list[Any] = list(values) if hasattr(values, "__iter__") else [values]
        # Not just unpacked: a word of two letters would pass for a pair.
        if not all(isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in pairs):
            raise TypeError("values must be (key, value) pairs")
        fields = tuple((_text("key in values", key), _text("value in values", value)) for key, value in pairs)
        self._fields = fields

    def removeValue(self, key: str) -> None:
        """Removes the first field of that key, if any (Qt 4 QHttpHeader::removeValue)."""
        index = self._index(key)
        self._fields = self._fields[:index] + self._fields[index + 1:]

    def removeAllValues(self, key: str) -> None:
        """Removes all fields of that key (Qt 4 QHttpHeader::removeAllValues)."""
        wanted = _text("key", key).lower()
        self._fields = tuple(field for field in self._fields if field[0].lower() != wanted)

    # The two fields that have calls of their own.
    def hasContentLength(self) -> bool:
        """Whether there is a Content-Length (Qt 4 QHttpHeader::hasContentLength)."""
        return self.hasKey("content-length")

    def contentLength(self) -> int:
        """The Content-Length in bytes, 0 if absent, malformed or beyond 32 bits (Qt 4 QHttpHeader::contentLength).

        A larger length is in `value("Content-Length")`.
        """
        return _number(self.value("content-length"), 2**32 - 1)

    def setContentLength(self, length: int) -> None:
        """Sets the Content-Length in bytes (Qt 4 QHttpHeader::setContentLength). ValueError beyond 64 bits."""
        self.setValue("content-length", str(_integer("length", length, 64)))

    def hasContentType(self) -> bool:
        """Whether there is a Content-Type (Qt 4 QHttpHeader::hasContentType)."""
        return self.hasKey("content-type")

    def contentType(self) -> str:
        """The Content-Type without its parameters, "" if absent (Qt 4 QHttpHeader::contentType)."""
        kind, semicolon, _ = self.value("content-type").partition(";")
        return kind.strip() if semicolon else kind

    def setContentType(self, value: str) -> None:
        """Sets the Content-Type, parameters included (Qt 4 QHttpHeader::setContentType)."""
        self.setValue("content-type", value)

    # The whole.
    def isValid(self) -> bool:
        """Whether the first line was set, or the text was well-formed (Qt 4 QHttpHeader::isValid)."""
        return self._valid

    def majorVersion(self) -> int:
        """The 1 of HTTP/1.0 (Qt 4 QHttpHeader::majorVersion)."""
        return self._line[2]

    def minorVersion(self) -> int:
        """The 0 of HTTP/1.0 (Qt 4 QHttpHeader::minorVersion)."""
        return self._line[3]

    def toString(self) -> str:
        """The text as it is sent, blank line included; of an invalid header no fields (Qt 4 QHttpHeader::toString)."""
        fields = self._fields if self._valid else ()
        return "\r\n".join([self._first_line(), *(f"{key}: {value}" for key, value in fields), "", ""])

    def __str__(self) -> str:
        """The same as toString()."""
        return self.toString()

    def __repr__(self) -> str:
        """Class, first line without its query and the number of fields: nothing that could be a secret."""
        state = "" if self._valid else ", invalid"
        return f"<{type(self).__name__} {self._first_line(_presentable)!r}, fields: {len(self._fields)}{state}>"

    def __eq__(self, other: object) -> bool:
        """Whether first line, fields (spelling and order included) and validity are the same."""
        if not isinstance(other, QHttpHeader):
            return NotImplemented
        return (self._line, self._fields, self._valid) == (other._line, other._fields, other._valid)

    __hash__: ClassVar[None] = None     # type: ignore[assignment]  # it can change

    def __reduce__(self) -> tuple[Any, ...]:
        """For `copy` and `pickle`: the values, and what a subclass has added."""
        return _remade, (type(self), self._line, self._fields, self._valid), getattr(self, "__dict__", None)


def _remade(kind: type[QHttpHeader], line: tuple[Any, str, int, int], fields: tuple[tuple[str, str], ...],
            valid: bool) -> QHttpHeader:
    header = kind.__new__(kind)
    header._line, header._fields, header._valid = line, fields, valid
    return header


class QHttpRequestHeader(QHttpHeader):
    """The header of a request (Qt 4 QHttpRequestHeader)."""

    __slots__ = ()

    _EMPTY_LINE = ("", "", 1, 1)

    def __init__(self, *args: Any, **line: Any) -> None:
        """`()` invalid, `(method, path, major=1, minor=1)`, `(text)` or `(header)`, a copy."""
        super().__init__()
        if len(args) == 1 and not line:
            self._read_or_copy(args[0], QHttpRequestHeader)
        elif args or line:
            self.setRequest(*args, **line)

    def setRequest(self, method: str, path: str, major: int = 1, minor: int = 1) -> None:
        """Sets the request line, keeps the fields (Qt 4 QHttpRequestHeader::setRequest)."""
        self._set_line(_text("method", method), _target(path), major, minor)

    def method(self) -> str:
        """The method, such as "GET" (Qt 4 QHttpRequestHeader::method)."""
        name: str = self._line[0]
        return name

    def path(self) -> str:
        """The request target as given, query included (Qt 4 QHttpRequestHeader::path)."""
        return self._line[1]

    def _first_line(self, show: Callable[[str], str] = str) -> str:
        method, path, major, minor = self._line
        return f"{show(method)} {show(path)} HTTP/{major}.{minor}"

    def _read_line(self, words: list[str]) -> bool:
        method, path, protocol = (*words, "", "")[:3]
        version = _version(protocol)
        self._line = (method, path, *(version or (1, 1)))
        return version is not None


class QHttpResponseHeader(ResponseBase, QHttpHeader):
    """The header of a response (Qt 4 QHttpResponseHeader)."""

    __slots__ = ()

    _EMPTY_LINE = (0, "", 1, 1)

    def __init__(self, *args: Any, **line: Any) -> None:
        """`()` invalid, `(code, text="", major=1, minor=1)`, `(text)` or `(header)`, a copy."""
        super().__init__()
        if len(args) == 1 and not line and not isinstance(args[0], int):
            self._read_or_copy(args[0], QHttpResponseHeader)
        elif args or line:
            self.setStatusLine(*args, **line)

    def setStatusLine(self, code: int, text: str = "", major: int = 1, minor: int = 1) -> None:
        """Sets the status line, keeps the fields (Qt 4 QHttpResponseHeader::setStatusLine)."""
        self._set_line(_integer("code", code), _text("text", text), major, minor)

    def reasonPhrase(self) -> str:
        """The text behind the status code, may be "" (Qt 4 QHttpResponseHeader::reasonPhrase)."""
        return self._line[1]

    def _first_line(self, show: Callable[[str], str] = str) -> str:
        code, reason, major, minor = self._line
        return f"HTTP/{major}.{minor} {code} {reason}"

    def _read_line(self, words: list[str]) -> bool:
        protocol, code = (*words, "")[:2]
        version = _version(protocol)
        if version is None or len(protocol) != len("HTTP/1.1") or not code[:1].isdigit():
            return False
        self._line = (_number(code, 2**31 - 1), " ".join(words[2:]), *version)
        return True
