"""A socket of the user's, in place of one of ours: where its bytes go, and what it may be used for.

It is borrowed. Closing a connection over it closes a duplicate of its descriptor, the socket itself stays open.
"""
from __future__ import annotations

from qhttp.engine.foreign import adopt_descriptor_of, adopt_object
from qhttp.errors import NetworkError, QHttpError, RequestError

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from typing import Any

    from qhttp._connection import Connection
    from qhttp._core import Loop
    from qhttp.engine.opening import Opening
    from qhttp.engine.route import Route

SOCK_STREAM = 1         # as socket has it, which takes its time to import


class UserSocket:
    """sock: a socket.socket, connected or not; or anything with recv_into, send and fileno, which must be connected.

    A connection once ended cannot be made again on the same socket, and a connected one is for one server.
    """

    __slots__ = ("sock", "user")

    sock: Any

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self.user: Route | None = None      # the route that had it

    def open(self, opening: Opening) -> None:
        """Hands `opening` a connection over it, or has it connected first, or refuses."""
        try:
            connection = self._connect(opening.loop, opening.route)
            is_secured = connection is not None and self._knows_tls()
        except QHttpError as error:
            opening.refused(None, error)
        except Exception as error:      # out of an object's own code, or a socket that is closed
            opening.refused(None, NetworkError(f"HTTP request failed: the socket given to setSocket cannot be used: {error}"))
        else:
            if not opening.is_wanted:        # its own code has aborted
                if connection is not None:
                    connection.close()
            elif connection is None:
                opening.go()
            elif is_secured:
                opening.hand_over(connection)
            else:
                opening.passed(connection, b"")

    def _connect(self, loop: Loop, route: Route) -> Connection | None:
        """A connection over it; None: it has to be connected first. Raises RequestError and NetworkError, or what it raises."""
        if self.user is not None:
            if self.user.origin != route.origin:
                raise NetworkError(f"HTTP request failed: the socket given to setSocket was used for {self.user.host}:"
                                   f"{self.user.port}, and cannot be for {route.host}:{route.port}: give another one, or None")
            raise NetworkError("HTTP request failed: the connection of the socket given to setSocket has ended: give another "
                               "one, or None")
        self.user = route
        if not self._is_plain():
            if self._knows_tls():
                if self.sock.cipher() is None:
                    raise RequestError("HTTP request failed: the ssl.SSLSocket given to setSocket must be connected and its "
                                       "handshake done")
            elif route.tls is not None:
                raise RequestError("https needs an ssl.SSLSocket or a plain socket.socket: this object would send "
                                   "everything in the clear")
            return adopt_object(loop, self.sock, route.key)
        if self.sock.type != SOCK_STREAM:
            raise RequestError("HTTP request failed: the socket given to setSocket must be a stream socket")
        return adopt_descriptor_of(loop, self.sock, route.key) if self._is_connected() else None

    def _is_plain(self) -> bool:
        import _socket
        return isinstance(self.sock, _socket.socket) and not self._knows_tls()

    def _knows_tls(self) -> bool:
        """As an ssl.SSLSocket does: https goes through it, and nothing in the clear."""
        return callable(getattr(self.sock, "cipher", None))

    def _is_connected(self) -> bool:
        try:
            self.sock.getpeername()
        except OSError:
            return False
        return True
