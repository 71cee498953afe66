"""The servers of a case, and what they saw.

A server answers request after request on a connection: "/probe" with a plain good answer, a path of the case's routes
with its steps, anything else with the case's steps. The steps:

    send, b64               text (Latin-1) or bytes; {{port}} and {{port_b}} stand for the ports
    repeat/times, numbered/times, drip/ms
    sleep_ms, hold_ms       pauses; drain_ms reads and forgets
    await                   "head" or "body" (at most `limit` bytes) of a further or the same request
    close                   FIN, then reads until the client closes; "now": without reading
    half_close, reset
"""
import base64
import dataclasses

from support import actions
from support.actions import Send
from support.request_reading import take_body, take_head
from support.scripted_server import ScriptedServer

from adversarial.modes import cuts

PROBE_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Probe: 1\r\n\r\nprobe"
PROBE_PATH = "/probe"
ENDS = {"close": actions.Close(), "reset": actions.Reset(), "half_close": actions.HalfClose()}
KEPT_INPUT = 64 * 1024      # bytes of a connection's input that are judged


@dataclasses.dataclass
class SeenConnection:
    """What one connection received, for the judge."""
    second: bool            # on the second origin
    input: bytes            # the first bytes
    heads: list[bytes]      # of requests, without their blank lines
    n_received: int
    n_sent: int

    @property
    def n_beyond_heads(self) -> int:
        return self.n_received - sum(len(head) + 4 for head in self.heads)


class CaseServers:
    """The one or two origins of a case; a context manager."""

    def __init__(self, case: dict, mode: str, cut: int | None = None):
        self.case, self.mode, self.cut = case, mode, cut
        self.accepted = []          # of both origins, in order
        self.first = CaseServer(self, second=False)
        self.second = CaseServer(self, second=True) if "server_b" in case else self.first

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.first.close()
        self.second.close()

    def seen(self) -> list[SeenConnection]:
        return [SeenConnection(peer.server.is_second, bytes(peer.received[:KEPT_INPUT]), [head[:-4] for head in peer.taken],
                               peer.n_received, peer.n_sent) for peer in list(self.accepted)]

    # -- steps

    def play(self, peer, steps: list) -> None:
        for action in self.cut_short([self.action_for(step) for step in steps]):
            action(peer)

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
                return actions.Drain(ms / 1000)
            case {"await": "head"}:
                return actions.ReceiveHead()
            case {"await": "body", **rest}:
                return actions.ReceiveBody(rest.get("limit"))
            case {"close": "now"}:
                return actions.CloseAtOnce()
        [(how, _)] = step.items()
        return ENDS[how]

    def sending(self, data: bytes) -> Send:
        return Send(data, *cuts(self.mode, self.case, data))

    def filled(self, text: str) -> bytes:
        text = text.replace("{{port}}", str(self.first.port)).replace("{{port_b}}", str(self.second.port))
        return text.encode("latin-1")


class CaseServer(ScriptedServer):
    """One origin of a case."""

    def __init__(self, group: CaseServers, second: bool):
        self.group, self.is_second = group, second
        super().__init__()

    def script_for(self, connection):
        self.group.accepted.append(connection)
        return [self.serve]

    def serve(self, peer) -> None:
        case = self.group.case
        at_connect = case["start"] == "connect" and peer is self.group.accepted[0]
        if at_connect:
            self.group.play(peer, case["server"])
        while True:
            head = take_head(peer)
            path = path_of(head)
            if path == PROBE_PATH:
                take_body(peer, head)
                peer.send(PROBE_ANSWER)
                continue
            steps = case["routes"].get(path)
            if steps is None:
                if at_connect:
                    continue                # these steps have been played already
                steps = case["server_b"] if self.is_second else case["server"]
            if case["start"] == "request":
                take_body(peer, head)
            self.group.play(peer, steps)


def path_of(head: bytes) -> str:
    """The path in a request head, also where the target is an absolute URI."""
    words = head.partition(b"\r\n")[0].split(b" ")
    target = words[1].decode("latin-1") if len(words) > 1 else ""
    return "/" + target.partition("://")[2].partition("/")[2] if "://" in target else target
