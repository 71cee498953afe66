"""The client adapters on the bulk side: qhttp.Client for answers in memory, qhttp.Downloader for files."""
import pathlib
import shutil
import sys
import tempfile

import qhttp
from adversarial.client import BEFORE, BEHIND, DEPTH, FIRST, behind, trusting
from adversarial.contract import Beside
from qhttp.bulk import resume
from qhttp.bulk.session import Session

PATIENCE_S = 60.0           # above every limit of every case
MODIFIED = "Sat, 01 Jan 2000 00:00:00 GMT"      # of the version that a part is of, so that it may be continued


class BulkSession:
    """Does requests of the contract one after the other, with the connections of one client. Nothing is tried again."""

    def __init__(self, call):
        self.call = call
        self.make_reply = sys.modules[type(call).__module__].Reply
        self.settings = {
            "proxy": call.proxy,
            "context": trusting(call.trusted) if call.scheme == "https" else None,
            "idle_timeout": call.idle_timeout,
            "max_time": call.deadline,
            "retries": 0,
            "connect_timeout": PATIENCE_S,
            "max_redirects": call.redirects,
            "decode": call.decode,
            "compressed": False,
        }
        self.user = None
        self.opened = None

    def fetch(self, request):
        reply = self.make_reply()
        try:
            if self.opened is None:
                self.user = (request.user, "pw") if request.user is not None else None
                self.opened = self._open()
            self._ask(request, reply)
        except (ValueError, TypeError) as why:          # refused before anything was sent
            reply.error = f"{type(why).__name__}: {why}"
            reply.error_class = "ValueError" if isinstance(why, ValueError) else "TypeError"
        except qhttp.QHttpError as why:
            self._failed(reply, why)
        return reply

    def close(self):
        if self.opened is not None:
            self.opened.close()

    def _url(self, target):
        return f"{self.call.scheme}://{self.call.host}:{self.call.port}{target}"

    @staticmethod
    def _failed(reply, why):
        reply.error, reply.error_class = f"{type(why).__name__}: {why}", why.qt_name


class ClientSession(BulkSession):
    """In memory, with a Client."""

    def _open(self):
        return qhttp.Client(user=self.user, **self.settings)

    def _ask(self, request, reply):
        transfer = self.opened.request(request.method, self._url(request.target), request.headers, request.body)
        reply.status, reply.headers = transfer.status, transfer.headers
        reply.body.write(transfer.content or b"")


class FileSession(BulkSession):
    """To files, with a Downloader. A status that gives no file is an answer without a body."""

    def __init__(self, call, **settings):
        super().__init__(call)
        self.settings |= settings
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="qhttp-adversarial-"))
        self.n_rows, self.n_held, self.ended, self.bounds_before = 0, 0, {}, None

    def close(self):
        super().close()
        if self.bounds_before is not None:
            resume.CONTINUE_FROM, resume.OVERLAP = self.bounds_before
        shutil.rmtree(self.folder, ignore_errors=True)

    def _open(self):
        session = self.folder / "session" if self.n_held else None
        downloader = qhttp.Downloader(dir=self.folder, user=self.user, session=session, **self.settings)
        downloader.finished.connect(self._take)
        downloader.failed.connect(self._take)
        return downloader

    def _take(self, transfer):
        self.ended[transfer.row["out"]] = transfer

    def _ask(self, request, reply):
        name = self._add(self._row_of(request))
        self.opened.run()
        self._read(self.ended[name], reply)

    def _row_of(self, request) -> dict:
        row = self._row(request.target, request.headers)
        if request.held is not None:
            self._hold(row, request.held)
        return row

    def _add(self, row: dict) -> str:
        self.opened.add(row)
        return row["out"]

    def _row(self, target, headers=()):
        self.n_rows += 1
        return {"url": self._url(target), "out": f"file-{self.n_rows}", "headers": [list(pair) for pair in headers]}

    def _read(self, transfer, reply):
        """Takes what a transfer has come to; a file may be there exactly where it is finished."""
        path = self.folder / transfer.row["out"]
        reply.status, reply.headers = transfer.status or None, transfer.headers
        if isinstance(transfer.error, qhttp.HTTPStatusError):
            reply.is_kept = False
        elif transfer.error is not None:
            self._failed(reply, transfer.error)
        elif transfer.path is not None:
            reply.body.write(path.read_bytes())
        if path.exists() and transfer.error is not None:
            raise AssertionError(f"{path.name} is there, though its transfer failed: {transfer.error}")

    def _hold(self, row, held):
        """A part that is there from a former run. It has these bytes and no more: what is a bound of size, or repeated for
        comparison, is set to nothing."""
        self.bounds_before = self.bounds_before or (resume.CONTINUE_FROM, resume.OVERLAP)
        resume.CONTINUE_FROM, resume.OVERLAP, self.n_held = 1, 0, self.n_held + 1
        path = str(self.folder / row["out"])
        part = pathlib.Path(path + ".part")
        part.write_bytes(held)
        self.opened.close()
        with Session(f"{self.folder}/session") as session:
            session.put_part(path, row["url"], part.stat().st_ino, None, MODIFIED, None)
        self.opened = self._open()


class PipelinedFileSession(FileSession):
    """The same with several requests on the line: the first one of a session has two before it and some behind it."""

    def __init__(self, call):
        super().__init__(call, pipelining=DEPTH, per_host=1)
        self.is_first = True

    def _ask(self, request, reply):
        if not self.is_first:
            super()._ask(request, reply)
            return
        self.is_first = False
        row = self._row_of(request)
        names = {path: self._add(self._row(path)) for path in (FIRST, BEFORE)}
        own = self._add(row)
        names |= {path: self._add(self._row(path)) for path in behind(self.call)}
        self.opened.run()
        for path, name in names.items():
            beside = Beside(path, self.make_reply(), path.startswith(BEHIND), name in self.ended)
            if beside.is_ended:
                self._read(self.ended[name], beside.reply)
            reply.beside.append(beside)
        self._read(self.ended[own], reply)


def client(call):
    return ClientSession(call)


def files(call):
    return FileSession(call)


def pipelined_files(call):
    return PipelinedFileSession(call)
