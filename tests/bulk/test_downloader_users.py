"""Users, netrc and cookies: who is asked for them gets them, and nobody else does."""
import http.cookiejar
import os

import pytest
from bulk.downloads import LARGE, body, download, files_in, names_in, one
from bulk.origin import Each, Origin, answer, origins, redirect
from support.credentials import PASSWORD, USER, WRONG_PASSWORD, basic, digest, is_right_digest

import qhttp

WHO = answer(401, b"who are you?", ("WWW-Authenticate", 'Basic realm="a realm"'))


def guarded(data=b"secret file", wanted=None):
    """Lets those in who have the right Basic credentials."""
    def page(request):
        return answer(200, data) if request.get("authorization") == (wanted or basic()) else WHO
    return page


def digest_guarded(data=b"secret file", nonces=None):
    """Wants Digest; `nonces`: an iterator, a new one for each request that is let in."""
    state = {"nonce": b"n0"}

    def page(request):
        given = request.get("authorization") or ""
        if given.startswith("Digest ") and state["nonce"].decode() in given and is_right_digest(request.raw):
            if nonces is not None:
                state["nonce"] = next(nonces)
            return answer(200, data)
        stale = (b"stale=true",) if given else ()
        return answer(401, b"who?", ("WWW-Authenticate", digest(state["nonce"], *stale).decode()))
    return page


# -- user
@pytest.mark.parametrize("n", [1000, LARGE])
def test_user_is_told_where_it_is_asked_for(n, tmp_path):
    with Origin({"/a": guarded(body(n)), "/open": answer(200, b"open")}) as origin:
        seen = download([origin.url("/open"), origin.url("/a")], dir=tmp_path, user=(USER, PASSWORD), jobs=1)
        assert [request.get("authorization") for request in origin.log] == [None, None, basic()]
        assert len(origin.connections) == 1
    assert not seen.failed and files_in(tmp_path)["a"] == body(n) and seen.finished[1].n_retries == 0


@pytest.mark.parametrize("connection_scheme", ["Negotiate", "NTLM"])
def test_user_is_told_by_basic_where_a_scheme_of_connections_is_offered_too(connection_scheme, tmp_path):
    def page(request):
        offered = [("WWW-Authenticate", value) for value in (connection_scheme, 'Basic realm="r"')]
        return answer(200, b"x") if request.get("authorization") == basic() else answer(401, b"who?", *offered)

    with Origin({"/a": page, "/b": page}) as origin:
        seen = download([origin.url("/a"), origin.url("/b")], dir=tmp_path, user=(USER, PASSWORD), jobs=1)
        assert [request.get("authorization") for request in origin.log] == [None, basic(), basic()]
    assert not seen.failed


def test_user_is_told_unasked_once_it_is_known(tmp_path):
    with Origin({f"/{number}": guarded() for number in range(10)}) as origin:
        download([origin.url(path) for path in origin.answers], dir=tmp_path, user=(USER, PASSWORD), jobs=1)
        assert [request.get("authorization") for request in origin.log] == [None, *[basic()] * 10]


@pytest.mark.parametrize("jobs", [1, 8])
def test_user_of_many_at_once(jobs, tmp_path):
    with Origin({f"/{number}": guarded(b"%d" % number) for number in range(60)}) as origin:
        seen = download([origin.url(path) for path in origin.answers], dir=tmp_path, user=(USER, PASSWORD), per_host=jobs)
    assert not seen.failed and files_in(tmp_path) == {str(number): b"%d" % number for number in range(60)}


def test_user_that_is_wrong_is_an_error_without_a_further_try(tmp_path):
    with Origin({"/a": guarded(), "/b": guarded(), "/open": answer(200, b"open")}) as origin:
        seen = download(
            [origin.url("/a"), origin.url("/b"), origin.url("/open")], dir=tmp_path, user=(USER, WRONG_PASSWORD), jobs=1
        )
        assert len(origin.log) <= 5
    assert seen.kinds == {"a": "AuthenticationRequired", "b": "AuthenticationRequired", "open": None} and names_in(
        tmp_path
    ) == ["open"]
    assert all(WRONG_PASSWORD not in str(transfer.error) and transfer.status == 401 for transfer in seen.failed)


def test_user_none_is_an_error(tmp_path):
    with Origin({"/a": guarded()}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
    assert (
        isinstance(transfer.error, qhttp.QHttpError)
        and type(transfer.error).__name__ == "AuthenticationRequired"
        and len(origin.log) == 1
    )


def test_user_by_digest(tmp_path):
    with Origin({f"/{number}": digest_guarded(b"%d" % number) for number in range(12)}) as origin:
        seen = download([origin.url(path) for path in origin.answers], dir=tmp_path, user=(USER, PASSWORD), per_host=2)
    assert not seen.failed and len(files_in(tmp_path)) == 12


def test_user_by_digest_with_a_new_nonce_each_time(tmp_path):
    page = digest_guarded(nonces=iter([b"nonce%d" % number for number in range(100)]))
    with Origin({f"/{number}": page for number in range(20)}) as origin:
        seen = download([origin.url(path) for path in origin.answers], dir=tmp_path, user=(USER, PASSWORD), jobs=1)
    assert not seen.failed and len(files_in(tmp_path)) == 20


def test_user_of_another_realm_or_scheme_is_refused(tmp_path):
    with Origin({"/a": answer(401, b"", ("WWW-Authenticate", "Mystery x=y"))}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, user=(USER, PASSWORD))
    assert type(transfer.error).__name__ == "AuthenticationRequired" and len(origin.log) == 1


def test_user_after_a_redirect_within_the_origin(tmp_path):
    with Origin({"/a": redirect("/b"), "/b": guarded()}) as origin:
        assert one(origin.url("/a"), dir=tmp_path, user=(USER, PASSWORD)).error is None


def test_user_of_the_row_in_its_own_field_goes_first(tmp_path):
    own = "Basic b3duOm93bg=="
    with Origin({"/a": guarded(wanted=own)}) as origin:
        transfer = one({"url": origin.url("/a"), "headers": [("Authorization", own)]}, dir=tmp_path)
    assert transfer.error is None and origin.log[0].all("authorization") == [own]


def test_user_large_page_of_a_challenge_is_not_read(tmp_path):
    page = guarded()
    huge = answer(401, b"x" * 200_000, ("WWW-Authenticate", 'Basic realm="r"'))
    with Origin({"/a": lambda request: page(request) if request.get("authorization") else huge}) as origin:
        assert one(origin.url("/a"), dir=tmp_path, user=(USER, PASSWORD)).error is None


# -- netrc
@pytest.fixture
def netrc(tmp_path):
    def write(text):
        path = tmp_path / "netrc"
        path.write_text(text)
        path.chmod(0o600)
        return str(path)
    return write


def test_netrc_login_goes_to_its_host(netrc, tmp_path):
    with Origin({"/a": guarded(wanted=basic("franz", "pw"))}) as origin:
        url = origin.url("/a")
        there, other = netrc("machine 127.0.0.1 login franz password pw\n"), None
        assert one(url, dir=tmp_path / "1", netrc=there).error is None
        other = netrc("machine elsewhere.test login franz password pw\n")
        assert one(url, dir=tmp_path / "2", netrc=other).error is not None
        assert one(url, dir=tmp_path / "3").error is not None


def test_netrc_login_of_the_place_that_is_led_to(netrc, tmp_path):
    with Origin({"/b": guarded(wanted=basic("franz", "pw"))}) as origin:
        origin.answers["/a"] = redirect(f"http://localhost:{origin.port}/b")
        assert one(origin.url("/a"), dir=tmp_path, netrc=netrc("machine localhost login franz password pw\n")).error is None


def test_netrc_of_the_user_that_others_may_read_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_text("machine h login a password hidden\n")
    (tmp_path / ".netrc").chmod(0o644)
    with pytest.raises(ValueError, match="netrc") as refusal:
        download(["http://127.0.0.1:1/"], dir=tmp_path / "x", netrc=True, retries=0)
    assert "hidden" not in str(refusal.value)


def test_netrc_that_cannot_be_read_any_more_costs_nobody_else_anything(netrc, tmp_path):
    def gone(request):
        os.unlink(path)
        return answer(200, b"open")

    path = netrc("machine elsewhere.test login franz password pw\n")
    with Origin({"/open": gone, "/other": answer(200, b"open"), "/a": guarded()}) as origin:
        seen = download([origin.url("/open"), origin.url("/other"), origin.url("/a")], dir=tmp_path, netrc=path, jobs=1)
    assert seen.kinds == {"open": None, "other": None, "a": "AuthenticationRequired"}


# -- cookies
def test_cookies_go_by_the_url_that_is_asked_for_however_it_was_written(tmp_path):
    pages = {f"/{path}": answer(200, b"x") for path in ("private/1", "private/2")}
    pages["/in"] = answer(200, b"x", ("Set-Cookie", "in=1; Path=/in"), ("Set-Cookie", "private=1; Path=/private"))
    with Origin(pages) as origin:
        rows = [origin.url("/in"), origin.url("/in/../private/1"), origin.url("/private/./2").replace("http", "HTTP", 1)]
        download(rows, dir=tmp_path, cookies=True, jobs=1)
        assert [request.get("cookie") for request in origin.log] == [None, "private=1", "private=1"]


def test_cookies_that_are_set_come_back(tmp_path):
    with Origin({"/a": answer(200, b"x", ("Set-Cookie", "k=v; Path=/")), "/b": answer(200, b"x")}) as origin:
        download([origin.url("/a"), origin.url("/b")], dir=tmp_path, cookies=True, jobs=1)
        assert [request.get("cookie") for request in origin.log] == [None, "k=v"]
        origin.log.clear()
        download([origin.url("/a"), origin.url("/b")], dir=tmp_path / "2", jobs=1)
        assert [request.get("cookie") for request in origin.log] == [None, None]


def test_cookies_of_a_redirect_and_of_an_error_count(tmp_path):
    with Origin(
        {
            "/a": redirect("/b", 302, ("Set-Cookie", "one=1; Path=/")),
            "/b": Each(answer(503, b"", ("Set-Cookie", "two=2; Path=/")), answer(200, b"x")),
        }
    ) as origin:
        assert one(origin.url("/a"), dir=tmp_path, cookies=True).error is None
        assert [request.get("cookie") for request in origin.log] == [None, "one=1", "one=1; two=2"]


def test_cookies_stay_with_their_host(tmp_path):
    with origins({}, {"/b": answer(200, b"x")}) as (home, _), Origin({"/c": answer(200, b"x")}) as away:
        home.answers["/a"] = redirect(f"http://localhost:{away.port}/c", 302, ("Set-Cookie", "k=v; Path=/"))
        one(home.url("/a"), dir=tmp_path, cookies=True)
        assert away.log[0].get("cookie") is None


def test_cookies_of_a_file_and_of_a_jar(tmp_path):
    (tmp_path / "cookies").write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tk\tv\n")
    jar = http.cookiejar.CookieJar()
    with Origin({"/a": answer(200, b"x", ("Set-Cookie", "new=1; Path=/"))}) as origin:
        one(origin.url("/a"), dir=tmp_path / "1", cookies=str(tmp_path / "cookies"))
        one(origin.url("/a"), dir=tmp_path / "2", cookies=jar)
        one(origin.url("/a"), dir=tmp_path / "3", cookies=jar)
        assert [request.get("cookie") for request in origin.log] == ["k=v", None, "new=1"]
    assert [cookie.name for cookie in jar] == ["new"]


@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "a\nb", "a\0b", "a\x7f", "\u0100"], ids=ascii)
def test_cookie_of_a_jar_that_is_no_field_value_is_not_sent(value, tmp_path):
    jar = http.cookiejar.CookieJar()
    jar.set_cookie(http.cookiejar.Cookie(
        0, "k", value, None, False, "127.0.0.1", False, False, "/", True, False, None, True, None, None, {}))
    with Origin({"/a": answer(200, b"x")}) as origin:
        error = one(origin.url("/a"), dir=tmp_path, cookies=jar).error
    assert isinstance(error, qhttp.RequestError) and "Cookie" in str(error) and origin.log == []


def test_cookies_with_pipelining(tmp_path):
    pages = {f"/{number}": answer(200, b"x", ("Set-Cookie", f"k{number}=v; Path=/")) for number in range(20)}
    with Origin(pages) as origin:
        seen = download([origin.url(path) for path in pages], dir=tmp_path, cookies=True, pipelining=4, per_host=1)
    assert len(seen.finished) == 20 and "k0=v" in origin.log[-1].get("cookie")
