"""What is compared: the workloads by name, and who takes part in each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bench.contenders.runner import FILE, MEMORY, REQUESTS, STREAM

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
DISK, TMPFS = "disk", "tmpfs"  # where a file goes

LABELS = {
    "c_loop": "C, epoll loop",
    "c_pipelined": "C, epoll loop, pipelined",
    "ping_pong": "C, blocking",
    "recv_drop": "C, receive and drop",
    "recv_huge": "C, into huge pages",
    "recv_file": "C, receive, reserve, write",
    "recv_write": "C, receive and write",
    "ssl_read": "C, SSL_read and drop",
    "ssl_read_ahead": "C, SSL_read, large receives",
    "ssl_huge": "C, SSL_read into huge pages",
    "chunk_decode": "C, receive and decode",
    "qhttp_signals": "qhttp",
    "qhttp_face": "qhttp, bodies read",
    "qhttp_pipelined": "qhttp, pipelined",
    "qhttp_discard": "qhttp, to a device",
    "qhttp_read_all": "qhttp, readAll()",
    "qhttp_memory": "qhttp",
    "qhttp_tls_discard": "qhttp, to a device",
    "qhttp_tls_read_all": "qhttp, readAll()",
    "qhttp_tls_memory": "qhttp",
    "qhttp_asyncio": "qhttp in asyncio",
    "qhttp_uvloop": "qhttp in uvloop",
    "qhttp_trio": "qhttp in trio",
    "qhttp_glib": "qhttp in GLib",
    "qhttp_qt": "qhttp in Qt",
    "qhttp_qt_signals": "qhttp in Qt, Qt's signals",
    "pycurl_easy": "pycurl",
    "pycurl_multi": "pycurl, multi",
    "pycurl_read": "pycurl, multi, bodies read",
    "urllib3_threads": "urllib3",
    "requests_session": "requests",
    "httpx_client": "httpx",
    "aiohttp_uvloop": "aiohttp, uvloop",
    "http_client": "http.client",
    "pyreqwest_client": "pyreqwest",
    "primp_client": "primp",
    "curl_cffi_session": "curl_cffi",
    "curl": "curl (program)",
    "aria2c": "aria2c (program)",
    "wrk": "wrk (load generator)",
}

# Clients that need much longer for a request get a smaller number of them, so that a round stays short.
SHARE_OF_REQUESTS = {
    "aiohttp_uvloop": 0.15,
    "curl": 0.3,
    "curl_cffi_session": 0.04,
    "http_client": 0.3,
    "httpx_client": 0.02,
    "primp_client": 0.1,
    "pyreqwest_client": 0.15,
    "requests_session": 0.03,
    "urllib3_threads": 0.08,
}


@dataclass(frozen=True)
class Workload:
    """One table.

    `server` is where the answers come from: "c", "nginx", or "nginx or c". `floor` is the contender
    all ratios are to; `second` another one, for one more ratio of CPU time. `shares` are parts of the
    requests, or of the one body, for single contenders.
    """

    name: str
    title: str
    server: str
    floor: str
    contenders: tuple[str, ...]
    body_len: int
    n_requests: int = 1
    n_connections: int = 1
    task: str = REQUESTS
    chunk_len: int = 0  # 0: not chunked
    depths: Mapping[str, int] = field(default_factory=dict)  # requests in flight on one connection
    shares: Mapping[str, float] = field(default_factory=dict)
    varied: bool = False  # no two heads are alike; else they all are, but for what nginx changes
    one_cpu: bool = False  # client and server share a CPU
    target: str = ""  # of task "file"
    tls: bool = False  # TLS 1.3, every client verifies the certificate
    second: str = ""

    @property
    def kind(self) -> str:
        """What is counted."""
        return "requests" if self.task == REQUESTS else "bytes"

    @property
    def unit(self) -> str:
        """Of the CPU time."""
        return "cpu us/request" if self.kind == "requests" else "cpu s/GiB"

    @property
    def rate_unit(self) -> str:
        """GB is 1e9 bytes."""
        return "requests/s" if self.kind == "requests" else "GB/s"

    def label(self, contender: str) -> str:
        """A short name for readers."""
        return "qhttp" if self.task == FILE and contender == "qhttp_face" else LABELS[contender]

    def _share(self, contender: str) -> float:
        usual = SHARE_OF_REQUESTS.get(contender, 1) if self.task == REQUESTS else 1
        return self.shares.get(contender, usual)

    def requests_for(self, contender: str) -> int:
        """How many of the requests this contender makes."""
        if self.n_requests == 1:
            return 1
        return max(self.n_connections, int(self.n_requests * self._share(contender)))

    def body_len_for(self, contender: str) -> int:
        """How much of the one body this contender fetches; less only where the C server makes it."""
        if self.n_requests > 1 or self.server != "c":
            return self.body_len
        return int(self.body_len * self._share(contender))

    def made_quick(self) -> Workload:
        """The same in a tenth of the time, to see whether everything works."""
        if self.task == MEMORY:
            return replace(self, n_requests=2)
        if self.n_requests == 1:
            return replace(self, title=f"{self.title} (an eighth of it)", body_len=self.body_len // 8)
        return replace(self, n_requests=self.n_requests // 10)


def _small(name: str, title: str, server: str, floor: str, *others: str, **more: object) -> Workload:
    options = {"body_len": KIB, "n_requests": 100_000, **more}
    return Workload(name, title, server, floor, (floor, *others), **options)  # type: ignore[arg-type]


def _body(name: str, title: str, floor: str, *others: str, **more: object) -> Workload:
    options = {"server": "c", "body_len": GIB, **more}
    return Workload(name, title, floor=floor, contenders=(floor, *others), **options)  # type: ignore[arg-type]


def _marks(n_connections: int) -> Workload:
    plural = "s" if n_connections > 1 else ""
    return _small(
        f"small_{n_connections}", f"1 KiB bodies, {n_connections} connection{plural}, C server", "c",
        "c_loop", "qhttp_signals", "pycurl_easy" if n_connections == 1 else "pycurl_multi", "wrk",
        n_connections=n_connections, n_requests=100_000 if n_connections > 1 else 20_000,
    )  # fmt: skip


def _chunked(name: str, title: str, **more: object) -> Workload:
    return _body(name, title, "chunk_decode", "qhttp_discard", "pycurl_easy", "urllib3_threads", task=STREAM, **more)


ALL = (
    _small(
        "small_64", "1 KiB bodies, 64 connections, C server", "c",
        "c_loop", "qhttp_signals", "qhttp_face", "pycurl_multi", "pycurl_read", "aiohttp_uvloop", "pyreqwest_client",
        "primp_client", "curl_cffi_session", "urllib3_threads", "requests_session", "httpx_client", "curl", "wrk",
        n_connections=64,
    ),
    _small(
        "loops_64", "1 KiB bodies, 64 connections, C server, every body read, in the event loops of others", "c",
        "qhttp_face", "qhttp_asyncio", "qhttp_uvloop", "qhttp_trio", "qhttp_glib", "qhttp_qt", "qhttp_qt_signals",
        n_connections=64, n_requests=200_000,
    ),
    _small(
        "small_64_varied", "1 KiB bodies, 64 connections, C server, no two heads alike", "c",
        "c_loop", "qhttp_signals", "pycurl_multi", "wrk",
        n_connections=64, varied=True,
    ),
    _marks(1),
    _marks(16),
    _marks(256),
    _marks(1024),
    _small(
        "small_64_pipelined", "1 KiB bodies, 64 connections, up to 8 requests in flight on each, C server", "c",
        "c_loop", "c_pipelined", "qhttp_signals", "qhttp_pipelined",
        n_connections=64, depths={"c_pipelined": 8, "qhttp_pipelined": 8},
    ),
    _small(
        "small_64_nginx", "1 KiB bodies, 64 connections, nginx", "nginx",
        "c_loop", "qhttp_signals", "pycurl_multi", "aiohttp_uvloop", "wrk",
        n_connections=64, n_requests=50_000, shares={"aiohttp_uvloop": 0.3},
    ),
    _small(
        "sequential", "1 KiB bodies, one connection, one at a time, client and C server on one CPU", "c",
        "ping_pong", "qhttp_signals", "pycurl_easy", "http_client", "urllib3_threads", "requests_session", "httpx_client",
        "aiohttp_uvloop", "pyreqwest_client",
        n_requests=30_000, one_cpu=True,
        shares={"http_client": 0.3, "urllib3_threads": 0.2, "requests_session": 0.06, "httpx_client": 0.06,
                "aiohttp_uvloop": 0.2, "pyreqwest_client": 0.2},
    ),
    _small(
        "sequential_nginx", "1 KiB bodies, one connection, one at a time, client and nginx on one CPU", "nginx",
        "ping_pong", "qhttp_signals", "pycurl_easy", "http_client",
        n_requests=30_000, one_cpu=True,
    ),
    _small(
        "pipelined_1_nginx", "1 KiB bodies, one connection, many requests in flight, nginx", "nginx",
        "c_pipelined", "qhttp_pipelined", "ping_pong",
        n_requests=50_000, depths={"c_pipelined": 16, "qhttp_pipelined": 32}, shares={"ping_pong": 0.3},
    ),
    _body(
        "stream_1g", "one body of 1 GiB, dropped",
        "recv_drop", "qhttp_read_all", "qhttp_discard", "pycurl_easy", "curl", "urllib3_threads", "httpx_client",
        "aiohttp_uvloop", "pyreqwest_client",
        task=STREAM,
    ),
    _body(
        "memory_64m", "16 bodies of 64 MiB as bytes",
        "recv_huge", "qhttp_memory", "pycurl_easy", "urllib3_threads", "requests_session", "aiohttp_uvloop",
        "http_client", "httpx_client", "pyreqwest_client",
        body_len=64 * MIB, n_requests=16, task=MEMORY,
    ),
    _body(
        "file_1g_disk", "one body of 1 GiB to a disk file",
        "recv_file", "qhttp_face", "pycurl_easy", "curl", "aria2c", "urllib3_threads",
        server="nginx or c", task=FILE, target=DISK,
    ),
    _body(
        "file_1g_tmpfs", "one body of 1 GiB to a file in memory",
        "recv_write", "qhttp_face", "pycurl_easy",
        task=FILE, target=TMPFS,
    ),
    _chunked("chunked_16k", "one body of 1 GiB in chunks of 16 KiB, dropped", chunk_len=16 * KIB),
    _chunked("chunked_4k", "one body of 1 GiB in chunks of 4 KiB, dropped", chunk_len=4 * KIB),
    _chunked(
        "chunked_16b", "one body of 128 MiB in chunks of 16 bytes, dropped",
        body_len=128 * MIB, chunk_len=16, shares={"urllib3_threads": 1 / 64},
    ),
    _body(
        "chunked_64m_memory", "16 bodies of 64 MiB in chunks of 16 KiB as bytes",
        "pycurl_easy", "qhttp_memory", "urllib3_threads",
        body_len=64 * MIB, n_requests=16, task=MEMORY, chunk_len=16 * KIB,
    ),
    _body(
        "tls_stream_1g", "one body of 1 GiB over TLS 1.3, dropped",
        "ssl_read", "ssl_read_ahead", "qhttp_tls_read_all", "qhttp_tls_discard", "pycurl_easy", "curl", "urllib3_threads",
        "requests_session", "httpx_client", "aiohttp_uvloop", "pyreqwest_client",
        server="nginx", task=STREAM, tls=True, second="urllib3_threads",
    ),
    _body(
        "tls_memory_64m", "16 bodies of 64 MiB over TLS 1.3 as bytes",
        "ssl_huge", "qhttp_tls_memory", "pycurl_easy", "urllib3_threads", "requests_session", "aiohttp_uvloop",
        "http_client", "httpx_client", "pyreqwest_client",
        server="nginx", body_len=64 * MIB, n_requests=16, task=MEMORY, tls=True, second="urllib3_threads",
    ),
)  # fmt: skip

WORKLOADS = {workload.name: workload for workload in ALL}
