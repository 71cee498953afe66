"""Compares what was seen of a `copy` scenario with what was recorded.

* The signals with their arguments, in order, after the differences that are meant. Where every answer went out in one
  send, neighbouring dataReadProgress/readyRead pairs may be merged: fewer, never more.
* The request bytes that each server took, connection by connection. In a Digest answer the cnonce may be another one;
  the answer is then computed.
* Body, error and the contents of devices at the end. Error texts are not compared.
* No call may raise, and no wait may run out, except where the recording never finishes either.
"""
import copy
import dataclasses
import hashlib
import itertools
import json
import re

from conformance import differences
from conformance.scenarios import filled

READING = "dataReadProgress", "readyRead"
COMPUTED = re.compile(r'(response|cnonce)="[0-9a-f]{32}"')
PASSWORD = re.compile(r'\["(?:setUser|auth\.set|setProxy)", [^\]]*?"([^"]*)"\]')
TLS_HELLO = "<TLS ClientHello>"         # stands in a recording for bytes that are different each time
HANDSHAKE_RECORD = "\x16\x03"
SHOWN = 300                             # characters of a value in a sentence


@dataclasses.dataclass
class Expectation:
    trace: list
    requests: dict
    final: dict


def expected(case: dict, run) -> Expectation:
    """What the recording, with this run's ports and the differences that are meant, makes us expect."""
    recorded = copy.deepcopy([case.get("trace", []), case.get("expected_requests", {}), case.get("final", {})])
    want = Expectation(*filled(recorded, run.ports))
    differences.apply(want, case, run)
    return want


def unequal(case: dict, run) -> list[str]:
    """What differs, as sentences; empty where all is as recorded."""
    want = expected(case, run)
    as_recorded = same_trace(want.trace, run.trace, merging=answers_in_one_send(case))
    why = [problem for problem in run.problems if not (as_recorded and problem.startswith("hang"))]
    if not as_recorded:
        why.append(first_difference(want.trace, run.trace))
    if run.n_unscripted:
        why.append(f"{run.n_unscripted} connections more than recorded")
    if not same_requests(want.requests, run.requests, case):
        why.append(f"requests: {run.requests!s:.{SHOWN}} instead of {want.requests!s:.{SHOWN}}")
    for name, recorded, seen in final_values(want.final, run.final):
        if recorded != seen:
            why.append(f"{name} at the end: {seen!r:.{SHOWN}} instead of {recorded!r:.{SHOWN}}")
    return why


# -- signals

def answers_in_one_send(case: dict) -> bool:
    """No script has two sends without a receive between: then the number of reads is a matter of time."""
    scripts = [script for server in case.get("server_script", {}).values() for script in server]
    words = ["".join("s" if "send" in step else "r" if "recv" in step else "" for step in script) for script in scripts]
    return not any("ss" in word for word in words)


def same_trace(want: list, got: list, merging: bool) -> bool:
    if want == got or not merging:
        return want == got
    return last_of_rows(want) == last_of_rows(got) and is_subsequence(got, want)


def last_of_rows(trace: list) -> list:
    """The trace with each row of neighbouring reading signals cut down to the last one of each name."""
    kept = []
    for is_reading, row in itertools.groupby(trace, key=lambda event: event[0] in READING):
        row = list(row)
        if is_reading:
            last = {event[0]: n for n, event in enumerate(row)}
            row = [event for n, event in enumerate(row) if last[event[0]] == n]
        kept += row
    return kept


def is_subsequence(part: list, whole: list) -> bool:
    rest = iter(whole)
    return all(event in rest for event in part)


def first_difference(want: list, got: list) -> str:
    pairs = itertools.zip_longest(want, got, fillvalue="the end")
    n, (recorded, seen) = next((n, pair) for n, pair in enumerate(pairs) if pair[0] != pair[1])
    return f"signal {n}: {seen!s:.{SHOWN}} instead of {recorded!s:.{SHOWN}}"


def side_by_side(want: list, got: list, width: int = 60) -> str:
    """Both traces as a table; lines that differ are marked."""
    lines = [f"  {'recorded, with the differences that are meant':{width}} seen"]
    for recorded, seen in itertools.zip_longest(want, got, fillvalue=""):
        mark = " " if recorded == seen else "|"
        lines.append(f"{mark} {str(recorded)[:width]:{width}} {str(seen)[:width]}")
    return "\n".join(lines)


# -- requests

def same_requests(want: dict, got: dict, case: dict) -> bool:
    return all(same_connections(want.get(letter, []), got.get(letter, []), case) for letter in want.keys() | got.keys())


def same_connections(want: list, got: list, case: dict) -> bool:
    uses_tls = '{"tls":' in json.dumps(case.get("server_script", {}))
    want, got = ([without_marks(texts) for texts in connections] for connections in (want, got))
    if uses_tls:            # a handshake that failed may stand in a recording as a connection without a request
        want, got = ([texts for texts in connections if texts] for connections in (want, got))
    if [len(texts) for texts in want] != [len(texts) for texts in got]:
        return False
    pairs = zip(itertools.chain(*want), itertools.chain(*got), strict=True)
    return all(same_text(recorded, seen, case) for recorded, seen in pairs)


def without_marks(texts: list) -> list:
    """Leaves out how a broken connection ended: that is the operating system's matter."""
    return [text for text in texts if not re.match(r"@(\w+Error$|tls error)", text)]


def same_text(want: str, got: str, case: dict) -> bool:
    if want == got:
        return True
    if want == TLS_HELLO:
        return got.startswith(HANDSHAKE_RECORD)
    alike = COMPUTED.sub(r"\1", want) == COMPUTED.sub(r"\1", got)
    return alike and "Digest " in got and is_right_digest(got, case)


def is_right_digest(request: str, case: dict) -> bool:
    """Computes the Digest answer of a request (RFC 2617, section 3.2.2) with each password of the scenario."""
    def md5(*parts):
        return hashlib.md5(":".join(parts).encode("latin-1")).hexdigest()
    fields = re.findall(r'(\w+)=("[^"]*"|[^,\s]+)', re.search(r"Authorization: Digest (.*)", request)[1])
    answer = {name: value.strip('"') for name, value in fields}
    middle = [answer[name] for name in ("nonce", "nc", "cnonce", "qop")] if "qop" in answer else [answer["nonce"]]
    target = md5(request.partition(" ")[0], answer["uri"])
    for password in PASSWORD.findall(json.dumps(case["scenario"])):
        secret = md5(answer["username"], answer["realm"], password)
        if answer.get("algorithm", "").lower() == "md5-sess":
            secret = md5(secret, answer["nonce"], answer["cnonce"])
        if answer["response"] == md5(secret, *middle, target):
            return True
    return False


# -- the end

def final_values(want: dict, got: dict):
    """The recorded values with those seen, as (name, recorded, seen)."""
    for name in ("body", "error"):
        if name in want:
            yield name, want[name], got.get(name)
    for name, contents in want.get("devices", {}).items():
        yield f"device {name}", contents, got["devices"].get(name)
