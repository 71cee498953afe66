"""What the words behind options may be: text in, value out, or a ValueError that says what it must be."""
from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST = 2**53                     # of a number: all that a float can count
LONGEST_S = 10.0**9
SHORTEST_INTERVAL_S = 0.125           # between two displays of progress
HEADER_FILE_LEN = 256 * 1024        # bytes of a file of header fields
UNITS = ("", "k", "M", "G", "T")


def whole(least: int, most: int = LARGEST) -> Callable[[str], int]:
    """A converter for whole numbers within bounds."""
    def converted(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or not least <= int(text[:20]) <= most:
            bounds = f"from {least} to {most}" if most < LARGEST else f"of at least {least}"
            raise ValueError(f"must be a whole number {bounds}, not {text!r}")
        return int(text)
    return converted


def seconds(text: str) -> float:
    """A length of time; 0 is no limit."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= LONGEST_S:
        raise ValueError(f"must be a number of seconds such as 30 or 2.5 (0: no limit), not {text!r}")
    return value


def interval(text: str) -> float:
    """A time between two displays."""
    value = seconds(text)
    if value < SHORTEST_INTERVAL_S:
        raise ValueError(f"must be at least {SHORTEST_INTERVAL_S} seconds, not {text!r}")
    return value


def size(text: str) -> int:
    """Bytes: 500, 64k, 1.5G."""
    from qhttp.bulk.rate import parse_size
    return parse_size(text)


def rate(text: str) -> float:
    """Things a second: 5/s, 100/m."""
    from qhttp.bulk.rate import parse_rate
    return parse_rate(text)


def speed(text: str) -> tuple[float, float]:
    """(bytes a second, over so many seconds): 1k/30s."""
    from qhttp.bulk.rate import parse_speed
    return parse_speed(text)


def checksum(text: str) -> str:
    """A checksum as it is, once it was understood."""
    from qhttp.bulk.integrity import Checksum
    Checksum.parse(text)
    return text


def algorithms(text: str) -> list[str]:
    """hashlib's names of hashes, from names separated by commas."""
    from qhttp.bulk.integrity import algorithm_name
    return [algorithm_name(name.strip()) for name in text.split(",")]


def readable_file(text: str) -> str:
    """The path of a file, once it could be opened for reading."""
    try:
        with open(text, "rb"):
            return text
    except OSError as error:
        raise ValueError(f"{text} cannot be read: {error.strerror}") from None


def header(text: str) -> list[tuple[str, str]]:
    """A header field, `Name: value`; or those of a file, @FILE, one a line. What it says is in no message."""
    if not text.startswith("@"):
        return [_field(text)]
    path = readable_file(text[1:])
    with open(path, "rb") as file:
        content = file.read(HEADER_FILE_LEN + 1)
    if len(content) > HEADER_FILE_LEN:
        raise ValueError(f"{path} is larger than {shown_size(HEADER_FILE_LEN)}: it cannot be a file of header fields")
    # of bytes: splitlines() of text takes more for line ends, 0x85 among them, which letters in UTF-8 have
    return [_field(line.removesuffix(b"\r").decode("latin-1")) for line in content.split(b"\n") if line.strip()]


def _field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip() or any(c <= " " or c == "\x7f" for c in name) or "\n" in value or "\r" in value:
        raise ValueError("must be a field 'Name: value', with a name of one word and on one line")
    return name, value.strip(" \t")


def shown_size(n: float) -> str:
    """A size as options take it: 16M, 1.5k."""
    for unit in UNITS:
        if n < 1024 or unit == UNITS[-1]:
            break
        n /= 1024
    return f"{n:.4g}{unit}"
