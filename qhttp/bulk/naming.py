"""Where the file of a row goes: what the row says, else the name in the answer, else that in the URL."""
from __future__ import annotations

from qhttp.bulk.names import name_from_disposition, name_from_target, place
from qhttp.bulk.settings import Settings

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from typing import Any


def path_for(settings: Settings, row: dict[str, Any] | None, target: bytes, disposition: str | None = None) -> str:
    """The file's absolute path. Raises ValueError for a name that could lead out of the folder."""
    folder = settings.dir.rstrip("/")
    out = settings.name
    if row is not None:
        if row.get("dir"):
            folder = place(folder, row["dir"].strip("/") if not row["dir"].startswith("/") else row["dir"])
        out = row.get("out") or out
    if out is not None:
        return place(folder, out)
    name = name_from_disposition(disposition) if disposition is not None else None
    return f"{folder}/{name if name is not None else name_from_target(target)}"


def taken(path: str) -> str:
    """What is wrong with the path of a row whose name a row with another URL has."""
    return f"{path} is the name of another URL's file, too: give one of them a name of its own"
