"""The recorded scenarios, what each of them needs, and which can be played yet.

A case has a name, a group, a verdict and a scenario; server_script where servers take part; and for `copy` the
expected_requests, the trace and the final values. `do_not_copy` has the reasons why in verdict_reason.

A scenario: objects (how each QHttp is made), devices, sockets, closed_ports, steps (calls, in order) and `on` (calls to
be made inside a signal; `args` is a beginning that its arguments must have, `nth` the one emission that counts).
`{A}`, `{B}` stand for the ports of the servers A and B.

    ["wait", {...}]     until done() was seen `done` times and nothing happened for `settle` ms, at most `timeout` ms
    ["loop", ms]        turns the loop
    ["later", ms, [calls]]
    any other           a call of the object of that name

server_script[S][i] are the actions of the i-th connection accepted by server S: recv ("request", "header", a number of
bytes, "anything", "for" ms), send (Latin-1 text), sleep (ms), tls, close ("fin" or "rst"). Then it is held open.
"""
import functools
import json
import pathlib
import re

from support.case_files import load_cases

DATA = pathlib.Path(__file__).parent / "data" / "traces.json"

# The features that qhttp does not have yet: take one away here, and its scenarios are played.
NOT_YET = frozenset()


@functools.cache
def cases() -> dict:
    """All cases by name."""
    return {case["name"]: case for case in load_cases(DATA)}


def missing_feature(case) -> str | None:
    """The first feature that this case needs and qhttp does not have yet."""
    return next((name for name, needed in FEATURES.items() if name in NOT_YET and needed(case)), None)


def calls(case):
    """All calls of a case, those of handlers and timers too, as (verb, arguments)."""
    todo = [*case["scenario"]["steps"]]
    for handler in case["scenario"].get("on", []):
        todo += handler["do"]
    while todo:
        verb, *arguments = todo.pop(0)
        if verb == "later":
            todo += arguments[1]
        yield verb, arguments


def server_actions(case):
    return [action for scripts in case.get("server_script", {}).values() for script in scripts for action in script]


def verbs(case) -> set:
    return {verb.rpartition(".")[2] if verb != "auth.set" else verb for verb, _ in calls(case)}


def needs_https(case) -> bool:
    modes = [how[2] for how in case["scenario"]["objects"].values() if how[0] == "mode"]
    modes += [arguments[-1].get("mode") for _, arguments in calls(case) if arguments and isinstance(arguments[-1], dict)]
    return "https" in modes or any("tls" in action for action in server_actions(case))


def needs_proxy(case) -> bool:
    return "setProxy" in verbs(case) or "application_proxy" in case["scenario"]


def needs_authentication(case) -> bool:
    challenges = [action for action in server_actions(case) if re.match(r"HTTP/\d\.\d 40[17]\b", action.get("send", ""))]
    return bool(verbs(case) & {"setUser", "auth.set"} or challenges)


def needs_socket(case) -> bool:
    return "setSocket" in verbs(case) or "sockets" in case["scenario"]


def needs_expect(case) -> bool:
    return '["Expect", ' in json.dumps(case["scenario"])


FEATURES = {"https": needs_https, "proxy": needs_proxy, "authentication": needs_authentication,
            "setSocket": needs_socket, "Expect": needs_expect}


def filled(value, ports: dict):
    """A copy with the servers' ports where the recording has {A} and {B}."""
    if isinstance(value, dict):
        return {key: filled(item, ports) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, ports) for item in value]
    if isinstance(value, str):
        if re.fullmatch(r"\{[A-Z]\}", value):
            return ports[value[1]]
        return re.sub(r"\{([A-Z])\}", lambda found: str(ports.get(found[1], found[0])), value)
    return value
