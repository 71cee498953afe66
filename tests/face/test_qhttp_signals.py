"""What is told, in which order and how often, where the recorded traces leave it open: every way an answer can be cut,
every destination, several requests; slots that come and go; slots that raise."""
import io
import sys

import pytest
from support.actions import ReceiveRequest, Send
from support.faults import answer, whole

import qhttp
from qhttp import QHttp

SIZE = 300
STYLES = ["whole", "head", "body", "thirds", "chunked", "chunks", "close"]
SIGNALS = ["requestStarted", "requestFinished", "done", "stateChanged", "responseHeaderReceived", "readyRead",
           "dataReadProgress", "dataSendProgress"]


class Boom(Exception):
    """Comes out of a slot."""


@pytest.fixture
def unraisable(monkeypatch):
    """What went to sys.unraisablehook: a list of exceptions."""
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda info: seen.append(info.exc_value))
    return seen


@pytest.fixture(params=["reader", "object", "file"])
def destination(request, tmp_path):
    """None, an object with write, or a file; destination.content(http) is what has come."""
    class Destination:
        to = {"reader": None, "object": io.BytesIO(), "file": None}[request.param]
        kind = request.param

        def content(self, http):
            if self.kind == "reader":
                return http.readAll()
            if self.kind == "file":
                self.to.flush()
                return (tmp_path / "to").read_bytes()
            return self.to.getvalue()

    made = Destination()
    if made.kind == "file":
        with open(tmp_path / "to", "wb") as made.to:
            yield made
    else:
        yield made


# -- the order
@pytest.mark.parametrize("style", STYLES)
def test_order_of_an_answer_the_same_however_it_is_cut(make, path_server, record, finish, destination, style):
    http = make(path_server)
    told = record(http)
    path = path_server.path(style, SIZE)
    number = http.get(path, destination.to)
    finish(http)
    names = [event[0] if event[0] != "stateChanged" else event[1] for event in told.events]
    steps = [name for name in names if name not in ("dataReadProgress", "readyRead", "dataSendProgress")]
    end = ["Closing", "Unconnected"] if style == "close" else ["Connected"]
    assert steps == ["requestStarted", "Connecting", "Sending", "Reading", "responseHeaderReceived", *end, "requestFinished",
                     "done"]
    assert names.index("Sending") < names.index("dataSendProgress") < names.index("Reading")
    progress = [n for n, name in enumerate(names) if name == "dataReadProgress"]
    assert names.index("responseHeaderReceived") < progress[0] and progress[-1] < names.index(end[0])
    if destination.to is None:      # each progress is followed by a readyRead, and there is no other
        assert [n + 1 for n in progress] == [n for n, name in enumerate(names) if name == "readyRead"]
    else:
        assert "readyRead" not in names and http.bytesAvailable() == 0
    assert destination.content(http) == path_server.body(path)
    assert told.finished == [(number, False)]


@pytest.mark.parametrize("style", STYLES)
def test_progress_counts_up_to_the_size(make, path_server, record, finish, style):
    http = make(path_server)
    told = record(http)
    http.get(path_server.path(style, SIZE))
    finish(http)
    counts, totals = zip(*told.of("dataReadProgress"), strict=True)
    assert list(counts) == sorted(set(counts)) and counts[-1] == SIZE
    assert set(totals) == ({0} if style in ("chunked", "chunks", "close") else {SIZE})


def test_progress_of_sending_ends_at_its_total(make, path_server, record, finish):
    http = make(path_server)
    told = record(http)
    for data in (b"", b"x", b"y" * 300_000, io.BytesIO(b"z" * 10_000)):
        http.post(path_server.path("whole"), data)
    finish(http)
    per_request = []
    for event in told.events:
        if event[0] == "requestStarted":
            per_request.append([])
        elif event[0] == "dataSendProgress":
            per_request[-1].append(event[1:])
    for steps, body_len in zip(per_request, (0, 1, 300_000, 10_000), strict=True):
        counts, totals = zip(*steps, strict=True)
        assert len(set(totals)) == 1 and list(counts) == sorted(set(counts)) and counts[-1] == totals[0]
        assert 60 < totals[0] - body_len < 150          # the head


@pytest.mark.parametrize("style", ["whole", "body", "chunked", "close"])
def test_empty_body_no_progress_and_no_readyread(make, path_server, record, finish, style):
    http = make(path_server)
    told = record(http)
    http.get(path_server.path(style, 0))
    finish(http)
    assert not {"dataReadProgress", "readyRead"} & set(told.names) and told.of("done") == [False]


def test_head_request_tells_the_length_and_no_body(make, path_server, record, finish):
    http = make(path_server)
    told = record(http)
    http.head(path_server.path("whole", SIZE))
    http.get(path_server.path("whole", 10))
    finish(http)
    assert told.of("dataReadProgress") == [(10, 10)] and len(told.of("responseHeaderReceived")) == 2


def test_states_of_a_batch_with_a_close_and_another_server(make, path_server, scripted_server, record, finish):
    other = scripted_server(answer())
    http = make(path_server)
    told = record(http)
    path = path_server.path("whole")
    for queue in (lambda: http.get(path), lambda: http.get(path), http.close, lambda: http.get(path),
                  lambda: http.setHost(other.host, other.port), lambda: http.get("/")):
        queue()
    finish(http)
    used = ["Sending", "Reading", "Connected"]
    assert told.states == ["Connecting", *used, *used, "Closing", "Unconnected", "Connecting", *used, "Connecting", *used]


def test_state_in_every_signal_is_the_one_last_told(make, path_server, record, finish):
    http = make(path_server)
    told, wrong = record(http), []
    for name in SIGNALS:
        getattr(http, name).connect(lambda *_, name=name: wrong.append((name, http.state()))
                                    if http.state().name != (told.states or ["Unconnected"])[-1] else None)
    for style in [*STYLES, "cut"]:
        http.get(path_server.path(style))
    finish(http)
    assert wrong == [] and http.state() == QHttp.Unconnected


def test_ready_header_is_that_of_the_running_answer(make, path_server, scripted_server, finish):
    answers = [whole(b"body", status=b"HTTP/1.1 %d X\r\n" % code) for code in (200, 404, 500, 302)]
    server = scripted_server([action for data in answers for action in (ReceiveRequest(), Send(data))])
    http = make(server)
    seen = []
    http.responseHeaderReceived.connect(lambda header: seen.append(header.statusCode()))
    http.readyRead.connect(lambda header: seen.append(header.statusCode()))
    for n in range(4):
        http.get(f"/{n}")
    finish(http)
    assert seen == [200, 200, 404, 404, 500, 500, 302, 302] and http.error() == QHttp.NoError


def test_header_changed_by_a_slot_does_not_change_lastresponse(make, path_server, finish):
    http = make(path_server)
    http.responseHeaderReceived.connect(lambda header: header.setValue("X-Slot", "1"))
    http.get(path_server.path("whole"))
    finish(http)
    assert not http.lastResponse().hasKey("X-Slot")


def test_lastresponse_survives_later_failures(make, path_server, finish):
    http = make(path_server)
    http.get(path_server.path("whole", 17))
    finish(http)
    http.setHost("127.0.0.1", 1)
    http.get("/")
    finish(http)
    assert http.error() == QHttp.ConnectionRefused and http.lastResponse().contentLength() == 17


# -- slots that come and go
def test_slot_connected_during_an_emit_called_from_the_next_emit_on(make, finish):
    http = make()
    late = []
    http.requestStarted.connect(lambda: http.requestStarted.connect(late.append))
    numbers = [http.setHost("h") for _ in range(3)]
    finish(http)
    assert late == [numbers[1], numbers[2], numbers[2]]


def test_slot_disconnected_during_an_emit_not_called_any_more(make, finish):
    http = make()
    called = []
    http.requestStarted.connect(lambda: http.requestStarted.disconnect(called.append))
    http.requestStarted.connect(called.append)
    http.setHost("h")
    finish(http)
    assert called == []


def test_slot_disconnects_all_slots_of_its_signal_others_still_told(make, path_server, record, finish):
    http = make(path_server)
    http.readyRead.connect(lambda: http.readyRead.disconnect())
    told = record(http)
    http.get(path_server.path("thirds"))
    finish(http)
    assert "readyRead" not in told.names and told.of("done") == [False]


def test_slot_bound_methods_and_signals_connected(make, path_server, record, finish):
    http, other = make(path_server), make()
    relayed = record(other, "requestFinished", "done")
    http.requestFinished.connect(other.requestFinished)
    http.done.connect(other.done.emit)
    http.responseHeaderReceived.connect(http.clearPendingRequests)
    numbers = [http.get(path_server.path("whole")) for _ in range(3)]
    finish(http)
    assert relayed.events == [("requestFinished", numbers[0], False), ("done", False)]


# -- slots that raise
@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("kind", [Boom, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_slot_raises_once_run_raises_it_and_the_transfer_goes_on(make, path_server, record, name, kind):
    http = make(path_server)
    n_calls = []

    def raise_once():
        n_calls.append(1)
        if len(n_calls) == 1:
            raise kind("from a slot")

    getattr(http, name).connect(raise_once)
    told = record(http)             # connected afterwards, and called all the same
    path = path_server.path("thirds", SIZE)
    numbers = [http.get(path), http.get(path)]
    with pytest.raises(kind, match="from a slot"):
        qhttp.run(2000)
    while http.currentId():
        qhttp.run(2000)
    assert told.finished == [(number, False) for number in numbers] and told.of("done") == [False]
    assert http.readAll() == path_server.body(path)


def test_slots_raise_several_first_raised_by_run_others_to_the_hook(make, finish, unraisable):
    http = make()
    errors = [Boom(n) for n in range(4)]

    def raiser(error):
        def slot():
            raise error
        return slot

    for error in errors[:2]:
        http.requestStarted.connect(raiser(error))
    http.requestFinished.connect(raiser(errors[2]))
    http.done.connect(raiser(errors[3]))
    http.setHost("h")
    raised = []
    while http.currentId() or len(raised) + len(unraisable) < 4:
        try:
            qhttp.run(1000)
        except Boom as error:
            raised.append(error)
    assert raised[0] is errors[0]
    assert sorted(error.args[0] for error in raised + unraisable) == [0, 1, 2, 3]


def test_slot_raises_in_one_object_others_not_disturbed(make, path_server, record, unraisable):
    def fail():
        raise Boom

    bad, good = make(path_server), make(path_server)
    for name in SIGNALS:
        getattr(bad, name).connect(fail)
    told = record(good)
    path = path_server.path("thirds", SIZE)
    bad.get(path)
    good.get(path)
    while bad.currentId() or good.currentId():
        try:
            qhttp.run(2000)
        except Boom:
            pass
    assert told.of("done") == [False] and good.readAll() == bad.readAll() == path_server.body(path)


def test_slot_raises_outside_the_loop_raised_by_the_next_run(make):
    def fail():
        raise Boom("abort")

    http = make()
    http.setHost("h")
    http.done.connect(fail)
    http.abort()                    # emits; but it is run() that raises
    with pytest.raises(Boom, match="abort"):
        qhttp.run(100)
    assert qhttp.run(100)


def test_slot_raises_in_a_nested_turn_comes_out_of_it(make, path_server, finish):
    http, inner = make(path_server), make()
    seen = []

    def fail():
        raise Boom("inner")

    def nest():
        inner.setHost("h")
        try:
            inner.waitForDone(1000)
        except Boom as error:
            seen.append(error)

    inner.requestStarted.connect(fail)
    http.responseHeaderReceived.connect(nest)
    http.get(path_server.path("body"))
    finish(http)
    assert len(seen) == 1 and http.error() == QHttp.NoError
