"""Memory that runs out: the body that does not fit is the error of its request, and the next one works."""
import gzip
import resource

import pytest
from bulk.downloads import running
from bulk.origin import Origin, answer
from core.process_tools import in_child
from exhaustion.scarce import little_memory
from support.actions import Repeat, Send
from support.gil import small_pieces
from support.sanitizers import IS_SANITIZED

import qhttp

MIB = 1 << 20
ROOM = 96 * MIB
N = 1024                    # MiB of the body
PIECE = bytes(MIB)
CHUNK = b"100000\r\n" + PIECE + b"\r\n"
BODIES = {
    "length": [Send(answer(200, b"", length=N * MIB)), Repeat(PIECE, N)],
    "chunked": [Send(answer(200, b"", ("Transfer-Encoding", "chunked"), length=-1)), Repeat(CHUNK, N)],
    "close": [Send(answer(200, b"", length=-1)), Repeat(PIECE, N)],
}
KINDS = [resource.RLIMIT_AS, resource.RLIMIT_DATA]
asan_has_room = pytest.mark.skipif(IS_SANITIZED, reason="AddressSanitizer itself ends where memory is that short")


@pytest.fixture(scope="module")
def origin():
    bomb = gzip.compress(bytes(3 * ROOM), 1)
    with Origin({f"/{name}": script for name, script in BODIES.items()} | {
            "/coded": answer(200, bomb, ("Content-Encoding", "gzip")), "/small": answer(200, b"small")}) as origin:
        yield origin


@asan_has_room
@pytest.mark.parametrize("limit", KINDS, ids=["address space", "data"])
@pytest.mark.parametrize("name", BODIES)
def test_qhttp_body_beyond_the_memory_is_an_error_and_the_next_request_works(name, limit, origin):
    def work():
        http = qhttp.QHttp("127.0.0.1", origin.port)
        little_memory(limit, ROOM)
        http.get(f"/{name}")
        qhttp.run()
        first = int(http.error()), http.errorString(), http.bytesAvailable()
        http.get("/small")
        qhttp.run()
        return first, bytes(http.readAll())

    (error, text, n_left), last = in_child(work)
    assert error == int(qhttp.QHttp.Error.UnknownError) and n_left == 0 and last == b"small"
    assert text.startswith("there is no memory for more of the body than the ")


@asan_has_room
@small_pieces
@pytest.mark.parametrize("limit", KINDS, ids=["address space", "data"])
@pytest.mark.parametrize("name", [*BODIES, "coded"])
def test_shard_body_beyond_the_memory_is_the_error_of_its_row(name, limit, origin):
    """download_shard raises for no URL."""
    def work():
        little_memory(limit, ROOM)
        rows = [origin.url("/small"), origin.url(f"/{name}"), origin.url("/small")]
        return [(done["error"], done["errormsg"], done.get("content")) for done in qhttp.download_shard(
            rows, into="bytes", jobs=1, proxy=None, max_expansion=10**6)]

    first, (kind, text, content), last = in_child(work)
    assert first == last == (None, None, b"small")
    assert kind in ("DeviceError", "FileError") and content is None and "memory" in text


def test_downloader_body_beyond_the_memory_goes_into_a_file(origin, tmp_path):
    """What is written as it comes needs none."""
    n_bytes = 128 * MIB
    with Origin({"/a": [Send(answer(200, b"", length=n_bytes)), Repeat(PIECE, 128)]}) as origin:
        def work():
            little_memory(resource.RLIMIT_DATA, 24 * MIB)
            with running([origin.url("/a")], dir=tmp_path) as (downloader, seen):
                downloader.run()
            return seen.kinds

        assert in_child(work) == {"a": None}
    assert (tmp_path / "a").stat().st_size == n_bytes
    (tmp_path / "a").unlink()
