"""Whole transfers driven by the descriptor alone: select() and dispatch(), never run()."""
import io
import select
import time

import pytest
from engine.recording import Recorded, noise
from support import faults
from support.actions import Close, ReceiveRequest, Send

import qhttp

PATIENCE_S = 10
OK = ("NoError", faults.BODY)


def dispatch_until(condition, seconds=PATIENCE_S):
    """What a foreign loop does: sleeps on the descriptor, and dispatches when it is readable."""
    end = time.monotonic() + seconds
    fd = qhttp.loop().fileno()
    while not condition():
        left = end - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            raise TimeoutError("the descriptor did not become readable")
        qhttp.loop().dispatch()


@pytest.fixture(autouse=True)
def quiet_descriptor():
    """Takes back what other tests have left on the descriptor."""
    qhttp.loop().dispatch()


def get(recorded, to=None):
    recorded.done.clear()
    recorded.http.get("/", to)
    dispatch_until(lambda: recorded.done)
    return recorded.http.error().name, recorded.http.readAll()


def test_requests_one_after_the_other_are_driven_by_the_descriptor(scripted_server, client):
    server = scripted_server(faults.answer(*[faults.BODY] * 5))
    recorded = client(server)
    assert [get(recorded) for _ in range(5)] == [OK] * 5
    assert len(server.connections) == 1


def test_name_is_looked_up_behind_the_descriptor(scripted_server, names):
    server = scripted_server(faults.answer())
    names["name.test"] = [(server.host, server.port)]
    assert get(Recorded("name.test", 80)) == OK


def test_name_in_the_cache_is_told_behind_the_descriptor(scripted_server, names):
    server = scripted_server(beyond=faults.answer())
    names["name.test"] = [(server.host, server.port)]
    assert get(Recorded("name.test", 80)) == OK
    assert get(Recorded("name.test", 80)) == OK
    assert names.asked == ["name.test"]


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_big_bodies_are_driven_by_the_descriptor(scripted_server, client, framing, tmp_path):
    body = noise(12 << 20)              # many budgets of one turn
    answer = {"length": faults.whole(body), "close": faults.head() + body,
              "chunked": faults.chunked(*[body[n:n + 70_000] for n in range(0, len(body), 70_000)])}[framing]
    server = scripted_server(beyond=[ReceiveRequest(), Send(answer), *([Close()] if framing == "close" else [])])
    recorded = client(server)
    assert get(recorded) == ("NoError", body)
    with open(tmp_path / "file", "w+b") as file:
        recorded = client(server)
        assert get(recorded, file) == ("NoError", b"")
        file.seek(0)
        assert file.read() == body


def test_uploads_are_driven_by_the_descriptor(scripted_server, client):
    server = scripted_server(faults.answer(*[faults.BODY] * 2))
    recorded, data = client(server), noise(8 << 20)
    for body in (data, io.BytesIO(data)):
        recorded.done.clear()
        recorded.http.post("/", body)
        dispatch_until(lambda: recorded.done)
        assert recorded.http.error().name == "NoError"
    assert all(taken.endswith(data) for taken in server.connections[0].taken)


def test_reader_who_goes_on_outside_of_a_turn_wakes_the_descriptor(scripted_server, client):
    body, got = noise(2 << 20), bytearray()
    recorded = client(scripted_server([ReceiveRequest(), Send(faults.whole(body))]))
    recorded.http.setReadBufferSize(50_000)
    recorded.http.get("/")
    while not recorded.done:
        dispatch_until(lambda: recorded.http.bytesAvailable() >= 50_000 or recorded.done)
        got += recorded.http.readAll()
    assert bytes(got) + recorded.http.readAll() == body


def test_limits_of_time_are_driven_by_the_descriptor(scripted_server, client):
    recorded = client(scripted_server(faults.stall()))
    recorded.http.setTransferTimeout(40)
    assert get(recorded)[0] == "UnknownError"
    assert recorded.http.errorString() == "no byte came for 40 ms"


def test_abort_from_outside_is_finished_behind_the_descriptor(scripted_server, client):
    recorded = client(scripted_server(faults.stall()))
    recorded.http.get("/")
    dispatch_until(lambda: recorded.statuses)
    recorded.http.abort()
    dispatch_until(lambda: recorded.states[-1] == "Unconnected")
    assert recorded.done == [True]


def test_slot_that_raises_does_not_stop_the_transfer(scripted_server, client):
    recorded = client(scripted_server(faults.answer()))

    def fail():
        raise ValueError("on purpose")

    recorded.http.responseHeaderReceived.connect(fail)
    recorded.http.get("/")
    with pytest.raises(ValueError, match="on purpose"):
        dispatch_until(lambda: recorded.done)
    dispatch_until(lambda: recorded.done)
    assert recorded.http.readAll() == faults.BODY


def test_idle_connection_that_ends_is_told_behind_the_descriptor(scripted_server, client):
    recorded = client(scripted_server(faults.close_after_answer()))
    assert get(recorded) == OK
    dispatch_until(lambda: recorded.http.state().name == "Unconnected")


def test_descriptor_without_work_is_quiet(scripted_server, client):
    recorded = client(scripted_server(faults.answer()))
    assert get(recorded) == OK
    for _ in range(5):
        if not select.select([qhttp.loop().fileno()], [], [], 0)[0]:
            break
        qhttp.loop().dispatch()
    assert not select.select([qhttp.loop().fileno()], [], [], 0.02)[0]


def test_transfers_side_by_side_are_all_driven(scripted_server, client):
    server = scripted_server(beyond=faults.answer(noise(300_000)))
    many = [client(server) for _ in range(30)]
    for recorded in many:
        recorded.http.get("/")
    dispatch_until(lambda: all(recorded.done for recorded in many))
    assert all(recorded.http.readAll() == noise(300_000) for recorded in many)
