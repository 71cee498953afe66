"""Windows of a remote file: an answer that is not all of what was asked for is an error, not the end of the file. Pieces and
errors of the file system, from servers whose files change, that refuse, or that are not there."""
import gzip
import io
import itertools
import ssl
import types

import pytest

pytest.importorskip("fsspec")
import trustme
from bulk.origin import Each, Origin, answer, redirect

import qhttp
from qhttp import fs as fs_module
from qhttp.fs import FACTS_LIFETIME_S, N_FACTS, QHttpFileSystem, error_of
from qhttp.remote_file import TAIL, Window

DATA = bytes(range(100))
TAG = ("ETag", '"1"')
WANTS_USER = answer(401, b"", ("WWW-Authenticate", 'Basic realm="x"'))


class Ranged:
    """A file that may be changed at any time, of a server that honours a Range of one piece; its 416 has no validator."""

    def __init__(self, data, *fields):
        self.data, self.fields = data, fields

    def __call__(self, request):
        total, asked = len(self.data), request.get("range", "").removeprefix("bytes=")
        if request.method == "HEAD":
            return answer(200, b"", *self.fields, length=total)
        if not asked or "," in asked:
            return answer(200, self.data, *self.fields)
        first, last = asked.split("-")
        start = int(first) if first else max(total - int(last), 0)
        end = min(int(last) + 1, total) if first and last else total
        if start >= total:
            return answer(416, b"", ("Content-Range", f"bytes */{total}"))
        return answer(206, self.data[start:end], ("Content-Range", f"bytes {start}-{end - 1}/{total}"), *self.fields)


@pytest.fixture
def fs():
    return QHttpFileSystem(proxy=None, retries=0, skip_instance_cache=True)


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
    *(([("etag", empty), ("last-modified", "a")], [("etag", empty), ("last-modified", "b")]) for empty in ('""', "", "none")),
])
def test_window_of_another_version_is_an_error(fields, later):
    first = Window.of(part(DATA[:10], "0-9/100", fields=fields), 0, 10)
    assert Window.of(part(DATA[10:20], "10-19/100", fields=fields), 10, 20, first.version).version == first.version
    with pytest.raises(qhttp.BodyError):
        Window.of(part(DATA[10:20], "10-19/100", fields=later), 10, 20, first.version)


@pytest.mark.parametrize("tag", ['""', "none", None])
def test_file_system_key_changes_with_the_file_where_its_etag_says_nothing(tag):
    dates = ["Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT"]
    with Origin({"/a": Each(*(answer(200, b"x", ("Last-Modified", date), *([("ETag", tag)] if tag is not None else ()))
                              for date in dates))}) as origin:
        fs = QHttpFileSystem(proxy=None, retries=0, skip_instance_cache=True)
        first = fs.ukey(origin.url("/a"))
        fs.invalidate_cache()
        assert fs.ukey(origin.url("/a")) != first


class Slow(io.RawIOBase):
    """A raw file that takes so many bytes at a time, and no more than so many."""

    def __init__(self, n_at_once, n_most):
        self.n_at_once, self.n_most, self.data = n_at_once, n_most, b""

    def writable(self):
        return True

    def write(self, data):
        taken = bytes(data)[:min(self.n_at_once, self.n_most - len(self.data))]
        self.data += taken
        return len(taken)


def test_file_system_raw_file_that_takes_a_part_at_a_time_gets_all():
    with Origin({"/a": answer(200, DATA)}) as origin:
        file = Slow(7, len(DATA))
        QHttpFileSystem(proxy=None, retries=0, skip_instance_cache=True).get_file(origin.url("/a"), file)
    assert file.data == DATA


def test_file_system_raw_file_that_is_full_is_an_error():
    with Origin({"/a": answer(200, DATA)}) as origin, pytest.raises(OSError, match="took 0 of 10 bytes"):
        QHttpFileSystem(proxy=None, retries=0, skip_instance_cache=True).get_file(origin.url("/a"), Slow(30, len(DATA) - 10))


@pytest.mark.parametrize("link", ["../", "..", "./", ".", "%s/d/../", "%s/d/..", "%s/d/.", "%s/d/../evil", "%s/d/../../d"])
def test_file_system_link_with_dots_is_nothing_below_the_folder(link):
    with Origin({}) as origin:
        link = link.replace("%s", origin.url(""))
        page = f'<a href="{link}">up</a><a href="good">good</a>'.encode()
        origin.answers["/d/"] = answer(200, page, ("Content-Type", "text/html"))
        fs = QHttpFileSystem(proxy=None, retries=0, skip_instance_cache=True)
        assert fs.ls(origin.url("/d/"), detail=False) == [origin.url("/d/good")]


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


# -- beyond the end
@pytest.mark.parametrize("fields", [[TAG], []], ids=["etag", "no etag"])
def test_file_first_read_beyond_the_end_is_empty_and_later_reads_work(fs, fields):
    with Origin({"/a": Ranged(DATA, *fields)}) as origin, fs.open(origin.url("/a")) as file:
        file.seek(150)
        assert file.read(10) == b"" and file.tell() == 150
        file.seek(90)
        assert file.read(20) == DATA[90:] and file.size == 100
        file.seek(0)
        assert file.read() == DATA
        assert origin.asked("/a")[0].get("range") == "bytes=150-159"


@pytest.mark.parametrize("fields", [[TAG], []], ids=["etag", "no etag"])
def test_file_that_is_shorter_than_it_was_is_an_error_where_it_ended_meanwhile(fs, fields):
    with Origin({"/a": Ranged(DATA, *fields)}) as origin, fs.open(origin.url("/a"), block_size=1) as file:
        assert file.read(10) == DATA[:10]
        origin.answers["/a"].data = DATA[:50]
        file.seek(60)
        with pytest.raises(qhttp.BodyError, match="changed"):
            file.read(10)


# -- pieces
ENDS = (None, -200, -101, -100, -99, -9, -2, -1, 0, 1, 2, 5, 50, 95, 99, 100, 101, 200)


@pytest.mark.parametrize("n", [0, 1, 100])
def test_cat_file_is_a_slice_whatever_the_ends(fs, n):
    data = DATA[:n]
    with Origin({"/a": Ranged(data, TAG)}) as origin:
        pairs = list(itertools.product(ENDS, ENDS))
        got = {(start, end): fs.cat_file(origin.url("/a"), start, end) for start, end in pairs}
    assert got == {(start, end): data[start:end] for start, end in pairs}


@pytest.mark.parametrize("start, end", [(-9, -2), (5, -3), (-9, 95), (None, -100), (None, -1), (-200, -50), (-9, None)])
@pytest.mark.parametrize("n", [0, 4, 60, 180])
def test_cat_file_from_the_end_of_a_file_that_has_changed_is_of_the_new_one(fs, start, end, n):
    new = bytes(reversed(range(n)))
    with Origin({"/a": Ranged(DATA, TAG)}) as origin:
        assert fs.info(origin.url("/a"))["size"] == 100
        origin.answers["/a"] = Ranged(new, ("ETag", '"2"'))
        assert fs.cat_file(origin.url("/a"), start, end) == new[start:end]


def test_cat_ranges_of_a_server_that_is_not_there_are_errors_in_their_places(fs, closed_port):
    with Origin({"/a": Ranged(DATA)}) as origin:
        gone, there = f"http://{closed_port.host}:{closed_port.port}/a", origin.url("/a")
        got = fs.cat_ranges([gone, there, gone, there], [0, 5, 20, 50], [10, 8, 30, 60], on_error="return")
        assert got[1::2] == [DATA[5:8], DATA[50:60]]
        assert [type(piece) for piece in got[::2]] == [qhttp.ConnectError] * 2
        with pytest.raises(qhttp.ConnectError):
            fs.cat_ranges([gone, gone], [0, 20], [10, 30], on_error="raise")


# -- refusals
@pytest.mark.parametrize("ask", [
    lambda fs, url, _: fs.info(url), lambda fs, url, _: fs.cat_file(url), lambda fs, url, _: fs.cat_file(url, 2, 5),
    lambda fs, url, _: fs.cat_file(url, -5), lambda fs, url, _: fs.open(url).read(5), lambda fs, url, _: fs.ls(url),
    lambda fs, url, path: fs.get_file(url, path),
], ids=["info", "cat_file", "piece", "end", "open", "ls", "get_file"])
def test_file_system_without_a_user_is_not_permitted_what_wants_one(fs, tmp_path, ask):
    path = "/a/?token=SECRET"
    with Origin({path: WANTS_USER}) as origin, pytest.raises(PermissionError, match="/a/: the server answered 401") as caught:
        ask(fs, origin.url(path), tmp_path / "a")
    assert "SECRET" not in str(caught.value) and list(tmp_path.iterdir()) == []


def test_exists_is_false_of_what_wants_a_user(fs):
    with Origin({"/a": WANTS_USER, "/b": Ranged(DATA)}) as origin:
        assert [fs.exists(origin.url(path)) for path in ("/a", "/b")] == [False, True]


def test_cat_ranges_of_what_wants_a_user_are_errors_in_their_places(fs):
    with Origin({"/a": WANTS_USER, "/b": Ranged(DATA)}) as origin:
        wanted = [origin.url(path) for path in ("/a", "/b", "/a", "/b")]
        got = fs.cat_ranges(wanted, [0, 5, 20, 50], [10, 8, 30, 60])
    assert [type(piece) for piece in got[::2]] == [PermissionError] * 2
    assert got[1::2] == [DATA[5:8], DATA[50:60]]


@pytest.mark.parametrize("ask", ["info", "cat_file"])
def test_file_system_proxy_that_wants_a_user_does_not_permit(ask):
    with Origin({"http://files.invalid/a": answer(407, b"", ("Proxy-Authenticate", 'Basic realm="x"'))}) as proxy:
        fs = QHttpFileSystem(proxy=proxy.base, retries=0, skip_instance_cache=True)
        with pytest.raises(PermissionError, match="answered 407"):
            getattr(fs, ask)("http://files.invalid/a")


# -- texts
def test_ls_of_what_is_no_page_tells_no_query(fs):
    path = "/a/?token=SECRET"
    page = answer(200, b"x", ("Content-Type", "text/plain"))
    with Origin({path: page}) as origin, pytest.raises(FileNotFoundError, match="/a/ is no page with links") as caught:
        fs.ls(origin.url(path))
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("status, kind", [
    (404, FileNotFoundError), (410, FileNotFoundError), (401, PermissionError), (403, PermissionError), (407, PermissionError),
    (500, OSError),
])
def test_error_of_a_status_is_one_of_files_and_tells_nothing_secret(status, kind):
    error = error_of(status, "http://user:password@example.org:81/a?token=SECRET#b")
    assert type(error) is kind and str(error).startswith("http://example.org:81/a")
    assert not any(secret in str(error) for secret in ("user", "password", "SECRET"))


def test_info_of_a_file_that_is_sent_coded_has_no_size(fs):
    """It would be that of the coded bytes, and what is read is decoded."""
    coded = gzip.compress(DATA)
    with Origin({"/a": answer(200, coded, ("Content-Encoding", "gzip"), ("ETag", '"1"'))}) as origin:
        info = fs.info(origin.url("/a"))
        assert (info["size"], info["ETag"]) == (None, '"1"')
        assert fs.cat_file(origin.url("/a")) == DATA


# -- what is remembered
class Clock:
    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """What the file system takes for the time."""
    clock = Clock()
    monkeypatch.setattr(fs_module, "time", clock)
    return clock


def look_at(fs, url):
    with fs.open(url) as file:
        file.seek(-10, 2)
        return file.read()


def remembered(fs):
    return [len(fs._facts._found), len(fs._tails._found)]


def test_what_was_remembered_of_files_is_dropped_when_its_time_is_over(fs, clock):
    with Origin({f"/{n}": Ranged(DATA, TAG) for n in range(4)}) as origin:
        for n in range(3):
            fs.info(origin.url(f"/{n}"))
            look_at(fs, origin.url(f"/{n}"))
            clock.now += FACTS_LIFETIME_S / 3
        assert remembered(fs) == [3, 3]
        clock.now += FACTS_LIFETIME_S / 2
        fs.info(origin.url("/2"))
        look_at(fs, origin.url("/2"))
        assert len(origin.log) == 6 and remembered(fs) == [1, 1]
        clock.now += FACTS_LIFETIME_S
        fs.info(origin.url("/3"))
        look_at(fs, origin.url("/3"))
        assert remembered(fs) == [1, 1] and len(origin.asked("/3")) == 2


def test_what_is_asked_for_again_is_remembered_anew(fs, clock):
    with Origin({"/a": Ranged(DATA, TAG), "/b": Ranged(DATA, TAG)}) as origin:
        for _ in range(3):
            assert [look_at(fs, origin.url(path)) for path in ("/a", "/b", "/a")] == [DATA[-10:]] * 3
            clock.now += FACTS_LIFETIME_S
        assert origin.paths == ["/a", "/b"] * 3


def test_what_is_remembered_is_of_the_last_files_alone(fs):
    recent = fs._facts
    for n in range(N_FACTS + 10):
        recent.put(str(n), n)
    assert [recent.get(str(n)) for n in (0, 9, 10, N_FACTS + 9)] == [None, None, 10, N_FACTS + 9]
    recent.put("10", "new")
    recent.put("x", "y")
    assert [recent.get(key) for key in ("10", "11", "12")] == ["new", None, 12] and len(recent._found) == N_FACTS


def test_nothing_is_remembered_where_that_is_not_wanted():
    fs = QHttpFileSystem(proxy=None, retries=0, skip_instance_cache=True, facts_lifetime=0)
    with Origin({"/a": Ranged(DATA, TAG)}) as origin:
        assert fs.info(origin.url("/a"))["size"] == 100 and look_at(fs, origin.url("/a")) == DATA[-10:]
        assert remembered(fs) == [0, 0]


def test_end_of_a_file_that_comes_whole_instead_is_remembered_without_the_rest(fs):
    data = DATA * (2 * TAIL // 100)
    with Origin({"/a": answer(200, data, TAG)}) as origin:
        assert look_at(fs, origin.url("/a")) == data[-10:] and len(origin.log) == 1
        [(_, tail)] = fs._tails._found.values()
        assert (len(tail.data), len(tail.data.obj), tail.end, tail.total) == (TAIL, TAIL, len(data), len(data))
        assert look_at(fs, origin.url("/a")) == data[-10:] and len(origin.log) == 1
        with fs.open(origin.url("/a")) as file:
            assert file.size == len(data) and len(origin.log) == 1
            assert file.read() == data


@pytest.mark.parametrize("fields, later", [([TAG], [("ETag", '"2"')]), ([], [])], ids=["etag", "no etag"])
@pytest.mark.parametrize("n", [60, 100_000])
def test_file_that_has_changed_can_be_opened_again_at_once(fs, fields, later, n):
    old, new = DATA * 1000, bytes(reversed(DATA)) * 1000
    with Origin({"/a": Ranged(old, *fields)}) as origin:
        url = origin.url("/a")
        assert fs.info(url)["size"] == len(old) and look_at(fs, url) == old[-10:]
        origin.answers["/a"] = Ranged(new[:n] if later else new[:n - 1], *later)
        new = origin.answers["/a"].data
        with fs.open(url) as file:
            assert file.size == len(old)        # as remembered
            with pytest.raises(qhttp.BodyError, match="open it again"):
                file.read(10)
        with fs.open(url) as file:
            assert file.seek(0, 2) == len(new) and file.seek(0) == 0 and file.read() == new
        assert fs.info(url)["size"] == len(new)


# -- folders that another server lists
USER, PASSWORD = "ada", "xyzzy"
SECRETS = b"authorization", b"cookie", PASSWORD.encode(), b"hidden"
BOTH_SECRETS = [("Authorization", "Bearer hidden"), ("Cookie", "session=hidden")]


def page(*links):
    return answer(200, "".join(f'<a href="{link}">x</a>' for link in links).encode(), ("Content-Type", "text/html"))


def asks_for_user(body):
    """An answer to those who say who they are: others are asked."""
    return lambda request: answer(200, body) if request.get("authorization") else WANTS_USER


def secrets_in(origin):
    return [secret for request in origin.log for secret in SECRETS if secret in request.raw.lower()]


def leads_to(away, *paths):
    return {path: redirect(away.url("/m" + path)) for path in paths}


def test_ls_of_a_folder_that_another_server_lists_has_the_folders_own_names(fs):
    with Origin() as away, Origin() as home:
        away.answers["/m/f/?n=1"] = page("a", "sub/", "/m/f/b?c=d", away.url("/m/f/c"), "/m/other", "http://elsewhere.invalid/m/f/d")
        home.answers = dict.fromkeys(("/f/", "/f/?q=1"), redirect(away.url("/m/f/?n=1")))
        assert fs.ls(home.url("/f"), detail=False) == [home.url("/f/" + name) for name in ("a", "b", "c", "sub/")]
        assert fs.ls(home.url("/f/?q=1"), detail=False) == fs.ls(home.url("/f/"), detail=False)
        assert fs.glob(home.url("/f/[ab]")) == [home.url("/f/a"), home.url("/f/b")]


def test_ls_of_a_folder_that_its_own_server_lists_elsewhere_has_the_names_there(fs):
    with Origin({"/f/": redirect("/g/"), "/g/": page("a"), "/g/a": answer(200, DATA)}) as origin:
        assert fs.ls(origin.url("/f/"), detail=False) == [origin.url("/g/a")]
        assert fs.cat(fs.ls(origin.url("/f/"), detail=False)) == {origin.url("/g/a"): DATA}


def test_files_that_another_server_lists_come_without_what_is_for_the_first(tmp_path):
    fs = QHttpFileSystem(proxy=None, retries=0, skip_instance_cache=True, headers=BOTH_SECRETS)
    with Origin() as away, Origin() as home:
        away.answers = {"/m/f/": page("a", "sub/"), "/m/f/sub/": page("b"), "/m/f/a": answer(200, DATA),
                        "/m/f/sub/b": answer(200, DATA[:9])}
        home.answers = leads_to(away, "/f/", "/f/sub/", "/f/a", "/f/sub/b")
        assert [names for _, *names in fs.walk(home.url("/f/"))] == [[["sub"], ["a"]], [[], ["b"]]]
        assert fs.cat(fs.find(home.url("/f/"))) == {home.url("/f/a"): DATA, home.url("/f/sub/b"): DATA[:9]}
        fs.get(home.url("/f/"), str(tmp_path / "got"), recursive=True)
        with fs.open(fs.ls(home.url("/f/"), detail=False)[0]) as file:
            assert file.read() == DATA
        assert len(secrets_in(home)) == 3 * len(home.log) and secrets_in(away) == []
        assert {"/m/f/a", "/m/f/sub/b"} < set(away.paths)
    assert [path.read_bytes() for path in (tmp_path / "got" / "a", tmp_path / "got" / "sub" / "b")] == [DATA, DATA[:9]]


def test_files_that_another_server_lists_and_wants_a_user_for_are_not_permitted():
    fs = QHttpFileSystem(proxy=None, retries=0, skip_instance_cache=True, user=(USER, PASSWORD))
    with Origin({"/m/f/": page("a", "b"), "/m/f/a": asks_for_user(b"stolen")}) as away, Origin() as home:
        home.answers = {**leads_to(away, "/f/", "/f/a"), "/f/b": asks_for_user(b"home's own")}
        theirs, ours = fs.ls(home.url("/f/"), detail=False)
        with pytest.raises(PermissionError):
            fs.cat_file(theirs)
        assert fs.cat_file(ours) == b"home's own"
        assert "/m/f/a" in away.paths and secrets_in(away) == []


def test_files_of_a_folder_that_alone_leads_elsewhere_are_not_there():
    fs = QHttpFileSystem(proxy=None, retries=0, skip_instance_cache=True, headers=BOTH_SECRETS)
    with Origin({"/m/f/": page("a"), "/m/f/a": answer(200, DATA)}) as away, Origin() as home:
        home.answers = leads_to(away, "/f/")
        with pytest.raises(FileNotFoundError):
            fs.cat(fs.ls(home.url("/f/"), detail=False)[0])
        assert away.paths == ["/m/f/"] and secrets_in(away) == []


def test_files_of_a_folder_that_https_leads_to_http_for_are_asked_for_by_https():
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    fs = QHttpFileSystem(proxy=None, retries=0, skip_instance_cache=True, context=client, headers=BOTH_SECRETS)
    with Origin({"/m/f/": page("a"), "/m/f/a": answer(200, b"plain")}) as plain, Origin(tls=server) as home:
        home.answers = {**leads_to(plain, "/f/"), "/f/a": answer(200, DATA)}
        assert fs.cat(fs.ls(home.url("/f/"), detail=False)) == {home.url("/f/a"): DATA}
        assert plain.paths == ["/m/f/"] and secrets_in(plain) == []
