"""Plays one scene in a child, with the 1st, 2nd, ... call of a kind failing, until none is left to fail."""
import contextlib
import os
import pathlib
import pickle
import selectors
import signal
import subprocess
import sys
import tempfile

from adversarial.judge import Kind, judge
from adversarial.peers import CaseServers
from adversarial.play import Observation
from support.certificate import make_certificate

from torture.child import N_WARM_UPS, Place, Run
from torture.failing import Fault
from torture.scene_server import SceneServer

TESTS = pathlib.Path(__file__).resolve().parents[1]
LIMIT_S = 20.0              # for one run
DUMP_S = 3.0
N_LINES = 40                # of what a child that died has written
N_LEAK_TRIES = 20           # growth that comes each time is a leak

# CPython 3.11 itself loses what it holds where these find no memory.
LEAKS_ITSELF = frozenset(("PyCell_New", "PySequence_List"))
MAKES_LIST = "list(", "[*"  # CPython 3.11 keeps what is to be copied where there is no memory for the copy
UNKNOWN = ""                # no memory to note the line: it may be one of those
ALWAYS_WRONG = {Kind.UNSAFE, Kind.WRONG}


class Crash(Exception):
    """The child has died, or had to be killed."""


class Child:
    def __init__(self, library: str, order: tuple, package: str, before: str = ""):
        self.notes = tempfile.TemporaryFile("w+b")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([package, str(TESTS)]), "PYTHONMALLOC": "malloc",
                       "LD_PRELOAD": " ".join(filter(None, [before, library])), "PYTHONDONTWRITEBYTECODE": "1"}
        if before:
            environment["ASAN_OPTIONS"] = ("detect_leaks=0:abort_on_error=1:handle_segv=1:allocator_may_return_null=1")
            environment["UBSAN_OPTIONS"] = "print_stacktrace=1"
        self.process = subprocess.Popen([sys.executable, "-m", "torture.child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.notes, env=environment, start_new_session=True)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)
        self.tell(order)

    def tell(self, order) -> None:
        with contextlib.suppress(BrokenPipeError):
            pickle.dump(order, self.process.stdin)
            self.process.stdin.flush()

    def hear(self) -> Run:
        if not self.selector.select(LIMIT_S):
            self.process.send_signal(signal.SIGABRT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(DUMP_S)
            self.end()
            raise Crash(f"HANG: nothing for {LIMIT_S:g} s\n{self.said()}")
        try:
            return pickle.load(self.process.stdout)
        except (EOFError, pickle.UnpicklingError):
            status = self.process.wait()
            raise Crash(f"CRASH: exit {status}\n{self.said()}") from None

    def said(self) -> str:
        self.notes.seek(0)
        return b"".join(self.notes.readlines()[-N_LINES:]).decode(errors="replace")

    def end(self) -> None:
        self.tell(None)
        try:
            self.process.wait(DUMP_S)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        self.selector.close()


class Servers:
    """Of a case, or of the scenes."""

    def __init__(self, case: dict | None, certificate: str):
        if case is not None:
            self.both = CaseServers(case, "whole")
            self.place = Place(self.both.first.host, self.both.first.port, case=case)
        else:
            self.both = None
            self.plain, self.tls = SceneServer(), SceneServer(certificate)
            self.place = Place(self.plain.host, self.plain.port, self.tls.port, certificate)

    def forget(self):
        """Each run is the first for them."""
        if self.both is not None:
            self.both.accepted.clear()
            for server in (self.both.first, self.both.second):
                server.connections.clear()
        else:
            self.plain.forget()
            self.tls.forget()

    def close(self):
        for server in (self.both.first, self.both.second) if self.both is not None else (self.plain, self.tls):
            server.close()


def is_of_the_interpreter(run: Run) -> bool:
    """Whether what is left over may be what the interpreter itself has lost."""
    return (not LEAKS_ITSELF.isdisjoint(run.where.split())
            or any(line == UNKNOWN or any(text in line for text in MAKES_LIST) for line in run.lines))


class Campaign:
    """One scene. `found`: what is wrong, as (fault, n, text)."""

    def __init__(self, library: str, family: str, name: str, case: dict | None, certificate: str, package: str,
                 before: str = ""):
        self.family, self.name, self.case = family, name, case
        self.servers = Servers(case, certificate)
        self.arguments = library, (family, name, self.servers.place), package, before
        self.finds_leaks = not before and not name.startswith("tls")    # ssl loses something of each session that it hands out
        self.child, self.found, self.n_runs, self.longest = None, [], 0, 0.0

    def start(self):
        """A child that has played the scene twice with nothing failing."""
        self.child = Child(*self.arguments)
        for _ in range(N_WARM_UPS):
            run = self.child.hear()
            for text in self.faults_of(run, None):
                self.found.append((None, 0, text))
            self.servers.forget()
            self.child.tell("go on")

    def once(self, fault: Fault, n: int, is_again: bool = False) -> Run | None:
        """One run; None where the child has died. What is wrong is noted unless it `is_again`."""
        if self.child is None:
            self.start()
        self.servers.forget()
        self.child.tell((fault, n))
        try:
            run = self.child.hear()
        except Crash as crash:
            self.found.append((fault, n, str(crash)))
            self.n_runs += 1
            self.child = None
            return None
        self.longest = max(self.longest, run.seconds)
        if not is_again:
            self.found += [(fault, n, text) for text in self.faults_of(run, fault)]
        return run

    def faults_of(self, run: Run, fault):
        yield from run.faults
        if self.case is not None and run.replies:
            seen = Observation(run.replies, self.servers.both.seen(), 0.0, 0.0, 0.0, False)
            for wrong in judge(self.case, seen):
                if wrong.kind in ALWAYS_WRONG or (not run.n_failed and wrong.kind is Kind.REFUSED):
                    yield str(wrong)

    def may_leak(self, run: Run | None) -> bool:
        return self.finds_leaks and run is not None and run.grown > 1 and not is_of_the_interpreter(run)

    def n_calls(self, fault: Fault) -> int:
        """How many calls of that kind the scene makes where none fails."""
        run = self.once(fault, 1 << 40)
        return run.n_calls if run is not None else 0

    def play(self, fault: Fault, every: int = 1, first: int = 1, most: int = 1 << 40) -> int:
        """Fails the first, first + every, ... call; returns how many runs had something fail."""
        n, n_hit = first, 0
        while n < most:
            run = self.once(fault, n)
            if run is not None:
                self.n_runs += 1
                if not run.n_failed:
                    break
                n_tries = 0
                while self.may_leak(run) and n_tries < N_LEAK_TRIES:        # each fails elsewhere: caches fill
                    grown, n_tries = run.grown, n_tries + 1
                    run = self.once(fault, n, is_again=True)
                if self.may_leak(run):
                    self.found.append((fault, n, f"LEAK: {grown} and {run.grown} allocations"))
            n_hit += 1
            n += every
        return n_hit

    def close(self):
        """Ends the child and the servers."""
        if self.child is not None:
            self.child.end()
        self.servers.close()


def certificate_in(folder) -> str:
    return make_certificate(folder)
