"""Timings to the nanosecond, and that they leave out what is not the request's."""
import pytest
from bulk.origin import Origin, answer
from clocks.downloads import begun
from support import faults
from support.actions import Pause, Receive
from support.scripted_server import ScriptedServer

import qhttp

LEAST = 1e-9            # of a step that took no time, but was taken
OK = faults.whole(b"whole")


def test_timings_of_a_request_are_exact(clock):
    with ScriptedServer([Receive(20), Pause(60)]) as server:
        http = qhttp.QHttp(server.host, server.port)
        http.get("/")
        clock.until(lambda: server.connections and server.connections[0].n_received)
        clock.advance(3, ns=7)
        server.connections[0].send(OK[:-2])
        clock.until(lambda: http.bytesAvailable())
        assert http.timings() == (None, LEAST, None, 3 + 7e-9, None)
        clock.advance(2)
        server.connections[0].send(OK[-2:])
        clock.until(lambda: not http.currentId())
        clock.advance(100)
    assert http.timings() == (None, LEAST, None, 3 + 7e-9, 5 + 7e-9) and http.error() == http.NoError


@pytest.mark.parametrize("depth", [1, 4])
def test_timings_leave_out_what_slots_took_before(clock, depth):
    told = []
    with ScriptedServer(faults.answer(*[b"x"] * 4)) as server:
        http = qhttp.QHttp(server.host, server.port)
        http.setPipelining(depth)
        http.requestFinished.connect(lambda number, error: (told.append(http.timings()), clock.advance(3600)))
        for number in range(4):
            http.get(f"/{number}")
        clock.until(lambda: not http.currentId())
    assert [timings[1:] for timings in told] == [(LEAST, None, 0.0, 0.0), *[(None, None, 0.0, 0.0)] * 3]


def test_timings_leave_out_what_was_before_the_loop_turned(clock):
    with ScriptedServer(faults.answer(b"a", b"b")) as server:
        http = qhttp.QHttp(server.host, server.port)
        for number in range(2):
            http.get(f"/{number}")
            clock.advance(3600)
            clock.until(lambda: not http.currentId())
            assert http.timings().total == 0.0


def test_timings_of_an_abort_end_there(clock):
    with ScriptedServer([Pause(60)]) as server:
        http = qhttp.QHttp(server.host, server.port)
        http.get("/")
        clock.until(lambda: http.state() == http.Sending)
        clock.advance(4)
        http.abort()
        clock.advance(4)
    assert http.timings() == (None, LEAST, None, None, 4.0)


def test_timings_of_a_transfer_are_exact(clock, folder):
    with Origin({"/a": Pause(60)}) as origin, begun([origin.url("/a")], folder) as (_, seen):
        clock.until(lambda: origin.log)
        clock.advance(3)
        origin.connections[0].send(answer(200, b"x"))
        clock.until(lambda: seen.finished)
    assert seen.finished[0].timings == (None, LEAST, None, 3.0, 3.0)
