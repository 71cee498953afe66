"""Scenes with a Downloader and a Client: whatever fails, a file that has its final name is whole."""
import os
import pathlib
import shutil
import ssl
import tempfile
import time

from adversarial.contract import Reply

import qhttp
from qhttp.bulk import resume, retry, session
from qhttp.bulk.session import Session
from torture import scene_server as served
from torture.http_scenes import EXPECTED, IDLE_S, MOST_LATE, MOST_RAISED, PATIENCE_S, TOTAL_S, TURN_MS, probe

NAME = "file"
WAITS = (5, 0, 0.001, 0.002, 1)         # of a RetryPolicy: short ones


class BulkScene:
    """Rows for a Downloader. Subclasses say which (`rows`: (out, path, body)) and how."""

    settings = {}
    rows = ()
    has_session = True
    folders = "/dev/shm" if os.path.isdir("/dev/shm") else None

    def __init__(self, place):
        session.BUSY_S = 0.02           # how long another program's lock is waited for
        self.host, self.port, self.place = place.host, place.port, place
        self.base = f"http://{self.host}:{self.port}"
        # one name for all runs: CPython 3.12 never forgets a name that pathlib has seen
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="qhttp-torture-", dir=self.folders))

    def prepare(self):
        self.downloader, self.raised, self.ends = None, [], []
        self.replies = []
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.set_the_stage()

    def set_the_stage(self):
        """What is there before."""

    def row_list(self):
        return [{"url": self.base + path, "out": out} for out, path, _ in self.rows]

    # -- what may fail
    def play(self):
        self.begin()
        self.turn()

    def begin(self):
        settings = {"proxy": None, "idle_timeout": IDLE_S, "max_time": TOTAL_S, "retries": 0, "dir": str(self.folder / "files"),
                    **({"session": str(self.folder / "session")} if self.has_session else {}), **self.settings}
        self.downloader = downloader = qhttp.Downloader(self.row_list(), **settings)
        downloader.finished.connect(self.take_end)
        downloader.failed.connect(self.take_end)

    @property
    def errors(self):
        """Of the transfers: what was swallowed on the way stands in their contexts."""
        return [transfer.error for transfer in self.ends if transfer.error is not None]

    def take_end(self, transfer):
        self.ends.append(transfer)

    def turn(self):
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and len(self.raised) < MOST_RAISED:
            try:
                if self.downloader.run(TURN_MS):
                    return True
            except EXPECTED as error:
                self.raised.append(error)
        return False

    # -- to the end of it
    def settle(self):
        if self.downloader is not None:
            raised, self.raised = self.raised, []
            is_over = self.turn()
            if len(self.raised) > MOST_LATE:
                yield f"still raises once all is well again: {self.raised[-1]!r}"
            self.raised = raised + self.raised
            if not is_over:
                yield "the downloader has stalled"
            else:
                try:
                    self.downloader.close()
                except qhttp.FileError as error:        # of the session: it says so, and lets go
                    self.raised.append(error)
        yield from self.judge()
        self.downloader = None
        yield from self.again()

    def judge(self):
        yield from self.names_faults()
        for transfer in self.ends:
            if self.ends.count(transfer) > 1:
                yield f"{transfer.path} has ended {self.ends.count(transfer)} times"
            if transfer.error is None and not os.path.exists(transfer.path):
                yield f"WRONG: {transfer.path} is finished, and not there"
        if self.downloader is not None and not self.raised and len(self.ends) != len(self.rows):
            yield f"{len(self.ends)} of {len(self.rows)} have ended, and nothing was raised"

    def names_faults(self):
        wanted = {out: body for out, _, body in self.rows}
        for path in sorted((self.folder / "files").rglob("*")):
            if path.is_file() and path.suffix not in (".part", ".parts") and path.read_bytes() != wanted.get(path.name):
                yield f"WRONG: {path.name} has its name, and {path.stat().st_size} bytes"

    def again(self):
        """Another run in the same folder, with nothing failing, makes the rest."""
        ends, self.ends = self.ends, []
        self.begin_again()
        if not self.turn():
            yield "another run has stalled"
        self.downloader.close()
        yield from self.names_faults()
        for transfer in self.ends:
            if transfer.error is not None and "exists already" not in str(transfer.error):
                yield f"another run: {transfer.path}: {transfer.error!r}"
        for out, _, _ in self.rows:
            if not (self.folder / "files" / out).exists():
                yield f"another run: {out} is not there"
        if left := [path.name for path in (self.folder / "files").rglob("*.part*")]:
            yield f"another run has left {left}"
        self.downloader, self.ends = None, ends

    def begin_again(self):
        self.begin()

    def close(self):
        if self.downloader is not None:
            self.downloader.close()
            self.downloader = None
        qhttp.loop().run(10)
        shutil.rmtree(self.folder)

    @property
    def was_told(self):
        return bool(self.raised) or any(transfer.error is not None for transfer in self.ends)


def reply_of(transfer) -> Reply:
    """What a transfer has come to; a status that gives no file is an answer without a body."""
    reply = Reply(status=transfer.status or None, headers=transfer.headers)
    if transfer.error is None:
        reply.body.write(pathlib.Path(transfer.path).read_bytes())
    elif isinstance(transfer.error, qhttp.HTTPStatusError):
        reply.is_kept = False
    else:
        reply.error, reply.error_class = repr(transfer.error), getattr(transfer.error, "qt_name", None)
    return reply


class CaseFiles(BulkScene):
    """The request of an adversarial case, into a file."""

    def __init__(self, place):
        super().__init__(place)
        self.case = place.case
        self.held = self.case["request"].get("held")
        target = self.case["request"].get("target", "/case")
        self.rows = [(NAME, target, None)]
        self.settings = {"decode": self.case["decode"], "max_redirects": self.case["redirects"], "method": self.case["method"],
                         "headers": [tuple(pair) for pair in self.case["request"].get("headers", [])]}
        if "user" in self.case["request"]:
            self.settings["user"] = (self.case["request"]["user"], "pw")

    def set_the_stage(self):
        if self.held is None:
            return
        resume.CONTINUE_FROM, resume.OVERLAP = 1, 0
        (self.folder / "files").mkdir()
        part = self.folder / "files" / (NAME + ".part")
        part.write_bytes(self.held.encode())
        with Session(str(self.folder / "session")) as session:
            session.put_part(str(part)[:-len(".part")], self.row_list()[0]["url"], part.stat().st_ino, '"held"', None, None)

    def names_faults(self):
        from adversarial.judge import is_body
        path = self.folder / "files" / NAME
        if not path.is_file():
            return
        data = path.read_bytes()
        reply = Reply()
        reply.body.write(data)
        bodies = self.case.get("bodies", [self.case["body"]] if "body" in self.case else None)
        if self.case["expect"] == "error":
            yield f"WRONG: a file of {len(data)} bytes, though the answer is none"
        elif bodies is not None and not any(is_body(reply.body, body) for body in bodies):
            yield f"WRONG: a file of {len(data)} bytes: {data[:40]!r}"

    def judge(self):
        yield from super().judge()
        self.replies = [Reply(error="raised")] if self.raised or not self.ends else [reply_of(self.ends[0])]

    def again(self):
        """On another object: the server of a case has an answer for that."""
        http = qhttp.QHttp(self.host, self.port)
        yield from probe(http)
        http.close()
        http.deleteLater()
        qhttp.loop().run(10)


class Files(BulkScene):
    """Some small files and one that is written while it comes."""
    rows = [*((f"{n}", f"/small/{n}", served.SMALL[n]) for n in (1, 3, 5)), ("large", "/large", served.LARGE),
            ("chunked", "/chunked", b"".join(served.SMALL[n] for n in range(1, 5))), ("close", "/close", served.CLOSE)]
    settings = {"per_host": 2}


class Synced(BulkScene):
    rows = [("1", "/small/1", served.SMALL[1]), ("large", "/large", served.LARGE)]
    settings = {"fsync": True, "hashes": ("sha256",)}


class WithoutSession(BulkScene):
    rows = Files.rows[:4]
    has_session = False


class Tries(BulkScene):
    """What fails is tried again."""
    rows = Files.rows[:4]
    settings = {"retries": 2}

    def begin(self):
        retry.RetryPolicy.__init__.__defaults__ = WAITS         # of the arguments that a Downloader does not give
        super().begin()


class Ahead(BulkScene):
    rows = [(f"{n}", f"/small/{n}", served.SMALL[n]) for n in range(1, 7)]
    settings = {"pipelining": 3, "per_host": 1}


class Pieces(BulkScene):
    rows = [("large", "/large", served.LARGE)]
    settings = {"split": 3, "min_split_size": 100_000}


class Decoded(BulkScene):
    rows = [("coded", "/gzip", served.GZIP), ("moved", "/moved", served.SMALL[1])]
    settings = {"compressed": True}


class Limited(BulkScene):
    rows = [("large", "/large", served.LARGE)]
    settings = {"limit_rate": 1 << 30}


class Resumed(BulkScene):
    """A part is there, and is continued."""
    rows = [("large", "/large", served.LARGE)]
    N_HELD = 300_000

    def set_the_stage(self):
        (self.folder / "files").mkdir()
        part = self.folder / "files/large.part"
        part.write_bytes(served.LARGE[:self.N_HELD])
        with Session(str(self.folder / "session")) as session:
            session.put_part(str(part)[:-len(".part")], self.base + "/large", part.stat().st_ino, served.ETAG.decode(), None,
                             None)


class TlsFiles(BulkScene):
    rows = [("1", "/small/1", served.SMALL[1]), ("2", "/small/2", served.SMALL[2])]

    def __init__(self, place):
        super().__init__(place)
        self.base = f"https://{place.host}:{place.tls_port}"
        self.settings = {"context": ssl.create_default_context(cafile=place.certificate)}


class InMemory(BulkScene):
    """A Client: nothing on the disk."""
    rows = [("1", "/small/1", served.SMALL[1]), ("moved", "/moved", served.SMALL[1]), ("coded", "/gzip", served.GZIP)]

    def play(self):
        self.got = {}
        client = qhttp.Client(proxy=None, retries=0, idle_timeout=IDLE_S, max_time=TOTAL_S)
        self.client = client
        for out, path, _ in self.rows:
            answer = client.get(self.base + path)
            if answer.error is None and answer.status == 200:
                self.got[out] = answer.content

    def prepare(self):
        super().prepare()
        self.client, self.got = None, {}

    def settle(self):
        for out, path, body in self.rows:
            if out in self.got and self.got[out] != body:
                yield f"WRONG: {out} has {len(self.got[out])} bytes"
            if self.client is not None:
                answer = self.client.get(self.base + path)
                if answer.content != body:
                    yield f"afterwards: {out} has {answer.content!r:.40}"
        if self.client is not None:
            self.client.close()
            self.client = None


SCENES = {scene.__name__.lower(): scene for scene in (
    Files, Synced, WithoutSession, Tries, Ahead, Pieces, Decoded, Limited, Resumed, TlsFiles, InMemory)}
