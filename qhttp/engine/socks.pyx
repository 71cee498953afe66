"""The way through a SOCKS5 proxy (RFC 1928, RFC 1929), with socksio's messages. The name is looked up by the proxy.

Never more is received than the reply that is due: what follows it belongs to whoever uses the connection next.
"""
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.errno cimport EAGAIN, EINTR, errno

from qhttp._connection cimport Channel, Connection

from qhttp.errors import NetworkError, ProxyAuthenticationRequired, RequestError

cdef extern from "<sys/socket.h>" nogil:
    int MSG_DONTWAIT
    Py_ssize_t recv(int fd, void *room, size_t length, int flags)

cdef enum:
    REPLY_MAX = 4 + 1 + 255 + 2
    LOGIN_MAX = 255             # bytes of a name or password (RFC 1929 section 2)

cdef dict REASONS = {1: "general failure", 2: "not allowed by its rules", 3: "network unreachable", 4: "host unreachable",
                     5: "connection refused", 6: "the time to live ran out", 7: "it cannot CONNECT", 8: "it cannot use such addresses"}


cdef class SocksChannel(Channel):
    """Asks for `host` and `port`. `asker` is asked for `proxy_login()`, a (user, password) or None, when the proxy wants one, and
    told `login_rejected()` when it is wrong; in the end it is told `tunnelled(connection)`, or `refused(connection, error)` with a QHttpError."""

    def __init__(self, str host, int port, asker):
        try:
            from socksio import socks5
        except ImportError:
            raise RequestError("a SOCKS5 proxy needs the package socksio: pip install qhttp[socks]") from None
        self.machine, self.host, self.port, self.asker = socks5.SOCKS5Connection(), host, port, asker

    cpdef start(self, Connection connection):
        from socksio import socks5
        connection.set_channel(self)
        methods = socks5.SOCKS5AuthMethod
        self.machine.send(socks5.SOCKS5AuthMethodsRequest([methods.NO_AUTH_REQUIRED, methods.USERNAME_PASSWORD]))
        self.expect(self.method_chosen, 2)
        self.flush(connection)

    cdef object flush(self, Connection connection):
        connection.send_raw(self.machine.data_to_send())

    cdef object expect(self, stage, size_t n):
        self.stage, self.wanted, self.received = stage, n, b""

    cdef object receive(self, Connection connection):
        cdef char[REPLY_MAX] room
        cdef Py_ssize_t n
        while self.asker is not None:
            n = recv(connection.c.fd, room, self.wanted - len(self.received), MSG_DONTWAIT)
            if n < 0 and errno == EINTR:
                continue
            if n < 0 and errno == EAGAIN:
                return
            if n <= 0:
                self.refuse(connection, "it closed the connection")
                return
            self.received += PyBytes_FromStringAndSize(room, n)
            if <size_t>len(self.received) < self.wanted:
                continue
            if self.received[0] != (1 if self.stage == self.login_checked else 5):
                self.refuse(connection, "its reply is not SOCKS5")
                return
            self.stage(connection)

    def method_chosen(self, Connection connection):
        from socksio import socks5
        if self.received[1] == 0xFF:
            self.fail_login(connection)
            return
        method = None
        try:
            method = self.machine.receive_data(self.received).method
        except Exception:               # socksio's ProtocolError
            pass
        if method is None:
            self.refuse(connection, "its reply is malformed")
            return
        if method == socks5.SOCKS5AuthMethod.NO_AUTH_REQUIRED:
            self.request(connection)
            return
        if method != socks5.SOCKS5AuthMethod.USERNAME_PASSWORD:
            self.refuse(connection, "it wants a login of a kind that was not offered")
            return
        login = self.asker.proxy_login()
        if connection.channel is not self:
            return                      # cancelled meanwhile
        try:
            user, password = (text.encode("utf-8") for text in login or ("", ""))
        except UnicodeEncodeError:      # no text; and the error would show it
            user = password = b""
        if not login or not 0 < len(user) <= LOGIN_MAX or not len(password) <= LOGIN_MAX:
            self.fail_login(connection)
            return
        self.machine.send(socks5.SOCKS5UsernamePasswordRequest(user, password))
        self.expect(self.login_checked, 2)
        self.flush(connection)

    def login_checked(self, Connection connection):
        if self.received[1] != 0:
            self.asker.login_rejected()
            self.fail_login(connection)
            return
        self.machine.receive_data(self.received)
        self.request(connection)

    def fail_login(self, Connection connection):
        asker, self.asker = self.asker, None
        asker.refused(connection, ProxyAuthenticationRequired("Proxy authentication required"))

    cdef object request(self, Connection connection):
        from socksio import socks5
        host = self.host.removesuffix(".").partition("%")[0]
        self.machine.send(socks5.SOCKS5CommandRequest.from_address(socks5.SOCKS5Command.CONNECT, (host, self.port)))
        self.expect(self.answered, 5)   # up to the length of a name
        self.flush(connection)

    def answered(self, Connection connection):
        cdef int kind = self.received[3]
        if self.received[1] != 0:
            self.refuse(connection, REASONS.get(self.received[1], f"reply {self.received[1]}"))
            return
        if self.wanted == 5:
            if kind not in (1, 3, 4):
                self.refuse(connection, "its reply is malformed")
                return
            self.wanted = 6 + (4 if kind == 1 else 16 if kind == 4 else 1 + self.received[4])
            return
        asker, self.asker = self.asker, None
        connection.set_channel(None)
        asker.tunnelled(connection)

    cdef object refuse(self, Connection connection, str why):
        asker, self.asker = self.asker, None
        asker.refused(connection, NetworkError(f"HTTP request failed: the SOCKS5 proxy did not connect: {why}"))
