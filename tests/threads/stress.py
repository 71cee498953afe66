"""Many threads, each with its loop, its QHttp objects and downloaders, against one server: is every body what it should be?

    python tests/threads/stress.py --threads 8 --rounds 200 --seed 1

Threads switch as often as Python can. Objects are made and dropped all the time, some of them in another thread than their
own; slots are connected and disconnected from outside; loops call one another. Prints figures. Exit status 0: every body has
its SHA-256, every id was given once, every call came; 1: not so.
"""
import argparse
import contextlib
import gc
import hashlib
import os
import random
import sys
import threading
import time
import traceback
import weakref
from collections import deque
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.file_server_process import FileServerProcess
from support.seeded_files import SeededFiles

import qhttp

SWITCH_S = 1e-6
LARGEST = 32768
N_FILES = 5000
N_OBJECTS = 6               # of a round, at once
N_REQUESTS = 3              # of each
N_ROWS = 8                  # of a round's downloader
PATIENCE_MS = 30_000
BOX_CAP = 64                # objects that wait for their end in another thread


@contextlib.contextmanager
def quick_switches():
    """Threads switch as soon as they may."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class Stress:
    """What the threads share: the server, a box of objects that end elsewhere, and what was seen."""

    def __init__(self, server: FileServerProcess, n_threads: int, n_rounds: int, seed: int):
        self.files, self.url, self.port = SeededFiles(seed, LARGEST), server.url, server.port
        self.digests = [self.files.sha256(number) for number in range(N_FILES)]     # now: threads may not share a memoryview
        self.n_threads, self.n_rounds, self.seed = n_threads, n_rounds, seed
        self.box: deque = deque()
        self.lock, self.barrier = threading.Lock(), threading.Barrier(n_threads)
        self.workers, self.failures, self.ids = [], [], []
        self.n_bodies = self.n_bytes = self.n_sent_calls = self.n_outside = 0

    def run(self) -> "Stress":
        n_before = n_descriptors()
        threads = [threading.Thread(target=self.work, args=(number,)) for number in range(self.n_threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.n_calls = sum(worker.n_calls for worker in self.workers)
        self.n_loops = len({worker.loop for worker in self.workers})
        self.box.clear()
        self.workers.clear()
        self.n_left = n_descriptors() - n_before
        return self

    def work(self, number: int):
        try:
            worker = Worker(self, random.Random(f"{self.seed} {number}"))
            self.workers.append(worker)
            self.barrier.wait(60)
            for _ in range(self.n_rounds):
                worker.round()
            self.barrier.wait(600)
            worker.finish()
            self.barrier.wait(60)               # nobody's loop goes while it is being called
        except Exception:
            self.failures.append(f"thread {number}: {traceback.format_exc()}")
            self.barrier.abort()

    def check(self, number: int, body: bytes, about: str):
        """A body came: is it that of this file?"""
        if hashlib.sha256(body).digest() != self.digests[number]:
            self.failures.append(f"file {number} {about}: {len(body)} bytes, not {self.files.size(number)}")

    def note(self, n_bodies: int, n_bytes: int, ids: list[int], n_sent_calls: int, n_outside: int):
        with self.lock:
            self.n_bodies += n_bodies
            self.n_bytes += n_bytes
            self.ids += ids
            self.n_sent_calls += n_sent_calls
            self.n_outside += n_outside

    @property
    def verdict(self) -> list[str]:
        """What went wrong."""
        problems = list(self.failures)
        n_wanted = self.n_threads * self.n_rounds * (N_OBJECTS * N_REQUESTS + N_ROWS)
        if self.n_bodies != n_wanted:
            problems.append(f"{self.n_bodies} bodies, not {n_wanted}")
        if len(set(self.ids)) != len(self.ids):
            problems.append(f"{len(self.ids) - len(set(self.ids))} ids were given twice")
        if self.n_calls != self.n_sent_calls:
            problems.append(f"{self.n_calls} calls between loops came of {self.n_sent_calls}")
        if self.n_loops != self.n_threads:
            problems.append(f"{self.n_loops} loops for {self.n_threads} threads")
        if self.n_left > 0:
            problems.append(f"{self.n_left} descriptors are left open")
        return problems


class Worker:
    """One thread's part."""

    def __init__(self, stress: Stress, chance: random.Random):
        self.stress, self.chance, self.loop = stress, chance, qhttp.loop()
        self.n_calls = 0

    def count(self):
        """Called from any thread, it comes in this one's."""
        self.n_calls += 1
        if qhttp.loop() is not self.loop:
            self.stress.failures.append("a call came in another thread's loop")

    def round(self):
        """Some objects with some requests each, and a downloader; then some of it ends, here or elsewhere."""
        stress, chance = self.stress, self.chance
        bodies, ids = [], []
        objects = [self.make(bodies, ids) for _ in range(N_OBJECTS)]
        for worker in stress.workers:
            worker.loop.call_from_thread(worker.count)
        n_outside = self.touch_others()
        if not qhttp.run(PATIENCE_MS):
            raise TimeoutError("requests do not end")
        for number, body in bodies:
            stress.check(number, body, "by QHttp")
        stress.box.extend(objects[::2])             # whoever comes next ends them
        if chance.random() < 0.5:
            objects[0].itself = objects             # the collector of any thread does
        while len(stress.box) > BOX_CAP:
            with contextlib.suppress(IndexError):
                stress.box.popleft()
        rows = [chance.randrange(N_FILES) for _ in range(N_ROWS)]
        with qhttp.Downloader([stress.url(number) for number in rows], into="bytes", proxy=None, jobs=4) as downloader:
            downloader.finished.connect(lambda transfer: bodies.append((number_in(transfer.url), transfer.content)))
            downloader.failed.connect(lambda transfer: stress.failures.append(repr(transfer.error)))
            downloader.run()
        for number, body in bodies[-N_ROWS:]:
            stress.check(number, body, "by the downloader")
        stress.note(len(bodies), sum(len(body) for _, body in bodies), ids, len(stress.workers), n_outside)

    def make(self, bodies: list, ids: list):
        """An object whose requests are under way; other threads connect to it meanwhile."""
        http = Client("127.0.0.1", self.stress.port)
        wanted = {}

        itself = weakref.ref(http)

        def take(identifier, error):
            if error:
                self.stress.failures.append(itself().errorString())
            bodies.append((wanted[identifier], itself().readAll()))

        http.requestFinished.connect(take)
        for _ in range(N_REQUESTS):
            number = self.chance.randrange(N_FILES)
            identifier = http.get(f"/f/{number}")
            wanted[identifier] = number
            ids.append(identifier)
        self.stress.box.append(http)
        return http

    def touch_others(self) -> int:
        """Connects to, disconnects from and drops objects of other threads."""
        n, slots = 0, [lambda *_: None for _ in range(4)]
        with contextlib.suppress(IndexError):
            for _ in range(4):
                http = self.stress.box.popleft()
                for slot in slots:
                    http.dataReadProgress.connect(slot)
                    http.done.connect(slot)
                for slot in slots:
                    http.dataReadProgress.disconnect(slot)
                    http.done.disconnect(slot)
                n += 1
        return n

    def finish(self):
        """Lets the last calls come: one of our own is behind all of them."""
        came = []
        self.loop.call_from_thread(lambda: came.append(True))
        end = time.monotonic() + PATIENCE_MS / 1000
        while not came and time.monotonic() < end:
            qhttp.run(10)


def n_descriptors() -> int:
    """How many are open, what nobody refers to collected."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


class Client(qhttp.QHttp):
    """With room for what ties it into a circle."""


def number_in(url: str) -> int:
    """Of the file."""
    return int(url.rpartition("/")[2])


def run(n_threads: int, n_rounds: int, seed: int) -> Stress:
    """Plays it; `verdict` of the result tells what went wrong."""
    with FileServerProcess(seed=seed, largest=LARGEST, fault_percent=0, no_log=True) as server, quick_switches():
        return Stress(server, n_threads, n_rounds, seed).run()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    stress = run(given.threads, given.rounds, given.seed)
    is_locked = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(f"{given.threads} threads, {'with' if is_locked else 'without'} the GIL, {time.monotonic() - began:.1f} s: "
          f"{stress.n_bodies} bodies of {stress.n_bytes} bytes, {len(stress.ids)} ids, "
          f"{stress.n_sent_calls} calls between loops, {stress.n_outside} objects touched from outside")
    for problem in stress.verdict:
        print(problem, file=sys.stderr)
    return 1 if stress.verdict else 0


if __name__ == "__main__":
    sys.exit(main())
