"""The servers of a case, and what they saw.

A server answers request after request on a connection: a path that begins with "/probe" with a plain good answer, whose body
is the path without its slash; a path of the case's routes with its steps, anything else with the case's steps. The steps:

    send, b64               text (Latin-1) or bytes; {{port}} and {{port_b}} stand for the ports
    repeat/times, numbered/times, drip/ms
    sleep_ms, hold_ms       pauses; drain_ms reads and forgets what comes of the body within that time
    await                   "head" or "body" (at most `limit` bytes) of a further or the same request
    close                   FIN, then reads until the client closes; "now": without reading
    half_close, reset

A case whose method is CONNECT is about the answer of a proxy: where the route has a tunnel, its steps begin as the answer to
that, and go on in TLS from the first `await`.
"""
import base64
import dataclasses
import fcntl
import itertools
import re
import sys
import termios
import time

from support import actions
from support.actions import Send
from support.request_reading import body_length, is_chunked, take_body, take_head
from support.scripted_server import ClosedPort, ScriptedServer

from adversarial.modes import cuts
from adversarial.routes import ESTABLISHED, Route, server_context, start_tls, take_connect, take_socks

PROBE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Probe: 1\r\n\r\n%b"
PROBE_PATH = "/probe"
SENDING = {"send", "b64", "repeat", "numbered"}
ARRIVAL_S, LOOK_S = 0.5, 0.001  # the longest wait for what was sent to arrive; between two looks
KEPT_INPUT = 64 * 1024      # bytes of a connection's input that are judged
ABSOLUTE_LOCATION = re.compile(r"(?im)^(location:[ \t]*)http(?=://127\.0\.0\.1:\{\{port)")


@dataclasses.dataclass
class SeenConnection:
    """What one connection received, for the judge."""
    for_second: bytes       # the first bytes of what was for the second origin
    input: bytes            # the first bytes
    heads: list[bytes]      # of requests, without their blank lines
    n_received: int
    n_sent: int

    @property
    def n_beyond_heads(self) -> int:
        return self.n_received - sum(len(head) + 4 for head in self.heads)


class CaseServers:
    """The one or two origins of a case, or the proxy that leads to them; a context manager."""

    def __init__(self, case: dict, mode: str, cut: int | None = None, route: Route = Route(), pem: str | None = None):
        self.case, self.mode, self.cut, self.route = case, mode, cut, route
        self.context = server_context(pem) if route.is_tls else None
        self.accepted = []          # in order
        self.proxy = CaseServer(self) if route.proxy else None
        make_origin = ClosedPort if route.proxy else lambda: CaseServer(self)
        self.first = make_origin()
        self.second = make_origin() if "server_b" in case else self.first

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in filter(None, (self.proxy, self.first, self.second)):
            server.close()

    def seen(self) -> list[SeenConnection]:
        return [SeenConnection(bytes(peer.received[:KEPT_INPUT]) if peer.port == self.other_port else bytes(peer.for_second),
                               bytes(peer.received[:KEPT_INPUT]), [head[:-4] for head in peer.taken], peer.n_received,
                               peer.n_sent) for peer in list(self.accepted)]

    @property
    def other_port(self) -> int | None:
        """The port of the second origin, where there is one."""
        return self.second.port if self.second is not self.first else None

    # -- steps

    def play(self, peer, steps: list) -> None:
        peer.is_quiet = False
        row = [self.action_for(step) for step in steps]
        row.insert(n_until_quiet(steps), now_quiet)
        for action in self.cut_short(row):
            action(peer)

    def is_quiet(self) -> bool:
        """Whether the servers have sent all that they send before somebody asks again."""
        return all(peer.is_quiet or peer.how_ended for peer in list(self.accepted))

    def cut_short(self, row: list):
        """The actions up to the byte at which this run is cut, and the end that the case names."""
        if self.cut is None:
            yield from row
            return
        room = self.cut
        for action in row:
            if isinstance(action, Send):
                if len(action.data) >= room:
                    yield dataclasses.replace(action, data=action.data[:room])
                    yield ENDS[self.case["truncate_each"]]
                room -= len(action.data)
            yield action

    def action_for(self, step: dict):
        match step:
            case {"send": text}:
                return self.sending(self.filled(text))
            case {"b64": text}:
                return self.sending(base64.b64decode(text))
            case {"repeat": text, "times": times}:
                return actions.Repeat(self.filled(text), times)
            case {"numbered": template, "times": times}:
                return actions.SendNumbered(template, times)
            case {"drip": text, "ms": ms}:
                return actions.Drip(self.filled(text), ms / 1000)
            case {"sleep_ms": ms} | {"hold_ms": ms}:
                return actions.Pause(ms / 1000)
            case {"drain_ms": ms}:
                return lambda peer: drain(peer, ms / 1000)
            case {"await": "head"}:
                return self.next_head
            case {"await": "body", **rest}:
                return lambda peer: forget_body(peer, peer.taken[-1], rest.get("limit"))
            case {"close": "now"}:
                return close_now
        [(how, _)] = step.items()
        return ENDS[how]

    def sending(self, data: bytes) -> Send:
        return Send(data, *cuts(self.mode, self.case, data))

    def filled(self, text: str) -> bytes:
        if self.route.is_tls:
            text = ABSOLUTE_LOCATION.sub(r"\1https", text)
        text = text.replace("{{port}}", str(self.first.port)).replace("{{port_b}}", str(self.second.port))
        return text.encode("latin-1")

    # -- requests

    def next_head(self, peer) -> bytes:
        """Takes the head of the next request; notes what of it was for the second origin."""
        if peer.is_proxy_answer:
            self.start_tls(peer)
        head = take_head(peer)
        if self.other_port is not None and port_in(head) == self.other_port:
            peer.for_second += head
        return head

    def enter(self, peer) -> None:
        """Comes to where the client's requests begin."""
        def send(data):
            self.sending(data)(peer)

        peer.for_second, peer.is_proxy_answer = bytearray(), False
        peer.port = peer.server.port
        if self.route.is_tunnel:
            peer.port = take_connect(peer)
            if self.case["method"] == "CONNECT" and peer is self.accepted[0]:
                peer.is_proxy_answer = True
                self.play(peer, self.case["server"])
                if not peer.is_proxy_answer:
                    return
                peer.is_proxy_answer = False
            else:
                send(ESTABLISHED)
        elif self.route.proxy == "socks5":
            peer.port = take_socks(peer, send)
        if self.route.is_tls:
            self.start_tls(peer)
        peer.received.clear()
        peer.taken.clear()
        peer.n_received = len(peer.pending)

    def start_tls(self, peer) -> None:
        peer.is_proxy_answer = False
        start_tls(peer, self.context)


class CaseServer(ScriptedServer):
    """One origin of a case, or the proxy."""

    def __init__(self, group: CaseServers):
        self.group = group
        super().__init__()

    def script_for(self, connection):
        connection.port, connection.for_second, connection.is_quiet = None, b"", True
        self.group.accepted.append(connection)
        return [self.serve]

    def serve(self, peer) -> None:
        group, case = self.group, self.group.case
        group.enter(peer)
        at_connect = case["start"] == "connect" and peer is group.accepted[0]
        if at_connect:
            group.play(peer, case["server"])
        while True:
            head = group.next_head(peer)
            path = path_of(head)
            if path.startswith(PROBE_PATH):
                forget_body(peer, head)
                peer.send(PROBE % (len(path) - 1, path[1:].encode()))
                continue
            steps = case["routes"].get(path)
            if steps is None:
                if at_connect:
                    continue                # these steps have been played already
                is_second = group.other_port is not None and group.other_port in (peer.port, port_in(head))
                steps = case["server_b"] if is_second else case["server"]
            if case["start"] == "request":
                forget_body(peer, head)
            group.play(peer, steps)


def n_until_quiet(steps: list) -> int:
    """How many steps it takes until nothing more is sent before somebody asks again."""
    unasked = list(itertools.takewhile(lambda step: "await" not in step, steps))
    return max((n for n, step in enumerate(unasked, 1) if SENDING & step.keys()), default=0)


def now_quiet(peer) -> None:
    peer.is_quiet = True


def forget_body(peer, head: bytes, limit: int | None = None) -> None:
    """Reads the body of a request. What is behind a request without one is the next request."""
    if body_length(head) or is_chunked(head):
        take_body(peer, head, limit)


def drain(peer, seconds: float) -> None:
    """What is behind the body is the next request, however soon it comes."""
    end, n_left = time.monotonic() + seconds, body_length(peer.taken[-1]) or 0
    while n_left > 0:
        n = min(n_left, len(peer.pending))
        del peer.pending[:n]
        n_left -= n
        if n_left == 0 or (time_left := end - time.monotonic()) <= 0:
            return
        if n == 0:
            try:
                peer.more(time_left)
            except TimeoutError:
                return


def close_now(peer) -> None:
    """Closes without looking whether the client has sent something."""
    if hasattr(peer.sock, "good_bye"):
        peer.sock.good_bye()
    peer.end("fin")


def reset(peer) -> None:
    """Sends RST behind what was sent: one that overtakes it would make what the client has received a matter of chance."""
    handle, end = peer._handles[0], time.monotonic() + ARRIVAL_S
    while int.from_bytes(fcntl.ioctl(handle, termios.TIOCOUTQ, bytes(4)), sys.byteorder) and time.monotonic() < end:
        peer.pause(LOOK_S)
    peer.end("reset")


ENDS = {"close": actions.Close(), "reset": reset, "half_close": actions.HalfClose()}


def target_of(head: bytes) -> str:
    words = head.partition(b"\r\n")[0].split(b" ")
    return words[1].decode("latin-1") if len(words) > 1 else ""


def path_of(head: bytes) -> str:
    """The path in a request head, also where the target is an absolute URI."""
    target = target_of(head)
    return "/" + target.partition("://")[2].partition("/")[2] if "://" in target.partition("?")[0] else target


def port_in(head: bytes) -> int | None:
    """The port in a target that is an absolute URI with one."""
    found = re.match(r"[a-z]+://[^/?#]*:(\d+)", target_of(head))
    return int(found[1]) if found else None
