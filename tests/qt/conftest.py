"""Qt's event loop in tests. Which binding: QT_API (pyside6, pyqt6); the two cannot be in one process.

`make test-world` runs these tests once with each. Without QT_API, or without that binding, they are skipped.
"""
import gc
import os
import sys

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
PATIENCE_MS = 10_000


def pytest_collection_modifyitems(config, items):
    reason = "QT_API does not say which binding"
    if "QT_API" in os.environ:
        try:
            import qtpy.QtCore  # noqa: F401
            return
        except Exception as error:          # qtpy's own, where there is no binding
            reason = f"no Qt: {error}"
    if "QT_API" in os.environ and os.environ.get("QHTTP_WORLD_REQUIRED") == "1":
        pytest.fail(reason, pytrace=False)
    for item in items:
        if "tests/qt/" in str(item.path):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def application():
    from qtpy.QtWidgets import QApplication
    yield QApplication.instance() or QApplication([])


@pytest.fixture
def turn(application):
    """turn(until): turns Qt's loop until the condition holds; an exception that reached sys.excepthook fails the test."""
    from qtpy.QtCore import QElapsedTimer, QEventLoop, QTimer

    seen, hook = [], sys.excepthook
    sys.excepthook = lambda *about: seen.append(about)

    def turn(until, patience_ms=PATIENCE_MS):
        clock, beat = QElapsedTimer(), QTimer()
        clock.start()
        beat.start(20)                  # so that processEvents comes back
        while not until():
            if clock.elapsed() > patience_ms:
                raise TimeoutError("it did not come")
            application.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
        beat.stop()

    turn.seen = seen
    yield turn
    sys.excepthook = hook
    gc.collect()
    unexpected, seen[:] = [about for about in seen if about[0] is not ZeroDivisionError], []
    assert not unexpected, unexpected
