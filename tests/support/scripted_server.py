"""A scripted peer on loopback: raw sockets, one thread for each connection.

    with ScriptedServer([ReceiveRequest(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")]) as server:
        ...connect to server.host, server.port...
        server.connections[0].taken          # what each receiving action took

The i-th accepted connection plays the i-th script: a row of actions (see `support.actions`), each a callable that is
given the `Connection`. A script that comes to its end leaves its connection open and reads until the client leaves.
Connections beyond the last script play `beyond`; without it they are closed at once. Leaving the `with` block ends every
pause, closes every socket and waits for the threads.
"""
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable

LOWEST_PORT = 10_000        # five digits in every run, so that requests naming the port have one length
PATIENCE_S = 20.0           # the longest that one receive or send of a script may take
FAREWELL_S = 1.0            # how long a closing server waits for its threads
WAIT_S = 5.0                # the default patience of `wait_for`
BLOCK = 64 * 1024           # bytes of one receive
KEPT_BYTES = 1 << 20        # bytes of each direction that are remembered for a connection
N_BACKLOG = 128

Action = Callable[["Connection"], None]
Script = Iterable[Action]


class ClientLeft(Exception):
    """The client has closed its side, or the connection broke."""


class ScriptOver(Exception):
    """The script has ended the connection, or the server is being closed."""


class Connection:
    """One accepted connection: what a script may do with it, and what was seen on it.

    `received` and `journal` remember the first KEPT_BYTES of each direction; `n_received` and `n_sent` count all of
    them. `taken` has one entry for each receiving action, `rest` what came and was not taken. `journal` tells in order
    what was taken, sent and ended, as (verb, bytes). `how_ended` is None while the connection is open.
    """

    def __init__(self, server: "ScriptedServer", number: int, sock: socket.socket):
        self.server, self.number = server, number
        self.sock = sock                                # StartTls puts its own in this place
        self.script: list[Action] = []
        self.n_played = 0                               # actions that came to their end
        self.received, self.pending = bytearray(), bytearray()
        self.n_received = self.n_sent = self.n_journal_bytes = 0
        self.taken: list[bytes] = []
        self.journal: list[tuple[str, bytes]] = []
        self.how_ended: str | None = None
        self._handles = [sock]                          # sockets to be closed together
        self._thread = threading.Thread(target=self._run, name=f"connection-{number}", daemon=True)

    @property
    def rest(self) -> bytes:
        return bytes(self.pending)

    # -- for actions

    def more(self, within_s: float | None = None) -> int:
        """Receives once, however many bytes come; raises ClientLeft at the end, TimeoutError when nothing came."""
        self.sock.settimeout(PATIENCE_S if within_s is None else max(within_s, 0.001))
        data = self.sock.recv(BLOCK)
        if not data:
            raise ClientLeft("client closed")
        if len(self.received) < KEPT_BYTES:
            self.received += data
        self.pending += data
        self.n_received += len(data)
        self.server._notify()
        return len(data)

    def take(self, n: int, verb: str = "took") -> bytes:
        """Takes n bytes, waiting for them, as one entry of `taken`."""
        while len(self.pending) < n:
            self.more()
        data = bytes(self.pending[:n])
        del self.pending[:n]
        self.taken.append(data)
        self._note(verb, data)
        self.server._notify()
        return data

    def drop(self) -> int:
        """Forgets what has come and was not taken; returns how much that was."""
        n = len(self.pending)
        self.pending.clear()
        return n

    def send(self, data: bytes) -> None:
        """Sends all of it."""
        self._note("sent", data)
        left = memoryview(data)
        while left:
            self._check_open()
            self.sock.settimeout(PATIENCE_S)
            try:
                n_done = self.sock.send(left)
            except (BrokenPipeError, ConnectionResetError) as why:
                raise ClientLeft(type(why).__name__) from None
            self.n_sent += n_done
            left = left[n_done:]

    def pause(self, seconds: float) -> None:
        """Does nothing for a while, not even receive; the server's end ends the pause."""
        if self.server._stopping.wait(seconds):
            raise ScriptOver("server closed")

    def half_close(self) -> None:
        """Sends FIN and goes on receiving."""
        self.sock.shutdown(socket.SHUT_WR)

    def end(self, how: str) -> None:
        """Closes now. What was not read makes the kernel send RST, as `how` "reset" does always."""
        if how == "reset":
            self._handles[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._note("ended", how.encode())
        raise ScriptOver(how)

    def use_tls(self, context) -> None:
        """Goes on with TLS; the plain socket stays at hand to be shut down from another thread."""
        self.sock = context.wrap_socket(self.sock.dup(), server_side=True)
        self._handles.append(self.sock)

    # -- for the server

    def _check_open(self) -> None:
        if self.server._stopping.is_set():
            raise ScriptOver("server closed")

    def _note(self, verb: str, data: bytes) -> None:
        kept = data[:max(0, KEPT_BYTES - self.n_journal_bytes)]
        self.n_journal_bytes += len(kept)
        if kept or not data:
            self.journal.append((verb, kept))

    def _run(self) -> None:
        try:
            for action in self.script:
                action(self)
                self.n_played += 1
            while True:             # what the server's end finds in the kernel is still read: it was sent
                self.more()
        except (ClientLeft, ScriptOver) as why:
            self.how_ended = str(why)
        except OSError as why:
            self.how_ended = type(why).__name__
        finally:
            self.how_ended = self.how_ended or "the script failed"
            for handle in self._handles:
                with contextlib.suppress(OSError):
                    handle.close()
            self.server._notify()

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):
            self._handles[0].shutdown(socket.SHUT_RDWR)


class ScriptedServer:
    """A listener whose connections play scripts; see the top of this file.

    Where the scripts depend on what has happened, override `script_for`.
    """

    def __init__(self, *scripts: Script, beyond: Script | None = None):
        self.scripts = [list(script) for script in scripts]
        self.beyond = None if beyond is None else list(beyond)
        self.connections: list[Connection] = []
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._listener = bound_socket()
        self.host, self.port = self._listener.getsockname()
        self._listener.listen(N_BACKLOG)
        self._thread = threading.Thread(target=self._accept, name="scripted-server", daemon=True)
        self._thread.start()

    def script_for(self, connection: Connection) -> Script:
        """The script of a connection that was just accepted; called in the connection's own order."""
        if connection.number < len(self.scripts):
            return self.scripts[connection.number]
        return [lambda peer: peer.end("unscripted")] if self.beyond is None else self.beyond

    @property
    def requests(self) -> list[list[bytes]]:
        """What was taken, connection by connection."""
        return [list(connection.taken) for connection in self.connections]

    def wait_for(self, condition: Callable[[], bool], seconds: float = WAIT_S) -> None:
        """Waits until something that this server has seen makes the condition true; raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(condition, seconds):
                raise TimeoutError(f"not seen by the scripted server within {seconds} s")

    def close(self) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(FAREWELL_S)
        self._listener.close()
        limit = time.monotonic() + FAREWELL_S
        for connection in self.connections:
            connection._hang_up()
        for connection in self.connections:
            connection._thread.join(max(0.0, limit - time.monotonic()))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(self, len(self.connections), sock)
            connection.script = list(self.script_for(connection))
            self.connections.append(connection)
            connection._thread.start()
            self._notify()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()


class ClosedPort:
    """A port that refuses connections: bound for as long as the object lives, so that nobody else gets it."""

    def __init__(self):
        self._socket = bound_socket()
        self.host, self.port = self._socket.getsockname()

    def close(self) -> None:
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def bound_socket() -> socket.socket:
    """A socket bound to a free port of loopback that has five digits."""
    while True:
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        if sock.getsockname()[1] >= LOWEST_PORT:
            return sock
        sock.close()
