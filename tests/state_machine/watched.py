"""One QHttp with its model: what was asked of it, what it has told, and whether the two agree."""
import weakref

from state_machine.model import Model
from state_machine.outcomes import LOGIN, Wanted

PLACES = ("requestStarted", "requestFinished", "done", "stateChanged", "responseHeaderReceived", "readyRead",
          "dataReadProgress", "dataSendProgress", "authenticationRequired")
WITHOUT_ANSWER = {"UnknownError", "UnexpectedClose", "ConnectionRefused", "HostNotFound"}


class Route:
    """Where requests go, as the settings that have been executed say."""

    def __init__(self, host: str | None):
        self.host = host                # "server", "closed", "empty"; None: not set
        self.is_first = host is not None
        self.proxy, self.next_proxy = None, None        # the same names
        self.has_socket = False
        self.users, self.next_user = {}, None           # host -> "good", "bad"

    def apply(self, setting: tuple) -> None:
        what, value = setting
        if what == "host":
            self.host, self.is_first, self.proxy = value, False, self.next_proxy
        elif what == "proxy":
            self.next_proxy = value
        elif what == "socket":
            self.has_socket = value is not None
        elif what == "user":
            self.next_user = value

    def narrow(self, wanted: Wanted, kind: str) -> None:
        """A request starts: what can become of it now."""
        if self.host is None:
            fail_with(wanted, "UnknownError")
            return
        if self.is_first:
            self.is_first, self.proxy = False, self.next_proxy
        if self.next_user is not None:
            self.users[self.host], self.next_user = self.next_user, None
        if kind in LOGIN and self.users.get(self.host) == "good":
            wanted.may_succeed = True
            wanted.errors.discard("AuthenticationRequiredError")
        if self.has_socket:             # one connection, once; whatever is at its other end
            wanted.also(*WITHOUT_ANSWER)
        elif self.host == "empty":
            fail_with(wanted, "HostNotFound")
        elif self.proxy == "closed" or (self.proxy is None and self.host == "closed"):
            fail_with(wanted, "ConnectionRefused")


def fail_with(wanted: Wanted, name: str) -> None:
    wanted.may_succeed, wanted.errors = False, {name, *wanted.errors & {"UnknownError"}}


class Watched:
    """`act(deed)` does something to the object by name; hooks make slots do so. It holds the object by a weak reference."""

    def __init__(self, http, host: str | None, act):
        self.ref, self.model, self.route, self.act = weakref.ref(http), Model(), Route(host), act
        self.hooks = []                 # [place, emits to wait for, deeds]
        self.settings, self.kinds, self.devices, self.broken = {}, {}, {}, set()
        self.extras = []                # (signal, slot) besides its own
        self.depth, self.n_in_finished = 0, 0           # of slots that run
        self.slot_of = None             # the request that was current when the innermost slot was called
        self.depth_set = 1              # of pipelining
        self.is_deleted = self.is_timed = self.was_left = self.is_endless = False
        self.counts = {}                # of signals, by name
        self.answers = None             # what its slot of authenticationRequired gives: a (user, password), or None
        for name in PLACES:
            getattr(http, name).connect(self.slot(name))

    def slot(self, name: str):
        see = getattr(self, f"on_{name}")

        def seen(*arguments):
            self.counts[name] = self.counts.get(name, 0) + 1
            outer, self.slot_of = self.slot_of, self.model.running
            self.depth += 1
            self.n_in_finished += name == "requestFinished"
            try:
                self.model.on_any(name)
                see(*arguments)
                self.reach(arguments[0].name if name == "stateChanged" else name)
            finally:
                self.depth -= 1
                self.n_in_finished -= name == "requestFinished"
                self.slot_of = outer
        return seen

    def settle(self) -> None:
        if not self.n_in_finished and not self.is_deleted:
            self.model.settle()

    def reach(self, place: str) -> None:
        for hook in list(self.hooks):
            if hook in self.hooks and hook[0] == place:
                hook[1] -= 1
                if hook[1] < 0:
                    self.hooks.remove(hook)
                    for deed in hook[2]:
                        self.act(self, deed)

    # -- what is told
    def on_requestStarted(self, number):
        http, model = self.ref(), self.model
        model.on_started(number)
        if http.error().name != "NoError" or http.bytesAvailable() or http.currentId() != number:
            model.fault(f"{number} started with {http!r} and {http.bytesAvailable()} bytes")
        if number in self.settings:
            self.route.apply(self.settings[number])
        elif model.wanted[number].body is not None:
            self.route.narrow(model.wanted[number], self.kinds[number])

    def on_requestFinished(self, number, error):
        http = self.ref()
        if http.currentId() != number:
            self.model.fault(f"{number} finished while {http.currentId()} was current")
        device = self.devices.get(number)
        n_available = http.bytesAvailable() if device is None else None
        self.model.on_finished(number, error, http.error().name, n_available)
        if device is not None and number not in self.broken:
            self.judge_device(number, device, error)
        if not error and self.kinds.get(number) in LOGIN:
            self.route.users[self.route.host] = "good"

    def judge_device(self, number, device, error):
        device.seek(0)
        data, body = device.read(), self.model.wanted[number].body
        if not (body.startswith(data) if error else data == body):
            self.model.fault(f"{number} finished with {error}, its device has {data!r}")

    def on_done(self, error):
        self.model.on_done(error)

    def on_stateChanged(self, state):
        self.model.on_state(int(state))
        if self.ref().state() != state:
            self.model.fault(f"{state!r} told in state {self.ref().state()!r}")

    def on_responseHeaderReceived(self, header):
        self.model.on_header(header.statusCode())

    def on_readyRead(self, header):
        self.model.on_ready()
        if self.model.running in self.devices or header.statusCode() != self.model.wanted[self.model.running].status:
            self.model.fault(f"readyRead of {self.model.running} with {header.statusCode()}")

    def on_dataReadProgress(self, n_done, n_total):
        self.model.on_read_progress(n_done, n_total)

    def on_dataSendProgress(self, n_done, n_total):
        self.model.on_send_progress(n_done, n_total)

    def on_authenticationRequired(self, _host, _port, authenticator):
        number = self.model.running
        if self.kinds.get(number) not in LOGIN:
            self.model.fault(f"asked for a user of {number}")
        elif self.answers is not None:
            authenticator.setUser(self.answers[0])
            authenticator.setPassword(self.answers[1])
            self.model.wanted[number].may_succeed = self.answers[0] == "user"

    # -- how it stands, between turns
    def faults(self) -> list:
        http, model = self.ref(), self.model
        self.settle()
        if http is not None and not self.is_deleted:
            if http.currentId() != model.current() or http.hasPendingRequests() != (len(model.queue) > 1):
                model.fault(f"current {http.currentId()}, pending {http.hasPendingRequests()}: {model}")
            if int(http.state()) != model.state:
                model.fault(f"state {http.state()!r}, last told {model.state}")
        return model.faults
