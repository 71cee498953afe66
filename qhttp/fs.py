"""fsspec file systems `qhttp://` and `qhttps://`: what pandas, pyarrow, xarray or Dask read over HTTP, through qhttp.

    pandas.read_csv("qhttps://example.org/table.csv")
    fs = fsspec.filesystem("qhttp");  fs.cat_ranges([url, url], [0, 5000], [100, 6000])

Read-only. Pieces of one file come by one request where the server can (multipart/byteranges, RFC 9110 section 14.6). Of an open
file what is asked for decides what is fetched, not a block size: see `qhttp.remote_file`.
"""
from __future__ import annotations

import asyncio
import html.parser
import io
import os
import time
import urllib.parse
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.utils import isfilelike

from qhttp import aio
from qhttp.bulk.client import pieces_of
from qhttp.bulk.resume import is_etag
from qhttp.bulk.transfer import Transfer
from qhttp.errors import AuthenticationRequired, BodyError, Cancelled, HTTPStatusError, ProxyAuthenticationRequired
from qhttp.protocol.shown import shown_url
from qhttp.protocol.url import split
from qhttp.remote_file import TAIL, WHOLE, RemoteFile, Window

if TYPE_CHECKING:
    class AsyncFileSystem:          # fsspec has no types
        def __init__(self, **options: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...
        def invalidate_cache(self, path: str | None = None) -> None: ...
else:
    from fsspec.asyn import AsyncFileSystem

SCHEMES = {"qhttp://": "http://", "qhttps://": "https://"}
PART_OVERHEAD = 1024        # bytes that a part of a multipart answer may have beside its data
MAX_RANGES = 64             # of one request; more than some servers take, and others answer with the whole file
JOBS = 64
GOOD = (*WHOLE, 206)
REFUSED = (AuthenticationRequired, ProxyAuthenticationRequired)
FACTS_LIFETIME_S = 5.0
N_FACTS = 256               # remembered at most


class QHttpFileSystem(AsyncFileSystem):
    """Files of HTTP servers. storage options: the settings of qhttp.Client (headers, user, proxy, retries, ...), and
    `facts_lifetime` (seconds): how long size and end of a file are remembered, as readers ask for them again and again; 0: not;
    `block_size` (bytes): the least that an open file fetches at a jump.

    Errors: FileNotFoundError for 404 and 410, PermissionError for 401 and 403, else OSError; qhttp's own (QHttpError) where no
    answer came.
    """

    protocol: tuple[str, ...] = ("qhttp", "qhttps")
    cachable = True

    def __init__(self, asynchronous: bool = False, loop: Any = None, block_size: int | None = None,
                 facts_lifetime: float = FACTS_LIFETIME_S, **settings: Any):
        self.block_size = block_size
        self._facts = _Recent(facts_lifetime)
        self._tails = _Recent(facts_lifetime)
        self._settings = {"jobs": JOBS, "per_host": JOBS, **settings}
        self._client: _BoundedClient | None = None
        self._single: set[str] = set()          # servers that do not send several ranges at once
        super().__init__(asynchronous=asynchronous, loop=loop, batch_size=JOBS)

    def __repr__(self) -> str:
        given = ", ".join(self._settings)
        return f"<qhttp {type(self).__name__}{': ' if given else ''}{given}>"        # their values may be secret

    # -- names
    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, (list, tuple)):
            return [cls._strip_protocol(one) for one in path]
        path = os.fspath(path)
        for ours, theirs in SCHEMES.items():
            if path.startswith(ours):
                return theirs + path[len(ours):]
        return path

    def unstrip_protocol(self, name: str) -> str:
        return name if name.startswith(tuple(SCHEMES)) else "q" + name

    @classmethod
    def _parent(cls, path: str) -> str:
        parts = urllib.parse.urlsplit(cls._strip_protocol(path))
        return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').rpartition('/')[0]}/"

    # -- requests
    def _here(self) -> _BoundedClient:
        """The client, in the loop that runs."""
        if self._client is None:
            self._client = _BoundedClient(**self._settings)
            if not self.asynchronous:
                weakref.finalize(self, _close, self.loop, self._client)
        return self._client

    async def _fetch(self, method: str, url: str, headers: Iterable[tuple[str, str]] = ()) -> Transfer:
        """An answer that is what was asked for."""
        return self._good(await self._here().request(method, self._strip_protocol(url), headers))

    def _good(self, answer: Transfer) -> Transfer:
        if answer.status not in GOOD:
            raise error_of(answer.status, answer.url)
        return answer

    async def _window(self, url: str, start: int, end: int | None, version: object = None) -> Window:
        """At least bytes [start, end) of a file; to the end where that is None, the last -start where start is negative."""
        return Window.of(await self._ask_part(url, start, end), start, end, version)

    async def _ask_part(self, url: str, start: int, end: int | None) -> Transfer:
        value = f"bytes={start}" if start < 0 else f"bytes={start}-{'' if end is None else end - 1}"
        answer = await self._here().range(self._strip_protocol(url), value)
        return answer if answer.status == 416 else self._good(answer)

    async def _info(self, path: str, **_: Any) -> dict[str, Any]:
        url = self._strip_protocol(path)
        found = self._facts.get(url)
        if found is None:
            found = await self._ask_info(url)
            self._facts.put(url, found)
        return dict(found)

    async def _ask_info(self, url: str) -> dict[str, Any]:
        try:
            answer = await self._fetch("HEAD", url, [("Accept-Encoding", "identity")])
        except (FileNotFoundError, PermissionError):
            raise
        except OSError:
            answer = None                       # there are servers that know no HEAD
        length = answer.header("content-length") if answer is not None else None
        size: int | None
        if answer is not None and answer.header("content-encoding", "identity").strip().lower() not in ("", "identity"):
            size = None                         # that is what is sent, and not what comes out of it
        elif answer is None or length is None:
            answer = await self._ask_part(url, 0, 1)
            size = Window.of(answer, 0, 1).total
        else:
            size = int(length)
        found = {"name": url, "size": size, "type": "file", "url": answer.url_effective}
        for key, field in (("ETag", "etag"), ("mimetype", "content-type"), ("LastModified", "last-modified")):
            if (value := answer.header(field)) is not None:
                found[key] = value
        return found

    async def _exists(self, path: str, **_: Any) -> bool:
        try:
            await self._info(path)
        except OSError:
            return False
        return True

    async def _isdir(self, path: str) -> bool:
        try:
            return bool(await self._ls(path, detail=False))
        except OSError:
            return False

    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        if start is None and end is None:
            return (await self._fetch("GET", path)).content or b""
        if (start or 0) < 0 or (end or 0) < 0:      # of what comes itself: a remembered size may be another version's
            window = await self._window(path, start or 0, None)
            first, last = slice(start, end).indices(window.end)[:2]
            return bytes(window.cut(first, max(first, last)))
        if end is not None and end <= (start or 0):
            return b""
        return bytes((await self._window(path, start or 0, end)).cut(start or 0, end))

    async def _cat_ranges(self, paths: list[str], starts: Any, ends: Any, max_gap: int | None = None,
                          batch_size: int | None = None, on_error: str = "return", **_: Any) -> list[Any]:
        n = len(paths)
        starts = list(starts) if isinstance(starts, Iterable) else [starts] * n
        ends = list(ends) if isinstance(ends, Iterable) else [ends] * n
        if len(starts) != n or len(ends) != n:
            raise ValueError("paths, starts and ends must be of one length")
        by_url: dict[str, list[int]] = {}
        for i, path in enumerate(paths):
            by_url.setdefault(self._strip_protocol(path), []).append(i)
        got: list[Any] = [None] * n

        async def fetch(url: str, numbers: list[int]) -> None:
            pieces = await self._pieces(url, [(starts[i], ends[i]) for i in numbers], max_gap or 0)
            for i, piece in zip(numbers, pieces, strict=True):
                got[i] = piece

        await asyncio.gather(*(fetch(url, numbers) for url, numbers in by_url.items()))
        if on_error != "return":
            for piece in got:
                if isinstance(piece, BaseException):
                    raise piece
        return got

    async def _pieces(self, url: str, wanted: list[tuple[Any, Any]], max_gap: int) -> list[Any]:
        """Each piece, or its exception."""
        plain = sorted({(start, end) for start, end in wanted if start is not None and end is not None and 0 <= start < end})
        joined: list[list[int]] = []
        for start, end in plain:
            if joined and start <= joined[-1][1] + max_gap:
                joined[-1][1] = max(joined[-1][1], end)
            else:
                joined.append([start, end])
        blocks: dict[int, Any] = {}
        for at in range(0, len(joined), MAX_RANGES):
            blocks.update(await self._blocks(url, joined[at:at + MAX_RANGES]))

        def cut(start: int, end: int) -> Any:
            at = max(begin for begin in blocks if begin <= start)
            block = blocks[at]
            return block if isinstance(block, BaseException) else bytes(memoryview(block)[start - at:end - at])

        async def one(start: Any, end: Any) -> Any:
            if (start, end) in known:
                return cut(start, end)
            try:
                return await self._cat_file(url, start, end)
            except Exception as error:
                return error

        known = set(plain)
        return [await one(start, end) for start, end in wanted]

    async def _blocks(self, url: str, ranges: list[list[int]]) -> dict[int, Any]:
        """{start: data or error} of several ranges, by one request, or by many where the server sends everything instead."""
        server = url.partition("://")[2].partition("/")[0]
        is_asked_singly = False
        if len(ranges) > 1 and server not in self._single:
            try:
                pairs = [(start, end) for start, end in ranges]
                answer = await self._here().ranges(url, pairs, sum(end - start + PART_OVERHEAD for start, end in ranges))
                return dict(zip((start for start, _ in ranges), pieces_of(answer, pairs), strict=True))
            except (Cancelled, BodyError, HTTPStatusError):
                is_asked_singly = True
            except Exception as error:
                return {start: error for start, _ in ranges}

        async def one(start: int, end: int) -> Any:
            try:
                return bytes((await self._window(url, start, end)).cut(start, end))
            except Exception as error:
                return error

        found = await asyncio.gather(*(one(start, end) for start, end in ranges))
        if is_asked_singly and all(not isinstance(piece, Exception) and len(piece) == end - start
                                   for (start, end), piece in zip(ranges, found, strict=True)):
            self._single.add(server)            # each can be had, but not at once
        return dict(zip((start for start, _ in ranges), found, strict=True))

    async def _get_file(self, rpath: str, lpath: Any, callback: Any = DEFAULT_CALLBACK, **_: Any) -> None:
        url = self._strip_protocol(rpath)
        if isfilelike(lpath):
            write_all(lpath, await self._cat_file(url))
            return
        if os.path.isdir(lpath):
            return
        folder, name = os.path.split(os.path.abspath(os.fspath(lpath)))
        settings = {**self._settings, "dir": folder, "name": name, "existing": "overwrite"}
        async with aio.Downloader([url], **settings) as downloader:
            downloader.progress.connect(lambda transfer, n_done, n_total: _tell(callback, n_done, n_total))
            [transfer] = [transfer async for transfer in downloader]
        if transfer.error is not None:
            raise as_of_files(transfer.error, url)
        _tell(callback, transfer.size, transfer.size)

    # -- folders are pages with links
    async def _ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        url = self._strip_protocol(path)
        parts = urllib.parse.urlsplit(url)
        folder = url if parts.path.endswith("/") else parts._replace(path=parts.path + "/").geturl()
        answer = await self._fetch("GET", folder)
        if "html" not in (answer.header("content-type") or ""):
            raise FileNotFoundError(f"{shown_url(url)} is no page with links")
        page = answer.url_effective
        # What another origin lists is asked for at home, which may send there again: what is secret is of one origin.
        home = page if split(page).origin == split(folder).origin else folder
        names = sorted(links_below(page, (answer.content or b"").decode("utf-8", "replace"), home))
        if not detail:
            return names
        return [{"name": name, "size": None, "type": "directory" if name.endswith("/") else "file"} for name in names]

    # -- open files
    def _open(self, path: str, mode: str = "rb", block_size: Any = None, **_: Any) -> RemoteFile:
        if mode != "rb":
            raise NotImplementedError(f"qhttp reads only: mode {mode!r} is not possible")
        return RemoteFile(self, self._strip_protocol(path), block_size or self.block_size)

    def _recent_tail(self, url: str) -> Window | None:
        tail: Window | None = self._tails.get(url)
        return tail

    def _keep_tail(self, url: str, tail: Window) -> None:
        self._tails.put(url, tail.last(TAIL))

    def _forget(self, url: str) -> None:
        """The file is another one than was remembered."""
        self._facts.forget(url)
        self._tails.forget(url)

    def invalidate_cache(self, path: str | None = None) -> None:
        """Forgets what was remembered."""
        self._facts.clear()
        self._tails.clear()
        super().invalidate_cache(path)

    def ukey(self, path: str) -> str:
        """What changes when the file does."""
        info = self.info(path)
        tag = info.get("ETag")
        return str(tag if tag and is_etag(tag) else (info["size"], info.get("LastModified")))


class _Recent:
    """What was found lately, by URL, the oldest first. Threads that open files share it."""

    def __init__(self, lifetime_s: float):
        self._lifetime_s, self._found = lifetime_s, dict[str, tuple[float, Any]]()

    def get(self, url: str) -> Any:
        self._drop_old()
        until, value = self._found.get(url, (0.0, None))
        return value if time.monotonic() < until else None

    def put(self, url: str, value: Any) -> None:
        self._found.pop(url, None)
        self._found[url] = (time.monotonic() + self._lifetime_s, value)
        self._drop_old()

    def forget(self, url: str) -> None:
        self._found.pop(url, None)

    def clear(self) -> None:
        self._found.clear()

    def _drop_old(self) -> None:
        now, found = time.monotonic(), self._found.copy()       # other threads may change it meanwhile
        n_over = len(found) - N_FACTS
        for n, (url, (until, _)) in enumerate(found.items()):
            if n >= n_over and now < until:
                break
            self._found.pop(url, None)


class _BoundedClient(aio.Client):
    """Takes a request for ranges back when the server begins to send much more than was asked for."""

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self._bounds: dict[Transfer, int] = {}
        self._downloader.progress.connect(self._look)

    def _look(self, transfer: Transfer, n_done: int, n_total: int) -> None:
        bound = self._bounds.get(transfer)
        if bound is not None and max(n_total, n_done) > bound:
            transfer.cancel()

    async def _answer(self, transfer: Transfer) -> Transfer:
        try:
            return await super()._answer(transfer)
        except REFUSED as error:
            raise as_of_files(error, transfer.url) from None

    async def range(self, url: str, value: str) -> Transfer:
        return await self._answer(self._begin_range(url, value, ()))

    async def ranges(self, url: str, pairs: list[tuple[int, int]], bound: int) -> Transfer:
        transfer = self._begin_ranges(url, pairs, ())
        self._bounds[transfer] = bound
        try:
            return await self._answer(transfer)
        finally:
            del self._bounds[transfer]


class _Links(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def links_below(base: str, page: str, home: str) -> set[str]:
    """The URLs right below that of a page, without queries and fragments, as they are below `home`."""
    links = _Links()
    links.feed(page)
    base, home = _as_folder(base), _as_folder(home)
    found = set()
    for link in links.found:
        url = urllib.parse.urljoin(base, link.partition("#")[0].partition("?")[0])
        rest = url[len(base):]
        name = rest.rstrip("/")         # an absolute link keeps its dots, which lead elsewhere
        if url.startswith(base) and name not in ("", ".", "..") and "/" not in name:
            found.add(home + rest)
    return found


def _as_folder(url: str) -> str:
    url = url.partition("#")[0].partition("?")[0]
    return url if url.endswith("/") else url + "/"


def write_all(file: Any, data: bytes) -> None:
    """A raw file may take a part at a time; any other takes all. Raises OSError where it does not."""
    is_raw = isinstance(file, io.RawIOBase)
    while data:
        n = file.write(data)
        if n is None and not is_raw:
            return
        if n != len(data) and not (is_raw and n and 0 < n < len(data)):
            raise OSError(f"the file took {n} of {len(data)} bytes")
        data = data[n:]


def error_of(status: int, url: str) -> OSError:
    """As exceptions of files are."""
    shown = shown_url(url)
    if status in (404, 410):
        return FileNotFoundError(shown)
    if status in (401, 403, 407):
        return PermissionError(f"{shown}: the server answered {status}")
    return OSError(f"{shown}: the server answered {status}")


def as_of_files(error: Exception, url: str) -> Exception:
    """A transfer's error, as an exception of files where the server has refused."""
    if isinstance(error, HTTPStatusError):
        return error_of(error.status, url)
    if isinstance(error, REFUSED):
        return error_of(407 if isinstance(error, ProxyAuthenticationRequired) else 401, url)
    return error


def _tell(callback: Any, n_done: int, n_total: int) -> None:
    if n_total > 0 and callback.size != n_total:
        callback.set_size(n_total)
    callback.absolute_update(n_done)


def _close(loop: asyncio.AbstractEventLoop | None, client: aio.Client) -> None:
    """Its connections are of the loop's thread."""
    if loop is not None and loop.is_running():
        loop.call_soon_threadsafe(lambda: loop.create_task(client.aclose()))


