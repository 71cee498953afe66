"""The bytes of a request's head (RFC 9112 section 3). Nothing that could be read as more, or other, than one request gets out.

Raises ValueError that names the argument and says what is wrong with it, before anything is sent.
"""
_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"))      # what may be sent again by itself


def _shown(path):
    """What of a path may stand in a message: nothing of its query."""
    text = path.decode("latin-1") if isinstance(path, bytes) else path
    return ascii(text.partition("?")[0][:80])


def check_target(path):
    """`path` as bytes for the request line; visible ASCII and nothing else, so that it cannot end the line.

    str or bytes, as QUrl.toPercentEncoding gives it. Raises TypeError and ValueError.
    """
    if isinstance(path, str):
        text: str = path
        try:
            target = text.encode("ascii")
        except UnicodeEncodeError:
            raise ValueError(f"path has characters outside ASCII, percent-encode them: {_shown(path)}") from None
    elif isinstance(path, (bytes, bytearray)):
        target = bytes(path)
    else:
        raise TypeError(f"path must be str, not {type(path).__name__}")
    for byte in target:
        if byte <= 32 or byte >= 127:
            raise ValueError(f"path has a blank, a control character or a byte above 126: percent-encode it: {_shown(target)}")
    return target


def head_tail(host):
    """What stands behind the target in the head of a plain get() or head(), as the original sends it."""
    return b" HTTP/1.1\r\nConnection: Keep-Alive\r\nHost: %b\r\n\r\n" % host


def simple_head(method, target, tail):
    """The head of a plain get() or head(): `method` with its blank, `tail` from head_tail."""
    return joined(method, target, tail)


def with_fields(head, fields):
    """The head with these (name, value) pairs at its end, in the place of what it has under the same names."""
    lines = head[:-4].split(b"\r\n")
    names = [name.lower() for name, _ in fields]
    kept = [line for line in lines[1:] if line.partition(b":")[0].lower() not in names]
    return b"\r\n".join([lines[0], *kept, *[name + b": " + value for name, value in fields], b"\r\n"])


def check_fields(method, fields, has_body):
    """Refuses a method, or (name, value) pairs, that must not be sent; raises ValueError.

    The framing is ours: a Transfer-Encoding, two Content-Length fields that differ, or one that announces a body
    where none is given, are refused. One Content-Length beside a body is let pass and replaced.
    """
    if not method or not _TOKEN.issuperset(method.encode("utf-8")):
        raise ValueError(f"header has a method that is no token (RFC 9110 section 9.1): {method[:40]!r}")
    if method == "CONNECT":
        raise ValueError("header has the method CONNECT: tunnels are made by setProxy, not by request")
    lengths = []
    for name, value in fields:
        if not name or not _TOKEN.issuperset(name.encode("utf-8")):
            raise ValueError(f"header has a field name that is no token (RFC 9110 section 5.1): {name[:40]!r}")
        try:
            data = value.encode("latin-1")
        except UnicodeEncodeError:
            raise ValueError(f"header has a value of {name} outside Latin-1: encode it first") from None
        for byte in data:
            if (byte < 32 and byte != 9) or byte == 127:
                raise ValueError(f"header has a line break or control character in the value of {name}")
        lower = name.lower()
        if lower == "transfer-encoding":
            raise ValueError("header must not have Transfer-Encoding: the framing of the body is not the caller's")
        if lower == "content-length":
            lengths.append(value.strip(" \t"))
    if len(set(lengths)) > 1:
        raise ValueError("header has several Content-Length fields that differ")
    if lengths and not has_body and (not lengths[0] or lengths[0].strip("0")):
        raise ValueError("header has a Content-Length, but no data is given")


def full_head(method, target, minor, fields, body_len, is_chunked):
    """Any other head: the fields as given; the body's own length replaces the first Content-Length in place.

    `body_len` None: there is no body, or with `is_chunked` nobody knows its length. What is given has been through
    check_target and check_fields.
    """
    lines = [b"%b %b HTTP/1.%d" % (method, target, minor)]
    length_given = False
    for name, value in fields:
        if name.lower() == "content-length":
            if length_given or is_chunked:
                continue
            length_given = True
            if body_len is not None:
                value = str(body_len)
        lines.append(name.encode("ascii") + b": " + value.encode("latin-1"))
    if is_chunked:
        lines.append(b"Transfer-Encoding: chunked")
    elif body_len is not None and not length_given:
        lines.append(b"content-length: %d" % body_len)
    lines.append(b"\r\n")
    return b"\r\n".join(lines)
