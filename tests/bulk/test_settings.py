"""Settings: names, defaults, and what each may be."""
import http.cookiejar
import os
import pathlib

import pytest

import qhttp
from qhttp.bulk.settings import AMOUNTS, COUNTS, DEFAULTS, TIMES, Settings


def test_settings_without_arguments_are_the_defaults():
    settings = Settings()
    assert {name: getattr(settings, name) for name in DEFAULTS} == {**DEFAULTS, "dir": os.getcwd()}


def test_settings_unknown_name_says_what_is_known():
    with pytest.raises(TypeError, match=r"job is no setting.*jobs"):
        Settings(job=3)


@pytest.mark.parametrize("name", [*COUNTS, *AMOUNTS])
@pytest.mark.parametrize(
    "value, error",
    [(-1, ValueError), (2**60, ValueError), (True, TypeError), (1.0, TypeError), ("1", TypeError), (None, TypeError)],
)
def test_settings_number_that_is_none_is_refused_by_name(name, value, error):
    with pytest.raises(error, match=name):
        Settings(**{name: value})


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize(
    "value, error",
    [
        (-0.1, ValueError),
        (float("nan"), ValueError),
        (float("inf"), ValueError),
        (1e10, ValueError),
        (False, TypeError),
        ("1", TypeError),
        (1j, TypeError),
    ],
)
def test_settings_time_that_is_none_is_refused_by_name(name, value, error):
    with pytest.raises(error, match=name):
        Settings(**{name: value})


@pytest.mark.parametrize("value", [5e-324, 1e-10])
def test_settings_host_rate_too_low_for_a_pause_in_nanoseconds_is_refused(value):
    with pytest.raises(ValueError, match="host_rate must be from 1e-09"):
        Settings(host_rate=value)


@pytest.mark.parametrize("name", COUNTS)
def test_settings_count_of_nothing_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be from 1"):
        Settings(**{name: 0})


@pytest.mark.parametrize(
    "name, value",
    [
        ("retries", 0),
        ("max_size", 2**53),
        ("jobs", 4096),
        ("split", 1),
        ("idle_timeout", 0),
        ("max_time", 10**9),
        ("host_rate", 1e-9),
        ("max_redirects", 0),
        ("min_speed", (0, 0)),
    ],
)
def test_settings_at_a_bound_are_taken(name, value):
    assert getattr(Settings(**{name: value}), name) == value


@pytest.mark.parametrize("value", [100, (100,), (1, 2, 3), None, "ab", [100, 60], (-1, 1), (1, -1)])
def test_settings_min_speed_that_is_no_pair_is_refused(value):
    with pytest.raises((ValueError, TypeError), match="min_speed"):
        Settings(min_speed=value)


@pytest.mark.parametrize("name, value", [("existing", "replace"), ("existing", None), ("into", "memory"), ("method", "POST"),
                                         ("method", "get"), ("family", 5), ("family", "4"), ("existing", [])])
def test_settings_choice_that_is_none_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be one of"):
        Settings(**{name: value})


@pytest.mark.parametrize("value", ["../x", "/etc/passwd", "a/../b", "", "x.part", "a\0b", "a\\b"])
def test_settings_name_that_leads_elsewhere_is_refused(value):
    with pytest.raises(ValueError, match=r"out|name"):
        Settings(name=value)


def test_settings_name_with_folders_is_taken():
    assert Settings(name="a/b.bin").name == "a/b.bin"


@pytest.mark.parametrize("value", [("a",), ("a", "b", "c"), (), "ab", 5, ("a", None), (1, 2)])
def test_settings_user_that_is_no_pair_of_texts_is_refused(value):
    with pytest.raises((ValueError, TypeError), match="user"):
        Settings(user=value)


def test_settings_refused_user_is_not_shown():
    with pytest.raises((ValueError, TypeError)) as refusal:
        Settings(user=("me", "hidden", "more"))
    assert "hidden" not in str(refusal.value)


@pytest.mark.parametrize(
    "value, expected",
    [
        ((), ()),
        ([("A", "b")], (("A", "b"),)),
        (iter([("A", "b")]), (("A", "b"),)),
        ({"AB": "x", "cd": "y"}, (("AB", "x"), ("cd", "y"))),
    ],
)
def test_settings_headers_become_pairs(value, expected):
    assert Settings(headers=value).headers == expected


@pytest.mark.parametrize("value", ["sha256", ("nosuch",), (1,), 5, "nosuch"])
def test_settings_hashes_that_cannot_be_computed_are_refused(value):
    if value == "sha256":       # one name in the place of a row of them: either is good, but letters are not names
        try:
            assert Settings(hashes=value).hashes == ("sha256",)
        except (TypeError, ValueError) as error:
            assert "hashes" in str(error)
        return
    with pytest.raises((ValueError, TypeError), match=r"hashes|algorithm"):
        qhttp.Downloader(hashes=value, proxy=None)


def test_settings_hashes_are_taken_as_people_write_them():
    assert len(Settings(hashes=["sha256", "SHA-1"]).hashes) == 2


@pytest.mark.parametrize("value, expected", [("x", "x"), (pathlib.Path("x/y"), "x/y"), (b"x", "x")])
def test_settings_folder_is_absolute_text(value, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings(dir=value)
    monkeypatch.chdir("/")
    assert settings.dir == f"{tmp_path}/{expected}"


@pytest.mark.parametrize("name", ["dir"])
@pytest.mark.parametrize("value", [None, 5])
def test_settings_folder_that_is_none_is_refused(name, value):
    with pytest.raises(TypeError):
        Settings(**{name: value})


@pytest.mark.parametrize(
    "headers, word",
    [
        ([("Range", "bytes=0-1")], "Range"),
        ([("X", "a\r\nb")], "X"),
        ([("X Y", "a")], "X Y"),
        ([("Content-Length", "5")], "Length|length"),
        ([("Connection", "close")], "Connection"),
        ([("If-Range", '"a"')], "If-Range"),
        ([("Transfer-Encoding", "chunked")], "Transfer"),
        ([("X", "a\0")], "X"),
        ([("Expect", "100-continue")], "Expect"),
    ],
)
def test_downloader_headers_that_are_not_the_callers_are_refused(headers, word):
    with pytest.raises(ValueError, match=word):
        qhttp.Downloader(headers=headers, proxy=None)


@pytest.mark.parametrize(
    "settings, error",
    [
        ({"proxy": "ftp://x:1"}, ValueError),
        ({"proxy": 5}, TypeError),
        ({"cookies": 5}, TypeError),
        ({"cookies": "/dev/null/jar"}, ValueError),
        ({"session": "/dev/null/session"}, qhttp.FileError),
        ({"netrc": "/dev/null/netrc"}, ValueError),
        ({"context": 5}, TypeError),
        ({"headers": 5}, TypeError),
        ({"headers": [(b"Authorization", b"Bearer x")]}, TypeError),
        ({"headers": {"X": None}}, TypeError),
        ({"no_such": 1}, TypeError),
    ],
)
def test_downloader_with_a_setting_that_cannot_work_raises_at_once(settings, error):
    with pytest.raises(error):
        qhttp.Downloader([], **{"proxy": None, **settings})


def test_downloader_takes_a_cookie_jar_as_it_is():
    jar = http.cookiejar.CookieJar()
    assert qhttp.Downloader(cookies=jar, proxy=None).identity.cookies.jar is jar


def test_downloader_proxy_password_is_in_no_message():
    with pytest.raises(ValueError) as refusal:
        qhttp.Downloader(proxy="http://me:hidden@host:x/")
    assert "hidden" not in str(refusal.value)
