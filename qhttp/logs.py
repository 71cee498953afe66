"""`logging.getLogger("qhttp")` at DEBUG: a line for each request, answer and end. No credentials, no queries, no bodies.

    logging.basicConfig()
    logging.getLogger("qhttp").setLevel(logging.DEBUG)      # before the objects are made

An object looks once, when it is made, whether the logger is enabled for DEBUG; if not, logging costs it nothing.
"""
from __future__ import annotations

from logging import DEBUG, Logger, getLogger
from time import monotonic
from typing import Any
from weakref import ref

from qhttp.protocol.shown import one_line, shown_url

logger: Logger = getLogger("qhttp")


def follow(made: Any) -> None:
    """Has the logger told of what an object does: a QHttp or a Downloader."""
    if logger.isEnabledFor(DEBUG):
        (_QHttpLog if hasattr(made, "requestStarted") else _DownloaderLog)(made)


def size_and_time(n_bytes: int, seconds: float) -> str:
    return f"{n_bytes} bytes in {seconds:.3f} s"


class _QHttpLog:
    """Refers weakly to its object: who holds whom must not depend on logging."""

    def __init__(self, http: Any):
        self.http, self.name, self.began, self.n_bytes = ref(http), f"QHttp {id(http):#x}", 0.0, 0
        http.requestStarted.connect(self.started)
        http.responseHeaderReceived.connect(self.answered)
        http.dataReadProgress.connect(self.progressed)
        http.requestFinished.connect(self.finished)
        http.stateChanged.connect(self.changed)

    def started(self, number: int) -> None:
        http, self.began, self.n_bytes = self.http(), monotonic(), 0
        if http is None:
            return
        request = http.currentRequest()
        what = f"{request.method()} {shown_url(request.path())}" if request.isValid() else "settings"
        logger.debug("%s, request %d: %s", self.name, number, what)

    def answered(self, header: Any) -> None:
        http = self.http()
        host = http.currentRequest().value("Host") if http is not None else ""
        logger.debug("%s: answer %d %s from %s, %s", self.name, header.statusCode(), one_line(header.reasonPhrase()),
                     one_line(host), one_line(header.value("Content-Type")) or "no type")

    def progressed(self, n_done: int, n_total: int) -> None:
        self.n_bytes = n_done

    def finished(self, number: int, error: bool) -> None:
        http = self.http()
        how = f"failed, {one_line(http.errorString())}" if error and http is not None else "done"
        logger.debug("%s, request %d: %s; %s", self.name, number, how, size_and_time(self.n_bytes, monotonic() - self.began))

    def changed(self, state: Any) -> None:
        logger.debug("%s: %s", self.name, state.name)


class _DownloaderLog:
    def __init__(self, downloader: Any):
        self.name = f"{type(downloader).__name__} {id(downloader):#x}"
        downloader.started.connect(self.started)
        downloader.retrying.connect(self.retrying)
        downloader.finished.connect(self.finished)
        downloader.failed.connect(self.failed)

    def started(self, transfer: Any) -> None:
        logger.debug("%s, row %d: %s", self.name, transfer.number, shown_url(transfer.url))

    def retrying(self, transfer: Any, delay_s: float, error: BaseException) -> None:
        logger.debug("%s, row %d: once more in %.1f s, %s", self.name, transfer.number, delay_s, one_line(str(error)))

    def finished(self, transfer: Any) -> None:
        logger.debug("%s, row %d: answer %d, %s", self.name, transfer.number, transfer.status,
                     size_and_time(transfer.n_done, transfer.time_total))

    def failed(self, transfer: Any) -> None:
        logger.debug("%s, row %d: failed, %s", self.name, transfer.number, one_line(str(transfer.error)))
