"""A round of mixed work, always the same: QHttp objects, Downloaders and a Client at once on one loop, faulty servers."""
import hashlib
import os
import ssl
import time

from soak.gauges import Histogram, resident
from soak.object_fetching import HANG_S, SLOW, SLOW_MS, STALL_MS, Fetcher, Work
from support.certificate import make_certificate
from support.file_server_process import FileServerProcess
from support.seeded_files import SeededFiles

import qhttp

FILES_OF = {"plain": 3000, "pipelined": 3000, "tls": 200}      # of a round, by the kind of the objects that fetch them
OBJECTS_OF = {"plain": 16, "pipelined": 16, "tls": 4}           # half of them live as long as the run
DEPTH_OF = {"plain": 1, "pipelined": 8, "tls": 1}
BY_DOWNLOADER, BY_CLIENT = 300, 40      # files of each of two Downloaders; of the Client
N_HOSTS = 8                 # for the Downloaders: a pause that a server asks for is one host's
RETRIES = 25
LARGEST = 256 << 10
SAMPLE_S = 2.0
N_SHOWN = 10


class Servers:
    """One for plain objects, one for TLS, one for Downloader and Client."""

    def __init__(self, seed: int, fault_percent: float, folder: str):
        pem = make_certificate(folder)
        common = {"seed": seed, "largest": LARGEST, "max_faults": 0, "no_log": True}
        self.context = ssl.create_default_context(cafile=pem)
        self.plain = FileServerProcess(**common, fault_percent=fault_percent)
        self.tls = FileServerProcess(**common, fault_percent=fault_percent, certificate=pem)
        self.bulk = FileServerProcess(**common, fault_percent=fault_percent / 2, hosts=N_HOSTS)
        self._all = self.plain, self.tls, self.bulk

    def n_requests(self) -> int:
        return sum(server.ask("report")["requests"] for server in self._all)

    def close(self) -> None:
        for server in self._all:
            server.close()


class Mixture:
    """The work of a round, again and again."""

    def __init__(self, seed: int, servers: Servers, folder: str):
        self.files, self.servers, self.folder = SeededFiles(seed, LARGEST), servers, folder
        self.wrong: list[str] = []
        self.n_files = self.n_rounds = 0
        self.latencies, self.peak, self._sampled = Histogram(), 0, 0.0
        nothing = Work(self.files, ())
        self._lasting = {kind: [self._object(nothing, kind) for _ in range(n // 2)] for kind, n in OBJECTS_OF.items()}
        self._patience = {"retries": RETRIES, "idle_timeout": STALL_MS / 1000, "min_speed": (SLOW, SLOW_MS / 1000)}

    def _object(self, work: Work, kind: str) -> Fetcher:
        if kind != "tls":
            return Fetcher(work, qhttp.QHttp("127.0.0.1", self.servers.plain.port), self.folder, DEPTH_OF[kind])
        http = qhttp.QHttp("127.0.0.1", qhttp.QHttp.ConnectionModeHttps, self.servers.tls.port)
        http.setSslConfiguration(self.servers.context)
        return Fetcher(work, http, self.folder)

    def round(self) -> None:
        """Once all of it; afterwards nothing is under way, and no connection is open."""
        first, works = 0, []
        for kind, n in FILES_OF.items():
            works.append(self._start_objects(kind, range(first, first + n)))
            first += n
        downloaders = [self._start_downloader(first, pipelining=1, session=os.path.join(self.folder, "session")),
                       self._start_downloader(first + BY_DOWNLOADER, pipelining=8)]
        self._ask_client(first + 2 * BY_DOWNLOADER)
        self._turn(works, downloaders)
        for work in works:
            self.wrong += work.wrong
            self.n_files += len(work.whole)
            for fetcher in work.fetchers:
                fetcher.http.closeConnection()
        qhttp.run(1000)
        for kind, work in zip(FILES_OF, works, strict=True):
            for fetcher in list(work.fetchers):
                if fetcher not in self._lasting[kind]:
                    fetcher.leave()
        for downloader in downloaders:
            downloader.close()
        os.unlink(os.path.join(self.folder, "session"))
        if left := os.listdir(self.folder):
            self.wrong.append(f"left in the folder: {left[:N_SHOWN]}")
        self.n_rounds += 1

    def _start_objects(self, kind: str, numbers: range) -> Work:
        work = Work(self.files, numbers, self.latencies if kind != "tls" else None)
        for fetcher in self._lasting[kind]:
            fetcher.turn_to(work)
        for _ in range(OBJECTS_OF[kind] - len(self._lasting[kind])):
            self._object(work, kind)
        for fetcher in work.fetchers:
            fetcher.fill()
        return work

    def _start_downloader(self, first: int, **settings) -> qhttp.Downloader:
        numbers = range(first, first + BY_DOWNLOADER)
        rows = ({"url": self.servers.bulk.url(number), "out": f"{number}", "size": self.files.size(number),
                 "checksum": "sha256:" + self.files.sha256(number).hex()} for number in numbers)
        downloader = qhttp.Downloader(rows, dir=self.folder, jobs=16, per_host=16, **self._patience, **settings)
        downloader.finished.connect(self._file_came)
        downloader.failed.connect(self._file_failed)
        downloader.start()
        return downloader

    def _file_came(self, transfer) -> None:
        number = int(transfer.url.rpartition("/")[2])
        with open(transfer.path, "rb") as file:
            data = file.read()
        os.unlink(transfer.path)
        self.n_files += 1
        if hashlib.sha256(data).digest() != self.files.sha256(number) or transfer.header("x-file") != str(number):
            self.wrong.append(f"the file {number} is not whole, or another's")

    def _file_failed(self, transfer) -> None:
        self.wrong.append(f"{transfer.url} has failed: {transfer.error!r}")

    def _ask_client(self, first: int) -> None:
        """The Client's calls turn the loop, so that all else goes on meanwhile."""
        with qhttp.Client(**self._patience) as client:
            for number in range(first, first + BY_CLIENT):
                for _ in range(RETRIES):
                    answer = client.get(self.servers.bulk.url(number))
                    self._sample()
                    if hashlib.sha256(answer.content).digest() == self.files.sha256(number):
                        self.n_files += 1
                        break
                    if answer.status == 200 and not bytes(self.files.view(number)).startswith(answer.content):
                        self.wrong.append(f"the client was given something else for {number}")
                else:
                    self.wrong.append(f"the client was not given {number}")

    def _turn(self, works: list[Work], downloaders: list) -> None:
        end = time.monotonic() + HANG_S
        while any(work.n_left for work in works) or not all(downloader.is_done for downloader in downloaders):
            is_idle = qhttp.run(500)
            self._sample()
            if time.monotonic() > end or is_idle:
                left = [work.n_left for work in works] + [not downloader.is_done for downloader in downloaders]
                if any(left):
                    self.wrong.append(f"a round does not come to its end: left are {left}")
                return

    def _sample(self) -> None:
        if time.monotonic() - self._sampled > SAMPLE_S:
            self._sampled, self.peak = time.monotonic(), max(self.peak, resident())
