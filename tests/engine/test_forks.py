"""Forks in the middle of transfers: the child takes nothing away, holds nothing open, and can make its own."""
import gc
import os
import subprocess
import sys
import threading

import pytest
from core import process_tools
from core.process_tools import Child, in_child
from engine.recording import Recorded, noise
from support import faults
from support.actions import Pause, ReceiveRequest, Send
from support.loops import turn_until

import qhttp

BODY = noise(3 << 20)
HEAD = faults.head(b"Content-Length: %d" % len(BODY))
OK = ("NoError", faults.BODY)


def slow_script():
    return [ReceiveRequest(), Send(HEAD + BODY[:1 << 20]), Pause(0.03), Send(BODY[1 << 20:])]


def begun(recorded):
    """Turns until the body has begun."""
    recorded.http.get("/")
    turn_until(lambda: recorded.read_progress)


def test_fork_in_a_transfer_leaves_it_whole(scripted_server, client):
    recorded = client(scripted_server(slow_script()))
    begun(recorded)
    in_child(lambda: None)
    assert (recorded.wait(), recorded.http.readAll()) == ("NoError", BODY)


def test_child_that_makes_a_transfer_of_its_own_leaves_the_parents_whole(scripted_server, client):
    server, other = scripted_server(slow_script()), scripted_server(faults.answer(b"for the child"))
    recorded = client(server)
    begun(recorded)
    assert in_child(lambda: Recorded(other.host, other.port).get()) == ("NoError", b"for the child")
    assert (recorded.wait(), recorded.http.readAll()) == ("NoError", BODY)


def test_child_that_uses_the_parents_object_is_refused_and_harms_nothing(scripted_server, client):
    recorded = client(scripted_server(slow_script()))
    begun(recorded)

    def child():
        for use in (lambda: recorded.http.get("/"), recorded.http.abort, recorded.http.readAll, recorded.http.close,
                    recorded.http.deleteLater, lambda: recorded.http.waitForDone(10), lambda: recorded.http.read(5)):
            with pytest.raises(RuntimeError, match="parent process"):
                use()
        assert qhttp.run(1000)

    in_child(child)
    assert (recorded.wait(), recorded.http.readAll()) == ("NoError", BODY)


def test_child_that_drops_the_parents_objects_harms_nothing(scripted_server, client):
    holder = [client(scripted_server(slow_script())), client(scripted_server(faults.answer(b"one", b"two")))]
    assert holder[1].get() == ("NoError", b"one")
    begun(holder[0])
    in_child(lambda: (holder.clear(), gc.collect(), None)[2])
    assert (holder[0].wait(), holder[0].http.readAll()) == ("NoError", BODY)
    assert holder[1].get() == ("NoError", b"two")


@pytest.mark.parametrize("signal", ["requestStarted", "responseHeaderReceived", "dataReadProgress", "requestFinished", "done"])
def test_fork_inside_a_slot_leaves_the_transfer_whole(scripted_server, client, signal):
    other = scripted_server(beyond=faults.answer())
    recorded = client(scripted_server(slow_script()))
    outcomes = []

    def fork():
        getattr(recorded.http, signal).disconnect(fork)
        outcomes.append(in_child(lambda: Recorded(other.host, other.port).get()))

    getattr(recorded.http, signal).connect(fork)
    assert recorded.get() == ("NoError", BODY)
    assert outcomes == [OK]


def test_child_that_returns_from_a_slot_hears_nothing_of_the_other_transfers(scripted_server):
    """What had come for them before the fork is the parent's to tell."""
    gate, sent = threading.Event(), threading.Semaphore(0)
    server = scripted_server(beyond=[ReceiveRequest(), lambda peer: gate.wait(10), Send(faults.whole()),
                                     lambda peer: sent.release()])
    many = [Recorded(server.host, server.port) for _ in range(5)]
    pids = []
    read_fd, write_fd = os.pipe()
    for recorded in many:
        recorded.http.get("/")
    turn_until(lambda: [len(taken) for taken in server.requests] == [1] * 5)
    gate.set()
    assert all(sent.acquire(timeout=10) for _ in many)
    told_before = []                    # all five answers are there: one turn brings them

    def fork():
        if not pids:
            told_before.append(sum(len(recorded.statuses) for recorded in many))
            pids.append(process_tools.fork())

    for recorded in many:
        recorded.http.responseHeaderReceived.connect(fork)
    try:
        qhttp.run(5000)
    except RuntimeError:
        pass
    finally:
        if pids == [0]:
            os.write(write_fd, b"%d" % (sum(len(recorded.statuses) for recorded in many) - told_before[0]))
            os._exit(0)
    os.close(write_fd)
    with open(read_fd) as pipe:
        assert pipe.read() == "0"
    os.waitpid(pids[0], 0)
    assert [recorded.done for recorded in many] == [[False]] * 5


def test_kept_connection_is_the_parents_alone(scripted_server, client):
    server = scripted_server(faults.answer(b"one", b"two"), faults.answer(b"child"))
    recorded = client(server)
    assert recorded.get() == ("NoError", b"one")
    assert in_child(lambda: Recorded(server.host, server.port).get()) == ("NoError", b"child")
    assert recorded.get() == ("NoError", b"two")
    assert len(server.connections) == 2


def test_child_that_lives_on_does_not_hold_the_parents_connections_open(scripted_server, client):
    server = scripted_server(faults.answer(), [ReceiveRequest(), Send(HEAD)])
    kept, busy = client(server), client(server)
    assert kept.get() == OK
    busy.http.get("/")
    turn_until(lambda: busy.statuses)
    with Child():
        kept.http.close()
        assert kept.wait() == "NoError"
        busy.http.abort()
        assert busy.wait() == "Aborted"
        server.wait_for(lambda: server.connections and server.connections[0].how_ended == "client closed")
        server.wait_for(lambda: server.connections[1].how_ended == "client closed")


def test_child_process_of_another_program_inherits_nothing(scripted_server, client):
    def n_inherited():
        count = "import os; print(len(os.listdir('/proc/self/fd')))"
        return subprocess.run([sys.executable, "-S", "-c", count], capture_output=True, check=True, close_fds=False).stdout

    server = scripted_server(faults.answer())
    before = n_inherited()
    recorded = client(server)
    assert recorded.get() == OK
    assert n_inherited() == before


def test_child_of_a_parent_that_has_its_own_loop_gets_a_whole_body(scripted_server, client):
    server = scripted_server(slow_script())
    read_fd, write_fd = os.pipe()
    pid = process_tools.fork()
    if pid == 0:
        outcome = "failed"
        try:
            recorded = Recorded(server.host, server.port)
            outcome = "whole" if recorded.get() == ("NoError", BODY) else "wrong"
        finally:
            os.write(write_fd, outcome.encode())
            os._exit(0)
    os.close(write_fd)
    assert qhttp.run(10)
    with open(read_fd) as pipe:
        assert pipe.read() == "whole"
    os.waitpid(pid, 0)
