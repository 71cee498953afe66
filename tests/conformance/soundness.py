"""Judges a `do_not_copy` scenario: whatever the signals, the behaviour has to be sound.

* No crash, no hang. A request that was started is finished exactly once, or dropped with done(True). Only a request
  whose server still owes bytes may wait.
* An answer that was damaged (cut or malformed head, no answer, short body, bad chunk ...) ends with an error.
* Success means exactly the body that the framing gives; failure means a beginning of it.
"""
import re

from conformance.framing import DAMAGED, OPEN, WHOLE, framed

WITH_ANSWER = "get", "head", "post", "request"
PLAIN_PATH = re.compile(r"[!-~]+")          # one that may be sent as it stands; others may be refused
LINE_BREAK = re.compile(r"[\r\n]")
TURNING = re.compile("(wait|loop|nestedLoop|processEvents|delete) raised")
SHOWN = 60


def unsound(case: dict, run) -> list[str]:
    """Breaches of the rules, as sentences."""
    finished, waiting, why = ends_of_requests(run)
    patient = False
    for number in finished:
        why += faults_of_finished(number, finished[number], run)
    for number in waiting:
        if owes_bytes(number, run):
            patient = True
        else:
            why.append(f"request {number} never finished")
    return why + [p for p in run.problems if TURNING.match(p) or (p.startswith("hang") and not patient)]


def ends_of_requests(run):
    """({id: failed} of requests that finished, ids of those that still wait, breaches seen on the way)."""
    trace = [event for event in run.trace if ":" not in event[0]]
    finished, waiting, why = {}, [], []
    for n, (name, *arguments) in enumerate(trace):
        later = trace[n + 1:]
        if name == "requestStarted":
            number = arguments[0]
            if [name, number] in later:
                why.append(f"request {number} started twice")
            ended = any(event[:2] == ["requestFinished", number] for event in later) or ["done", True] in later
            if not ended and not run.deleted:
                waiting.append(number)
        elif name == "requestFinished":
            number, failed = arguments
            if number in finished:
                why.append(f"request {number} finished twice")
            finished[number] = failed
    return finished, waiting, why


def request_line(number: int, run) -> tuple[str, str]:
    """The method and the path with which a request was queued."""
    verb, arguments, _ = run.calls[number]
    if verb != "request":
        return verb.upper(), str([*arguments, ""][0]) or "/"
    header = arguments[0]
    words = header.get("parse", " ").split(" ")
    return header.get("method", words[0]), header.get("path", words[1])


def answer_to(number: int, run):
    """The last exchange with this request's method and path, or None."""
    method, path = request_line(number, run)
    for exchange in reversed(run.exchanges):
        line = exchange.line.rpartition(" ")[0]
        if line.partition(" ")[0] == method and line.endswith(path):
            return exchange
    return None


def framing_of(number: int, run):
    answer = answer_to(number, run)
    return framed(request_line(number, run)[0], answer.sent, answer.ended) if answer else (b"", DAMAGED)


def owes_bytes(number: int, run) -> bool:
    """Only then a request may wait: its server has taken all of it and has not answered in full."""
    if number not in run.calls or not (answer := answer_to(number, run)):
        return run.silent_server
    return framing_of(number, run)[1] is OPEN and not answer.n_unread


def faults_of_finished(number: int, failed: bool, run) -> list[str]:
    verb, _, _ = run.calls.get(number, ("", [], {}))
    if verb not in WITH_ANSWER:
        return []
    path = request_line(number, run)[1]
    body, state = framing_of(number, run)
    seen = run.bodies.get(number, b"")
    if LINE_BREAK.search(path) and not failed:
        return [f"request {number}: a line break was sent inside the path"]
    if not PLAIN_PATH.fullmatch(path):
        return []
    if not failed and state is not WHOLE:
        return [f"request {number}: success, but its answer was {state.value}"]
    if not (body.startswith(seen) if failed else body == seen):
        return [f"request {number}: the body is {seen[:SHOWN]!r}, the framing says {body[:SHOWN]!r}"]
    return []
