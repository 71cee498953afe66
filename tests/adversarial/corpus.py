"""The cases: what a server does, and what a client must make of it.

    id, category, rfc, note     which case this is, and why
    method, request             what is asked: target, headers, body, user, expect100, held (bytes of a resume)
    server, server_b, routes    steps of the server, of a second origin, of single paths (see peers.py)
    start                       when the steps begin: at "connect", after the "head", after the whole "request"
    splits                      how each send is cut: "all-at-once", "byte-by-byte", or a list of offsets
    truncate_each               the sends are cut short at every byte in turn (from cut_from to cut_to), then this end
    expect                      "ok", "error" or "any"; `prefer` is what qhttp should do where "any" (see preferences.py)
    needs                       what an asker must be able to do (see ways.py)
    status, body, bodies        what an accepted answer must have; a large body as its length and SHA-256
    headers                     by name: values, without (forbidden bytes), absent
    error_class                 the name or names of QHttp.Error that an error may have
    connection_reusable         true, false or "any"; unless "any" a second request follows. `probe`: it follows anyway
    probe_delay_ms, probe_request, probe_may_fail, deliver_once, max_requests
    wire                        safe, refuse, secret, contains, body_unsent: about the bytes of the requests
    idle_timeout, deadline      seconds; settings of the client
    max_seconds, max_memory_mb, max_virtual_mb, max_sent_mb
"""
import functools
import pathlib

from support.case_files import load_cases

from adversarial.modes import seed_of

DATA = pathlib.Path(__file__).parent / "data" / "corpus.json"
DEFAULTS = {"method": "GET", "request": {}, "start": "request", "splits": "all-at-once", "connection_reusable": "any",
            "wire": {}, "idle_timeout": 1.0, "deadline": 1.5, "max_seconds": 2, "max_memory_mb": 48,
            "probe_delay_ms": 10, "redirects": 0, "decode": False, "routes": {}, "headers": {}}
HEAVY_BYTES = 1 << 20       # a case that moves more is played alone, so that its time and memory are its own
N_PARTS = 8                 # of the places at which a case is cut short
WAITING_STEPS = {"hold_ms", "sleep_ms", "drain_ms", "drip"}


@functools.cache
def cases(path: pathlib.Path = DATA) -> dict:
    """All cases by id, with the defaults filled in."""
    return {case["id"]: DEFAULTS | case for case in load_cases(path)}


def has_probe(case) -> bool:
    """A second request follows on the same client."""
    return case["connection_reusable"] != "any" or case.get("probe", False)


def n_bytes(case) -> int:
    """About how many bytes a case moves, if the client takes all."""
    body = case["request"].get("body")
    total = len(body["repeat"]) * body["times"] if isinstance(body, dict) else len(body or "")
    for step in case["server"]:
        template = step.get("send") or step.get("repeat") or step.get("numbered") or step.get("b64") or ""
        total += len(template) * step.get("times", 1)
    return total


def is_heavy(case) -> bool:
    return n_bytes(case) > HEAVY_BYTES


def waits(case) -> bool:
    """Whether a case takes longer than it computes: its server pauses, or its client has to run into a limit of time."""
    return (any(WAITING_STEPS & step.keys() for step in case["server"])
            or any(case[limit] != DEFAULTS[limit] for limit in ("deadline", "idle_timeout")))


def request_body(case) -> bytes | None:
    body = case["request"].get("body")
    if isinstance(body, dict):
        return body["repeat"].encode("latin-1") * body["times"]
    return None if body is None else body.encode("latin-1")


def cuts_of(case, mode: str) -> list:
    """The places at which the server's bytes are cut short, one after the other; [None] for a case that is not. Where they are
    cut at random as well, those of one seed are a part of the places, and those of a few seeds all."""
    if "truncate_each" not in case:
        return [None]
    size = sum(len(step["send"].encode("latin-1")) for step in case["server"])
    places = list(range(case.get("cut_from", 0), case.get("cut_to", size)))
    return places[seed_of(mode) % N_PARTS::N_PARTS] if seed_of(mode) is not None else places
