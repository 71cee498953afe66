"""A socket of the user's, in place of one of ours: where its bytes go, and what it may be used for.

It is borrowed. Closing a connection over it closes a duplicate of its descriptor, the socket itself stays open.
"""
from qhttp.engine.foreign import adopt_descriptor_of, adopt_object
from qhttp.errors import NetworkError, RequestError


class UserSocket:
    """sock: a socket.socket, connected or not; or anything with recv_into, send and fileno, which must be connected.

    A connection once ended cannot be made again on the same socket, and a connected one is for one server.
    """

    __slots__ = ("sock", "was_used")

    def __init__(self, sock):
        self.sock, self.was_used = sock, False

    def open(self, opening):
        """Hands `opening` a connection over it, or has it connected first, or refuses."""
        route = opening.route
        if self.was_used:
            opening.refused(None, NetworkError("HTTP request failed: the connection of the socket given to setSocket has "
                                               "ended: give another one, or None"))
            return
        self.was_used = True
        try:
            if not self._is_plain():
                if route.tls is not None and not self._is_tls():
                    raise RequestError("https needs an ssl.SSLSocket or a plain socket.socket: this object would send "
                                       "everything in the clear")
                connection = adopt_object(opening.loop, self.sock, route.key)
            elif self._is_connected():
                connection = adopt_descriptor_of(opening.loop, self.sock, route.key)
            else:
                opening.go()
                return
        except RequestError as error:
            opening.refused(None, error)
        except (OSError, ValueError) as error:
            opening.refused(None, NetworkError(f"HTTP request failed: the socket given to setSocket cannot be used: {error}"))
        else:
            if self._is_tls():
                opening.hand_over(connection)
            else:
                opening.passed(connection, b"")

    def _is_plain(self):
        import _socket
        return isinstance(self.sock, _socket.socket) and not self._is_tls()

    def _is_tls(self):
        return callable(getattr(self.sock, "cipher", None)) and self.sock.cipher() is not None

    def _is_connected(self):
        try:
            self.sock.getpeername()
        except OSError:
            return False
        return True
