"""What `huge.py` measures, each in a process of its own: `python tests/soak/huge_measures.py MEASURE PORT FOLDER ARGUMENTS`,
the arguments in JSON; prints a JSON object."""
import ctypes
import json
import os
import select
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from soak.gauges import forget_peak, n_descriptors, peaks, resident
from soak.huge_server import PATTERN, TWICE

import qhttp

LIMIT_MS = 600_000          # of any of them
N_TRIES = 3                 # of what is timed; the quickest counts
SAMPLE_EVERY = 128 << 20    # bytes between two looks at memory and descriptors
READ_BUFFER = 1 << 20
PIECE_LEN = 1 << 20
KEPT_LEN = 4 << 20          # that the eater leaves alone behind the writer
PUNCH_HOLE = 0x03           # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE


class Check:
    """Takes a body piece by piece, and compares it with what it should be; looks at this process now and then."""

    def __init__(self):
        self.n, self.is_right, self.samples, self.descriptors = 0, True, [], set()
        self._next_look = 0

    def write(self, piece: bytes) -> int:
        """Also the method of a device."""
        for at in range(0, len(piece), PIECE_LEN):
            part = piece[at:at + PIECE_LEN] if at or len(piece) > PIECE_LEN else piece
            place = self.n % len(PATTERN)
            self.is_right = self.is_right and TWICE[place:place + len(part)] == part
            self.n += len(part)
        self.look(self.n)
        return len(piece)

    def look(self, n: int) -> None:
        if n >= self._next_look:
            self._next_look = n + SAMPLE_EVERY
            self.samples.append(resident())
            self.descriptors.add(n_descriptors())

    def told(self, n: int, error: object) -> dict:
        first = self.samples[:max(2, len(self.samples) // 10)]
        return {"is_right": self.is_right and self.n == n, "error": str(error) if error else "", "n": self.n,
                "grew": max(self.samples) - max(first), "resident": max(self.samples), "descriptors": sorted(self.descriptors)}


class Eater:
    """The reader of a file that is being written: compares it, and gives its blocks back, so that the file may be larger than
    what there is. A process of its own, so that the client's memory is the client's."""

    def __init__(self, path: str, n: int):
        self._path, self._n, self._most_held = path, n, 0
        self._over, theirs = os.pipe()
        results, self._told = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(theirs)
            try:
                check = self._eat()
                os.write(self._told, json.dumps([check.n, check.is_right, self._most_held]).encode())
            finally:
                os._exit(0)
        os.close(self._over)
        os.close(self._told)
        self._over, self._results = theirs, results

    def end(self) -> tuple[int, bool, int]:
        """All has been written: how much there was, whether it was right, and how many bytes were held at most."""
        os.close(self._over)
        with open(self._results, "rb") as results:
            told = results.read()
        os.waitpid(self._pid, 0)
        return tuple(json.loads(told)) if told else (0, False, 0)

    def _eat(self) -> Check:
        check, libc, is_over = Check(), ctypes.CDLL(None), False
        while not os.path.exists(self._path):
            if select.select([self._over], [], [], 0.001)[0]:
                return check            # nothing was written
        with open(self._path, "r+b", buffering=0) as file:
            while check.n < self._n:
                piece = file.read(PIECE_LEN)
                if piece:
                    check.write(piece)
                    if check.n % KEPT_LEN < PIECE_LEN and check.n > KEPT_LEN:
                        self._most_held = max(self._most_held, os.fstat(file.fileno()).st_blocks * 512)
                        libc.fallocate(file.fileno(), PUNCH_HOLE, ctypes.c_long(0), ctypes.c_long(check.n - KEPT_LEN))
                elif is_over:
                    break
                else:
                    is_over = bool(select.select([self._over], [], [], 0.001)[0])
        return check


def server_of(port: int) -> qhttp.QHttp:
    return qhttp.QHttp("127.0.0.1", port)


def finish(http: qhttp.QHttp) -> str:
    done = http.waitForDone(LIMIT_MS)
    return "" if done and not http.error() else http.errorString()


# -- one fetch: (body or None where it was dropped, error)
def fetch(way: str, port: int, folder: str, path: str):
    if way in ("downloader", "bytes"):
        into = {"into": "bytes"} if way == "bytes" else {"dir": folder, "existing": "overwrite", "name": "body"}
        (transfer,) = qhttp.iter_download(f"http://127.0.0.1:{port}{path}", retries=0, **into)
        if way == "downloader" and transfer.error is None:
            return Path(transfer.path).read_bytes(), ""
        return transfer.content, str(transfer.error or "")
    http, pieces = server_of(port), []
    if way == "read":
        http.readyRead.connect(lambda: pieces.append(http.readAll()))
    to = {"file": lambda: open(os.path.join(folder, "body"), "w+b", buffering=0),
          "dropped": lambda: open("/dev/null", "r+b", buffering=0), "device": Check}.get(way, lambda: None)()
    http.get(path, to)
    error = finish(http)
    if way == "file":
        with to:
            return Path(to.name).read_bytes(), error
    if way == "dropped":
        to.close()
        return None, error
    if way == "device":
        return PATTERN[:to.n] if to.is_right else b"", error
    return b"".join([*pieces, http.readAll()]), error


def chunks(port: int, folder: str, way: str, path: str, n: int) -> dict:
    """Many chunks of one byte: how long, and how much memory at most."""
    fetch(way, port, folder, "/ones/1000")
    rows = []
    for _ in range(N_TRIES):
        forget_peak()
        before, began, cpu = resident(), time.perf_counter(), time.process_time()
        body, error = fetch(way, port, folder, f"/{path}/{n}")
        rows.append((time.perf_counter() - began, time.process_time() - cpu, peaks()[0] - before))
        is_right = body is None or body == PATTERN[:n]
    return {"wall_s": min(row[0] for row in rows), "cpu_s": min(row[1] for row in rows), "memory": max(row[2] for row in rows),
            "is_right": is_right, "error": error}


# -- claims
def claim(port: int, folder: str, way: str, path: str, n_sent: int) -> dict:
    """An answer that announces much and sends little: what of memory, address space and disk it takes. The same without the
    lie comes before, so that threads and imports are not counted."""
    _begin(way, port, folder, f"/claim/{n_sent}/{n_sent}", n_sent)[1]()
    forget_peak()
    before, space = resident(), peaks()[1]
    n, end = _begin(way, port, folder, path, n_sent)
    most, space_now = peaks()
    held = max((file.stat().st_blocks * 512 for file in Path(folder).rglob("*") if file.is_file()), default=0)
    end()
    left = max((file.stat().st_blocks * 512 for file in Path(folder).rglob("*") if file.is_file()), default=0)
    return {"n": n, "resident": most - before, "space": space_now - space, "held": held, "left": left}


def _begin(way: str, port: int, folder: str, path: str, n_sent: int):
    """Turns the loop until so many bytes have come; returns how many, and what ends it."""
    if way.startswith("downloader") or way == "bytes":
        settings = {"into": "bytes"} if way == "bytes" else {"dir": folder, "existing": "overwrite"}
        if way == "downloader split":
            settings |= {"split": 4, "min_split_size": 1 << 20}
        downloader = qhttp.Downloader([f"http://127.0.0.1:{port}{path}"], retries=0, **settings)
        seen = [0]
        downloader.progress.connect(lambda transfer, n, total: seen.__setitem__(0, n))
        downloader.start()
        _turn_until(lambda: seen[0] >= n_sent or downloader.is_done)
        qhttp.run(50)                   # further pieces, and the file thread
        return seen[0], downloader.close
    http, seen = server_of(port), [0]
    http.dataReadProgress.connect(lambda n, total: seen.__setitem__(0, n))
    to = open(os.path.join(folder, "body"), "wb", buffering=0) if way == "file" else None
    http.get(path, to)
    _turn_until(lambda: seen[0] >= n_sent)

    def end():
        http.abort()
        qhttp.run(50)
        if to is not None:
            to.close()
    return seen[0], end


def _turn_until(condition) -> None:
    limit = time.monotonic() + 10
    while not condition() and time.monotonic() < limit:
        qhttp.run(10)


# -- streams
def stream(port: int, folder: str, way: str, path: str, n: int) -> dict:
    """A body larger than the machine's memory: is all of it right, and does nothing grow?"""
    check, name = Check(), os.path.join(folder, "body")
    eater = {"file": Eater, "downloader": Eater}.get(way, lambda *_: None)(name + (".part" if way == "downloader" else ""), n)
    began, cpu = time.perf_counter(), time.process_time()
    if way == "downloader":
        with qhttp.Downloader([f"http://127.0.0.1:{port}{path}"], dir=folder, name="body", retries=0) as downloader:
            errors = []
            downloader.failed.connect(lambda transfer: errors.append(transfer.error))
            downloader.progress.connect(lambda transfer, done, total: check.look(done))
            downloader.run(LIMIT_MS)
            error = errors[0] if errors else ""
    else:
        http, to = server_of(port), None
        if way == "read":
            http.setReadBufferSize(READ_BUFFER)
            http.readyRead.connect(lambda: check.write(http.readAll()))
        elif way == "device":
            to = check
        else:
            to = open(name, "wb", buffering=0)
            http.dataReadProgress.connect(lambda done, total: check.look(done))
        http.get(path, to)
        error = finish(http)
        if way == "file":
            to.close()
    wall, cpu, held = time.perf_counter() - began, time.process_time() - cpu, 0
    if eater is not None:
        check.n, check.is_right, held = eater.end()
    return {**check.told(n, error), "wall_s": wall, "cpu_s": cpu, "held": held}


if __name__ == "__main__":
    measure, port, folder, arguments = sys.argv[1:]
    print(json.dumps({"chunks": chunks, "claim": claim, "stream": stream}[measure](int(port), folder, *json.loads(arguments))))
