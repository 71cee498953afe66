"""What clients make of coded bodies that were cut off before they were sent: whole to HTTP, and not whole to their coding.

    python -m bench.cut_streams

Content-Length is that of the cut body, as where a cache or a gateway kept half a file. Only the coding itself can tell. Each
client decodes by its default means; a table is printed. The exit status is 0 where qhttp refused every cut body and
took every whole one, in all codings; so brotli and backports.zstd have to be there.
"""

from __future__ import annotations

import contextlib
import gzip
import random
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import Any

BODY_LEN = 200_000
TIMEOUT_S = 10
REFUSED, NOT_DECODED, NOT_INSTALLED = "refused", "not decoded", "not installed"
WHOLE = "whole"


class Refused(Exception):
    """The client's own error; `args[0]` is its class."""


@dataclass(frozen=True)
class Case:
    """One row: a coding, what was left away, and the bytes that are sent."""

    coding: str
    cut: str
    sent: bytes

    @property
    def path(self) -> str:
        """What a request asks for."""
        return f"/{self.coding}/{self.cut.replace(' ', '-')}"


def make_body() -> bytes:
    """Words in no order: decoding half of the coded bytes gives about half of these."""
    chance = random.Random(1)
    words = [bytes(chance.choices(b"abcdefghijklmnop", k=chance.randint(2, 9))) for _ in range(2000)]
    return b" ".join(chance.choices(words, k=BODY_LEN // 2))[:BODY_LEN]


def _zstd(body: bytes) -> bytes:
    try:
        zstd = import_module("compression.zstd")
    except ImportError:
        zstd = import_module("backports.zstd")
    return zstd.compress(body)


# coding -> how it is made, and the length of what stands behind its last block
CODINGS: dict[str, tuple[Callable[[bytes], bytes], int]] = {
    "gzip": (gzip.compress, 8),
    "deflate": (zlib.compress, 4),
    "br": (lambda body: import_module("brotli").compress(body, quality=5), 0),
    "zstd": (_zstd, 0),
}


def make_cases(body: bytes) -> tuple[list[Case], list[str]]:
    """The rows, and the codings that cannot be made for want of a package."""
    cases, missing = [], []
    for coding, (encode, trailer_len) in CODINGS.items():
        try:
            coded = encode(body)
        except ImportError:
            missing.append(coding)
            continue
        lengths = {WHOLE: len(coded), "its first half": len(coded) // 2}
        if trailer_len:
            lengths["without its trailer"] = len(coded) - trailer_len
        lengths["without its last byte"] = len(coded) - 1
        cases += [Case(coding, cut, coded[:n_bytes]) for cut, n_bytes in lengths.items()]
    return cases, missing


@contextlib.contextmanager
def serving(cases: list[Case]) -> Iterator[str]:
    """A server on loopback for these bodies; gives the beginning of their URLs."""
    by_path = {case.path: case for case in cases}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            case = by_path[self.path]
            head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {case.coding}\r\nContent-Length: {len(case.sent)}\r\n\r\n"
            self.wfile.write(head.encode() + case.sent)  # at once: what a client says must not depend on chance

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """A client that went away in the midst is no news here."""

    with Server(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def refusing(errors: type[Exception]) -> Iterator[None]:
    """Makes a client's own errors Refused. All others are no judgement on the body, and end the comparison."""
    try:
        yield
    except errors as error:
        raise Refused(type(error).__name__) from error


def with_urllib3(url: str) -> bytes:
    """`data` of a PoolManager's answer."""
    urllib3: Any = import_module("urllib3")
    accepted = urllib3.util.make_headers(accept_encoding=True)
    with refusing(urllib3.exceptions.HTTPError), urllib3.PoolManager(retries=False, timeout=TIMEOUT_S) as pool:
        return pool.request("GET", url, headers=accepted).data


def with_requests(url: str) -> bytes:
    """`content` of a Session's answer."""
    requests: Any = import_module("requests")
    with refusing(requests.RequestException), requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=TIMEOUT_S).content


def with_aiohttp(url: str) -> bytes:
    """`read()` of a ClientSession's answer."""
    aiohttp: Any = import_module("aiohttp")
    import asyncio

    async def fetch() -> bytes:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            return await answer.read()

    with refusing(aiohttp.ClientError):
        return asyncio.run(fetch())


def with_httpx(url: str) -> bytes:
    """`content` of a Client's answer."""
    httpx: Any = import_module("httpx")
    with refusing(httpx.HTTPError), httpx.Client(trust_env=False, timeout=TIMEOUT_S) as client:
        return client.get(url).content


def with_pycurl(url: str) -> bytes:
    """All that came to WRITEFUNCTION; ACCEPT_ENCODING "" is all that this libcurl can decode."""
    pycurl: Any = import_module("pycurl")
    pieces: list[bytes] = []
    curl = pycurl.Curl()
    try:
        for option, value in (
            (pycurl.URL, url),
            (pycurl.PROXY, ""),
            (pycurl.ACCEPT_ENCODING, ""),
            (pycurl.TIMEOUT, TIMEOUT_S),
            (pycurl.WRITEFUNCTION, pieces.append),
        ):
            curl.setopt(option, value)
        with refusing(pycurl.error):
            curl.perform()
    finally:
        curl.close()
    return b"".join(pieces)


def with_qhttp(url: str) -> bytes:
    """`content` of a Client's answer. Only an error of the body is a refusal."""
    import qhttp

    body_error = import_module("qhttp.errors").BodyError
    client: Any = qhttp.Client(compressed=True, retries=0, proxy=None, connect_timeout=TIMEOUT_S, idle_timeout=TIMEOUT_S)
    with refusing(body_error):
        return client.get(url).content


QHTTP = "qhttp"
CLIENTS: dict[str, Callable[[str], bytes]] = {
    "urllib3": with_urllib3,
    "requests": with_requests,
    "aiohttp": with_aiohttp,
    "httpx": with_httpx,
    "pycurl": with_pycurl,
    QHTTP: with_qhttp,
}


def outcome(fetch: Callable[[str], bytes], url: str, case: Case, body: bytes) -> str:
    """One cell of the table."""
    try:
        made = fetch(url + case.path)
    except Refused:
        return REFUSED
    except ImportError:
        return NOT_INSTALLED
    except Exception as error:
        return f"failed: {type(error).__name__}"
    if made == case.sent:
        return NOT_DECODED
    if not body.startswith(made):
        return "taken: wrong bytes"
    return taken(len(made))


def taken(n_bytes: int) -> str:
    """So many bytes were given to the user as if they were all."""
    return f"taken: {n_bytes} of {BODY_LEN} bytes"


def main() -> int:
    """Fetch everything with everybody, print the table; the exit status."""
    body = make_body()
    cases, missing = make_cases(body)
    is_good = not missing
    print(f"| coding | sent | {' | '.join(CLIENTS)} |\n|---|---|{'---|' * len(CLIENTS)}")
    unable: set[tuple[str, str]] = set()  # client and coding: those that say no to the whole body say nothing with it
    with serving(cases) as url:
        for case in cases:
            cells = {name: outcome(fetch, url, case, body) for name, fetch in CLIENTS.items()}
            unable |= {(name, case.coding) for name, cell in cells.items() if case.cut == WHOLE and cell == REFUSED}
            cells |= {name: NOT_DECODED for name in cells if (name, case.coding) in unable}
            is_good = is_good and cells[QHTTP] == (taken(BODY_LEN) if case.cut == WHOLE else REFUSED)
            print(f"| {case.coding} | {case.cut} | {' | '.join(cells.values())} |")
    for coding in missing:
        print(f"\nNot shown: {coding}; no package to make it is installed.")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
