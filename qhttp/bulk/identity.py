"""Who we are for servers and proxies: users, passwords, cookies. Each belongs to the one it was given for, and goes to no
other.

The credentials of `user` are for the hosts whose URLs were asked for, never for where they redirect to; those of netrc for
the host that stands there with them. Where a redirect leads, netrc's `default` is for nobody, and an entry is not for http
after https, nor for another port of the first host.
"""
from __future__ import annotations

from qhttp._core import describe_head
from qhttp.bulk.requests import url_of
from qhttp.bulk.settings import Settings
from qhttp.engine.authentication import AGAIN, NO_EDITION, PER_CONNECTION, UNKNOWN, Parties, Party
from qhttp.errors import AuthenticationRequired, ProxyAuthenticationRequired, QHttpError

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from typing import Any

    from qhttp.bulk.access import CookieStore

MAX_PARTIES = 4096


class Identity:
    """cookies: an access.CookieStore, or None."""

    cookies: CookieStore | None

    def __init__(self, settings: Settings):
        self._user, self._netrc = settings.user, settings.netrc
        # Each is for many connections, so that what authenticates one of them is passed over.
        self._origins, self._proxies = Parties(MAX_PARTIES, PER_CONNECTION), Parties(MAX_PARTIES, PER_CONNECTION)
        if self._netrc:
            self._login_of_netrc("")    # raises ValueError now, and not in the middle
        self.cookies = None
        if settings.cookies is not None and settings.cookies is not False:
            from qhttp.bulk.access import CookieStore
            self.cookies = CookieStore(settings.cookies)

    def __repr__(self) -> str:
        given = {"a user": self._user, "netrc": self._netrc, "cookies": self.cookies is not None}
        return f"<qhttp identity: {', '.join(name for name, value in given.items() if value) or 'nobody'}>"

    @classmethod
    def needed(cls, settings: Settings, has_proxy: bool) -> Identity | None:
        """None where nobody ever has to say who he is."""
        wanted = settings.user is not None or settings.netrc or settings.cookies not in (None, False) or has_proxy
        return cls(settings) if wanted else None

    def proxy_party(self, *key: Any) -> Party:
        """(kind, host, port, user, password) -> its party: connections made for one are not used for another."""
        party = self._proxies.for_origin(key)
        if key[3] and not party.user:
            party.set_credentials(key[3], key[4])
        return party

    def _party(self, transfer: Any) -> Party | None:
        """That of the origin that is asked now; None: it gets no credentials."""
        origin = transfer.place[0]
        login = self._user if transfer.is_at_home else None
        if login is None and self._netrc:
            try:
                login = self._login_at(origin, transfer)
            except (OSError, ValueError):       # it was good when the run began: without, and the server will tell
                login = None
        if login is None:
            return None
        party = self._origins.for_origin((*origin, login[0]))
        if not party.user:
            party.set_credentials(*login)
        return party

    def _login_at(self, origin: tuple[str, str, int], transfer: Any) -> tuple[str, str] | None:
        if transfer.is_at_home:
            return self._login_of_netrc(origin[1])
        scheme, host, port = transfer.home
        if scheme == "https" and origin[0] == "http":
            return None
        is_upgrade = (scheme, port) == ("http", 80) and origin == ("https", host, 443)
        return self._login_of_netrc(origin[1], False) if host != origin[1] or is_upgrade else None

    def _login_of_netrc(self, host: str, has_default: bool = True) -> tuple[str, str] | None:
        from qhttp.bulk.access import netrc_login
        return netrc_login(None if self._netrc is True else self._netrc, host, has_default)

    def credentials(self, transfer: Any, head: bytes, is_fresh: bool) -> list[tuple[bytes, bytes]] | None:
        """Fields to add to a request."""
        route = transfer.route
        proxy = route.proxy.party if route.is_fetched else None
        fields = []
        parties = proxy, self._party(transfer)
        transfer.editions = [party.edition_sent() if party is not None else NO_EDITION for party in parties]
        method, target, _ = head.split(b" ", 2)
        for name, party in zip((b"Proxy-Authorization", b"Authorization"), parties, strict=True):
            value = party.value(method.decode(), target.decode()) if party is not None and party.scheme is not None else None
            if value is not None:
                fields.append((name, value.encode("latin-1")))
        return fields or None

    def challenged(self, transfer: Any, block: bytes, status: int) -> bool | QHttpError:
        """True: ask again; else the error that the 401 or 407 is."""
        if status == 407:               # of a server behind a tunnel it says nothing of the proxy, whatever it claims
            return (self.proxy_challenged(transfer, block, transfer.editions[0]) if transfer.route.is_fetched
                    else ProxyAuthenticationRequired("the server calls itself a proxy, and wants a user and a password"))
        party, error = self._party(transfer), AuthenticationRequired
        if party is None:
            return error("the server wants a user and a password")
        return self._answer(party, _values(block, "www-authenticate"), transfer.editions[1], error, "the server")

    def proxy_challenged(self, transfer: Any, block: bytes, edition: int) -> bool | QHttpError:
        """The same of a proxy, which was asked with what its Party had in that edition."""
        proxy, error = transfer.route.proxy, ProxyAuthenticationRequired
        if proxy is None or not proxy.party.user:
            return error("the proxy wants a user and a password")
        return self._answer(proxy.party, _values(block, "proxy-authenticate"), edition, error, "the proxy")

    @staticmethod
    def _answer(party: Party, values: list[str], edition: int | None, error: type[QHttpError], who: str) -> bool | QHttpError:
        verdict = party.challenged(values, edition)
        if verdict == AGAIN:
            return True
        if verdict == UNKNOWN:
            name = party.passed_over()
            return error(f"{who} wants {name}, which only QHttp knows" if name else
                         f"{who} wants a way of authentication that is not known here")
        return error(f"{who} does not accept the user and password")

    def answered(self, transfer: Any) -> None:
        """A final answer that is no challenge has come: whoever was asked for credentials has accepted them; cookies are
        kept."""
        party, proxy = self._party(transfer), transfer.route.proxy.party if transfer.route.is_fetched else None
        for one, name, edition in ((proxy, "proxy-authentication-info", transfer.editions[0]),
                                   (party, "authentication-info", transfer.editions[1])):
            if one is not None and one.scheme is not None:
                one.accepted(", ".join(value for field, value in transfer.headers if field.lower() == name), edition)
        if self.cookies is not None:
            self.cookies.store(url_of(transfer.place), transfer.headers)


def _values(block: bytes, name: str) -> list[str]:
    return [value for field, value in describe_head(block)[4] if field.lower() == name]
