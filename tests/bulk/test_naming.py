"""Where the file of a row goes: row before settings, settings before the answer, the answer before the URL; never outside."""
import os

import pytest

from qhttp.bulk.naming import path_for
from qhttp.bulk.settings import Settings


def path(row=None, target=b"/x/name.bin", disposition=None, **settings):
    return path_for(Settings(**{"dir": "/data", **settings}), row, target, disposition)


@pytest.mark.parametrize("row, settings, disposition, expected", [
    (None, {}, None, "/data/name.bin"),
    ({"url": "u"}, {}, None, "/data/name.bin"),
    ({"url": "u", "out": "b"}, {}, None, "/data/b"),
    ({"url": "u", "out": "a/b"}, {}, None, "/data/a/b"),
    ({"url": "u", "dir": "sub"}, {}, None, "/data/sub/name.bin"),
    ({"url": "u", "dir": "sub/"}, {}, None, "/data/sub/name.bin"),
    ({"url": "u", "dir": "s/t", "out": "u/v"}, {}, None, "/data/s/t/u/v"),
    (None, {"name": "own"}, None, "/data/own"),
    ({"url": "u", "out": "row"}, {"name": "own"}, None, "/data/row"),
    (None, {}, 'attachment; filename="from.it"', "/data/from.it"),
    (None, {"name": "own"}, 'attachment; filename="from.it"', "/data/own"),
    ({"url": "u", "out": "row"}, {}, 'attachment; filename="from.it"', "/data/row"),
    ({"url": "u", "dir": "d"}, {}, 'attachment; filename="from.it"', "/data/d/from.it"),
    (None, {}, "attachment", "/data/name.bin"),
    (None, {}, 'attachment; filename="../../etc/passwd"', "/data/passwd"),
    (None, {}, "attachment; filename*=UTF-8''..%2F..%2Fevil", "/data/evil"),
    (None, {}, 'attachment; filename=".bashrc"', "/data/_bashrc"),
    (None, {"dir": "/"}, None, "/name.bin"),
    (None, {"dir": "/data/"}, None, "/data/name.bin"),
    (None, {"dir": "/data/x/.."}, None, "/data/name.bin"),
])
def test_path_for_sources_in_their_order(row, settings, disposition, expected):
    assert path(row, disposition=disposition, **settings) == expected


@pytest.mark.parametrize(
    "row",
    [
        {"out": "../x"},
        {"out": "/x"},
        {"out": "a/../../x"},
        {"out": "."},
        {"out": ".."},
        {"out": "a//b"},
        {"out": "a/"},
        {"out": "a\\b"},
        {"out": "x.part"},
        {"out": "X.PARTS"},
        {"out": "n" * 241},
        {"out": "CON"},
        {"out": "a\nb"},
        {"out": "a\0b"},
        {"out": " a"},
        {"dir": "../x"},
        {"dir": "/x"},
        {"dir": ".."},
        {"dir": "a/../.."},
        {"dir": "//x"},
        {"dir": "a//b"},
        {"dir": "\\\\host\\share"},
        {"dir": "ok", "out": "../../x"},
    ],
)
def test_path_for_row_that_leads_out_is_refused(row):
    with pytest.raises(ValueError):
        path({"url": "u", **row})


@pytest.mark.parametrize(
    "target, expected",
    [
        (b"/", "index.html"),
        (b"/a/", "index.html"),
        (b"/a/b?x=/../y", "b"),
        (b"/%2e%2e", None),
        (b"/%2Fetc%2Fpasswd", "_etc_passwd"),
        (b"/a.part", "a.part_"),
        (b"/..%2f..%2fx", None),
        (b"/%00", "_"),
        (b"/caf%C3%A9", "caf\xe9"),
    ],
)
def test_path_for_target_is_one_safe_name(target, expected):
    found = path(target=target)
    assert os.path.dirname(found) == "/data" and os.path.basename(found) not in ("", ".", "..")
    assert expected is None or found == f"/data/{expected}"


def test_path_for_is_absolute_and_follows_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert path(dir="some/where") == f"{tmp_path}/some/where/name.bin"


def test_path_for_relative_folder_after_a_change_of_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    found = []
    for place in ("one", "two"):
        monkeypatch.chdir(tmp_path / place)
        found.append(path(dir="."))
    assert found == [f"{tmp_path}/one/name.bin", f"{tmp_path}/two/name.bin"]
