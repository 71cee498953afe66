"""What the scenes ask: a server that answers by path, plain or with TLS.

    /small/N  a few bytes, their length announced      /chunked    the same kind, chunked
    /large    more than fits into memory, in ranges    /gzip       coded
    /moved    a redirect to /small/1                   /upload     how many bytes came
    /close    up to the end of the connection          /probe      a good answer
"""
import gzip
import re
import ssl

from adversarial.peers import PROBE, PROBE_PATH
from support.faults import chunked, head, whole
from support.request_reading import body_length, take_head
from support.scripted_server import ScriptedServer

PROBE_ANSWER = PROBE % (5, b"probe")
ETAG = b'"one"'
LARGE_LEN = 700_000
SMALL = {n: b"file %d " % n * (30 * n) for n in range(1, 9)}
LARGE = bytes((n * 7 + (n >> 8) * 13 + (n >> 16)) & 255 for n in range(LARGE_LEN))
GZIP = b"what is coded. " * 300
CLOSE = b"up to the end. " * 20


class SceneServer(ScriptedServer):
    """`certificate`: path of a PEM file; None: no TLS."""

    def __init__(self, certificate=None):
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate)
        super().__init__()

    def forget(self):
        """What was seen so far."""
        self.connections.clear()

    def script_for(self, connection):
        return [self.serve]

    def serve(self, peer):
        if self.context is not None:
            peer.use_tls(self.context)
        while True:
            request = take_head(peer)
            path = request.split(b" ", 2)[1].decode("latin-1")
            body = peer.take(body_length(request)) if body_length(request) else b""
            for answer in answers(path, request, body):
                if answer is None:
                    peer.end("fin")
                peer.send(answer)


def answers(path: str, request: bytes, body: bytes):
    """The bytes of the answer; None: the connection is closed."""
    if path == PROBE_PATH:
        yield PROBE_ANSWER
    elif path.startswith("/small/"):
        yield whole(SMALL[int(path[len("/small/"):])], b"ETag: " + ETAG)
    elif path == "/chunked":
        yield chunked(*(SMALL[n] for n in range(1, 5)))
    elif path == "/gzip":
        yield whole(gzip.compress(GZIP, mtime=0), b"Content-Encoding: gzip")
    elif path == "/moved":
        yield whole(b"elsewhere", b"Location: /small/1", status=b"HTTP/1.1 302 Found\r\n")
    elif path == "/upload":
        yield whole(b"%d" % len(body))
    elif path == "/close":
        yield head(b"Connection: close") + CLOSE
        yield None
    elif path == "/large":
        yield from ranged(request)
    else:
        yield whole(b"no such page", status=b"HTTP/1.1 404 Not Found\r\n")


def ranged(request: bytes):
    wanted = re.search(rb"(?im)^range:\s*bytes=(\d+)-(\d*)", request)
    if wanted is None:
        yield head(b"Content-Length: %d" % LARGE_LEN, b"ETag: " + ETAG, b"Accept-Ranges: bytes")
        yield LARGE
        return
    start, end = int(wanted[1]), int(wanted[2]) + 1 if wanted[2] else LARGE_LEN
    end = min(end, LARGE_LEN)
    yield head(b"Content-Length: %d" % (end - start), b"ETag: " + ETAG,
               b"Content-Range: bytes %d-%d/%d" % (start, end - 1, LARGE_LEN), status=b"HTTP/1.1 206 Partial Content\r\n")
    yield LARGE[start:end]
