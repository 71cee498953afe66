"""Expect: 100-continue: a body out of a device waits for a 100 answer, a second at most; any final answer is its end."""
import io
import time

import pytest
from engine.recording import noise, request
from support import faults
from support.actions import Close, Pause, ReceiveFor, ReceiveHead, ReceiveRequest, Reset, Send
from support.loops import turn_for

OK = ("NoError", faults.BODY)
CONTINUE = Send(b"HTTP/1.1 100 Continue\r\n\r\n")
HINTS = Send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
BODY = noise(20_000)


class Device:
    """It notes when it is asked."""

    def __init__(self, data, seeks=True):
        self.inner, self.asked = io.BytesIO(data), []
        if seeks:
            self.seek = self.inner.seek
        self.size = lambda: len(data)

    def read(self, n):
        self.asked.append(time.monotonic())
        return self.inner.read(n)


class TakeBody:
    """Takes the body as one entry."""

    def __init__(self, n=len(BODY)):
        self.n = n

    def __call__(self, peer):
        peer.take(self.n)


def post(recorded, device, method="POST", expect="100-continue"):
    recorded.http.request(request(method, "/up", Expect=expect), device)
    return recorded.wait(), bytes(recorded.http.readAll())


def test_body_waits_for_continue(scripted_server, client):
    server = scripted_server([ReceiveHead(), ReceiveFor(0.2), CONTINUE, TakeBody(), Send(faults.whole()), *faults.answer()])
    recorded, device, began = client(server), Device(BODY), time.monotonic()
    assert post(recorded, device) == OK
    assert server.requests[0][1:] == [b"", BODY]
    assert 0.19 < device.asked[0] - began < 0.9
    assert recorded.get() == OK         # on the same connection
    assert len(server.connections) == 1


def test_body_goes_out_after_a_second_without_continue(scripted_server, client):
    server = scripted_server([ReceiveHead(), TakeBody(), Send(faults.whole())])
    recorded, device, began = client(server), Device(BODY), time.monotonic()
    assert post(recorded, device) == OK
    assert 0.95 < device.asked[0] - began < 1.6


def test_other_interim_answers_do_not_let_the_body_go(scripted_server, client):
    server = scripted_server([ReceiveHead(), HINTS, ReceiveFor(0.2), CONTINUE, TakeBody(), Send(faults.whole())])
    assert post(client(server), Device(BODY)) == OK
    assert server.requests[0][1:] == [b"", BODY]


@pytest.mark.parametrize("expect, waits", [("100-Continue", True), (" 100-continue ", True), ("something", False)])
def test_expectation_is_known_by_its_name(scripted_server, client, expect, waits):
    rest = TakeBody(len(BODY) if waits else 0)
    server = scripted_server([ReceiveHead(), ReceiveFor(0.1), CONTINUE, rest, Send(faults.whole())])
    assert post(client(server), Device(BODY), expect=expect) == OK
    assert (server.requests[0][1] == b"") == waits


def test_continue_twice_body_goes_out_once(scripted_server, client):
    server = scripted_server([ReceiveHead(), CONTINUE, CONTINUE, TakeBody(), CONTINUE, Send(faults.whole()), *faults.answer()])
    recorded = client(server)
    assert post(recorded, Device(BODY)) == OK
    assert recorded.get() == OK and recorded.statuses == [200, 200]


def test_continue_after_the_timer_is_passed_over(scripted_server, client):
    server = scripted_server([ReceiveHead(), TakeBody(), CONTINUE, Send(faults.whole()), *faults.answer()])
    recorded = client(server)
    assert post(recorded, Device(BODY)) == OK
    assert recorded.get() == OK


@pytest.mark.parametrize("status", [b"417 Expectation Failed", b"413 Too Large", b"302 Found", b"200 OK"])
def test_final_answer_is_the_end_and_no_body_goes_out(scripted_server, client, status):
    server = scripted_server([ReceiveHead(), Send(faults.whole(status=b"HTTP/1.1 " + status + b"\r\n")), ReceiveFor(1.3)],
                             faults.answer())
    recorded, device = client(server), Device(BODY)
    assert post(recorded, device) == OK
    turn_for(1.2)                       # no timer is left
    assert device.asked == [] and recorded.states[-2:] == ["Closing", "Unconnected"]
    assert recorded.get() == OK
    assert server.requests[0][1:] in ([], [b""]) and server.connections[0].rest == b""


def test_final_answer_that_comes_slowly_is_the_end_and_no_body_goes_out(scripted_server, client):
    """Its head is here in time, its body is not."""
    slow = Send(faults.whole(), (len(faults.whole()) - 5,), 1.3)
    server = scripted_server([ReceiveHead(), slow])
    recorded, device = client(server), Device(BODY)
    assert post(recorded, device) == OK
    assert device.asked == []


@pytest.mark.parametrize("end", [Close(), Reset()], ids=repr)
def test_end_before_continue_post_is_an_unexpected_close(scripted_server, client, end):
    device = Device(BODY)
    recorded = client(scripted_server([ReceiveHead(), end]))
    assert post(recorded, device)[0] == "UnexpectedClose"
    turn_for(1.1)
    assert device.asked == []


@pytest.mark.parametrize("seeks", [True, False])
def test_end_before_continue_put_is_tried_again_and_waits_its_full_time(scripted_server, client, seeks):
    """Nothing of the body was sent, so that even a device that cannot seek may be asked."""
    again = [ReceiveHead(), TakeBody(), Send(faults.whole())]
    server = scripted_server([ReceiveHead(), Pause(0.6), Close()], again)
    device, began = Device(BODY, seeks), time.monotonic()
    assert post(client(server), device, "PUT") == OK
    assert 1.55 < device.asked[0] - began < 2.4
    assert server.requests[1][1] == BODY


@pytest.mark.parametrize("seeks", [True, False])
def test_challenge_instead_of_continue_body_goes_out_once_with_credentials(scripted_server, client, seeks):
    challenge = faults.whole(b"no", b'WWW-Authenticate: Basic realm="r"', status=b"HTTP/1.1 401 No\r\n")
    server = scripted_server([ReceiveHead(), Send(challenge), ReceiveFor(0.1)],
                             [ReceiveHead(), ReceiveFor(0.1), CONTINUE, TakeBody(), Send(faults.whole())])
    recorded, device = client(server), Device(BODY, seeks)
    recorded.http.setUser("me", "secret")
    assert post(recorded, device) == OK
    assert b"\r\nAuthorization: Basic " in server.requests[1][0]
    assert server.requests[1][1:] == [b"", BODY] and server.connections[0].rest == b""


def test_abort_while_waiting_ends_the_wait(scripted_server, client):
    server, device = scripted_server([ReceiveHead(), Pause(30)]), Device(BODY)
    recorded = client(server)
    recorded.http.request(request("POST", "/up", Expect="100-continue"), device)
    turn_for(0.1)
    recorded.http.abort()
    turn_for(1.1)
    assert device.asked == [] and recorded.http.error().name == "Aborted"


def test_real_file_waits_too(scripted_server, client, tmp_path):
    (tmp_path / "file").write_bytes(BODY)
    server = scripted_server([ReceiveHead(), ReceiveFor(0.2), CONTINUE, TakeBody(), Send(faults.whole())])
    with open(tmp_path / "file", "rb") as file:
        assert post(client(server), file) == OK
    assert server.requests[0][1:] == [b"", BODY]


def test_body_of_bytes_goes_out_at_once(scripted_server, client):
    server = scripted_server([ReceiveRequest(), CONTINUE, Send(faults.whole())])
    began = time.monotonic()
    assert post(client(server), BODY) == OK
    assert time.monotonic() - began < 0.9


@pytest.mark.parametrize("answered", [faults.whole(), b"HTTP/1.1 103 Early Hints\r\n\r\n" + faults.whole()])
@pytest.mark.parametrize("act, error", [("abort", "Aborted"), ("close", "NoError"), ("raise", "UnknownError")])
def test_device_that_ends_its_request_no_answer_behind_continue_is_read(scripted_server, client, answered, act, error):
    """All of it comes at once: the device is asked between two heads."""
    server = scripted_server([ReceiveHead(), Send(CONTINUE.data + answered)])
    recorded, device = client(server), Device(BODY)

    def read(n):
        if act == "raise":
            raise OSError("no more")
        getattr(recorded.http, act)()
        return BODY[:n]

    device.read = read
    told, body = post(recorded, device)
    turn_for(0.02)
    assert told == error
    assert recorded.states[-1] == "Unconnected"
    if error != "NoError":
        assert body == b"" and "Reading" not in recorded.states


def test_device_interrupted_after_the_wait_for_continue_request_ends(scripted_server, client):
    recorded, device = client(scripted_server([ReceiveHead(), Pause(5)])), Device(BODY)

    def read(n):
        raise KeyboardInterrupt

    device.read = read
    recorded.http.request(request("POST", "/up", Expect="100-continue"), device)
    with pytest.raises(KeyboardInterrupt):
        recorded.http.waitForDone(5000)
    assert recorded.http.waitForDone(5000) and recorded.http.error().name == "UnknownError"
