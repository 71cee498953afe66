"""Lists of downloads that are no lines: Metalink 4 (RFC 5854), read as a stream of XML, and Parquet, read batch by batch.

A DOCTYPE is refused, and with it every entity of a document's own: nothing is expanded, nothing is fetched. What RFC 5854
section 5 calls foreign markup is passed over, and so are torrents and the checksums of pieces.
"""
from __future__ import annotations

from qhttp.bulk.manifest import KEYS, LINE_CAP, SIZE_MAX, add_checksum, read_checksum
from qhttp.errors import ManifestError

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import IO, Any
    from xml.parsers.expat import XMLParserType

NAMESPACE = "urn:ietf:params:xml:ns:metalink"
READ_LEN = 64 << 10             # bytes of XML that are taken at a time
DEPTH_CAP = 100                 # elements within elements
URLS_CAP = 1000                 # URLs of one file
HASHES_CAP = 100                # checksums of one file
BATCH_ROWS = 1000               # rows of Parquet in memory
PRIORITY_LAST = 999_999         # RFC 5854 section 4.2.16.1: the last of all, and that of a URL without one

_ROOT, _FILE = f"{NAMESPACE} metalink", f"{NAMESPACE} file"
_WANTED = {f"{NAMESPACE} {name}": name for name in ("url", "size", "hash")}


class _Problem(Exception):
    """Ends the reading; args[0] says why."""


class _Metalink:
    """The document so far. `found`: (line, row or problem) of the files that have ended."""

    def __init__(self, parser: XMLParserType) -> None:
        self.found: list[tuple[int, dict[str, Any] | str]] = []
        self.line = 0                   # of the file that has begun
        self.wrong = ""                 # with it
        self._parser = parser
        self._path: list[str] = []      # the elements that are open
        self._name: str | None = None
        self._urls: list[tuple[int, str]] = []
        self._values: dict[str, int] = {}
        self._hashes: list[str] = []
        self._attributes: dict[str, str] = {}
        self._text: list[str] | None = None     # of the element that is wanted
        self._text_len = 0

    def doctype(self, *_: object) -> None:
        raise _Problem("it has a DOCTYPE, which is refused: remove it")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._path and tag != _ROOT:
            raise _Problem(f"it is no Metalink 4: the root element must be metalink in the namespace {NAMESPACE}")
        if len(self._path) >= DEPTH_CAP:
            raise _Problem(f"more than {DEPTH_CAP} elements are within each other")
        self._path.append(tag)
        if tag == _FILE and len(self._path) == 2:
            self.line, self.wrong = self._parser.CurrentLineNumber, ""
            self._name = attributes.get("name")
            self._urls, self._values, self._hashes = [], {}, []
        elif tag in _WANTED and self._is_of_file():
            self._text, self._text_len, self._attributes = [], 0, attributes
        elif self._text is not None:
            raise _Problem("an element with text has others in it")

    def _is_of_file(self) -> bool:
        return len(self._path) == 3 and self._path[1] == _FILE

    def data(self, text: str) -> None:
        if self._text is not None:
            self._text_len += len(text)
            if self._text_len > LINE_CAP:
                raise _Problem(f"an element's text is longer than {LINE_CAP} characters")
            self._text.append(text)

    def end(self, tag: str) -> None:
        if self._text is not None:
            text, self._text = "".join(self._text).strip(), None
            self.wrong = self.wrong or self._take(_WANTED[tag], text, self._attributes)
        elif tag == _FILE and len(self._path) == 2:
            self.found.append((self.line, self.wrong or self._row()))
        self._path.pop()

    def _take(self, name: str, text: str, attributes: dict[str, str]) -> str:
        """Keeps what an element says; what is wrong with it, or ""."""
        if name == "size":
            n = _whole(text)
            if n is None or "size" in self._values:
                return "size must be there once, as a whole number of bytes"
            self._values["size"] = n
        elif name == "hash":
            algorithm = attributes.get("type", "")
            checksum = read_checksum(f"{algorithm}:{text}")
            if checksum is None and _is_known(algorithm):
                return f"hash must be the hexadecimal digits of a digest of its type, {algorithm}"
            if checksum is not None:
                if len(self._hashes) >= HASHES_CAP:
                    return f"it has more than {HASHES_CAP} checksums"
                self._hashes.append(checksum)
        else:
            priority = _whole(attributes.get("priority", str(PRIORITY_LAST)))
            if priority is None or not 1 <= priority <= PRIORITY_LAST:
                return f"priority must be a whole number from 1 to {PRIORITY_LAST}"
            if len(self._urls) >= URLS_CAP:
                return f"it has more than {URLS_CAP} URLs"
            if text.partition(":")[0].lower() in ("http", "https"):
                self._urls.append((priority, text))
        return ""

    def _row(self) -> dict[str, Any] | str:
        if not self._name:
            return "the file has no name"
        if not self._urls:
            return "the file has no http or https URL"
        first, *mirrors = (url for _, url in sorted(self._urls, key=lambda pair: pair[0]))     # equal ones as they stand
        row: dict[str, Any] = {"url": first, "out": self._name, "mirrors": mirrors, **self._values}
        for checksum in dict.fromkeys(self._hashes):
            add_checksum(row, checksum)
        return row


def _whole(text: str) -> int | None:
    """A whole number of decimal digits; None for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(SIZE_MAX)) else None


def _is_known(algorithm: str) -> bool:
    from qhttp.bulk.integrity import algorithm_name
    try:
        return bool(algorithm_name(algorithm))
    except ValueError:
        return False


def metalink_rows(file: IO[bytes]) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """(line, row or what is wrong) of each file element, once it has ended; mirrors by priority. Broken XML ends all."""
    from xml.parsers.expat import ExpatError, ParserCreate
    parser = ParserCreate(namespace_separator=" ")
    document = _Metalink(parser)
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = document.doctype
    parser.StartElementHandler = document.start
    parser.EndElementHandler = document.end
    parser.CharacterDataHandler = document.data
    n_read, data = 0, b" "
    while data:
        data = file.read1(READ_LEN) if hasattr(file, "read1") else file.read(READ_LEN)
        n_read += len(data)
        problem = ""
        try:
            parser.Parse(data, not data)
            if n_read - max(parser.CurrentByteIndex, 0) > LINE_CAP:       # it would keep all of it until the end is there
                problem = f"a tag, comment or the like is longer than {LINE_CAP} bytes"
        except _Problem as error:
            problem = error.args[0]
        except ExpatError as error:
            problem = f"it is no XML: {str(error).partition(':')[0]}"
        except (LookupError, ValueError):
            problem = "its encoding is not one that can be read: use UTF-8"
        yield from document.found
        document.found.clear()
        if problem:
            yield parser.CurrentLineNumber, problem
            return


# -- Parquet
def import_parquet() -> Any:
    """The module pyarrow.parquet. Raises ManifestError that names the extra where it is missing."""
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise ManifestError("a Parquet list needs the package pyarrow: pip install qhttp[parquet]") from None
    return parquet


def parquet_rows(file: IO[bytes]) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """(row number, row or what is wrong), BATCH_ROWS in memory at a time. Only the columns of our names are read."""
    parquet = import_parquet()
    from pyarrow import ArrowException
    n = 0
    try:
        table = parquet.ParquetFile(file)
        columns = [name for name in KEYS if name in table.schema_arrow.names]
        if "url" not in columns:
            yield 0, "it has no column url"
            return
        for batch in table.iter_batches(batch_size=BATCH_ROWS, columns=columns):
            for found in _batch_rows(batch):
                n += 1
                yield n, found
    except (ArrowException, ValueError, OverflowError) as error:
        yield 0, f"it cannot be read as Parquet beyond row {n} ({type(error).__name__})"


def _batch_rows(batch: Any) -> Iterable[dict[str, Any] | str]:
    try:
        rows: list[dict[str, Any] | str] = batch.to_pylist()
        return rows
    except ValueError:              # text that is not UTF-8, somewhere
        return map(_one_row, (batch.slice(i, 1) for i in range(batch.num_rows)))


def _one_row(batch: Any) -> dict[str, Any] | str:
    try:
        row: dict[str, Any] = batch.to_pylist()[0]
        return row
    except ValueError:
        return "a value is no text in UTF-8"
