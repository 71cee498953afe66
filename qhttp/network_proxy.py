"""QNetworkProxy: which proxy, of which kind, with which name and password; and the one that all of the program uses."""
from __future__ import annotations

from enum import IntEnum

from qhttp.arguments import checked_port

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from typing import ClassVar


class ProxyType(IntEnum):
    """What the proxy understands (Qt: QNetworkProxy::ProxyType)."""

    DefaultProxy = 0        # the application's
    Socks5Proxy = 1         # transparent: any connection (RFC 1928)
    NoProxy = 2
    HttpProxy = 3           # transparent: CONNECT. For plain http QHttp takes it as a caching one, as Qt since 4.3
    HttpCachingProxy = 4    # gets absolute URIs; plain http only
    FtpCachingProxy = 5     # for FTP only: QHttp does without


_Type = ProxyType           # inside the class below, its name is the class's attribute


def _text(name: str, value: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be str, not {type(value).__name__}")
    return value


def _kind(value: int) -> ProxyType:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"type must be a QNetworkProxy.ProxyType, not {type(value).__name__}")
    return ProxyType(value)


class QNetworkProxy:
    """One proxy (Qt: QNetworkProxy). QNetworkProxy(other) copies; changing one leaves the other.

    Raises TypeError for a value of another type, ValueError for a port outside 0 to 65535 and a type that does not exist.
    Its repr shows neither name nor password.
    """

    __slots__ = ("_host", "_kind", "_password", "_port", "_user")

    ProxyType = ProxyType
    DefaultProxy: _Type
    Socks5Proxy: _Type
    NoProxy: _Type
    HttpProxy: _Type
    HttpCachingProxy: _Type
    FtpCachingProxy: _Type
    (DefaultProxy, Socks5Proxy, NoProxy, HttpProxy, HttpCachingProxy, FtpCachingProxy) = ProxyType

    def __init__(self, type: int | QNetworkProxy = ProxyType.DefaultProxy, hostName: str = "", port: int = 0, user: str = "",
                 password: str = "") -> None:
        if isinstance(type, QNetworkProxy):
            self._kind, self._host, self._port, self._user, self._password = type._values()
            return
        self._kind, self._host, self._port = _kind(type), _text("hostName", hostName), checked_port(port)
        self._user, self._password = _text("user", user), _text("password", password)

    def _values(self) -> tuple[_Type, str, int, str, str]:
        return self._kind, self._host, self._port, self._user, self._password

    def type(self) -> _Type:
        """QNetworkProxy.ProxyType (Qt: QNetworkProxy::type)."""
        return self._kind

    def setType(self, type: int) -> None:
        """Sets the type: a QNetworkProxy.ProxyType, or its number (Qt: QNetworkProxy::setType)."""
        self._kind = _kind(type)

    def hostName(self) -> str:
        """The proxy's name or address: str (Qt: QNetworkProxy::hostName)."""
        return self._host

    def setHostName(self, hostName: str) -> None:
        """Sets the proxy's name or address (Qt: QNetworkProxy::setHostName)."""
        self._host = _text("hostName", hostName)

    def port(self) -> int:
        """The proxy's port: int (Qt: QNetworkProxy::port)."""
        return self._port

    def setPort(self, port: int) -> None:
        """Sets the proxy's port, 0 to 65535 (Qt: QNetworkProxy::setPort)."""
        self._port = checked_port(port)

    def user(self) -> str:
        """The name to log in with: str (Qt: QNetworkProxy::user)."""
        return self._user

    def setUser(self, user: str) -> None:
        """Sets the name to log in with (Qt: QNetworkProxy::setUser)."""
        self._user = _text("user", user)

    def password(self) -> str:
        """The password: str (Qt: QNetworkProxy::password)."""
        return self._password

    def setPassword(self, password: str) -> None:
        """Sets the password (Qt: QNetworkProxy::setPassword)."""
        self._password = _text("password", password)

    def isCachingProxy(self) -> bool:
        """Whether it gets whole requests and answers them itself (Qt: QNetworkProxy::isCachingProxy)."""
        return self._kind in (ProxyType.HttpCachingProxy, ProxyType.FtpCachingProxy)

    def isTransparentProxy(self) -> bool:
        """Whether it passes on any connection (Qt: QNetworkProxy::isTransparentProxy)."""
        return self._kind in (ProxyType.Socks5Proxy, ProxyType.HttpProxy)

    @staticmethod
    def setApplicationProxy(proxy: QNetworkProxy) -> None:
        """The proxy for everything that has none of its own: a copy is kept (Qt: QNetworkProxy::setApplicationProxy).

        DefaultProxy, as at first, means none.
        """
        global _application_proxy
        if not isinstance(proxy, QNetworkProxy):
            raise TypeError(f"proxy must be a QNetworkProxy, not {proxy.__class__.__name__}")
        _application_proxy = QNetworkProxy(proxy)

    @staticmethod
    def applicationProxy() -> QNetworkProxy:
        """A copy of the application's proxy; NoProxy where none was set (Qt: QNetworkProxy::applicationProxy)."""
        proxy = _application_proxy          # another thread may set it
        return QNetworkProxy(ProxyType.NoProxy if proxy._kind == ProxyType.DefaultProxy else proxy)

    def __eq__(self, other: object) -> bool:
        return self._values() == other._values() if isinstance(other, QNetworkProxy) else NotImplemented

    __hash__: ClassVar[None] = None     # type: ignore[assignment]  # it can change

    def __repr__(self) -> str:
        return f"<QNetworkProxy {self._kind.name} {self._host}:{self._port}>"


_application_proxy = QNetworkProxy()
