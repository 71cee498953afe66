"""The comparison with a recording finds what differs, and lets pass what may differ."""
import copy
import hashlib

import pytest

from conformance.comparison import is_right_digest, unequal
from conformance.play import Run
from conformance.scenarios import NOT_YET, cases, missing_feature
from conformance.soundness import unsound

DIGEST = ('GET /s HTTP/1.1\r\nAuthorization: Digest username="joe", realm="r", nonce="n", uri="/s", response="{}", '
          'qop=auth, nc=00000001, cnonce="0a4f113b0a4f113b0a4f113b0a4f113b"\r\n\r\n')
BODY_IN_TWO = [["dataReadProgress", 2, 4], ["readyRead", 200], ["dataReadProgress", 4, 4], ["readyRead", 200]]


def case_with(trace, *answers):
    script = [{"recv": "request"}, *({"send": text} for text in answers)]
    return {"name": "made-up", "verdict": "copy", "scenario": {"objects": {"http": ["default"]}, "steps": []},
            "server_script": {"A": [script]}, "trace": trace}


def run_with(trace, **fields):
    values = {"notes": [], "problems": [], "final": {"devices": {}}, "bodies": {}, "calls": {}, "deleted": False,
              "ports": {"A": 40001}, "requests": {}, "exchanges": [], "n_unscripted": 0, "silent_server": False}
    return Run(trace=trace, **(values | fields))


def test_unequal_same_trace_has_no_fault():
    assert unequal(case_with(BODY_IN_TWO, "x"), run_with(copy.deepcopy(BODY_IN_TWO))) == []


def test_unequal_answer_in_one_send_fewer_progress_steps_pass():
    assert unequal(case_with(BODY_IN_TWO, "x"), run_with(BODY_IN_TWO[2:])) == []


def test_unequal_answer_in_two_sends_fewer_progress_steps_fail():
    assert unequal(case_with(BODY_IN_TWO, "x", "y"), run_with(BODY_IN_TWO[2:]))


def test_unequal_more_progress_steps_fail():
    assert unequal(case_with(BODY_IN_TWO[2:], "x"), run_with(BODY_IN_TWO))


@pytest.mark.parametrize("fields", [
    {"problems": ["get raised ValueError: x"]}, {"n_unscripted": 1}, {"requests": {"A": [["GET / HTTP/1.1\r\n\r\n"]]}},
])
def test_unequal_same_trace_with_another_fault_fails(fields):
    assert unequal(case_with([], "x"), run_with([], **fields))


def test_unequal_recording_that_never_finishes_may_hang():
    assert unequal(case_with([], "x"), run_with([], problems=["hang: 0 of 1 done() within 4000 ms"])) == []


def test_unequal_marks_of_broken_connections_are_left_out():
    recorded = case_with([], "x") | {"expected_requests": {"A": [["GET", "@ConnectionResetError"]]}}
    assert unequal(recorded, run_with([], requests={"A": [["GET"]]})) == []


@pytest.mark.parametrize("response, right", [("41f5a2f5f8aac7dfe9f6bd9f4f8f2b3a", False), (None, True)])
def test_is_right_digest_computed_with_the_password(response, right):
    secret, target = (hashlib.md5(text).hexdigest() for text in (b"joe:r:secret", b"GET:/s"))
    text = f"{secret}:n:00000001:0a4f113b0a4f113b0a4f113b0a4f113b:auth:{target}"
    answer = response or hashlib.md5(text.encode()).hexdigest()
    assert is_right_digest(DIGEST.format(answer), {"scenario": {"steps": [["setUser", "joe", "secret"]]}}) is right


def test_unsound_started_and_never_finished_is_a_breach():
    run = run_with([["requestStarted", 1]], calls={1: ("get", ["/"], {})})
    assert unsound(case_with([], "x"), run) == ["request 1 never finished"]


def test_unsound_request_finished_twice_is_a_breach():
    run = run_with([["requestStarted", 1], ["requestFinished", 1, True], ["requestFinished", 1, True]])
    assert unsound(case_with([], "x"), run) == ["request 1 finished twice"]


def test_unsound_success_without_an_answer_is_a_breach():
    run = run_with([["requestStarted", 1], ["requestFinished", 1, False]], calls={1: ("get", ["/"], {})})
    assert unsound(case_with([], "x"), run) == ["request 1: success, but its answer was damaged"]


def test_missing_feature_found_by_looking_at_the_scenario():
    missing = {missing_feature(case) for case in cases().values()}
    assert missing == NOT_YET | {None}
