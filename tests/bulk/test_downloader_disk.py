"""Disks that fail: the transfer says so, its part goes or can be continued, and the others go on."""
import os
import resource
import subprocess
import sys

import pytest
from bulk.downloads import LARGE, SMALL, body, both_paths, download, files_in, names_in, one
from bulk.origin import Origin, Versioned, answer, chunked
from core.process_tools import in_child

import qhttp

IS_ROOT = os.geteuid() == 0


@both_paths
@pytest.mark.parametrize("folder", ["/proc/nowhere", "/dev/null/x", "/sys/x"])
def test_downloader_folder_that_cannot_be_made_is_an_error(folder, n, tmp_path):
    with Origin({"/a": answer(200, body(n)), "/b": answer(200, b"b")}) as origin:
        seen = download([origin.url("/a")], dir=folder)
    [transfer] = seen.failed
    assert isinstance(transfer.error, qhttp.FileError) and folder in str(transfer.error) and transfer.n_retries == 0


@both_paths
def test_downloader_file_on_the_way_is_an_error_of_that_row_only(n, tmp_path):
    (tmp_path / "x").write_bytes(b"mine")
    with Origin({"/a": answer(200, body(n)), "/b": answer(200, body(n))}) as origin:
        seen = download([{"url": origin.url("/a"), "out": "x/a"}, origin.url("/b")], dir=tmp_path)
    assert seen.kinds == {"a": "FileError", "b": None} and files_in(tmp_path) == {"x": b"mine", "b": body(n)}


@both_paths
def test_downloader_path_that_is_too_long_is_an_error_of_that_row_only(n, tmp_path):
    long = "/".join(["d" * 200] * 25)
    with Origin({"/a": answer(200, body(n)), "/b": answer(200, body(n))}) as origin:
        seen = download([{"url": origin.url("/a"), "dir": long}, origin.url("/b")], dir=tmp_path)
    assert seen.kinds == {"a": "FileError", "b": None} and files_in(tmp_path) == {"b": body(n)}


@both_paths
def test_downloader_longest_name_of_a_url_still_fits(n, tmp_path):
    with Origin({"/" + "n" * 1000 + ".tar.gz": answer(200, body(n))}) as origin:
        transfer = one(origin.url("/" + "n" * 1000 + ".tar.gz"), dir=tmp_path)
    [name] = files_in(tmp_path)
    assert transfer.error is None and len(name) <= 255 and name.endswith(".tar.gz")


def as_nobody(work):
    """Calls it in a child that is not root."""
    def run():
        if IS_ROOT:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        return work()
    return in_child(run)


@both_paths
def test_downloader_folder_without_leave_to_write_is_an_error(n, tmp_path):
    (tmp_path / "in").mkdir(mode=0o555)
    for folder in tmp_path.parents[:2]:
        folder.chmod(0o755)
    with Origin({"/a": answer(200, body(n))}) as origin:
        kind, text = as_nobody(
            lambda: (lambda error: (type(error).__name__, str(error)))(one(origin.url("/a"), dir=tmp_path / "in").error)
        )
    assert kind == "FileError" and "ermission" in text and names_in(tmp_path) == ["in"]


# -- a disk that is full: RLIMIT_FSIZE in a child
def limited_to(n_bytes, work):
    def run():
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))
        return work()
    return in_child(run)


def kinds_and_names(rows, folder, **settings):
    seen = download(rows, dir=folder, **settings)
    return seen.kinds, names_in(folder), [transfer.n_retries for transfer in seen.failed]


@pytest.mark.parametrize("make", [answer, chunked], ids=["length", "chunked"])
@pytest.mark.parametrize("n, limit", [(3000, 2000), (LARGE * 2, LARGE), (LARGE * 2, 1000), (LARGE, LARGE - 1)])
def test_downloader_file_beyond_what_the_disk_takes_fails_and_leaves_no_part(make, n, limit, tmp_path):
    data = body(n)
    with Origin({"/a": answer(200, data) if make is answer else chunked(data), "/b": answer(200, body(SMALL))}) as origin:
        rows = [origin.url("/a"), origin.url("/b")]
        kinds, names, n_retries = limited_to(limit, lambda: kinds_and_names(rows, tmp_path))
    assert kinds == {"a": "FileError", "b": None} and names == ["b"] and n_retries == [0]
    assert files_in(tmp_path) == {"b": body(SMALL)}


def test_downloader_full_disk_with_a_session_leaves_a_part_that_is_continued(tmp_path):
    data, session = body(LARGE * 2), str(tmp_path / "session")
    with Origin({"/a": Versioned(data)}) as origin:
        rows = [origin.url("/a")]
        kinds, names, _ = limited_to(LARGE + (64 << 10), lambda: kinds_and_names(rows, tmp_path, session=session))
        assert kinds == {"a": "FileError"} and names in (["a.part"], [])
        transfer = one(origin.url("/a"), dir=tmp_path, session=session)
        assert origin.answers["/a"].n_sent[1] < len(data) or names == []
    assert transfer.error is None and files_in(tmp_path)["a"] == data


def test_downloader_coded_body_beyond_what_the_disk_takes_fails(tmp_path):
    import gzip
    data = body(LARGE * 2)
    with Origin({"/a": answer(200, gzip.compress(data), ("Content-Encoding", "gzip"))}) as origin:
        kinds, names, _ = limited_to(LARGE, lambda: kinds_and_names([origin.url("/a")], tmp_path))
    assert kinds == {"a": "FileError"} and names == []


def test_downloader_descriptors_that_run_out_are_an_error_and_no_end(tmp_path):
    def run():
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 9,) * 2)
        seen = download(rows, dir=tmp_path, jobs=16, per_host=16, retries=1)
        return len(seen.ended), len({transfer.url for transfer in seen.ended})

    with Origin({f"/{n}": answer(200, body(LARGE)) for n in range(30)}) as origin:
        rows = [origin.url(path) for path in origin.answers]
        assert in_child(run) == (30, 30)
    for name, data in files_in(tmp_path).items():
        assert not name.endswith(".part") and data == body(LARGE)


SMALL_DISK = """
import json, sys
sys.path.insert(0, sys.argv[1])
from bulk.downloads import download, names_in
seen = download(json.loads(sys.argv[3]), dir=sys.argv[2], jobs=1, **json.loads(sys.argv[4]))
print(json.dumps([seen.kinds, names_in(sys.argv[2]), sum("space" in str(transfer.error) for transfer in seen.failed)]))
"""


@pytest.mark.skipif(not IS_ROOT, reason="only root can mount")
@pytest.mark.parametrize("n", [100_000, LARGE], ids=["memory", "part"])
def test_downloader_no_space_left_fails_and_the_rest_goes_on(n, tmp_path):
    import json
    probe = subprocess.run(["unshare", "-m", "true"], capture_output=True)
    if probe.returncode:
        pytest.skip("no private mount namespace here")
    tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    with Origin({f"/{name}": answer(200, body(n)) for name in "abc"} | {"/small": answer(200, b"x")}) as origin:
        rows = [origin.url(f"/{name}") for name in ("a", "b", "c", "small")]
        mount = f"mount -t tmpfs -o size={n * 2 + 40_000} none {tmp_path} && exec \"$@\""
        done = subprocess.run(
            [
                "unshare",
                "-m",
                "sh",
                "-c",
                mount,
                "sh",
                sys.executable,
                "-c",
                SMALL_DISK,
                tests,
                str(tmp_path),
                json.dumps(rows),
                "{}",
            ],
            capture_output=True,
            text=True,
            timeout=30,
            cwd=os.path.dirname(tests),
        )
    if "mount" in done.stderr and done.returncode:
        pytest.skip("no tmpfs can be mounted here")
    assert done.returncode == 0, done.stderr
    kinds, names, n_full = json.loads(done.stdout)
    assert kinds == {"a": None, "b": None, "c": "FileError", "small": None} and names == ["a", "b", "small"] and n_full == 1


@both_paths
def test_downloader_folder_removed_meanwhile_is_an_error_or_made_again(n, tmp_path):
    folder = tmp_path / "in"

    def remove(_peer):
        for path in folder.iterdir() if folder.exists() else ():
            path.unlink()
        if folder.exists():
            folder.rmdir()
    with Origin({"/a": [answer(200, body(n))[:-10], remove, answer(200, body(n))[-10:]], "/b": answer(200, b"b")}) as origin:
        seen = download([origin.url("/a"), {"url": origin.url("/b"), "out": "b"}], dir=folder)
    assert seen.kinds["b"] is None and seen.kinds["a"] in (None, "FileError")
    assert files_in(folder).get("a", body(n)) == body(n)


@both_paths
def test_downloader_part_removed_meanwhile_is_an_error(n, tmp_path):
    def remove(_peer):
        (tmp_path / "a.part").unlink(missing_ok=True)
    with Origin({"/a": [answer(200, body(n))[:-10], remove, answer(200, body(n))[-10:]]}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
    assert isinstance(transfer.error, (qhttp.FileError, type(None)))
    assert files_in(tmp_path) == ({"a": body(n)} if transfer.error is None else {})
