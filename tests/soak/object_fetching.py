"""QHttp objects that bring files whole from the faulty server: tries, what is kept of a cut body, whose each answer was.

QHttp itself tries again only where a connection went before any byte of an answer came. All else is done here, as a program
around it would: a request that failed is queued again, those that were dropped with it are, too, and where a cut body has
left a true beginning, the rest is asked for by a Range.

    work = Work(SeededFiles(1), 100_000)
    fetchers = [Fetcher(work, QHttp("127.0.0.1", port), folder) for _ in range(64)]
    work.turn(limit_s=300)
    work.wrong                      # what must not be
"""
import collections
import contextlib
import hashlib
import io
import os
import time

from support.seeded_files import SeededFiles

import qhttp

QUEUE_LEN = 12              # requests of one object that wait or run
MAX_TRIES = 25              # of one file; a server that faults five times at most needs far fewer
STALL_MS = 1000             # without a byte, what ends a stall
SLOW, SLOW_MS = 1000, 1000  # bytes a second over so long: what ends a drip
HANG_S = 60                 # without any file that becomes whole, what counts as hanging
PIECE_LEN = 64 << 10
WAYS = ("all", "all", "all", "pieces", "all", "all", "file", "all", "all", "pieces", "all", "device")     # by number


class Job:
    """A file that is wanted, and what there is of it."""
    __slots__ = ("kept", "n_tries", "number")

    def __init__(self, number: int):
        self.number, self.n_tries, self.kept = number, 0, b""


class Work:
    """The files that are to come, and what has become of them: figures, and in `wrong` what must not be."""

    def __init__(self, files: SeededFiles, numbers, latencies=None):
        self.files, self.latencies = files, latencies
        self.waiting = collections.deque(map(Job, numbers))
        self.n_left, self.n_bytes = len(self.waiting), 0
        self.whole: set[int] = set()
        self.counts: collections.Counter = collections.Counter()
        self.told_by_checksum: collections.Counter = collections.Counter()     # what no reader of HTTP can see
        self.wrong: list[str] = []
        self.n_duplicated = self.n_crossed = self.n_corrupt = 0
        self.fetchers: list[Fetcher] = []
        self.last_whole = time.monotonic()
        self._digests: dict[int, bytes] = {}

    def next(self) -> Job | None:
        return self.waiting.popleft() if self.waiting else None

    def again(self, job: Job) -> None:
        """A try was in vain."""
        job.n_tries += 1
        self.counts["tries again"] += 1
        if job.n_tries < MAX_TRIES:
            self.waiting.append(job)
        else:
            self.n_left -= 1
            self.wrong.append(f"{job.number} has not come whole after {MAX_TRIES} tries")

    def judge(self, job: Job, body: bytes) -> None:
        """The answer was a success, as it tells: is it?"""
        if hashlib.sha256(body).digest() == self.files.sha256(job.number):
            if job.number in self.whole:
                self.n_duplicated += 1
                self.wrong.append(f"{job.number} has come twice")
            self.whole.add(job.number)
            self.n_left -= 1
            self.n_bytes += len(body)
            self.last_whole = time.monotonic()
            return
        if len(body) < self.files.size(job.number) and body == self.files.view(job.number, 0, 0, len(body)):
            self.told_by_checksum["shorter than it is, as its Content-Length said"] += 1
        else:
            self.n_corrupt += 1
            self.wrong.append(f"{job.number} has {len(body)} bytes that are not its own")
        job.kept = b""
        self.again(job)

    def turn(self, limit_s: float) -> None:
        """Turns the loop until nothing is left, or something hangs."""
        end = time.monotonic() + limit_s
        for fetcher in self.fetchers:
            fetcher.fill()
        while self.n_left:
            is_idle = qhttp.run(1000)
            now = time.monotonic()
            if is_idle and self.n_left and not any(fetcher.fill() for fetcher in self.fetchers):
                self.wrong.append(f"{self.n_left} files are neither there nor being fetched")
                return
            if now - self.last_whole > HANG_S or now > end:
                self.wrong.append(f"{self.n_left} files have not come: nothing for {now - self.last_whole:.0f} s")
                return


class Fetcher:
    """One QHttp object with a queue of requests."""

    def __init__(self, work: Work, http: qhttp.QHttp, folder: str, pipelining: int = 1, host: str = ""):
        self.work, self.http, self.folder, self.host = work, http, folder, host
        self.pipelining = pipelining
        http.setPipelining(pipelining)
        http.setTransferTimeout(STALL_MS)
        http.setMinimumRate(SLOW, SLOW_MS)
        http.requestStarted.connect(self._started)
        http.responseHeaderReceived.connect(self._head)
        http.readyRead.connect(self._readable)
        http.requestFinished.connect(self._finished)
        http.done.connect(self._done)
        self._queue: collections.deque = collections.deque()       # (id, job, destination)
        self._forget_answer()
        work.fetchers.append(self)

    def fill(self) -> bool:
        """Queues requests as long as there are files; says whether any waits or runs."""
        while len(self._queue) < QUEUE_LEN and (job := self.work.next()) is not None:
            self._ask(job)
        return bool(self._queue)

    def turn_to(self, work: Work) -> None:
        """From now on it fetches files of another work; those of the one before have all come."""
        if self in self.work.fetchers:
            self.work.fetchers.remove(self)
        self.work = work
        work.fetchers.append(self)

    def leave(self) -> None:
        """Lets the object go, so that it can be freed."""
        self.work.fetchers.remove(self)
        for signal in (self.http.requestStarted, self.http.responseHeaderReceived, self.http.readyRead,
                       self.http.requestFinished, self.http.done):
            signal.disconnect()

    def _ask(self, job: Job) -> None:
        way, to = WAYS[job.number % len(WAYS)], None
        if way == "file":
            to = open(os.path.join(self.folder, f"{job.number}"), "w+b", buffering=0)
        elif way == "device":
            to = io.BytesIO()
        if job.kept:
            header = qhttp.QHttpRequestHeader("GET", f"/f/{job.number}")
            header.setValue("Host", self.host or "127.0.0.1")
            header.setValue("Connection", "Keep-Alive")
            header.setValue("Range", f"bytes={len(job.kept)}-")
            header.setValue("If-Range", self.work.files.etag(job.number))
            id = self.http.request(header, None, to)
        else:
            id = self.http.get(f"/f/{job.number}", to)
        self._queue.append((id, job, to))

    # -- slots
    def _started(self, id: int) -> None:
        self._forget_answer()
        if not self._queue or self._queue[0][0] != id:
            self.work.wrong.append(f"request {id} has started before its turn")
        self._began = time.perf_counter()

    def _head(self, header: qhttp.QHttpResponseHeader) -> None:
        """Looks whose answer it is. One of another file's is the server's fault only behind a surplus that looked like one."""
        job = self._queue[0][1]
        self._status = header.statusCode()
        given, self._range = header.value("X-File"), header.value("Content-Range")
        if given == str(job.number) and (self.pipelining > 1 or not header.hasKey("X-After-Surplus")):
            return
        if self.pipelining > 1 and (not given or header.hasKey("X-After-Surplus")):
            self.work.told_by_checksum["surplus that looked like an answer to a request sent ahead"] += 1
        else:
            self.work.n_crossed += 1
            self.work.wrong.append(f"{job.number} was given the answer of {given or 'nobody'}")
        self._is_foreign = True
        self.http.abort()

    def _readable(self, _) -> None:
        if WAYS[self._queue[0][1].number % len(WAYS)] == "pieces":
            while piece := self.http.read(PIECE_LEN):
                self._pieces.append(piece)

    def _finished(self, id: int, error: bool) -> None:
        if not self._queue or self._queue[0][0] != id:
            self.work.wrong.append(f"request {id} has ended before its turn")
            return
        _, job, to = self._queue.popleft()
        body = self._body(job, to)
        if error:
            self._failed(job, body)
        elif self._status in (503, 429):
            self.work.counts["asked to come again"] += 1
            self.work.again(job)
        elif self._status == 206:
            if not self._range.startswith(f"bytes {len(job.kept)}-"):
                self.work.wrong.append(f"{job.number} was given {self._range} instead of what follows {len(job.kept)}")
            self.work.counts["continued by a Range"] += 1
            self.work.judge(job, job.kept + body)
        elif self._status == 416:                       # all was there, and the cut was behind it
            self.work.judge(job, job.kept)
        elif self._status == 200:
            self.work.counts["whole for a Range"] += bool(job.kept)
            if self.work.latencies is not None:
                self.work.latencies.add(time.perf_counter() - self._began)
            self.work.judge(job, body)
        else:
            self.work.wrong.append(f"{job.number} was answered by {self._status}")
            self.work.again(job)
        if not error:
            self.fill()

    def _failed(self, job: Job, body: bytes) -> None:
        """What was handed on before the failure must be a true beginning; sometimes the next try goes on behind it."""
        work, name = self.work, self.http.error().name
        work.counts[f"failed: {name}: {self.http.errorString()}"] += 1
        if not self._is_foreign and self._status in (200, 206):
            start = len(job.kept) if self._status == 206 else 0
            if body != bytes(work.files.view(job.number, 0, start, start + len(body))):
                work.n_corrupt += 1
                work.wrong.append(f"{job.number} failed after {len(body)} bytes from {start} on that are not its own")
            else:
                job.kept = (job.kept[:start] + body) if job.n_tries % 2 == 0 else b""
        work.again(job)

    def _done(self, error: bool) -> None:
        """After an error those that were queued behind it are gone without a word; they are no tries."""
        while self._queue:
            _, job, to = self._queue.popleft()
            if to is not None:
                self._body(job, to)
            self.work.waiting.appendleft(job)
        self.fill()

    def _body(self, job: Job, to) -> bytes:
        """What there is of the body, wherever it was to go."""
        if to is None:
            body = b"".join([*self._pieces, self.http.readAll()])
            self._pieces.clear()
            return body
        if isinstance(to, io.BytesIO):
            return to.getvalue()
        with to:
            to.seek(0)
            body = to.read()
        with contextlib.suppress(OSError):
            os.unlink(to.name)
        return body

    def _forget_answer(self) -> None:
        self._status, self._range, self._is_foreign, self._began = 0, "", False, 0.0
        self._pieces: list[bytes] = []
