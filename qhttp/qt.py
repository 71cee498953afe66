"""QHttp as a real QObject with real Qt signals, for PySide6 and PyQt6 (through qtpy), in the event loop of its thread.

    http = qhttp.qt.QHttp("example.org")
    http.done.connect(window.show_answer)           # a Qt connection, of any kind
    http.progressMaximum.connect(bar.setMaximum)    # a QProgressBar: 0 makes it busy
    http.progressValue.connect(bar.setValue)
    http.get("/")

Behind it is a qhttp.QHttp, in the loop of the thread that the object lives in; one QSocketNotifier for each thread drives it.
A signal that nothing is connected to costs nothing.
"""
from __future__ import annotations

import sys
from functools import wraps
from threading import get_ident
from typing import Any

from qtpy import API_NAME
from qtpy.QtCore import QAbstractEventDispatcher, QEvent, QMetaMethod, QObject, QSocketNotifier, Qt, Signal, Slot

from qhttp._core import Loop, loop
from qhttp.http import QHttp as PlainQHttp
from qhttp.request_queue import ERROR_NAMES, STATE_NAMES

DIRECT = Qt.ConnectionType.DirectConnection
BAR_MAX = (1 << 31) - 1         # a QProgressBar counts in int
N_BYTES = "qint64" if API_NAME.startswith("PyQt") else "qlonglong"      # what the two bindings call 64 bits

# What works on the QHttp behind, with the arguments and the documentation of qhttp.QHttp.
_SAME = (
    "get", "head", "post", "request", "setHost", "setUser", "setProxy", "setSocket", "closeConnection", "hasPendingRequests",
    "currentId", "currentRequest", "currentUrl", "currentSourceDevice", "currentDestinationDevice", "lastResponse",
    "timings", "state", "error", "errorString", "bytesAvailable", "read", "readAll", "ignoreSslErrors", "setSslConfiguration",
    "setConnectTimeout", "setTransferTimeout", "setTotalTimeout", "setMinimumRate", "setReadBufferSize", "setPipelining",
    "setLimits",
)
_SIGNALS = {
    "requestStarted": (int,), "requestFinished": (int, bool), "done": (bool,), "stateChanged": (int,),
    "responseHeaderReceived": (object,), "readyRead": (object,), "dataReadProgress": (N_BYTES, N_BYTES),
    "dataSendProgress": (N_BYTES, N_BYTES), "authenticationRequired": (str, int, object),
    "proxyAuthenticationRequired": (object, object), "sslErrors": (object,),
}
_BAR_SIGNALS = ("progressMaximum", "progressValue")


_drivers: dict[int, _Driver] = {}        # by thread; thread-local data of a QThread does not outlive the call of a slot


class _Driver(QObject):
    """Turns the loop of a thread whenever its descriptor says that there is something to do."""

    def __init__(self, ours: Loop, dispatcher: QAbstractEventDispatcher) -> None:
        super().__init__(dispatcher)            # which ends with its thread
        self.ours = ours
        self.notifier = QSocketNotifier(ours.fileno(), QSocketNotifier.Type.Read, self)      # type: ignore[call-overload]
        self.notifier.activated.connect(self.turn)
        thread = get_ident()
        self.destroyed.connect(lambda: _drivers.pop(thread, None))

    def turn(self, *_: object) -> None:
        try:
            self.ours.dispatch()
        except Exception:
            sys.excepthook(*sys.exc_info())     # out of a slot of a plain signal: Qt must not see it


def attach() -> None:
    """Lets the Qt event loop of this thread turn its qhttp loop: from now on signals come while it runs. Safe to repeat.

    qhttp.qt.QHttp does it by itself; a plain qhttp.QHttp or qhttp.Downloader needs it once in each thread. What a slot of
    theirs raises goes to sys.excepthook. Raises RuntimeError in a thread without an event dispatcher: where there is no
    QCoreApplication yet, or outside of QThread.
    """
    dispatcher, ours = QAbstractEventDispatcher.instance(), loop()
    if dispatcher is None:
        raise RuntimeError("this thread has no Qt event loop: make a QCoreApplication first, or call from a QThread")
    driver = _drivers.get(get_ident())
    try:
        if driver is not None and driver.ours is ours and driver.parent() is not None:
            return
    except RuntimeError:                # it has ended with another application's event loop
        pass
    _drivers[get_ident()] = _Driver(ours, dispatcher)


class QHttp(QObject):
    """A qhttp.QHttp whose signals are Qt's: QHttp(), QHttp(parent), QHttp(hostname, ...) as there, with `parent=`.

    Requests, values and errors are those of qhttp.QHttp. Signals: requestStarted(int), requestFinished(int, bool), done(bool),
    stateChanged(int), responseHeaderReceived(header), readyRead(header), dataReadProgress(qint64, qint64),
    dataSendProgress(qint64, qint64), authenticationRequired(str, int, authenticator),
    proxyAuthenticationRequired(proxy, authenticator), sslErrors(list); and progressMaximum(int), progressValue(int) of the
    answer under way, for a progress bar: the maximum is 0 where the size is unknown, and scaled where it is above an int.

    It may be moved to another thread (moveToThread), where its requests and signals are then; the request that is under way at
    that moment is aborted (requestFinished and done with an error), those that wait go along, in their order. Its methods are
    for the thread it lives in; abort, close, resume and clearPendingRequests are Qt slots. A slot that asks
    (authenticationRequired, sslErrors) must be connected directly.
    """

    for _name, _types in _SIGNALS.items():
        locals()[_name] = Signal(*_types)
    progressMaximum, progressValue = Signal(int), Signal(int)
    del _name, _types

    State, Error, ConnectionMode = PlainQHttp.State, PlainQHttp.Error, PlainQHttp.ConnectionMode
    for _name in (*STATE_NAMES, *ERROR_NAMES, "ConnectionModeHttp", "ConnectionModeHttps"):
        locals()[_name] = getattr(PlainQHttp, _name)
    del _name

    def __init__(self, hostname: Any = None, mode: Any = None, port: Any = None, parent: QObject | None = None) -> None:
        if isinstance(hostname, QObject):       # QHttp(parent)
            hostname, parent = None, hostname
        if isinstance(port, QObject):           # QHttp(hostname, port, parent)
            port, parent = None, port
        super().__init__(parent)
        self._plain = PlainQHttp(hostname, mode, port)
        self._is_here, self._maximum, self._wanted = False, -1, set[str]()
        self.destroyed.connect(self._plain._delete_from_thread)     # by its parent, say

    def __repr__(self) -> str:
        return f"<qhttp.qt.{repr(self._plain)[1:-1]}>"

    def _here(self) -> PlainQHttp:
        """The one behind, in this thread's loop."""
        if not self._is_here:
            attach()
            self._plain._join_loop()
            self._is_here = True
        return self._plain

    # -- what has a meaning of its own for Qt
    @Slot()
    def abort(self) -> None:
        """See qhttp.QHttp.abort."""
        self._here().abort()

    @Slot()
    def clearPendingRequests(self) -> None:
        """See qhttp.QHttp.clearPendingRequests."""
        self._here().clearPendingRequests()

    @Slot()
    def resume(self) -> None:
        """Goes on with what was queued before the object was moved to this thread: connect it to QThread.started, say. Any
        other call does the same."""
        self._here()

    @Slot(result=int)
    def close(self) -> int:
        """See qhttp.QHttp.close."""
        return self._here().close()

    def connectNotify(self, signal: QMetaMethod) -> None:
        """From the first connection of a signal on, the one behind emits it (Qt: QObject::connectNotify)."""
        name = signal.name().data().decode()
        if name in _BAR_SIGNALS:
            name, slot = "dataReadProgress", self._show
        elif name in _SIGNALS:
            slot = getattr(self, name).emit
        else:
            return
        key = slot.__name__ if slot == self._show else name
        if key not in self._wanted:
            self._wanted.add(key)
            getattr(self._plain, name).connect(slot, len(_SIGNALS[name]))

    def _show(self, n_done: int, n_total: int) -> None:
        """Tells a progress bar."""
        maximum, value = n_total, n_done
        while maximum > BAR_MAX or (maximum == 0 and value > BAR_MAX):
            maximum, value = maximum >> 10, value >> 10
        if maximum != self._maximum:
            self._maximum = maximum
            self.progressMaximum.emit(maximum)
        self.progressValue.emit(value)

    def event(self, event: Any) -> bool:
        """Leaves the thread's loop before the object leaves the thread (Qt: QObject::event)."""
        if event.type() == QEvent.Type.ThreadChange and self._is_here:
            try:
                self._plain._leave_loop()
            finally:
                self._is_here = False
        return super().event(event)

    def deleteLater(self) -> None:
        """Aborts, closes the connection, and lets Qt delete the object (Qt: QObject::deleteLater)."""
        if self._is_here:
            self._plain.deleteLater()
        super().deleteLater()


def _forward(name: str) -> Any:
    @wraps(getattr(PlainQHttp, name))
    def forward(self: QHttp, *args: Any, **named: Any) -> Any:
        return getattr(self._here(), name)(*args, **named)
    return forward


for _name in _SAME:
    setattr(QHttp, _name, _forward(_name))
