"""Redirects: where they lead, how many, and what goes along (RFC 9110 section 15.4)."""
import pytest
from bulk.downloads import LARGE, SMALL, body, both_paths, download, files_in, n_descriptors, names_in, one
from bulk.origin import Each, Origin, Versioned, answer, chunked, origins, redirect
from support.actions import Close, Send
from support.loops import turn_until

import qhttp


@both_paths
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_of_each_status_is_followed(status, n, tmp_path):
    with Origin({"/a": redirect("/b", status), "/b": answer(200, body(n))}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
        assert (transfer.url, transfer.url_effective, transfer.n_redirects) == (origin.url("/a"), origin.url("/b"), 1)
    assert transfer.status == 200 and transfer.n_retries == 0 and files_in(tmp_path) == {"a": body(n)}
    assert [request.method for request in origin.log] == ["GET", "GET"]


@pytest.mark.parametrize(
    "location, path",
    [
        ("/c", "/c"),
        ("c", "/x/c"),
        ("../c", "/c"),
        ("./c", "/x/c"),
        ("?q=1", "/x/a?q=1"),
        ("{base}/c", "/c"),
        ("//{place}/c", "/c"),
        ("/c#part", "/c"),
        ("/c/../d", "/d"),
        ("../../../c", "/c"),
        ("/caf\xe9", "/caf%E9"),
        ("/a%20b", "/a%20b"),
        ("{base}", "/"),
        ("{base}?z", "/?z"),
    ],
)
def test_redirect_location_is_resolved(location, path, tmp_path):
    with Origin() as origin:
        place = location.format(base=origin.base, place=f"{origin.host}:{origin.port}")
        origin.answers.update({"/x/a": redirect(place), path: answer(200, b"there")})
        transfer = one(origin.url("/x/a"), dir=tmp_path)
    assert transfer.error is None and origin.paths == ["/x/a", path] and list(files_in(tmp_path).values()) == [b"there"]


@pytest.mark.parametrize(
    "location",
    [
        "ftp://h/x",
        "file:///etc/passwd",
        "javascript:1",
        "data:,x",
        "mailto:a@b",
        "gopher://h/",
        "http:///x",
        "http://",
        "https:x",
        "http://h:99999/",
        "http://user:hidden@h/x",
        "http://a b/",
        "http://0x7f.1/",
        "http://[::1",
    ],
)
def test_redirect_to_what_is_no_place_is_an_error(location, tmp_path):
    with Origin({"/a": redirect(location)}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
    assert isinstance(transfer.error, (qhttp.RedirectError, qhttp.ProtocolError)) and "hidden" not in str(transfer.error)
    assert len(origin.log) == 1 and names_in(tmp_path) == [] and transfer.n_retries == 0


def test_redirect_with_a_control_character_is_no_answer(tmp_path):
    with Origin({"/a": redirect("/x\x01"), "/b": redirect("/b c")}) as origin:
        seen = download([origin.url("/a"), origin.url("/b")], dir=tmp_path, retries=1, max_redirects=2)
    assert len(seen.failed) == 2 and set(origin.paths) <= {"/a", "/b", "/b%20c"} and names_in(tmp_path) == []


def test_redirect_loop_ends_at_the_cap(tmp_path):
    with Origin({"/a": redirect("/b"), "/b": redirect("/a")}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, max_redirects=4)
    assert isinstance(transfer.error, qhttp.RedirectError) and "4" in str(transfer.error) and len(origin.log) == 5


@pytest.mark.parametrize("most, error", [(3, None), (2, "RedirectError"), (0, "RedirectError")])
def test_redirect_cap_is_exact(most, error, tmp_path):
    with Origin({"/a": redirect("/b"), "/b": redirect("/c"), "/c": redirect("/d"), "/d": answer(200, b"x")}) as origin:
        seen = download([origin.url("/a")], dir=tmp_path, max_redirects=most)
    assert seen.kinds == {"a": error} and len(origin.log) == most + 1


def test_redirect_cap_counts_over_retries(tmp_path):
    """A loop that fails now and then is no longer for it."""
    with Origin({"/a": redirect("/b"), "/b": Each(answer(503), redirect("/a"))}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, max_redirects=3, retries=2)
    assert isinstance(transfer.error, qhttp.RedirectError) and len(origin.log) <= 6


def test_redirect_without_location_is_an_error(tmp_path):
    with Origin({"/a": answer(302, b"nowhere"), "/b": answer(302, b"", ("Location", "")), "/c": answer(200, b"x")}) as origin:
        seen = download([origin.url("/a"), origin.url("/c")], dir=tmp_path)
        assert seen.kinds == {"a": "HTTPStatusError", "c": None} and seen.failed[0].error.status == 302


def test_redirect_with_an_empty_location_is_no_endless_loop(tmp_path):
    with Origin({"/b": answer(302, b"", ("Location", ""))}) as origin:
        transfer = one(origin.url("/b"), dir=tmp_path, max_redirects=3)
    assert isinstance(transfer.error, qhttp.QHttpError) and len(origin.log) <= 4


@pytest.mark.parametrize("second, error", [("/c", "RedirectError"), ("/b", None)])
def test_redirect_with_two_locations_is_an_error_unless_equal(second, error, tmp_path):
    with Origin(
        {"/a": redirect("/b", 302, ("Location", second)), "/b": answer(200, b"x"), "/c": answer(200, b"evil")}
    ) as origin:
        seen = download([origin.url("/a")], dir=tmp_path)
    assert seen.kinds == {"a": error} and len(origin.log) == (1 if error else 2)


@pytest.mark.parametrize("status", [300, 304, 305, 306, 309, 399])
def test_redirect_status_that_is_none_is_not_followed(status, tmp_path):
    with Origin({"/a": answer(status, b"" if status == 304 else b"x", ("Location", "/b"), length=-1 if status == 304 else None),
                 "/b": answer(200, b"evil")}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
    assert transfer.error.status == status and len(origin.log) == 1


def test_redirect_body_is_no_file(tmp_path):
    for number, page in enumerate(
        [
            redirect("/b", 302, body=b"moved"),
            chunked(b"moved" * 100, ("Location", "/b"), status=302),
            [redirect("/b", 302, body=b"m")[:-1].replace(b"Content-Length: 1\r\n", b"") + b"moved", Close()],
        ]
    ):
        with Origin({"/a": page, "/b": answer(200, b"file")}) as origin:
            one(origin.url("/a"), dir=tmp_path / str(number))
        assert files_in(tmp_path / str(number)) == {"a": b"file"}


def test_redirect_small_body_keeps_the_connection(tmp_path):
    with Origin({"/a": redirect("/b", body=b"moved" * 100), "/b": answer(200, b"file")}) as origin:
        one(origin.url("/a"), dir=tmp_path)
    assert len(origin.connections) == 1


@pytest.mark.parametrize("make", ["announced", "chunked", "closed"])
def test_redirect_huge_body_is_not_read(make, tmp_path):
    from support.actions import Repeat
    head = {"announced": redirect("/b", 302, body=b"")[:-2].replace(b"Length: 0", b"Length: 100000000") + b"\r\n",
            "chunked": redirect("/b", 302, ("Transfer-Encoding", "chunked")).replace(b"Content-Length: 0\r\n", b""),
            "closed": redirect("/b", 302).replace(b"Content-Length: 0\r\n", b"")}[make]
    unit = b"%x\r\n%b\r\n" % (1000, b"x" * 1000) if make == "chunked" else b"x" * 1000
    with Origin({"/a": [Send(head), Repeat(unit, 100_000)], "/b": answer(200, b"file")}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
        origin.wait_for(lambda: origin.connections[0].how_ended is not None)
        assert origin.connections[0].n_sent < 20 << 20       # of 100 MB; the rest is what sockets hold
    assert transfer.error is None and files_in(tmp_path) == {"a": b"file"}


def test_redirect_cut_body_does_not_matter(tmp_path):
    page = redirect("/b").replace(b"Length: 0", b"Length: 100") + b"moved"
    with Origin({"/a": [page, Close()], "/b": answer(200, b"file")}) as origin:
        seen = download([origin.url("/a")], dir=tmp_path)
    assert seen.kinds == {"a": None} and "retrying" not in seen.words and files_in(tmp_path) == {"a": b"file"}


# -- what goes along
SECRETS = [("Authorization", "hidden"), ("Cookie", "hidden=1"), ("Proxy-Authorization", "hidden")]


@pytest.mark.parametrize("where", ["settings", "row"])
@pytest.mark.parametrize("status", [301, 307])
def test_redirect_to_another_origin_leaves_secrets_behind(where, status, tmp_path):
    with origins({}, {"/b": answer(200, b"x")}) as (home, away):
        home.answers.update({"/a": redirect("/a2", status), "/a2": redirect(away.url("/b"), status)})
        given = [*SECRETS, ("X-Mine", "yes")]
        row = {"url": home.url("/a")}
        settings = {"headers": given} if where == "settings" else {}
        if where == "row":
            row["headers"] = given
        one(row, dir=tmp_path, **settings)
    assert all(request.raw.count(b"hidden") == 3 for request in home.log) and len(home.log) == 2
    assert len(away.log) == 1 and b"hidden" not in away.log[0].raw and away.log[0].get("x-mine") == "yes"


def test_redirect_host_is_that_of_the_new_origin(tmp_path):
    with origins({}, {"/b": answer(200, b"x")}) as (home, away):
        home.answers["/a"] = redirect(away.url("/b"))
        one({"url": home.url("/a"), "headers": [("Host", "virtual.test")]}, dir=tmp_path)
    assert home.log[0].all("host") == ["virtual.test"] and away.log[0].all("host") == [f"{away.host}:{away.port}"]


def test_redirect_to_another_port_is_another_origin_for_the_user(tmp_path):
    challenge = answer(401, b"", ("WWW-Authenticate", 'Basic realm="r"'))
    with origins({}, {"/b": challenge}) as (home, away):
        home.answers["/a"] = lambda request: redirect(away.url("/b")) if request.get("authorization") else challenge
        transfer = one(home.url("/a"), dir=tmp_path, user=("me", "hidden"))
    assert isinstance(transfer.error, qhttp.QHttpError)
    assert [request.get("authorization") for request in away.log] == [None]
    assert [bool(request.get("authorization")) for request in home.log] == [False, True]


def test_redirect_to_https_and_back_needs_no_secret(tmp_path):
    """From a host name to its address: another host, though it is the same server."""
    with Origin({"/b": answer(200, b"x")}) as origin:
        origin.answers["/a"] = redirect(f"http://localhost:{origin.port}/b")
        one({"url": origin.url("/a"), "headers": SECRETS}, dir=tmp_path)
    assert b"hidden" not in origin.asked("/b")[0].raw and origin.asked("/b")[0].get("host") == f"localhost:{origin.port}"


def test_redirect_within_the_origin_keeps_what_was_given(tmp_path):
    with Origin({"/a": redirect("/b"), "/b": answer(200, b"x")}) as origin:
        one({"url": origin.url("/a"), "headers": SECRETS}, dir=tmp_path)
    assert origin.asked("/b")[0].raw.count(b"hidden") == 3


def test_redirect_does_not_send_a_referer(tmp_path):
    with Origin({"/a?token=hidden": redirect("/b"), "/b": answer(200, b"x")}) as origin:
        one(origin.url("/a?token=hidden"), dir=tmp_path)
    assert b"hidden" not in origin.asked("/b")[0].raw


# -- with other things
def test_redirect_then_a_retry_begins_where_it_led(tmp_path):
    with Origin({"/a": redirect("/b"), "/b": Each(answer(503), answer(200, b"x"))}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
    assert transfer.error is None and origin.paths[:2] == ["/a", "/b"] and origin.paths[-1] == "/b"


def test_redirect_of_a_part_is_continued_where_it_led(tmp_path):
    data = body(LARGE * 2)
    with Origin({"/a": redirect("/b"), "/b": Versioned(data, cuts=[LARGE + 50_000])}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
    assert transfer.error is None and files_in(tmp_path) == {"a": data} and transfer.n_resumed > 0
    assert sum(origin.answers["/b"].n_sent) < LARGE * 3


def test_redirect_of_a_continued_request_is_followed_with_its_range(tmp_path):
    data = body(LARGE * 2)
    versioned = Versioned(data, cuts=[LARGE + 50_000])
    with Origin(
        {"/a": lambda request: redirect("/b") if request.get("range") else versioned(request), "/b": versioned}
    ) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
    assert transfer.error is None and files_in(tmp_path) == {"a": data}
    assert origin.asked("/b")[0].get("range") is not None


def test_redirect_to_a_place_that_is_gone_is_that_error(tmp_path):
    with Origin({"/a": redirect("/b")}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
        assert transfer.error.status == 404 and transfer.url_effective == origin.url("/b")


def test_redirect_of_head_stays_head(tmp_path):
    for status in (301, 302, 303, 307, 308):
        with Origin({"/a": redirect("/b", status), "/b": answer(200, b"", length=5)}) as origin:
            one(origin.url("/a"), dir=tmp_path, method="HEAD")
        assert [request.method for request in origin.log] == ["HEAD", "HEAD"]


def test_redirect_of_many_from_one_host_to_another(tmp_path):
    names = [str(number) for number in range(40)]
    with origins({}, {f"/f{name}": answer(200, b"of " + name.encode()) for name in names}) as (home, away):
        home.answers.update({f"/{name}": redirect(away.url(f"/f{name}")) for name in names})
        before = n_descriptors()
        seen = download([home.url(f"/{name}") for name in names], dir=tmp_path, per_host=3)
        home.wait_for(lambda: all(connection.how_ended for server in (home, away) for connection in server.connections))
        turn_until(lambda: n_descriptors() == before)
    assert len(seen.finished) == 40 and files_in(tmp_path) == {name: b"of " + name.encode() for name in names}
    assert len(home.connections) <= 3 and len(away.connections) <= 3


def test_redirect_name_is_that_of_the_url_that_was_asked_for(tmp_path):
    with Origin({"/a.bin": redirect("/evil.sh"), "/evil.sh": answer(200, body(SMALL))}) as origin:
        one(origin.url("/a.bin"), dir=tmp_path)
    assert names_in(tmp_path) == ["a.bin"]
