"""What the TLS tests are made of: certificates made at run time, the words of a TLS server's script, a client."""
import contextlib
import datetime
import ssl
import threading
import warnings
from dataclasses import dataclass, field

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from support.actions import ReceiveRequest, Send
from support.scripted_server import BLOCK, ClientLeft

import qhttp

PATIENCE_MS = 6_000
GATE_S = 10.0
DAY = datetime.timedelta(days=1)
NAMES = "localhost", "127.0.0.1"
TLS_1_1, TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


# ------------------------------------------------------------------------------------------ certificates
class Certificates:
    """PEM files with a key and its chain: path("good"), path("expired") ..."""

    def __init__(self, folder):
        self.folder, now = folder, datetime.datetime.now(datetime.UTC)
        self.authority, stranger = trustme.CA(), trustme.CA()
        middle = self.authority.create_child_ca()
        self.authority_path = folder / "authority.pem"
        self.authority.cert_pem.write_to_path(str(self.authority_path))
        issue = self.authority.issue_cert
        self._keep("good", issue(*NAMES))
        self._keep("renewed", issue(*NAMES))
        self._keep("name_only", issue("localhost"))
        self._keep("other_name", issue("elsewhere.test"))
        self._keep("wildcard", issue("*.wild.test"))
        self._keep("address", issue("127.0.0.1"))
        self._keep("other_address", issue("127.0.0.2"))
        self._keep("address6", issue("::1"))
        self._keep("other_address6", issue("::2"))
        self._keep("expired", issue(*NAMES, not_before=now - 2 * DAY, not_after=now - DAY))
        self._keep("not_yet", issue(*NAMES, not_before=now + DAY, not_after=now + 2 * DAY))
        self._keep("stranger", stranger.issue_cert(*NAMES))
        self._keep("full_chain", middle.issue_cert(*NAMES))
        self._keep("no_middle", middle.issue_cert(*NAMES), n_kept=1)
        self._keep("member", issue("member@test", common_name="member"))
        for name, subject, names, key in (("common_name", "localhost", (), self.authority),
                                          ("self_signed", "localhost", NAMES[:1], None)):
            self.path(name).write_bytes(made_by_hand(subject, names, key, now))

    def path(self, name):
        return self.folder / f"{name}.pem"

    def der(self, name):
        """The server's own certificate in one of the files, as it goes over the wire."""
        _, begin, rest = self.path(name).read_text().partition(ssl.PEM_HEADER)
        pem, end, _ = rest.partition(ssl.PEM_FOOTER)
        return ssl.PEM_cert_to_DER_cert(begin + pem + end)

    def server(self, name="good", version=None, members=None):
        """A server's context. members: "asked" or "required", a client's certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(name))
        if version is not None:
            if version < TLS_1_2:
                context.set_ciphers("DEFAULT:@SECLEVEL=0")
            with warnings.catch_warnings(action="ignore"):      # TLS 1.1 is deprecated: that is why it is tried
                context.minimum_version = context.maximum_version = version
        if members:
            context.load_verify_locations(self.authority_path)
            context.verify_mode = ssl.CERT_REQUIRED if members == "required" else ssl.CERT_OPTIONAL
        return context

    def client(self, member=None, version=None):
        """A client's context that trusts the authority."""
        context = ssl.create_default_context(cafile=self.authority_path)
        if member:
            context.load_cert_chain(self.path(member))
        if version is not None:
            context.maximum_version = version
        return context

    def _keep(self, name, leaf, n_kept=None):
        pems = [leaf.private_key_pem, *leaf.cert_chain_pems[:n_kept]]
        self.path(name).write_bytes(b"".join(pem.bytes() for pem in pems))


def made_by_hand(subject, names, authority, now):
    """What trustme does not make: a certificate without names but the subject's, or one that has signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
    issuer = x509.load_pem_x509_certificate(authority.cert_pem.bytes()) if authority else None
    builder = (x509.CertificateBuilder().subject_name(name).issuer_name(issuer.subject if issuer else name)
               .public_key(key.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(now - DAY).not_valid_after(now + DAY))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
    signer = key
    if authority:
        signer = load_pem_private_key(authority.private_key_pem.bytes(), None)
        key_name = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value   # CPython 3.13 insists on it
        named = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_name)
        builder = builder.add_extension(named, critical=False)
    made = builder.sign(signer, hashes.SHA256())
    return (key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
            + made.public_bytes(Encoding.PEM))


# ------------------------------------------------------------------------------------------------ scripts
@dataclass(frozen=True)
class Shake:
    """Makes a TLS handshake. Afterwards `peer.shaken` tells: (version, whether a session was resumed, client's certificate)."""
    context: ssl.SSLContext = field(repr=False)

    def __call__(self, peer):
        peer.shaken = None
        peer.use_tls(self.context)
        peer.shaken = peer.sock.version(), peer.sock.session_reused, peer.sock.getpeercert(True)


@dataclass(frozen=True)
class SendRecords:
    """Sends bytes in records of these sizes, again and again from the first."""
    data: bytes = field(repr=False)
    sizes: tuple[int, ...] = (1,)

    def __call__(self, peer):
        peer.sock.settimeout(GATE_S)
        view, n = memoryview(self.data), 0
        while view:
            size = self.sizes[n % len(self.sizes)]
            peer.sock.sendall(view[:size])
            view, n = view[size:], n + 1


class Wire:
    """A server's TLS through memory, so that a script may change what goes over the wire."""

    def __init__(self, sock, context):
        self.sock, self.incoming, self.outgoing = sock, ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.until(self.tls.do_handshake)

    def until(self, act):
        """Does something of TLS's as soon as enough has come."""
        while True:
            try:
                return act()
            except ssl.SSLWantReadError:
                self.flush()
                self.sock.settimeout(GATE_S)
                data = self.sock.recv(BLOCK)
                if not data:
                    raise ClientLeft("client closed") from None
                self.incoming.write(data)
            finally:
                self.flush()

    def read_request(self):
        received = b""
        while b"\r\n\r\n" not in received:
            received += self.until(lambda: self.tls.read(BLOCK))

    def record(self, data):
        """The records that carry some bytes."""
        self.tls.write(data)
        return bytearray(self.outgoing.read())

    def flush(self):
        self.sock.sendall(self.outgoing.read())


@dataclass(frozen=True)
class Tampered:
    """Makes a handshake, takes a request, and answers it step by step: each gives bytes for the wire."""
    context: ssl.SSLContext = field(repr=False)
    steps: tuple

    def __call__(self, peer):
        wire = Wire(peer.sock, self.context)
        wire.read_request()
        for step in self.steps:
            peer.sock.sendall(step(wire))


def whole(data):
    """A step: a record as it should be."""
    return lambda wire: wire.record(data)


def broken(data):
    """A step: a record with one bit changed."""
    def step(wire):
        record = wire.record(data)
        record[-1] ^= 1
        return record
    return step


def halved(data):
    """A step: the first half of a record."""
    def step(wire):
        record = wire.record(data)
        return record[:len(record) // 2]
    return step


def joined(*steps):
    """A step: several at once."""
    return lambda wire: b"".join(step(wire) for step in steps)


def start_good_bye(peer):
    """Sends close_notify, and waits for nothing."""
    peer.sock.settimeout(0.01)
    with contextlib.suppress(OSError):
        peer.sock.unwrap()


def close_notify(peer):
    """Says good-bye as TLS does, and waits for the other side to close."""
    peer.sock.settimeout(GATE_S)
    with contextlib.suppress(OSError):
        peer.sock.unwrap()
    peer.end("close_notify")


def answer(body=b"ok", *fields):
    """A whole answer."""
    return head(b"Content-Length: %d" % len(body), *fields) + body


def head(*fields):
    return b"".join(line + b"\r\n" for line in (b"HTTP/1.1 200 OK", *fields, b""))


def answers(context, *bodies):
    """A script: TLS, and one answer after the other."""
    return [Shake(context), *(action for body in bodies for action in (ReceiveRequest(), Send(answer(body))))]


# ------------------------------------------------------------------------- in the midst of what OpenSSL does
class Acting:
    """Stands in the place of an ssl.SSLObject, and of OpenSSL's own under it: `act(verb, tls)` is called behind each read and
    write, where a signal's handler runs, and before each good-bye."""

    def __init__(self, tls, act):
        self.tls, self.act = tls, act

    @property
    def _sslobj(self):
        return self

    def __getattr__(self, name):
        return getattr(self.tls, name)

    def read(self, n, room):
        n = self.tls.read(n, room)
        self.act("read", self.tls)
        return n

    def write(self, data):
        n = self.tls.write(data)
        self.act("write", self.tls)
        return n

    def unwrap(self):
        self.act("unwrap", self.tls)
        return self.tls.unwrap()


# ------------------------------------------------------------------------------------------------- the test's say
class Passed:
    """An action for which the test waits."""

    def __init__(self):
        self._passed = threading.Event()

    def wait(self):
        assert self._passed.wait(GATE_S)

    def __call__(self, peer):
        self._passed.set()


class Gate:
    """An action that waits for the test, which opens it."""

    def __init__(self):
        self._opened = threading.Event()

    def open(self):
        self._opened.set()

    def __call__(self, peer):
        assert self._opened.wait(GATE_S)


# ------------------------------------------------------------------------------------------------- client
class Client:
    """A QHttp for one https server, and what it has told."""

    def __init__(self, server, context=None, host="localhost"):
        self.http = qhttp.QHttp(host, qhttp.QHttp.ConnectionModeHttps, server.port)
        self.errors, self.states = [], []
        self.http.stateChanged.connect(lambda state, states=self.states: states.append(state.name))
        if context is not None:
            self.http.setSslConfiguration(context)

    def asks(self, then=lambda: None):
        """Listens to sslErrors; `then` is called in its slot."""
        def on_errors(errors):
            self.errors.append(errors)
            then()

        self.http.sslErrors.connect(on_errors)
        return self

    def ignores(self):
        return self.asks(self.http.ignoreSslErrors)

    def wait(self):
        assert self.http.waitForDone(PATIENCE_MS), f"{self.http!r} is not done, states {self.states}"
        return self.http.error().name

    def get(self, path="/", to=None):
        """The name of the error and the body of one GET."""
        self.http.get(path, to)
        return self.wait(), bytes(self.http.readAll())

    @property
    def text(self):
        return self.http.errorString()
