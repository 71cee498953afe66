"""Which rows go to which machine next, so that the limits on a host hold over all of them.

A shard has rows of one host. A host that is one of many is fetched by one worker at a time, with all connections that it may
have; where there are fewer hosts than workers, several workers share what a host allows. So `per_host`, `host_rate` and
`host_limit_rate` are never exceeded, whatever the workers do.
"""
from __future__ import annotations

from collections import deque
from urllib.parse import urlsplit

from qhttp.bulk.rate import RATE_MIN

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

SHARED = ("host_rate", "host_limit_rate")       # settings of a host that its workers share like its connections


class Shard:
    """Rows of one host, with their numbers; `n_lanes` of the connections that the host may have."""

    __slots__ = ("host", "n_lanes", "numbers", "rows")

    host: str
    n_lanes: int
    rows: list[Any]
    numbers: list[int]

    def __init__(self, host: str, n_lanes: int, rows: list[Any], numbers: list[int]):
        self.host, self.n_lanes, self.rows, self.numbers = host, n_lanes, rows, numbers

    def __repr__(self) -> str:
        return f"<qhttp shard of {self.host}: {len(self.rows)} rows, {self.n_lanes} connections>"


class ShardPlan:
    """Takes rows as they are needed, at most `window` ahead. `take()` gives the next shard, `give_back()` frees what it had."""

    n_workers: int
    per_host: int
    n_rows: int
    window: int
    is_dry: bool
    n_waiting: int

    def __init__(self, n_workers: int, per_host: int, n_rows: int, window: int):
        self.n_workers, self.per_host, self.n_rows, self.window = n_workers, per_host, n_rows, window
        self._sources: deque[Iterator[Any]] = deque()
        self._waiting: dict[str, deque[tuple[int, Any]]] = {}
        self._in_use: dict[str, int] = {}
        self._n_taken = 0
        self.n_waiting = 0
        self.is_dry = False

    def __repr__(self) -> str:
        return f"<qhttp shard plan for {self.n_workers} workers: {self.n_waiting} rows wait>"

    def add_source(self, rows: Iterator[Any]) -> None:
        """Rows to come. One that is None: there is nothing now; `is_dry` is to be cleared when there is."""
        self._sources.append(rows)

    @property
    def is_empty(self) -> bool:
        """Whether no row waits, nor will one come."""
        return not self.n_waiting and not self._sources

    def _read(self) -> None:
        while self._sources and not self.is_dry and self.n_waiting < self.window:
            for row in self._sources[0]:
                if row is None:
                    self.is_dry = True
                    break
                self._waiting.setdefault(host_of(row), deque()).append((self._n_taken, row))
                self._n_taken += 1
                self.n_waiting += 1
                if self.n_waiting >= self.window:
                    break
            else:
                self._sources.popleft()

    def take(self) -> Shard | None:
        """None: nothing may start now."""
        self._read()
        n_hosts = len(self._waiting.keys() | self._in_use.keys())
        share = max(1, self.per_host // max(1, -(-self.n_workers // max(1, n_hosts))))
        host = next((host for host in self._waiting if self._in_use.get(host, 0) < self.per_host), None)
        if host is None:
            return None
        n_lanes, waiting = min(share, self.per_host - self._in_use.get(host, 0)), self._waiting[host]
        taken = [waiting.popleft() for _ in range(min(self.n_rows, len(waiting)))]
        del self._waiting[host]
        if waiting:
            self._waiting[host] = waiting           # behind the others
        self.n_waiting -= len(taken)
        self._in_use[host] = self._in_use.get(host, 0) + n_lanes
        return Shard(host, n_lanes, [row for _, row in taken], [number for number, _ in taken])

    def give_back(self, shard: Shard) -> None:
        """It has ended, one way or the other."""
        left = self._in_use[shard.host] - shard.n_lanes
        if left:
            self._in_use[shard.host] = left
        else:
            del self._in_use[shard.host]

    def settings(self, shard: Shard, settings: dict[str, Any]) -> dict[str, Any]:
        """The settings of a shard: its part of what the host allows, and of the limit on all."""
        mine = {**settings, "per_host": shard.n_lanes, "jobs": shard.n_lanes}
        for name in SHARED:
            if settings.get(name):
                mine[name] = settings[name] * shard.n_lanes / self.per_host
                mine[name] = max(RATE_MIN, mine[name]) if name == "host_rate" else max(1, int(mine[name]))
        if settings.get("limit_rate"):
            mine["limit_rate"] = max(1, settings["limit_rate"] // self.n_workers)
        return mine

    def rows_left(self) -> Iterator[Any]:
        """The rows that wait, and those that were not read."""
        for waiting in self._waiting.values():
            yield from (row for _, row in waiting)
        while self._sources:
            yield from (row for row in self._sources.popleft() if row is not None)


def host_of(row: Any) -> str:
    """The host of a row's URL; "" where it has none: whoever fetches it will say so."""
    url = row.get("url") if isinstance(row, dict) else row
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower() if isinstance(url, str) else ""
    except ValueError:
        return ""
