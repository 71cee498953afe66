"""Many downloads at once: `Downloader`, and `iter_download` for a plain loop.

    with qhttp.Downloader(urls, dir="data") as downloader:
        downloader.failed.connect(lambda transfer: print(transfer.url, transfer.error))
        downloader.run()
"""
from __future__ import annotations

from _collections import deque  # type: ignore[import-not-found]  # collections itself takes a millisecond

from qhttp.bulk.identity import Identity
from qhttp.bulk.lanes import Lanes
from qhttp.bulk.requests import checked_headers
from qhttp.bulk.retry import RetryPolicy
from qhttp.bulk.settings import Settings
from qhttp.bulk.transfer import Transfer
from qhttp.watching import announce

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Self

    from qhttp.bulk.session import Session


class Downloader(Lanes):
    """Fetches rows into files, or into memory, `jobs` at a time.

    urls: an iterable of rows, taken lazily: URLs (str), or dicts with `url` and where wanted `out`, `dir` (names below the
    folder), `checksum` ("sha256:..." or a list), `size` (bytes), `headers` ([name, value] pairs), `mirrors` (URLs). settings:
    see qhttp.bulk.settings.DEFAULTS. Raises TypeError and ValueError for settings; FileError for a session that cannot be
    used.

    Signals: started(transfer); progress(transfer, n_done, n_total); retrying(transfer, delay_s, error); finished(transfer),
    failed(transfer): the end of one; done(had_errors): of all. Transfers are `Transfer` objects.
    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        return super().__new__(cls)     # without names: what Cython 3.3 does with them crashes where there is no memory

    def __init__(self, urls: Iterable[str | dict[str, Any]] = (), **settings: Any):
        checked = Settings(**settings)
        checked.headers = tuple(checked_headers(checked.headers))
        super().__init__(checked)
        self._session: Session | None = None
        self._added: deque[str | dict[str, Any]] = deque()
        self._has_queue = False
        try:
            self._set_up()
            if not isinstance(urls, (tuple, list)) or urls:
                self.feed(urls)
            announce(self)
        except BaseException:
            if self._session is not None:       # nobody else would let go of it
                self._session.close()
            raise

    def __repr__(self) -> str:
        return f"<qhttp {type(self).__name__}: {self.n_running} running, {self.n_done} done, {self.n_failed} failed>"

    def _set_up(self) -> None:
        from qhttp.bulk.access import ProxyChoice
        settings = self.settings
        choice = ProxyChoice(settings.proxy) if settings.proxy is not None else None
        has_proxy = choice is not None and choice.is_any
        if settings.public_only and has_proxy:
            raise ValueError("public_only cannot hold through a proxy, which looks names up itself: set proxy=None as well")
        self.set_parts(
            identity=Identity.needed(settings, has_proxy), choose_proxy=choice if has_proxy else None,
            policy=RetryPolicy(settings.retries, settings.retry_max_time), session=self._open_session(),
        )

    def _open_session(self) -> Session | None:
        if self.settings.session is None:
            return None
        from os import makedirs, path
        is_dry = self.settings.dry_run      # it only looks, and leaves nothing behind
        if is_dry and not path.exists(self.settings.session):
            return None
        from qhttp.bulk.files import file_error
        from qhttp.bulk.session import Session
        folder = path.dirname(path.abspath(self.settings.session))
        try:
            makedirs(folder, exist_ok=True)
        except OSError as error:
            raise file_error(folder, error.errno or 0) from None
        self._session = Session(self.settings.session, sync=self.settings.fsync, is_copy=is_dry)
        return self._session

    # -- what is to be fetched
    def feed(self, urls: Iterable[str | dict[str, Any]]) -> None:
        """Takes rows from one more iterable, after those before, as there is room for them. None in it: nothing now, see
        `more`."""
        self.add_source(iter([urls] if isinstance(urls, (str, dict)) else urls))

    def add(self, row: str | dict[str, Any]) -> None:
        """Queues one more."""
        self.check_open()
        self._added.extend(all_rows([row]))
        if not self._has_queue:
            self.add_source(self._take_added())
            self._has_queue = True

    def _take_added(self) -> Iterator[str | dict[str, Any]]:
        try:
            while self._added:
                yield self._added.popleft()
        finally:                        # also where there was no memory to ask it
            self._has_queue = False

    # -- going
    def start(self) -> None:
        """Begins; the loop does the rest. For those who turn the loop themselves."""
        self.begin()

    def run(self, msecs: int | None = None) -> bool:
        """Begins, and turns the loop until all has ended, or for at most `msecs` milliseconds; says whether it has."""
        self.begin()
        return self.turn_loop(msecs)

    def stop(self, gently: bool = False) -> None:
        """Nothing new starts; what runs is broken off, or with `gently` comes to its end. `left()` then says what is to do."""
        super().stop(gently)

    def left(self) -> Iterator[dict[str, Any]]:
        """The rows that are not done: those under way, those that wait, those that failed, and what the iterables still
        give. They are read as it is asked for more."""
        yield from self.rows_left()

    def at_end(self) -> None:
        self.done.emit(self.n_failed > 0 or self.is_stopped)

    def close(self) -> None:
        """Ends the file thread, after what it has to do, and closes the session. Safe to repeat."""
        if not self.is_done:
            self.stop()
            self.turn_loop()
        self.close_files()
        if self._session is not None:
            self._session.close()
            self._session = None

    def __enter__(self) -> Downloader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def iter_download(urls: Iterable[str | dict[str, Any]], **settings: Any) -> Iterator[Transfer]:
    """Yields each Transfer as it ends, done or failed; what follows the end of the iteration is not fetched."""
    ended: deque[Transfer] = deque()
    with Downloader(all_rows(urls), **settings) as downloader:
        downloader.finished.connect(ended.append)
        downloader.failed.connect(ended.append)
        downloader.start()
        while True:
            while ended:
                yield ended.popleft()
            if downloader.is_done:
                return
            downloader.turn_until(lambda: bool(ended))


def all_rows(urls: Iterable[str | dict[str, Any]]) -> Iterator[str | dict[str, Any]]:
    """The rows of an iterable for those who do not know of `more`: None among them is a bad row, not a pause."""
    for row in [urls] if isinstance(urls, (str, dict)) else urls:
        yield {"url": None} if row is None else row
