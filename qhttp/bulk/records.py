"""The rows that a session gives: what is done, what is known of a part, what failed."""
from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from typing import Any, NamedTuple

    class Done(NamedTuple):
        url: str
        size: int
        ino: int
        etag: str | None
        sha256: str | None

    class Part(NamedTuple):
        url: str
        ino: int
        etag: str | None
        last_modified: str | None
        total: int | None
        segments: list[Any] | None
        is_mixed: bool = False

    class Failed(NamedTuple):
        url: str
        path: str | None
        cause: str
        row: dict[str, Any]
else:
    Done = namedtuple("Done", "url size ino etag sha256")
    Part = namedtuple("Part", "url ino etag last_modified total segments is_mixed", defaults=[False])
    Failed = namedtuple("Failed", "url path cause row")

