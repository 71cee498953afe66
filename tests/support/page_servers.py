"""The small world in which the pages' programs run: names and ports that they may ask, all of them on loopback.

    www.example.org:80       paths as below                     www.example.org:443     the same, by https, trusted
    other.example.org        the same, by both                  self-signed.example.org:443   a certificate nobody trusts
    members.example.org:443  wants a certificate of the client  cut.example.org:443     ends without close_notify
    proxy.example.com:3128   an HTTP proxy, fetches and CONNECTs gate.example.com:3128   one with a login (me, secret)
    socks.example.com:1080   a SOCKS5 proxy                     anything.invalid        no address

Paths: /hello, /big (1 MiB), /old (302 to /hello), /stream (three pieces), /secret (Basic), /digest (Digest), /echo (what was
posted), /plugins.txt and /plugins/..., /index.html. Anything else is a 404. The login is me, secret.
"""
import base64
import contextlib
import hashlib
import os
import re
import socket
import ssl
import subprocess
from pathlib import Path

import qhttp.engine.resolver as names
from support.request_reading import body_length, is_chunked, take_head
from support.scripted_server import ScriptedServer

USER, PASSWORD = "me", "secret"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
BIG = b"0123456789abcdef" * 65536
NONCE = "dcd98b7102dd2f0e8b11d0f600bfb0c0"
PAUSE_S = 0.02


def make_certificate(folder: Path, name: str, *subjects: str) -> Path:
    """A self-signed certificate for these names, with its key: a PEM file."""
    key, pem = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", f"/CN={name}", "-addext",
                    "subjectAltName=" + ",".join(f"DNS:{subject}" for subject in subjects),
                    "-addext", "keyUsage=critical,digitalSignature,keyCertSign", "-keyout", key, "-out", pem],
                   check=True, capture_output=True)
    pem.write_text(pem.read_text() + key.read_text())
    return pem


def answer(body: bytes = b"", *fields: str, status: str = "200 OK") -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(head).encode() + body


def digest_is_right(value: str, method: str) -> bool:
    parts = {name: quoted or plain for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^",\s]+))', value)}

    def h(*texts):
        return hashlib.sha256(":".join(texts).encode()).hexdigest()

    secret = h(USER, "vault", PASSWORD), parts["nonce"], parts["nc"], parts["cnonce"], parts["qop"]
    return parts["response"] == h(*secret, h(method, parts["uri"]))


def reply(method: str, path: str, fields: dict[str, str], body: bytes) -> list[bytes]:
    """The answer to a request, in pieces."""
    given = fields.get("authorization", "")
    match path:
        case "/hello":
            return [answer(b"Hello, world!\n", "Content-Type: text/plain")]
        case "/index.html":
            return [answer(b"<html><title>Example</title></html>\n", "Content-Type: text/html")]
        case "/big":
            return [answer(BIG, "Content-Type: application/octet-stream")]
        case "/old":
            return [answer(b"", "Location: /hello", status="302 Found")]
        case "/stream":
            return [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                    b"4\r\none \r\n", b"4\r\ntwo \r\n", b"5\r\nthree\r\n0\r\n\r\n"]
        case "/echo":
            return [answer(body)]
        case "/plugins.txt":
            return [answer(b"/plugins/blue.zip\n/plugins/green.zip\n/plugins/lost.zip\n")]
        case "/plugins/blue.zip" | "/plugins/green.zip":
            return [answer(path.encode() * 100)]
        case "/secret" if given != BASIC:
            return [answer(b"Who are you?", 'WWW-Authenticate: Basic realm="vault"', status="401 Unauthorized")]
        case "/digest" if not (given.startswith("Digest ") and digest_is_right(given, method)):
            challenge = f'WWW-Authenticate: Digest realm="vault", qop="auth", algorithm=SHA-256, nonce="{NONCE}"'
            return [answer(b"Who are you?", challenge, status="401 Unauthorized")]
        case "/secret" | "/digest":
            return [answer(b"the treasure\n")]
    return [answer(b"not here\n", status="404 Not Found")]


class Server(ScriptedServer):
    """Plays one of the roles of this world; `seen` has the request lines of all connections."""

    def __init__(self, role: str = "", context: ssl.SSLContext | None = None, inner: ssl.SSLContext | None = None):
        self.role, self.context, self.inner, self.seen = role, context, inner, []
        super().__init__()

    def script_for(self, connection):
        return [self.socks if self.role == "socks" else self.serve]

    def socks(self, peer):
        while len(peer.pending) < 2 or len(peer.pending) < 2 + peer.pending[1]:
            peer.more()
        peer.take(2 + peer.pending[1])
        peer.send(b"\x05\x00")
        peer.take(5)
        port = int.from_bytes(peer.take(peer.taken[-1][4] + 2)[-2:], "big")
        peer.send(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        if port == 443:
            peer.use_tls(self.inner)
        self.requests_of(peer)

    def serve(self, peer):
        if self.context is not None:
            peer.use_tls(self.context)
        self.requests_of(peer)

    def requests_of(self, peer):
        while True:
            head = take_head(peer)
            if b"\r\nexpect: 100-continue\r\n" in head.lower():
                peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = self.chunks(peer) if is_chunked(head) else peer.take(body_length(head))
            method, target, _ = head.split(b"\r\n")[0].decode().split(" ", 2)
            self.seen.append(f"{method} {target}")
            fields = {name.strip().lower(): value.strip() for name, _, value in
                      (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])}
            if self.role == "gate" and fields.get("proxy-authorization") != BASIC:
                peer.send(answer(b"", 'Proxy-Authenticate: Basic realm="gate"', status="407 Proxy Authentication Required"))
                continue
            if method == "CONNECT":
                peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
                peer.use_tls(self.inner)
                continue
            if self.role == "cut":
                peer.send(b"HTTP/1.1 200 OK\r\n\r\nhalf of ")
                peer.end("fin")
            pieces = reply(method, re.sub(r"^https?://[^/]*", "", target), fields, body)
            if method == "HEAD":
                pieces = [pieces[0].partition(b"\r\n\r\n")[0] + b"\r\n\r\n"]
            for n, piece in enumerate(pieces):
                if n:
                    peer.pause(PAUSE_S)
                peer.send(piece)

    @staticmethod
    def chunks(peer):
        """Takes a chunked body."""
        body = b""
        while True:
            while b"\r\n" not in peer.pending:
                peer.more()
            size = int(peer.take(peer.pending.index(b"\r\n") + 2).strip(), 16)
            data = peer.take(size + 2)
            if not size:
                return body
            body += data[:-2]


def server_context(pem: Path, members: Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    if members is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(members)
    return context


@contextlib.contextmanager
def world(folder: Path | None = None):
    """All of it, with the certificates in `folder` (the current one): authority.pem is what is trusted, also by the system;
    member.pem is the client's."""
    folder = Path(folder or os.getcwd())
    pem = make_certificate(folder, "authority", "*.example.org")
    stranger = make_certificate(folder, "stranger", "self-signed.example.org")
    member = make_certificate(folder, "member", "member.example.net")
    os.environ["SSL_CERT_FILE"] = str(pem)
    tls = server_context(pem)
    with contextlib.ExitStack() as servers:
        def start(*arguments):
            return servers.enter_context(Server(*arguments))

        plain, secure = start(), start("", tls)
        places = {
            ("self-signed.example.org", 443): start("", server_context(stranger)),
            ("members.example.org", 443): start("", server_context(pem, member)),
            ("cut.example.org", 443): start("cut", tls),
            ("proxy.example.com", 3128): start("proxy", None, tls),
            ("gate.example.com", 3128): start("gate", None, tls),
            ("socks.example.com", 1080): start("socks", None, tls),
            **{(name, port): server for name in ("www.example.org", "other.example.org")
               for port, server in ((80, plain), (443, secure))},
        }

        def look_up(host, port):
            server = places.get((host, port))
            if server is None:
                raise socket.gaierror(socket.EAI_NONAME, "no such name here")
            return [(socket.AF_INET, (server.host, server.port))]

        before, names.look_up = names.look_up, look_up
        own_lookup, socket.getaddrinfo = socket.getaddrinfo, lambda host, port, *_, **__: [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", look_up(host, port)[0][1])]
        try:
            yield places
        finally:
            names.look_up, socket.getaddrinfo = before, own_lookup
