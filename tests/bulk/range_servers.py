"""A file that is served in ranges, for downloads in pieces: whatever is to go wrong goes wrong at chosen pieces."""
import threading

from bulk.downloads import body, download, one
from bulk.origin import NOW, answer
from support.actions import Close, Reset, Send

FIRST = 100_000                 # bytes of the first piece, and the least of the others
N = 1_000_000
DATA, OTHER = body(N), body(N, 2)
SPLIT = {"split": 4, "min_split_size": FIRST}
IS_ODD = 7                      # a cut in the middle of a piece leaves a number of bytes that is no round one


class Ranged:
    """Serves `data` with Range and If-Range. `at`: start of a piece -> what its first, second... request is answered with
    instead: a function of (request, start, end), or None for the piece itself; the last of them stays where `stays`."""

    def __init__(self, data=DATA, etag='"one"', last_modified=None, at=None, stays=False, fields=(), ignores_if_range=False):
        self.data, self.etag, self.last_modified, self.fields = data, etag, last_modified, list(fields)
        self.at = {start: list(each) for start, each in (at or {}).items()}
        self.stays, self.ignores_if_range = stays, ignores_if_range
        self.asked: list[tuple[int, int] | None] = []       # of each request, end exclusive; None: the whole
        self.n_sent = 0                                     # bytes of bodies
        self._lock = threading.Lock()

    def validators(self):
        fields = [("ETag", self.etag)] if self.etag else []
        return fields + ([("Last-Modified", self.last_modified), ("Date", NOW)] if self.last_modified else [])

    def __call__(self, request):
        with self._lock:
            found = self._answer(request)
        self.n_sent += sum(len(step.partition(b"\r\n\r\n")[2]) for step in [found] if isinstance(step, bytes))
        return found

    def _answer(self, request):
        wanted = request.get("range")
        is_same = self.ignores_if_range or request.get("if-range") in (None, self.etag, self.last_modified)
        if wanted is None or not is_same:
            self.asked.append(None)
            return answer(200, self.data, *self.fields, *self.validators())
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last) + 1 if last else len(self.data), len(self.data))
        self.asked.append((start, end))
        if start >= len(self.data):
            return answer(416, b"", ("Content-Range", f"bytes */{len(self.data)}"))
        special = self.at.get(start)
        if special:
            make = special[0] if self.stays and len(special) == 1 else special.pop(0)
            if make is not None:
                return make(self, start, end)
        return self.piece(start, end)

    def piece(self, start, end, said=None, total=None, data=None, fields=None):
        """A 206. `said`: its Content-Range; `fields`: in the place of the validators."""
        said = said or f"bytes {start}-{end - 1}/{len(self.data) if total is None else total}"
        fields = self.validators() if fields is None else fields
        return answer(206, self.data[start:end] if data is None else data, ("Content-Range", said), *self.fields, *fields)


def cut(n, is_reset=False):
    """The connection ends after so many bytes of a piece; -1: before the answer begins."""
    def make(server, start, end):
        whole = server.piece(start, end)
        head = whole[:len(whole) - (end - start)]
        return [Send(whole[:len(head) + n] if n >= 0 else b""), Reset() if is_reset else Close()]
    return make


def status(code, *fields):
    return lambda server, start, end: answer(code, b"no", *fields)


def says(said):
    """A Content-Range as given: `{start}`, `{last}`, `{end}` and `{n}` stand for the right ones."""
    return lambda server, start, end: server.piece(
        start, end, said.format(start=start, last=end - 1, end=end, n=len(server.data), before=start - 1))


def fetch(url, folder, **settings):
    """One file in pieces: its Transfer."""
    return one(url, dir=folder, **{**SPLIT, **settings})


def fetch_all(rows, folder, **settings):
    return download(rows, dir=folder, **{**SPLIT, **settings})


def covers(ranges, n):
    """Whether these [start, end) make up 0...n, without one byte twice."""
    at = 0
    for start, end in sorted(ranges):
        if start != at:
            return False
        at = end
    return at == n
