"""The retry rule: at most twice, only what may be repeated, and only before the first byte of an answer."""
import io

import pytest
from engine.recording import noise, request
from support import faults
from support.actions import Close, ReceiveBody, ReceiveHead, ReceiveRequest, Reset, Send

OK = ("NoError", faults.BODY)
LOST = "UnexpectedClose"
IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]
OTHERS = ["POST", "PATCH", "TRACE", "PURGE", "get", "Put"]


def ask(recorded, method, data=None):
    recorded.http.request(request(method), data)
    return recorded.wait()


@pytest.mark.parametrize("fault", [faults.no_answer, faults.reset_before_answer])
@pytest.mark.parametrize("method", IDEMPOTENT)
def test_request_that_may_be_repeated_is_sent_three_times_at_most(scripted_server, client, method, fault):
    server = scripted_server(beyond=fault())
    recorded = client(server)
    assert ask(recorded, method) == LOST
    assert len(server.connections) == 3
    assert server.requests == [server.requests[0]] * 3
    assert recorded.finished == [(recorded.started[0], True)]


@pytest.mark.parametrize("method", OTHERS)
def test_request_that_may_not_be_repeated_is_sent_once(scripted_server, client, method):
    server = scripted_server(beyond=faults.no_answer())
    assert ask(client(server), method, b"data") == LOST
    assert len(server.connections) == 1


@pytest.mark.parametrize("n_faults", [1, 2])
@pytest.mark.parametrize("method", IDEMPOTENT)
def test_request_repeated_gets_its_answer_silently(scripted_server, client, method, n_faults):
    body = b"" if method == "HEAD" else faults.BODY
    server = scripted_server(*[faults.no_answer()] * n_faults, [ReceiveRequest(), Send(faults.whole(body))])
    recorded = client(server)
    assert ask(recorded, method) == "NoError"
    assert recorded.http.readAll() == body
    assert len(recorded.started) == len(recorded.finished) == 1 and recorded.statuses == [200]
    again = ["Closing", "Unconnected", "Connecting", "Sending"]
    assert recorded.states == ["Connecting", "Sending", *again * n_faults, "Reading", "Connected"]


@pytest.mark.parametrize("begun", [b"H", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nA: b\r\n", b"HTTP/1.1 100 Continue\r\n\r\n",
                                   b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP"])
@pytest.mark.parametrize("end", [Close(), Reset()])
def test_answer_begun_is_never_asked_for_again(scripted_server, client, begun, end):
    server = scripted_server(beyond=[ReceiveRequest(), Send(begun), *([] if end == Close() else [pause_for_arrival]), end])
    recorded = client(server)
    assert recorded.get() == (LOST, b"")
    assert len(server.connections) == 1


def pause_for_arrival(peer):
    """RST would overtake what was sent."""
    peer.pause(faults.LET_ARRIVE_S)


def test_body_begun_is_never_asked_for_again(scripted_server, client):
    server = scripted_server(beyond=faults.cut_body())
    assert client(server).get() == ("WrongContentLength", faults.BODY[:-1])
    assert len(server.connections) == 1


@pytest.mark.parametrize("answer", [b"SSH-2.0-x\r\n\r\n", b"\x15\x03\x01", b"\r\n\r\n"])
def test_answer_that_is_no_http_is_never_asked_for_again(scripted_server, client, answer):
    server = scripted_server(beyond=[ReceiveRequest(), Send(answer), Close()])
    assert client(server).get()[0] == "InvalidResponseHeader"
    assert len(server.connections) == 1


def test_each_request_has_its_own_retries(scripted_server, client):
    two_faults = [faults.no_answer()] * 2
    answer_and_end = faults.answer_until_close()
    server = scripted_server(*two_faults, answer_and_end, *two_faults, answer_and_end)
    recorded = client(server)
    assert [recorded.get(), recorded.get()] == [OK, OK]
    assert len(server.connections) == 6


def test_refusal_after_a_lost_connection_is_told_as_such(scripted_server, client):
    server = scripted_server(faults.no_answer())
    recorded = client(server)
    recorded.http.stateChanged.connect(lambda state: state.name == "Closing" and server.close())
    assert recorded.get()[0] in ("ConnectionRefused", LOST)


def test_abort_while_it_is_sent_again_ends_it(scripted_server, client):
    server = scripted_server(beyond=faults.no_answer())
    recorded = client(server)
    recorded.http.stateChanged.connect(lambda state: state.name == "Closing" and recorded.http.abort())
    assert recorded.get()[0] == "Aborted"
    assert len(server.connections) == 1


# -- on a kept connection
def test_kept_connection_closed_instead_of_an_answer_is_replaced_for_get(scripted_server, client):
    server = scripted_server([*faults.answer(b"one"), ReceiveRequest(), Close()], faults.answer(b"two"))
    recorded = client(server)
    assert [recorded.get(), recorded.get()] == [("NoError", b"one"), ("NoError", b"two")]
    assert [len(taken) for taken in server.requests] == [2, 1]


def test_kept_connection_closed_instead_of_an_answer_is_an_error_for_post(scripted_server, client):
    server = scripted_server([*faults.answer(b"one"), ReceiveRequest(), Close()], faults.answer(b"two"))
    recorded = client(server)
    recorded.get()
    recorded.http.post("/", b"data")
    assert recorded.wait() == LOST
    assert len(server.connections) == 1


# -- bodies
@pytest.mark.parametrize("size", [10, 100_000, 1 << 20])
def test_body_of_bytes_is_sent_again_whole(scripted_server, client, size):
    data = noise(size)
    server = scripted_server([ReceiveHead(), ReceiveBody(5), Close()], faults.answer())
    recorded = client(server)
    assert ask(recorded, "PUT", data) == "NoError"
    assert server.connections[-1].taken[0].endswith(b"\r\n\r\n" + data)


def test_body_of_a_seekable_device_is_sent_again_from_its_start(scripted_server, client):
    data = noise(300_000)
    server = scripted_server([ReceiveHead(), ReceiveBody(100_000), Close()], faults.answer())
    recorded = client(server)
    assert ask(recorded, "PUT", io.BytesIO(data)) == "NoError"
    assert server.connections[-1].taken[0].endswith(b"\r\n\r\n" + data)
    whole = len(server.connections[-1].taken[0])
    assert recorded.send_progress[-1] == (whole, whole)
    assert all(done <= total == whole for done, total in recorded.send_progress)


class Stream:
    """A device that cannot seek; with or without a size."""

    def __init__(self, data, size=None):
        self.inner, self.n_reads = io.BytesIO(data), 0
        if size is not None:
            self.size = lambda: size

    def read(self, n):
        self.n_reads += 1
        return self.inner.read(n)


@pytest.mark.parametrize("size", [None, 100_000])
def test_body_of_a_device_that_cannot_seek_is_not_sent_again(scripted_server, client, size):
    server = scripted_server([ReceiveHead(), ReceiveBody(10_000), Close()], faults.answer())
    recorded = client(server)
    assert ask(recorded, "PUT", Stream(noise(100_000), size)) in ("UnknownError", LOST)
    if recorded.http.error().name == "UnknownError":
        assert "cannot seek" in recorded.http.errorString()
    assert all(len(taken) < 2 for taken in server.requests[1:])
    assert not any(data.count(b"\r\n\r\n") and len(data) > 200 for taken in server.requests[1:] for data in taken)
