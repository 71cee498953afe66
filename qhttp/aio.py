"""asyncio (and uvloop): this thread's qhttp loop driven by the running one, and what can be awaited.

    async with qhttp.aio.Client() as client:
        answer = await client.get("http://example.org/")

    async with qhttp.aio.Downloader(urls, dir="data") as downloader:
        async for transfer in downloader:
            print(transfer.url, transfer.error or transfer.path)

The client is one descriptor: the asyncio loop watches it, and nothing runs in another thread but what blocks (lookups, files).
"""
from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterable, Iterator
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

from qhttp._core import Loop, loop
from qhttp.bulk import client as bulk_client
from qhttp.bulk import downloader as bulk_downloader
from qhttp.bulk.transfer import Transfer
from qhttp.http import QHttp as PlainQHttp

_driven: WeakKeyDictionary[asyncio.AbstractEventLoop, Loop] = WeakKeyDictionary()


def attach() -> None:
    """Lets the running asyncio loop turn this thread's qhttp loop: from now on signals come while it runs. Safe to repeat.

    The objects of this module do it by themselves; a plain qhttp.QHttp or qhttp.Downloader needs it once. What a slot raises
    goes to the asyncio loop's exception handler. Raises RuntimeError outside of a coroutine or callback.
    """
    running, ours = asyncio.get_running_loop(), loop()
    if _driven.get(running) is not ours:
        running.add_reader(ours.fileno(), ours.dispatch)
        _driven[running] = ours


def detach() -> None:
    """Takes attach() back. An asyncio loop that is closed needs none of it."""
    running = asyncio.get_running_loop()
    ours = _driven.pop(running, None)
    if ours is not None:
        running.remove_reader(ours.fileno())


def _give(future: asyncio.Future[Any], result: Any) -> None:
    """Unless nobody waits any more: a wait may have been cancelled, or its loop closed under it."""
    if not future.done() and not future.get_loop().is_closed():
        future.set_result(result)


class QHttp(PlainQHttp):
    """A QHttp that can be awaited: `had_error = await http` waits until no request is left, as `done(bool)` tells.

    Cancelling the task that waits is abort(). What is needed of an asyncio loop is found when it is awaited.
    """

    def __await__(self) -> Generator[Any, None, bool]:
        return self._until_done().__await__()

    async def _until_done(self) -> bool:
        attach()
        if not self.currentId():
            return self.error() is not PlainQHttp.NoError
        ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def end(error: bool) -> None:
            _give(ended, error)

        self.done.connect(end)
        try:
            return await ended
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            with suppress(ValueError):          # all slots were disconnected meanwhile
                self.done.disconnect(end)


class Downloader(bulk_downloader.Downloader):
    """A qhttp.Downloader in an asyncio loop. Rows and settings are the same; the rows may also come from an async iterable.

    `async for transfer in downloader` gives each Transfer as it ends, done or failed; who takes them slowly slows the run down.
    After a `break` another loop goes on with the next one; what ends while nobody iterates is not given.
    `had_errors = await downloader` waits for all of it. The end of the `async with` stops what still runs: what has come of a
    file stays in its part. An exception out of an async iterable is raised where the run is waited for.
    """

    def __init__(self, urls: Iterable[str | dict[str, Any]] | AsyncIterable[str | dict[str, Any]] = (), **settings: Any):
        self._ended: deque[Transfer] = deque()
        self._wakes: list[asyncio.Future[None]] = []
        self._pulls: set[asyncio.Task[None]] = set()
        self._n_takers = 0          # iterations that have begun; one that was left ends some turns later
        self._holds_back = self._is_left = False
        self._failure: BaseException | None = None
        super().__init__((), **settings)
        self.finished.connect(self._note_end)
        self.failed.connect(self._note_end)
        if not isinstance(urls, (tuple, list)) or urls:
            self.feed(urls)

    # -- rows
    def feed(self, urls: Iterable[str | dict[str, Any]] | AsyncIterable[str | dict[str, Any]]) -> None:
        """Takes rows from one more iterable, after those before. An async one is read by a task of the running loop."""
        if isinstance(urls, AsyncIterable):
            pulled: deque[str | dict[str, Any]] = deque()
            task = asyncio.get_running_loop().create_task(self._pull(urls, pulled))
            self._pulls.add(task)
            task.add_done_callback(self._note_pull_end)
            super().feed(self._held_back(self._pulled(task, pulled)))
        else:
            super().feed(self._held_back(iter([urls] if isinstance(urls, (str, dict)) else urls)))

    def _held_back(self, rows: Iterator[Any]) -> Iterator[Any]:
        """Has nothing to give while too much of what has ended was not taken."""
        for row in rows:
            while self._n_takers and not self._is_left and len(self._ended) >= self.settings.jobs:
                self._holds_back = True
                yield None
            yield row

    async def _pull(self, urls: AsyncIterable[Any], pulled: deque[Any]) -> None:
        async for row in urls:
            pulled.append({"url": None} if row is None else row)
            self.more()
            while len(pulled) >= self.settings.jobs and not self.is_stopped:
                await self._woken()
            if self._is_left and pulled:        # it came behind that: for the next left()
                super().feed([pulled.pop()])
            if self.is_stopped or self._is_left:
                break

    def _note_pull_end(self, task: asyncio.Task[None]) -> None:
        self._pulls.discard(task)
        failure = None if task.cancelled() else task.exception()
        self._failure = self._failure or failure
        self.more()

    def _pulled(self, task: asyncio.Task[None], pulled: deque[Any]) -> Iterator[Any]:
        while pulled or (task in self._pulls and not self._is_left):
            row = pulled.popleft() if pulled else None
            if row is not None:
                self._wake()
            yield row

    def left(self) -> Iterator[dict[str, Any]]:
        """As Downloader.left(). Of an async iterable what has been read of it: the rest is still in it. What it was about to
        give then is in the next left()."""
        self._is_left = True
        return super().left()

    # -- waiting
    def _note_end(self, transfer: Transfer) -> None:
        if self._n_takers:
            self._ended.append(transfer)
            self._wake()

    def at_end(self) -> None:
        super().at_end()
        self._wake()

    def _wake(self) -> None:
        wakes, self._wakes = self._wakes, []
        for wake in wakes:
            _give(wake, None)

    async def _woken(self) -> None:
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wakes.append(wake)
        await wake

    def start(self) -> None:
        """Begins. Needs a running asyncio loop."""
        attach()
        super().start()

    def __await__(self) -> Generator[Any, None, bool]:
        return self._until_done().__await__()

    async def _until_done(self) -> bool:
        self.start()
        while not self.is_done:
            await self._woken()
        self._raise_failure()
        return self.n_failed > 0 or self.is_stopped

    def __aiter__(self) -> AsyncIterator[Transfer]:
        return self._each_as_it_ends()

    async def _each_as_it_ends(self) -> AsyncIterator[Transfer]:
        self._n_takers += 1
        try:
            self.start()
            while self._ended or not self.is_done:
                while self._ended:
                    transfer = self._ended.popleft()
                    if self._holds_back and len(self._ended) < self.settings.jobs:
                        self._holds_back = False
                        self.more()
                    yield transfer
                if not self.is_done:
                    await self._woken()
            self._raise_failure()
        finally:
            self._n_takers -= 1
            self._holds_back = False
            self.more()

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    async def aclose(self) -> None:
        """Stops what still runs, waits for its files and for the end of the iterables, and closes. Safe to repeat."""
        pulls = [task for task in self._pulls if not task.get_loop().is_closed()]
        for task in pulls:
            task.cancel()
        if not self.is_done:
            attach()                            # it may have been begun in another loop of this thread
            self.stop()
            while not self.is_done:
                await self._woken()
        self.close()
        ours, mine = asyncio.get_running_loop(), asyncio.current_task()     # an iterable may close its own downloader
        pulls = [task for task in pulls if task.get_loop() is ours and task is not mine]
        if pulls:
            await asyncio.wait(pulls)

    async def __aenter__(self) -> Downloader:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class Client(bulk_client.Asking):
    """qhttp.Client for coroutines: any number of requests at once, `jobs` of them under way, `per_host` to one host.

    Answers and errors are those of qhttp.Client. Cancelling a task takes its request back.
    """

    def __init__(self, **settings: Any):
        attach()
        self._waiting: dict[Transfer, asyncio.Future[None]] = {}
        super().__init__(**settings)
        self._downloader.finished.connect(self._note_end)
        self._downloader.failed.connect(self._note_end)

    async def get(self, url: str, headers: Iterable[tuple[str, str]] = ()) -> Transfer:
        """A GET."""
        return await self.request("GET", url, headers)

    async def head(self, url: str, headers: Iterable[tuple[str, str]] = ()) -> Transfer:
        """A HEAD: the answer has no content."""
        return await self.request("HEAD", url, headers)

    async def request(self, method: str, url: str, headers: Iterable[tuple[str, str]] = (),
                      body: bytes | None = None) -> Transfer:
        """Any request. One whose method is not idempotent (RFC 9110 section 9.2.2) is sent once."""
        return await self._answer(self._begin(method, url, headers, body))

    async def get_ranges(self, url: str, ranges: Iterable[tuple[int, int]],
                         headers: Iterable[tuple[str, str]] = ()) -> list[bytes]:
        """Pieces of a file by one request (RFC 9110 section 14), as Client.get_ranges."""
        wanted = bulk_client.checked_ranges(ranges)
        return bulk_client.pieces_of(await self._answer(self._begin_ranges(url, wanted, headers)), wanted)

    async def _answer(self, transfer: Transfer) -> Transfer:
        attach()                                # it may have been made in another loop of this thread
        if transfer.state_name != "ended":
            ended = self._waiting[transfer] = asyncio.get_running_loop().create_future()
            try:
                await ended
            finally:
                del self._waiting[transfer]
                transfer.cancel()               # nothing to take back where it has ended
        return bulk_client.final(transfer)

    def _note_end(self, transfer: Transfer) -> None:
        ended = self._waiting.get(transfer)
        if ended is not None:
            _give(ended, None)

    async def aclose(self) -> None:
        """Takes back what is under way, and closes the connections."""
        for transfer in [*self._waiting] * 2:   # one that was sent ahead waits for its turn, until what is before it has gone
            transfer.cancel()
        self._downloader.close()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
