"""What a QHttp has beyond a plain server: users, proxies, TLS, a socket of one's own. Made when the first of them is needed.

It turns settings into routes and challenges into credentials or questions. Credentials are bound to the one they were given
for: those of setUser to the first server asked after it, those of setProxy to that proxy.
"""
from __future__ import annotations

from qhttp._core import describe_head
from qhttp.arguments import checked_host
from qhttp.engine.authentication import AGAIN, UNKNOWN, Parties
from qhttp.engine.route import CACHING, CONNECT, SOCKS, Proxy, Route
from qhttp.errors import AuthenticationRequired, ProxyAuthenticationRequired, RequestError
from qhttp.network_proxy import QNetworkProxy

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from typing import Any

    from qhttp.authenticator import QAuthenticator
    from qhttp.engine.authentication import Party
    from qhttp.engine.tls_context import TlsConfiguration
    from qhttp.engine.user_socket import UserSocket
    from qhttp.errors import QHttpError
    from qhttp.request_queue import RequestQueue

DIRECT = (QNetworkProxy.DefaultProxy, QNetworkProxy.NoProxy, QNetworkProxy.FtpCachingProxy)


class Wiring:
    """has_parties: somebody may have to be authenticated; before that, no request needs to ask."""

    __slots__ = ("_origins", "_proxies", "_proxy_is_new", "_proxy_now", "_proxy_set", "_socket", "_tls", "has_parties")

    has_parties: bool

    def __init__(self) -> None:
        self._origins, self._proxies = Parties(), Parties()
        self._socket: UserSocket | None = None
        self._tls: TlsConfiguration | None = None
        self.has_parties = False
        self._proxy_set = self._proxy_now = QNetworkProxy()     # the second one: what is in use since the last set_host
        self._proxy_is_new = False

    # -- settings
    def set_user(self, user: str, password: str) -> bool:
        """For the server that is asked next. True: connections may be authenticated as somebody else."""
        self._origins.bind(user, password)
        self.has_parties = True
        return any(party.scheme is not None and party.scheme.is_per_connection for party in self._origins)

    def set_proxy(self, proxy: QNetworkProxy) -> None:
        """A QNetworkProxy for the servers that are chosen from now on."""
        self._proxy_set, self._proxy_is_new = proxy, True

    def set_socket(self, sock: Any) -> None:
        """A socket of the user's for all connections from now on; None: one of ours for each."""
        if sock is None:
            self._socket = None
            return
        from qhttp.engine.user_socket import UserSocket  # not before one is given: imports are felt
        self._socket = UserSocket(sock)

    def set_tls(self, context: ssl.SSLContext | None) -> None:
        """An ssl.SSLContext for connections made from now on; None: the default one."""
        from qhttp.engine.tls_context import configuration_of
        self._tls = None if context is None else configuration_of(context)

    # -- routes
    def route(self, host: str, port: int, is_https: bool, is_new: bool) -> Route:
        """The Route to a server, through the proxy that was set last; not `is_new`: through that of the last route, for the
        same server. Raises RequestError where there is none."""
        if is_new:
            self._proxy_now = self._proxy_set
            if self._proxy_now.type() == QNetworkProxy.DefaultProxy:
                self._proxy_now = QNetworkProxy.applicationProxy()
        return Route(host, port, self._tls_configuration() if is_https else None,
                     None if self._socket is not None else self._proxy_for(is_https), self._socket)

    def _tls_configuration(self) -> TlsConfiguration:
        if self._tls is None:
            from qhttp.engine.tls_context import default_configuration
            self._tls = default_configuration()
        return self._tls

    def _proxy_for(self, is_https: bool) -> Proxy | None:
        proxy = self._proxy_now
        if proxy.type() in DIRECT or not proxy.hostName():
            return None
        if proxy.type() == QNetworkProxy.Socks5Proxy:
            kind = SOCKS
        elif not is_https:
            kind = CACHING
        elif proxy.type() == QNetworkProxy.HttpProxy:
            kind = CONNECT
        else:
            raise RequestError("HTTP request failed: a caching proxy cannot pass on https: use QNetworkProxy.HttpProxy")
        host, port = checked_host(proxy.hostName()), proxy.port()
        # A party for each way of using it: its challenges to CONNECT are not those to a GET. And one for each user who was set,
        # so that nobody uses a tunnel that was made for another.
        party = self._proxies.for_origin((kind, host, port, proxy.user(), proxy.password()))
        if proxy.user() and (self._proxy_is_new or not party.user):     # else what a slot has answered is better
            party.set_credentials(proxy.user(), proxy.password())
            self.has_parties = True
        self._proxy_is_new = False
        return Proxy(kind, host, port, party)

    # -- credentials
    def asks(self, *origin: Any) -> None:
        """That server is asked now: what set_user gave before is its own, whether or not it can be reached."""
        self._origins.for_origin(origin)

    def credentials(self, route: Route, head: bytes, is_fresh: bool) -> list[tuple[bytes, bytes]] | None:
        """Fields to add to a request, or None. `is_fresh`: nothing was sent on its connection before."""
        origin = self._origins.for_origin(origin_of(route, head))
        proxy = route.fetching_party
        if is_fresh:
            self.connection_lost(route)
        if origin.scheme is None and (proxy is None or proxy.scheme is None):
            return None
        method, target, _ = head.split(b" ", 2)
        fields = []
        for name, party in ((b"Proxy-Authorization", proxy), (b"Authorization", origin)):
            value = party.value(method.decode(), target.decode()) if party is not None else None
            if value is not None:
                fields.append((name, value.encode("latin-1")))
        return fields or None

    def connection_lost(self, route: Route) -> None:
        """The next request goes out on another connection."""
        self._origins.for_origin(route.origin).connection_changed()
        party = route.fetching_party
        if party is not None:
            party.connection_changed()

    def accepted(self, route: Route, head: bytes, block: bytes) -> None:
        """An answer that is no challenge came to the request with that head."""
        for party, name in ((self._origins.for_origin(origin_of(route, head)), "authentication-info"),
                            (route.fetching_party, "proxy-authentication-info")):
            if party is not None and party.scheme is not None:
                party.accepted(", ".join(values_of(block, name)))

    def challenged(self, queue: RequestQueue, route: Route, head: bytes, block: bytes, status: int) -> bool | QHttpError:
        """A 401 or 407 came to the request with that head: True to ask again, with what `credentials` then gives; else the
        error it is."""
        self.has_parties = True
        if status == 407:
            if not route.is_fetched:    # of whom? No proxy has read the request
                return ProxyAuthenticationRequired("Proxy authentication required")
            self._origins.for_origin(origin_of(route, head)).connection_changed()
            return self.proxy_challenged(queue, route, block)
        origin, text = origin_of(route, head), "Authentication required"
        if origin != route.origin:
            return AuthenticationRequired(f"{text}: the path names another server than setHost")
        party = self._origins.for_origin(origin)
        return answer(party, values_of(block, "www-authenticate"), lambda: self._ask(party, queue._ask_for_user),
                      AuthenticationRequired, text)

    def proxy_challenged(self, queue: RequestQueue, route: Route, block: bytes,
                         edition: int | None = None) -> bool | QHttpError:
        """The same of the proxy's own 407; edition: of its Party, when a CONNECT was sent."""
        assert route.proxy is not None
        self.has_parties = True
        return answer(route.proxy.party, values_of(block, "proxy-authenticate"), lambda: self._ask_for_proxy(queue, route),
                      ProxyAuthenticationRequired, "Proxy authentication required", edition)

    def proxy_login(self, queue: RequestQueue, route: Route) -> tuple[str, str] | None:
        """(user, password) for a SOCKS5 proxy that wants one, or None."""
        assert route.proxy is not None
        party = route.proxy.party
        if party.login() is None:
            party.set_credentials(*self._ask_for_proxy(queue, route))
        return party.login()

    def _ask_for_proxy(self, queue: RequestQueue, route: Route) -> tuple[str, str]:
        kinds = {CACHING: QNetworkProxy.HttpCachingProxy, CONNECT: QNetworkProxy.HttpProxy, SOCKS: QNetworkProxy.Socks5Proxy}
        assert route.proxy is not None
        proxy, party = route.proxy, route.proxy.party
        shown = QNetworkProxy(kinds[proxy.kind], proxy.host, proxy.port, party.user, party.password)
        return self._ask(party, lambda authenticator: queue._ask_for_proxy_user(shown, authenticator))

    @staticmethod
    def _ask(party: Party, emit: Callable[[QAuthenticator], object]) -> tuple[str, str]:
        from qhttp.authenticator import QAuthenticator
        authenticator = QAuthenticator(party.realm, party.user, party.password, {"realm": party.realm})
        emit(authenticator)
        return authenticator.user(), authenticator.password()


def answer(party: Party, values: list[str], ask: Callable[[], tuple[str, str]], failure: type[QHttpError],
           text: str, edition: int | None = None) -> bool | QHttpError:
    """What becomes of a party's challenge: True, or the error."""
    verdict = party.challenged(values, edition)
    if verdict == AGAIN:
        return True
    if verdict == UNKNOWN:
        return failure("Unknown authentication method")
    if party.answered(*ask()):
        return True
    return failure(f"{text}: {party.problem}" if party.problem else text)


def origin_of(route: Route, head: bytes) -> tuple[Any, ...]:
    """Whose credentials go with a request: those of the route's server, unless a proxy is to fetch from another one, which the
    target names (RFC 9112 section 3.2.2). That one is told apart by all that stands there, in the place of a host."""
    if route.is_fetched:
        scheme, _, rest = head.split(b" ", 2)[1].partition(b"://")
        authority = rest.partition(b"/")[0].partition(b"?")[0].lower()
        name = route.authority.lower()
        if scheme.lower() != b"http" or (authority != name and (route.port != 80 or authority != name.removesuffix(b":80"))):
            return "http", scheme + b"://" + authority, 0
    return route.origin


def values_of(block: bytes, name: str) -> list[str]:
    """The values of all fields of that name in a head."""
    return [value for field, value in describe_head(block)[4] if field.lower() == name]
