"""What outlives a run: the rows that are left, for --save-session and the exit status, and the session file or not."""
from __future__ import annotations

import os

from qhttp.cli import exits
from qhttp.errors import FileError, QHttpError
from qhttp.protocol.shown import shown_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, TextIO

    from qhttp.cli.exits import Failures
    from qhttp.cli.intake import Intake
    from qhttp.cli.messages import Messages

OPEN_ALREADY = "/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/self/fd/"      # appended to, wherever they lead


class Rest:
    """`session`: the path of the session file, None without. With --dry-run it remembers nothing, and is not removed."""

    def __init__(self, arguments: argparse.Namespace, downloader: Any, intake: Intake, session: str | None, messages: Messages):
        self._arguments, self._downloader, self._intake, self._messages = arguments, downloader, intake, messages
        self._session = None if arguments.dry_run else session
        self._n_left = 0                # rows that were not tried to their end
        self._failed: dict[tuple[Any, ...], dict[str, Any]] = {}
        if arguments.save_session:
            self._replaced = _identity(arguments.save_session)
            downloader.failed.connect(self._note_failed)

    def _note_failed(self, transfer: Any) -> None:
        self._failed[_key(transfer.row)] = transfer.row

    def settle(self, failures: Failures, was_interrupted: bool) -> int:
        """Writes what is left, ends the downloader, and says how to go on. What fails in this is added to `failures`, and so
        are rows that cannot be read only now. Result: the status of the run."""
        target = self._arguments.save_session
        is_saved = False
        if target:
            self._intake.block()            # a pipe is read to its end
            try:
                save(self._all_left(), target, self._messages, self._check_replaceable)
                is_saved = True
            except OSError as error:
                self._messages.error(f"--save-session: {target} cannot be written: {error.strerror or error}")
                failures.add(exits.DISK)
        if not is_saved:                    # nobody has counted them
            self._n_left += not self._intake.is_over or next(self._untried(), None) is not None
        try:
            self._downloader.close()
        except QHttpError as error:         # what the session held back
            self._messages.error(f"{error}; what was done last may be done again by the next run")
            failures.add(exits.DISK)
        if not self._n_left:
            self._tidy(failures.status)
        elif was_interrupted:
            self._messages.note(self._how_to_go_on(target if is_saved else None))
        return exits.INTERRUPTED if was_interrupted and self._n_left else failures.status

    def _check_replaceable(self, n_not_saved: int) -> None:
        """Raises OSError where FILE has what would be lost with it."""
        target = self._arguments.save_session
        if _identity(target) != self._replaced:
            raise OSError("another file has come there since the run began, a download perhaps: it stays as it is; "
                          "give another FILE")
        if (n_not_saved or self._intake.n_unreadable) and self._intake.reads(target):
            raise OSError("it is the list that was read, and would lose rows that could not be read or saved: it stays as "
                          "it is; correct them, or give another FILE")

    def _untried(self) -> Iterator[dict[str, Any]]:
        return (row for row in self._downloader.left() if _key(row) not in self._failed)

    def _all_left(self) -> Iterator[dict[str, Any]]:
        """What failed, and then what else the downloader knows to be left."""
        yield from self._failed.values()
        for row in self._untried():
            self._n_left += 1
            yield row

    def _tidy(self, status: int) -> None:
        """A session that nobody asked for goes when it has served, unless it knows of something else, or another run has begun
        to use it."""
        is_asked_for = self._arguments.session or self._arguments.input_file
        if status != exits.ALL_DONE or not self._session or is_asked_for:
            return
        from qhttp.bulk.session import DATABASE, leave_lock, take_lock
        try:
            lock = take_lock(self._session)
        except FileError:
            return
        try:
            if knows_only(self._session, self._arguments.urls):
                for ending in DATABASE:
                    try:
                        os.unlink(self._session + ending)
                    except OSError:
                        pass
        finally:
            leave_lock(self._session, lock)

    def _how_to_go_on(self, target: str | None) -> str:
        if target is not None:
            folder, but = self._arguments.dir, ""
            if self._arguments.out is not None:
                folder, but = self._arguments.settings["dir"], " but -o"
            where = f" -d {folder}" if folder else ""
            return f"interrupted; to go on: qhttp -i {target}{where}, with the other options as before{but}"
        if self._session:
            return "interrupted; to go on, run the same command again: only what is left will be done"
        return "interrupted; nothing was remembered of it: --session or --save-session would"


def _identity(path: str) -> tuple[int, int] | None:
    """Which file is there; None: none."""
    try:
        about = os.stat(path)
    except OSError:
        return None
    return about.st_dev, about.st_ino


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["url"], row.get("out"), row.get("dir")


def session_paths(arguments: argparse.Namespace, default: str | None) -> tuple[str | None, ...]:
    """Where to keep the session: the first of these that can be had. Two commands for single files in one folder, at the same
    time, are nothing unusual: the second one has a session of its own, by its URLs."""
    if default is None or arguments.session or arguments.input_file:
        return (default,)
    from hashlib import sha256
    own = f"{default}-{sha256(chr(10).join(arguments.urls).encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"
    return (own, default) if os.path.exists(own) else (default, own)


def knows_only(session: str, urls: Iterable[str]) -> bool:
    """Whether a session file that is not in use knows of these URLs and no others: looks at every column of that name."""
    from contextlib import closing
    from sqlite3 import Error, connect
    known = set(urls)
    if not os.path.exists(session):         # it would be made
        return False
    try:
        with closing(connect(session)) as database:
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()]
            with_urls = [name for name in tables if any(
                column[1] == "url" for column in database.execute(f"PRAGMA table_info({name!r})"))]
            return all(url in known for name in with_urls for (url,) in database.execute(f"SELECT url FROM {name!r}"))
    except Error:
        return False


def save(rows: Iterable[dict[str, Any]], path: str, messages: Messages, check_replaceable: Callable[[int], Any]) -> None:
    """Writes rows as an aria2 input file. It takes the place of what was there when it is complete: what was there may be the
    list that the rows are still read from. Before that `check_replaceable` is told how many could not be written, and may
    raise. Raises OSError."""
    import tempfile
    if path.startswith(OPEN_ALREADY) or (os.path.exists(path) and not os.path.isfile(path)):       # a pipe, a device
        with open(path, "a", encoding="utf-8") as file:
            _write(rows, file, messages)
        return
    path = os.path.realpath(path)           # a link stays one
    fd, beside = tempfile.mkstemp(prefix=".qhttp-", dir=os.path.dirname(path))     # its owner's alone: URLs may be secrets
    try:
        with open(fd, "w", encoding="utf-8") as file:
            n_not_saved = _write(rows, file, messages)
        check_replaceable(n_not_saved)
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise


def _write(rows: Iterable[dict[str, Any]], file: TextIO, messages: Messages) -> int:
    """How many of the rows could not be written."""
    from qhttp.bulk.manifest import write_aria2
    n_not_saved = 0
    tell = messages.error           # the first one is shown in any case
    for row in rows:
        try:
            write_aria2((row,), file)
        except ValueError as error:
            tell(f"{shown_url(str(row.get('url')))} could not be saved as something that is left: {error}")
            tell = messages.failure
            n_not_saved += 1
    return n_not_saved
