"""The way to a server: which one, through which proxy, over which TLS, on whose socket."""
from __future__ import annotations

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from qhttp.engine.authentication import Party
    from qhttp.engine.tls_context import TlsConfiguration
    from qhttp.engine.user_socket import UserSocket


class Route:
    """`key` tells apart what connections may be used for: two routes with equal keys may share them.

    host, port: of the server. tls: a TlsConfiguration; None for plain http. proxy: a Proxy, socket: a UserSocket, or None.
    family: AF_INET or AF_INET6 where only such addresses may be connected to, 0: either.
    """

    __slots__ = ("family", "host", "key", "port", "proxy", "socket", "tls")

    host: str
    port: int
    tls: TlsConfiguration | None
    proxy: Proxy | None
    socket: UserSocket | None
    family: int

    def __init__(self, host: str, port: int, tls: TlsConfiguration | None = None, proxy: Proxy | None = None,
                 socket: UserSocket | None = None, family: int = 0) -> None:
        self.host, self.port, self.tls, self.proxy, self.socket, self.family = host, port, tls, proxy, socket, family
        if socket is not None:
            self.key: tuple[object, ...] = "socket", socket, host, port, tls
        elif proxy is not None and proxy.kind == CACHING:       # for all hosts over one connection
            self.key = "http", proxy.key, None, 0, None
        else:
            self.key = "https" if tls else "http", host, port, tls, proxy.key if proxy else None

    def __repr__(self) -> str:
        way = f" through {self.proxy}" if self.proxy else " over the user's socket" if self.socket else ""
        return f"<qhttp route to {'https' if self.tls else 'http'}://{self.authority.decode()}{way}>"

    @property
    def is_fetched(self) -> bool:
        """Whether the proxy fetches for us: it gets absolute URIs."""
        return self.proxy is not None and self.proxy.kind == CACHING

    @property
    def fetching_party(self) -> Party | None:
        """The party of the proxy that fetches for us; None where none does."""
        return self.proxy.party if self.proxy is not None and self.proxy.kind == CACHING else None

    @property
    def origin(self) -> tuple[str, str, int]:
        """What credentials are bound to: scheme, host, port."""
        return "https" if self.tls else "http", self.host, self.port

    @property
    def authority(self) -> bytes:
        """host:port as in a request to CONNECT (RFC 9110 section 9.3.6): bytes."""
        name = self.host.partition("%")[0]
        return f"[{name}]:{self.port}".encode() if ":" in name else f"{name}:{self.port}".encode()


CACHING, CONNECT, SOCKS = "caching", "connect", "socks"


class Proxy:
    """kind: CACHING gets absolute URIs, CONNECT and SOCKS pass on any connection. party: its credentials, an
    authentication.Party; connections made for one party are not used for another."""

    __slots__ = ("host", "kind", "party", "port")

    kind: str
    host: str
    port: int
    party: Party

    def __init__(self, kind: str, host: str, port: int, party: Party) -> None:
        self.kind, self.host, self.port, self.party = kind, host, port, party

    def __repr__(self) -> str:
        return f"<qhttp {self.kind} proxy {self.host}:{self.port}>"

    @property
    def key(self) -> tuple[object, ...]:
        return self.kind, self.host, self.port, self.party
