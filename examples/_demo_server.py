"""The demo's own file server, for machines without nginx: a thread for each connection, sendfile for the bodies.

    python _demo_server.py '{"/tree/": "/some/folder"}'

Serves folders on loopback, prints its port, and ends when its stdin closes, so that it never
outlives the process that started it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import socketserver
import sys
import threading
import urllib.parse
from pathlib import Path


class FileServer(socketserver.ThreadingTCPServer):
    """Knows its folders by URL prefix."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, locations: dict[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.locations = {url: Path(folder).resolve() for url, folder in locations.items()}

    def find(self, target: str) -> Path | None:
        """The file behind a request target; None for anything outside of the folders."""
        path = urllib.parse.unquote(target, errors="surrogateescape")
        for url, folder in self.locations.items():
            if path.startswith(url):
                inside = Path(os.path.normpath(folder / path[len(url) :]))
                return inside if inside.is_relative_to(folder) and inside.is_file() else None
        return None


class Connection(socketserver.StreamRequestHandler):
    """Answers GET, one request after the other, until the client closes."""

    server: FileServer

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # a client may leave when it wants
            self.answer_all()

    def answer_all(self) -> None:
        while line := self.rfile.readline(65536):
            while self.rfile.readline(65536) not in (b"\r\n", b""):
                pass  # no field of the request matters here
            words = line.split()
            file = self.server.find(words[1].decode("latin-1")) if len(words) == 3 else None
            if file is None or words[0] != b"GET":
                self.request.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            else:
                self.send_file(file)

    def send_file(self, path: Path) -> None:
        """Head and body in one packet where they fit: MSG_MORE holds the head back."""
        with open(path, "rb", buffering=0) as file:
            body_len = os.fstat(file.fileno()).st_size
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {body_len}\r\n\r\n".encode()
            self.request.sendall(head, socket.MSG_MORE if body_len else 0)
            offset = 0
            while offset < body_len:
                n = os.sendfile(self.request.fileno(), file.fileno(), offset, body_len - offset)
                if n == 0:
                    raise ConnectionError(f"{path} has become shorter")
                offset += n


def main() -> None:
    """Serve until stdin ends."""
    with FileServer(json.loads(sys.argv[1])) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_address[1], flush=True)
        sys.stdin.buffer.read()
        server.shutdown()


if __name__ == "__main__":
    main()
