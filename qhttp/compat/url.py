"""QUrl and QFileInfo: the little of them that programs around QHttp use, on the standard library."""
from __future__ import annotations

from urllib.parse import quote, unquote, urljoin, urlsplit

from qhttp.byte_array import QByteArray
from qhttp.protocol.shown import shown_url

_RESERVED = "!#$%&'()*+,/:;=?@[]"       # what stands for itself in a URL that is one already


def _as_text(value: str | bytes) -> str:
    return value if isinstance(value, str) else bytes(value).decode("ascii")


class QUrl:
    """A URL, taken apart (Qt: QUrl). QUrl(text), QUrl(other). Immutable. A text that is no URL gives one that is not valid."""

    __slots__ = ("__weakref__", "_parts", "_text")

    def __init__(self, url: str | QUrl = "") -> None:
        if not isinstance(url, (str, QUrl)):
            raise TypeError(f"url must be str or QUrl, not {type(url).__name__}")
        self._text: str = url.toString() if isinstance(url, QUrl) else url.strip()
        try:
            parts = urlsplit(self._text)
            _ = parts.port, parts.hostname
        except ValueError:
            self._text, parts = "", urlsplit("")
        self._parts = parts

    @staticmethod
    def toPercentEncoding(text: str, exclude: str | bytes = b"/", include: str | bytes = b"") -> QByteArray:
        """`text` in UTF-8, percent-encoded but for letters, digits, -._~ and `exclude` (Qt: QUrl::toPercentEncoding).

        Other than in Qt, "/" is left alone unless `exclude` says otherwise: QUrl.toPercentEncoding("/index.html") of QHttp's
        documentation is to give a path.
        """
        if not isinstance(text, str):
            raise TypeError(f"text must be str, not {type(text).__name__}")
        code = quote(text, safe=_as_text(exclude))
        for character in _as_text(include):
            if character != "%":
                code = code.replace(character, f"%{ord(character):02X}")
        return QByteArray(code.encode("ascii"))

    @staticmethod
    def fromPercentEncoding(code: str | bytes) -> str:
        """The text of a percent-encoded one in UTF-8 (Qt: QUrl::fromPercentEncoding)."""
        return unquote(_as_text(code), errors="replace")

    def isValid(self) -> bool:
        """Whether there is a URL in it (Qt: QUrl::isValid)."""
        return bool(self._text)

    def isEmpty(self) -> bool:
        """Whether there is nothing in it (Qt: QUrl::isEmpty)."""
        return not self._text

    def scheme(self) -> str:
        """In lower case: str (Qt: QUrl::scheme)."""
        return self._parts.scheme

    def host(self) -> str:
        """The name or address, without brackets: str (Qt: QUrl::host)."""
        return self._parts.hostname or ""

    def port(self, default: int = -1) -> int:
        """The port, `default` where none is given: int (Qt: QUrl::port)."""
        port = self._parts.port
        return default if port is None else port

    def userName(self) -> str:
        """The name to log in with: str (Qt: QUrl::userName)."""
        return unquote(self._parts.username or "")

    def password(self) -> str:
        """The password: str (Qt: QUrl::password)."""
        return unquote(self._parts.password or "")

    def path(self) -> str:
        """The path, decoded: str (Qt: QUrl::path)."""
        return unquote(self._parts.path)

    def encodedPath(self) -> QByteArray:
        """The path, percent-encoded (Qt 4: QUrl::encodedPath)."""
        return QByteArray(quote(self._parts.path, safe=_RESERVED).encode("ascii"))

    def fileName(self) -> str:
        """The last part of the path, decoded: str (Qt 5: QUrl::fileName)."""
        return unquote(self._parts.path.rpartition("/")[2])

    def hasQuery(self) -> bool:
        """Whether there is a question mark (Qt: QUrl::hasQuery)."""
        return "?" in self._text.partition("#")[0]

    def query(self) -> str:
        """What stands behind the question mark, as given: str (Qt 5: QUrl::query)."""
        return self._parts.query

    def encodedQuery(self) -> QByteArray:
        """The query, percent-encoded (Qt 4: QUrl::encodedQuery)."""
        return QByteArray(quote(self._parts.query, safe=_RESERVED).encode("ascii"))

    def fragment(self) -> str:
        """What stands behind the hash: str (Qt: QUrl::fragment)."""
        return unquote(self._parts.fragment)

    def isRelative(self) -> bool:
        """Whether it has no scheme (Qt: QUrl::isRelative)."""
        return not self._parts.scheme

    def resolved(self, relative: QUrl) -> QUrl:
        """The URL that `relative` means here, as of a Location field (Qt: QUrl::resolved, RFC 3986 section 5)."""
        return QUrl(urljoin(self._text, relative._text))

    def toString(self) -> str:
        """The URL as given: str (Qt: QUrl::toString)."""
        return self._text

    def toEncoded(self) -> QByteArray:
        """The URL, percent-encoded (Qt: QUrl::toEncoded)."""
        return QByteArray(quote(self._text, safe=_RESERVED).encode("ascii"))

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, QUrl) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:      # a query may be secret, and so is what stands before @
        return f"<QUrl {shown_url(self._text)}>"


class QFileInfo:
    """A path's parts, and what is there (Qt: QFileInfo)."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __repr__(self) -> str:
        return f"<qhttp QFileInfo {self._path!r}>"

    def fileName(self) -> str:
        """The last part of the path: str (Qt: QFileInfo::fileName)."""
        return self._path.rpartition("/")[2]

    def filePath(self) -> str:
        """The path as given: str (Qt: QFileInfo::filePath)."""
        return self._path

    def exists(self) -> bool:
        """Whether something is there (Qt: QFileInfo::exists)."""
        from os.path import exists
        return exists(self._path)

    def size(self) -> int:
        """Its size in bytes, 0 where nothing is there (Qt: QFileInfo::size)."""
        from os.path import getsize
        return getsize(self._path) if self.exists() else 0
