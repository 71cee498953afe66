"""What of a URL, or of any text from outside, may be shown: in messages, logs, reprs."""
from __future__ import annotations

MAX_LINE_LEN = 1000             # characters
MAX_URL_LEN = 200


def shown_url(url: str) -> str:
    """A URL as it may be shown: without credentials, query and fragment, on one line."""
    has_user = "@" in url
    url = url.partition("#")[0].partition("?")[0]
    scheme, slashes, rest = url.partition("://")
    if slashes:
        authority, slash, path = rest.partition("/")
        server = authority.rpartition("@")[2]
        if has_user and not is_port(server.rpartition("]")[2].partition(":")[2]):
            return one_line(scheme + slashes + "...", MAX_URL_LEN)      # a password with a slash in it, or ?, or #
        url = scheme + slashes + server + slash + path
    elif has_user and "@" not in url and ":" in url.partition("/")[0]:
        url = "..."
    else:                       # half a URL, perhaps: user:password@host
        url = url.rpartition("@")[2]
    return one_line(url, MAX_URL_LEN)


def is_port(text: str) -> bool:
    return not text or text.isdecimal()


def one_line(text: str, max_len: int = MAX_LINE_LEN) -> str:
    """A text that a terminal shows as it is: control characters become spaces or question marks."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)
    return text if len(text) <= max_len else text[:max_len - 3] + "..."
