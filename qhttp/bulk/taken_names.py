"""Which file names are taken, and by which URLs: for many machines, each of which sees only that a file is there."""
from __future__ import annotations

from qhttp.bulk.naming import path_for
from qhttp.bulk.settings import Settings
from qhttp.protocol.url import split

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from typing import Any


class TakenNames:
    """Of names and URLs only hashes are kept: there may be many. settings: those of the downloaders."""

    def __init__(self, settings: dict[str, Any]):
        self._settings = Settings(**settings)
        self._urls: dict[int, int] = {}
        self._are_known = (self._settings.into == "file" and not self._settings.content_disposition
                           and self._settings.method != "HEAD")

    def take(self, row: Any) -> str | None:
        """Takes the name of a row's file. Returns None; the path, where a row with another URL has it already."""
        given = row if isinstance(row, dict) else {"url": row}
        try:
            path = path_for(self._settings, given, split(given["url"]).target) if self._are_known else None
        except (ValueError, TypeError, KeyError, AttributeError):
            path = None                 # the worker will say what is wrong
        if path is None or self._urls.setdefault(hash(path), hash(given["url"])) == hash(given["url"]):
            return None
        return path
