"""Makes the calls of one scenario in this process, turns the loop, and notes every signal that comes."""
import gc
import socket
import time

import qhttp
from conformance.calls import QUEUEING, bound, exported, make_http, make_proxy
from conformance.devices import make_device
from conformance.notation import ERRORS, SIGNALS, event, named, told

LONGEST_WAIT_MS = 4000          # of a wait whose own limit is an ordinary one
ORDINARY_WAIT_MS = 6000         # a recorded limit above this one is meant: a name lookup that fails may take its time
SETTLE_MS = 250                 # nothing happens any more when nothing has happened for so long
TURN_MS = 5
IDLE_S = 0.0005                 # where the loop comes back early, because it has nothing to do


def turn(seconds: float) -> None:
    """Turns this thread's loop for so long."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        qhttp.loop().run(max(1, round(left * 1000)))
        if time.monotonic() < end:
            time.sleep(IDLE_S)


class Player:
    """Plays a scenario in which {A}, {B} have been filled in.

    `reads_along`: what a request leaves unread is read when it finishes, since the next one would throw it away.
    """

    def __init__(self, scenario: dict, reads_along: bool):
        self.scenario, self.reads_along = scenario, reads_along
        self.trace, self.notes, self.problems = [], [], []
        self.calls, self.destinations = {}, {}          # by request id: (verb, arguments, keywords), name of a device
        self.bodies, self.all_read = {}, b""            # what was read while a request was current, and in all
        self.authenticator = None                       # that of the signal being handled
        self.n_done, self.current, self.depth = 0, 0, 0
        self.last_event = time.monotonic()
        self.timers, self.n_matched = [], {}
        self.devices = {name: make_device(how) for name, how in scenario.get("devices", {}).items()}
        self.sockets = {name: socket.socket() for name in scenario.get("sockets", {})}
        if "application_proxy" in scenario:
            exported("QNetworkProxy").setApplicationProxy(make_proxy(**scenario["application_proxy"]))
        self.objects = {name: self._watched(name, make_http(*how)) for name, how in scenario["objects"].items()}

    def play(self) -> dict:
        """Makes all calls; returns the final values."""
        self.do(self.scenario["steps"])
        final = {}
        if http := self.objects["http"]:
            self.keep(http.readAll())
            final = {"error": named(ERRORS, http.error()), "errorString": http.errorString(), "body": told(self.all_read)}
        contents = {name: b"<closed>" if device.closed else device.getvalue() for name, device in self.devices.items()}
        self.bodies |= {number: contents[name] for number, name in self.destinations.items()}
        return final | {"devices": {name: told(data) for name, data in contents.items()}}

    # -- calls

    def do(self, calls: list) -> None:
        for verb, *arguments in calls:
            self._call(verb, arguments)

    def _call(self, verb: str, arguments: list) -> None:
        is_header = verb == "request" and len(arguments) == 1
        keywords = arguments.pop() if arguments and isinstance(arguments[-1], dict) and not is_header else {}
        owner, dot, method = verb.partition(".")
        owner, method = (owner, method) if dot and owner in self.objects else ("http", verb)
        note = self._note("")
        try:
            result = bound(self, owner, method)(*arguments, **keywords)
            if method in QUEUEING:
                self.calls[result] = method, arguments, keywords
                if "to" in keywords:
                    self.destinations[result] = keywords["to"]
        except Exception as why:
            result = f"raised {type(why).__name__}: {why}"
            self.problems.append(f"{verb} {result}")
        self.notes[note] += f"@{verb}{tuple(arguments)} {keywords or ''} -> {result!r}"

    def keep(self, data) -> bytes:
        """Remembers what was read."""
        data = bytes(data)
        self.all_read += data
        self.bodies[self.current] = self.bodies.get(self.current, b"") + data
        return data

    def delete(self) -> None:
        """Drops the object; one that would live on while it has work to do is told to go."""
        self.objects["http"].deleteLater()
        self.objects["http"] = None
        gc.collect()

    # -- time

    def later(self, ms: int, calls: list) -> None:
        self.timers.append((time.monotonic() + ms / 1000, calls))

    def spend(self, ms: float) -> None:
        """Turns the loop for so long; calls that were put off come in between."""
        end = time.monotonic() + ms / 1000
        while True:
            now = time.monotonic()
            for timer in [timer for timer in self.timers if timer[0] <= now]:
                self.timers.remove(timer)
                self.do(timer[1])
            if now >= end:
                return
            turn(min([end, *(timer[0] for timer in self.timers)]) - now)

    def wait(self, done=1, settle=SETTLE_MS, timeout=ORDINARY_WAIT_MS) -> None:
        """Until done() was seen so often in all, and nothing happened for `settle` ms."""
        limit_ms = timeout if timeout > ORDINARY_WAIT_MS else min(timeout, LONGEST_WAIT_MS)
        began = self.last_event = time.monotonic()
        while self.n_done < done or time.monotonic() - self.last_event < settle / 1000:
            self.spend(TURN_MS)
            if time.monotonic() - began >= limit_ms / 1000:
                if self.n_done < done and self.objects["http"]:
                    self.problems.append(f"hang: {self.n_done} of {done} done() within {limit_ms} ms")
                return

    # -- signals

    def _watched(self, owner: str, http):
        for name in SIGNALS:
            getattr(http, name).connect(lambda *raw, name=name: self._emitted(owner, name, raw))
        return http

    def _emitted(self, owner: str, name: str, raw: tuple) -> None:
        entry = event(name, raw, owner)
        self.trace.append(entry)
        self._note(str(entry))
        self.last_event = time.monotonic()
        if name == "done":
            self.n_done += 1
        elif name == "requestStarted":
            self.current = raw[0]
        outer, self.authenticator = self.authenticator, raw[-1]
        for number, handler in enumerate(self.scenario.get("on", [])):
            if self._is_for(number, handler, entry):
                self.depth += 1
                self.do(handler["do"])
                self.depth -= 1
        self.authenticator = outer
        if name == "requestFinished" and self.reads_along and self.objects.get(owner):
            self.keep(self.objects[owner].readAll())

    def _is_for(self, number: int, handler: dict, entry: list) -> bool:
        beginning = [handler["signal"], *handler.get("args", [])]
        if entry[:len(beginning)] != beginning:
            return False
        self.n_matched[number] = self.n_matched.get(number, 0) + 1
        return handler.get("nth", self.n_matched[number]) == self.n_matched[number]

    def _note(self, text: str) -> int:
        self.notes.append("    " * self.depth + text)
        return len(self.notes) - 1
