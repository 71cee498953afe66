"""The queue of a QHttp as it is documented: which requests there are, which one is current, and which signals may come now.

It is told of each call and of each signal, and never looks at the object. A signal that must not come is a fault, a sentence.
"""
from dataclasses import dataclass, field

from state_machine.outcomes import Wanted

UNCONNECTED, HOST_LOOKUP, CONNECTING, SENDING, READING, CONNECTED, CLOSING = range(7)
# From where each state can be come to.
BEFORE = {
    UNCONNECTED: {HOST_LOOKUP, CONNECTING, SENDING, READING, CONNECTED, CLOSING},
    HOST_LOOKUP: {UNCONNECTED, CONNECTED, CLOSING},
    CONNECTING: {UNCONNECTED, HOST_LOOKUP, CONNECTED, CLOSING},
    SENDING: {UNCONNECTED, CONNECTING, READING, CONNECTED, CLOSING},
    READING: {SENDING},
    CONNECTED: {READING},
    CLOSING: {HOST_LOOKUP, CONNECTING, SENDING, READING, CONNECTED},
}


@dataclass
class Answer:
    """What was told of the request that runs."""
    n_headers: int = 0
    n_read: int = 0             # the last dataReadProgress
    n_ready: int = 0            # what it was at the last readyRead
    got: bytes = b""            # what was read


@dataclass
class Model:
    queue: list = field(default_factory=list)           # of ids; the first is the current one
    wanted: dict = field(default_factory=dict)          # id -> Wanted
    started: list = field(default_factory=list)
    finished: dict = field(default_factory=dict)        # id -> error
    running: int | None = None
    answer: Answer = field(default_factory=Answer)
    state: int = UNCONNECTED
    is_finishing: bool = False          # requestFinished(id, False) was told, and the next signal has not come
    is_failing: bool = False            # requestFinished(id, True) was told, done(True) has to follow
    is_aborted: bool = False
    is_deleting: bool = False           # in one of the next turns
    is_gone: bool = False               # deleted: no signal may come any more
    n_done: int = 0
    faults: list = field(default_factory=list)

    def fault(self, text: str) -> None:
        self.faults.append(text)

    # -- calls
    def add(self, number: int, wanted: Wanted) -> None:
        if self.wanted and number <= max(self.wanted):
            self.fault(f"id {number} after {max(self.wanted)}")
        self.wanted[number] = wanted
        self.queue.append(number)

    def abort(self) -> None:
        """Before the call: it tells at once."""
        if self.queue and not self.is_failing:
            self.is_aborted = True

    def delete(self) -> None:
        self.is_deleting = True

    def clear(self) -> None:
        del self.queue[1:]

    # -- how it stands
    def settle(self) -> None:
        """No slot of requestFinished runs: what it told has come about."""
        if self.is_finishing:
            self.is_finishing, self.running = False, None
            self.queue.pop(0)
        if self.is_failing or self.is_aborted:
            self.fault("done(True) has not come")

    def current(self) -> int:
        return self.queue[0] if self.queue else 0

    # -- signals
    def on_any(self, name: str) -> None:
        if self.is_gone:
            self.fault(f"{name} after the end")

    def on_started(self, number: int) -> None:
        if self.is_finishing:
            self.settle()
        if self.is_failing or self.running is not None or number != self.current() or number in self.started:
            self.fault(f"{number} started: {self}")
        self.started.append(number)
        self.running, self.answer = number, Answer()

    def on_finished(self, number: int, error: bool, error_name: str, n_available: int | None) -> None:
        wanted = self.wanted.get(number)
        if number != self.current() or number in self.finished or self.is_finishing or self.is_failing or wanted is None:
            self.fault(f"{number} finished: {self}")
            return
        self.finished[number] = error
        if error:
            self.is_failing, self.running = True, number
            expected = {"Aborted"} if self.is_aborted else wanted.errors | {"Aborted"} if self.is_deleting else wanted.errors
            if error_name not in expected:
                self.fault(f"{number} failed with {error_name} instead of {wanted}")
            return
        self.is_finishing = True
        if self.running != number or error_name != "NoError" or not wanted.may_succeed:
            self.fault(f"{number} succeeded ({error_name}) instead of {wanted}: {self}")
        if self.state in (HOST_LOOKUP, CONNECTING, SENDING, READING):
            self.fault(f"{number} succeeded in state {self.state}")
        if wanted.body is not None:
            self.judge_whole(number, wanted, n_available)

    def judge_whole(self, number: int, wanted: Wanted, n_available: int | None) -> None:
        if self.answer.n_headers != 1:
            self.fault(f"{number} succeeded with {self.answer.n_headers} headers")
        if n_available is not None and len(self.answer.got) + n_available != len(wanted.body):
            self.fault(f"{number} succeeded with {len(self.answer.got)} + {n_available} of {len(wanted.body)} bytes")

    def on_done(self, error: bool) -> None:
        self.n_done += 1
        if error:
            if not self.is_failing and not (self.is_finishing and self.is_aborted):
                self.fault(f"done(True): {self}")
            self.queue.clear()
            self.running, self.is_failing, self.is_finishing, self.is_aborted = None, False, False, False
            return
        if not self.is_finishing or len(self.queue) != 1:
            self.fault(f"done(False): {self}")
        self.settle()

    def on_state(self, state: int) -> None:
        if self.state not in BEFORE[state]:
            self.fault(f"state {state} after {self.state}: {self}")
        self.state = state

    def on_header(self, status: int) -> None:
        self.answer.n_headers += 1
        if not self.is_receiving() or self.answer.n_headers > 1 or self.state != READING:
            self.fault(f"a header: {self}")
        elif status != self.wanted[self.running].status:
            self.fault(f"status {status} instead of {self.wanted[self.running]}")

    def on_ready(self) -> None:
        if not self.is_receiving() or self.answer.n_ready >= self.answer.n_read or self.state != READING:
            self.fault(f"readyRead: {self}")
        self.answer.n_ready = self.answer.n_read

    def on_read_progress(self, n_done: int, n_total: int) -> None:
        if not self.is_receiving() or self.answer.n_headers != 1 or self.state != READING:
            self.fault(f"dataReadProgress: {self}")
        elif not self.answer.n_read < n_done or n_total not in (0, len(self.wanted[self.running].body)):
            self.fault(f"dataReadProgress({n_done}, {n_total}) after {self.answer.n_read}")
        self.answer.n_read = n_done

    def on_send_progress(self, n_done: int, n_total: int) -> None:
        is_unsized = self.is_receiving() and self.wanted[self.running].is_unsized
        if not self.is_receiving() or n_done <= 0 or (n_total == 0) != is_unsized or n_done > n_total > 0:
            self.fault(f"dataSendProgress({n_done}, {n_total}): {self}")

    def on_read(self, data: bytes) -> None:
        """These bytes were read; unread ones belong to the request that started last."""
        if not data:
            return
        self.answer.got += data
        body = self.wanted[self.started[-1]].body if self.started else None
        if body is None or not body.startswith(self.answer.got):
            self.fault(f"read {self.answer.got!r} of {body!r}")

    def is_receiving(self) -> bool:
        return self.running is not None and not self.is_failing and not self.is_finishing
