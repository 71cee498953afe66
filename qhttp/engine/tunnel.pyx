"""A tunnel through an HTTP proxy: CONNECT (RFC 9110 section 9.3.6) is an exchange of its own, whose connection goes on.

What the proxy answers with 2xx has neither a length nor a coding, whatever its head says. Its credentials go into CONNECT and
nowhere else.
"""
from qhttp._connection cimport Connection
from qhttp._core cimport Loop, Sink
from qhttp.engine.exchange cimport Exchange
from qhttp.engine.observer cimport Observer, Request
from qhttp.engine.pool cimport Pool
from qhttp.engine.time_limits cimport Options

from qhttp._core import describe_head
from qhttp.engine.route import Route
from qhttp.errors import NetworkError, QHttpError


cdef class Tunnel(Observer):
    """Tells an Opening: looking_up(), connecting(), proxy_challenged(block, edition); tunnelled(connection, received), or
    refused(None, error)."""
    cdef Exchange exchange
    cdef object party           # of the proxy
    cdef object edition         # of what its CONNECT carried: others ask the same proxy at the same time
    cdef object opening

    def __init__(self, Loop loop, route, Options options, opening):
        cdef Exchange exchange = Exchange.__new__(Exchange)
        cdef Request request = Request.__new__(Request)
        self.opening, self.party, self.exchange = opening, route.proxy.party, exchange
        request.head = (b"CONNECT %b HTTP/1.1\r\nProxy-Connection: keep-alive\r\nHost: %b\r\n\r\n"
                        % (route.authority, route.authority))
        request.is_connect = True
        exchange.loop, exchange.pool, exchange.observer, exchange.sink = loop, Pool(0), self, Sink()
        exchange.route = Route(route.proxy.host, route.proxy.port, family=route.family)
        exchange.key = exchange.route.key
        exchange.options = Options()
        exchange.options.limits = options.limits        # of time, those of the exchange that waits for the tunnel
        exchange.options.connect_ms = 0
        exchange.carry(request)

    def start(self):
        self.exchange.begin()

    def cancel(self):
        """Closes what is under way; the opening hears no more."""
        self.exchange.cancel()

    cdef object looking_up(self):
        self.opening.looking_up()

    cdef object connecting(self):
        self.opening.connecting()

    cdef object credentials(self, object route, Request request, bint is_fresh):
        if is_fresh:
            self.party.connection_changed()
        self.edition = self.party.edition_sent()
        value = self.party.value("CONNECT", request.head.split(b" ", 2)[1].decode())
        return None if value is None else [(b"Proxy-Authorization", value.encode("latin-1"))]

    cdef object challenged(self, bytes block, int status):
        if status == 407:
            return self.opening.proxy_challenged(block, self.edition)
        return refusal(block)

    cdef object tunnelled(self, Connection connection, bytes received):
        self.party.accepted("", self.edition)
        self.opening.tunnelled(connection, received)

    cdef object head_received(self, bytes block, int status):
        self.exchange.cancel()
        self.opening.refused(None, refusal(block))

    cdef object failed(self, object error):
        if error.qt_name == "UnexpectedClose":
            error = NetworkError("HTTP request failed: the proxy closed the connection")
        elif error.qt_name == "InvalidResponseHeader":
            error = NetworkError("HTTP request failed: the proxy's answer to CONNECT is not valid HTTP")
        self.opening.refused(None, error)


def refusal(block):
    _, _, status, reason, _ = describe_head(block)
    return NetworkError(f"HTTP request failed: the proxy refused CONNECT: {status} {reason}".rstrip())
