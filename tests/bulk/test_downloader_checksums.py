"""Checksums that were given or sent, sizes, and largest sizes: what does not fit never gets its name."""
import base64
import hashlib

import pytest
from bulk.downloads import LARGE, SMALL, body, both_paths, download, files_in, names_in, one
from bulk.origin import Each, Origin, Versioned, answer, chunked
from support.actions import Close

import qhttp


def given(algorithm, data):
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def sent(field, data, algorithm="sha-256"):
    encoded = base64.b64encode(hashlib.new(algorithm.replace("-", ""), data).digest()).decode()
    return field, f"{algorithm}={encoded}" if field == "Digest" else f"{algorithm}=:{encoded}:"


# -- given
@both_paths
@pytest.mark.parametrize("checksum", ["sha256", "md5", "sha512", "several"])
def test_checksum_of_the_row_holds(checksum, n, tmp_path):
    data = body(n)
    wanted = [given(name, data) for name in ("md5", "sha1", "sha256")] if checksum == "several" else given(checksum, data)
    with Origin({"/a": answer(200, data), "/b": chunked(data)}) as origin:
        seen = download([{"url": origin.url(path), "checksum": wanted} for path in ["/a", "/b"]], dir=tmp_path)
    assert seen.kinds == {"a": None, "b": None} and files_in(tmp_path) == {"a": data, "b": data}


@both_paths
@pytest.mark.parametrize("wrong", ["one", "last of several"])
def test_checksum_of_the_row_that_does_not_hold_fails_after_its_own_retries(wrong, n, tmp_path):
    data = body(n)
    checksum = given("sha256", b"other") if wrong == "one" else [given("md5", data), given("sha256", b"other")]
    with Origin({"/a": answer(200, data), "/b": answer(200, b"b")}) as origin:
        seen = download([{"url": origin.url("/a"), "checksum": checksum}, origin.url("/b")], dir=tmp_path)
    assert seen.kinds == {"a": "ChecksumMismatch", "b": None} and names_in(tmp_path) == ["b"]
    assert len(origin.asked("/a")) == 3 and seen.failed[0].n_retries == 2       # retry.OWN_RETRIES


@both_paths
def test_checksum_that_holds_at_the_second_try_is_good(n, tmp_path):
    data, spoilt = body(n), body(n, 2)
    with Origin({"/a": Each(answer(200, spoilt, ("ETag", '"x"')), answer(200, data, ("ETag", '"x"')))}) as origin:
        transfer = one({"url": origin.url("/a"), "checksum": given("sha256", data)}, dir=tmp_path)
    assert transfer.error is None and transfer.n_retries == 1 and files_in(tmp_path) == {"a": data}
    assert origin.log[1].get("range") is None


@both_paths
def test_checksum_mismatch_does_not_replace_what_is_there(n, tmp_path):
    (tmp_path / "a").write_bytes(b"mine")
    with Origin({"/a": answer(200, body(n))}) as origin:
        one({"url": origin.url("/a"), "checksum": given("md5", b"other")}, dir=tmp_path, existing="overwrite")
    assert files_in(tmp_path) == {"a": b"mine"}


@both_paths
def test_checksum_mismatch_with_a_session_is_not_continued_by_the_next_run(n, tmp_path):
    spoilt, data = body(n, 2), body(n)
    row_of = lambda origin: {"url": origin.url("/a"), "checksum": given("sha256", data)}
    with Origin({"/a": Versioned(spoilt)}) as origin:
        assert isinstance(one(row_of(origin), dir=tmp_path, session=tmp_path / "session").error, qhttp.ChecksumMismatch)
        assert names_in(tmp_path) == []
        origin.answers["/a"].data = data
        assert one(row_of(origin), dir=tmp_path, session=tmp_path / "session").error is None
        assert origin.log[-1].get("range") is None
    assert files_in(tmp_path)["a"] == data


@both_paths
def test_checksum_is_verified_into_bytes(n):
    with Origin({"/a": answer(200, body(n))}) as origin:
        good = one({"url": origin.url("/a"), "checksum": given("sha256", body(n))}, into="bytes")
        bad = one({"url": origin.url("/a"), "checksum": given("sha256", b"other")}, into="bytes", retries=0)
    assert good.content == body(n) and isinstance(bad.error, qhttp.ChecksumMismatch) and bad.content is None


def test_checksum_that_is_none_fails_without_a_request(tmp_path):
    with Origin({"/a": answer(200, b"x")}) as origin:
        transfer = one({"url": origin.url("/a"), "checksum": "sha256:123"}, dir=tmp_path)
    assert isinstance(transfer.error, qhttp.RequestError) and origin.log == []


# -- sent
@both_paths
@pytest.mark.parametrize("field", ["Repr-Digest", "Content-Digest", "Digest"])
def test_checksum_that_the_server_sends_has_to_hold(field, n, tmp_path):
    data = body(n)
    with Origin({"/a": answer(200, data, sent(field, data)), "/b": answer(200, data, sent(field, b"other"))}) as origin:
        seen = download([origin.url("/a"), origin.url("/b")], dir=tmp_path, retries=1)
    assert seen.kinds == {"a": None, "b": "ChecksumMismatch"} and names_in(tmp_path) == ["a"]


def test_checksum_of_a_try_that_failed_is_not_that_of_the_file(tmp_path):
    answers = Each(answer(200, b"good", sent("Repr-Digest", b"other")), answer(200, b"good"))
    with Origin({"/a": answers}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, retries=1)
    assert (transfer.error, transfer.n_retries, transfer.sha256) == (None, 1, None)


@pytest.mark.parametrize("fields, settings", [
    ([sent("Repr-Digest", b"other")], {"server_digest": False}), ([("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==")], {}),
    ([("Repr-Digest", "sha-256=:nonsense:, x")], {}), ([("Digest", "UNIXsum=30637")], {}), ([("Repr-Digest", "")], {}),
])
def test_checksum_that_is_not_to_be_looked_at_does_not_matter(fields, settings, tmp_path):
    with Origin({"/a": answer(200, b"data", *fields)}) as origin:
        assert one(origin.url("/a"), dir=tmp_path, **settings).error is None


def test_checksum_content_md5_counts_where_asked(tmp_path):
    with Origin({"/a": answer(200, b"data", ("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="))}) as origin:
        assert isinstance(one(origin.url("/a"), dir=tmp_path, content_md5=True, retries=0).error, qhttp.ChecksumMismatch)


def test_checksum_of_the_whole_counts_for_a_continued_file(tmp_path):
    data = body(LARGE * 2)
    for field, error in ((sent("Repr-Digest", data), None), (sent("Repr-Digest", b"other"), qhttp.ChecksumMismatch)):
        folder = tmp_path / str(error)
        with Origin({"/a": Versioned(data, cuts=[LARGE + 50_000], fields=[field])}) as origin:
            transfer = one(origin.url("/a"), dir=folder, retries=1)
            assert origin.log[1].get("range") is not None
        assert isinstance(transfer.error, error or type(None)) and names_in(folder) == ([] if error else ["a"])


def test_checksum_of_the_content_is_not_that_of_a_continued_file(tmp_path):
    data = body(LARGE * 2)
    versioned = Versioned(data, cuts=[LARGE + 50_000])

    def answers(request):
        start = int(request.get("range")[6:-1]) if request.get("range") else 0
        versioned.fields = [sent("Content-Digest", data[start:])]
        return versioned(request)
    with Origin({"/a": answers}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
    assert transfer.error is None and transfer.n_resumed > 0 and files_in(tmp_path) == {"a": data}


def test_checksum_of_an_error_page_does_not_matter(tmp_path):
    with Origin({"/a": answer(404, b"page", sent("Repr-Digest", b"other"))}) as origin:
        assert one(origin.url("/a"), dir=tmp_path).error.status == 404


# -- computed
@both_paths
def test_hashes_are_computed_where_asked(n, tmp_path):
    with Origin({"/a": answer(200, body(n))}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, hashes=("sha256", "md5"))
        plain = one(origin.url("/a"), dir=tmp_path / "b")
    assert transfer.checksums == {name: hashlib.new(name, body(n)).hexdigest() for name in ("sha256", "md5")}
    assert transfer.sha256 == transfer.to_dict()["sha256"] == hashlib.sha256(body(n)).hexdigest()
    assert plain.checksums == {} and plain.sha256 is None


# -- sizes
@both_paths
@pytest.mark.parametrize("make", ["length", "chunked", "closed"])
@pytest.mark.parametrize("off", [-1, 0, 1])
def test_size_of_the_row_has_to_be_that_of_the_file(off, make, n, tmp_path):
    closed = [answer(200, body(n), length=-1), Close()]
    page = {"length": answer(200, body(n)), "chunked": chunked(body(n)), "closed": closed}[make]
    with Origin({"/a": page}) as origin:
        seen = download([{"url": origin.url("/a"), "size": n + off}], dir=tmp_path, retries=0)
    assert seen.kinds == {"a": "BodyError" if off else None} and names_in(tmp_path) == ([] if off else ["a"])


@pytest.mark.parametrize("size, error", [(0, None), (1, "BodyError")])
def test_size_of_an_empty_file(size, error, tmp_path):
    with Origin({"/a": answer(200, b"")}) as origin:
        seen = download([{"url": origin.url("/a"), "size": size}], dir=tmp_path, retries=0)
    assert seen.kinds == {"a": error}


def test_size_zero_of_a_file_that_is_not_empty(tmp_path):
    with Origin({"/a": answer(200, b"x"), "/b": chunked(b"x")}) as origin:
        seen = download([{"url": origin.url(path), "size": 0} for path in ("/a", "/b")], dir=tmp_path, retries=0)
    assert seen.kinds == {"a": "BodyError", "b": "BodyError"} and names_in(tmp_path) == []


def test_size_of_the_row_is_that_of_a_continued_file(tmp_path):
    data = body(LARGE * 2)
    with Origin({"/a": Versioned(data, cuts=[LARGE + 50_000])}) as origin:
        transfer = one({"url": origin.url("/a"), "size": len(data)}, dir=tmp_path)
    assert transfer.error is None and transfer.n_resumed > 0 and transfer.size == len(data)


@both_paths
@pytest.mark.parametrize("make", ["length", "chunked", "closed"])
@pytest.mark.parametrize("off", [-1, 0])
def test_largest_size_is_exact(off, make, n, tmp_path):
    page = {"length": answer(200, body(n)), "chunked": chunked(body(n)), "closed": [answer(200, body(n), length=-1), Close()]}[
        make
    ]
    with Origin({"/a": page, "/b": answer(200, b"b")}) as origin:
        seen = download([origin.url("/a"), origin.url("/b")], dir=tmp_path, max_size=n + off)
    assert seen.kinds == {"a": "TooLarge" if off else None, "b": None} and names_in(tmp_path) == (["b"] if off else ["a", "b"])
    assert len(origin.asked("/a")) == 1


@both_paths
def test_largest_size_holds_for_bytes(n):
    with Origin({"/a": chunked(body(n))}) as origin:
        assert isinstance(one(origin.url("/a"), into="bytes", max_size=SMALL - 1).error, qhttp.TooLarge)


def test_largest_size_of_an_endless_body_ends_it(tmp_path):
    from support.actions import Repeat
    with Origin({"/a": [answer(200, b"", length=-1), Repeat(b"x" * 1000, 1_000_000)]}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, max_size=LARGE)
        origin.wait_for(lambda: origin.connections[0].how_ended is not None)
        assert origin.connections[0].n_sent < 64 << 20
    assert isinstance(transfer.error, qhttp.TooLarge) and names_in(tmp_path) == []


def test_largest_size_counts_a_continued_file_whole(tmp_path):
    data = body(LARGE * 2)
    with Origin({"/a": Versioned(data, cuts=[LARGE + 50_000])}) as origin:
        assert one(origin.url("/a"), dir=tmp_path, max_size=len(data)).error is None


def test_largest_size_does_not_count_an_error_page(tmp_path):
    with Origin({"/a": answer(404, body(SMALL))}) as origin:
        assert one(origin.url("/a"), dir=tmp_path, max_size=10).error.status == 404
