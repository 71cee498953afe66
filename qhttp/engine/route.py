"""The way to a server: which one, through which proxy, over which TLS, on whose socket."""


class Route:
    """`key` tells apart what connections may be used for: two routes with equal keys may share them.

    host, port: of the server. tls: a TlsConfiguration; None for plain http. proxy: a Proxy, socket: a UserSocket, or None.
    family: AF_INET or AF_INET6 where only such addresses may be connected to, 0: either.
    """

    __slots__ = ("family", "host", "key", "port", "proxy", "socket", "tls")

    def __init__(self, host, port, tls=None, proxy=None, socket=None, family=0):
        self.host, self.port, self.tls, self.proxy, self.socket, self.family = host, port, tls, proxy, socket, family
        if socket is not None:
            self.key = "socket", socket, host, port, tls
        elif self.is_fetched:           # for all hosts over one connection
            self.key = "http", proxy.key, None, 0, None
        else:
            self.key = "https" if tls else "http", host, port, tls, proxy.key if proxy else None

    @property
    def is_fetched(self):
        """Whether the proxy fetches for us: it gets absolute URIs."""
        return self.proxy is not None and self.proxy.kind == CACHING

    @property
    def origin(self):
        """What credentials are bound to: scheme, host, port."""
        return "https" if self.tls else "http", self.host, self.port

    @property
    def authority(self):
        """host:port as in a request to CONNECT (RFC 9110 section 9.3.6): bytes."""
        name = self.host.partition("%")[0]
        return f"[{name}]:{self.port}".encode() if ":" in name else f"{name}:{self.port}".encode()


CACHING, CONNECT, SOCKS = "caching", "connect", "socks"


class Proxy:
    """kind: CACHING gets absolute URIs, CONNECT and SOCKS pass on any connection. party: its credentials, an
    authentication.Party; connections made for one party are not used for another."""

    __slots__ = ("host", "kind", "party", "port")

    def __init__(self, kind, host, port, party):
        self.kind, self.host, self.port, self.party = kind, host, port, party

    @property
    def key(self):
        return self.kind, self.host, self.port, self.party
