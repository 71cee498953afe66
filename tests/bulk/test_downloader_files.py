"""Files and their names: a final name holds a whole file or nothing, and what was there stays unless it was to go."""
import os
import pathlib
import socket
import threading

import pytest
from bulk.downloads import (
    LARGE,
    SMALL,
    body,
    both_paths,
    descriptors_go_back_to,
    download,
    files_in,
    n_descriptors,
    names_in,
    one,
    running,
)
from bulk.origin import Each, Origin, answer, chunked, redirect
from support.actions import Close, Send

import qhttp


@both_paths
@pytest.mark.parametrize("make", [answer, chunked], ids=["length", "chunked"])
def test_downloader_body_becomes_the_file(n, make, tmp_path):
    data = body(n)
    with Origin({"/dir/a.bin": make(200, data) if make is answer else make(data)}) as origin:
        transfer = one(origin.url("/dir/a.bin?x=1".partition("?")[0]), dir=tmp_path)
    assert files_in(tmp_path) == {"a.bin": data}
    assert (transfer.path, transfer.size, transfer.status, transfer.n_done) == (f"{tmp_path}/a.bin", n, 200, n)
    assert transfer.error is None and not transfer.was_skipped


@both_paths
def test_downloader_close_delimited_body_becomes_the_file(n, tmp_path):
    data = body(n)
    with Origin({"/a": [answer(200, data, length=-1), Close()]}) as origin:
        assert one(origin.url("/a"), dir=tmp_path).size == n
    assert files_in(tmp_path) == {"a": data}


@pytest.mark.parametrize("n", [0, 1, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, (256 << 10) + (64 << 10)])
def test_downloader_sizes_around_the_bound_of_memory(n, tmp_path):
    data = body(n)
    with Origin({"/a": answer(200, data), "/b": chunked(data), "/c": [answer(200, data, length=-1), Close()]}) as origin:
        seen = download([origin.url(path) for path in origin.answers], dir=tmp_path)
    assert files_in(tmp_path) == dict.fromkeys("abc", data) and len(seen.finished) == 3


def test_downloader_body_byte_by_byte_becomes_the_file(tmp_path):
    whole = answer(200, body(400))
    with Origin({"/a": Send(whole, tuple(range(1, len(whole))))}) as origin:
        one(origin.url("/a"), dir=tmp_path)
    assert files_in(tmp_path) == {"a": body(400)}


def test_downloader_missing_folders_are_made(tmp_path):
    with Origin({"/a": answer(200, body(SMALL)), "/b": answer(200, body(LARGE))}) as origin:
        download(
            [{"url": origin.url(f"/{name}"), "dir": "x/y", "out": f"{name}/{name}"} for name in "ab"], dir=tmp_path / "new"
        )
    assert files_in(tmp_path) == {"new/x/y/a/a": body(SMALL), "new/x/y/b/b": body(LARGE)}


def test_downloader_names_of_urls_are_safe(tmp_path):
    paths = {
        "/": "index.html",
        "/a/": "index.html",
        "/..%2F..%2Fevil": None,
        "/%00": "_",
        "/x%2Fy": "x_y",
        "/n.part": "n.part_",
    }
    with Origin({path: answer(200, b"x") for path in paths}) as origin:
        for number, (path, expected) in enumerate(paths.items()):
            folder = tmp_path / str(number)
            transfer = one(origin.url(path), dir=folder)
            assert pathlib.Path(transfer.path).parent == folder and (
                expected is None or os.path.basename(transfer.path) == expected
            )
            assert list(files_in(folder).values()) == [b"x"]


@pytest.mark.parametrize("row", [{"out": "../x"}, {"out": "/etc/x"}, {"dir": "../.."}, {"out": "x.part"}, {"out": "a\0b"}])
def test_downloader_row_that_leads_out_fails_without_a_request(row, tmp_path):
    with Origin({"/a": answer(200, b"x")}) as origin:
        transfer = one({"url": origin.url("/a"), **row}, dir=tmp_path / "in")
    assert isinstance(transfer.error, qhttp.QHttpError) and origin.log == [] and files_in(tmp_path) == {}


def test_downloader_name_setting_names_one_file(tmp_path):
    with Origin({"/a": answer(200, b"x")}) as origin:
        assert one(origin.url("/a"), dir=tmp_path, name="sub/own").path == f"{tmp_path}/sub/own"


# -- what is there already
@both_paths
def test_downloader_existing_file_is_an_error_and_stays(n, tmp_path):
    (tmp_path / "a").write_bytes(b"mine")
    with Origin({"/a": answer(200, body(n))}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
    assert isinstance(transfer.error, qhttp.FileError) and "exists" in str(transfer.error) and origin.log == []
    assert files_in(tmp_path) == {"a": b"mine"}


@both_paths
def test_downloader_existing_file_is_replaced_where_asked(n, tmp_path):
    (tmp_path / "a").write_bytes(b"mine")
    with Origin({"/a": answer(200, body(n))}) as origin:
        one(origin.url("/a"), dir=tmp_path, existing="overwrite")
    assert files_in(tmp_path) == {"a": body(n)}


@both_paths
def test_downloader_existing_file_stays_whole_where_its_replacement_fails(n, tmp_path):
    (tmp_path / "a").write_bytes(b"mine")
    with Origin({"/a": [answer(200, body(n), length=n + 1), Close()]}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, existing="overwrite", retries=1)
    assert isinstance(transfer.error, qhttp.Truncated) and files_in(tmp_path) == {"a": b"mine"}


@pytest.mark.parametrize("row, was_skipped", [
    ({}, True), ({"size": 4}, True), ({"size": 5}, False),
    ({"checksum": "md5:" + "0" * 32}, False), ({"checksum": "sha1:" + "6d207e02198a847aa98d0a2a901485a5"}, None),
])
def test_downloader_existing_file_is_skipped_if_it_is_what_the_row_says(row, was_skipped, tmp_path):
    (tmp_path / "a").write_bytes(b"mine")
    with Origin({"/a": answer(200, b"x")}) as origin:
        seen = download([{"url": origin.url("/a"), **row}], dir=tmp_path, existing="skip")
    [transfer] = seen.ended
    assert origin.log == [] and files_in(tmp_path) == {"a": b"mine"}
    if was_skipped:
        assert transfer.was_skipped and transfer.error is None and transfer.size == 4
        assert (seen.downloader.n_skipped, seen.downloader.n_done, seen.downloader.n_failed) == (1, 0, 0)
    else:
        assert not transfer.was_skipped and isinstance(transfer.error, qhttp.QHttpError)


@both_paths
@pytest.mark.parametrize("existing", ["error", "skip", "overwrite"])
def test_downloader_second_url_of_a_name_is_an_error_also_when_the_first_is_done(existing, n, tmp_path):
    with (Origin({f"/{name}/same": answer(200, body(n, seed)) for seed, name in enumerate("ab")}) as origin,
          running([origin.url("/a/same")], dir=tmp_path, existing=existing) as (downloader, seen)):
        downloader.finished.connect(lambda transfer: downloader.add(origin.url("/b/same")))
        assert downloader.run()
        assert [transfer.url for transfer in seen.failed] == [origin.url("/b/same")] and origin.paths == ["/a/same"]
    assert isinstance(seen.failed[0].error, qhttp.FileError) and files_in(tmp_path) == {"same": body(n, 0)}


def test_downloader_row_that_comes_twice_is_skipped_the_second_time(tmp_path):
    with (Origin({"/a": answer(200, b"x")}) as origin,
          running([origin.url("/a")], dir=tmp_path, existing="skip") as (downloader, seen)):
        downloader.finished.connect(lambda transfer: transfer.was_skipped or downloader.add(transfer.url))
        assert downloader.run()
    assert [transfer.was_skipped for transfer in seen.finished] == [False, True]


@both_paths
@pytest.mark.parametrize("existing", ["error", "skip", "overwrite"])
def test_downloader_folder_in_the_way_is_an_error(existing, n, tmp_path):
    (tmp_path / "a").mkdir()
    with Origin({"/a": answer(200, body(n))}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, existing=existing)
    assert isinstance(transfer.error, qhttp.FileError) and "folder" in str(transfer.error) and not transfer.was_skipped
    assert names_in(tmp_path) == ["a"]


def block(part, kind, tmp_path):
    """Puts what is no file where a part goes."""
    if kind == "folder":
        part.mkdir()
    elif kind == "fifo":
        os.mkfifo(part)
    else:
        (tmp_path / "precious").write_bytes(b"mine")
        part.symlink_to(tmp_path / "precious")


@pytest.mark.parametrize("kind", ["folder", "fifo", "link"])
@pytest.mark.parametrize("n, existing", [(SMALL, "overwrite"), (LARGE, "error")], ids=["memory", "part"])
def test_downloader_what_is_no_file_in_the_way_of_the_part_is_an_error(n, existing, kind, tmp_path):
    block(tmp_path / "a.part", kind, tmp_path)
    names = names_in(tmp_path)
    with Origin({"/a": answer(200, body(n)), "/b": answer(200, b"b")}) as origin:
        seen = download([origin.url("/a"), origin.url("/b")], dir=tmp_path, existing=existing)
    assert seen.kinds == {"a": "FileError", "b": None} and names_in(tmp_path) == sorted([*names, "b"])
    assert kind != "link" or (tmp_path / "precious").read_bytes() == b"mine"


@pytest.mark.parametrize("kind", ["folder", "fifo", "link"])
def test_downloader_small_file_needs_no_part(kind, tmp_path):
    block(tmp_path / "a.part", kind, tmp_path)
    with Origin({"/a": answer(200, body(SMALL))}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
    if transfer.error is None:          # else the file system knows no files without names
        assert (tmp_path / "a").read_bytes() == body(SMALL)
    assert kind != "link" or (tmp_path / "precious").read_bytes() == b"mine"


@pytest.mark.parametrize("existing", ["error", "skip"])
def test_downloader_dangling_link_in_the_way_is_not_replaced(existing, tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "nowhere")
    with Origin({"/a": answer(200, b"x")}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, existing=existing)
    assert isinstance(transfer.error, qhttp.FileError) and (tmp_path / "a").is_symlink() and not (tmp_path / "nowhere").exists()
    assert names_in(tmp_path) == ["a"]


@both_paths
def test_downloader_file_that_appears_meanwhile_is_not_replaced(n, tmp_path):
    def appear(_peer):
        (tmp_path / "a").write_bytes(b"mine")
    with Origin({"/a": [appear, answer(200, body(n))]}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
    assert isinstance(transfer.error, qhttp.FileError) and "exists" in str(transfer.error)
    assert files_in(tmp_path) == {"a": b"mine"}


@pytest.mark.parametrize("kind", ["socket", "fifo", "device"])
@pytest.mark.parametrize("existing", ["error", "skip"])
def test_downloader_what_is_no_file_in_the_way_is_an_error(kind, existing, tmp_path):
    if kind == "socket":
        blocker = socket.socket(socket.AF_UNIX)
        blocker.bind(str(tmp_path / "a"))
        blocker.close()
    elif kind == "fifo":
        os.mkfifo(tmp_path / "a")
    else:
        (tmp_path / "a").symlink_to("/dev/zero")
    with Origin({"/a": answer(200, b"x")}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, existing=existing)
    assert isinstance(transfer.error, qhttp.FileError) and not transfer.was_skipped and names_in(tmp_path) == ["a"]


# -- two of one name
@both_paths
def test_downloader_two_urls_of_one_name_one_is_an_error(n, tmp_path):
    with Origin({"/x/a": answer(200, body(n, 1)), "/y/a": answer(200, body(n, 2))}) as origin:
        seen = download([origin.url("/x/a"), origin.url("/y/a")], dir=tmp_path)
    assert len(seen.finished) == len(seen.failed) == 1 and isinstance(seen.failed[0].error, qhttp.FileError)
    [winner] = seen.finished
    assert files_in(tmp_path) == {"a": body(n, 1 if "/x/" in winner.url else 2)}


def test_downloader_name_is_free_again_after_a_failure(tmp_path):
    with Origin({"/y/a": answer(200, b"good")}) as origin:
        seen = download([origin.url("/x/a"), origin.url("/y/a")], dir=tmp_path, jobs=1)
    assert len(seen.failed) == 1 and files_in(tmp_path) == {"a": b"good"}


@both_paths
def test_downloader_two_downloaders_of_one_name_leave_a_whole_file_or_none(n, tmp_path):
    """Two processes may be told to fetch the same: neither may spoil what the other one puts in its place."""
    whole, gate = answer(200, body(n)), threading.Event()
    middle = len(whole) - n // 3
    with (
        Origin({"/a": Each([whole[:middle], lambda _: gate.wait(5), whole[middle:]], whole)}) as origin,
        running([origin.url("/a")], dir=tmp_path) as (first, first_seen),
        running([origin.url("/a")], dir=tmp_path) as (second, second_seen),
    ):
        first.start()
        first.turn_until(lambda: bool(origin.log))
        first.run(100)
        second.run(100)
        gate.set()
        assert first.run() and second.run()
    assert len(first_seen.finished) + len(second_seen.finished) >= 1
    assert files_in(tmp_path) == {"a": body(n)}


# -- names from the answer
def disposition(text):
    return "Content-Disposition", f"attachment; filename={text}"


@both_paths
@pytest.mark.parametrize(
    "text, name", [('"n.txt"', "n.txt"), ("../../up", "up"), ('".profile"', "_profile"), ('""', "a"), ("x.part", "x.part_")]
)
def test_downloader_name_from_the_answer_is_safe(text, name, n, tmp_path):
    with Origin({"/a": answer(200, body(n), disposition(text))}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, content_disposition=True)
    assert transfer.path == f"{tmp_path}/{name}" and files_in(tmp_path) == {name: body(n)}


@pytest.mark.parametrize("target", ["/.profile", "/%2eprofile", "/b"])
def test_downloader_name_is_not_that_of_where_a_server_redirects_to(target, tmp_path):
    with Origin({"/a": redirect(target), target: answer(200, b"x")}) as origin:
        one(origin.url("/a"), dir=tmp_path, content_disposition=True)
    assert files_in(tmp_path) == {"a": b"x"}


def test_downloader_name_from_the_answer_only_where_asked(tmp_path):
    with Origin({"/a": answer(200, b"x", disposition("n"))}) as origin:
        one(origin.url("/a"), dir=tmp_path)
        one({"url": origin.url("/a"), "out": "mine"}, dir=tmp_path, content_disposition=True)
    assert sorted(files_in(tmp_path)) == ["a", "mine"]


@pytest.mark.parametrize("existing, expected", [("error", "FileError"), ("skip", None), ("overwrite", None)])
def test_downloader_name_from_the_answer_that_exists(existing, expected, tmp_path):
    (tmp_path / "n").write_bytes(b"mine")
    with Origin({"/a": answer(200, b"new", disposition("n"))}) as origin:
        seen = download([origin.url("/a")], dir=tmp_path, content_disposition=True, existing=existing)
    assert seen.kinds == {"a": expected}
    assert seen.ended[0].was_skipped is (existing == "skip")
    assert files_in(tmp_path) == {"n": b"new" if existing == "overwrite" else b"mine"}


def test_downloader_two_answers_of_one_name_one_is_an_error(tmp_path):
    with Origin({f"/{name}": answer(200, body(LARGE), disposition("same")) for name in "ab"}) as origin:
        seen = download([origin.url("/a"), origin.url("/b")], dir=tmp_path, content_disposition=True)
    assert sorted(map(str, seen.kinds.values())) == ["FileError", "None"] and files_in(tmp_path) == {"same": body(LARGE)}


@both_paths
@pytest.mark.parametrize("existing", ["skip", "overwrite"])
def test_downloader_two_answers_of_one_name_one_after_the_other_the_second_is_an_error(existing, n, tmp_path):
    with Origin({f"/{name}": answer(200, body(n, seed), disposition("same")) for seed, name in enumerate("ab")}) as origin:
        rows = [origin.url("/a"), origin.url("/b")]
        seen = download(rows, dir=tmp_path, content_disposition=True, existing=existing, jobs=1)
    assert seen.kinds == {"a": None, "b": "FileError"} and files_in(tmp_path) == {"same": body(n, 0)}


# -- what is no file
@pytest.mark.parametrize("settings", [{"existing": "error"}, {"existing": "overwrite"}, {"into": "bytes"}])
def test_downloader_dry_run_asks_for_nothing(settings, tmp_path):
    with Origin({"/a": answer(200, b"x")}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path / "new", dry_run=True, **settings)
    assert origin.log == [] and not (tmp_path / "new").exists() and transfer.error is None
    assert transfer.path == (None if "into" in settings else f"{tmp_path}/new/a")


def test_downloader_dry_run_shows_what_would_fail(tmp_path):
    (tmp_path / "a").write_bytes(b"mine")
    assert isinstance(one("http://127.0.0.1:9/a", dir=tmp_path, dry_run=True).error, qhttp.FileError)


@both_paths
def test_downloader_into_bytes_makes_no_file(n, tmp_path):
    with Origin({"/a": answer(200, body(n)), "/b": chunked(body(n))}) as origin:
        seen = download([origin.url("/a"), origin.url("/b")], dir=tmp_path, into="bytes")
    assert [(transfer.content, transfer.path, transfer.size) for transfer in seen.finished] == [(body(n), None, n)] * 2
    assert names_in(tmp_path) == []


def test_downloader_head_has_facts_and_no_body(tmp_path):
    with Origin({"/a": answer(200, b"", ("ETag", '"x"'), length=77), "/b": answer(200, b"", length=-1)}) as origin:
        seen = download([origin.url("/a"), origin.url("/b"), origin.url("/none")], dir=tmp_path, method="HEAD", per_host=1)
    assert [request.method for request in origin.log] == ["HEAD"] * 3 and names_in(tmp_path) == []
    a, b = seen.finished
    assert (a.size, a.etag, a.path, b.size) == (77, '"x"', None, -1)
    assert (a.n_done, a.to_dict()["size_download"]) == (0, 0)
    assert [transfer.error.status for transfer in seen.failed] == [404]


@both_paths
def test_downloader_fsync_changes_nothing_but_the_time(n, tmp_path):
    with Origin({"/a": answer(200, body(n))}) as origin:
        one(origin.url("/a"), dir=tmp_path, fsync=True, session=tmp_path / "session")
    assert files_in(tmp_path)["a"] == body(n)


@both_paths
def test_downloader_mode_follows_the_umask(n, tmp_path):
    before = os.umask(0o027)
    try:
        with Origin({"/a": answer(200, body(n))}) as origin:
            one(origin.url("/a"), dir=tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_downloader_descriptors_are_given_back(tmp_path):
    data = body(LARGE)
    answers = {
        "/a": answer(200, b"x"),
        "/b": answer(200, data),
        "/c": [answer(200, data, length=LARGE + 1), Close()],
        "/d": chunked(data),
    }
    with Origin(answers) as origin:
        download([origin.url("/a")], dir=tmp_path / "warm")
        origin.wait_for(lambda: all(connection.how_ended for connection in origin.connections))
        before = n_descriptors()
        for number in range(3):
            download([origin.url(path) for path in [*answers, "/none"]], dir=tmp_path / str(number), retries=1)
        origin.wait_for(lambda: all(connection.how_ended for connection in origin.connections))
        descriptors_go_back_to(before)
