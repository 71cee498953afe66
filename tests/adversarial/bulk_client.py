"""The client adapter on qhttp.Client, and on qhttp.Downloader where a part is to be continued."""
import pathlib
import shutil
import sys
import tempfile

import qhttp
from qhttp.bulk import resume
from qhttp.bulk.session import Session

PATIENCE_S = 60.0           # above every limit of every case
NAME = "file"               # of what a Downloader fetches
MODIFIED = "Sat, 01 Jan 2000 00:00:00 GMT"      # of the version that a part is of, so that it may be continued


class BulkSession:
    """Does requests of the contract one after the other, with the connections of one Client. Nothing is tried again."""

    features = frozenset({"inject", "redirect", "decode", "resume"})

    def __init__(self, call):
        self.call = call
        self.make_reply = sys.modules[type(call).__module__].Reply
        self.settings = {
            "proxy": None,
            "idle_timeout": call.idle_timeout,
            "max_time": call.deadline,
            "retries": 0,
            "connect_timeout": PATIENCE_S,
            "max_redirects": call.redirects,
            "decode": call.decode,
            "compressed": False,
        }
        self.client = None
        self.folders = []

    def fetch(self, request):
        reply = self.make_reply()
        if request.expect100 or request.method == "CONNECT":
            reply.unsupported = True
            return reply
        try:
            transfer = self._continue(request) if request.held is not None else self._ask(request)
        except (ValueError, TypeError) as why:          # refused before anything was sent
            reply.error = f"{type(why).__name__}: {why}"
            reply.error_class = "ValueError" if isinstance(why, ValueError) else "TypeError"
            return reply
        except qhttp.QHttpError as why:
            reply.error = f"{type(why).__name__}: {why}"
            reply.error_class = why.qt_name
            return reply
        reply.status, reply.headers = transfer.status, transfer.headers
        if transfer.path is None:
            reply.body.write(transfer.content or b"")
        else:
            reply.body.write(pathlib.Path(transfer.path).read_bytes())
        return reply

    def close(self):
        if self.client is not None:
            self.client.close()
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)

    def _url(self, request):
        return f"http://{self.call.host}:{self.call.port}{request.target}"

    def _ask(self, request):
        if self.client is None:
            self.client = qhttp.Client(user=(request.user, "pw") if request.user is not None else None, **self.settings)
        return self.client.request(request.method, self._url(request), request.headers, request.body)

    def _continue(self, request):
        """The part has these bytes and no more: what is a bound of size, or repeated for comparison, is set to nothing."""
        resume.CONTINUE_FROM, resume.OVERLAP = 1, 0
        folder = tempfile.mkdtemp(prefix="qhttp-held-")
        self.folders.append(folder)
        path, url = f"{folder}/{NAME}", self._url(request)
        part = pathlib.Path(path + ".part")
        part.write_bytes(request.held)
        with Session(f"{folder}/session") as session:
            session.put_part(path, url, part.stat().st_ino, None, MODIFIED, None)
        with qhttp.Downloader(
            [url], dir=folder, name=NAME, session=f"{folder}/session", headers=request.headers, **self.settings
        ) as downloader:
            ended = []
            downloader.finished.connect(ended.append)
            downloader.failed.connect(ended.append)
            downloader.run()
        [transfer] = ended
        if transfer.error is not None:
            raise transfer.error
        return transfer


def client(call):
    return BulkSession(call)
