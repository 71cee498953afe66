"""A slot may do anything: each deed in a slot of each signal and state, for answers cut in every way and every kind of
destination. Whatever it does, each request ends once, nothing hangs, and what nobody disturbed arrives whole."""
import contextlib
import io
import weakref

import pytest
from support.faults import answer

import qhttp
from qhttp import QHttp

SIZE = 600
ANSWERS = [(style, kind) for style in ("whole", "thirds") for kind in ("reader", "object", "file")] + [
    ("head", "reader"), ("chunks", "reader"), ("chunks", "file"), ("close", "reader"), ("close", "object")]
PLACES = ["requestStarted", "requestFinished", "done", "responseHeaderReceived", "readyRead", "dataReadProgress",
          "dataSendProgress", "Connecting", "Sending", "Reading", "Connected", "Closing", "Unconnected"]
PATIENCE_MS = 2000
TURN_MS = 3


class Boom(Exception):
    """Comes out of a slot."""


class Case:
    """A batch of two requests whose slots, in one place, do something the first time they are called."""

    def __init__(self, make, record, server, folder, style, kind, n_skipped=0):
        self.server, self.folder, self.kind = server, folder, kind
        self.http = make(server)
        self.told = record(self.http)
        self.reference = weakref.ref(self.http)
        self.paths = [server.path(style, SIZE, "first"), server.path("whole", SIZE, "second")]
        self.tos = [self.new_destination(n) for n in range(2)]
        self.n_skipped, self.n_done = n_skipped, 0

    def new_destination(self, n):
        if self.kind == "reader":
            return None
        return io.BytesIO() if self.kind == "object" else open(self.folder / str(n), "w+b", buffering=0)

    def at(self, place, deed):
        """Connects the deed; a state is a place, too."""
        def slot(*arguments):
            if place[0].isupper() and arguments[0].name != place:
                return
            if self.n_skipped > 0:
                self.n_skipped -= 1
            elif not self.n_done:
                self.n_done += 1
                deed()
        signal = getattr(self.http, "stateChanged" if place[0].isupper() else place)
        signal.connect(slot)
        self.slot, self.signal = slot, signal

    def start(self):
        self.numbers = [self.http.get(path, to) for path, to in zip(self.paths, self.tos, strict=True)]

    def finish(self):
        http = self.reference()
        if http is not None:
            assert http.waitForDone(PATIENCE_MS), f"{http!r} hangs after {self.told.events}"
        assert self.told.faults() == []

    def content(self, n):
        """What has come for the n-th request; of a reader, only the last one's is kept."""
        if self.kind == "reader":
            return self.http.readAll() if n == 1 else self.server.body(self.paths[0])
        self.tos[n].seek(0)
        return self.tos[n].read()

    def assert_undisturbed(self):
        assert self.told.finished[:2] == [(number, False) for number in self.numbers]
        assert [self.content(n) for n in range(2)] == [self.server.body(path) for path in self.paths]

    def assert_usable(self):
        """The object, and the connection that it has now, do their work."""
        path = self.server.path("thirds", SIZE, "afterwards")
        number = self.http.get(path)
        assert self.http.waitForDone(PATIENCE_MS), f"{self.http!r} hangs afterwards: {self.told.events}"
        assert self.told.finished[-1] == (number, False) and self.http.readAll() == self.server.body(path)

    def close(self):
        for to in self.tos:
            if self.kind == "file":
                to.close()


@pytest.fixture(params=PLACES)
def each_case(request, make, record, path_server, tmp_path):
    """All cases of a place: each_case(deed_of) with deed_of(case) -> what the slot does; gives them one after the other."""
    def play(deed_of):
        for style, kind in ANSWERS:
            if request.param in ("Closing", "Unconnected") and style != "close":
                continue                        # not before the end
            if (request.param == "Connected" and style == "close") or (request.param == "readyRead" and kind != "reader"):
                continue                        # not in the first request
            case = Case(make, record, path_server, tmp_path, style, kind)
            case.at(request.param, deed_of(case))
            case.start()
            yield case
            case.close()
    play.place = request.param
    return play


def test_slot_that_aborts_ends_the_batch_once(each_case):
    for case in each_case(lambda case: case.http.abort):
        case.finish()
        told = case.told
        if each_case.place == "done":
            case.assert_undisturbed()
        elif each_case.place == "requestFinished":
            assert told.finished == [(case.numbers[0], False)] and told.of("done") == [True]
        else:
            assert told.finished[-1] == (case.numbers[0], True) and told.of("done") == [True]
            assert case.numbers[1] not in told.started and case.http.error() == QHttp.Aborted
        case.finish()               # the turn after: Unconnected
        assert each_case.place == "done" or case.http.state() == QHttp.Unconnected
        case.assert_usable()


def test_slot_that_aborts_leaves_a_beginning_in_the_destination(each_case):
    for case in each_case(lambda case: case.http.abort):
        case.finish()
        if case.kind != "reader":
            whole = case.server.body(case.paths[0])
            assert whole.startswith(case.content(0))
            if case.kind == "file":
                assert case.tos[0].tell() == len(case.content(0))


def test_slot_that_aborts_and_queues_starts_a_new_batch_at_once(each_case):
    def deed_of(case):
        def deed():
            case.http.abort()
            case.added = case.http.get(case.server.path("thirds", SIZE, "added"))
        return deed

    for case in each_case(deed_of):
        case.finish()
        assert case.told.finished[-1] == (case.added, False) and case.told.of("done")[-1] is False
        assert case.http.readAll() == case.server.body(case.server.path("thirds", SIZE, "added"))


def test_slot_that_queues_request_runs_last(each_case):
    def deed_of(case):
        def deed():
            case.added = case.http.get(case.server.path("thirds", SIZE, "added"))
        return deed

    for case in each_case(deed_of):
        case.finish()
        assert case.told.finished == [(number, False) for number in [*case.numbers, case.added]]
        assert case.http.readAll() == case.server.body(case.server.path("thirds", SIZE, "added"))


def test_slot_that_queues_a_close_connection_closed_at_the_end(each_case):
    def deed_of(case):
        def deed():
            case.added = case.http.close()
        return deed

    for case in each_case(deed_of):
        case.finish()
        assert case.told.finished == [(number, False) for number in [*case.numbers, case.added]]
        assert case.http.state() == QHttp.Unconnected
        case.assert_usable()


def test_slot_that_disconnects_itself_called_once(each_case):
    def deed_of(case):
        return lambda: (case.signal.disconnect(case.slot), setattr(case, "n_done", 0))

    for case in each_case(deed_of):
        case.finish()
        assert case.n_done <= 1
        case.assert_undisturbed()


def test_slot_that_disconnects_everything_requests_still_run(each_case):
    def deed_of(case):
        def deed():
            for name in ("requestStarted", "requestFinished", "done", "stateChanged", "responseHeaderReceived", "readyRead",
                         "dataReadProgress", "dataSendProgress"):
                getattr(case.http, name).disconnect()
        return deed

    for case in each_case(deed_of):
        case.finish()
        assert (case.http.currentId(), case.http.error()) == (0, QHttp.NoError)
        assert [case.content(n) for n in range(2)] == [case.server.body(path) for path in case.paths]


def test_slot_that_connects_another_others_told_from_then_on(each_case):
    def deed_of(case):
        case.late = []
        return lambda: case.http.done.connect(case.late.append)

    for case in each_case(deed_of):
        case.finish()
        case.assert_undisturbed()
        assert case.late == ([] if each_case.place == "done" else [False])


def test_slot_that_raises_error_out_of_the_loop_and_requests_finish(each_case):
    def deed_of(case):
        def deed():
            raise Boom
        return deed

    for case in each_case(deed_of):
        with pytest.raises(Boom):
            case.http.waitForDone(PATIENCE_MS)
        case.finish()
        case.assert_undisturbed()


@pytest.mark.parametrize("turn", ["run", "wait", "dispatch"])
def test_slot_that_turns_the_loop_a_while_requests_finish(each_case, turn):
    def deed_of(case):
        return {"run": lambda: qhttp.run(TURN_MS), "wait": lambda: case.http.waitForDone(TURN_MS),
                "dispatch": lambda: [qhttp.loop().dispatch() for _ in range(5)]}[turn]

    for case in each_case(deed_of):
        case.finish()
        case.assert_undisturbed()
        assert case.told.of("done") == [False]
        assert case.told.of("responseHeaderReceived") == [200, 200]
        assert all(status == 200 for status in case.told.of("readyRead"))


def test_slot_that_turns_the_loop_every_time_requests_finish(each_case):
    def deed_of(case):
        return lambda: (setattr(case, "n_done", 0), qhttp.run(1))

    for case in each_case(deed_of):
        case.finish()
        case.assert_undisturbed()
        assert case.told.of("done") == [False]


def test_slot_that_aborts_and_turns_the_loop_ends_once(each_case):
    def deed_of(case):
        return lambda: (case.http.abort(), case.http.waitForDone(TURN_MS))

    for case in each_case(deed_of):
        case.finish()
        assert len(case.told.of("done")) == 1
        case.assert_usable()


def test_slot_that_drops_the_last_reference_requests_finish_then_object_goes(each_case):
    def deed_of(case):
        return lambda: delattr(case, "http")

    for case in each_case(deed_of):
        del case.signal
        case.finish()
        assert case.told.finished == [(number, False) for number in case.numbers] and case.told.of("done") == [False]
        assert case.reference() is None
        if case.kind != "reader":
            assert [case.content(n) for n in range(2)] == [case.server.body(path) for path in case.paths]


def test_slot_that_deletes_later_batch_aborted_and_slots_silent(each_case):
    for case in each_case(lambda case: case.http.deleteLater):
        case.finish()
        told = case.told
        done = told.of("done")
        assert done == ([False] if each_case.place == "done" else [True])
        assert case.http.state() == QHttp.Unconnected
        n_told = len(told.events)
        case.http.get(case.paths[0])
        case.http.waitForDone(PATIENCE_MS)
        assert len(told.events) == n_told       # nobody listens any more


def test_slot_that_deletes_later_and_turns_the_loop_ends_once(each_case):
    for case in each_case(lambda case: lambda: (case.http.deleteLater(), qhttp.run(TURN_MS))):
        case.finish()
        assert len(case.told.of("done")) <= 1 and (case.http.currentId(), case.http.state()) == (0, QHttp.Unconnected)


def test_slot_that_reads_everything_pieces_add_up(each_case):
    for case in each_case(lambda case: lambda: None):
        pieces = {}
        for name in ("readyRead", "dataReadProgress", "requestFinished"):
            getattr(case.http, name).connect(lambda *_, case=case, pieces=pieces:
                                             pieces.setdefault(case.http.currentId(), []).append(case.http.readAll()))
        case.finish()
        if case.kind == "reader":
            assert [b"".join(pieces[number]) for number in case.numbers] == [case.server.body(path) for path in case.paths]


def test_slot_that_changes_the_server_later_requests_go_there(each_case, scripted_server):
    other = scripted_server(beyond=answer(b"other"))

    def deed_of(case):
        return lambda: (case.http.setHost(other.host, other.port), case.http.get("/other"))

    for case in each_case(deed_of):
        case.finish()
        assert case.told.finished[-1][1] is False and case.http.readAll() == b"other"
        assert len(case.told.finished) == 4


def test_slot_that_does_everything_at_once_no_crash_and_no_hang(each_case):
    def deed_of(case):
        def deed():
            http = case.http
            http.get(case.paths[0])
            http.clearPendingRequests()
            http.close()
            http.setReadBufferSize(1)
            http.read(3)
            http.abort()
            http.setReadBufferSize(0)
            http.get(case.paths[0])
            http.abort()
            http.setHost("127.0.0.1", case.server.port)
            case.added = http.get(case.paths[1])
            with contextlib.suppress(Boom):
                http.waitForDone(TURN_MS)
            raise Boom
        return deed

    for case in each_case(deed_of):
        for _ in range(5):
            try:
                if case.http.waitForDone(PATIENCE_MS):
                    break
            except Boom:
                pass
        case.finish()
        assert case.told.finished[-1] == (case.added, False)
        case.assert_usable()
