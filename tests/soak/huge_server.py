"""A server of huge and strange bodies that nobody stores: `python tests/soak/huge_server.py` prints its port and serves until
its stdin ends.

    /stream/N       N bytes at full speed              /chunked/N      the same in chunks of 64 KiB
    /ones/N         N chunks of one byte each          /dribble/N      the same, each byte of all that in a send of its own
    /claim/N/K      announces N bytes, sends K, and then nothing until the client leaves; a Range is answered likewise
    /chunk/K        announces a chunk as large as can be, sends K bytes of it, and then nothing

The byte at a place of a body is that of PATTERN there, which begins again at its end; its length is odd, so that what stands at
the wrong place shows.
"""
import os
import random
import re
import socket
import sys
import threading

PATTERN = random.Random(20).randbytes((16 << 20) - 3)
TWICE = PATTERN + PATTERN
CHUNK_LEN = 64 << 10
N_GATHERED = 16             # chunks of one send
LARGEST_CHUNK = 2**62 - 1   # what qhttp's limits allow at first
N_BACKLOG = 64
REQUEST = re.compile(rb"GET /(\w+)/(\d+)(?:/(\d+))? HTTP/1\.1\r\n")
RANGE = re.compile(rb"\r\nrange: *bytes=(\d+)-(\d+)", re.I)


class Server:
    def __init__(self):
        self._pattern = os.memfd_create("pattern")
        os.write(self._pattern, PATTERN)
        self._ones: dict[int, bytes] = {}
        self._lock = threading.Lock()

    def serve(self, peer: socket.socket) -> None:
        """One connection, until its client leaves."""
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pending = b""
        try:
            while True:
                while b"\r\n\r\n" not in pending:
                    data = peer.recv(4096)
                    if not data:
                        return
                    pending += data
                head, _, pending = pending.partition(b"\r\n\r\n")
                match = REQUEST.match(head + b"\r\n")
                getattr(self, match[1].decode())(peer, head, *(int(n) for n in match.groups()[1:] if n is not None))
        except OSError:
            pass                        # it has left
        finally:
            peer.close()

    # -- paths
    def stream(self, peer, head, n):
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % n)
        at = 0
        while at < n:
            at += os.sendfile(peer.fileno(), self._pattern, at % len(PATTERN), min(n - at, len(PATTERN) - at % len(PATTERN)))

    def chunked(self, peer, head, n):
        peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        content, at = memoryview(TWICE), 0
        while at < n:
            parts = []
            for _ in range(N_GATHERED):
                length = min(CHUNK_LEN, n - at)
                if length:
                    place = at % len(PATTERN)
                    parts += [b"%x\r\n" % length, content[place:place + length], b"\r\n"]
                    at += length
            send_parts(peer, parts)
        peer.sendall(b"0\r\n\r\n")

    def ones(self, peer, head, n):
        peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + self.chunks_of_one(n))

    def dribble(self, peer, head, n):
        peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for byte in self.chunks_of_one(n):
            peer.send(bytes((byte,)))

    def claim(self, peer, head, n, n_sent):
        if asked := RANGE.search(head):
            first, last = int(asked[1]), int(asked[2])
            peer.sendall(b"HTTP/1.1 206 Partial Content\r\nContent-Length: %d\r\nContent-Range: bytes %d-%d/%d\r\n"
                         b"ETag: \"x\"\r\n\r\n" % (last - first + 1, first, last, n))
        else:
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nAccept-Ranges: bytes\r\nETag: \"x\"\r\n\r\n" % n)
        peer.sendall(PATTERN[:n_sent])
        if n_sent < n:
            peer.recv(1)

    def chunk(self, peer, head, n_sent):
        peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b" % (LARGEST_CHUNK, PATTERN[:n_sent]))
        peer.recv(1)

    def chunks_of_one(self, n: int) -> bytes:
        with self._lock:
            if n not in self._ones:
                self._ones[n] = b"".join(b"1\r\n%c\r\n" % byte for byte in TWICE[:n]) + b"0\r\n\r\n"
            return self._ones[n]


def send_parts(peer: socket.socket, parts: list) -> None:
    while parts:
        n = peer.sendmsg(parts)
        while parts and n >= len(parts[0]):
            n -= len(parts.pop(0))
        if n:
            parts[0] = memoryview(parts[0])[n:]


def main() -> None:
    server, listener = Server(), socket.create_server(("127.0.0.1", 0), backlog=N_BACKLOG)
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    while True:
        peer, _ = listener.accept()
        threading.Thread(target=server.serve, args=(peer,), daemon=True).start()


if __name__ == "__main__":
    main()
