"""QObject, SIGNAL and SLOT: connections by name in all spellings, senders, blocked signals, parents and their ends."""
import gc
import threading
import weakref

import pytest
from support.actions import ReceiveRequest, Send
from support.faults import whole
from support.gil import counts_references

import qhttp
from qhttp import QHttp
from qhttp._signal import Signal
from qhttp.objects import SIGNAL, SLOT, QObject


class Receiver(QObject):
    """Notes what its slots are given, and who sent it."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self.noted, self.senders = [], []

    def note(self, *args):
        self.noted.append(args)
        self.senders.append(self.sender())

    def bare(self):
        self.note()

    def one(self, value):
        self.note(value)


@pytest.fixture
def receiver():
    return Receiver()


@pytest.fixture
def silent_server(scripted_server):
    """Takes requests and never answers."""
    return scripted_server(beyond=[ReceiveRequest()])


# -- connecting by name
CONNECTS = {
    "static": lambda http, me: QObject.connect(http, SIGNAL("done(bool)"), me.one),
    "of the emitter": lambda http, me: http.connect(http, SIGNAL("done(bool)"), me.one),
    "of the receiver": lambda http, me: me.connect(http, SIGNAL("done(bool)"), me, SLOT("one(bool)")),
    "short": lambda http, me: http.connect(SIGNAL("done(bool)"), me.one),
    "short with a slot's name": lambda http, me: http.connect(SIGNAL("done(bool)"), me, SLOT("one(bool)")),
    "the receiver's own slot": lambda http, me: me.connect(http, SIGNAL("done(bool)"), SLOT("one(bool)")),
    "spaces": lambda http, me: QObject.connect(http, SIGNAL("  done( bool ) "), me, SLOT(" one( bool )")),
    "no parentheses": lambda http, me: QObject.connect(http, SIGNAL("done"), me.one),
    "a signal": lambda http, me: QObject.connect(http, http.done, me.one),
    "the class": lambda http, me: QHttp.connect(http, SIGNAL("done(bool)"), me.one),
}


@pytest.mark.parametrize("way", CONNECTS)
def test_connect_in_an_old_way_slot_called(receiver, way):
    http = QHttp()
    assert CONNECTS[way](http, receiver) is True
    http.done.emit(True)
    assert receiver.noted == [(True,)]


@pytest.mark.parametrize("signature, n_args", [
    ("  requestFinished( int , bool ) ", 2), ("requestFinished(int,bool)", 2), ("readyRead(const QHttpResponseHeader &)", 1),
    ("responseHeaderReceived(const QHttpResponseHeader&)", 1), ("stateChanged(int)", 1), ("dataReadProgress(int,int)", 2),
    ("sslErrors(const QList<QSslError> &)", 1), ("authenticationRequired(const QString &, quint16, QAuthenticator *)", 3),
    ("proxyAuthenticationRequired(const QNetworkProxy &, QAuthenticator *)", 2)])
def test_connect_signature_as_written_in_old_code_found(receiver, signature, n_args):
    http = QHttp()
    http.connect(http, SIGNAL(signature), receiver.note)
    getattr(http, signature.partition("(")[0].strip()).emit(*range(n_args))
    assert receiver.noted == [tuple(range(n_args))]


@pytest.mark.parametrize("signature", ["finished(bool)", "done(bool,int)", "done()", "", "(bool)", "get(QString)", "_options"])
def test_connect_unknown_signal_error_lists_the_signals(receiver, signature):
    with pytest.raises(AttributeError, match=r"has no signal.*its signals are: .*done.*requestFinished"):
        QObject.connect(QHttp(), SIGNAL(signature), receiver.note)


def test_connect_unknown_slot_raises(receiver):
    for slot in ("nothing()", "noted()"):
        with pytest.raises(AttributeError, match="Receiver has no slot"):
            QObject.connect(QHttp(), SIGNAL("done(bool)"), receiver, SLOT(slot))


@pytest.mark.parametrize("arguments", [(), (SIGNAL("done(bool)"),), (SIGNAL("done(bool)"), None), (SIGNAL("done(bool)"), 5),
                                       (QHttp, 5, print), (SIGNAL("done(bool)"), 1, 2, 3, 4)])
def test_connect_nonsense_raises(arguments):
    with pytest.raises(TypeError):
        QHttp().connect(*arguments)


def test_signal_and_slot_are_qts_strings():
    assert (SIGNAL("done(bool)"), SLOT("abort()")) == ("2done(bool)", "1abort()")
    with pytest.raises(TypeError, match="signature must be str"):
        SIGNAL(5)


@pytest.mark.parametrize("slot, expected", [("bare()", ()), ("one(int)", (1,)), ("note(int)", (1,)), ("note()", ()),
                                            ("note(int,int)", (1, 2))])
def test_slot_by_name_gets_as_many_arguments_as_it_names(receiver, slot, expected):
    http = QHttp()
    http.connect(http, SIGNAL("dataReadProgress(int,int)"), receiver, SLOT(slot))
    http.dataReadProgress.emit(1, 2)
    assert receiver.noted == [expected]


def test_slot_in_c_gets_as_many_arguments_as_its_name_has():
    http, found = QHttp(), []

    class Bar:
        setValue = found.append

    http.connect(http, SIGNAL("dataReadProgress(int,int)"), Bar, SLOT("setValue(int)"))
    http.dataReadProgress.emit(1, 2)
    assert found == [1]


def test_connect_signal_to_signal_passes_it_on(receiver):
    first, second = QHttp(), QHttp()
    QObject.connect(first, SIGNAL("done(bool)"), second, SIGNAL("done(bool)"))
    second.done.connect(receiver.note)
    first.done.emit(False)
    assert receiver.noted == [(False,)]
    assert QObject.disconnect(first, SIGNAL("done(bool)"), second, SIGNAL("done(bool)"))
    first.done.emit(False)
    assert len(receiver.noted) == 1


DISCONNECTS = {
    "static": lambda http, me: QObject.disconnect(http, SIGNAL("done(bool)"), me.one),
    "by name": lambda http, me: me.disconnect(http, SIGNAL(" done(bool)"), me, SLOT("one(bool)")),
    "short": lambda http, me: http.disconnect(SIGNAL("done(bool)"), me.one),
    "all of a signal": lambda http, me: http.disconnect(SIGNAL("done(bool)")),
    "all of a signal, static": lambda http, me: QObject.disconnect(http, SIGNAL("done(bool)")),
    "all of a signal by None": lambda http, me: QObject.disconnect(http, SIGNAL("done(bool)"), None, None),
    "all": lambda http, me: http.disconnect(),
    "all by None": lambda http, me: QObject.disconnect(http, None, None, None),
}


@pytest.mark.parametrize("way", DISCONNECTS)
def test_disconnect_in_an_old_way_slot_not_called(receiver, way):
    http = QHttp()
    http.connect(http, SIGNAL("done(bool)"), receiver.one)
    assert DISCONNECTS[way](http, receiver) is True
    http.done.emit(True)
    assert receiver.noted == []


def test_disconnect_what_was_not_connected_is_false(receiver):
    http = QHttp()
    assert http.disconnect(SIGNAL("done(bool)"), receiver.one) is False
    with pytest.raises(AttributeError, match="has no signal"):
        http.disconnect(SIGNAL("nothing()"), receiver.one)


# -- signals of one's own
def test_own_signal_comes_into_being_by_being_mentioned(receiver):
    other = QObject()
    QObject.connect(other, SIGNAL("progressed(int, QString)"), receiver.note)
    other.emit(SIGNAL("progressed(int,QString)"), 5, "x")
    other.emit(SIGNAL("unheard()"))
    assert receiver.noted == [(5, "x")] and receiver.senders == [other] and receiver.sender() is None
    other.disconnect()
    other.emit(SIGNAL("progressed(int,QString)"), 6, "y")
    assert len(receiver.noted) == 1


def test_own_signal_of_a_class_connects_by_name(receiver):
    class Job(QObject):
        def __init__(self):
            self.finished = Signal("finished", 1)

    job = Job()
    job.connect(SIGNAL("finished(int)"), receiver.note)
    job.emit(SIGNAL("finished(int)"), 3)
    assert job.blockSignals(True) is False
    job.emit(SIGNAL("finished(int)"), 4)
    assert job.blockSignals(False) is True and receiver.noted == [(3,)]
    with pytest.raises(TypeError, match="has 1 arguments"):
        job.emit(SIGNAL("finished(int)"))


def test_own_signal_with_too_many_arguments_raises(receiver):
    with pytest.raises(AttributeError, match="has no signal"):
        receiver.connect(SIGNAL("much(int,int,int,int)"), receiver.note)


# -- sender, blocked signals
def test_sender_is_the_object_whose_slot_runs_also_nested(receiver, make, path_server, finish):
    first, second = make(path_server), make(path_server)
    order = []

    def nested(number, error):
        order.append(receiver.sender())
        second.get(path_server.path("thirds"))
        second.waitForDone(2000)
        order.append(receiver.sender())

    first.requestFinished.connect(nested)
    second.done.connect(receiver.bare)
    first.get(path_server.path("thirds"))
    finish(first)
    assert order == [first, first] and receiver.senders == [second] and receiver.sender() is None


def test_sender_after_a_slot_that_raises_is_none(receiver, make, path_server):
    http = make(path_server)
    http.done.connect(lambda: 1 / 0)
    http.get(path_server.path("whole"))
    with pytest.raises(ZeroDivisionError):
        qhttp.run()
    assert receiver.sender() is None


def test_blocked_signals_silence_but_transfer_goes_on(make, path_server, finish, record):
    http = make(path_server)
    told = record(http)
    assert http.blockSignals(True) is False and http.signalsBlocked()
    path = path_server.path("chunks")
    http.get(path)
    finish(http)
    assert told.events == [] and http.readAll() == path_server.body(path)
    assert http.blockSignals(False) is True
    http.get(path)
    finish(http)
    assert told.names[-1] == "done" and len(told.finished) == 1


def test_blocked_signals_silence_errors_and_abort(make, silent_server, finish, record):
    http = make(silent_server)
    told = record(http)
    http.blockSignals(True)
    http.get("/")
    http.abort()
    finish(http)
    assert told.events == [] and http.error() == QHttp.Aborted


# -- family
def test_object_has_name_parent_and_children():
    parent, child = QObject(), QHttp()
    assert (child.parent(), parent.children(), child.objectName()) == (None, [], "")
    child.setParent(parent)
    child.setObjectName("me")
    assert child.parent() is parent and parent.children() == [child] and child.objectName() == "me"
    child.setParent(None)
    assert child.parent() is None and parent.children() == []


def test_parent_holds_its_children_and_they_do_not_hold_it():
    parent = QObject()
    child = weakref.ref(QHttp(parent))
    grandchild = weakref.ref(QObject(child()))
    assert parent.children() == [child()] and child().children() == [grandchild()]
    gone = weakref.ref(parent)
    gc.disable()
    try:
        del parent
        assert gone() is None and child() is None and grandchild() is None
    finally:
        gc.enable()


def test_parent_that_is_itself_or_a_child_raises():
    parent = QObject()
    child = QHttp(parent)
    for value in (parent, child):
        with pytest.raises(ValueError, match="itself or one of its children"):
            parent.setParent(value)
    with pytest.raises(TypeError, match="weak references"):
        child.setParent(5)
    assert child.parent() is parent and parent.children() == [child]


class Plain:
    """No QObject: something of the user's."""


ENDS = {
    "last reference of an object": (Plain, lambda box: box.clear()),
    "last reference of a QObject": (QObject, lambda box: box.clear()),
    "last reference of a QHttp": (QHttp, lambda box: box.clear()),
    "deleteLater of a QObject": (QObject, lambda box: box[0].deleteLater()),
    "deleteLater of a QHttp": (QHttp, lambda box: box[0].deleteLater()),
    "grandparent": (lambda: QObject(GRANDPARENT[0]), lambda box: (box.clear(), GRANDPARENT[0].deleteLater())),
}
GRANDPARENT = []


@pytest.mark.parametrize("how", ENDS)
def test_parent_that_ends_aborts_its_child(how, silent_server, record, finish):
    make_parent, end = ENDS[how]
    GRANDPARENT[:] = [QObject()]
    box = [make_parent()]
    http = QHttp(silent_server.host, silent_server.port, box[0])
    told = record(http)
    number = http.get("/")
    silent_server.wait_for(lambda: qhttp.loop().run(5) or (silent_server.connections and silent_server.connections[0].taken))
    end(box)
    finish(http)
    assert told.finished == [(number, True)] and told.of("done") == [True] and http.error() == QHttp.Aborted
    assert http.parent() is None and http.state() == QHttp.Unconnected
    silent_server.wait_for(lambda: silent_server.connections[0].how_ended)


@counts_references
def test_parent_that_ends_in_another_thread_aborts_its_child_here(silent_server, finish, record):
    box = [Plain()]
    http = QHttp(silent_server.host, silent_server.port, box[0])
    threads = []
    http.done.connect(lambda: threads.append(threading.get_ident()))
    http.get("/")
    qhttp.loop().run(20)
    thread = threading.Thread(target=box.clear)
    thread.start()
    finish(http)
    thread.join()
    assert threads == [threading.get_ident()] and http.error() == QHttp.Aborted


def test_parent_left_before_it_ends_nothing_happens(make, path_server, finish):
    first, second = QObject(), Plain()
    http = QHttp(path_server.host, path_server.port, first)
    http.setParent(second)
    first.deleteLater()
    http.setParent(None)
    del second
    http.get(path_server.path("thirds"))
    finish(http)
    assert http.error() == QHttp.NoError and http.bytesAvailable() == 90


def test_child_with_requests_outlives_its_references(scripted_server, record):
    server = scripted_server([ReceiveRequest(), Send(whole(b"body"))])
    parent, bodies = QObject(), []

    def begin():
        http = QHttp(server.host, server.port, parent)
        http.connect(http, SIGNAL("done(bool)"), lambda: bodies.append(parent.children()[0].readAll()))
        http.get("/")

    begin()
    assert qhttp.run(4000) and bodies == [b"body"]


def test_deleted_child_leaves_its_parent():
    parent = QObject()
    child = QHttp(parent)
    child.deleteLater()
    assert qhttp.run(100) and parent.children() == []
