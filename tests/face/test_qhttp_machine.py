"""Anything, in any order, from anywhere: calls of the API between turns and in the slots of any signal, against a server that
cuts its answers in every way and sometimes falls short. Each request ends at most once, in order, none hangs, and what is
reported as a success is the body that belongs to its path."""
import contextlib
import gc
import io
import os
import tempfile

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from support.scripted_server import ClosedPort

import qhttp
from qhttp import QHttp

N_EXAMPLES = int(os.environ.get("QHTTP_MACHINE_EXAMPLES", "0"))     # a campaign: random instead of repeatable
PATIENCE_MS = 3000
STYLES = ["whole", "head", "body", "thirds", "chunked", "chunks", "close", "cut", "bad"]
PLACES = ["requestStarted", "requestFinished", "done", "responseHeaderReceived", "readyRead", "dataReadProgress",
          "dataSendProgress", "HostLookup", "Connecting", "Sending", "Reading", "Connected", "Closing", "Unconnected"]
DEEDS = ["abort", "get", "get_to_object", "get_to_file", "post", "post_device", "head", "close", "set_host", "set_host_refused",
         "wait_unlimited", "clear", "read_some", "read_all", "run", "wait", "dispatch", "raise", "limit", "no_limit",
         "connect", "delete_later"]


class Boom(Exception):
    """Comes out of a slot."""


class Machine(RuleBasedStateMachine):
    server = None       # set by the test, for all examples
    closed_port = None
    record = None

    def __init__(self):
        super().__init__()
        self.http = QHttp(self.server.host, self.server.port)
        self.told = self.record(self.http)
        self.depth = self.n_paths = 0
        self.hooks = []                 # [place, emits to wait for, deeds]
        self.queued = []                # ids in the order of the calls
        self.expected = {}              # id -> (path, destination)
        self.got = {}                   # id -> bytes read, for those without a destination
        self.latest = 0                 # the id started last: unread bytes are its
        self.wrong = []
        self.deleted = self.is_limited = False
        self.files = tempfile.TemporaryDirectory()
        self.connect_all()

    def connect_all(self):
        http = self.http
        http.requestStarted.connect(self.on_started)
        http.requestFinished.connect(self.on_finished)
        http.stateChanged.connect(lambda state: self.reach(state.name))
        for name in PLACES[:7]:
            getattr(http, name).connect(lambda *_, name=name: self.reach(name))

    # -- what is watched
    def on_started(self, number):
        self.latest = number
        if self.http.error() != QHttp.NoError or self.http.bytesAvailable():
            self.wrong.append(f"{number} started with {self.http.error()!r} and {self.http.bytesAvailable()} bytes")

    def on_finished(self, number, error):
        if self.http.currentId() != number:
            self.wrong.append(f"{number} finished while {self.http.currentId()} was current")
        if error == (self.http.error() == QHttp.NoError):
            self.wrong.append(f"{number} finished with {error} and {self.http.error()!r}")
        if number not in self.expected:
            return
        path, to = self.expected[number]
        if to is None:
            self.read(2**40)
            data = b"".join(self.got.get(number, []))
        else:
            data = to.getvalue() if isinstance(to, io.BytesIO) else os.pread(to.fileno(), 1 << 20, 0)
        body = self.server.body(path)
        if not (body.startswith(data) if error else data == body):
            self.wrong.append(f"{number} finished with {error}, {len(data)} of {len(body)} bytes of {path}")

    def read(self, n):
        data = self.http.read(n)
        if data:
            self.got.setdefault(self.latest, []).append(data)

    def reach(self, place):
        for hook in list(self.hooks):
            if hook in self.hooks and hook[0] == place:
                hook[1] -= 1
                if hook[1] < 0:
                    self.hooks.remove(hook)
                    for deed in hook[2]:
                        self.do(deed)

    # -- what is done, between turns or in slots
    def do(self, deed):
        if self.depth > 3 and deed in ("run", "wait", "dispatch"):
            return
        self.depth += 1
        try:
            getattr(self, f"do_{deed}")()
        finally:
            self.depth -= 1

    def add(self, number, path=None, to=None):
        self.queued.append(number)
        if path is not None:
            self.expected[number] = path, to

    def path(self, style="thirds"):
        self.n_paths += 1
        return self.server.path(style, 60 + self.n_paths, self.n_paths)

    def do_get(self, style="thirds"):
        path = self.path(style)
        self.add(self.http.get(path), path)

    def do_get_to_object(self, style="chunks"):
        path, to = self.path(style), io.BytesIO()
        self.add(self.http.get(path, to), path, to)

    def do_get_to_file(self, style="thirds"):
        path = self.path(style)
        to = open(os.path.join(self.files.name, str(self.n_paths)), "w+b", 0)
        self.add(self.http.get(path, to), path, to)

    def do_post(self, size=3000):
        path = self.path()
        self.add(self.http.post(path, b"p" * size), path)

    def do_post_device(self):
        path = self.path()
        self.add(self.http.post(path, io.BytesIO(b"d" * 9000)), path)

    def do_head(self):
        self.add(self.http.head(self.path("whole")))

    def do_close(self):
        self.add(self.http.close())

    def do_set_host(self):
        self.add(self.http.setHost(self.server.host, self.server.port))

    def do_set_host_refused(self):
        self.add(self.http.setHost(self.closed_port.host, self.closed_port.port))

    def do_abort(self):
        self.http.abort()

    def do_clear(self):
        self.http.clearPendingRequests()

    def do_read_some(self):
        self.read(7)

    def do_read_all(self):
        self.read(2**40)

    def do_run(self):
        qhttp.run(1)

    def do_wait(self):
        self.http.waitForDone(2)

    def do_wait_unlimited(self):
        if self.http.currentId() and not self.is_limited:
            with contextlib.suppress(RuntimeError):
                self.http.waitForDone()

    def do_dispatch(self):
        qhttp.loop().dispatch()

    def do_raise(self):
        if self.depth > 1:
            raise Boom

    def do_limit(self):
        self.is_limited = True          # the request may have to wait for a reader
        self.http.setReadBufferSize(20)

    def do_no_limit(self):
        self.is_limited = False
        self.http.setReadBufferSize(0)

    def do_connect(self):
        self.http.readyRead.connect(lambda: None)

    def do_delete_later(self):
        self.deleted = True
        self.http.deleteLater()

    # -- rules
    @rule(style=st.sampled_from(STYLES), to=st.sampled_from(["get", "get_to_object", "get_to_file"]))
    def queue_get(self, style, to):
        getattr(self, f"do_{to}")(style)

    @rule(deed=st.sampled_from(DEEDS[:-1]))
    def act(self, deed):
        with contextlib.suppress(Boom):
            self.do(deed)

    @rule(place=st.sampled_from(PLACES), n=st.integers(0, 3), deeds=st.lists(st.sampled_from(DEEDS), min_size=1, max_size=4))
    def hook(self, place, n, deeds):
        self.hooks.append([place, n, deeds])

    @rule(n=st.integers(1, 6))
    def turn(self, n):
        for _ in range(n):
            with contextlib.suppress(Boom):
                qhttp.loop().run(0)

    @rule(msecs=st.integers(0, 8))
    def wait(self, msecs):
        with contextlib.suppress(Boom):
            self.http.waitForDone(msecs)

    @invariant()
    def every_request_ends_once_and_in_order(self):
        assert self.told.faults() == [] and self.wrong == []
        assert set(self.told.started) <= set(self.queued)

    @invariant()
    def the_state_is_the_one_last_told(self):
        assert self.deleted or self.http.state().name == (self.told.states or ["Unconnected"])[-1]

    def teardown(self):
        self.hooks.clear()
        self.http.setReadBufferSize(0)
        for _ in range(20):
            try:
                ended = self.http.waitForDone(PATIENCE_MS)
                break
            except Boom:
                pass
        assert ended, f"{self.http!r} hangs after {self.told.events}"
        if not self.deleted:
            self.every_request_ends_once_and_in_order()
            self.the_state_is_the_one_last_told()
            assert [number for number, _ in self.told.finished if number not in self.queued] == []
            unfinished = set(self.told.started) - {number for number, _ in self.told.finished}
            assert unfinished == set()
            # It works as on the first day.
            self.do_set_host()
            self.do_get()
            assert self.http.waitForDone(PATIENCE_MS)
            assert self.told.finished[-1] == (self.queued[-1], False) and self.wrong == []
        for _, to in self.expected.values():
            if to is not None:
                to.close()
        self.files.cleanup()
        self.http.deleteLater()
        self.http.waitForDone(100)
        for name in PLACES[:7]:
            getattr(self.http, name).disconnect()
        self.http.stateChanged.disconnect()


@pytest.mark.limit(300 if N_EXAMPLES else 20)
def test_machine_any_calls_in_any_state_from_any_slot_sound(path_server, record, monkeypatch):
    monkeypatch.setattr("sys.unraisablehook", lambda info: None)       # of several that slots raise, one comes out of run()
    with ClosedPort() as port:
        Machine.server, Machine.closed_port, Machine.record = path_server, port, record
        run_state_machine_as_test(Machine, settings=settings(
            max_examples=N_EXAMPLES or 60, stateful_step_count=20, deadline=None, database=None, derandomize=not N_EXAMPLES,
            suppress_health_check=list(HealthCheck)))
    gc.collect()
