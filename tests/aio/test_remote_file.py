"""Windows of a remote file: an answer that is not all of what was asked for is an error, not the end of the file."""
import types

import pytest

pytest.importorskip("fsspec")
from bulk.origin import Origin, answer

import qhttp
from qhttp.fs import QHttpFileSystem
from qhttp.remote_file import Window

DATA = bytes(range(100))


def answered(status, content, *fields):
    fields = list(fields)
    return types.SimpleNamespace(
        status=status, content=content, headers=fields,
        header=lambda name, default=None: next((value for key, value in fields if key == name), default))


def part(content, *ranges, fields=()):
    return answered(206, content, *(("content-range", f"bytes {one}") for one in ranges), *fields)


@pytest.mark.parametrize("reply, start, end, at, total", [
    (part(DATA[10:20], "10-19/100"), 10, 20, 10, 100), (part(DATA[10:20], "10-19/*"), 10, 20, 10, None),
    (part(DATA[10:30], "10-29/100"), 10, 20, 10, 100), (part(DATA[90:], "90-99/100"), 90, 200, 90, 100),
    (part(DATA[90:], "90-99/100"), 90, None, 90, 100), (part(DATA[90:], "90-99/100"), -10, None, 90, 100),
    (part(DATA, "0-99/100"), -200, None, 0, 100),
    (answered(200, DATA), 50, 60, 0, 100), (answered(203, DATA), -5, None, 0, 100),
    (answered(416, b"", ("content-range", "bytes */100")), 100, 110, 100, 100),
    (answered(416, b"", ("content-range", "bytes */0")), -10, None, 0, 0),
])
def test_window_of_what_was_asked_for(reply, start, end, at, total):
    window = Window.of(reply, start, end)
    assert (window.start, window.total, bytes(window.data)) == (at, total, reply.content)


@pytest.mark.parametrize("reply, start, end", [
    (part(DATA[10:15], "10-14/100"), 10, 20), (part(DATA[10:15], "10-14/*"), 10, 20),               # less of it
    (part(DATA[90:95], "90-94/100"), 90, None), (part(DATA[90:], "90-99/*"), 90, None),
    (part(DATA[90:95], "90-94/100"), 90, 200), (part(DATA[95:], "95-99/100"), -10, None),
    (part(DATA[80:90], "80-89/100"), -10, None), (part(DATA[90:], "90-99/*"), -10, None),
    (part(DATA[11:20], "11-19/100"), 10, 20), (part(DATA[9:20], "9-19/100"), 10, 20),               # from elsewhere
    (part(DATA[10:20], "10-20/100"), 10, 20), (part(DATA[10:20]), 10, 20), (part(DATA[10:20], "x"), 10, 20),
    (part(DATA[10:20], "10-19/100", "20-29/100"), 10, 20), (part(b"", "*/100"), 10, 20),
    (answered(416, b"", ("content-range", "bytes */100")), 10, 20), (answered(416, b"page"), 10, 20),
    (answered(416, b"", ("content-range", "bytes */100")), -10, None),
    (answered(204, b""), 10, 20), (answered(304, b""), 10, 20), (answered(202, b"later"), 0, 5),
])
def test_window_of_anything_else_is_an_error(reply, start, end):
    with pytest.raises(qhttp.BodyError):
        Window.of(reply, start, end)


@pytest.mark.parametrize("fields, later", [
    ([("etag", '"1"')], [("etag", '"2"')]), ([("etag", '"1"')], []), ([("etag", 'W/"1"')], [("etag", 'W/"2"')]),
    ([("last-modified", "a")], [("last-modified", "b")]), ([], [("etag", '"1"')]),
])
def test_window_of_another_version_is_an_error(fields, later):
    first = Window.of(part(DATA[:10], "0-9/100", fields=fields), 0, 10)
    assert Window.of(part(DATA[10:20], "10-19/100", fields=fields), 10, 20, first.version).version == first.version
    with pytest.raises(qhttp.BodyError):
        Window.of(part(DATA[10:20], "10-19/100", fields=later), 10, 20, first.version)


def test_file_system_less_than_was_asked_for_is_no_shorter_file():
    def less(request):
        first, last = request.get("range", "bytes=0-").removeprefix("bytes=").split("-")
        start, end = int(first), min(int(last or 99), int(first) + 4)
        return answer(206, DATA[start:end + 1], ("Content-Range", f"bytes {start}-{end}/100"), ("ETag", '"1"'))

    with Origin({"/a": less, "/b": answer(204, b""), "/c": answer(304, b"")}) as origin:
        fs = QHttpFileSystem(proxy=None, retries=0, skip_instance_cache=True)
        with pytest.raises(qhttp.BodyError):
            fs.cat_file(origin.url("/a"), 0, 50)
        with pytest.raises(qhttp.BodyError), fs.open(origin.url("/a")) as file:
            file.read()
        for path in "/b", "/c":
            with pytest.raises(OSError):
                fs.cat_file(origin.url(path))
