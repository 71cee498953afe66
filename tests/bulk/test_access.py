"""access: logins from netrc files, proxies for origins, cookies; and that no message shows what is secret in them."""
import http.cookiejar
import subprocess
import sys
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qhttp.bulk.access import (
    COOKIE_LEN_CAP,
    COOKIES_CAP,
    DOMAIN_COOKIES_CAP,
    NETRCS_CAP,
    SET_COOKIE_LEN_CAP,
    CookieStore,
    ProxyChoice,
    netrc_login,
)
from qhttp.errors import FileError

SECRET = "s3cret"
NETRC = """# comment
machine example.com login joe password s3cret
machine UPPER.example
    login up
    password "with \\"blank"
machine nothing.example
machine user.example login only
default login anyone password any
"""


def file_of(tmp_path, text, name="file", mode=0o600):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return str(path)


def shows(error, secret=SECRET):
    """Whether a secret is in an exception, or in one that it carries."""
    while error is not None:
        if secret in repr(error) + str(vars(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


# -- netrc
@pytest.mark.parametrize("host, expected", [
    ("example.com", ("joe", SECRET)), ("upper.example", ("up", 'with "blank')), ("nothing.example", None),
    ("user.example", ("only", "")),
    ("sub.example.com", ("anyone", "any")), ("other", ("anyone", "any")), ("default", ("anyone", "any")),
    ("", ("anyone", "any")),
])
def test_netrc_login_is_the_hosts_own_or_the_default(tmp_path, host, expected):
    assert netrc_login(file_of(tmp_path, NETRC), host) == expected


def test_netrc_login_without_an_entry_is_none(tmp_path):
    assert netrc_login(file_of(tmp_path, "machine a login b password c\n"), "b") is None
    assert netrc_login(file_of(tmp_path, ""), "b") is None


@pytest.mark.parametrize("text, line", [
    ("machine h login joe password s3cret s3cret2\n", "line 2"),
    ("\n\nmachine h password my s3cret\nmachine i login x\n", "line 4"),
    ("s3cret\n", "line 2"), ("machine", "line 1"), ("macdef x\ns3cret", "line 2"),
    (b"machine h password s3cret\xff\xfe\n", "encoding"),
    (b"machine h password \xff", None),
])
def test_netrc_file_that_is_broken_is_named_with_its_line_and_no_secret(tmp_path, text, line):
    path = file_of(tmp_path, text, "my.netrc")
    try:
        found = netrc_login(path, "h")
    except ValueError as error:
        assert path in str(error) and (line is None or line in str(error)) and not shows(error)
    else:
        assert isinstance(text, bytes) and found is not None       # where the system's encoding takes any byte


def test_netrc_file_that_is_not_there_is_refused_where_it_was_named(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"none.*No such file"):
        netrc_login(tmp_path / "none", "h")
    with pytest.raises(ValueError, match="Is a directory"):
        netrc_login(tmp_path, "h")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert netrc_login(None, "h") is None


def test_netrc_default_file_must_be_its_users_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = file_of(tmp_path, NETRC, ".netrc")
    assert netrc_login(None, "example.com") == ("joe", SECRET)
    (tmp_path / ".netrc").chmod(0o644)
    with pytest.raises(ValueError, match=r"~/\.netrc .*chmod 600") as caught:
        netrc_login(None, "example.com")
    assert not shows(caught.value)
    assert netrc_login(path, "example.com") == ("joe", SECRET)      # named: the user knows


def test_netrc_file_is_read_once_and_again_when_it_changes(tmp_path, monkeypatch):
    import netrc
    n_reads = []
    real = netrc.netrc
    monkeypatch.setattr(netrc, "netrc", lambda *names: n_reads.append(1) or real(*names))
    path = file_of(tmp_path, "machine a login one password x\n")
    assert [netrc_login(path, "a") for _ in range(3)] == [("one", "x")] * 3
    assert len(n_reads) == 1
    file_of(tmp_path, "machine a login another password x\n")
    assert netrc_login(path, "a") == ("another", "x") and len(n_reads) == 2
    for n in range(NETRCS_CAP + 1):
        netrc_login(file_of(tmp_path, "", f"other{n}"), "a")
    assert netrc_login(path, "a") == ("another", "x")


# -- proxies
@pytest.fixture
def environment(monkeypatch):
    """Sets the variables, and no others that matter."""
    def set_variables(**variables):
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
    set_variables()
    return set_variables


@pytest.mark.parametrize("setting, expected", [
    ("http://p:3128", ("http", "p", 3128, "", "")), ("HTTP://P", ("http", "p", 80, "", "")),
    ("p:8080", ("http", "p", 8080, "", "")),
    ("p", ("http", "p", 80, "", "")), ("http://p:1/", ("http", "p", 1, "", "")), ("socks5://p", ("socks5", "p", 1080, "", "")),
    ("socks5h://p:1", ("socks5", "p", 1, "", "")), ("http://[::1]:8", ("http", "::1", 8, "", "")),
    ("[::1]:8", ("http", "::1", 8, "", "")),
    ("http://joe:s3cret@p:1", ("http", "p", 1, "joe", "s3cret")), ("joe:s3cret@p:1", ("http", "p", 1, "joe", "s3cret")),
    ("http://joe@p", ("http", "p", 80, "joe", "")), ("http://:x@p", ("http", "p", 80, "", "x")),
    ("http://a:b:c@p", ("http", "p", 80, "a", "b:c")),
    ("http://a%40b:c%2F%3a%25@p", ("http", "p", 80, "a@b", "c/:%")), ("http://a@b:c@p", ("http", "p", 80, "a@b", "c")),
    ("http://%C3%A9:\xe9@p", ("http", "p", 80, "\xe9", "\xe9")),
    ("http://b\xfccher.example", ("http", "xn--bcher-kva.example", 80, "", "")),
])
def test_proxy_url_is_for_all_origins(environment, setting, expected):
    environment(no_proxy="*", http_proxy="other")
    choice = ProxyChoice(setting)
    assert choice.for_origin("http", "h", 80) == choice.for_origin("https", "127.0.0.1", 443) == expected
    environment(all_proxy=setting)
    assert ProxyChoice().for_origin("http", "h", 80) == expected


@pytest.mark.parametrize("setting", [
    "", "://", "http://", "http://:80", "ftp://p", "https://p", "socks4://p", "socks://p", "http://p:0", "http://p:x",
    "http://p:s3cret",
    "http://joe:s3/cret@p", "http://joe:s3#cret@p", "http://joe:s3?cret@p", "http://joe:s3 cret@p", "http://p/path?s3cret",
    "http://p//",
    "http://joe:s3cret@", "http://joe:s3cret@p:99999", "http://joe:s3cret@a!b", "http://joe:s3cret%ff@p",
    "http://p\r\nX: s3cret", "http://p\0",
    "joe:s3cret", "http://s3cret!", "http://127.1:80", "http://::1", "http://joe:s3cret@[::1", "http://joe:s3cret\ud800@p", "s3cret://p",
])
def test_proxy_url_that_is_faulty_is_refused_and_not_shown(environment, setting):
    with pytest.raises(ValueError, match=r"^proxy ") as caught:
        ProxyChoice(setting)
    assert not shows(caught.value) and "cret" not in str(caught.value)


def test_proxy_variable_that_is_faulty_is_named_and_not_shown(environment):
    environment(HTTPS_PROXY="http://joe:s3cret@p:x")
    with pytest.raises(ValueError, match=r"^HTTPS_PROXY ") as caught:
        ProxyChoice("environment")
    assert not shows(caught.value)


@pytest.mark.parametrize("setting", [True, 1, b"http://p", ("http", "p")])
def test_proxy_setting_of_another_type_is_a_type_error(setting):
    with pytest.raises(TypeError, match="proxy"):
        ProxyChoice(setting)


def test_proxy_none_is_direct_whatever_the_environment_says(environment):
    environment(all_proxy="http://p:1")
    assert ProxyChoice(None).for_origin("http", "h", 80) is None
    assert (ProxyChoice(None).is_any, ProxyChoice().is_any, ProxyChoice("p").is_any) == (False, True, True)
    environment()
    assert not ProxyChoice().is_any


@pytest.mark.parametrize("variables, for_http, for_https", [
    ({}, None, None), ({"http_proxy": "a"}, "a", None), ({"https_proxy": "a"}, None, "a"), ({"all_proxy": "a"}, "a", "a"),
    ({"http_proxy": "a", "https_proxy": "b", "all_proxy": "c"}, "a", "b"), ({"HTTP_PROXY": "a"}, "a", None),
    ({"HTTPS_PROXY": "a"}, None, "a"),
    ({"ALL_PROXY": "a"}, "a", "a"), ({"http_proxy": "a", "HTTP_PROXY": "b"}, "a", None),
    ({"http_proxy": "", "HTTP_PROXY": "b"}, None, None),
    ({"http_proxy": "", "all_proxy": "c"}, None, "c"), ({"all_proxy": "", "ALL_PROXY": "c"}, None, None),
    ({"http_proxy": " a "}, "a", None),
    # a client's Proxy field in a CGI program
    ({"HTTP_PROXY": "a", "REQUEST_METHOD": "GET"}, None, None),
    ({"HTTP_PROXY": "a", "REQUEST_METHOD": "", "all_proxy": "b"}, "b", "b"),
    ({"http_proxy": "a", "REQUEST_METHOD": "GET"}, "a", None), ({"HTTPS_PROXY": "a", "REQUEST_METHOD": "GET"}, None, "a"),
    # one that is not used is not looked at
    ({"http_proxy": "a", "https_proxy": "b", "all_proxy": "socks://x"}, "a", "b"), ({"ftp_proxy": "a"}, None, None),
])
def test_proxy_environment_is_read_by_its_rules(environment, variables, for_http, for_https):
    environment(**variables)
    choice = ProxyChoice()
    environment(all_proxy="later")
    for scheme, host in (("http", for_http), ("https", for_https)):
        assert choice.for_origin(scheme, "h", 80) == (host and ("http", host, 80, "", ""))


@pytest.mark.parametrize("no_proxy, direct, through", [
    ("", [], ["h", "127.0.0.1", "localhost"]), ("*", ["h", "127.0.0.1", "::1", "a.b"], []), (" , ,", [], ["h"]),
    ("x,*", ["h"], []),
    ("example.com", ["example.com", "a.example.com", "a.b.example.com", "example.com."],
    ["notexample.com", "example.com.evil", "com", "example.org"]),
    (".example.com", ["example.com", "a.example.com"], ["notexample.com"]), ("*.example.com", ["a.example.com"],
    ["notexample.com"]),
    ("EXAMPLE.com.", ["example.com"], []), ("a, b c", ["a", "b", "c"], ["d"]), ("localhost", ["localhost", "x.localhost"],
    ["127.0.0.1"]),
    ("com", ["example.com"], ["example.org"]), ("b\xfccher.example", ["xn--bcher-kva.example"], []), ("host1", ["host1"],
    ["host2"]),
    ("h:80", ["h"], []), ("h:81", [], ["h"]), ("h:81,h:80", ["h"], []), ("h:", ["h"], []), (".h:80", ["x.h"], []),
    ("*:80", ["h"], []),
    ("*:81", [], ["h"]), ("127.0.0.1", ["127.0.0.1"], ["127.0.0.2", "1"]), ("127.0.0.1:80", ["127.0.0.1"], []),
    ("127.0.0.1:81", [], ["127.0.0.1"]),
    ("10.0.0.0/8", ["10.0.0.0", "10.255.1.2"], ["11.0.0.1", "h", "10.example", "::1"]), ("10.1.2.3/8", ["10.9.9.9"], []),
    ("0.0.0.0/0", ["1.2.3.4"], ["h"]),
    ("10.0.0.0/8:80", ["10.1.1.1"], ["11.1.1.1"]), ("10.0.0.0/8:81", [], ["10.1.1.1"]),
    ("::1", ["::1"], ["::2"]), ("[::1]", ["::1"], []), ("[::1]:80", ["::1"], []), ("[::1]:81", [], ["::1"]),
    ("0:0:0:0:0:0:0:1", ["::1"], []),
    ("fd00::/8", ["fd12::1"], ["fe80::1", "10.0.0.1"]), ("[fd00::]/8", [], ["fe80::1"]),
    # what is none of these matches nothing, and harms nothing
    ("10.0.0.0/33,10.0.0/8/8,a!b,h:x,127.1,[,:,.,:80,/,%,\xff/8,1::2::3,300.1.1.1,ok", ["ok"],
    ["h", "10.0.0.1", "127.0.0.1", "a.b"]),
])
def test_proxy_exceptions_are_matched(environment, no_proxy, direct, through):
    environment(all_proxy="p", no_proxy=no_proxy)
    choice = ProxyChoice()
    assert [host for host in direct if choice.for_origin("http", host, 80) is not None] == []
    assert [host for host in through if choice.for_origin("http", host, 80) is None] == []


def test_proxy_exceptions_lower_case_wins(environment):
    environment(all_proxy="p", no_proxy="a", NO_PROXY="b")
    assert ProxyChoice().for_origin("http", "a", 80) is None and ProxyChoice().for_origin("http", "b", 80)
    environment(all_proxy="p", NO_PROXY="b")
    assert ProxyChoice().for_origin("http", "b", 80) is None


# -- cookies
def stored(url, *values, store=None):
    store = CookieStore() if store is None else store
    store.store(url, [("Content-Type", "x"), *[("set-COOKIE", value) for value in values]])
    return store


@pytest.mark.parametrize("url, value, asked, expected", [
    ("http://h.example/", "a=b", "http://h.example/x?y", "a=b"), ("http://h.example/", "a=b", "https://h.example:444/", "a=b"),
    ("http://h.example/", "a=b", "http://sub.h.example/", None), ("http://h.example/", "a=b", "http://other.example/", None),
    ("http://a.h.example/", "a=b; Domain=h.example", "http://b.h.example/", "a=b"),
    ("http://h.example/", "a=b; Domain=.h.example", "http://h.example/", "a=b"),
    ("http://a.h.example/", "a=b; Domain=h.example", "http://bh.example/", None),
    ("http://h.example/", "a=b; Domain=other.example", "http://other.example/", None),
    ("http://h.example/", "a=b; Domain=example", "http://other.example/", None),
    ("http://h.co.uk/", "a=b; Domain=co.uk", "http://i.co.uk/", None),
    ("http://h.co.uk/", "a=b; Domain=h.co.uk", "http://x.h.co.uk/", "a=b"),
    ("http://h.example/", "a=b; Domain=sub.h.example", "http://sub.h.example/", None),
    ("http://10.0.0.1/", "a=b", "http://10.0.0.1/", "a=b"), ("http://10.0.0.1/", "a=b; Domain=0.0.1", "http://20.0.0.1/", None),
    ("http://10.0.0.1/", "a=b; Domain=10.0.0.1", "http://10.0.0.1:8/", "a=b"),
    ("http://[::1]:8/", "a=b", "http://[::1]/", "a=b"),
    ("http://localhost:8/", "a=b", "http://localhost/", "a=b"),
    ("http://h.example/", "a=b; Path=/x", "http://h.example/x/y", "a=b"),
    ("http://h.example/", "a=b; Path=/x", "http://h.example/xy", None),
    ("http://h.example/", "a=b; Path=/x", "http://h.example/", None),
    ("http://h.example/p/q", "a=b", "http://h.example/p/z", "a=b"), ("http://h.example/p/q", "a=b", "http://h.example/z", None),
    ("https://h.example/", "a=b; Secure", "https://h.example/", "a=b"),
    ("https://h.example/", "a=b; Secure", "http://h.example/", None),
    ("http://h.example/", "a=b; HttpOnly; SameSite=Strict", "http://h.example/", "a=b"),
    ("http://h.example/", "a=b; Max-Age=0", "http://h.example/", None),
    ("http://h.example/", "a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "http://h.example/", None),
    ("http://h.example/", "a=b; Max-Age=99", "http://h.example/", "a=b"),
    ("http://h.example/", "a=b\tc", "http://h.example/", None), ("http://h.example/", "a=\x01", "http://h.example/", None),
    ("http://h.example/", "", "http://h.example/", None),
    ("http://h.example/", "a=" + "x" * SET_COOKIE_LEN_CAP, "http://h.example/", None),
    ("http://h.example/", "a=\xe9", "http://h.example/", "a=\xe9"),
])
def test_cookie_goes_where_its_policy_lets_it(url, value, asked, expected):
    assert stored(url, value).header_for(asked) == expected


@pytest.mark.parametrize("attribute", ["Max-Age", "Path", "Domain", "Expires", "Version=1; Port", "Max-Age=" + "9" * 400,
                                       "Secure=x", "Version=x", "Discard", "Comment", "=", ""])
def test_cookie_with_a_strange_attribute_costs_no_other_cookie(attribute):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert stored("http://h/", "a=1", f"b=2; {attribute}", "c=3").header_for("http://h/") == "a=1; b=2; c=3"


def test_cookies_of_one_answer_go_together_and_change():
    store = stored("http://h/", "a=1", "b=2; Path=/x", "c=3")
    assert store.header_for("http://h/x") == "b=2; a=1; c=3"
    stored("http://h/", "a=4", "c=; Max-Age=0", store=store)
    assert store.header_for("http://h/x") == "b=2; a=4"
    assert store.header_for("http://h/", [("COOKIE", "mine=1")]) is None        # the request has its own
    assert store.header_for("http://h/", [("X", "y")]) == "a=4"
    store.store("http://h/", [("X-Set-Cookie", "d=5"), ("Set-Cookie2", "e=6; Version=1")])
    assert store.header_for("http://h/") == "a=4"


def test_cookie_store_of_one_domain_is_bounded_and_takes_more_when_some_are_gone():
    store = stored("http://h/", *[f"n{n}=x; Max-Age=999" for n in range(DOMAIN_COOKIES_CAP + 20)])
    assert len(store.jar) == DOMAIN_COOKIES_CAP
    stored("http://h/", "n0=changed", store=store)
    assert "n0=changed" in store.header_for("http://h/")
    stored("http://i/", "a=b", store=store)
    assert store.header_for("http://i/") == "a=b"
    stored("http://h/", "n1=; Max-Age=0", "new=x", store=store)
    stored("http://h/", "new=x", store=store)
    assert "new=x" in store.header_for("http://h/") and len(store.jar) == DOMAIN_COOKIES_CAP + 1


def test_cookie_store_of_all_domains_is_bounded():
    store = CookieStore()
    for n in range(COOKIES_CAP // 100 + 2):
        stored(f"http://h{n}.example/", *[f"n{m}=x" for m in range(100)], store=store)
    assert len(store.jar) == COOKIES_CAP


def test_cookie_field_is_bounded_and_cut_between_cookies():
    store = stored("http://h/", *[f"n{n}={'x' * 5000}" for n in range(20)])
    value = store.header_for("http://h/")
    assert COOKIE_LEN_CAP - 5100 < len(value) <= COOKIE_LEN_CAP
    assert all(len(pair.partition("=")[2]) == 5000 for pair in value.split("; "))


COOKIE_FILE = """# Netscape HTTP Cookie File
# comment

.example.com\tTRUE\t/\tFALSE\t4102444800\twide\t1
h.example\tFALSE\t/p\tTRUE\t0\tsession\ts3cret
#HttpOnly_h.example\tFALSE\t/\tFALSE\t\tonly\t2
h.example\tFALSE\t/\tFALSE\t1\tgone\t3
"""


def test_cookie_file_is_read_at_the_start_and_written_when_told(tmp_path):
    path = file_of(tmp_path, COOKIE_FILE, mode=0o644)
    store = CookieStore(path)
    assert store.header_for("http://a.example.com/") == "wide=1"
    assert store.header_for("https://h.example/p") == "session=s3cret; only=2"
    assert store.header_for("http://h.example/") == "only=2"
    stored("http://new.example/", "a=b; Max-Age=999", "s=t", store=store)
    assert (tmp_path / "file").read_text() == COOKIE_FILE
    store.save()
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    again = CookieStore(path)
    assert again.header_for("http://new.example/") == "a=b; s=t"
    assert again.header_for("https://h.example/p") == "session=s3cret; only=2"
    assert "gone" not in (tmp_path / "file").read_text()


def test_cookie_file_that_is_empty_is_one_to_begin_with(tmp_path):
    path = tmp_path / "jar"
    path.touch()
    stored("http://h/", "a=b; Max-Age=99", store=(store := CookieStore(path)))
    store.save()
    assert CookieStore(path).header_for("http://h/") == "a=b"


@pytest.mark.parametrize("text", [
    "s3cret", "# something else\n", COOKIE_FILE + "h\ts3cret\n", COOKIE_FILE + "h\tFALSE\t/\tFALSE\ts3cret\ta\tb\n",
    COOKIE_FILE + ".h\tFALSE\t/\tFALSE\t0\ta\ts3cret\n", COOKIE_FILE.encode() + b"h\tFALSE\t/\tFALSE\t0\ta\ts3cret\xff\xfe\t\n",
])
def test_cookie_file_that_is_broken_is_named_and_not_shown(tmp_path, text):
    path = file_of(tmp_path, text)
    with warnings.catch_warnings(), pytest.raises(ValueError, match="cookies file") as caught:
        warnings.simplefilter("error")
        CookieStore(path)
    assert path in str(caught.value) and not shows(caught.value)


def test_cookie_file_that_cannot_be_used_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"none.*No such file"):
        CookieStore(tmp_path / "none")
    for source in (False, None, 1, []):
        with pytest.raises(TypeError, match="cookies"):
            CookieStore(source)
    with pytest.raises(ValueError, match="path"):
        CookieStore(True).save()
    folder = tmp_path / "folder"
    folder.mkdir()
    store = CookieStore(file_of(folder, COOKIE_FILE))
    (folder / "file").unlink()
    folder.rmdir()
    with pytest.raises(FileError, match="folder/file"):
        store.save()


def test_cookie_jar_of_the_caller_is_used_with_its_own_policy():
    jar = http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=["good.example"]))
    store = CookieStore(jar)
    assert store.jar is jar
    stored("http://good.example/", "a=b", store=store)
    stored("http://bad.example/", "a=b", store=store)
    assert [cookie.domain for cookie in jar] == ["good.example"] and store.header_for("http://good.example/") == "a=b"
    with pytest.raises(ValueError, match="path"):
        store.save()


PIECES = ["a", "=", ";", ",", " ", '"', "\\", "Domain", "Path", "Max-Age", "Expires", "Version", "Secure", "1", "-1", ".", "/",
          "\t", "\xe9", "h.example",
          "Thu, 01 Jan 2099 00:00:00 GMT", "99999999999999999999", "Port", "\0", "\x85", "%"]


@given(st.lists(st.one_of(st.text(st.characters(max_codepoint=255), max_size=20), st.lists(st.sampled_from(PIECES),
        max_size=10).map("".join)), max_size=3))
@settings(deadline=None, max_examples=200)
def test_cookie_any_value_neither_raises_nor_leaves_its_host(values):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store = stored("http://h.example/a/b", *values, *["x=y; " + value for value in values])
        value = store.header_for("https://h.example/a/b") or ""
    assert not any(c < " " or c == "\x7f" for c in value)
    assert store.header_for("https://other.example/a/b") is None and store.header_for("https://example/") is None


def test_importing_access_loads_nothing_of_what_it_may_need():
    code = ("import sys; from qhttp.bulk.access import ProxyChoice; ProxyChoice('http://p:1').for_origin('http', 'h', 80);"
            "print(sorted({'urllib', 'http', 'netrc', 'ipaddress', 're', 'email', 'ssl', 'tempfile'} & set(sys.modules)))")
    code = f"import sys; sys.path[:0] = {sys.path!r}; {code}"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
