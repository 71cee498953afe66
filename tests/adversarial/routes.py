"""The routes by which a client reaches the peer of a case, as that peer sees them.

A proxy and the server behind it are one peer here: it takes the CONNECT or the SOCKS greeting on the very connection on which
the case is played then. A program in between would pass on other pieces than the server has sent, and FIN where that has
reset; so cuts and ends arrive as the case has them, and a client cannot tell the difference. Over TLS each piece is a record
of its own, and a FIN has a close_notify before it: an end without one is a cut, as a reset is.
"""
import contextlib
import functools
import ipaddress
import ssl
from dataclasses import dataclass

from support.request_reading import take_head
from support.scripted_server import BLOCK, PATIENCE_S, ClientLeft

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
SOCKS_OPEN = b"\x05\x00"                                # no login wanted
SOCKS_CONNECTED = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"
SOCKS_IPV4, SOCKS_NAME, SOCKS_IPV6 = 1, 3, 4


@dataclass(frozen=True)
class Route:
    """How a client gets to the server."""
    proxy: str | None = None        # the scheme of the proxy's URL
    is_tls: bool = False

    @property
    def scheme(self) -> str:
        return "https" if self.is_tls else "http"

    @property
    def is_tunnel(self) -> bool:
        return self.proxy == "http" and self.is_tls


ROUTES = {
    "direct": Route(),
    "tls": Route(is_tls=True),
    "proxy": Route(proxy="http"),
    "tunnel": Route(proxy="http", is_tls=True),
    "socks": Route(proxy="socks5"),
}


@functools.cache
def server_context(pem: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


class TlsSide:
    """The server's side of TLS on a socket, in the place of that socket."""

    def __init__(self, sock, context: ssl.SSLContext):
        self._sock, self._incoming, self._outgoing = sock, ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._ahead = b""           # what was received before somebody asked for it
        self._when_there(self._tls.do_handshake)

    def settimeout(self, seconds: float) -> None:
        self._sock.settimeout(seconds)

    def recv(self, n: int) -> bytes:
        if self._ahead:
            data, self._ahead = self._ahead[:n], self._ahead[n:]
            return data
        try:
            return self._when_there(lambda: self._tls.read(n))
        except ssl.SSLZeroReturnError:
            return b""

    def send(self, data) -> int:
        n = self._tls.write(data) if data else 0
        self._flush()
        return n

    def good_bye(self) -> None:
        """Sends close_notify, and waits for nothing. What has come already is taken before: behind it, OpenSSL would call it an
        error."""
        with contextlib.suppress(ssl.SSLError):
            while data := self._tls.read(BLOCK):
                self._ahead += data
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        self._flush()

    def shutdown(self, how: int) -> None:
        self.good_bye()
        self._sock.shutdown(how)

    def _when_there(self, act):
        """Does something as soon as enough has come."""
        while True:
            try:
                return act()
            except ssl.SSLWantReadError:
                self._flush()
                data = self._sock.recv(BLOCK)
                if not data:
                    raise ClientLeft("client closed") from None
                self._incoming.write(data)
            finally:
                self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._sock.sendall(self._outgoing.read())


def start_tls(peer, context: ssl.SSLContext) -> None:
    """What is received and sent from now on goes through TLS, and only that is counted."""
    peer.sock.settimeout(PATIENCE_S)
    peer.sock = TlsSide(peer.sock, context)


def port_of(authority: str) -> int:
    return int(authority.rpartition(":")[2])


def take_connect(peer) -> int:
    """Takes a CONNECT; returns the port that it asks for."""
    return port_of(take_head(peer).split(b" ")[1].decode())


def take_socks(peer, send) -> int:
    """Takes a SOCKS5 greeting and request, and grants it; returns the port that it asks for."""
    peer.take(peer.take(2)[1])
    send(SOCKS_OPEN)
    kind = peer.take(4)[3]
    if kind == SOCKS_NAME:
        peer.take(peer.take(1)[0])
    else:
        ipaddress.ip_address(peer.take({SOCKS_IPV4: 4, SOCKS_IPV6: 16}[kind]))
    port = int.from_bytes(peer.take(2), "big")
    send(SOCKS_CONNECTED)
    return port
