"""`download_shard`: many rows in, as many dicts out. One call is one unit of work for Dask, Ray, Spark or a process pool."""
from __future__ import annotations

from qhttp.bulk.downloader import Downloader, all_rows

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from qhttp.bulk.transfer import Transfer


def download_shard(rows: Iterable[str | dict[str, Any]], *, dir: str | None = None, into: str = "file",
                   **settings: Any) -> list[dict[str, Any]]:
    """Downloads all rows and says what became of each, in their order: Transfer.to_dict(), and `content` with into="bytes".

    Never raises for a row: its `error` is the name of the error's class, `errormsg` its text. Can be repeated: a file that is
    there under its final name is whole and is taken as done, after a look at size and checksum where the row has them.
    Settings are those of Downloader. Arguments and result can be pickled.
    """
    if settings.get("fail_fast"):
        raise ValueError("fail_fast is not for shards: each row has its outcome")
    outcomes: dict[int, dict[str, Any]] = {}

    def note(transfer: Transfer) -> None:
        outcome = transfer.to_dict()
        if into == "bytes":
            outcome["content"] = transfer.content
        outcomes[transfer.number] = outcome

    merged = {"existing": "skip", **settings, "dir": "." if dir is None else dir, "into": into}
    with Downloader(all_rows(rows), **merged) as downloader:
        downloader.finished.connect(note)
        downloader.failed.connect(note)
        downloader.run()
    return [outcomes[number] for number in sorted(outcomes)]
