"""How requests and objects end: abort before, while and after; deleteLater; objects nobody holds any more; waitForDone."""
import gc
import sys
import threading
import time
import weakref

import pytest
from support.actions import Close, ReceiveRequest, Send
from support.faults import answer, head, whole

import qhttp
from qhttp import QHttp

BACK = ["Closing", "Unconnected"]


@pytest.fixture
def half_answered(make, scripted_server):
    """An object in the middle of an answer whose rest never comes, and its server: (http, server)."""
    server = scripted_server([ReceiveRequest(), Send(head(b"Content-Length: 100") + b"half")], beyond=answer())
    http = make(server)
    http.get("/")
    while http.bytesAvailable() < 4:
        http.waitForDone(5)
    return http, server


@pytest.fixture
def kept(make, path_server, finish):
    """An object with an idle connection."""
    http = make(path_server)
    http.get(path_server.path("whole"))
    finish(http)
    assert http.state() == QHttp.Connected
    return http


# -- abort
def test_abort_without_requests_does_nothing(make, record):
    http = make("h")
    told = record(http)
    http.abort()
    assert http.waitForDone(0) and told.events == [] and http.error() == QHttp.NoError


def test_abort_idle_connection_stays_and_is_used_again(kept, path_server, record, finish):
    told = record(kept)
    kept.abort()
    kept.get(path_server.path("whole"))
    finish(kept)
    assert told.states == ["Sending", "Reading", "Connected"]


def test_abort_before_the_first_turn_first_request_told_without_a_start(make, record):
    http = make("h")
    told = record(http)
    numbers = [http.get("/"), http.get("/"), http.setHost("x")]
    http.abort()
    assert told.events == [("requestFinished", numbers[0], True), ("done", True)]
    assert (http.error(), http.errorString(), http.currentId()) == (QHttp.Aborted, "Request aborted", 0)
    assert http.waitForDone(100) and len(told.events) == 2


def test_abort_of_queued_sethost_host_not_changed(make, path_server, finish):
    http = make(path_server)
    http.setHost("nowhere.invalid")
    http.abort()
    path = path_server.path("whole")
    http.get(path)
    finish(http)
    assert http.readAll() == path_server.body(path)


def test_abort_while_reading_closing_at_once_and_unconnected_a_turn_later(half_answered, record):
    http, server = half_answered
    told = record(http)
    number, waiting = http.currentId(), http.get("/waits")
    http.abort()
    assert told.events == [("requestFinished", number, True), ("done", True), ("stateChanged", "Closing")]
    assert http.state() == QHttp.Closing and http.currentId() == 0
    qhttp.loop().run(0)
    assert told.states == BACK and waiting not in told.started
    server.wait_for(lambda: server.connections[0].how_ended)


def test_abort_twice_and_three_times_second_does_nothing(half_answered, record):
    http, _ = half_answered
    told = record(http)
    for _ in range(3):
        http.abort()
    assert http.waitForDone(100)
    assert len(told.finished) == len(told.of("done")) == 1 and told.states == BACK


def test_abort_then_request_at_once_starts_after_unconnected(half_answered, record, finish):
    http, server = half_answered
    told = record(http)
    http.abort()
    http.get("/again")
    finish(http)
    assert told.states == [*BACK, "Connecting", "Sending", "Reading", "Connected"] and len(server.connections) == 2
    assert told.of("done") == [True, False]


def test_abort_in_the_slot_of_the_start_next_request_starts_after_unconnected(kept, path_server, record, finish):
    aborted = kept.get(path_server.path("whole"))
    told = record(kept)

    def abort(number):
        if number == aborted:
            kept.abort()
            kept.get(path_server.path("whole"))

    kept.requestStarted.connect(abort)
    finish(kept)
    finish(kept)
    assert told.states == [*BACK, "Connecting", "Sending", "Reading", "Connected"]


def test_abort_in_every_slot_of_its_own_signals_ends_once(half_answered, record):
    http, _ = half_answered
    for signal in (http.requestFinished, http.done, http.stateChanged):
        signal.connect(http.abort)
    told = record(http)
    http.abort()
    assert http.waitForDone(100)
    assert len(told.finished) == len(told.of("done")) == 1 and told.states == BACK


def test_abort_request_aborted_as_often_as_it_is_queued_in_done(make, record):
    http = make("h")
    told = record(http)
    n_left = [50]

    def again():
        if n_left[0] > 0:
            n_left[0] -= 1
            http.get("/")
            http.abort()

    http.done.connect(again)
    http.get("/")
    http.abort()
    assert http.waitForDone(500) and len(told.finished) == len(told.of("done")) == 51


def test_abort_between_turns_at_every_moment_ends_once(make, path_server, record, finish):
    n_turns, ended = 0, False
    while not ended:                # aborts after 0, 1, 2 ... turns, until the request was faster
        http = make(path_server)
        told = record(http)
        number = http.get(path_server.path("thirds"))
        for _ in range(n_turns):
            qhttp.loop().run(0)
        ended = http.currentId() == 0
        http.abort()
        assert http.waitForDone(1000)
        assert told.finished == [(number, not ended)] and told.of("done") == [not ended] and told.faults() == []
        if not ended:
            assert http.state() == QHttp.Unconnected and http.error() == QHttp.Aborted
        n_turns += 1 + n_turns // 4
    assert n_turns > 3


# -- close
def test_close_connection_closed_when_its_turn_comes(kept, path_server, record, finish):
    told = record(kept)
    numbers = [kept.get(path_server.path("whole")), kept.close(), kept.get(path_server.path("whole")), kept.closeConnection()]
    finish(kept)
    used = ["Sending", "Reading", "Connected"]
    assert told.states == [*used, *BACK, "Connecting", *used, *BACK] and [number for number, _ in told.finished] == numbers
    assert told.of("done") == [False]


@pytest.mark.parametrize("n", [1, 3])
def test_close_without_connection_finishes_at_once(make, record, n):
    http = make("h")
    told = record(http)
    for _ in range(n):
        http.close()
    assert http.waitForDone(500)
    assert told.states == [] and len(told.finished) == n and told.of("done") == [False]


def test_close_server_sees_the_end(make, scripted_server, finish):
    server = scripted_server(answer())
    http = make(server)
    http.get("/")
    http.close()
    finish(http)
    server.wait_for(lambda: server.connections[0].how_ended)
    assert server.connections[0].how_ended == "client closed"


# -- deleteLater
def test_deletelater_idle_with_connection_closes_it_and_disconnects(make, scripted_server, record, finish):
    server = scripted_server(answer())
    http = make(server)
    http.get("/")
    finish(http)
    told = record(http)
    http.deleteLater()
    assert http.state() == QHttp.Connected and told.events == []       # in the next turn
    assert http.waitForDone(500) and told.states == BACK
    server.wait_for(lambda: server.connections[0].how_ended)
    assert "0 slots" in repr(http.done)


def test_deletelater_with_requests_aborts_in_the_next_turn(make, path_server, record):
    http = make(path_server)
    told = record(http)
    number = http.get(path_server.path("whole"))
    http.get(path_server.path("whole"))
    http.deleteLater()
    assert told.events == []
    assert http.waitForDone(500)
    assert told.finished == [(number, True)] and told.of("done") == [True]


def test_deletelater_while_reading_server_sees_the_end(half_answered, record):
    http, server = half_answered
    told = record(http)
    http.deleteLater()
    http.deleteLater()
    assert http.waitForDone(500) and told.of("done") == [True] and http.state() == QHttp.Unconnected
    server.wait_for(lambda: server.connections[0].how_ended)


def test_deletelater_request_queued_in_done_never_sent(make, scripted_server):
    server = scripted_server(beyond=answer())
    http = make(server)
    http.done.connect(lambda: http.get("/after-the-end"))
    http.get("/")
    http.deleteLater()
    assert http.waitForDone(500)
    assert not any(server.requests) and http.currentId() == 0


@pytest.mark.parametrize("style", ["thirds", "cut"])
def test_deletelater_request_queued_in_done_and_begun_there_nothing_raised(make, path_server, style):
    http = make(path_server)
    states = []

    def again():
        http.get(path_server.path(style))
        http.stateChanged.connect(lambda state: states.append(state.name))
        while "Sending" not in states and len(states) < 9:
            qhttp.loop().run(1)

    http.done.connect(again)
    http.get(path_server.path("thirds"))
    http.deleteLater()
    assert http.waitForDone(1000) and http.currentId() == 0
    for _ in range(20):
        qhttp.loop().run(1)         # what has begun may not come back
    http.abort()
    assert (http.currentId(), http.state()) == (0, QHttp.Unconnected)


def test_deletelater_and_no_reference_object_goes(make, path_server):
    http = make(path_server)
    reference = weakref.ref(http)
    http.done.connect(lambda http=http: None)      # a cycle, cut by the deletion
    http.get(path_server.path("whole"))
    http.deleteLater()
    del http
    assert qhttp.run(500)
    assert reference() is None


# -- references
def test_object_without_reference_lives_until_its_requests_are_done(path_server):
    bodies, gone = [], []

    def fetch():
        http = QHttp(path_server.host, path_server.port)
        weakref.finalize(http, gone.append, 1)
        http.readyRead.connect(lambda: bodies.append(reference().readAll()))
        reference = weakref.ref(http)
        http.get(path_server.path("whole", 90, "alone"))

    fetch()
    gc.collect()
    assert gone == []
    assert qhttp.run(2000)
    assert bodies == [path_server.body(path_server.path("whole", 90, "alone"))] and gone == [1]


def test_idle_object_without_reference_collected_and_its_connection_closed(scripted_server):
    server = scripted_server(answer())
    http = QHttp(server.host, server.port)
    http.get("/")
    assert http.waitForDone(2000) and http.state() == QHttp.Connected
    del http                        # no cycle: nothing has to be collected
    server.wait_for(lambda: server.connections[0].how_ended)


@pytest.mark.parametrize("style", ["whole", "thirds", "cut", "close"])
def test_finished_object_is_in_no_cycle(path_server, style):
    gc.collect()
    gc.disable()
    try:
        http = QHttp(path_server.host, path_server.port)
        http.setTransferTimeout(10_000)
        http.setTotalTimeout(10_000)
        for _ in range(3):
            http.get(path_server.path(style))
            assert http.waitForDone(2000)
        reference = weakref.ref(http)
        del http
        assert reference() is None
    finally:
        gc.enable()


def test_objects_in_cycles_with_connections_collected_and_closed(scripted_server):
    server = scripted_server(beyond=answer())
    for n in range(60):
        http = QHttp(server.host, server.port)
        http.done.connect(lambda http=http: None)
        http.own = [http, http.done]
        http.get("/")
        assert http.waitForDone(2000)
        if n % 7 == 0:
            gc.collect(n % 3)
    del http
    gc.collect()
    server.wait_for(lambda: all(connection.how_ended for connection in server.connections))
    assert len(server.connections) == 60


def test_object_of_an_ended_thread_collected_elsewhere_connection_closed(scripted_server):
    server = scripted_server(beyond=answer())

    def work(cycle):
        http = QHttp(server.host, server.port)
        if cycle:
            http.done.connect(lambda: http)
        http.get("/")
        http.waitForDone(2000)

    for cycle in (False, True):
        thread = threading.Thread(target=work, args=(cycle,))
        thread.start()
        thread.join()
    gc.collect()
    server.wait_for(lambda: len(server.connections) == 2 and all(connection.how_ended for connection in server.connections))


def test_answers_read_and_dropped_keep_no_memory(make, path_server, finish):
    http = make(path_server)
    path = path_server.path("thirds", 1000)

    def fetch(n):
        for _ in range(n):
            http.get(path)
            finish(http)
            http.readAll()

    fetch(20)
    gc.collect()
    before = len(gc.get_objects()), sys.getrefcount(None)
    fetch(30)
    gc.collect()
    assert len(gc.get_objects()) - before[0] < 20 and abs(sys.getrefcount(None) - before[1]) < 100


# -- waitForDone
def test_waitfordone_nothing_to_do_true_at_once(make):
    began = time.monotonic()
    assert make("h").waitForDone() is True and make("h").waitForDone(5000) is True
    assert time.monotonic() - began < 1


def test_waitfordone_time_up_false_and_request_goes_on(half_answered):
    http, _ = half_answered
    number = http.currentId()
    began = time.monotonic()
    assert http.waitForDone(30) is False
    assert 0.025 < time.monotonic() - began < 0.5
    assert http.currentId() == number and http.waitForDone(0) is False and http.waitForDone(msecs=1) is False


def test_waitfordone_waits_for_this_object_only_and_turns_for_all(make, path_server, half_answered):
    http = make(path_server)
    http.get(path_server.path("thirds"))
    assert http.waitForDone(2000) is True and half_answered[0].currentId() != 0
    assert qhttp.run(10) is False


def test_waitfordone_of_an_object_done_by_the_turns_of_another_true(make, path_server):
    first, second = make(path_server), make(path_server)
    for http in (first, second):
        http.get(path_server.path("whole"))
    assert first.waitForDone(2000) and second.waitForDone(2000)
    assert len(first.readAll()) == len(second.readAll()) == 90


def test_waitfordone_new_batch_in_done_waited_for_too(make, path_server, record):
    http = make(path_server)
    told = record(http)
    n_left = [3]

    def again():
        if n_left[0]:
            n_left[0] -= 1
            http.get(path_server.path("whole"))

    http.done.connect(again)
    http.get(path_server.path("whole"))
    assert http.waitForDone(2000) and told.of("done") == [False] * 4


@pytest.mark.parametrize("msecs", ["5", [], object(), b"1"])
def test_waitfordone_time_of_wrong_type_refused(half_answered, msecs):
    with pytest.raises(TypeError):
        half_answered[0].waitForDone(msecs)


def test_waitfordone_enormous_time_is_as_good_as_none(make, path_server):
    for msecs in (2**31, 2**40, 1e12):
        http = make(path_server)
        http.get(path_server.path("whole"))
        assert http.waitForDone(msecs) is True


def test_run_true_when_nothing_is_pending_false_when_time_is_up(half_answered):
    http, _ = half_answered
    assert qhttp.run(5) is False
    http.abort()
    assert qhttp.run(500) is True and qhttp.run() is True


def test_idle_connection_closed_by_its_server_states_told_and_error_kept(make, scripted_server, record, finish, turn_until):

    server = scripted_server([ReceiveRequest(), Send(whole()), Close()], answer())
    http = make(server)
    http.get("/")
    told = record(http)
    finish(http)
    turn_until(lambda: http.state() == QHttp.Unconnected)
    assert told.states[-2:] == BACK and told.names[-3:] == ["done", "stateChanged", "stateChanged"]
    assert http.error() == QHttp.NoError and len(told.finished) == 1
    http.get("/")
    finish(http)
    assert http.error() == QHttp.NoError
