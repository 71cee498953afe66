"""download_shard: many rows in, as many dicts out, whatever happens to them."""
import multiprocessing
import pickle

import pytest
from bulk.downloads import LARGE, LIMIT_S, body, files_in
from bulk.origin import Each, Origin, answer
from support.actions import Close
from support.watchdog import limited

import qhttp


def shard(rows, **settings):
    with limited(LIMIT_S):
        return qhttp.download_shard(rows, **{"proxy": None, "retries": 0, **settings})


def test_shard_outcomes_are_in_the_order_of_the_rows(tmp_path):
    with Origin({f"/{number}": answer(200, body(number * 10)) for number in range(50)}) as origin:
        rows = [origin.url(f"/{number}") for number in range(50)]
        found = shard(iter(rows), dir=str(tmp_path))
    assert [row["url"] for row in found] == rows and [row["size_download"] for row in found] == [
        number * 10 for number in range(50)
    ]
    assert {(row["http_code"], row["error"], row["errormsg"]) for row in found} == {(200, None, None)}
    assert [row["path"] for row in found] == [f"{tmp_path}/{number}" for number in range(50)] and len(files_in(tmp_path)) == 50


def test_shard_never_raises_for_a_row(tmp_path, closed_port):
    with Origin({"/good": answer(200, b"x"), "/cut": [answer(200, b"x", length=9), Close()]}) as origin:
        rows = [
            "ftp://x",
            5,
            None,
            {},
            {"url": None},
            b"x",
            object(),
            {"url": origin.url("/good"), "size": "x"},
            origin.url("/none"),
            origin.url("/cut"),
            f"http://127.0.0.1:{closed_port.port}/",
            {"url": origin.url("/good"), "out": "../x"},
            {"url": origin.url("/good"), "checksum": "md5:" + "0" * 32},
            {"url": origin.url("/good"), "out": "g"},
        ]
        found = shard(rows, dir=str(tmp_path))
    assert [row["error"] for row in found] == [
        *["RequestError"] * 8, "HTTPStatusError", "Truncated", "ConnectError", "FileError", "ChecksumMismatch", None]
    assert all(isinstance(row["errormsg"], str) and row["path"] is None for row in found[:-1]) and files_in(tmp_path) == {
        "g": b"x"
    }


@pytest.mark.parametrize("n", [100, LARGE])
def test_shard_into_bytes_has_the_content(n, tmp_path):
    with Origin({"/a": answer(200, body(n))}) as origin:
        good, bad = shard([origin.url("/a"), origin.url("/none")], into="bytes", hashes=("sha256",))
    assert good["content"] == body(n) and good["path"] is None and len(good["sha256"]) == 64
    assert bad.get("content") is None and bad["error"] == "HTTPStatusError"


def test_shard_repeated_takes_what_is_there_as_done(tmp_path):
    with Origin({"/a": answer(200, b"x"), "/b": Each(answer(404), answer(200, b"y"))}) as origin:
        rows = [origin.url("/a"), origin.url("/b")]
        first, second, third = (shard(rows, dir=str(tmp_path)) for _ in range(3))
        assert [row["error"] for row in first] == [None, "HTTPStatusError"]
        assert [[(row["error"], row["skipped"]) for row in found] for found in (second, third)] == [
            [(None, True), (None, False)],
            [(None, True), (None, True)],
        ]
        assert origin.paths.count("/a") == 1 and origin.paths.count("/b") == 2


def test_shard_repeated_looks_at_size_and_checksum(tmp_path):
    (tmp_path / "a").write_bytes(b"other")
    with Origin({"/a": answer(200, b"x")}) as origin:
        [found] = shard([{"url": origin.url("/a"), "size": 1}], dir=str(tmp_path))
        assert found["error"] == "BodyError" and origin.log == []


def test_shard_same_row_twice_has_two_outcomes(tmp_path):
    with Origin({"/a": answer(200, b"x")}) as origin:
        found = shard([origin.url("/a")] * 3, dir=str(tmp_path))
    assert (
        len(found) == 3 and sorted(str(row["error"]) for row in found).count("None") >= 1 and files_in(tmp_path) == {"a": b"x"}
    )


@pytest.mark.parametrize("rows", [[], (), iter(())])
def test_shard_of_nothing_is_nothing(rows, tmp_path):
    assert shard(rows, dir=str(tmp_path)) == []


def test_shard_without_a_folder_uses_the_working_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Origin({"/a": answer(200, b"x")}) as origin:
        shard([origin.url("/a")])
    assert files_in(tmp_path) == {"a": b"x"}


def test_shard_one_dict_for_each_row_whatever_is_set(tmp_path):
    with Origin({f"/{number}": answer(200, b"x") for number in range(20)}) as origin:
        rows = [origin.url("/none"), *(origin.url(f"/{number}") for number in range(20))]
        try:
            found = shard(rows, dir=str(tmp_path), fail_fast=True, jobs=1)
        except (TypeError, ValueError) as error:
            assert "fail_fast" in str(error)
        else:
            assert len(found) == len(rows)


@pytest.mark.parametrize("settings", [{"no_such": 1}, {"into": "memory"}, {"jobs": 0}])
def test_shard_wrong_settings_raise(settings, tmp_path):
    with pytest.raises((TypeError, ValueError)):
        shard([], **{"dir": str(tmp_path), **settings})


def test_shard_outcomes_can_be_pickled_and_written_as_json(tmp_path):
    import json
    with Origin({"/a": answer(200, b"x")}) as origin:
        found = shard([origin.url("/a"), origin.url("/none"), 5], dir=str(tmp_path), timings=True)
    assert pickle.loads(pickle.dumps(found)) == found and json.loads(json.dumps(found)) == found
    assert pickle.loads(pickle.dumps(qhttp.download_shard)) is qhttp.download_shard
    assert found[0]["time_total"] >= found[0]["time_starttransfer"] > 0


def test_shard_in_processes_of_their_own(tmp_path):
    with Origin({f"/{number}": answer(200, b"x") for number in range(20)}) as origin:
        shards = [[origin.url(f"/{number}") for number in range(start, 20, 4)] for start in range(4)]
        qhttp.download_shard([origin.url("/0")], into="bytes", proxy=None)         # the parent has used it, too
        with multiprocessing.get_context("fork").Pool(2) as pool:
            found = pool.starmap_async(work, [(rows, str(tmp_path)) for rows in shards]).get(20)
    assert [[row["url"] for row in rows] for rows in found] == shards and len(files_in(tmp_path)) == 20


def work(rows, folder):
    return qhttp.download_shard(rows, dir=folder, proxy=None)
