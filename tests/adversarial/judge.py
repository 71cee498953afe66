"""Holds what was seen against a case. A case agrees only if nothing at all is wrong."""
import enum
import hashlib
from dataclasses import dataclass

from adversarial.contract import Reply
from adversarial.peers import PROBE_PATH, path_of

SHOWN = 32                      # bytes of a body in a sentence
FORBIDDEN_BYTES = {b"\r": "bare CR", b"\n": "bare LF", b"\0": "NUL"}


class Kind(enum.Enum):
    """What sort of fault it is."""
    UNSAFE = "unsafe"           # poisoned, leaked or injected
    WRONG = "wrong"             # accepted what it must not, or delivered something else
    REFUSED = "refused"         # an error where there should be none, or one of another class
    MEASURED = "measured"       # too slow, too large


# These may be the fault of a busy machine: whoever has the time plays such a case again, alone.
MAY_BE_LOAD = {Kind.REFUSED, Kind.MEASURED}


@dataclass(frozen=True)
class Fault:
    kind: Kind
    text: str

    def __str__(self):
        return f"{self.kind.value}: {self.text}"


def judge(case: dict, seen) -> list[Fault]:
    """All that is wrong with one Observation."""
    reply = seen.replies[0] if seen.replies else Reply(error="no reply")
    faults = [*wire_faults(case, seen), *measured_faults(case, seen)]
    if seen.raised:
        faults.append(Fault(Kind.WRONG, f"the client raised: {seen.raised}"))
    if not seen.hang and not seen.raised:
        faults += [*reply_faults(case, reply), *beside_faults(case, reply), *probe_faults(case, seen)]
    return faults


def judge_all(case: dict, observations: list) -> list[str]:
    """All that is wrong, as sentences; where sends were cut short, with the byte of the cut."""
    return [f"cut at {seen.cut}: {fault}" if seen.cut is not None else str(fault)
            for seen in observations for fault in judge(case, seen)]


def may_be_load(case: dict, observations: list) -> bool:
    """True where there are faults, and each of them may be due to a busy machine."""
    kinds = {fault.kind for seen in observations for fault in judge(case, seen)}
    return bool(kinds) and kinds <= MAY_BE_LOAD


def wanted(rule) -> list:
    """A field of a case that holds one value or a list of values."""
    return rule if isinstance(rule, list) else [rule]


# -- the reply

def reply_faults(case: dict, reply):
    if reply.error:
        if case["expect"] == "ok":
            yield Fault(Kind.REFUSED, f"refused: {reply.error} ({reply.error_class})")
        if case.get("error_class") and reply.error_class not in wanted(case["error_class"]):
            yield Fault(Kind.REFUSED, f"error class {reply.error_class}, not {case['error_class']}: {reply.error}")
        return
    if case["expect"] == "error":
        if not case["wire"].get("safe"):
            yield Fault(Kind.WRONG, f"accepted: {reply.status}, {reply.body.length} bytes {reply.body.first[:SHOWN]!r}")
    else:
        if "status" in case and reply.status not in wanted(case["status"]):
            yield Fault(Kind.WRONG, f"status {reply.status}, not {case['status']}")
        bodies = case.get("bodies", [case["body"]] if "body" in case else None)
        if reply.is_kept and bodies is not None and not any(is_body(reply.body, body) for body in bodies):
            yield Fault(Kind.WRONG, f"body of {reply.body.length} bytes {reply.body.first[:SHOWN]!r}")
    for name, rule in case["headers"].items():
        yield from header_faults(name, rule, [value for key, value in reply.headers if key.lower() == name.lower()])


def is_body(body, recorded) -> bool:
    if isinstance(recorded, dict):
        return (body.length, body.sha256) == (recorded["length"], recorded["sha256"])
    data = recorded.encode("latin-1")
    return (body.length, body.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def header_faults(name: str, rule: dict, values: list):
    if "values" in rule:
        plain = [" ".join(value.split()) for value in values]
        if plain != rule["values"] and ", ".join(values) != ", ".join(rule["values"]):
            yield Fault(Kind.WRONG, f"header {name} is {values!r}")
    if any(byte in value for value in values for byte in rule.get("without", [])):
        yield Fault(Kind.WRONG, f"header {name} keeps a forbidden byte: {values!r}")
    if rule.get("absent") and values:
        yield Fault(Kind.WRONG, f"header {name} should not be there: {values!r}")


# -- the other requests

def is_probe(head: bytes) -> bool:
    return path_of(head).startswith(PROBE_PATH)


def is_poisoned(path: str, reply) -> bool:
    """Whether a request beside got an answer that is not its own."""
    return reply.error is None and reply.body.first != path[1:].encode()


def beside_faults(case: dict, reply):
    """About the requests that were on one line with that of the case."""
    may_be_dropped = reply.ends_queue
    for beside in reply.beside:
        its = beside.reply
        if not beside.is_ended:
            if its.status is not None or its.body.length:
                yield Fault(Kind.UNSAFE, f"{beside.path} was dropped, but told {its.status}, {its.body.first[:SHOWN]!r}")
            elif not may_be_dropped or not beside.is_behind:
                yield Fault(Kind.WRONG, f"{beside.path} has come to no end")
        elif is_poisoned(beside.path, its):
            yield Fault(Kind.UNSAFE, f"POISONED: the reply to {beside.path} was {its.status}, {its.body.first[:SHOWN]!r}")
        elif its.error is not None:
            may_be_dropped = may_be_dropped or its.ends_queue
            if not (beside.is_behind and case.get("behind_may_fail")):
                yield Fault(Kind.REFUSED, f"{beside.path} failed: {its.error} ({its.error_class})")


def probe_faults(case: dict, seen):
    if len(seen.replies) < 2:
        return
    probe = seen.replies[1]
    reused = any(path_of(head) == PROBE_PATH for connection in seen.connections if has_case(connection)
                 for head in connection.heads)
    if is_poisoned(PROBE_PATH, probe):
        yield Fault(Kind.UNSAFE, f"POISONED: the next reply was {probe.status}, {probe.body.first[:SHOWN]!r}")
    elif case["connection_reusable"] is False and reused:
        yield Fault(Kind.UNSAFE, "the connection was used again")
    elif probe.error is not None and not case.get("probe_may_fail"):
        yield Fault(Kind.REFUSED, f"the next request failed: {probe.error} ({probe.error_class})")


def has_case(connection) -> bool:
    """Whether the request of the case came on this connection."""
    return not all(map(is_probe, connection.heads))


# -- the bytes of the requests

def wire_faults(case: dict, seen):
    rules, heads = case["wire"], [head for connection in seen.connections for head in connection.heads]
    unsafe = sorted(set(unsafe_bytes(seen.connections))) if rules.get("safe") else []
    yield from (Fault(Kind.UNSAFE, text) for text in unsafe)
    failed = bool(seen.replies and seen.replies[0].error)
    nothing_sent = failed and all(all(map(is_probe, connection.heads)) and not connection.n_beyond_heads
                                  for connection in seen.connections)
    if rules.get("refuse") == "must" and not nothing_sent and not unsafe and not seen.hang:
        yield Fault(Kind.UNSAFE, "was not refused")
    for secret in rules.get("secret", []):
        if any(secret.encode() in connection.for_second for connection in seen.connections):
            yield Fault(Kind.UNSAFE, f"LEAK of {secret} to another origin")
    for text in rules.get("contains", []):
        if not any(text.lower().encode("latin-1") in head.lower() for head in heads):
            yield Fault(Kind.WRONG, f"no request has {text!r}")
    if rules.get("body_unsent") and any(connection.n_beyond_heads > 0 for connection in seen.connections):
        yield Fault(Kind.WRONG, "the body was sent")
    n_requests = sum(not is_probe(head) for head in heads)
    if n_requests > case.get("max_requests", n_requests):
        yield Fault(Kind.WRONG, f"{n_requests} requests")
    n_posts = sum(head.startswith(b"POST") for head in heads)
    if case.get("deliver_once") and n_posts > 1:
        yield Fault(Kind.UNSAFE, f"a request that must not be repeated was delivered {n_posts} times")


def unsafe_bytes(connections):
    """What is unsafe in the bytes that the client put on the wire."""
    for connection in connections:
        first = connection.input.partition(b"\r\n\r\n")[0].replace(b"\r\n", b"")
        yield from (f"{name} on the wire" for byte, name in FORBIDDEN_BYTES.items() if byte in first)
        if b"\r\nGET /evil" in connection.input:
            yield "a second request was smuggled"
        for head in connection.heads or [connection.input] * bool(connection.input):
            yield from unsafe_head(head)


def unsafe_head(head: bytes):
    line, *fields = head.split(b"\n")
    if any(field.strip().lower().startswith(b"x-injected") for field in fields):
        yield "a header was injected"
    if line.strip().count(b" ") != 2:
        yield "the request line does not have three words"
    elif any(byte > 126 for byte in line):
        yield "raw non-ASCII in the request line"


# -- time and memory

def measured_faults(case: dict, seen):
    if seen.hang:
        yield Fault(Kind.MEASURED, "hang")
    if seen.seconds > case["max_seconds"]:
        yield Fault(Kind.MEASURED, f"{seen.seconds:.1f} s")
    if seen.grown_mb > case["max_memory_mb"]:
        yield Fault(Kind.MEASURED, f"memory grew by {seen.grown_mb:.0f} MB")
    if seen.virtual_mb > case.get("max_virtual_mb", float("inf")):
        yield Fault(Kind.MEASURED, f"{seen.virtual_mb:.0f} MB of address space reserved")
    n_sent = sum(connection.n_sent for connection in seen.connections)
    if n_sent > case.get("max_sent_mb", float("inf")) * 2**20:
        yield Fault(Kind.MEASURED, f"took {n_sent >> 20} MB before giving up")
