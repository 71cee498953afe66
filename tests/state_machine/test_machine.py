"""The rules that hypothesis plays: anything, in any order, from anywhere, on up to three objects at once.

Each request starts at most once, ends exactly once or is dropped as documented, none hangs. Signals come in the documented
order and tell the outcome that belongs to the path. Nothing comes after the end, and everything is given back.
QHTTP_MACHINE_EXAMPLES=N plays N random examples (--hypothesis-seed) in place of a few that are always the same.
"""
import contextlib
import gc
import os
import time

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from support.scripted_server import ClosedPort
from support.watchdog import limited

import qhttp
from qhttp import QHttp
from state_machine.deeds import Boom, Deeds, forget
from state_machine.outcomes import GOOD, KINDS, LOGIN
from state_machine.server import Server
from state_machine.watched import PLACES, Watched

N_EXAMPLES = int(os.environ.get("QHTTP_MACHINE_EXAMPLES", "0"))
FEW, N_STEPS, LIMIT_S, S_PER_EXAMPLE = 60, 30, 100, 5
N_OBJECTS = 3
PATIENCE_MS = 5000

indices = st.integers(0, N_OBJECTS - 1)
kinds = st.sampled_from(KINDS) | st.sampled_from(GOOD + LOGIN)
sizes = st.sampled_from([2, 3, 40, 300])       # a third of it is not all of it
methods = st.sampled_from(["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])


def requests_for(kinds, destinations, sources):
    return st.one_of(
        st.tuples(st.just("get"), kinds, sizes, st.sampled_from(destinations)),
        st.tuples(st.just("head"), kinds, sizes),
        st.tuples(st.just("post"), kinds, sizes, st.sampled_from(sources)),
        st.tuples(st.just("request"), methods, kinds, sizes))


good_requests = requests_for(st.sampled_from(GOOD), ["memory", "object", "file"], ["bytes", "object", "trickle"])
requests = good_requests | requests_for(kinds, ["memory", "object", "broken"], ["bytes", "broken"]) | st.just("invalid_request")
queued = st.one_of(
    st.tuples(st.just("set_host"), st.sampled_from(["server"] * 6 + ["closed", "empty"])),
    st.tuples(st.just("set_user"), st.sampled_from(["good", "good", "bad"])),
    st.tuples(st.just("set_proxy"), st.sampled_from([None, "server", "server", "closed"])),
    st.tuples(st.just("set_socket"), st.sampled_from([None, None, "connected", "unconnected", "object", "closed"])),
    st.just("close"),
)
at_once = st.one_of(
    st.tuples(st.just("pipelining"), st.integers(1, 6)),
    st.tuples(st.just("timeout"), st.sampled_from([0, 40])),
    st.tuples(st.just("limit"), st.sampled_from([0, 1, 20])),
    st.tuples(st.just("login_slot"), st.sampled_from([None, "good", "bad"])),
    st.tuples(st.just("connect"), st.sampled_from(PLACES)),
    st.tuples(st.just("read"), st.sampled_from([0, 1, 7, 2**40])),
    st.sampled_from(["disconnect", "read_all", "abort", "clear", "run", "dispatch", "wait", "wait_for_itself", "look"]),
)
deeds = st.one_of(requests, queued, at_once, st.just("abort"))
later = st.tuples(st.just("later"), deeds)
in_slots = st.one_of(deeds, later, st.sampled_from(["raise", "delete", "abort"]))
places = st.sampled_from([*PLACES, *(state.name for state in QHttp.State)])


class Figures:
    """What all examples of a run have come to."""

    def __init__(self):
        self.n_examples = self.n_steps = self.n_objects = self.n_deeds = self.n_requests = self.n_good = self.n_failed = 0
        self.signals = {}

    def add(self, deeds: Deeds, watched: list) -> None:
        self.n_examples += 1
        self.n_deeds += deeds.n_deeds
        for one in watched:
            self.n_objects += 1
            self.n_requests += len(one.model.wanted)
            self.n_good += sum(not error for error in one.model.finished.values())
            self.n_failed += sum(one.model.finished.values())
            for name, n in one.counts.items():
                self.signals[name] = self.signals.get(name, 0) + n


class Machine(RuleBasedStateMachine):
    server = closed_port = figures = None       # set by the test, for all examples

    def __init__(self):
        super().__init__()
        self.n_descriptors = len(os.listdir("/proc/self/fd"))
        self.deeds = Deeds(self.server, self.closed_port)
        self.objects, self.watched = [], []     # an object that was let go is None
        self.make(True)

    def make(self, has_host):
        http = QHttp(self.server.host, self.server.port) if has_host else QHttp()
        self.objects.append(http)
        self.watched.append(Watched(http, "server" if has_host else None, self.deeds.act))

    def one(self, index):
        return self.watched[index % len(self.watched)]

    # -- rules
    @precondition(lambda self: len(self.watched) < N_OBJECTS)
    @rule(has_host=st.booleans())
    def make_another(self, has_host):
        self.make(has_host)

    @rule(index=indices, request=requests)
    def ask(self, index, request):
        self.act(index, request)

    @rule(index=indices, deed=deeds | later)
    def act(self, index, deed):
        with contextlib.suppress(Boom):
            self.deeds.act(self.one(index), deed)

    @rule(index=indices, row=st.lists(good_requests | requests | queued, min_size=2, max_size=8), depth=st.integers(1, 6))
    def ask_much(self, index, row, depth):
        for deed in (("pipelining", depth), *row, "wait"):
            self.act(index, deed)

    @rule(index=indices, place=places, n=st.integers(0, 3), row=st.lists(in_slots, min_size=1, max_size=4))
    def hook(self, index, place, n, row):
        self.one(index).hooks.append([place, n, row])

    @rule(n=st.integers(1, 6))
    def turn(self, n):
        for _ in range(n):
            with contextlib.suppress(Boom):
                qhttp.loop().run(0)

    @rule(index=indices, msecs=st.integers(0, 8))
    def wait(self, index, msecs):
        self.act(index, ("wait", msecs))

    @rule(index=indices, deed=st.sampled_from(["delete", "drop", "drop"]))
    def end(self, index, deed):
        if deed == "delete":
            self.act(index, "delete")
        elif len(self.objects) > 1:
            self.objects[index % len(self.objects)] = None      # with requests it lives on until they are done

    @invariant()
    def nothing_is_wrong(self):
        self.figures.n_steps += 1
        for one in self.watched:
            faults = one.faults()
            assert not faults, faults

    # -- the end
    def teardown(self):
        for one in self.watched:
            one.hooks.clear()
        for one in self.watched:
            self.bring_to_an_end(one)
        self.nothing_is_wrong()
        for one in self.watched:
            if not one.is_deleted:
                assert set(one.model.started) <= set(one.model.finished), one.model
                if one.ref() is not None:
                    self.works_as_on_the_first_day(one)
        for path, n in self.server.posts.items():
            assert n == 1 or path.split("/")[1] in LOGIN, f"{path} was posted {n} times"
        self.server.posts.clear()
        self.figures.add(self.deeds, self.watched)
        self.give_back()

    def bring_to_an_end(self, one):
        http = one.ref()
        if http is None:
            return
        http.setReadBufferSize(0)
        if one.is_endless:
            self.deeds.act(one, "abort")
        assert self.wait_for(http), f"{http!r} hangs: {one.model}"

    @staticmethod
    def wait_for(http) -> bool:
        end = time.monotonic() + PATIENCE_MS / 1000
        while time.monotonic() < end:
            with contextlib.suppress(Boom):
                return http.waitForDone(PATIENCE_MS)
        return False

    def works_as_on_the_first_day(self, one):
        for deed in (("timeout", 0), ("set_proxy", None), ("set_socket", None), ("set_host", "server"), ("get", "sized", 50)):
            self.deeds.act(one, deed)
        number = one.model.queue[-1]
        assert self.wait_for(one.ref()), one.model
        assert not one.faults() and one.model.finished.get(number) is False, one.model

    def give_back(self):
        references = [one.ref for one in self.watched]
        for reference in references[::2]:
            if reference() is not None:
                forget(reference())
        self.objects.clear()
        for thing in self.deeds.ours:
            thing.close()
        with contextlib.suppress(Boom):
            qhttp.loop().run(PATIENCE_MS)
        gc.collect()
        assert [reference() for reference in references if reference() is not None] == []
        end = time.monotonic() + PATIENCE_MS / 1000
        while self.server.peers and time.monotonic() < end:
            time.sleep(0.0005)
        assert len(os.listdir("/proc/self/fd")) == self.n_descriptors


@pytest.fixture
def server():
    with Server() as running:
        yield running


def test_machine_any_call_anywhere_is_as_the_model_says(server, monkeypatch):
    monkeypatch.setattr("sys.unraisablehook", lambda info: None)       # of several that slots raise, one comes out of run()
    n_examples = N_EXAMPLES or FEW
    qhttp.loop()                # its descriptors are for all examples
    Machine.server, Machine.figures = server, Figures()
    with ClosedPort() as Machine.closed_port, limited(max(LIMIT_S, n_examples * S_PER_EXAMPLE)):
        run_state_machine_as_test(Machine, settings=settings(
            max_examples=n_examples, stateful_step_count=N_STEPS, deadline=None, database=None, derandomize=not N_EXAMPLES,
            suppress_health_check=list(HealthCheck)))
    print(*(f"{name}: {value}" for name, value in vars(Machine.figures).items()), sep="\n")
