"""The settings of a QHttp: what they take, what they refuse, and that a refused call changes nothing."""
import pytest
from support.actions import Pause, ReceiveRequest, Send
from support.faults import head, whole

import qhttp
from qhttp import QHttp

AMOUNTS = ["setConnectTimeout", "setTransferTimeout", "setTotalTimeout", "setMinimumRate", "setReadBufferSize"]


@pytest.mark.parametrize("setting", AMOUNTS)
@pytest.mark.parametrize("value", [None, "5", 5.0, True, False, b"5", [], object()], ids=repr)
def test_setting_of_wrong_type_refused_by_name(make, setting, value):
    with pytest.raises(TypeError, match=r"msecs|bytes_per_second|size"):
        getattr(make(), setting)(value)


@pytest.mark.parametrize("setting", AMOUNTS)
@pytest.mark.parametrize("value", [-1, -2**63, 2**53, 2**64, 10**30])
def test_setting_out_of_range_refused_by_name(make, setting, value):
    with pytest.raises(ValueError, match=r"msecs|bytes_per_second|size"):
        getattr(make(), setting)(value)


@pytest.mark.parametrize("setting", AMOUNTS)
@pytest.mark.parametrize("value", [0, 1, 2**31, 2**53 - 1])
def test_setting_in_range_taken(make, setting, value):
    assert getattr(make(), setting)(value) is None


def test_minimumrate_refused_second_argument_changes_nothing(make, scripted_server, finish):
    http = make(scripted_server([ReceiveRequest(), Pause(0.1), Send(whole())]))
    http.setMinimumRate(1, 20)
    for over_ms in (-1, "x", True, None):
        with pytest.raises((TypeError, ValueError), match="over_ms"):
            http.setMinimumRate(0, over_ms)
    http.get("/")
    finish(http)
    assert http.error() == QHttp.UnknownError       # the old one still holds


def test_minimumrate_over_no_time_never_ends_or_blocks_a_request(make, scripted_server, finish):
    http = make(scripted_server([ReceiveRequest(), Pause(0.02), Send(whole())]))
    http.setMinimumRate(10**6, 0)
    http.get("/")
    finish(http)
    assert http.error() == QHttp.NoError


@pytest.mark.parametrize("limits", [None, 5, {}, qhttp.Limits])
def test_setlimits_of_wrong_type_refused_by_name(make, limits):
    with pytest.raises(TypeError, match="limits"):
        make().setLimits(limits)


@pytest.mark.parametrize("limits, answer", [
    ({"head_len": 100}, whole(b"x", b"X: " + b"y" * 100)), ({"line_len": 50}, whole(b"x", b"X: " + b"y" * 60)),
    ({"n_fields": 3}, whole(b"x", b"A: 1", b"B: 2", b"C: 3"))])
def test_setlimits_head_above_them_invalid_header_that_says_so(make, scripted_server, finish, limits, answer):
    server = scripted_server([ReceiveRequest(), Send(answer)], [ReceiveRequest(), Send(answer)])
    http = make(server)
    http.setLimits(qhttp.Limits(**limits))
    http.get("/")
    finish(http)
    assert http.error() == QHttp.InvalidResponseHeader and "Limits" in http.errorString()
    http.setLimits(qhttp.Limits())
    http.get("/")
    finish(http)
    assert http.error() == QHttp.NoError


@pytest.mark.parametrize("limits, body", [
    ({"chunk_len": 3}, b"4\r\nabcd\r\n0\r\n\r\n"), ({"extension_len": 5}, b"1;a=bcdef\r\nx\r\n0\r\n\r\n"),
    ({"trailer_len": 10}, b"0\r\nX: 1234567890\r\n\r\n")])
def test_setlimits_chunked_body_above_them_wrong_length(make, scripted_server, finish, limits, body):
    http = make(scripted_server([ReceiveRequest(), Send(head(b"Transfer-Encoding: chunked") + body)]))
    http.setLimits(qhttp.Limits(**limits))
    http.get("/")
    finish(http)
    assert http.error() == QHttp.WrongContentLength


def test_settings_of_one_object_do_not_reach_another(make, scripted_server, finish):
    first = make(scripted_server([ReceiveRequest(), Pause(0.05), Send(whole())]))
    second = make(scripted_server([ReceiveRequest(), Pause(0.05), Send(whole())]))
    first.setTotalTimeout(10)
    first.setLimits(qhttp.Limits(head_len=10))
    first.get("/")
    second.get("/")
    finish(first)
    finish(second)
    assert (first.error(), second.error()) == (QHttp.UnknownError, QHttp.NoError)
