"""What a QHttp leaves behind: no socket, no thread, no cycle, no reference; and what keeps it alive."""
import gc
import io
import os
import select
import sys
import threading
import weakref

import pytest
from core.process_tools import descriptors, in_thread
from engine.collecting import n_alive, n_ours, no_collector, ours_in_cycles
from engine.recording import PATIENCE_MS, Recorded, noise
from support import faults
from support.actions import Pause, ReceiveRequest, Send
from support.gil import counts_references
from support.loops import turn_until

import qhttp
from qhttp.engine.exchange import Exchange

OK = ("NoError", faults.BODY)
MANY = 1000


# -- sockets
def test_object_dropped_while_idle_closes_its_socket(scripted_server):
    server = scripted_server(faults.answer())
    with no_collector():
        http = qhttp.QHttp(server.host, server.port)
        http.get("/")
        assert http.waitForDone(PATIENCE_MS) and http.state().name == "Connected"
        del http
        server.wait_for(lambda: server.connections and server.connections[0].how_ended == "client closed")


def test_object_dropped_while_idle_in_a_cycle_closes_its_socket_when_collected(scripted_server):
    server = scripted_server(faults.answer())
    before = descriptors()
    http = qhttp.QHttp(server.host, server.port)
    http.done.connect(lambda: http.readAll())
    http.get("/")
    assert http.waitForDone(PATIENCE_MS)
    http = None
    gc.collect()
    server.wait_for(lambda: server.connections and server.connections[0].how_ended == "client closed")
    server.close()
    qhttp.run(0)
    assert len(descriptors()) <= len(before) + 3


def test_object_dropped_in_another_thread_is_buried_by_its_own_loop(scripted_server):
    server = scripted_server(faults.answer(), faults.answer())
    with no_collector():
        holder = [qhttp.QHttp(server.host, server.port)]
        holder[0].get("/")
        assert holder[0].waitForDone(PATIENCE_MS)
        in_thread(holder.clear)
        qhttp.run(0)
        server.wait_for(lambda: server.connections and server.connections[0].how_ended == "client closed")
    assert Recorded(server.host, server.port).get() == OK


def test_object_in_a_cycle_collected_by_another_thread_is_buried_by_its_own_loop(scripted_server):
    server = scripted_server(faults.answer())
    with no_collector():
        http = qhttp.QHttp(server.host, server.port)
        http.done.connect(lambda: http.readAll())
        http.get("/")
        assert http.waitForDone(PATIENCE_MS)
        watched = weakref.ref(http)
        http = None
        in_thread(gc.collect)
        assert watched() is None
        qhttp.run(0)
        server.wait_for(lambda: server.connections[0].how_ended == "client closed")
    assert Recorded(server.host, scripted_server(faults.answer()).port).get() == OK


@counts_references
def test_object_dropped_in_another_thread_makes_the_descriptor_readable(scripted_server):
    server = scripted_server(faults.answer())
    holder = [qhttp.QHttp(server.host, server.port)]
    holder[0].get("/")
    assert holder[0].waitForDone(PATIENCE_MS)
    qhttp.loop().dispatch()
    in_thread(holder.clear)
    assert select.select([qhttp.loop().fileno()], [], [], 0)[0]
    qhttp.loop().dispatch()
    server.wait_for(lambda: server.connections and server.connections[0].how_ended == "client closed")


def test_object_of_a_thread_that_has_ended_closes_its_socket_when_dropped(scripted_server):
    server = scripted_server(faults.answer())
    gc.collect()
    before = descriptors()

    def work():
        http = qhttp.QHttp(server.host, server.port)
        http.get("/")
        assert http.waitForDone(PATIENCE_MS)
        return http

    http = in_thread(work)
    del http
    gc.collect()
    server.wait_for(lambda: server.connections and server.connections[0].how_ended == "client closed")
    turn_until(lambda: len(descriptors()) <= len(before))


def test_many_objects_dropped_in_another_thread_all_close(scripted_server):
    server = scripted_server(beyond=faults.answer())
    objects = []
    for _ in range(20):
        objects.append(qhttp.QHttp(server.host, server.port))
        objects[-1].get("/")
    assert qhttp.run(PATIENCE_MS)
    in_thread(objects.clear)
    qhttp.run(0)
    server.wait_for(lambda: all(connection.how_ended == "client closed" for connection in server.connections))
    assert len(server.connections) == 20


# -- threads that end
@pytest.mark.parametrize("n_before", [0, 1], ids=["new connection", "kept connection"])
def test_thread_that_ends_with_a_request_under_way_leaves_nothing_open(scripted_server, n_before, monkeypatch):
    problems = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: problems.append(what.exc_value))
    server = scripted_server([*faults.answer() * n_before, ReceiveRequest(), Send(b"HTTP/1.1 200 OK\r\n")])
    gc.collect()
    before = descriptors()

    def work():
        http = qhttp.QHttp(server.host, server.port)
        for _ in range(n_before):
            http.get("/")
            assert http.waitForDone(PATIENCE_MS)
        http.get("/")
        turn_until(lambda: http.state().name == "Reading")

    in_thread(work)
    gc.collect()
    gc.collect()
    server.wait_for(lambda: server.connections and server.connections[0].how_ended == "client closed")
    turn_until(lambda: len(descriptors()) <= len(before))
    assert problems == []


def test_thread_that_ends_with_a_request_under_way_does_not_disturb_others(scripted_server, client):
    server = scripted_server([ReceiveRequest(), Pause(30)], faults.answer(b"one", b"two"))

    def work():
        http = qhttp.QHttp(server.host, server.port)
        http.get("/")
        turn_until(lambda: http.state().name == "Sending" and server.requests[:1] != [[]])

    in_thread(work)
    recorded = client(server)
    assert recorded.get() == ("NoError", b"one")
    gc.collect()
    assert recorded.get() == ("NoError", b"two")


# -- what keeps an object alive
def test_object_with_requests_stays_alive_until_they_are_done(scripted_server):
    server, got = scripted_server(faults.answer()), []
    http = qhttp.QHttp(server.host, server.port)
    watched = weakref.ref(http)
    http.requestFinished.connect(lambda: got.append(watched().readAll()))
    http.get("/")
    del http
    gc.collect()
    assert watched() is not None
    assert qhttp.run(PATIENCE_MS)
    assert got == [faults.BODY] and watched() is None


@pytest.mark.parametrize("end", ["answer", "refusal", "abort", "limit"])
def test_object_is_let_go_when_its_request_has_ended(scripted_server, closed_port, end):
    server = closed_port if end == "refusal" else scripted_server(faults.answer() if end == "answer" else faults.stall())
    with no_collector():
        http = qhttp.QHttp(server.host, server.port)
        watched = weakref.ref(http)
        if end == "limit":
            http.setTotalTimeout(30)
        if end == "abort":
            http.responseHeaderReceived.connect(lambda: watched().abort())
        http.get("/")
        assert http.waitForDone(PATIENCE_MS)
        qhttp.run(0)
        del http
        assert watched() is None
        assert n_alive(Exchange) == 0


def test_devices_are_let_go_when_the_request_has_ended(scripted_server, client):
    recorded = client(scripted_server(faults.answer(faults.BODY, faults.BODY)))
    source, sink = io.BytesIO(b"data"), type("Sink", (), {"write": lambda self, data: None})()
    watched = weakref.ref(source), weakref.ref(sink)
    with no_collector():
        recorded.http.post("/", source, sink)
        recorded.wait()
        del source, sink
        assert [reference() for reference in watched] == [None, None]


def test_object_used_by_its_own_slot_alone_is_let_go(scripted_server):
    server = scripted_server(faults.answer())
    with no_collector():
        http = qhttp.QHttp(server.host, server.port)
        watched = weakref.ref(http)
        http.done.connect(http.deleteLater)
        http.get("/")
        del http
        assert qhttp.run(PATIENCE_MS)
        assert watched() is None
    server.wait_for(lambda: server.connections and server.connections[0].how_ended == "client closed")


# -- no cycle, no reference
@counts_references
def test_requests_by_the_thousand_leave_no_cycle(scripted_server):
    server = scripted_server(faults.answer(*[b"x"] * (MANY + 1)))
    http = qhttp.QHttp(server.host, server.port)
    heads = []
    http.responseHeaderReceived.connect(lambda head: heads.append(head.statusCode()))
    http.readyRead.connect(lambda: http_of_slot().readAll())
    http.requestFinished.connect(lambda id, error: None)
    http_of_slot = weakref.ref(http)
    http.get("/")
    assert http.waitForDone(PATIENCE_MS)
    with no_collector():
        before = n_ours()
        for _ in range(MANY):
            http.get("/")
        assert http.waitForDone(PATIENCE_MS)
        after = n_ours()
        assert ours_in_cycles() == []
    assert len(heads) == MANY + 1
    assert after == before
    assert len(server.connections) == 1


def test_requests_on_new_connections_leave_no_cycle(scripted_server):
    closing = [ReceiveRequest(), Send(faults.whole(b"x", b"Connection: close"))]
    server = scripted_server(beyond=closing)
    http = qhttp.QHttp(server.host, server.port)
    http.setTransferTimeout(60_000)
    http.setTotalTimeout(60_000)
    http.setMinimumRate(1, 60_000)
    with no_collector():
        for _ in range(100):
            http.get("/")
            assert http.waitForDone(PATIENCE_MS)
        assert n_alive(Exchange) == 0
        server.wait_for(lambda: all(connection.how_ended for connection in server.connections))


def test_requests_that_fail_leave_no_exchange(scripted_server):
    server = scripted_server(beyond=faults.bad_head())
    http = qhttp.QHttp(server.host, server.port)
    with no_collector():
        for _ in range(50):
            http.get("/")
            assert http.waitForDone(PATIENCE_MS)
            assert http.error().name == "InvalidResponseHeader"
        assert n_alive(Exchange) == 0


def test_slot_that_raises_leaves_no_reference_behind(scripted_server):
    server = scripted_server(faults.answer(*[b"x"] * 20))
    http = qhttp.QHttp(server.host, server.port)

    class Marked(Exception):
        pass

    def fail():
        raise Marked

    http.responseHeaderReceived.connect(fail)
    for _ in range(20):
        http.get("/")
        with pytest.raises(Marked):
            http.waitForDone(PATIENCE_MS)
        assert http.waitForDone(PATIENCE_MS)
    gc.collect()
    assert sum(isinstance(thing, Marked) for thing in gc.get_objects()) == 0


def test_bodies_are_not_kept_by_the_object(scripted_server, client):
    body = noise(1 << 20)
    recorded = client(scripted_server(faults.answer(*[body] * 3)))
    got = recorded.get()[1]
    recorded.get()
    assert sys.getrefcount(got) <= 3 and got == body


# -- descriptors and threads
def test_descriptors_and_threads_are_back_to_the_start(scripted_server, names, tmp_path):
    qhttp.loop().run(0)
    gc.collect()
    before = descriptors(), len(os.listdir("/proc/self/task"))
    server = scripted_server(faults.answer(*[faults.BODY] * 5), faults.cut_body(), faults.no_answer(), faults.no_answer(),
                             faults.no_answer(), faults.stall(), beyond=faults.answer())
    names["name.test"] = [(server.host, server.port)]
    objects = [Recorded("name.test", 80)]
    with open(tmp_path / "file", "wb") as file:
        for to in (None, file, io.BytesIO()):
            objects[0].get(to=to)
    for _ in range(6):
        objects.append(Recorded("name.test", 80))
        objects[-1].http.setTransferTimeout(40)
        objects[-1].get()
    threads = [threading.Thread(target=lambda: Recorded(server.host, server.port).get()) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    objects.clear()
    server.close()
    gc.collect()
    turn_until(lambda: len(os.listdir("/proc/self/task")) <= before[1])
    turn_until(lambda: descriptors() == before[0])


def test_parent_is_kept_and_returned():
    class Parent:
        pass

    parent = Parent()
    http = qhttp.QHttp(parent)
    assert http.parent() is parent
    watched = weakref.ref(http)
    del http
    assert watched() is None
