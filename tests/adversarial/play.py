"""Plays cases on a way from begin to end in this process, and tells what was seen, with time and memory."""
import contextlib
import dataclasses
import importlib
import threading
import time
import traceback

from support.sanitizers import IS_SANITIZED

from adversarial.contract import Call, Reply, Request
from adversarial.corpus import DEFAULTS, cuts_of, has_probe, request_body
from adversarial.peers import PROBE_PATH, CaseServers, SeenConnection
from adversarial.ways import CONNECT, WAYS, Way, as_played

HANG_MARGIN_S = 2.5         # behind its longest time, a case hangs
QUIET_S, LOOK_S = 1.0, 0.002  # the longest wait for what servers still send; between two looks
LAST_WAIT_S = 2.0           # for a hanging client, once its servers are gone
WARM_UP = DEFAULTS | {"id": "warm-up", "server": [{"send": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"}]}
FORGET_PEAK = "5"           # see proc(5), clear_refs


@dataclasses.dataclass
class Observation:
    """What was seen of one run of a case."""
    replies: list[Reply]
    connections: list[SeenConnection]
    seconds: float              # that the first request took, where it came to an end
    grown_mb: float             # of the resident peak
    virtual_mb: float           # of the virtual peak
    hang: bool
    raised: str | None = None   # what the client raised, though its contract is not to
    cut: int | None = None      # the byte at which the servers' sends were cut short


class Player:
    """Plays cases on one way. The first play is a plain one: first allocations and late imports are no case's doing."""

    def __init__(self, way_name: str, pem: str | None):
        self.way: Way = WAYS[way_name]
        self.pem = pem
        module, _, name = self.way.asker.client.partition(":")
        self.make_session = getattr(importlib.import_module(module), name)
        self._played = {}           # id() of a case -> the case, and as it is on this way
        self._run(as_played(self.way, WARM_UP), "whole", None)

    def play(self, case: dict, mode: str) -> tuple[dict, list[Observation]]:
        """The case as it is on this way; one observation for each place of a cut."""
        if id(case) not in self._played:
            self._played[id(case)] = case, as_played(self.way, case)
        played = self._played[id(case)][1]
        return played, [self._run(played, mode, cut) for cut in cuts_of(case, mode)]

    def _run(self, case: dict, mode: str, cut: int | None) -> Observation:
        request = first_request(case)                       # made before memory is measured: it may be large
        visit = Visit(case, request, self.make_session)
        with CaseServers(case, mode, cut, self.way.route, self.pem) as servers:
            forget_peak()
            before = peaks_mb()
            visit.call, visit.servers = self._call(case, servers), servers
            visit.start()
            visit.join(case["max_seconds"] + HANG_MARGIN_S)
            hang = visit.is_alive()
        if hang:
            visit.join(LAST_WAIT_S)
        after = peaks_mb()
        return Observation(list(visit.replies), servers.seen(), visit.seconds, after[0] - before[0], after[1] - before[1],
                           hang, visit.raised, cut)

    def _call(self, case: dict, servers: CaseServers) -> Call:
        route = self.way.route
        proxy = f"{route.proxy}://{servers.proxy.host}:{servers.proxy.port}" if route.proxy else None
        return Call(servers.first.host, servers.first.port, servers.second.port, case["idle_timeout"], case["deadline"],
                    case["redirects"], case["decode"], route.scheme, proxy, self.pem if route.is_tls else None,
                    case.get("n_behind", 0))


class Visit(threading.Thread):
    """The client's side of a case, in a thread of its own: the request, then the probe where the case has one."""

    def __init__(self, case: dict, request: Request, make_session):
        super().__init__(daemon=True)
        self.case, self.request, self.make_session = case, request, make_session
        self.call = self.servers = None
        self.replies, self.seconds, self.raised = [], 0.0, None

    def run(self):
        try:
            with contextlib.closing(self.make_session(self.call)) as session:
                began = time.monotonic()
                reply = session.fetch(self.request)
                self.seconds = time.monotonic() - began
                self.replies.append(reply)
                if has_probe(self.case):
                    time.sleep(self.case["probe_delay_ms"] / 1000)
                    self._wait_until_quiet()
                    self.replies.append(session.fetch(probe_request(self.case)))
        except Exception:
            self.raised = traceback.format_exc(limit=-3)


    def _wait_until_quiet(self):
        """What the servers send meanwhile has arrived: behind the next request, it would be the answer to that one."""
        end = time.monotonic() + QUIET_S
        while not self.servers.is_quiet() and time.monotonic() < end:
            time.sleep(LOOK_S)


def first_request(case: dict) -> Request:
    wanted = case["request"]
    method = "GET" if case["method"] == CONNECT else case["method"]         # the way's own tunnel is what is asked for
    return Request(method, wanted.get("target", "/case"), [tuple(pair) for pair in wanted.get("headers", [])],
                   request_body(case), wanted.get("user"), wanted.get("expect100", False),
                   wanted["held"].encode() if "held" in wanted else None)


def probe_request(case: dict) -> Request:
    wanted = case.get("probe_request", {})
    return Request(wanted.get("method", "GET"), PROBE_PATH, [], wanted.get("body", "").encode() or None)


def peaks_mb() -> tuple[float, float]:
    """The resident and the virtual peak of this process; zeros where they are not its own."""
    if IS_SANITIZED:
        return 0.0, 0.0
    with open("/proc/self/status") as status:
        kilobytes = {line.split()[0]: int(line.split()[1]) for line in status if line.startswith(("VmHWM", "VmPeak"))}
    return kilobytes["VmHWM:"] / 1024, kilobytes["VmPeak:"] / 1024


def forget_peak() -> None:
    """Lets the resident peak start again at what is resident now; where that is not allowed, growth shows as less."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as knob:
        knob.write(FORGET_PEAK)
