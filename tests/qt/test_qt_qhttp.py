"""qhttp.qt.QHttp: a QObject whose signals, slots, parents, threads and progress bars are Qt's."""
import gc
import os
import weakref

import pytest
from support import faults
from support.actions import ReceiveRequest, Send

pytestmark = pytest.mark.usefixtures("application")
BIG = b"x" * (3 << 20)


def qhttp_qt():
    import qhttp.qt
    return qhttp.qt


def connected(server, **options):
    return qhttp_qt().QHttp(server.host, server.port, **options)


class Seen:
    """What came by which signal, in order."""

    def __init__(self, http, *names):
        self.events = []
        for name in names:
            getattr(http, name).connect(lambda *args, name=name: self.events.append((name, *args)))

    def has(self, name):
        return any(event[0] == name for event in self.events)

    def of(self, name):
        return [event[1:] for event in self.events if event[0] == name]


def test_qt_signals_of_a_request_come_in_the_order_of_qhttp(scripted_server, turn):
    http = connected(scripted_server(faults.answer()))
    seen = Seen(http, "requestStarted", "stateChanged", "responseHeaderReceived", "dataReadProgress", "readyRead",
                "requestFinished", "done")
    number = http.get("/")
    turn(lambda: seen.has("done"))
    assert [name for name, *_ in seen.events if name != "stateChanged"] == [
        "requestStarted", "responseHeaderReceived", "dataReadProgress", "readyRead", "requestFinished", "done"]
    assert seen.of("requestFinished") == [(number, False)] and seen.of("done") == [(False,)]
    assert seen.of("responseHeaderReceived")[0][0].statusCode() == 200
    assert seen.of("dataReadProgress") == [(len(faults.BODY), len(faults.BODY))]
    assert [state for state, in seen.of("stateChanged")][-1] == http.State.Connected
    assert http.readAll() == faults.BODY and http.error() == http.NoError


def test_qt_signal_reaches_slots_of_qt_objects(scripted_server, turn):
    from qtpy.QtCore import QObject, Slot

    class Receiver(QObject):
        got = None

        @Slot(bool)
        def take(self, error):
            self.got = error, self.sender()

    http, receiver = connected(scripted_server(faults.answer())), Receiver()
    http.done.connect(receiver.take)
    http.get("/")
    turn(lambda: receiver.got is not None)
    assert receiver.got == (False, http)


def test_qt_disconnected_slot_is_not_called(scripted_server, turn):
    http, calls, over = connected(scripted_server(faults.answer())), [], []
    slot = calls.append
    http.requestStarted.connect(slot)
    http.done.connect(over.append)
    http.requestStarted.disconnect(slot)
    http.get("/")
    turn(lambda: over)
    assert calls == []


def test_qt_errors_are_those_of_qhttp(scripted_server, turn):
    http = connected(scripted_server(beyond=faults.cut_body()))
    seen = Seen(http, "done")
    http.get("/")
    turn(lambda: seen.has("done"))
    assert seen.of("done") == [(True,)] and http.error() == http.WrongContentLength and http.errorString()


def test_qt_abort_is_a_slot(scripted_server, turn):
    from qtpy.QtCore import QTimer
    http = connected(scripted_server(faults.stall()))
    seen = Seen(http, "responseHeaderReceived", "requestFinished", "done")
    http.get("/")
    turn(lambda: seen.has("responseHeaderReceived"))
    QTimer.singleShot(0, http.abort)
    turn(lambda: seen.has("done"))
    assert http.error() == http.Aborted


def test_qt_sizes_beyond_an_int_reach_slots_and_progress_bars(scripted_server, turn):
    from qtpy.QtWidgets import QProgressBar
    n = 5 << 30
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nhello" % n
    http, bar = connected(scripted_server([ReceiveRequest(), Send(head)])), QProgressBar()
    seen = Seen(http, "dataReadProgress")
    http.progressMaximum.connect(bar.setMaximum)
    http.progressValue.connect(bar.setValue)
    http.get("/")
    turn(lambda: seen.has("dataReadProgress"))
    assert seen.of("dataReadProgress") == [(5, n)]
    assert bar.maximum() == n >> 10 and bar.value() == 0
    http.abort()


def test_qt_progress_bar_is_busy_where_the_size_is_unknown_and_full_at_the_end(scripted_server, turn):
    from qtpy.QtWidgets import QProgressBar
    server = scripted_server(faults.answer_until_close(), [ReceiveRequest(), Send(faults.whole(BIG))])
    http, bar = connected(server), QProgressBar()
    seen = Seen(http, "done")
    http.progressMaximum.connect(bar.setMaximum)
    http.progressValue.connect(bar.setValue)
    http.get("/")
    turn(lambda: seen.has("done"))
    assert (bar.minimum(), bar.maximum()) == (0, 0)
    http.get("/")
    turn(lambda: len(seen.of("done")) == 2)
    assert bar.maximum() == bar.value() == len(BIG)


def test_qt_asking_slot_connected_directly_is_heard(scripted_server, turn):
    challenge = b'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="r"\r\nContent-Length: 0\r\n\r\n'
    server = scripted_server([ReceiveRequest(), Send(challenge), ReceiveRequest(), Send(faults.whole())])
    http = connected(server)
    seen = Seen(http, "done")

    def answer(host, port, authenticator):
        authenticator.setUser("me")
        authenticator.setPassword("pw")
    http.authenticationRequired.connect(answer)
    http.get("/")
    turn(lambda: seen.has("done"))
    assert http.error() == http.NoError and b"Basic bWU6cHc=" in server.connections[0].taken[1]


def test_qt_exception_in_a_slot_does_not_stop_the_transfer(scripted_server, turn):
    http = connected(scripted_server(faults.answer()))
    seen = Seen(http, "done")
    http.responseHeaderReceived.connect(lambda header: 1 / 0)
    http.get("/")
    turn(lambda: seen.has("done"))
    assert http.readAll() == faults.BODY


# -- threads
def call_in(thread, slot, meanwhile):
    """Starts the thread, has the slot of an object that lives there called, and ends it after `meanwhile()`."""
    from qtpy.QtCore import QObject, Signal

    class Starter(QObject):
        start = Signal()

    starter = Starter()
    starter.start.connect(slot)
    thread.start()
    try:
        starter.start.emit()
        meanwhile()
    finally:
        thread.quit()
        assert thread.wait(5000)


def test_qt_object_moved_to_a_thread_works_there(scripted_server, turn, application):
    from qtpy.QtCore import QThread
    server = scripted_server(faults.answer(*[faults.BODY] * 3))
    http, thread, seen, where = connected(server), QThread(), [], []
    http.done.connect(lambda error: seen.append((error, bytes(http.readAll()))), qhttp_qt().DIRECT)
    http.done.connect(lambda error: where.append(QThread.currentThread() == thread), qhttp_qt().DIRECT)
    http.get("/")                       # waits, and goes along
    http.moveToThread(thread)
    call_in(thread, http.resume, lambda: turn(lambda: seen))
    assert seen == [(False, faults.BODY)] and where == [True]


@pytest.mark.parametrize("moment", ["after abort", "in done", "in the midst"])
def test_qt_object_moved_at_any_moment_works_in_its_thread(scripted_server, turn, moment):
    from qtpy.QtCore import QObject, QThread, Slot

    class Asker(QObject):
        @Slot()
        def ask(self):
            http.get("/late")

    server, direct = scripted_server(faults.stall(), beyond=faults.answer(*[faults.BODY] * 3)), qhttp_qt().DIRECT
    http, thread, asker, moved, ends = connected(server), QThread(), Asker(), [], []
    heads = Seen(http, "responseHeaderReceived")
    http.get("/")
    turn(lambda: heads.has("responseHeaderReceived"))
    if moment == "in done":
        http.done.connect(lambda error: moved or moved.append(http.moveToThread(thread)), direct)
    if moment != "in the midst":
        http.abort()
    if moment == "after abort":
        http.get("/waits")
    if moment != "in done":
        http.moveToThread(thread)
    assert http.thread() == thread
    http.done.connect(lambda error: ends.append((error, QThread.currentThread() == thread, bytes(http.readAll()))), direct)
    asker.moveToThread(thread)
    call_in(thread, http.resume if moment == "after abort" else asker.ask, lambda: turn(lambda: ends))
    assert ends == [(False, True, faults.BODY)]


def test_qt_object_moved_in_the_midst_does_what_waits_in_its_thread_in_order(scripted_server, turn):
    from qtpy.QtCore import QThread
    server, direct = scripted_server(faults.stall(), beyond=faults.answer(b"one", b"two", b"three")), qhttp_qt().DIRECT
    http, thread, ends = connected(server), QThread(), []
    heads, done = Seen(http, "responseHeaderReceived"), []
    numbers = [http.get(path) for path in ("/0", "/1", "/2", "/3")]
    turn(lambda: heads.has("responseHeaderReceived"))
    http.requestFinished.connect(
        lambda number, error: ends.append((number, error, bytes(http.readAll()), QThread.currentThread() == thread)), direct)
    http.done.connect(done.append, direct)
    http.moveToThread(thread)
    assert [end[:2] for end in ends] == [(numbers[0], True)] and done == [True]
    del ends[:]
    call_in(thread, http.resume, lambda: turn(lambda: len(done) == 2))
    assert ends == [(number, False, body, True) for number, body in zip(numbers[1:], (b"one", b"two", b"three"), strict=True)]
    assert done == [True, False]
    assert [taken.split(b" ")[1] for taken in server.connections[1].taken] == [b"/1", b"/2", b"/3"]


def test_qt_object_moved_in_the_midst_aborts_first(scripted_server, turn):
    from qtpy.QtCore import QThread
    http, thread = connected(scripted_server(faults.stall())), QThread()
    seen = Seen(http, "responseHeaderReceived", "requestFinished")
    number = http.get("/")
    turn(lambda: seen.has("responseHeaderReceived"))
    http.moveToThread(thread)
    assert seen.of("requestFinished") == [(number, True)]
    thread.start()
    thread.quit()
    assert thread.wait(5000)


def test_qt_call_from_another_thread_says_so(scripted_server, turn):
    import threading
    http, raised = connected(scripted_server(faults.answer())), []
    http.get("/")

    def call():
        try:
            http.get("/")
        except RuntimeError as error:
            raised.append(str(error))
    worker = threading.Thread(target=call)
    worker.start()
    worker.join()
    assert len(raised) == 1 and "thread" in raised[0]
    http.abort()


# -- lives
def test_qt_object_whose_parent_ends_ends_its_requests(scripted_server, turn, application):
    from qtpy.QtCore import QEvent, QObject
    server, parent = scripted_server(faults.stall()), QObject()
    http = connected(server, parent=parent)
    assert http.parent() == parent
    seen = Seen(http, "responseHeaderReceived")
    http.get("/")
    turn(lambda: seen.has("responseHeaderReceived"))
    plain = http._plain
    parent.deleteLater()
    application.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    turn(lambda: plain.state().name == "Unconnected" and not plain.currentId())


def test_qt_objects_that_nobody_keeps_are_freed(scripted_server, turn):
    server, ended = scripted_server(faults.answer()), []
    http = connected(server)
    http.done.connect(ended.append)
    http.get("/")
    turn(lambda: ended)
    reference = weakref.ref(http)
    del http
    gc.collect()
    assert reference() is None


def test_qt_descriptors_go_back(scripted_server, turn):
    def once():
        server, ended = scripted_server(faults.answer()), []
        http = connected(server)
        http.done.connect(ended.append)
        http.get("/")
        turn(lambda: ended)
        server.close()
        http.deleteLater()
        del http

    once()
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        once()
    gc.collect()
    turn(lambda: len(os.listdir("/proc/self/fd")) <= before)


def test_plain_qhttp_in_qts_loop_after_attach(scripted_server, turn):
    import qhttp
    qhttp_qt().attach()
    server, ended = scripted_server(faults.answer()), []
    http = qhttp.QHttp(server.host, server.port)
    http.done.connect(ended.append)
    http.get("/")
    turn(lambda: ended)
    assert http.readAll() == faults.BODY


def test_plain_slot_that_raises_goes_to_the_excepthook(scripted_server, turn):
    import qhttp
    qhttp_qt().attach()
    http, ended = qhttp.QHttp(scripted_server(faults.answer()).host, 1), []
    http.done.connect(lambda error: 1 / 0)
    http.done.connect(ended.append)
    http.get("/")
    turn(lambda: ended and turn.seen)
    assert turn.seen[0][0] is ZeroDivisionError


def test_qt_constructor_takes_what_qhttp_takes(application):
    from qtpy.QtCore import QObject
    kind, parent = qhttp_qt().QHttp, QObject()
    assert kind(parent).parent() == parent and kind("host", 80, parent).parent() == parent
    assert kind().parent() is None and "Unconnected" in repr(kind("host", kind.ConnectionModeHttps))
    with pytest.raises(TypeError):
        kind("host", "80")
