"""QCoreApplication, QEventLoop and QTimer on the loop of the thread: what old programs turn and wait with."""
from __future__ import annotations

from qhttp._core import loop
from qhttp._signal import Signal
from qhttp.objects import QObject, _find_slot

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from typing import Any


def _awake() -> None:
    """Gets a loop that waits to look whether it was told to end."""


class QEventLoop(QObject):
    """Turns the thread's loop until it is told to end (Qt: QEventLoop).

    It also ends, with 0, when nothing is left that could happen: no request, no timer.
    """

    _code: int | None = None
    _depth = 0          # how many of its exec_() are under way

    def __init__(self, parent: object = None) -> None:
        super().__init__(parent)
        self._loop = loop()

    def exec_(self) -> int:
        """Turns the loop until quit() or exit(code); returns that code. Raises what run() raises (Qt: QEventLoop::exec).

        A slot that is told to end it meanwhile goes on to its own end first, also where it turns the loop itself.
        """
        self._code = None
        self._depth += 1
        try:
            self._loop._run_until(self._is_told)
        finally:
            self._depth -= 1
        return self._code or 0

    exec = exec_

    def _is_told(self) -> bool:
        return self._code is not None

    def exit(self, code: int = 0) -> None:
        """Ends exec_(), which will return `code`; may be called from any thread (Qt: QEventLoop::exit)."""
        self._code = code
        self._loop.call_from_thread(_awake)

    def quit(self) -> None:
        """Ends exec_() (Qt: QEventLoop::quit)."""
        self.exit(0)

    def isRunning(self) -> bool:
        """Whether exec_() is under way (Qt: QEventLoop::isRunning)."""
        return self._depth > 0

    def processEvents(self, *_: Any) -> None:
        """Does what is to be done now, and returns (Qt: QEventLoop::processEvents)."""
        self._loop.run(0)


class QCoreApplication(QEventLoop):
    """The application: the outermost event loop (Qt: QCoreApplication)."""

    _instance: QCoreApplication | None = None

    def __init__(self, argv: list[str] | None = None) -> None:
        super().__init__()
        self._argv = list(argv or ())
        QCoreApplication._instance = self

    @staticmethod
    def instance() -> QCoreApplication | None:
        """The one that was made last (Qt: QCoreApplication::instance)."""
        return QCoreApplication._instance

    def arguments(self) -> list[str]:
        """What it was given (Qt: QCoreApplication::arguments)."""
        return list(self._argv)


class QTimer(QObject):
    """Emits timeout() after some time, once or again and again (Qt: QTimer). It lives as long as it runs."""

    timeout: Signal

    def __init__(self, parent: object = None) -> None:
        super().__init__(parent)
        self.timeout = Signal("timeout", 0)
        self._msecs, self._single, self._timer = 0, False, None     # type: int, bool, Any

    @staticmethod
    def singleShot(msecs: int, receiver: Any, slot: str | None = None) -> None:
        """Calls a function, or a receiver's slot SLOT("..."), once after `msecs` milliseconds (Qt: QTimer::singleShot)."""
        function = receiver if slot is None else _find_slot(receiver, slot)[0]
        if not callable(function):
            raise TypeError(f"what is to be called must be callable, not {type(function).__name__}")
        loop().call_later(msecs / 1000, function)

    def start(self, msecs: int | None = None) -> None:
        """Starts it, or starts it anew (Qt: QTimer::start)."""
        if msecs is not None:
            self.setInterval(msecs)
        self.stop()
        self._timer = loop().call_later(self._msecs / 1000, self._ring)

    def stop(self) -> None:
        """Stops it (Qt: QTimer::stop)."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _ring(self) -> None:
        self._timer = None
        if not self._single:
            self.start()
        self.emit(self.timeout)

    def isActive(self) -> bool:
        """Whether it runs (Qt: QTimer::isActive)."""
        return self._timer is not None

    def interval(self) -> int:
        """Milliseconds: int (Qt: QTimer::interval)."""
        return self._msecs

    def setInterval(self, msecs: int) -> None:
        """Sets the time: int, milliseconds (Qt: QTimer::setInterval)."""
        if isinstance(msecs, bool) or not isinstance(msecs, int) or msecs < 0:
            raise ValueError(f"msecs must be an int from 0 on, not {msecs!r}")
        self._msecs = msecs

    def isSingleShot(self) -> bool:
        """Whether it rings once only (Qt: QTimer::isSingleShot)."""
        return self._single

    def setSingleShot(self, single: bool) -> None:
        """Makes it ring once only (Qt: QTimer::setSingleShot)."""
        self._single = bool(single)

    def _end(self) -> None:
        self.stop()
        self.timeout.disconnect()
        super()._end()
