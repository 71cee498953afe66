"""qhttp, asked through its real receive path: a row of QHttp objects, each with one end of a socket pair in its hands.

Many answers are under way at once, and each object is used again and again: whatever an answer leaves behind in it shows in the
answer after. An answer is given at once or cut in pieces, a turn of the loop for each, and behind it comes EOF or a reset.
"""
import socket

import qhttp
from differential.cases import Case, Outcome
from qhttp import QHttp, QHttpRequestHeader

N_OBJECTS = 64
PATIENCE_MS = 10_000


class Client:
    """One QHttp, and what it has told of the answer under way."""

    def __init__(self):
        self.http = QHttp("127.0.0.1", 80)
        self.http.requestFinished.connect(self.on_finished)
        self.http.stateChanged.connect(self.on_state)
        self.http.responseHeaderReceived.connect(self.on_header)
        self.header = self.outcome = self.number = None
        self.was_connected = False

    def begin(self, case: Case) -> None:
        self.header = self.outcome = None
        self.was_connected = False
        self.ours, self.theirs = socket.socketpair()
        self.theirs.setblocking(False)
        self.http.setSocket(self.ours)
        if case.method == "GET":
            self.number = self.http.get("/")
        elif case.method == "HEAD":
            self.number = self.http.head("/")
        else:
            self.number = self.http.request(request_header(case.method))
        self.pieces = case.pieces()
        self.is_reset = case.is_reset
        self.go_on()

    def go_on(self) -> bool:
        """Sends the next piece. True: it was not the last."""
        if self.outcome is not None:    # it has had enough of this answer, and does not read any more
            self.pieces.clear()
        if self.pieces:
            self.theirs.sendall(self.pieces.pop(0))
        if not self.pieces and not self.is_reset:
            self.theirs.shutdown(socket.SHUT_WR)
        return bool(self.pieces)

    def end(self) -> Outcome | None:
        """Lets go of the sockets."""
        self.theirs.close()
        self.ours.close()
        return self.outcome

    def on_state(self, state):
        self.was_connected = self.was_connected or state == QHttp.Connected

    def on_header(self, header):
        self.header = header

    def on_finished(self, number, error):
        if number != self.number:
            return
        http, header = self.http, self.header
        why = f"{http.error().name}: {http.errorString()}" if error else None
        self.outcome = Outcome(why, 0, [], bytes(http.readAll()))
        if header is not None:
            self.outcome.status = header.statusCode()
            self.outcome.fields = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in header.values()]
        self.outcome.is_kept = self.was_connected


def request_header(method: str) -> QHttpRequestHeader:
    header = QHttpRequestHeader(method, "/")
    header.setValue("Host", "server")
    return header


class Clients:
    """Asks qhttp about many answers at once."""

    def __init__(self, n_objects: int = N_OBJECTS):
        self.row = [Client() for _ in range(n_objects)]

    def ask(self, cases: list[Case]) -> list[Outcome | None]:
        """One outcome for each case; None: it had not come to an end in time."""
        outcomes = []
        for start in range(0, len(cases), len(self.row)):
            outcomes += self.ask_row(cases[start:start + len(self.row)])
        return outcomes

    def ask_row(self, cases: list[Case]) -> list[Outcome | None]:
        loop, row = qhttp.loop(), self.row[:len(cases)]
        for client, case in zip(row, cases, strict=True):
            client.begin(case)
        loop.dispatch()
        going = [client for client in row if client.pieces]
        while going := [client for client in going if client.go_on()]:
            loop.dispatch()
        loop.dispatch()
        for client in row:
            if client.is_reset:         # what was not read of the request makes it one
                client.theirs.close()
        loop.run(PATIENCE_MS)
        for client in row:              # one that hangs must not reach the next row
            if client.outcome is None:
                client.http.abort()
                client.outcome = None
        return [client.end() for client in row]
