"""A server in one thread that does what the path says: /<kind>/<size>/<anything>.

The body is made from the path and belongs to no other one. An answer is sent piece by piece, a piece of each connection
in turn, without pauses.
"""
import base64
import contextlib
import re
import selectors
import socket
import struct
import threading
from dataclasses import dataclass, field

GOOD_LOGIN = ("user", "pw")
AUTHORIZATION = b"Basic " + base64.b64encode(":".join(GOOD_LOGIN).encode())
LENGTH = re.compile(rb"(?im)^content-length:[ \t]*(\d+)")
CHUNKED = re.compile(rb"(?im)^transfer-encoding:.*chunked")
FIN, RESET, HOLD = "fin", "reset", "hold"
N_BACKLOG = 256


def body_of(path: str) -> bytes:
    """The body that belongs to a path and to no other one."""
    size, unit = int(path.split("/")[2]), path.encode() + b"|"
    return (unit * (size // len(unit) + 1))[:size]


def answer_of(path: str, head: bytes) -> list:
    """The pieces to send, and at the end FIN, RESET or HOLD where the connection is to end so."""
    kind, body = path.split("/")[1], body_of(path)
    third = max(1, len(body) // 3)
    thirds = [piece for piece in (body[:third], body[third:2 * third], body[2 * third:]) if piece]
    start = b"HTTP/1.1 200 OK\r\n"
    sized = start + b"Content-Length: %d\r\n\r\n" % len(body)
    chunked, chunks = start + b"Transfer-Encoding: chunked\r\n\r\n", [b"%x\r\n%b\r\n" % (len(one), one) for one in thirds]
    challenge = b"HTTP/1.1 401 No\r\nContent-Length: 4\r\nWWW-Authenticate: Basic realm=\"r\"\r\n%b\r\nnope"
    if kind in ("auth", "auth-close") and AUTHORIZATION in head:
        kind = "sized"
    return {
        "sized": [sized + body],
        "pieces": [sized[:9], sized[9:20], sized[20:], *thirds],
        "chunked": [chunked + b"".join(chunks) + b"0\r\n\r\n"],
        "chunks": [chunked, *chunks, b"0\r\nTrailer: x\r\n", b"\r\n"],
        "close": [start + b"\r\n", *thirds, FIN],
        "last": [start + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body), *thirds, FIN],
        "leaving": [sized + body, FIN],
        "surplus": [sized + body + b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad"],
        "interim": [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early", b" Hints\r\n\r\n" + sized, body],
        "missing": [sized.replace(b"200 OK", b"404 No") + body],
        "moved": [sized.replace(b"200 OK\r\n", b"302 Moved\r\nLocation: /sized/9/x\r\n") + body],
        "short": [sized, *thirds[:1], FIN],
        "short-chunks": [chunked, *chunks[:1], FIN],
        "bad-chunk": [chunked, *chunks[:1], b"x\r\n"],
        "reset-body": [sized, *thirds[:1], RESET],
        "reset-close": [start + b"\r\n", *thirds[:1], RESET],
        "bad-head": [b"HTTP/1.1 200 OK\r\nNo colon\r\n\r\n"],
        "short-head": [sized[:20], FIN],
        "nothing": [FIN],
        "reset": [RESET],
        "never": [HOLD],
        "stalled": [sized, *thirds[:1], HOLD],
        "auth": [challenge % b""],
        "auth-close": [challenge % b"Connection: close\r\n", FIN],
        "auth-strange": [challenge.replace(b"Basic", b"Strange") % b""],
        "auth-proxy": [(challenge % b"").replace(b"401", b"407").replace(b"WWW", b"Proxy")],
    }[kind]


def only_head(pieces: list) -> list:
    """The same answer to a HEAD."""
    ends = [piece for piece in pieces if piece in (FIN, RESET)]
    data = b"".join(piece for piece in pieces if not isinstance(piece, str))
    end = 0
    while (end := data.find(b"\r\n\r\n", end) + 4) >= 4 and data[:end].count(b"HTTP/1.1 1") == data[:end].count(b"\r\n\r\n"):
        pass
    return [data[:end] if end >= 4 else data, *ends]


@dataclass(eq=False)
class Peer:
    sock: socket.socket
    received: bytearray = field(default_factory=bytearray)
    pieces: list = field(default_factory=list)      # still to be sent
    is_held: bool = False


class Server:
    """`with Server() as server:` connect to server.host, server.port. `posts`: how often each path was posted to."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=N_BACKLOG)
        self.listener.setblocking(False)
        self.host, self.port = self.listener.getsockname()
        self.waker, self.wakened = socket.socketpair()
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(self.wakened, selectors.EVENT_READ)
        self.peers, self.posts, self.failure = {}, {}, None
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.waker.close()
        self.thread.join()
        for sock in (self.listener, self.wakened, *(peer.sock for peer in self.peers.values())):
            sock.close()
        self.selector.close()
        if self.failure:
            raise self.failure

    def run(self):
        try:
            while self.turn():
                pass
        except BaseException as error:      # told when the test ends
            self.failure = error

    def turn(self) -> bool:
        waiting = [peer for peer in self.peers.values() if peer.pieces]
        for key, _ in self.selector.select(0 if waiting else None):
            if key.fileobj is self.wakened:
                return False
            if key.fileobj is self.listener:
                self.accept()
            elif key.fileobj in self.peers:
                self.receive(self.peers[key.fileobj])
        for peer in waiting:
            if peer.sock in self.peers:
                self.send_piece(peer)
        return True

    def accept(self):
        with contextlib.suppress(BlockingIOError, ConnectionError):
            sock, _ = self.listener.accept()
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.peers[sock] = Peer(sock)
            self.selector.register(sock, selectors.EVENT_READ)

    def end(self, peer, how=FIN):
        if how == RESET:
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.selector.unregister(peer.sock)
        del self.peers[peer.sock]
        peer.sock.close()

    def receive(self, peer):
        try:
            data = peer.sock.recv(1 << 16)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self.end(peer)
            return
        peer.received += data
        self.take_requests(peer)

    def take_requests(self, peer):
        """Answers come in the order of the requests; none behind one that ends or holds the connection."""
        while not peer.is_held and not peer.pieces and (request := take_request(peer.received)):
            method, path, head = request
            if method == "POST":
                self.posts[path] = self.posts.get(path, 0) + 1
            pieces = answer_of(path, head)
            peer.pieces = only_head(pieces) if method == "HEAD" else pieces

    def send_piece(self, peer):
        piece = peer.pieces.pop(0)
        if piece == HOLD:
            peer.is_held = True
        elif isinstance(piece, str):
            self.end(peer, piece)
            return
        else:
            try:
                n = peer.sock.send(piece)
            except BlockingIOError:
                n = 0
            except ConnectionError:
                self.end(peer)
                return
            if n < len(piece):
                peer.pieces.insert(0, piece[n:])
        if not peer.pieces:
            self.take_requests(peer)


def take_request(received: bytearray):
    """(method, path, head) of a request that is there whole, which is taken; None: not yet."""
    end = received.find(b"\r\n\r\n") + 4
    if end < 4:
        return None
    head = bytes(received[:end])
    length = LENGTH.search(head)
    if length:
        end += int(length[1])
    elif CHUNKED.search(head):
        last = received.find(b"0\r\n\r\n", end)
        end = last + 5 if last >= 0 else len(received) + 1
    if len(received) < end:
        return None
    del received[:end]
    method, target, _ = head.decode("latin-1").split(" ", 2)
    return method, re.sub("^http://[^/]*", "", target), head
