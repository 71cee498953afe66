"""What goes out: the fields of a request, the way to a host, and what a row may ask for."""
from __future__ import annotations

from sys import modules

from qhttp.bulk.settings import Settings
from qhttp.engine.route import CACHING, CONNECT, SOCKS, Proxy, Route
from qhttp.protocol.request import check_fields

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

# What the caller's own fields may hold that is meant for one server only (RFC 9110 section 15.4, and its CVEs).
SECRET = frozenset(("authorization", "cookie", "proxy-authorization"))
OF_BODY = "content-", "digest", "repr-digest", "last-modified"
OURS = frozenset(("range", "if-range", "te", "connection", "upgrade", "expect"))
AF_INET, AF_INET6 = 2, 10           # of Linux


def host_field(origin: tuple[str, str, int]) -> str:
    """The value of Host (RFC 9110 section 7.2)."""
    scheme, host, port = origin
    name = f"[{host.partition('%')[0]}]" if ":" in host else host
    return name if port == (443 if scheme == "https" else 80) else f"{name}:{port}"


def basic_fields(settings: Settings, origin: tuple[str, str, int]) -> list[tuple[str, str]]:
    """Host and the other fields that every request has, unless the caller says them otherwise."""
    accepted = "identity"
    if settings.compressed:
        from qhttp.bulk.coding import accept_encoding
        accepted = accept_encoding()
    return [("Host", host_field(origin)), ("User-Agent", f"qhttp/{modules['qhttp'].__version__}"), ("Accept", "*/*"),
            ("Accept-Encoding", accepted)]


def with_given(fields: list[tuple[str, str]], given: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The fields with those of the caller in the place of others of their names."""
    pairs = list(given)
    names = {name.lower() for name, _ in pairs}
    return [(name, value) for name, value in fields if name.lower() not in names] + pairs


def head_tail(settings: Settings, origin: tuple[str, str, int]) -> bytes:
    """What stands behind the target in the head of a plain request to that origin."""
    fields = with_given(basic_fields(settings, origin), settings.headers)
    lines = [f"{name}: {value}".encode("latin-1") for name, value in fields]
    return b" HTTP/1.1\r\n" + b"\r\n".join([*lines, b"\r\n"])


def url_of(place: tuple[tuple[str, str, int], bytes]) -> str:
    """The URL of a request as it is made: however it was written, cookies go by this one."""
    origin, target = place
    return f"{origin[0]}://{host_field(origin)}{target.decode('ascii')}"


def fields_for(runner: Any, transfer: Any) -> list[tuple[str, str]]:
    """The fields of a transfer's request that is not a plain one."""
    fields = basic_fields(runner.settings, transfer.place[0])
    for given in (runner.settings.headers, transfer.request_headers):
        if not transfer.is_at_home:
            given = [(name, value) for name, value in given if name.lower() not in SECRET and name.lower() != "host"]
        if transfer.has_lost_body:      # RFC 9110 section 15.4: what described it goes, too
            given = [(name, value) for name, value in given if not name.lower().startswith(OF_BODY)]
        fields = with_given(fields, given)
    if runner.identity is not None and runner.identity.cookies is not None:
        cookie = runner.identity.cookies.header_for(url_of(transfer.place), fields)
        if cookie is not None:
            check_fields("GET", [("Cookie", cookie)], False)       # a jar of the caller's may hold anything
            fields.append(("Cookie", cookie))
    return [*fields, *transfer.range_fields]


def without_user(given: Any) -> Any:
    """A URL, or a row, that was refused: without what stands before an @, which may be a password. The @ stays, so that it is
    refused again, and not fetched as nobody."""
    if isinstance(given, dict):
        return {**given, "url": without_user(given.get("url"))}
    scheme, mark, rest = given.partition("://") if isinstance(given, str) else ("", "", "")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{mark}...@{authority.rpartition('@')[2]}{slash}{path}" if "@" in authority else given


def checked_headers(given: Any) -> list[tuple[str, str]]:
    """(name, value) pairs that may be sent. Raises ValueError, TypeError."""
    pairs = [(name, value) for name, value in (given.items() if isinstance(given, dict) else given)]
    for name, value in pairs:
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"headers must be pairs of str, not of {type(name).__name__} and {type(value).__name__}")
    check_fields("GET", pairs, False)
    for name, _ in pairs:
        if name.lower() in OURS:
            raise ValueError(f"header {name} is not the caller's: the downloader sets it where it is needed")
    return pairs


def checked_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose values are of the right kinds. Raises ValueError, TypeError."""
    from qhttp.bulk.manifest import check_row
    checked = check_row(row)
    if checked.get("headers"):
        checked["headers"] = checked_headers(checked["headers"])
    if checked.get("checksum"):
        from qhttp.bulk.integrity import Checksum
        for text in ([checked["checksum"]] if isinstance(checked["checksum"], str) else checked["checksum"]):
            Checksum.parse(text)
    return checked


def route_to(origin: tuple[str, str, int], settings: Settings, choice: Any, identity: Any) -> tuple[Route, bytes]:
    """(Route, what stands before the target) for an origin, through a proxy if there is one for it."""
    scheme, host, port = origin
    tls = None
    if scheme == "https":
        from qhttp.engine.tls_context import configuration_of, default_configuration
        tls = default_configuration() if settings.context is None else configuration_of(settings.context)
    proxy = None
    found = choice.for_origin(scheme, host, port) if choice is not None else None
    if found is not None:
        kind, proxy_host, proxy_port, user, password = found
        way = SOCKS if kind == "socks5" else CONNECT if scheme == "https" else CACHING
        proxy = Proxy(way, proxy_host, proxy_port, identity.proxy_party(way, proxy_host, proxy_port, user, password))
    family = {0: 0, 4: AF_INET, 6: AF_INET6}[settings.family]
    route = Route(host, port, tls, proxy, None, family)
    return route, f"http://{host_field(origin)}".encode() if route.is_fetched else b""
