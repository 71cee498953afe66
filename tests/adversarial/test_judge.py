"""The judge finds each sort of fault, and nothing in what is right."""
import dataclasses

import pytest

from adversarial.contract import Beside, Reply
from adversarial.corpus import DEFAULTS
from adversarial.judge import judge, may_be_load
from adversarial.peers import SeenConnection
from adversarial.play import Observation

HEAD = b"GET /case HTTP/1.1\r\nHost: h"
PROBE = b"GET /probe HTTP/1.1\r\nHost: h"
EVIL = b"GET /case HTTP/1.1\r\nX: \r\n\r\nGET /evil HTTP/1.1"


def case(**fields):
    return DEFAULTS | {"id": "made-up", "expect": "ok", "status": 200, "body": "ok", "max_sent_mb": 1} | fields


def reply(body=b"ok", status=200, **fields):
    made = Reply(status, **fields)
    made.body.write(body)
    return made


def beside(path, body, is_behind=False, is_ended=True, status=200, **fields):
    return Beside(path, reply(body, status, **fields), is_behind, is_ended)


def connection(*heads, sent=b"", second=False):
    text = b"".join(head + b"\r\n\r\n" for head in heads or (HEAD,)) + sent
    return SeenConnection(text if second else b"", text, list(heads or (HEAD,)), len(text), 100)


def seen(*replies, connections=None, **fields):
    good = Observation(list(replies) or [reply()], connections or [connection()], 0.1, 1.0, 1.0, hang=False)
    return dataclasses.replace(good, **fields)


def texts(case, observation):
    return [str(fault) for fault in judge(case, observation)]


@pytest.mark.parametrize("made, observation", [
    (case(), seen()),
    (case(expect="error"), seen(Reply(error="cut", error_class="UnexpectedClose"))),
    (case(expect="any", error_class="WrongContentLength"), seen(reply())),
    (case(connection_reusable=False), seen(reply(), reply(b"probe"), connections=[connection(), connection(PROBE)])),
    (case(connection_reusable=True), seen(reply(), reply(b"probe"), connections=[connection(HEAD, PROBE)])),
    (case(expect="any", wire={"safe": True, "refuse": "must"}),
     seen(Reply(error="no", error_class="ValueError"), connections=[SeenConnection(b"", b"", [], 0, 0)])),
    (case(expect="any", wire={"refuse": "must"}), seen(Reply(error="no"), connections=[connection(PROBE)])),
    (case(), seen(reply(beside=[beside("/probe-0", b"probe-0"), beside("/probe-1", b"probe-1")]))),
    (case(behind_may_fail=True), seen(reply(beside=[beside("/probe-0", b"", is_behind=True, error="cut")]))),
    (case(expect="error"), seen(Reply(error="cut", ends_queue=True, beside=[
        beside("/probe-0", b"", is_behind=True, is_ended=False, status=None)]))),
    (case(status=404), seen(reply(b"", status=404, is_kept=False))),
])
def test_judge_right_behaviour_has_no_fault(made, observation):
    assert texts(made, observation) == []


@pytest.mark.parametrize("made, observation, text", [
    (case(), seen(reply(b"okevil")), "body of 6 bytes"),
    (case(), seen(reply(status=404)), "status 404"),
    (case(), seen(Reply(error="cut")), "refused: cut"),
    (case(expect="error"), seen(), "accepted: 200, 2 bytes"),
    (case(expect="error", error_class=["UnexpectedClose"]), seen(Reply(error="x", error_class="NoError")), "error class"),
    (case(headers={"X-Evil": {"absent": True}}), seen(reply(headers=[("x-evil", "1")])), "should not be there"),
    (case(headers={"A": {"without": ["\r"]}}), seen(reply(headers=[("A", "b\rc")])), "forbidden byte"),
    (case(headers={"A": {"values": ["b c"]}}), seen(reply(headers=[("A", "b")])), "header A is"),
    (case(connection_reusable=False), seen(reply(), reply(b"evil")), "POISONED"),
    (case(connection_reusable=False), seen(reply(), reply(b"probe"), connections=[connection(HEAD, PROBE)]), "used again"),
    (case(connection_reusable=False), seen(reply(), Reply(error="cut")), "the next request failed"),
    (case(wire={"safe": True}), seen(connections=[connection(HEAD + b"\0")]), "NUL on the wire"),
    (case(wire={"safe": True}), seen(connections=[connection(b"GET /a b HTTP/1.1")]), "three words"),
    (case(wire={"safe": True}), seen(connections=[connection(HEAD + b"\r\nX-Injected: 1")]), "injected"),
    (case(wire={"safe": True}), seen(connections=[connection(EVIL)]), "smuggled"),
    (case(wire={"refuse": "must"}), seen(), "was not refused"),
    (case(wire={"secret": ["s3cret"]}), seen(connections=[connection(), connection(sent=b"s3cret", second=True)]), "LEAK"),
    (case(wire={"contains": ["Expect: "]}), seen(), "no request has"),
    (case(wire={"body_unsent": True}), seen(connections=[connection(sent=b"x")]), "the body was sent"),
    (case(max_requests=1), seen(connections=[connection(HEAD, HEAD)]), "2 requests"),
    (case(deliver_once=True), seen(connections=[connection(b"POST / HTTP/1.1"), connection(b"POST / HTTP/1.1")]), "2 times"),
    (case(), seen(reply(beside=[beside("/probe-0", b"evil")])), "POISONED: the reply to /probe-0"),
    (case(), seen(reply(beside=[beside("/probe-0", b"", is_behind=True, error="cut")])), "/probe-0 failed"),
    (case(behind_may_fail=True), seen(reply(beside=[beside("/probe-0", b"", error="cut")])), "/probe-0 failed"),
    (case(), seen(reply(beside=[beside("/probe-0", b"", is_behind=True, is_ended=False, status=None)])), "come to no end"),
    (case(), seen(reply(beside=[beside("/probe-0", b"evil", is_behind=True, is_ended=False)])), "was dropped, but told"),
    (case(wire={"refuse": "must"}), seen(Reply(error="no"), connections=[connection(PROBE, sent=b"x")]), "was not refused"),
    (case(), seen(seconds=2.1), "2.1 s"),
    (case(), seen(grown_mb=49.0), "memory grew by 49 MB"),
    (case(max_virtual_mb=10), seen(virtual_mb=11.0), "11 MB of address space"),
    (case(), seen(connections=[dataclasses.replace(connection(), n_sent=2 << 20)]), "took 2 MB"),
    (case(), seen(hang=True), "hang"),
    (case(expect="error"), seen(Reply(error="cut"), raised="KeyError"), "the client raised"),
])
def test_judge_fault_is_found(made, observation, text):
    assert any(text in found for found in texts(made, observation))


def test_may_be_load_slow_but_right_is_played_again():
    assert may_be_load(case(), [seen(seconds=3.0)])


@pytest.mark.parametrize("observation", [seen(), seen(reply(b"evil"), seconds=3.0)])
def test_may_be_load_right_or_wrong_is_not_played_again(observation):
    assert not may_be_load(case(), [observation])
