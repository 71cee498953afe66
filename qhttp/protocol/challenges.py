"""The challenges of a 401 or 407 (RFC 9110 section 11.6.1), read by a scanner that never fails: what is malformed is skipped.

A field holds a list of challenges whose parameters are lists themselves, so a comma does not say what it ends: a token behind
one is a parameter when "=" follows it, and else the next scheme. Everything is bounded.
"""
from __future__ import annotations

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from collections.abc import Container

MAX_FIELD_LEN = 32 * 1024       # characters of one field value; a longer one is not read (Kerberos tokens are long)
MAX_CHALLENGES = 32             # of all fields together
MAX_PARAMETERS = 32             # of one challenge; it is unusable with more

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_TOKEN68 = frozenset("-._~+/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_BLANK = frozenset(" \t")
_BETWEEN = frozenset(" \t,")


class Challenge:
    """One challenge: `scheme` in lower case, `token` (token68, "" without), `parameters` with lower-case names."""

    __slots__ = ("parameters", "scheme", "token")

    scheme: str
    token: str
    parameters: dict[str, str]

    def __init__(self, scheme: str, token: str = "", parameters: dict[str, str] | None = None):
        self.scheme, self.token = scheme.lower(), token
        self.parameters = {} if parameters is None else parameters

    @property
    def realm(self) -> str:
        """The realm, for people; "" where none is given (RFC 9110 section 11.5)."""
        return self.parameters.get("realm", "")

    @property
    def is_utf8(self) -> bool:
        """Whether the server wants credentials in UTF-8, the only charset there is (RFC 7616 section 3.3, RFC 7617 2.1)."""
        return self.parameters.get("charset", "").lower() == "utf-8"


def parse_challenges(values: list[str]) -> list[Challenge]:
    """The usable challenges of all WWW-Authenticate (or all Proxy-Authenticate) field values, in their order. Never raises."""
    found: list[Challenge] = []
    for value in values:
        if len(value) <= MAX_FIELD_LEN:
            found += _challenges(value, MAX_CHALLENGES - len(found))
    return found


def parse_parameters(value: str) -> dict[str, str]:
    """The parameters of a field without a scheme, as Authentication-Info is (RFC 7615). {} where it is not to be trusted."""
    pseudo = _challenges(f"Info {value}", 1) if len(value) <= MAX_FIELD_LEN else []
    return pseudo[0].parameters if pseudo and not pseudo[0].token else {}


def _challenges(text: str, n_most: int) -> list[Challenge]:
    found: list[Challenge] = []
    unusable: set[Challenge] = set()
    current: Challenge | None = None
    pos = 0
    while (pos := _run(text, pos, _BETWEEN)) < len(text):
        end = _run(text, pos, _TOKEN)
        if end > pos and _next_char(text, end) != "=":
            if len(found) == n_most:
                break
            current = Challenge(text[pos:end])
            found.append(current)
            pos = _run(text, end, _BLANK)
            token_end = _run(text, _run(text, pos, _TOKEN68), "=")
            if pos > end and token_end > pos and _at_element_end(text, token_end):
                current.token, pos = text[pos:token_end], token_end
            if pos == end or _at_element_end(text, pos):        # nothing, or nothing more, belongs to the element
                pos = _element_end(text, pos)
                continue
        name, value, end = _parameter(text, pos)
        if name and current is not None:
            if name in current.parameters or len(current.parameters) == MAX_PARAMETERS:
                unusable.add(current)       # which of the two was meant? RFC 9110 section 11.2: at most once
            current.parameters[name] = value
        pos = end
    return [challenge for challenge in found if challenge not in unusable]


def _parameter(text: str, pos: int) -> tuple[str, str, int]:
    """(name, value, end) of the list element at `pos`; an empty name when it is no auth-param. `end` is that of the element."""
    end = _run(text, pos, _TOKEN)
    name = text[pos:end].lower()
    at = _run(text, end, _BLANK)
    if not name or text[at:at + 1] != "=":
        return "", "", _element_end(text, pos)
    at = _run(text, at + 1, _BLANK)
    value: str | None
    if text[at:at + 1] == '"':
        value, end = _quoted_string(text, at)
    else:
        end = _run(text, at, _TOKEN)
        value = text[at:end] or None
    if value is None or not _at_element_end(text, end):
        return "", "", _element_end(text, at)
    return name, value, end


def _quoted_string(text: str, pos: int) -> tuple[str | None, int]:
    """(unescaped value, position behind it) of the quoted string at `pos`; None for the value when it does not end."""
    parts: list[str] = []
    pos += 1
    while pos < len(text):
        char = text[pos]
        if char == '"':
            return "".join(parts), pos + 1
        if char == "\\":
            pos += 1
            char = text[pos:pos + 1]
        parts.append(char)
        pos += 1
    return None, pos


def _run(text: str, pos: int, chars: Container[str]) -> int:
    """The end of the run of `chars` that begins at `pos`."""
    while pos < len(text) and text[pos] in chars:
        pos += 1
    return pos


def _next_char(text: str, pos: int) -> str:
    """The first character behind blanks, "" at the end."""
    pos = _run(text, pos, _BLANK)
    return text[pos:pos + 1]


def _at_element_end(text: str, pos: int) -> bool:
    return _next_char(text, pos) in ("", ",")


def _element_end(text: str, pos: int) -> int:
    """The comma, outside of quoted strings, that ends the list element at `pos`; or the end of the text."""
    while pos < len(text) and text[pos] != ",":
        pos = _quoted_string(text, pos)[1] if text[pos] == '"' else pos + 1
    return pos


# -- what every answer to a challenge needs
def has_controls(text: str) -> bool:
    """Whether a control character is in `text`: it could end the field, or be read as another one."""
    return any(char < " " or char == "\x7f" for char in text)


def quoted(text: str) -> str:
    """`text` as a quoted string (RFC 9110 section 5.6.4); without control characters, as has_controls says."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def octets(user: str, password: str, is_utf8: bool) -> tuple[bytes, bytes, bool]:
    """User name and password as octets, and whether these are UTF-8: where the server asked for it, then in normal form C
    (RFC 7617 section 2.1), or where one does not fit into Latin-1, which is what the original sends.

    Raises ValueError for what is no text (a lone surrogate).
    """
    if is_utf8:
        from unicodedata import normalize
        user, password = normalize("NFC", user), normalize("NFC", password)
    for charset in ("utf-8",) if is_utf8 else ("latin-1", "utf-8"):
        try:
            return user.encode(charset), password.encode(charset), charset == "utf-8"
        except UnicodeEncodeError:
            continue
    raise ValueError("user name or password is no valid text")      # outside: the other error holds the credential
