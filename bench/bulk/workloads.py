"""What is compared: the workloads by name, and who takes part in each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bench.bulk.corpus import Corpus, Made
from bench.workloads import DISK, GIB, KIB, MIB, TMPFS

DROPPED = ""  # the target of a workload that writes no files

LABELS = {
    "c_files": "C, epoll loop",
    "c_drop": "C, epoll loop",
    "qhttp_cli": "qhttp (program)",
    "qhttp_cli_no_session": "qhttp --no-session (program)",
    "qhttp_downloader": "qhttp, Downloader",
    "qhttp_drop": "qhttp, Downloader",
    "aria2": "aria2c (program)",
    "curl_parallel": "curl --parallel (program)",
    "wget2": "wget2 (program)",
    "urllib3_files": "urllib3, threads",
    "aiohttp_files": "aiohttp, uvloop",
}
FILES = (
    "c_files", "qhttp_downloader", "qhttp_cli", "qhttp_cli_no_session", "curl_parallel", "aria2", "wget2", "aiohttp_files",
    "urllib3_files",
)  # fmt: skip
DROPS = ("c_drop", "qhttp_drop", "curl_parallel", "aiohttp_files", "urllib3_files")


@dataclass(frozen=True)
class Workload:
    """One table; all ratios are to its first contender.

    `kind` says what is counted: "requests", which are files, or "bytes".
    """

    name: str
    title: str
    corpus: Corpus
    n_connections: int
    target: str
    contenders: tuple[str, ...] = FILES
    kind: str = "requests"

    @property
    def server(self) -> str:
        """Where the answers come from."""
        return "c" if isinstance(self.corpus, Made) else "nginx"

    @property
    def floor(self) -> str:
        """The contender all ratios are to."""
        return self.contenders[0]

    @property
    def unit(self) -> str:
        """Of the CPU time."""
        return "cpu us/file" if self.kind == "requests" else "cpu s/GiB"

    @property
    def rate_unit(self) -> str:
        """GB is 1e9 bytes."""
        return "files/s" if self.kind == "requests" else "GB/s"

    @property
    def body_len(self) -> int:
        """Of each file, where all are the same; 0: they differ."""
        return self.corpus.max_len if self.corpus.max_len == self.corpus.min_len else 0

    def n_files_for(self, share: float) -> int:
        """How many of the files a contender gets that has this share of them; a large one is never left out."""
        if self.kind == "bytes":
            return self.corpus.n_files
        return max(self.n_connections, int(self.corpus.n_files * share))

    def made_quick(self) -> Workload:
        """The same in a tenth of the time, to see whether everything works."""
        corpus = self.corpus
        if corpus.n_files == 1:
            smaller = replace(corpus, min_len=corpus.min_len // 10, max_len=corpus.max_len // 10)
        else:
            smaller = replace(corpus, n_files=corpus.n_files // 10)
        return replace(self, title=f"{self.title} (a tenth of it)", corpus=smaller)


SMALL = Corpus(20_000, KIB, 64 * KIB)
ALL = (
    Workload("files_small", "20,000 files of 1 to 64 KiB to disk, 64 connections, nginx", SMALL, 64, DISK),
    Workload("files_small_tmpfs", "20,000 files of 1 to 64 KiB to memory, 64 connections, nginx", SMALL, 64, TMPFS),
    Workload("drop_small", "20,000 answers of 1 to 64 KiB, dropped, 64 connections, nginx", SMALL, 64, DROPPED, DROPS),
    Workload("files_8m", "200 files of 8 MiB to disk, 16 connections, nginx", Corpus(200, 8 * MIB, 8 * MIB), 16, DISK,
             kind="bytes"),
    Workload("file_4g", "one file of 4 GiB to disk, nginx", Corpus(1, 4 * GIB, 4 * GIB), 1, DISK, kind="bytes"),
    Workload("million_urls", "1,000,000 answers of 16 to 64 bytes, dropped, 64 connections, C server",
             Made(1_000_000, 16, 64), 64, DROPPED, ("c_drop", "qhttp_drop")),
)  # fmt: skip

WORKLOADS = {workload.name: workload for workload in ALL}
