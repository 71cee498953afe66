"""A whole exchange over loopback: queued, sent, answered with 1 KiB, read in a slot, and the next one queued there."""

from __future__ import annotations

import qhttp
from qhttp import QHttp

BODY_LEN = 1024
BODY = bytes(i % 251 for i in range(BODY_LEN))         # what bench/c/server.c sends


class Exchange:
    def __init__(self, port: int) -> None:
        self.n_left = 0
        self.http = QHttp("127.0.0.1", port)
        self.http.requestFinished.connect(self.on_finished)
        self.repeat(1)                  # connected, and everything is imported

    def on_finished(self, request_id: int, error: bool) -> None:
        if error or self.http.readAll() != BODY:
            raise AssertionError(f"a wrong answer: {self.http.errorString()}")
        self.n_left -= 1
        if self.n_left > 0:
            self.http.get(f"/b/{BODY_LEN}")

    def repeat(self, n: int) -> None:
        self.n_left = n
        self.http.get(f"/b/{BODY_LEN}")
        qhttp.run()
        if self.n_left:
            raise AssertionError(f"{self.n_left} answers are missing")
