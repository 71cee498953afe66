"""From a route to a connection that HTTP can be spoken on: look-up, connect, tunnel, TLS; or a socket of the user's.

    look-up -> connect -> [SOCKS | CONNECT] -> [TLS] -> listener.opened(connection)
       ^                                         |
       +------ once more, unverified ------------+  its certificate was refused and somebody wants to be asked

A certificate that was refused ends a connection in ssl for good. So a second one is made that does not verify; its certificate
and the verdict on the first are shown, and only if the answer is yes, that very connection is handed over. Nothing was sent on
either of them by then.
"""
from libc.errno cimport ECONNREFUSED, ECONNRESET, EPIPE, ETIMEDOUT
from libc.stdint cimport uint64_t

from qhttp._connection cimport Connection, Watcher
from qhttp._core cimport Loop, qh_status
from qhttp.engine.observer cimport CONNECTING, LOOKING_UP, NO_STEP, SECURING, Observer, broken_off
from qhttp.engine.time_limits cimport Options
from qhttp.protocol.head cimport load

from os import strerror

from qhttp.engine.connect import Connector
from qhttp.engine.resolver import literal_address, resolver
from qhttp.engine.route import CONNECT, SOCKS
from qhttp.errors import (
    LACKING, AddressError, CertificateError, ConnectError, HostNotFound, NetworkError, QHttpError, lacking,
)


cdef class Opening(Watcher):
    """Tells its listener:

    looking_up(), connecting(), shaking()   how far it is; False: it is not wanted any more
    opened(connection)                      the end
    not_opened(error)                       the end: a QHttpError
    dropped()                               the end: the connection stood, and was gone before we looked
    wants_ssl_errors(), asked(error, der)   whether somebody wants to judge a certificate that ssl refused; the judgement
    proxy_challenged(block, edition), proxy_login()     what an exchange's observer is asked

    `observer` has the time that each step took, also those of one that was broken off.
    """

    def __init__(self, Loop loop, route, Options options, listener, Observer observer not None):
        self.loop, self.route, self.options, self.listener, self.observer = loop, route, options, listener, observer

    cdef object begin_step(self, int step):
        """What was under way is done with."""
        cdef uint64_t now = self.loop.now()
        if self.step != NO_STEP:
            self.observer.took_ns[self.step] += max(now - self.step_ns, <uint64_t>1)
        self.step, self.step_ns = step, now

    def start(self):
        if self.route.socket is not None:
            self.route.socket.open(self)
        elif self.route.proxy is not None and self.route.proxy.kind == CONNECT:
            from qhttp.engine.tunnel import Tunnel
            self.tunnel = Tunnel(self.loop, self.route, self.options, self)
            self.tunnel.start()
        else:
            self.go()

    @property
    def is_wanted(self):
        """Whether its listener still waits."""
        return self.listener is not None

    @property
    def is_quiet(self):
        """Whether this is the second time: all of it was told already."""
        return self.verdict is not None

    # -- look-up and connect
    cpdef go(self):
        peer = self.route.proxy or self.route
        addresses = literal_address(peer.host, peer.port)
        if addresses is not None:
            self.connect_to(addresses)
        elif not peer.host:
            if self.connecting():
                self.loop.call_soon(self.not_found)
        elif self.looking_up():
            self.is_asking = True
            resolver.lookup(self.loop, peer.host, peer.port, self.looked_up)

    def looking_up(self):
        self.begin_step(LOOKING_UP)
        return self.listener is not None and (self.is_quiet or (self.listener.looking_up() and self.listener is not None))

    def connecting(self):
        self.begin_step(CONNECTING)
        return self.listener is not None and (self.is_quiet or (self.listener.connecting() and self.listener is not None))

    def looked_up(self, addresses, error):
        self.is_asking = False
        if self.listener is None:
            return
        try:
            if not addresses and is_our_own(error):
                host = (self.route.proxy or self.route).host
                self.fail(lacking(ConnectError(f"Host {host} could not be looked up: {error.strerror}"), error.errno))
            elif not addresses:
                self.not_found()
            else:
                self.connect_to(addresses)
        except BaseException as problem:        # nobody else would tell
            if self.listener is not None:
                self.fail(broken_off(problem))
            raise

    def not_found(self):
        if self.listener is not None:
            self.fail(HostNotFound(f"Host {(self.route.proxy or self.route).host} not found"))

    def connect_to(self, addresses):
        """Goes on with addresses, [(family, sockaddr)], that are known."""
        if self.route.family:
            addresses = [address for address in addresses if address[0] == self.route.family]
            if not addresses:
                self.fail(HostNotFound(f"Host {(self.route.proxy or self.route).host} has no address of the family asked for"))
                return
        if self.options.public_only:        # the very addresses that are connected to then: a name may change its mind
            from qhttp.engine.addresses import public_ones
            addresses = public_ones(addresses)
            if not addresses:
                self.fail(AddressError(f"Host {(self.route.proxy or self.route).host} has no public address"))
                return
        if self.connecting():
            given = self.route.socket.sock if self.route.socket is not None else None
            self.connector = Connector(self.loop, self.route.key, addresses, self.connected, given)
            self.prepare()

    cdef object prepare(self):
        """Gets what the answer will need, while the connection is being made."""
        try:
            load()
        except NetworkError:
            pass                        # without a descriptor; perhaps there is one later

    def connected(self, Connection connection, int error):
        self.connector = None
        if connection is None:
            if self.listener is not None:       # else cancelled meanwhile, by a finalizer
                self.not_connected(error)
        elif self.listener is None:
            connection.close()
        elif self.route.proxy is not None and self.route.proxy.kind == SOCKS:
            self.pass_socks(connection)
        else:
            self.passed(connection, b"")

    def not_connected(self, int error):
        """No connection: errno tells why."""
        listener = self.listener
        if error == ECONNRESET or error == EPIPE:
            self.cancel()
            listener.dropped()
        elif error == ECONNREFUSED or error == ETIMEDOUT:
            self.fail(ConnectError("Connection refused (or timed out)"))
        else:
            self.fail(lacking(NetworkError(f"HTTP request failed: {strerror(error)}"), error))

    # -- through a proxy
    def pass_socks(self, Connection connection):
        from qhttp.engine.socks import SocksChannel
        self.connection, connection.watcher = connection, self
        try:
            channel = SocksChannel(self.route.host, self.route.port, self)
        except QHttpError as error:
            self.fail(error)
        else:
            if self.connection is connection:       # else cancelled meanwhile
                channel.start(connection)

    def proxy_login(self):
        return self.listener.proxy_login() if self.listener is not None else None

    def login_rejected(self):
        self.route.proxy.party.login_rejected()

    def proxy_challenged(self, block, edition):
        return self.listener.proxy_challenged(block, edition)

    def tunnelled(self, Connection connection, bytes received=b""):
        """The proxy passes on what we send; `received` came behind its answer."""
        self.passed(connection, received)

    def refused(self, Connection connection, error):
        """The proxy does not."""
        if self.listener is not None:
            self.fail(error)

    # -- TLS
    def passed(self, Connection connection, bytes received):
        """The connection reaches the server."""
        if self.listener is None:
            connection.close()
            return
        self.connection, connection.watcher = connection, self
        connection.key = self.route.key     # not the proxy's
        if self.route.tls is None:
            self.hand_over(connection)
        else:
            self.shake(connection, received)

    cdef object shake(self, Connection connection, bytes received):
        self.begin_step(SECURING)
        if not self.is_quiet and not (self.listener.shaking() and self.connection is connection):
            return
        from qhttp.engine.tls import TlsChannel         # not before the first https: imports are felt
        channel = None
        try:
            channel = TlsChannel(self.route.tls, self.route.host, self.route.port, not self.is_quiet, self)
        except (OSError, ValueError) as error:      # a host name that ssl does not take; a file of keys that cannot be written
            self.fail(NetworkError(f"HTTP request failed: {error}"))
        if channel is not None and self.connection is connection:       # else cancelled meanwhile
            channel.start(connection, received)

    def secured(self, Connection connection):
        """The handshake is done (the channel tells)."""
        if self.connection is not connection:
            return
        self.begin_step(NO_STEP)        # whoever is asked now may take his time
        if self.verdict is None:
            self.hand_over(connection)
        else:
            self.ask(connection)

    def insecure(self, Connection connection, error):
        """It failed."""
        if self.connection is not connection:
            return
        self.begin_step(NO_STEP)
        connection.close()
        if self.listener is None:
            return                      # any code may run where it is closed
        if self.verdict is None and hasattr(error, "verify_code") and self.listener.wants_ssl_errors():
            self.verdict, self.connection = error, None
            if self.route.socket is None:
                self.start()            # once more, unverified
            else:                       # the user's own socket cannot be connected again
                self.listener.asked(error, None)
                self.refuse_certificate()
        else:
            kind = CertificateError if hasattr(self.verdict or error, "verify_code") else NetworkError
            self.fail(kind(f"HTTP request failed: {told(self.verdict or error)}"))

    cdef object ask(self, Connection connection):
        cdef bint accepted = self.listener.asked(self.verdict, connection.channel.certificate)
        if self.connection is not connection:
            return
        if not accepted:
            self.refuse_certificate()
        elif self.was_lost:
            self.fail(NetworkError("HTTP request failed: the server closed the connection"))
        else:
            self.hand_over(connection)

    def refuse_certificate(self):
        if self.listener is not None:
            self.fail(CertificateError(f"HTTP request failed: {told(self.verdict)}"))

    # -- the end
    cpdef hand_over(self, Connection connection):
        self.begin_step(NO_STEP)
        listener, self.listener, self.connection = self.listener, None, None
        if listener is None:
            connection.close()
            return
        try:
            listener.opened(connection)
        except BaseException as problem:
            if connection.watcher is self:      # it has not come to anybody
                connection.close()
                listener.not_opened(broken_off(problem))
            raise

    cdef object fail(self, error):
        listener = self.listener
        try:
            self.cancel()
        finally:
            if listener is not None:
                listener.not_opened(error)

    cpdef cancel(self):
        """Closes what is under way; the listener hears no more."""
        self.begin_step(NO_STEP)
        self.listener = None
        if self.is_asking:
            self.is_asking = False
            peer = self.route.proxy or self.route
            resolver.forget(peer.host, peer.port, self.looked_up)
        for step in (self.connector, self.tunnel):
            if step is not None:
                step.cancel()
        connection, self.connection = self.connection, None
        self.connector = self.tunnel = None
        if connection is not None:
            connection.close()

    cdef object on_stale(self, Connection connection):
        self.was_lost = True

    cdef object on_failed(self, Connection connection, qh_status status, int error):
        if self.listener is not None:
            self.fail(NetworkError(f"HTTP request failed: {strerror(error)}"))

    cdef object on_broken(self, Connection connection, object error):
        if self.listener is not None:
            self.fail(broken_off(error))


def is_our_own(error):
    """Whether a look-up failed for want of something here, and not because nobody knows the name."""
    return isinstance(error, OSError) and error.errno in LACKING


def told(error):
    """What is wrong with a TLS connection, in ssl's words without its own file names."""
    message = getattr(error, "verify_message", None)
    if message:
        return f"the server's certificate was refused: {message}"
    reason = getattr(error, "reason", None)
    if isinstance(reason, str):
        return f"TLS: {reason.replace('_', ' ').lower()}"
    return f"TLS: {error.strerror if isinstance(error, OSError) and error.strerror else error}"
