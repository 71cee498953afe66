"""What is compared: the workloads by name, and who takes part in each."""

from __future__ import annotations

from dataclasses import dataclass, replace

MIB = 1 << 20
FLOOR = "c_loop"  # every ratio is to this contender
LIBRARIES = ("qhttp_face", "pycurl_multi", "urllib3_threads")

# Clients that need much longer for a request get a smaller number of them, so that a round stays short.
SHARE_OF_REQUESTS = {"urllib3_threads": 0.15}


@dataclass(frozen=True)
class Workload:
    """One table. `server` is where the answers come from: "c", "nginx", or "nginx or c"."""

    name: str
    title: str
    server: str
    body_len: int
    n_connections: int = 1
    n_requests: int = 1
    to_file: bool = False
    contenders: tuple[str, ...] = (FLOOR, *LIBRARIES, "wrk")

    def requests_for(self, contender: str) -> int:
        """How many of the requests this contender makes."""
        return max(self.n_connections, int(self.n_requests * SHARE_OF_REQUESTS.get(contender, 1)))

    def made_quick(self) -> Workload:
        """The same in a tenth of the time, to see whether everything works."""
        if self.to_file:
            return replace(self, title=self.title.replace("1 GiB", "128 MiB"), body_len=128 * MIB)
        return replace(self, n_requests=self.n_requests // 10)


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(
            "small_64", "1 KiB bodies, 64 connections, C server", "c",
            body_len=1024, n_connections=64, n_requests=100_000,
        ),
        Workload(
            "small_64_nginx", "1 KiB bodies, 64 connections, nginx", "nginx",
            body_len=1024, n_connections=64, n_requests=50_000,
        ),
        Workload(
            "sequential", "1 KiB bodies, one connection, one at a time, C server", "c",
            body_len=1024, n_requests=20_000,
        ),
        Workload(
            "file_1g", "one body of 1 GiB to a disk file", "nginx or c",
            body_len=1024 * MIB, to_file=True, contenders=(FLOOR, *LIBRARIES),
        ),
    )
}  # fmt: skip
