"""The session file: what is done, which parts are of which version, what failed and what is left, in one SQLite file.

A kill may come at any moment. So a batch of files is recorded before they get their names (`begin_batch`), and the next
transaction says that the renames are through; rows of a batch of which nobody said so are looked up on disk when the file is
opened. A run appends its rows to the table `fresh`; the next one, when it opens the file, merges them into `done` in the order
of paths: names come in any order, and to put each row in its place at once would cost a page of the index a row.

Without `sync` nothing waits for the disk, since one fsync may make a file system write out all that was downloaded, too. A kill
loses nothing by that. After a power failure neither the files nor the session are promised: a row is only to be believed if
its file has the recorded size, and SQLite may find the session damaged (FileError says to remove it).

One thread writes; `lookup`, `part` and `left` read what was committed, through a connection of their own, and may be called
from one other thread. The file is for its owner's eyes only: URLs and headers may hold tokens.
"""
from __future__ import annotations

import os

from qhttp.bulk.records import Done, Failed, Part
from qhttp.errors import FileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from _io import FileIO
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from qhttp.bulk.resume import Version

APPLICATION_ID = 0x71687474     # PRAGMA application_id: a session file, and no other database
FORMAT = 1                      # PRAGMA user_version: of the tables below
BUSY_S = 10.0                   # how long another program that looks into the file is waited for
HELD_CAP = 1000                 # records that wait for the next transaction
CHECKPOINT_PAGES = 4000         # of the write-ahead log (16 MiB): fewer ones are written twice
LOG_CAP = 16 << 20              # bytes of that log that stay on the disk after a large transaction
PAGE_ROWS = 500                 # rows of `left` read at a time

_MAGIC = b"SQLite format 3\0"
DATABASE = ("", "-journal", "-wal", "-shm")     # what stands behind the path of an SQLite database in those of its files
_ADVICE = "remove it, or name another session file"
_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE done (path TEXT PRIMARY KEY, url TEXT, size INTEGER, ino INTEGER, etag TEXT, sha256 TEXT) WITHOUT ROWID;
CREATE TABLE fresh (n INTEGER PRIMARY KEY, path TEXT, url TEXT, size INTEGER, ino INTEGER, etag TEXT, sha256 TEXT);
CREATE TABLE parts (path TEXT PRIMARY KEY, url TEXT, ino INTEGER, etag TEXT, last_modified TEXT, total INTEGER, segments TEXT)
    WITHOUT ROWID;
CREATE TABLE failed (url TEXT, path TEXT, cause TEXT, row TEXT, PRIMARY KEY (url, path)) WITHOUT ROWID;
CREATE TABLE "left" (row TEXT);
INSERT INTO meta VALUES ('n_complete', 0);
"""


def _stored(text: str) -> str | bytes:
    """A str as SQLite takes it: what is no UTF-8, as a file name may be, becomes a blob."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def _restored(value: str | bytes) -> str:
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value


def take_lock(path: str) -> FileIO:
    """The lock of the session `path`: held until this process ends, however it does, or until leave_lock(). Raises FileError,
    also where another run has it."""
    import fcntl
    name = path + "-lock"
    try:
        while True:
            file = _made(name)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                about = os.fstat(file.fileno())
                if about.st_size:                       # a lock is empty, and is removed
                    raise FileError(f"{name} is a file of something else: name another session file")
                if about.st_nlink:                      # else its last owner has removed it meanwhile
                    return file
            except BaseException:
                file.close()
                raise
            file.close()
    except BlockingIOError:
        raise FileError(f"{path} is in use by another run: wait for its end, or name another session file") from None
    except OSError as error:
        raise FileError(f"{name} cannot be made: {error.strerror or error}") from None


def leave_lock(path: str, file: FileIO) -> None:
    try:
        os.unlink(path + "-lock")
    except OSError:
        pass                            # an empty file stays
    finally:
        file.close()


def _made(path: str) -> FileIO:
    """A file, made where it is missing. It owns its descriptor from the first moment: this is closed, whatever happens."""
    from _io import FileIO
    return FileIO(path, "r+", opener=lambda name, _: os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _copied(path: str) -> sqlite3.Connection:
    """What the session file knows, in memory. Nothing is made or changed on the disk: to read a file without a log SQLite would
    make one, unless nobody changes the file; a log it can only read with its index, which a killed run leaves there, too."""
    from contextlib import closing
    from sqlite3 import connect
    from urllib.parse import quote
    has_log = os.path.exists(path + "-wal") and os.path.exists(path + "-shm")
    how = "mode=ro&readonly_shm=1" if has_log else "immutable=1"
    copy = connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        with closing(connect(f"file:{quote(os.fsencode(path))}?{how}", timeout=BUSY_S, uri=True)) as source:
            source.backup(copy)
    except BaseException:
        copy.close()
        raise
    return copy


def _signed(ino: int) -> int:
    """An inode number as SQLite's integers are: some file systems use all 64 bits."""
    return ino - (1 << 64) if ino >= 1 << 63 else ino


def _unsigned(ino: int) -> int:
    return ino & ((1 << 64) - 1)


def _is_in_place(path: str, size: int, ino: int) -> bool:
    """Whether the file of a row got its name."""
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return False
    return found.st_ino == ino and found.st_size == size


class Session:
    """Opens the session file at `path`, or makes it (mode 0600). sync: every commit is on the disk before it returns.
    is_copy: only a copy in memory is opened, without a lock, and the disk stays as it is; for one thread.

    is_new: nothing was recorded in it before. Paths of files are recorded as they are given: better absolute ones. After a
    run of a million files opening takes seconds. Raises FileError where the file is no session, or of another format, or in
    use by another run, or cannot be read or written; all methods raise it when the disk is full or fails.
    """

    path: str
    is_new: bool
    names: list[str]            # of all files that are the session's, or may be

    def __init__(self, path: str | os.PathLike[str], *, sync: bool = False, is_copy: bool = False):
        self.path = os.path.abspath(os.fsdecode(path))
        self.names = [self.path + end for end in (*DATABASE, "-lock")]
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        self._n_rows = 0                                    # the last number in `fresh`: none is given twice in a run
        self._batch: dict[int, tuple[Any, ...]] | None = None         # the last of them, until the next transaction
        self._is_through = False                            # its renames have been tried
        self._misplaced: set[str] = set()                   # paths of those that failed
        self._parts: dict[str, tuple[Any, ...]] = {}                  # held for the next transaction
        self._failures: dict[tuple[str, str], tuple[str, str]] = {}
        self._n_new = 0                                     # such records since the last transaction, or try of one
        self._lock_file = None if is_copy else take_lock(self.path)
        try:
            self._connect(sync)
        except BaseException:
            self._release()
            raise

    def __repr__(self) -> str:
        return f"<qhttp session {self.path}, {'closed' if getattr(self, '_writer', None) is None else 'open'}>"

    # -- opening and closing
    def _release(self) -> None:
        try:
            for connection in (self._reader, self._writer):     # the last one tidies up, and has to be able to write
                if connection is not None:
                    connection.close()
        finally:
            self._reader = self._writer = None
            if self._lock_file is not None and not self._lock_file.closed:
                leave_lock(self.path, self._lock_file)

    def _connect(self, sync: bool) -> None:
        from sqlite3 import Error, connect
        self._sqlite_error = Error
        try:
            with _made(self.path) if self._lock_file is not None else open(self.path, "rb") as file:
                start = file.read(len(_MAGIC))
        except OSError as error:
            raise FileError(f"{self.path} cannot be opened as a session file: {error.strerror or error}") from None
        if start not in (b"", _MAGIC):      # SQLite itself takes a short file of anything for an empty one
            raise FileError(f"{self.path} is no session file: {_ADVICE}")
        opened: Callable[[], sqlite3.Connection] = lambda: connect(os.fsencode(self.path), timeout=BUSY_S, isolation_level=None,
                                                                   check_same_thread=False)
        try:
            if self._lock_file is None:
                self._reader = self._writer = _copied(self.path)
            else:
                self._writer = opened()
            self._query(f"PRAGMA synchronous={'FULL' if sync else 'OFF'}")      # before anything is written
            self._check_format()
            for name, value in (("journal_mode", "WAL"), ("wal_autocheckpoint", CHECKPOINT_PAGES),
                                ("journal_size_limit", LOG_CAP), ("secure_delete", "FAST")):    # no zeros where `fresh` was
                self._query(f"PRAGMA {name}={value}")
            self._has_parts, self._has_failures = self._has("parts"), self._has("failed")
            self._recover()
            self.is_new = not any(map(self._has, ("done", "parts", "failed", '"left"')))
            if self._reader is None:
                self._reader = opened()
                self._fetch(self._reader, "PRAGMA query_only=1")
        except Error as error:
            raise self._broken(error) from None

    def _check_format(self) -> None:
        """Makes the tables in an empty file; refuses any other that is not ours, and changes nothing in it."""
        [[n_tables]] = self._query("SELECT count(*) FROM sqlite_master")
        [[owner]], [[found]] = self._query("PRAGMA application_id"), self._query("PRAGMA user_version")
        if n_tables == owner == found == 0:
            self._connection().executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA application_id={APPLICATION_ID};"
                                             f"PRAGMA user_version={FORMAT}; COMMIT;")
        elif owner != APPLICATION_ID:
            raise FileError(f"{self.path} is the database of something else: name another session file")
        elif found != FORMAT:
            raise FileError(f"{self.path} is a session file of another version (format {found}, not {FORMAT}): {_ADVICE}")

    def _recover(self) -> None:
        """Rows of a batch that nobody said was through stay if their files have got their names; then all are merged."""
        [[self._n_rows]] = self._query("SELECT value FROM meta WHERE key = 'n_complete'")
        if self._has("fresh"):
            rows = self._query("SELECT n, path, url, size, ino FROM fresh WHERE n > ?", self._n_rows)
            self._batch = {n: (_restored(path), _restored(url), size, _unsigned(ino)) for n, path, url, size, ino in rows}
            self._look_up_batch()
            self._commit(self._merge)

    def _merge(self, run: sqlite3.Connection) -> None:
        """What was appended goes to its place; the last row of a path is the one that holds."""
        run.execute("INSERT OR REPLACE INTO done SELECT path, url, size, ino, etag, sha256 FROM fresh ORDER BY path, n")
        run.execute("DELETE FROM fresh")

    def _look_up_batch(self) -> None:
        batch = (self._batch or {}).values()
        self._misplaced = {path for path, _, size, ino, *_ in batch if not _is_in_place(path, size, ino)}
        self._is_through = True

    def close(self) -> None:
        """Writes what is held, and lets go of the file. Further calls do nothing."""
        if self._writer is None:
            return
        try:
            self.flush()
        finally:
            try:
                self._release()
            except self._sqlite_error as error:
                raise self._broken(error) from None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- what is done
    def begin_batch(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Records in one transaction files that are about to get their names: (path, url, size, ino, etag, sha256) of each.

        ino: the inode of the part, which is the file's, too. When it returns, the files may be renamed; then say `end_batch`.
        """
        if not rows:
            return
        if self._batch is not None and not self._is_through:
            self._look_up_batch()
        batch = dict(enumerate(rows, self._n_rows + 1))
        stored = [(n, _stored(path), _stored(url), size, _signed(ino), etag, sha256)
                  for n, (path, url, size, ino, etag, sha256) in batch.items()]
        self._commit(lambda run: run.executemany("INSERT INTO fresh VALUES (?, ?, ?, ?, ?, ?, ?)", stored))
        self._batch, self._n_rows = batch, self._n_rows + len(batch)

    def end_batch(self, failed_paths: Iterable[str] = ()) -> None:
        """The renames of the batch are through, but for those of `failed_paths`, whose records the next transaction takes back.

        Parts of the others are forgotten with the same transaction. Without one that has begun it does nothing.
        """
        if self._batch is not None and not self._is_through:
            self._misplaced = set(failed_paths)
            self._is_through = True

    def lookup(self, path: str) -> Done | None:
        """What earlier runs have recorded of a file, be it still there or not. This run's are known by their names on disk."""
        query = "SELECT url, size, ino, etag, sha256 FROM done WHERE path = ?"
        for url, size, ino, etag, sha256 in self._read(query, _stored(path)):
            return Done(_restored(url), size, _unsigned(ino), etag, sha256)
        return None

    # -- parts
    def put_part(self, path: str, url: str, ino: int, etag: str | None, last_modified: str | None, total: int | None,
                 segments: list[Any] | None = None, is_mixed: bool = False) -> None:
        """Remembers of which version the part of the file `path` is, with the next transaction.

        ino: of the part. total: bytes of the whole file. segments: of a part with holes, what JSON can hold. is_mixed: only a
        checksum of the whole can tell whether they belong together.
        """
        told = None if segments is None else _json({"mixed": segments} if is_mixed else segments)
        self._parts[path] = url, ino, etag, last_modified, total, told
        self._has_parts = True
        self._limit_held()

    def put_part_of(self, path: str, url: str, fd: int, version: Version) -> None:
        """The same of a part that is open as `fd`; version: a qhttp.bulk.resume.Version."""
        self.put_part(path, url, os.fstat(fd).st_ino, version.etag, version.last_modified, version.total)

    def drop_part(self, path: str) -> None:
        """Forgets a part, for good when it returns: its file may now get bytes of another version."""
        self._parts.pop(path, None)
        stored = _stored(path)
        if self._has_parts and self._query("SELECT 1 FROM parts WHERE path = ?", stored):
            self._commit(lambda run: run.execute("DELETE FROM parts WHERE path = ?", (stored,)))

    def part(self, path: str) -> Part | None:
        """What is known of the part of the file `path`."""
        held = self._parts.get(path)
        query = "SELECT url, ino, etag, last_modified, total, segments FROM parts WHERE path = ?"
        for url, ino, etag, last_modified, total, segments in self._read(query, _stored(path)) if held is None else [held]:
            is_mixed = False
            if segments is not None:
                from json import loads
                segments = loads(segments)
                is_mixed = isinstance(segments, dict)
            return Part(_restored(url), _unsigned(ino), etag, last_modified, total, segments["mixed"] if is_mixed else segments,
                        is_mixed)
        return None

    # -- what failed, and what is left
    def note_failed(self, url: str, path: str | None, cause: str | BaseException, row: dict[str, Any]) -> None:
        """Remembers a failure, with the next transaction, until its file is done. row: as it was fed."""
        text = cause if isinstance(cause, str) else f"{type(cause).__name__}: {cause}"
        self._failures[url, path or ""] = text, _json(row)
        self._has_failures = True
        self._limit_held()

    def failed(self) -> list[Failed]:
        """The failures that nothing came of: (url, path or None, cause, row)."""
        from json import loads
        self.flush()
        return [Failed(_restored(url), _restored(path) or None, _restored(cause), loads(row))
                for url, path, cause, row in self._query("SELECT url, path, cause, row FROM failed")]

    def set_left(self, rows: Iterable[dict[str, Any]]) -> None:
        """Records, in one transaction, the rows that are left, in the place of those before; `rows` may come from `left()`."""
        def write(run: sqlite3.Connection) -> None:
            n_last, = run.execute('SELECT coalesce(max(rowid), 0) FROM "left"').fetchone()
            run.executemany('INSERT INTO "left" VALUES (?)', ((_json(row),) for row in rows))
            run.execute('DELETE FROM "left" WHERE rowid <= ?', (n_last,))

        self._commit(write)

    def left(self) -> Iterator[dict[str, Any]]:
        """The rows that were left, read as they are asked for."""
        from json import loads
        [[n_last]] = self._read('SELECT coalesce(max(rowid), 0) FROM "left"')
        n_read = 0
        while page := self._read('SELECT rowid, row FROM "left" WHERE rowid > ? AND rowid <= ? ORDER BY rowid LIMIT ?',
                                 n_read, n_last, PAGE_ROWS):
            n_read = page[-1][0]
            yield from (loads(row) for _, row in page)

    # -- transactions
    def flush(self) -> None:
        """Writes what is held, and that the last batch is through, if it is."""
        if self._parts or self._failures or self._is_through:
            self._commit()

    def _limit_held(self) -> None:
        self._n_new += 1
        if self._n_new < HELD_CAP:
            return
        self._n_new = 0
        try:
            self.flush()
        except FileError:               # a full disk, say: the newest are held on, and tried again after as many more
            stores: tuple[dict[Any, Any], ...] = (self._parts, self._failures)
            for held in stores:
                while len(held) > HELD_CAP:
                    del held[next(iter(held))]
            raise

    def _commit(self, work: Callable[[sqlite3.Connection], object] | None = None) -> None:
        """One transaction: what has become of the last batch, what is held, `work(connection)`. All of it, or FileError."""
        run = self._connection()
        try:
            if run.in_transaction:              # of one that had no memory to be taken back
                run.execute("ROLLBACK")
            run.execute("BEGIN IMMEDIATE")
            try:
                if self._is_through:
                    self._settle(run)
                self._write_held(run)
                if work is not None:
                    work(run)
                run.execute("COMMIT")
            except BaseException:
                if run.in_transaction:      # SQLite itself has rolled back some
                    run.execute("ROLLBACK")
                raise
        except self._sqlite_error as error:
            raise self._broken(error) from None
        self._parts.clear()
        self._failures.clear()
        self._n_new = 0
        if self._is_through:
            self._batch, self._is_through = None, False
            self._misplaced.clear()

    def _settle(self, run: sqlite3.Connection) -> None:
        """The latest batch is complete."""
        batch = self._batch or {}
        run.executemany("DELETE FROM fresh WHERE n = ?",
                        [(n,) for n, (path, *_) in batch.items() if path in self._misplaced])
        good = [(_stored(path), _stored(url)) for path, url, *_ in batch.values() if path not in self._misplaced]
        if self._has_parts:
            run.executemany("DELETE FROM parts WHERE path = ?", [(path,) for path, _ in good])
        if self._has_failures:
            run.executemany("DELETE FROM failed WHERE path IN (?, '') AND url = ?", good)
        run.execute("UPDATE meta SET value = ? WHERE key = 'n_complete'", (self._n_rows,))

    def _write_held(self, run: sqlite3.Connection) -> None:
        if self._parts:
            run.executemany("INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?, ?)", [
                (_stored(path), _stored(url), _signed(ino), *rest) for path, (url, ino, *rest) in self._parts.items()])
        if self._failures:
            run.executemany("INSERT OR REPLACE INTO failed VALUES (?, ?, ?, ?)", [
                (_stored(url), _stored(path), _stored(cause), row) for (url, path), (cause, row) in self._failures.items()])

    def _connection(self) -> sqlite3.Connection:
        if self._writer is None:
            raise ValueError("the session is closed: open it again")
        return self._writer

    def _query(self, sql: str, *values: Any) -> list[Any]:
        """The rows of a query, through the writing connection."""
        return self._fetch(self._connection(), sql, values)

    def _read(self, sql: str, *values: Any) -> list[Any]:
        """The same of what is committed, in whichever thread."""
        self._connection()
        assert self._reader is not None
        return self._fetch(self._reader, sql, values)

    def _fetch(self, connection: sqlite3.Connection, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        try:
            return connection.execute(sql, values).fetchall()
        except self._sqlite_error as error:
            raise self._broken(error) from None

    def _has(self, table: str) -> bool:
        return bool(self._query(f"SELECT 1 FROM {table} LIMIT 1"))

    def _broken(self, error: Exception) -> FileError:
        is_damaged = getattr(error, "sqlite_errorcode", 0) & 0xff in (11, 26)       # SQLITE_CORRUPT, SQLITE_NOTADB
        return FileError(f"the session file {self.path} cannot be used: {error}" + (f": {_ADVICE}" if is_damaged else ""))


def _json(row: object) -> str:
    from json import dumps
    return dumps(row, default=str, skipkeys=True, separators=(",", ":"))
