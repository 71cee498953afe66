"""The queue: ids, when requests start, what is current and pending at every stage, what clearing leaves."""
import time

import pytest

import qhttp
from qhttp import QHttp

N_MANY = 100_000
STAGES = ("requestStarted", "requestFinished", "done", "stateChanged", "responseHeaderReceived", "readyRead",
          "dataReadProgress", "dataSendProgress")


class Once:
    """A slot that does something the first time it is called."""

    def __init__(self, action):
        self.action, self.called = action, False

    def __call__(self):
        if not self.called:
            self.called = True
            self.action()


# -- ids
def test_ids_over_objects_unique_and_increasing(make):
    objects = [make("h") for _ in range(3)]
    header = qhttp.QHttpRequestHeader("GET", "/")
    ids = [number for _ in range(2) for http in objects for number in (
        http.setHost("h"), http.get("/"), http.head("/"), http.post("/", b""), http.request(header), http.close(),
        http.closeConnection())]
    assert all(type(number) is int for number in ids)
    assert ids == list(range(ids[0], ids[0] + len(ids))) and ids[0] > 0


def test_ids_of_cleared_requests_never_used_again(make):
    http = make("h")
    ids = [http.get("/") for _ in range(3)]
    http.clearPendingRequests()
    http.abort()
    assert http.get("/") == ids[-1] + 1


def test_ids_refused_request_takes_none(make):
    http = make("h")
    first = http.get("/")
    for call in (lambda: http.get("/ä"), lambda: http.post("/", 5), lambda: http.get("/", to=5), lambda: http.request(None)):
        with pytest.raises((TypeError, ValueError)):
            call()
    assert http.get("/") == first + 1


# -- when things start
@pytest.mark.parametrize("queue", [
    lambda http: http.setHost("h"), lambda http: http.get("/"), lambda http: http.head("/"), lambda http: http.post("/", b"x"),
    lambda http: http.request(qhttp.QHttpRequestHeader("GET", "/")), lambda http: http.close()])
def test_first_request_starts_in_the_next_turn_never_inside_the_call(make, record, queue):
    http = make("127.0.0.1", 1)
    told = record(http)
    number = queue(http)
    assert told.events == [] and (http.currentId(), http.state()) == (number, QHttp.Unconnected)
    qhttp.loop().run(0)
    assert told.events[0] == ("requestStarted", number)


def test_next_request_starts_directly_after_the_one_before(make, record, finish):
    http = make()
    told = record(http)
    first, second = http.setHost("a"), http.setHost("b")
    qhttp.loop().run(0)             # one turn
    assert told.events == [("requestStarted", first), ("requestFinished", first, False), ("requestStarted", second),
                           ("requestFinished", second, False), ("done", False)]


def test_unread_data_of_the_answer_before_thrown_away_before_requeststarted(make, path_server, finish):
    http = make(path_server)
    http.get(path_server.path("whole"))
    finish(http)
    seen = []
    http.requestStarted.connect(lambda: seen.append(http.bytesAvailable()))
    http.setHost("h")
    assert http.bytesAvailable() == 90          # until it starts
    finish(http)
    assert seen == [0]


# -- what is current
def test_queries_at_every_stage_name_the_running_request(make, path_server, record, finish):
    http = make(path_server)
    seen = []
    for name in STAGES:
        getattr(http, name).connect(lambda *_, name=name: seen.append((name, http.currentId(), http.hasPendingRequests())))
    path = path_server.path("thirds")
    assert (http.currentId(), http.hasPendingRequests()) == (0, False)
    first = http.get(path)
    assert (http.currentId(), http.hasPendingRequests()) == (first, False)      # the first of the queue does not wait
    second = http.get(path)
    assert (http.currentId(), http.hasPendingRequests()) == (first, True)
    finish(http)
    assert (http.currentId(), http.hasPendingRequests()) == (0, False)
    border = seen.index(("requestStarted", second, False))
    assert {(number, pending) for _, number, pending in seen[:border]} == {(first, True)}
    assert {(number, pending) for _, number, pending in seen[border:-1]} == {(second, False)}
    assert seen[-1] == ("done", 0, False)
    assert {name for name, _, _ in seen} == set(STAGES)


def test_currentrequest_in_every_signal_of_a_get_has_its_line_and_host(make, path_server, finish):
    http = make(path_server)
    seen = {}
    path = path_server.path("body")
    for name in STAGES[1:2] + STAGES[4:]:
        getattr(http, name).connect(lambda *_, name=name: seen.setdefault(name, http.currentRequest().toString()))
    http.stateChanged.connect(lambda state: seen.setdefault(state.name, http.currentRequest().toString()))
    assert http.currentRequest().isValid() is False
    http.get(path)
    assert http.currentRequest().toString() == f"GET {path} HTTP/1.1\r\nConnection: Keep-Alive\r\n\r\n"
    finish(http)
    whole = f"GET {path} HTTP/1.1\r\nConnection: Keep-Alive\r\nHost: 127.0.0.1:{path_server.port}\r\n\r\n"
    assert {name for name, text in seen.items() if text != whole} == set()
    assert not http.currentRequest().isValid()


def test_currentrequest_in_requestfinished_with_error_still_has_its_host(make, path_server, finish):
    http = make(path_server)
    seen = []
    http.requestFinished.connect(lambda number, error: seen.append((error, http.currentRequest().value("Host"))))
    http.get(path_server.path("cut"))
    finish(http)
    assert seen == [(True, f"127.0.0.1:{path_server.port}")]


def test_currentrequest_of_sethost_and_close_invalid(make, finish):
    http = make()
    seen = []
    for signal in (http.requestStarted, http.requestFinished):
        signal.connect(lambda: seen.append(http.currentRequest().isValid()))
    http.setHost("h")
    http.close()
    finish(http)
    assert seen == [False] * 4


def test_currentrequest_is_a_copy(make, path_server, finish):
    http = make(path_server)
    given = qhttp.QHttpRequestHeader("GET", path_server.path("whole"))
    given.setValue("Host", "h")
    http.request(given)
    http.currentRequest().setValue("X-Later", "1")
    given.setValue("X-Later", "2")
    assert http.currentRequest().keys() == ["Host"]
    finish(http)
    assert b"X-Later" not in path_server.connections[-1].taken[0]


# -- queueing from slots
@pytest.mark.parametrize("name", STAGES)
def test_request_queued_in_a_slot_runs_after_those_queued_before(make, path_server, record, finish, name):
    http = make(path_server)
    told, added = record(http), []
    getattr(http, name).connect(Once(lambda: added.append(http.get(path_server.path("whole", 50, "added")))))
    numbers = [http.get(path_server.path("thirds", 60, n)) for n in range(2)]
    finish(http)
    expected = numbers + added
    assert told.started == expected and told.finished == [(number, False) for number in expected]
    assert len(told.of("done")) == (2 if name == "done" else 1)      # in done, a new batch begins
    assert http.readAll() == path_server.body(path_server.path("whole", 50, "added"))


def test_request_queued_in_requestfinished_of_the_last_joins_the_batch(make, record, finish):
    http = make()
    told = record(http)
    http.requestFinished.connect(Once(lambda: http.setHost("b")))
    http.setHost("a")
    finish(http)
    assert told.names.count("done") == 1 and told.names[-1] == "done"


def test_requests_queued_in_a_failed_requestfinished_dropped_and_in_done_kept(make, path_server, record, finish):
    http = make(path_server)
    told = record(http)
    http.requestFinished.connect(lambda number, error: error and http.get(path_server.path("whole", 20, "lost")))
    http.done.connect(lambda error: error and kept.append(http.get(path_server.path("whole", 20, "kept"))))
    kept = []
    failing, waiting = http.get(path_server.path("cut")), http.get(path_server.path("whole"))
    finish(http)
    assert told.finished == [(failing, True), (kept[0], False)] and waiting not in told.started
    assert told.of("done") == [True, False]
    assert http.readAll() == path_server.body(path_server.path("whole", 20, "kept"))


# -- clearing
def test_clear_before_the_first_turn_keeps_the_first(make, record, finish):
    http = make()
    told = record(http)
    numbers = [http.setHost(f"h{n}") for n in range(5)]
    http.clearPendingRequests()
    assert (http.currentId(), http.hasPendingRequests()) == (numbers[0], False)
    finish(http)
    assert told.started == numbers[:1] and told.of("done") == [False]


def test_clear_with_nothing_queued_does_nothing(make, record):
    http = make()
    told = record(http)
    http.clearPendingRequests()
    qhttp.loop().run(0)
    assert told.events == []


@pytest.mark.parametrize("name", STAGES)
def test_clear_in_a_slot_ends_with_the_running_request(make, path_server, record, finish, name):
    http = make(path_server)
    told = record(http)
    getattr(http, name).connect(http.clearPendingRequests)
    numbers = [http.get(path_server.path("thirds", 60, n)) for n in range(3)]
    finish(http)
    started = numbers if name == "done" else numbers[:1]
    assert told.started == started and told.finished == [(number, False) for number in started]
    assert told.of("done") == [False]
    assert http.readAll() == path_server.body(path_server.path("thirds", 60, len(started) - 1))


def test_clear_many_waiting_requests_quick(make):
    http = make()
    for _ in range(N_MANY):
        http.close()
    began = time.monotonic()
    http.clearPendingRequests()
    assert time.monotonic() - began < 1 and not http.hasPendingRequests()


# -- long queues
def test_queue_of_many_sethosts_finishes_in_order_without_recursion(make, finish):
    http = make()
    finished, done = [], []
    http.requestFinished.connect(lambda number, error: finished.append(number))
    http.done.connect(done.append)
    numbers = [http.setHost("h") for _ in range(N_MANY)]
    finish(http)
    assert finished == numbers and done == [False]


def test_queue_many_sethosts_each_queued_by_the_slot_of_the_one_before(make, finish):
    http = make()
    n_left = [N_MANY // 4]

    def again():
        n_left[0] -= 1
        if n_left[0] > 0:
            http.setHost("h")

    http.requestFinished.connect(again)
    http.setHost("h")
    finish(http)
    assert n_left == [0]


def test_queue_many_closes_without_connection_finish(make, finish, record):
    http = make("127.0.0.1", 1)
    told = record(http)
    for _ in range(1000):
        http.close()
    finish(http)
    assert len(told.finished) == 1000 and told.states == [] and told.of("done") == [False]


def test_queue_done_that_queues_anew_many_batches_not_recursive(make):
    http = make()
    n_done = [0]

    def again():
        n_done[0] += 1
        if n_done[0] < 20_000:
            http.setHost("h")

    http.done.connect(again)
    http.setHost("h")
    assert http.waitForDone(5000) and n_done == [20_000]


def test_queue_abort_in_the_middle_of_many_drops_the_rest(make, record):
    http = make()
    numbers = [http.setHost("h") for _ in range(1000)]
    told = record(http)
    http.requestStarted.connect(lambda number: number == numbers[500] and http.abort())
    assert http.waitForDone(2000)
    assert told.started == numbers[:501] and told.finished[-1] == (numbers[500], True)
    assert told.of("done") == [True]
