"""qhttp as in `qhttp_face`, in Qt's event loop: one QSocketNotifier drives all lanes; signals are qhttp's own."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from bench.contenders.qhttp_face import Lanes
from bench.contenders.runner import Job, needed, run
from qhttp import QHttp

os.environ.setdefault("QT_API", "pyside6")
needed("qtpy")
needed("PySide6")

from qtpy.QtCore import QCoreApplication  # noqa: E402

import qhttp.qt  # noqa: E402  (needs a binding)


def play(job: Job, make: Callable[[str, int], Any]) -> int:
    """With objects made by `make`."""
    application = QCoreApplication([])
    qhttp.qt.attach()
    lanes = Lanes(job, application.quit, make)
    application.exec()
    return lanes.n_right


def requests(job: Job) -> int:
    """One request after the other on each connection."""
    return play(job, QHttp)


if __name__ == "__main__":
    run(requests)
