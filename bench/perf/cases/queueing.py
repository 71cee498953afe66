"""QHttp.get() without a turn of the loop: what it costs to queue. Nothing is connected to."""

from __future__ import annotations

from qhttp import QHttp


class Get:
    def __init__(self, port: int = 0) -> None:
        self.http = QHttp("127.0.0.1", port or 9)
        self.http.get("/first")         # the first of a batch does more

    def repeat(self, n: int) -> None:
        get = self.http.get
        first = get("/data/file.bin")
        for _ in range(n - 1):
            last = get("/data/file.bin")
        if n > 1 and last - first != n - 1:
            raise AssertionError("ids are not in a row")

    def drop(self) -> None:
        """Empties the queue up to the first request."""
        self.http.clearPendingRequests()

    def end(self) -> None:
        """Leaves nothing pending."""
        self.drop()
        self.http.abort()
