"""Content codings: undone into files, whole or an error (RFC 9110 section 8.4)."""
import gzip
import hashlib
import zlib

import pytest
from bulk.downloads import LARGE, SMALL, body, both_paths, download, files_in, names_in, one
from bulk.origin import Each, Origin, Versioned, answer, chunked
from support.actions import Close, Send

import qhttp
from qhttp.bulk.coding import accept_encoding

MIB = 1 << 20


def encoded(coding, data):
    if coding in ("gzip", "x-gzip"):
        return gzip.compress(data)
    if coding == "deflate":
        return zlib.compress(data)
    if coding == "raw deflate":
        packer = zlib.compressobj(wbits=-15)
        return packer.compress(data) + packer.flush()
    if coding == "br":
        return pytest.importorskip("brotli").compress(data, quality=3)
    if coding == "zstd":
        return pytest.importorskip("backports.zstd").compress(data)
    return data


CODINGS = ["gzip", "x-gzip", "deflate", "raw deflate", "br", "zstd", "identity"]


def coded(coding, data, make=answer, **more):
    field = "Content-Encoding", coding.removeprefix("raw ")
    return chunked(encoded(coding, data), field) if make is chunked else answer(200, encoded(coding, data), field, **more)


@both_paths
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("make", [answer, chunked], ids=["length", "chunked"])
def test_coding_is_undone_into_the_file(coding, make, n, tmp_path):
    data = body(n // 2) + bytes(n // 2)
    with Origin({"/a": coded(coding, data, make)}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
    assert transfer.error is None and transfer.size == len(data) and files_in(tmp_path) == {"a": data}


@pytest.mark.parametrize("coding", CODINGS)
def test_coding_byte_by_byte_is_undone(coding, tmp_path):
    whole = coded(coding, body(100) + bytes(100))
    with Origin({"/a": Send(whole, tuple(range(1, len(whole))))}) as origin:
        one(origin.url("/a"), dir=tmp_path)
    assert files_in(tmp_path) == {"a": body(100) + bytes(100)}


@both_paths
def test_coding_is_undone_into_bytes(n, tmp_path):
    with Origin({"/a": coded("gzip", body(n))}) as origin:
        assert one(origin.url("/a"), into="bytes").content == body(n)


def test_coding_of_several_is_undone_in_turn(tmp_path):
    data = body(SMALL)
    several = gzip.compress(zlib.compress(gzip.compress(data)))
    with Origin({"/a": answer(200, several, ("Content-Encoding", "gzip, deflate"), ("Content-Encoding", "gzip"))}) as origin:
        one(origin.url("/a"), dir=tmp_path)
    assert files_in(tmp_path) == {"a": data}


@both_paths
@pytest.mark.parametrize("coding", ["gzip", "mystery", "gzip, gzip, gzip, gzip, gzip, gzip"])
def test_coding_is_left_where_it_is_not_to_be_undone(coding, n, tmp_path):
    data = gzip.compress(body(n))
    with Origin({"/a": answer(200, data, ("Content-Encoding", coding))}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, decode=False)
    assert transfer.error is None and files_in(tmp_path) == {"a": data}


@pytest.mark.parametrize(
    "value, max_codings, error",
    [
        ("mystery", 5, "DecodeError"),
        ("gzip, mystery", 5, "DecodeError"),
        ("gzip;q=1", 5, "DecodeError"),
        ("gz ip", 5, "DecodeError"),
        (", ".join(["gzip"] * 6), 5, "DecodeError"),
        ("gzip, gzip", 1, "DecodeError"),
        ("identity", 1, None),
        ("identity, , identity", 5, None),
        ("", 5, None),
    ],
)
def test_coding_that_cannot_be_undone_is_an_error_before_the_body(value, max_codings, error, tmp_path):
    with Origin({"/a": answer(200, b"x" * SMALL, ("Content-Encoding", value))}) as origin:
        seen = download([origin.url("/a")], dir=tmp_path, max_codings=max_codings, retries=1)
    assert seen.kinds == {"a": error} and names_in(tmp_path) == ([] if error else ["a"])


def test_coding_asked_for_only_where_told(tmp_path):
    with Origin({"/a": answer(200, b"x"), "/b": answer(200, b"x")}) as origin:
        one(origin.url("/a"), dir=tmp_path)
        one(origin.url("/b"), dir=tmp_path, compressed=True)
    assert [request.get("accept-encoding") for request in origin.log] == ["identity", accept_encoding()]


# -- cut off
@both_paths
@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw deflate", "br", "zstd"])
def test_coding_that_breaks_off_is_truncated_after_its_retries(coding, n, tmp_path):
    data = encoded(coding, body(n))[:-5]
    with Origin({"/a": answer(200, data, ("Content-Encoding", coding.removeprefix("raw ")))}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, retries=2)
    assert isinstance(transfer.error, qhttp.Truncated) and len(origin.log) == 3 and names_in(tmp_path) == []


def test_coding_cut_at_each_byte_is_never_a_file(tmp_path):
    whole = gzip.compress(bytes(range(30)))
    with Origin({f"/{n}": answer(200, whole[:n], ("Content-Encoding", "gzip")) for n in range(len(whole))}) as origin:
        seen = download([origin.url(path) for path in origin.answers], dir=tmp_path, retries=0)
    assert len(seen.failed) == len(whole) and set(seen.kinds.values()) == {"Truncated"} and names_in(tmp_path) == []


@both_paths
def test_coding_that_is_broken_is_tried_again(n, tmp_path):
    good = encoded("gzip", body(n))
    broken = good[:n // 2] + bytes([good[n // 2] ^ 255]) + good[n // 2 + 1:]
    with Origin(
        {"/a": Each(*(answer(200, data, ("Content-Encoding", "gzip")) for data in (broken, good + b"more", good)))}
    ) as origin:
        seen = download([origin.url("/a")], dir=tmp_path)
    assert [type(error) for error in seen.errors] == [qhttp.DecodeError] * 2 and files_in(tmp_path) == {"a": body(n)}


@both_paths
def test_coding_connection_cut_is_tried_again_from_the_start(n, tmp_path):
    whole = coded("gzip", body(n))
    with Origin({"/a": Each([whole[:-50], Close()], whole)}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
    assert transfer.error is None and files_in(tmp_path) == {"a": body(n)} and transfer.n_resumed == 0
    assert [request.get("range") for request in origin.log] == [None, None]


# -- bombs
def bomb(coding, n):
    zeros = bytes(n)
    return encoded(coding, zeros)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_coding_bomb_stops_at_the_largest_size(coding, tmp_path):
    with Origin({"/a": answer(200, bomb(coding, 8 * MIB), ("Content-Encoding", coding)), "/b": answer(200, b"b")}) as origin:
        seen = download([origin.url("/a"), origin.url("/b")], dir=tmp_path, max_size=MIB)
    assert seen.kinds == {"a": "TooLarge", "b": None} and names_in(tmp_path) == ["b"]
    assert len(origin.asked("/a")) == 1


@pytest.mark.parametrize(
    "value, data",
    [
        ("gzip, gzip", lambda: gzip.compress(gzip.compress(bytes(80 * MIB)))),
        ("br", lambda: bomb("br", 80 * MIB)),
        ("zstd", lambda: bomb("zstd", 80 * MIB)),
    ],
)
def test_coding_bomb_without_a_largest_size_stops_at_its_expansion(value, data, tmp_path):
    with Origin({"/a": answer(200, data(), ("Content-Encoding", value))}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
    assert isinstance(transfer.error, qhttp.TooLarge) and names_in(tmp_path) == []


def test_coding_that_shrinks_well_is_no_bomb(tmp_path):
    with Origin({"/a": answer(200, bomb("gzip", 8 * MIB), ("Content-Encoding", "gzip"))}) as origin:
        assert one(origin.url("/a"), dir=tmp_path).size == 8 * MIB


# -- with other things
@both_paths
def test_coding_checksum_of_the_row_is_that_of_the_file(n, tmp_path):
    right, wrong = (f"sha256:{hashlib.sha256(data).hexdigest()}" for data in (body(n), encoded("gzip", body(n))))
    with Origin({"/a": coded("gzip", body(n)), "/b": coded("gzip", body(n))}) as origin:
        seen = download(
            [{"url": origin.url("/a"), "checksum": right, "size": n}, {"url": origin.url("/b"), "checksum": wrong}],
            dir=tmp_path,
        )
    assert seen.kinds == {"a": None, "b": "ChecksumMismatch"} and names_in(tmp_path) == ["a"]


def test_coding_size_of_the_row_is_that_of_the_file(tmp_path):
    with Origin({"/a": coded("gzip", body(SMALL))}) as origin:
        transfer = one({"url": origin.url("/a"), "size": SMALL - 1}, dir=tmp_path, retries=0)
    assert isinstance(transfer.error, qhttp.BodyError) and names_in(tmp_path) == []


def test_coding_digest_of_the_server_is_of_the_coded_bytes(tmp_path):
    """RFC 9530: of the representation, as it is coded. What is stored decoded cannot be held against it; as sent it can."""
    import base64
    data = encoded("gzip", body(SMALL))
    field = "Repr-Digest", f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"
    with Origin({"/a": answer(200, data, ("Content-Encoding", "gzip"), field)}) as origin:
        assert one(origin.url("/a"), dir=tmp_path / "decoded").error is None
        assert one(origin.url("/a"), dir=tmp_path / "as it is", decode=False).error is None
    assert files_in(tmp_path) == {"decoded/a": body(SMALL), "as it is/a": data}


def test_coding_of_a_continued_part_is_no_mixture(tmp_path):
    """A server that sends the whole as it is, and codes what follows a Range."""
    data, etag = body(LARGE * 2), ("ETag", '"one"')
    first = [answer(200, data[:LARGE + 50_000], etag, length=len(data)), Close()]
    start = None

    def second(request):
        nonlocal start
        if not request.get("range"):
            return answer(200, data, etag)
        start = int(request.get("range")[6:-1])
        content = gzip.compress(data[start:])
        return answer(
            206, content, etag, ("Content-Encoding", "gzip"), ("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        )
    with Origin({"/a": Each(first)}) as origin:
        origin.answers["/a"] = lambda request: first if len(origin.asked("/a")) == 1 else second(request)
        transfer = one(origin.url("/a"), dir=tmp_path)
    assert transfer.error is None and start is not None and files_in(tmp_path) == {"a": data}


@both_paths
def test_coding_of_an_error_page_does_not_matter(n, tmp_path):
    with Origin({"/a": answer(404, b"not gzip", ("Content-Encoding", "gzip")), "/b": Versioned(body(n))}) as origin:
        seen = download([origin.url("/a"), origin.url("/b")], dir=tmp_path)
    assert seen.kinds == {"a": "HTTPStatusError", "b": None}
