"""What a caller may pass to the Qt face: hosts, ports, amounts, bodies, devices. Each check gives the value to work with, or a
TypeError or ValueError that names the argument.
"""
from __future__ import annotations

from codecs import StreamWriter

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from typing import Any


def is_url(value: object) -> bool:
    """Whether it is like a QUrl."""
    return not isinstance(value, str) and callable(getattr(value, "toEncoded", None)) and callable(getattr(value, "host", None))


def plain_path(path: Any) -> Any:
    """A QUrl's path and query, percent-encoded, or a QByteArray's bytes; anything else as it is."""
    if isinstance(path, (str, bytes, bytearray)):
        return path
    if is_url(path):
        text = bytes(path.toEncoded()).partition(b"#")[0]
        scheme, colon, rest = text.partition(b"://")
        if not colon or b"/" in scheme or b"?" in scheme:       # it has none: that stands in its path or query
            return text
        at = min(place for place in (rest.find(b"/"), rest.find(b"?"), len(rest)) if place >= 0)
        return rest[at:] if rest[at:at + 1] == b"/" else b"/" + rest[at:]
    return bytes(path.data()) if callable(getattr(path, "data", None)) else path


def _shown(hostname: str) -> str:
    """What of a faulty host may stand in a message: no user and password of a URL."""
    return ascii(str.rpartition(hostname, "@")[2][:80])


def checked_host(hostname: str) -> str:
    """The name as it goes on the wire, or the address without brackets; "" is let pass, and not found later."""
    if is_url(hostname):
        hostname = hostname.host()      # type: ignore[attr-defined]
    if not isinstance(hostname, str):
        raise TypeError(f"hostname must be str, not {type(hostname).__name__}")
    name = str.__str__(hostname)
    bracketed = name.startswith("[") and name.endswith("]")     # an IPv6 address as it stands in a URL
    if bracketed or ":" in name:
        from qhttp.engine.resolver import literal_address
        name = name[1:-1] if bracketed else name
        if literal_address(name, 0) is None or ":" not in name:
            raise ValueError(f"hostname must be a name or an address alone, not {_shown(hostname)}")
        return name
    if not name.isascii():
        from qhttp.protocol.url import DEVIATIONS, encoded_host
        try:                            # one with two meanings goes where a URL with it goes
            name = name.encode("idna").decode("ascii") if DEVIATIONS.isdisjoint(name) else encoded_host(name, False)
        except ValueError as error:
            raise ValueError(f"hostname has no form for the wire: {_shown(hostname)}: {error}") from None
    if any(c <= " " or c == "\x7f" or c in "/?#@\\[]%:" for c in name):
        raise ValueError(f"hostname must be a name or an address alone, not {_shown(hostname)}")
    labels = name.removesuffix(".").split(".")
    if name and (len(name) > 254 or not all(0 < len(label) < 64 for label in labels)):
        raise ValueError(f"hostname has an empty label, or one that is too long: {_shown(hostname)}")
    return name


def checked_number(name: str, value: int, least: int, most: int) -> int:
    """A plain int within bounds."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be int, not {type(value).__name__}")
    if not least <= value <= most:
        raise ValueError(f"{name} must be from {least} to {most}, not {value}")
    return value


def checked_port(port: int) -> int:
    return checked_number("port", port, 0, 65535)


ENDLESS = 10**12        # milliseconds, or bytes: as good as no limit, and safe to calculate with


def checked_amount(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be int, not {type(value).__name__}")
    if not 0 <= value < 2**53:
        raise ValueError(f"{name} must be from 0 to 2**53 - 1, not {value}")
    return min(value, ENDLESS)


def checked_data(data: Any) -> Any:
    """A body: bytes-like (copied where it could change), or a device with read()."""
    if data is None or type(data) is bytes:
        return data
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(memoryview(data))
    if callable(getattr(data, "read", None)):
        if hasattr(data, "encoding"):
            raise TypeError("data must be a binary file, this one gives text")
        return data
    if callable(getattr(data, "data", None)):       # a QByteArray of a real Qt
        return bytes(data.data())
    raise TypeError(f"data must be bytes or have a read(n) method, not {type(data).__name__}")


def checked_destination(to: Any) -> Any:
    if to is None:
        return None
    if hasattr(to, "encoding") or isinstance(to, (type, StreamWriter)) or not callable(getattr(to, "write", None)):
        raise TypeError(f"to must be a binary file or have a write(bytes) method, not {type(to).__name__}")
    return to


def checked_text(name: str, value: str) -> str:
    """Plain text; what it is must not show in a message."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be str, not {type(value).__name__}")
    return value


def checked_proxy(host: Any, port: int | None, username: str, password: str) -> Any:
    """A QNetworkProxy of our own, from one, from one of a Qt that is around, or from its parts."""
    from qhttp.network_proxy import QNetworkProxy  # not before one is given: imports are felt
    if isinstance(host, str):
        if port is None:
            raise TypeError("port is missing: setProxy(host, port) or setProxy(QNetworkProxy)")
        return QNetworkProxy(QNetworkProxy.HttpProxy, checked_host(host), checked_port(port),
                             checked_text("username", username), checked_text("password", password))
    if port is not None or username or password:
        raise TypeError(f"host must be str, not {type(host).__name__}")
    if isinstance(host, QNetworkProxy):
        return QNetworkProxy(host)
    try:
        kind = host.type()
        return QNetworkProxy(int(getattr(kind, "value", kind)), host.hostName(), host.port(), host.user(), host.password())
    except (AttributeError, TypeError):
        raise TypeError(f"proxy must be a QNetworkProxy, not {type(host).__name__}") from None


def checked_socket(socket: Any) -> Any:
    """A socket, or what can be used like one."""
    if socket is not None and not all(callable(getattr(socket, name, None)) for name in ("recv_into", "send", "fileno")):
        raise TypeError(f"socket must have recv_into, send and fileno, or be None; not {type(socket).__name__}")
    return socket


def root_for_empty(method: str) -> bytes:
    """The target for an empty path, with Qt's warning. To be called by compiled code, which has no frame of its own."""
    import warnings  # not before one is due: imports are felt
    warnings.warn(f"QHttp: empty path requested is invalid -- using '/' ({method})", stacklevel=2)
    return b"/"
