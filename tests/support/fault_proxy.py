"""A proxy that knows TCP alone, between a client and a real server: it forwards bytes, and does to them what its plans say.

    with FaultyWay(("127.0.0.1", port), [Plan(down=[Reset(at=5000)]), Plan(up=[Split(3)])]) as way:
        ...connect to way.host, way.port...
        way.connections[0].struck           # the faults that came to their turn

The i-th accepted connection has the i-th plan; those beyond have `beyond`, which is no fault unless told. A plan has faults for
the bytes of the client (`up`) and of the server (`down`), each at an offset of its direction, and one for the accept. The
faults are in `support.way_faults`; each is called with the `Direction` when the bytes before its offset have gone through.
Leaving the `with` block ends every pause, closes every socket and waits for the threads.
"""
import contextlib
import fcntl
import socket
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from support.scripted_server import BLOCK, FAREWELL_S, N_BACKLOG, WAIT_S, bound_socket

LET_ARRIVE_S = 1.0          # at most, before a reset; a side that does not read takes nothing
LOOK_S = 0.001
CONNECT_S = 5.0             # how long the real server may take to accept
RESET = struct.pack("ii", 1, 0)     # SO_LINGER that makes a close send RST


def n_on_the_way(sock: socket.socket) -> int:
    """Bytes that were sent and that the other side's kernel has not yet taken."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0]


class WayOver(Exception):
    """This direction, or all of the connection, is to carry nothing more."""


@dataclass(frozen=True)
class Plan:
    """What happens to one connection. `accept` is called with the `Passage` before the server is connected."""
    up: tuple | list = ()
    down: tuple | list = ()
    accept: Callable[["Passage"], None] | None = None


class Direction:
    """The bytes of one side on their way to the other; what a fault may do with them."""

    def __init__(self, passage: "Passage", source: socket.socket, target: socket.socket, faults: Iterable):
        self.passage, self.source, self.target = passage, source, target
        self.faults = sorted(faults, key=lambda fault: fault.at)
        self.n_taken = self.n_put = 0       # bytes received from one side, and sent to the other
        self.at_end = False                 # the side that they come from has said FIN

    # -- for faults
    def take_some(self, most: int) -> bytes:
        """What has come, at most so much, waiting for at least a byte; empty at the end."""
        data = b"" if self.at_end else self.source.recv(min(most, BLOCK))
        self.at_end = not data
        self.n_taken += len(data)
        return data

    def take(self, n: int) -> bytes:
        """Exactly so many bytes, or what there is before the end."""
        taken = bytearray()
        while len(taken) < n and (data := self.take_some(n - len(taken))):
            taken += data
        return bytes(taken)

    def put(self, data: bytes) -> None:
        """Sends all of it on."""
        self.target.sendall(data)
        self.n_put += len(data)

    def pause(self, seconds: float | None) -> None:
        """Forwards nothing for a while; None: until the proxy is closed."""
        if self.passage.way._stopping.wait(seconds):
            raise WayOver

    def finish(self) -> None:
        """Says FIN to the side that the bytes go to; nothing more goes there."""
        self.target.shutdown(socket.SHUT_WR)
        raise WayOver

    def cut(self) -> None:
        """Says FIN to both sides, and carries nothing more either way."""
        for sock in self.passage.sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_WR)
        self.passage._hang_up(socket.SHUT_RD)
        raise WayOver

    def reset(self) -> None:
        """Sends RST to both sides, when what was put has arrived: an RST would overtake it."""
        end = time.monotonic() + LET_ARRIVE_S
        while n_on_the_way(self.target) and time.monotonic() < end:
            self.pause(LOOK_S)
        self.passage._is_reset = True
        self.passage._hang_up(socket.SHUT_RD)
        raise WayOver

    # -- for the passage
    def _run(self) -> None:
        try:
            for fault in self.faults:
                self._carry(fault.at)
                if self.at_end:
                    break
                self.passage.struck.append(fault)
                fault(self)
            self._carry(None)
            self.finish()
        except ConnectionResetError:
            self.passage._is_reset = True       # what one side did is done to the other
            self.passage._hang_up(socket.SHUT_RD)
        except (OSError, WayOver):
            pass
        finally:
            self.passage._left()

    def _carry(self, until: int | None) -> None:
        """Forwards bytes as they are, up to an offset or the end."""
        while until is None or self.n_taken < until:
            data = self.take_some(BLOCK if until is None else until - self.n_taken)
            if not data:
                return
            self.put(data)


class Passage:
    """One accepted connection and its other half to the server. `struck` has the faults that came to their turn."""

    def __init__(self, way: "FaultyWay", number: int, client: socket.socket, plan: Plan):
        self.way, self.number, self.plan = way, number, plan
        self.sockets = [client]
        self.struck: list = []
        self.is_over = False
        self.up: Direction | None = None
        self.down: Direction | None = None
        self._is_reset = False
        self._n_left, self._lock = 2, threading.Lock()
        self._threads = [threading.Thread(target=self._run, name=f"passage-{number}", daemon=True)]

    def _run(self) -> None:
        try:
            if self.plan.accept is not None:
                self.struck.append(self.plan.accept)
                self.plan.accept(self)
            server = socket.create_connection(self.way.server, CONNECT_S)
            server.settimeout(None)
            self.sockets.append(server)
        except (OSError, WayOver):
            self._close()
            return
        client = self.sockets[0]
        for sock in self.sockets:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.up = Direction(self, client, server, self.plan.up)
        self.down = Direction(self, server, client, self.plan.down)
        other = threading.Thread(target=self.down._run, name=f"passage-{self.number}-down", daemon=True)
        other.start()
        self._threads.append(other)
        if self.way._stopping.is_set():         # its close may not have seen the server's socket
            self._hang_up()
        self.up._run()

    def pause(self, seconds: float) -> None:
        """For `accept`: the server is connected only then."""
        if self.way._stopping.wait(seconds):
            raise WayOver

    def refuse(self) -> None:
        """For `accept`: RST, before anything was carried."""
        self._is_reset = True
        raise WayOver

    def _hang_up(self, how: int = socket.SHUT_RDWR) -> None:
        """Wakes both directions: their receives come to an end."""
        for sock in self.sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(how)

    def _left(self) -> None:
        """One direction has come to its end; the last one closes."""
        with self._lock:
            self._n_left -= 1
            is_last = self._n_left == 0
        if is_last:
            self._close()

    def _close(self) -> None:
        for sock in self.sockets:
            with contextlib.suppress(OSError):
                if self._is_reset:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                sock.close()
        self.is_over = True
        self.way._notify()


class FaultyWay:
    """The way to one server; see the top of this file. Where plans depend on what has happened, override `plan_for`."""

    def __init__(self, server: tuple[str, int], plans: Iterable[Plan] = (), beyond: Plan | None = None):
        self.server, self.plans, self.beyond = server, list(plans), beyond or Plan()
        self.connections: list[Passage] = []
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._listener = bound_socket()
        self.host, self.port = self._listener.getsockname()
        self._listener.listen(N_BACKLOG)
        self._thread = threading.Thread(target=self._accept, name="faulty-way", daemon=True)
        self._thread.start()

    def plan_for(self, number: int) -> Plan:
        """The plan of the connection that was accepted as the number-th, from 0."""
        return self.plans[number] if number < len(self.plans) else self.beyond

    @property
    def struck(self) -> list:
        """The faults that came to their turn, connection by connection."""
        return [fault for passage in list(self.connections) for fault in passage.struck]

    def wait_for(self, condition: Callable[[], bool], seconds: float = WAIT_S) -> None:
        """Waits until a connection that has come or ended makes the condition true; raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(condition, seconds):
                raise TimeoutError(f"not seen by the faulty way within {seconds} s")

    def close(self) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(FAREWELL_S)
        self._listener.close()
        limit = time.monotonic() + FAREWELL_S
        for passage in self.connections:
            passage._hang_up()
        for passage in self.connections:
            for thread in passage._threads:
                thread.join(max(0.0, limit - time.monotonic()))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            passage = Passage(self, len(self.connections), client, self.plan_for(len(self.connections)))
            self.connections.append(passage)
            passage._threads[0].start()
            self._notify()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()
