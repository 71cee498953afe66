"""qhttp in a trio program: one task watches the one descriptor.

    python examples/loop_trio.py http://localhost:8000/a http://localhost:8000/b
"""
import sys
from urllib.parse import urlsplit

import trio

import qhttp


async def drive():
    """Turns this thread's qhttp loop for as long as the nursery that it was started in lives. What a slot raises ends it."""
    loop = qhttp.loop()
    while True:
        await trio.lowlevel.wait_readable(loop.fileno())
        loop.dispatch()


async def fetch(url):
    """The body of one URL; cancelled, it aborts the request."""
    parts, over = urlsplit(url), trio.Event()
    http = qhttp.QHttp(parts.hostname, parts.port or 80)
    http.done.connect(lambda error: over.set())
    http.get(parts.path or "/")
    try:
        await over.wait()
    finally:
        http.abort()                # nothing to do where all is done
    if http.error():
        raise OSError(f"{url}: {http.errorString()}")
    return http.readAll()


async def main(urls):
    async with trio.open_nursery() as background:
        background.start_soon(drive)
        async with trio.open_nursery() as nursery:
            for url in urls:
                nursery.start_soon(show, url)
        background.cancel_scope.cancel()


async def show(url):
    print(url, len(await fetch(url)))


if __name__ == "__main__":
    trio.run(main, sys.argv[1:])
