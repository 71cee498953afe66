"""What `huge.py` measures, each in a process of its own: `python tests/soak/huge_measures.py MEASURE PORT FOLDER ARGUMENTS`,
the arguments in JSON; prints a JSON object."""
import ctypes
import json
import os
import sys
import threading
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


class Watch:
    """The reader of a file that is being written: compares it, and gives its blocks back, so that it may be larger than the
    file system. In a thread of its own; reading and comparing leave the GIL alone for long enough."""

    def __init__(self, path: str, n: int, check: Check):
        self._path, self._n, self._check, self.most_held, self._is_over = path, n, check, 0, False
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not os.path.exists(self._path) and not self._is_over:
            time.sleep(0.001)
        with open(self._path, "r+b", buffering=0) as file:
            while self._check.n < self._n:
                piece = file.read(PIECE_LEN)
                if piece:
                    self._check.write(piece)
                    self._punch(file, self._check.n)
                elif self._is_over:
                    return
                else:
                    time.sleep(0.001)

    def _punch(self, file, n: int) -> None:
        if n % KEPT_LEN < PIECE_LEN and n > KEPT_LEN:
            self.most_held = max(self.most_held, os.fstat(file.fileno()).st_blocks * 512)
            self._libc.fallocate(file.fileno(), PUNCH_HOLE, ctypes.c_long(0), ctypes.c_long(n - KEPT_LEN))

    def end(self) -> None:
        """What was to be written has been."""
        self._is_over = True
        self._thread.join()


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
    check, watch = Check(), None
    began, cpu = time.perf_counter(), time.process_time()
    if way == "downloader":
        with qhttp.Downloader([f"http://127.0.0.1:{port}{path}"], dir=folder, name="body", retries=0) as downloader:
            failed = []
            downloader.failed.connect(lambda transfer: failed.append(transfer.error))
            watch = Watch(os.path.join(folder, "body.part"), n, check)
            downloader.run(LIMIT_MS)
            error = failed[0] if failed else ""
    else:
        http, to = server_of(port), None
        if way == "read":
            http.setReadBufferSize(READ_BUFFER)
            http.readyRead.connect(lambda: check.write(http.readAll()))
        elif way == "device":
            to = check
        else:
            to = open(os.path.join(folder, "body"), "wb", buffering=0)
            watch = Watch(to.name, n, check)
        http.get(path, to)
        error = finish(http)
        if way == "file":
            to.close()
    if watch is not None:
        watch.end()
    wall = time.perf_counter() - began
    return {**check.told(n, error), "wall_s": wall, "cpu_s": time.process_time() - cpu, "held": watch.most_held if watch else 0}


if __name__ == "__main__":
    measure, port, folder, arguments = sys.argv[1:]
    print(json.dumps({"chunks": chunks, "claim": claim, "stream": stream}[measure](int(port), folder, *json.loads(arguments))))
