"""Lists of downloads, row by row: text and aria2 input files, JSON lines, CSV. Metalink and Parquet have the module beside.

A list may be endless: nothing is held but the row at hand. A line that cannot be read is a ManifestError in the place of its
row, so that whoever takes the rows may skip it or stop. The errors' texts name the list and the line, and never show a value.
"""
from __future__ import annotations

import os

from qhttp.errors import ManifestError

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import IO, Any, TypeAlias

    _Row: TypeAlias = dict[str, Any]
    _Found: TypeAlias = tuple[int, _Row | str]       # (number of the line, values or what is wrong)

FORMATS = ("text", "metalink", "jsonl", "csv", "parquet")      # "text" is also aria2's input file
LINE_CAP = 1 << 20              # bytes of a line; of a CSV record, characters
SIZE_MAX = 2 ** 63 - 1          # of a "size": what a file offset can hold

_FORMAT_OF = {".meta4": "metalink", ".metalink": "metalink", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv",
              ".parquet": "parquet"}
_BLANKS = " \t\r\n"
_OPTION_CHARS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_FIELD_OPTIONS = {"referer": "Referer", "user-agent": "User-Agent"}
_CSV_KEYS = ("url", "out", "dir", "checksum", "size")


def read_list(source: str | os.PathLike[str], *, format: str | None = None,
              stdin: IO[Any] | None = None) -> Iterator[_Row | ManifestError]:
    """The rows of a list, one by one: dicts of "url" and, where given, "out", "dir", "checksum", "size", "headers", "mirrors".

    source: a path, or "-" for standard input (`stdin`; None: sys.stdin), which is read line by line. format: one of FORMATS;
    None: by the ending of the name, and text where it says nothing. Columns of other names are left out. A line that cannot be
    read is a ManifestError among the rows, and so is, as the last one, what ends the list before its time. A row of a text
    comes when the next one begins, for lines with its options may follow.

    Raises ManifestError if the list cannot be opened, or pyarrow is missing; ValueError for an unknown format.
    """
    path = os.fsdecode(source)
    kind = format if format is not None else _FORMAT_OF.get(os.path.splitext(path)[1].lower(), "text")
    if kind not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, not {format!r}")
    reader: Any = {"text": _text_rows, "jsonl": _json_rows, "csv": _csv_rows}.get(kind)
    if kind == "metalink":
        from qhttp.bulk.metalink import metalink_rows as reader
    elif kind == "parquet":
        from qhttp.bulk.metalink import import_parquet
        from qhttp.bulk.metalink import parquet_rows as reader
        import_parquet()
    unit = "row" if kind == "parquet" else "line"
    if path == "-":
        if kind == "parquet":
            raise ValueError("source must be a path where the format is parquet: such a file is read from its end")
        standard: Any = stdin
        if standard is None:
            from sys import stdin as standard
        return _checked(reader, getattr(standard, "buffer", standard), "standard input", unit, False)
    try:
        file = open(path, "rb")
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror or error}") from None
    return _checked(reader, file, path, unit, True)


def _checked(reader: Callable[[IO[Any]], Iterator[_Found]], file: IO[Any], name: str, unit: str,
             is_ours: bool) -> Iterator[_Row | ManifestError]:
    """The rows in their one form. `reader` gives (number of the line, values or what is wrong); 0: wrong with the whole."""
    try:
        for n, found in reader(file):
            if isinstance(found, dict):
                try:
                    yield check_row(found)
                    continue
                except ValueError as error:
                    found = str(error)
            yield ManifestError(f"{name}, {unit} {n}: {found}" if n else f"{name}: {found}")
    except OSError as error:
        yield ManifestError(f"{name} cannot be read any further: {error.strerror or error}")
    finally:
        if is_ours:
            file.close()


# -- one row
def check_row(values: _Row) -> _Row:
    """A row in its one form: known keys only, headers as a list of [name, value], one checksum as text.

    A key whose value is None or an empty list counts as missing. Raises ValueError that names the key and says what it must be.
    """
    row: _Row = {}
    for key, check, wanted in _CHECKS:
        value = values.get(key)
        if value is not None:
            value = check(value)
            if value is None:
                raise ValueError(f"{key} must be {wanted}")
            if value != []:
                row[key] = value
    if not row.get("url"):
        raise ValueError("url is missing")
    return row


def _text(value: object) -> str | None:
    if isinstance(value, str):
        if value.isascii():
            return value
        try:
            value.encode()
            return value
        except UnicodeEncodeError:      # half of a surrogate pair
            pass
    return None


def _url(value: object) -> str | None:
    text = _text(value)
    if text is not None and "@" in text:
        from re import split
        if "@" in split("[/?#]", text.partition("://")[2], maxsplit=1)[0]:
            return None
    return text


def _texts(value: object) -> list[str] | None:
    if isinstance(value, (list, tuple)) and all(_text(one) is not None for one in value):
        return list(value)
    return None


def _size(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= SIZE_MAX else None


def _headers(value: object) -> list[list[str] | None] | None:
    if isinstance(value, dict):
        value = [pair for pair in value.items() if pair[1] is not None]
    if not isinstance(value, (list, tuple)):
        return None
    pairs = [_texts(pair) for pair in value]
    return pairs if all(pair is not None and len(pair) == 2 for pair in pairs) else None


def _checksum(value: object) -> str | list[str] | None:
    checksums = _texts([value] if isinstance(value, str) else value)
    return checksums[0] if checksums and len(checksums) == 1 else checksums


_CHECKS = (
    ("url", _url, "text, and without user information: that belongs into --user or netrc"),
    ("out", _text, "text"),
    ("dir", _text, "text"),
    ("checksum", _checksum, "text, or a list of texts"),
    ("size", _size, "a whole number of bytes, 0 or more"),
    ("headers", _headers, "a list of pairs of name and value, both text, or an object of such"),
    ("mirrors", _texts, "a list of texts"),
)
KEYS = tuple(key for key, _, _ in _CHECKS)


# -- lines
def lines_of(file: IO[Any]) -> Iterator[tuple[int, str, str]]:
    """(number, text with its line end, what is wrong with it or "") of each line.

    The text of a line that is too long is " " where it is indented, and "?" otherwise.
    """
    n = 0
    while line := file.readline(LINE_CAP + 1):
        n += 1
        if n == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")       # a byte order mark
        if len(line) > LINE_CAP and not line.endswith(b"\n"):
            first = " " if line[:1] in b" \t" else "?"
            while line and not line.endswith(b"\n"):
                line = file.readline(LINE_CAP)
            yield n, first, f"it is longer than {LINE_CAP} bytes"
            continue
        try:
            yield n, line.decode(), ""
        except UnicodeDecodeError:
            yield n, line.decode(errors="replace"), "it is not UTF-8"


def _text_rows(file: IO[Any]) -> Iterator[_Found]:
    """One URL a line, or several with tabs between them that are mirrors; indented lines below it are options of aria2."""
    row: _Row = {}
    n_row, n_wrong, wrong = 0, 0, ""
    for n, line, trouble in lines_of(file):
        text = line.strip(_BLANKS)
        if not trouble and (not text or text[0] == "#"):
            continue
        if line[0] in " \t":
            if not n_row:
                yield n, trouble or "an indented line is an option of the URL above it, and there is none"
            elif not wrong:
                n_wrong, wrong = n, trouble or _take_option(row, text)
            continue
        if n_row:
            yield (n_wrong, wrong) if wrong else (n_row, row)
        n_row, n_wrong, wrong = n, n, trouble
        urls = [url for url in (part.strip(_BLANKS) for part in text.split("\t")) if url]
        row = {"url": urls[0]} if urls else {}
        if urls[1:]:
            row["mirrors"] = urls[1:]
    if n_row:
        yield (n_wrong, wrong) if wrong else (n_row, row)


def _take_option(row: _Row, text: str) -> str:
    """Puts an option into the row; what is wrong with it, or "". Other options than ours are for aria2 alone."""
    name, equals, value = (part.strip(_BLANKS) for part in text.partition("="))
    if not equals or not name or not _OPTION_CHARS.issuperset(name):
        return "an indented line must be an option: name=value"
    if name in ("out", "dir"):
        row[name] = value
    elif name == "checksum":
        checksum = read_checksum(value)
        if checksum is None:
            return "checksum must be the algorithm and the digest in hexadecimal digits, as in sha-256=0123..."
        add_checksum(row, checksum)
    elif name == "header":
        field, colon, value = (part.strip(_BLANKS) for part in value.partition(":"))
        if not colon or not field:
            return "header must be Name: value"
        row.setdefault("headers", []).append([field, value])
    elif name in _FIELD_OPTIONS:
        if name == "referer" and value == "*":
            return "referer must be a URL: * has no meaning here"
        row.setdefault("headers", []).append([_FIELD_OPTIONS[name], value])
    return ""


def read_checksum(text: str) -> str | None:
    """"sha256:hex" from "sha-256=HEX", or with a colon; None for what is none, or of an algorithm that is unknown."""
    from qhttp.bulk.integrity import Checksum
    try:
        return str(Checksum.parse(text))
    except ValueError:
        return None


def add_checksum(row: _Row, checksum: str) -> None:
    """One stands alone, several are a list."""
    before = row.get("checksum")
    row["checksum"] = checksum if before is None else [*([before] if isinstance(before, str) else before), checksum]


def _json_rows(file: IO[Any]) -> Iterator[_Found]:
    from json import loads
    for n, line, trouble in lines_of(file):
        if trouble:
            yield n, trouble
        elif not line.isspace():
            try:
                found = loads(line)
            except (ValueError, RecursionError):
                found = None
            yield n, found if isinstance(found, dict) else "it is no JSON object"


class _RecordLines:
    """The lines that the CSV reader asks for; what is wrong with those of one record is kept, and its quotes are not lost."""

    def __init__(self, file: IO[Any]) -> None:
        self._lines = lines_of(file)
        self.begin()

    def begin(self) -> None:
        """Before each record."""
        self.n_first, self.trouble, self._len = 0, "", 0

    def __iter__(self) -> _RecordLines:
        return self

    def __next__(self) -> str:
        n, line, trouble = next(self._lines)
        self.n_first = self.n_first or n
        self.trouble = self.trouble or trouble
        self._len += len(line)
        if self._len > LINE_CAP:
            from csv import Error
            raise Error(f"the record is longer than {LINE_CAP} characters: a quote may be missing")
        return line


def _csv_rows(file: IO[Any]) -> Iterator[_Found]:
    """The first record names the columns, and all have as many fields: what lost its beginning must not be taken for a row."""
    import csv
    lines = _RecordLines(file)
    records = csv.reader(lines, strict=True)
    columns: dict[str, int] = {}
    n_columns = 0
    while True:
        lines.begin()
        try:
            record = next(records)
        except StopIteration:
            return
        except csv.Error as error:
            record, lines.trouble = ["?"], lines.trouble or str(error)
        if not record:
            continue
        if not n_columns:
            n_columns = len(record)
            columns = {name.strip().lower(): i for i, name in reversed(list(enumerate(record)))}
            if lines.trouble or "url" not in columns:
                yield lines.n_first, lines.trouble or "the first line must name the columns, and one of them url"
                return
        elif lines.trouble:
            yield lines.n_first, lines.trouble
        elif len(record) != n_columns:
            yield lines.n_first, f"it has {len(record)} fields, and the first line {n_columns}"
        else:
            row: _Row = {key: record[columns[key]] for key in _CSV_KEYS if key in columns and record[columns[key]]}
            size = row.get("size", "")
            if size.isdecimal() and len(size) <= len(str(SIZE_MAX)):
                row["size"] = int(size)
            yield lines.n_first, row


# -- writing
def write_aria2(rows: Iterable[_Row], file: IO[str]) -> int:
    """Writes rows as an input file of aria2, which read_list reads, too; returns how many. `file` is open for text in UTF-8.

    "size" has no place there. Raises ValueError that names the key for what has none either: line breaks, blanks at an end.
    """
    n = 0
    for values in rows:
        row = check_row(values)
        urls = [_plain("mirrors" if i else "url", url) for i, url in enumerate((row["url"], *row.get("mirrors", ())))]
        if urls[0][0] == "#" or any("\t" in url or not url for url in urls):
            raise ValueError("url must not begin with #, nor url or mirrors be empty, or hold tabs: aria2 would read others")
        lines = ["\t".join(urls), *(f" {key}={_plain(key, row[key])}" for key in ("out", "dir") if key in row)]
        checksums = row.get("checksum", ())
        for checksum in [checksums] if isinstance(checksums, str) else checksums:
            text = read_checksum(checksum)
            if text is None:
                raise ValueError("checksum must be the algorithm and the digest, as in sha256:0123...")
            algorithm, _, digest = text.partition(":")
            lines.append(f" checksum={algorithm.replace('sha', 'sha-') if '_' not in algorithm else algorithm}={digest}")
        for name, value in row.get("headers", ()):
            if ":" in name or not name:
                raise ValueError("headers must not have empty names, or names with a colon")
            lines.append(f" header={_plain('headers', name)}: {_plain('headers', value)}")
        file.write("\n".join(lines) + "\n")
        n += 1
    return n


def _plain(key: str, value: str) -> str:
    if value != value.strip(_BLANKS) or "\n" in value or "\r" in value:
        raise ValueError(f"{key} must not hold line breaks or have blanks at its ends: aria2 would read another thing")
    return value
