"""url: what a URL is taken apart into, what a reference means, and what is refused because it could be read in two ways."""
import pickle
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qhttp.protocol.url import Url, _without_dots, join, split, split_authority, unescaped

SECRETS = ("s3cret", "hunter2")


def parts(url):
    return url.scheme, url.host, url.port, url.target


@pytest.mark.parametrize("text, expected", [
    ("http://h", ("http", "h", 80, b"/")),
    ("https://h", ("https", "h", 443, b"/")),
    ("HTTP://Example.COM/Path", ("http", "example.com", 80, b"/Path")),
    ("hTTps://h:8443/", ("https", "h", 8443, b"/")),
    ("http://h:/x", ("http", "h", 80, b"/x")),
    ("http://h:00080/x", ("http", "h", 80, b"/x")),
    ("http://h:1", ("http", "h", 1, b"/")),
    ("http://h:65535", ("http", "h", 65535, b"/")),
    ("http://h?q", ("http", "h", 80, b"/?q")),
    ("http://h?q/r", ("http", "h", 80, b"/?q/r")),
    ("http://h?", ("http", "h", 80, b"/?")),
    ("http://h/?a=b&c=http://x/y", ("http", "h", 80, b"/?a=b&c=http://x/y")),
    ("http://h#f", ("http", "h", 80, b"/")),
    ("http://h/p#f?no", ("http", "h", 80, b"/p")),
    ("http://h/p?q#f#g", ("http", "h", 80, b"/p?q")),
    ("http://h//a//b", ("http", "h", 80, b"//a//b")),
    ("http://h/a;p=1/b", ("http", "h", 80, b"/a;p=1/b")),
    ('http://h/"<>^`{|}\\[]', ("http", "h", 80, b'/"<>^`{|}\\[]')),
    ("http://h/u@v:w", ("http", "h", 80, b"/u@v:w")),
    ("http://a_b.c-d.e/", ("http", "a_b.c-d.e", 80, b"/")),
    ("http://example.com./", ("http", "example.com.", 80, b"/")),
    ("http://1.example/", ("http", "1.example", 80, b"/")),
    ("http://0x7f.example/", ("http", "0x7f.example", 80, b"/")),
    ("http://127.0.0.1:8/", ("http", "127.0.0.1", 8, b"/")),
    ("http://255.255.255.255/", ("http", "255.255.255.255", 80, b"/")),
    ("http://0.0.0.0/", ("http", "0.0.0.0", 80, b"/")),
    ("http://[::1]", ("http", "::1", 80, b"/")),
    ("http://[::1]:8080/x", ("http", "::1", 8080, b"/x")),
    ("http://[2001:DB8:0:0:0:0:0:1]/", ("http", "2001:db8::1", 80, b"/")),
    ("http://[::FFFF:1.2.3.4]/", ("http", "::ffff:1.2.3.4", 80, b"/")),
    ("http://" + "a" * 63 + ".x/", ("http", "a" * 63 + ".x", 80, b"/")),
    # percent-encoding is data, broken or not
    ("http://h/%", ("http", "h", 80, b"/%")),
    ("http://h/%zz%4", ("http", "h", 80, b"/%zz%4")),
    ("http://h/%2e%2E/%2F%0d%0a%00", ("http", "h", 80, b"/%2e%2E/%2F%0d%0a%00")),
    # outside ASCII
    ("http://h/caf\xe9?\u20ac", ("http", "h", 80, b"/caf%C3%A9?%E2%82%AC")),
    ("http://h/\U0001f600\xa0", ("http", "h", 80, b"/%F0%9F%98%80%C2%A0")),
    ("http://B\xdcCHER.example/", ("http", "xn--bcher-kva.example", 80, b"/")),
    ("http://xn--bcher-kva.example/", ("http", "xn--bcher-kva.example", 80, b"/")),
    ("http://\u4f8b\u3002test/", ("http", "xn--fsq.test", 80, b"/")),
    # dot segments
    ("http://h/a/./b/../c", ("http", "h", 80, b"/a/c")),
    ("http://h/../../x", ("http", "h", 80, b"/x")),
    ("http://h/a/..", ("http", "h", 80, b"/")),
    ("http://h/a/b/.", ("http", "h", 80, b"/a/b/")),
    ("http://h/.hidden/..x/...", ("http", "h", 80, b"/.hidden/..x/...")),
    ("http://h/a/../b?x=/../y", ("http", "h", 80, b"/b?x=/../y")),
    ("http://h/b?x=/../y", ("http", "h", 80, b"/b?x=/../y")),
])
def test_split_good_url_is_taken_apart(text, expected):
    assert parts(split(text)) == expected


@pytest.mark.parametrize("text, reason", [
    ("", "http://"), ("example.com/x", "http://"), ("//h/x", "http://"), ("/x", "http://"), ("http", "http://"),
    ("http:", "http://"), ("http:/h", "http://"), ("http:h", "http://"), ("http:\\\\h\\", "http://"), ("://h", "http://"),
    ("h\xf6ttp://h", "http://"), ("http:example.com/?u=http://h", "http://"),
    ("ftp://h/x", "scheme ftp"), ("FILE:///etc/passwd", "scheme file"), ("javascript:alert(1)", "http://"),
    ("httpx://h", "scheme httpx"),
    ("http://", "no host"), ("http:///x", "no host"), ("http://?q", "no host"), ("http://#f", "no host"),
    ("http://:80/", "no host"),
    ("http://user@h/", "--user"), ("http://hunter2:s3cret@h/", "--user"), ("http://@h/", "--user"), ("http://:@h/", "--user"),
    ("http://good\\@h/", "--user"), ("http://good.example\\.evil.example/", "character"), ("http://h\\x", "character"),
    (" http://h/", "blank"), ("http://h/ ", "blank"), ("http://h/a b", "blank"), ("http://h /", "blank"),
    ("http://h/\t", "blank"),
    ("http://h/\r\nX: y", "blank"), ("http://h/\0", "blank"), ("http://h/\x7f", "blank"), ("ht\ntp://h/", "blank"),
    ("http://h/\x85", "blank"), ("http://h/\xe9\x1f", "blank"), ("http://h/#\n", "blank"),
    ("http://h:x/", "port"), ("http://h:0/", "port"), ("http://h:65536/", "port"), ("http://h:-1/", "port"),
    ("http://h:+1/", "port"),
    ("http://h:8 0/", "blank"), ("http://h:\u0661/", "port"), ("http://h:\xb2/", "port"), ("http://h:1_0/", "port"),
    ("http://h:000000080/", "port"), ("http://[::1]:99999/", "port"), ("http://h:80:80/", "colons"), ("http://::1/", "colons"),
    ("http://[::1/", "IPv6"), ("http://[]/", "IPv6"), ("http://[::g]/", "IPv6"), ("http://[1.2.3.4]/", "IPv6"),
    ("http://[::1]x/", "IPv6"), ("http://[::1]]/", "IPv6"), ("http://[fe80::1%25eth0]/", "IPv6"), ("http://[v1.x]/", "IPv6"),
    ("http://[1:2:3:4:5:6:7:8:9]/", "IPv6"), ("http://[::1\xe9]/", "IPv6"), ("http://x[::1]/", "colons"),
    ("http://x[1]/", "character"),
    *[(f"http://a{c}b/", "character") for c in "!$&'()*+,;=~^`{|}\"<>%"], ("http://%65xample.com/", "character"),
    ("http://a\uff0fb/", ""), ("http://a\u2100b/", ""), ("http://a\uff05b/", ""),
    ("http://a\uff20b/", ""),      # fullwidth / % @
    ("http://.h/", "label"), ("http://a..b/", "label"), ("http://h../", "label"), ("http://./", "label"),
    ("http://" + "a" * 64 + ".x/", "label"), ("http://" + "a." * 127 + "bc/", "label"),
    ("http://" + "\xe9" * 2000 + "/", "too long"), ("http://h/\ud800", "surrogate"), ("http://\ud800/", "form for the wire"),
    # IPv4 addresses that are read in several ways
    *[(f"http://{host}/", "four decimal numbers") for host in [
        "0x7f.1", "2130706433", "127.1", "0", "127.0.1", "0177.0.0.1", "127.0.0.01", "127.0.0.0x1", "0x7f000001", "0x",
        "1.2.3.4.5",
        "1.2.3.256", "256.1.1.1", "127.0.0.1.", "h.1", "h.0x1f", "h.09", "1.2.3.4444", "0X7F.0.0.1", "99999999999999999999"]],
    ("http://\uff11\uff12\uff17.1/", "four decimal numbers"), ("http://127\u30021/", "four decimal numbers"),
])
def test_split_faulty_url_is_refused_with_a_reason(text, reason):
    with pytest.raises(ValueError, match="URL") as caught:
        split(text)
    assert type(caught.value) is ValueError         # and not one of a codec, which has the whole text in it
    assert reason in str(caught.value)


@pytest.mark.parametrize("text", [
    "http://user:s3cret@h/?k=hunter2", "http://user:s3cret/x@h/", "http://user:s3cret#x@h", "http://s3cret!/x@h",
    "http://h:s3cret/", "http://h/?k=s3cret hunter2", "http:s3cret@h", "s3cret:hunter2@h/x", "http://[s3cret]/?hunter2",
    "ftp://u:s3cret@h/?hunter2", "http://h.1/?s3cret", "http://a!b/?s3cret#hunter2", "http://s3cret.1?x@h",
    "http://s3cret..x/@",
    "s3cret.hunter2://h/", "http://\xdf\ud800s3cret/@", "http://a[b/?s3cret",
])
def test_split_faulty_url_shows_no_secret(text):
    with pytest.raises(ValueError) as caught:
        split(text)
    assert not any(secret in str(caught.value) for secret in SECRETS)
    with pytest.raises(ValueError) as caught:
        join(split("http://base/p?s3cret"), text if "://" in text or ":" in text.partition("/")[0] else "//" + text)
    assert not any(secret in str(caught.value) for secret in SECRETS)


@pytest.mark.parametrize("value", [b"http://h/", None, 1])
def test_split_other_type_is_a_type_error(value):
    with pytest.raises(TypeError, match="str"):
        split(value)
    with pytest.raises(TypeError, match="str"):
        join(split("http://h/"), value)


@pytest.mark.parametrize("host", ["stra\xdfe.example", "STRA\u1e9eE.example", "\u03c2.example", "a\u200db.example"])
def test_split_host_on_which_idna_editions_differ_is_refused_without_the_package(monkeypatch, host):
    monkeypatch.setitem(sys.modules, "idna", None)
    assert split("http://b\xfccher.example/").host == "xn--bcher-kva.example"
    with pytest.raises(ValueError, match=r"qhttp\[idna\]"):
        split(f"http://{host}/")


def test_split_host_with_sharp_s_keeps_it_with_the_package():
    pytest.importorskip("idna")
    assert split("http://stra\xdfe.example/").host == "xn--strae-oqa.example"


# -- the value
@pytest.mark.parametrize("text, normal, authority", [
    ("HTTP://H:80", "http://h/", "h"), ("https://h:443/x", "https://h/x", "h"), ("http://h:443/x#y", "http://h:443/x", "h:443"),
    ("http://[::0001]:81?q", "http://[::1]:81/?q", "[::1]:81"), ("http://[::1]:80", "http://[::1]/", "[::1]"),
    ("http://\xe9.example/\xe9/../b", "http://xn--9ca.example/b", "xn--9ca.example"),
])
def test_url_text_is_normal_and_means_the_same(text, normal, authority):
    url = split(text)
    assert (url.text, url.authority) == (normal, authority)
    assert split(url.text) == url and hash(split(url.text)) == hash(url)


def test_url_compares_hashes_and_pickles_by_its_parts():
    url = split("https://h/x?s3cret")
    assert url == Url("https", "h", 443, b"/x?s3cret") and pickle.loads(pickle.dumps(url)) == url
    for other in ("http://h:443/x?s3cret", "https://i/x?s3cret", "https://h:1/x?s3cret", "https://h/x"):
        assert split(other) != url
    assert url != "https://h/x?s3cret"
    assert url.origin == ("https", "h", 443)
    assert repr(url) == "<Url https://h/x?...>"
    assert repr(split("http://h/x")) == "<Url http://h/x>"


# -- references: the examples of RFC 3986 section 5.4
NORMAL = [
    ("g", "http://a/b/c/g"), ("./g", "http://a/b/c/g"), ("g/", "http://a/b/c/g/"), ("/g", "http://a/g"), ("//g", "http://g/"),
    ("?y", "http://a/b/c/d;p?y"), ("g?y", "http://a/b/c/g?y"), ("#s", "http://a/b/c/d;p?q"), ("g#s", "http://a/b/c/g"),
    ("g?y#s", "http://a/b/c/g?y"), (";x", "http://a/b/c/;x"), ("g;x", "http://a/b/c/g;x"), ("g;x?y#s", "http://a/b/c/g;x?y"),
    ("", "http://a/b/c/d;p?q"), (".", "http://a/b/c/"), ("./", "http://a/b/c/"), ("..", "http://a/b/"), ("../", "http://a/b/"),
    ("../g", "http://a/b/g"), ("../..", "http://a/"), ("../../", "http://a/"), ("../../g", "http://a/g"),
]
ABNORMAL = [
    ("../../../g", "http://a/g"), ("../../../../g", "http://a/g"), ("/./g", "http://a/g"), ("/../g", "http://a/g"),
    ("g.", "http://a/b/c/g."), (".g", "http://a/b/c/.g"), ("g..", "http://a/b/c/g.."), ("..g", "http://a/b/c/..g"),
    ("./../g", "http://a/b/g"), ("./g/.", "http://a/b/c/g/"), ("g/./h", "http://a/b/c/g/h"), ("g/../h", "http://a/b/c/h"),
    ("g;x=1/./y", "http://a/b/c/g;x=1/y"), ("g;x=1/../y", "http://a/b/c/y"), ("g?y/./x", "http://a/b/c/g?y/./x"),
    ("g?y/../x", "http://a/b/c/g?y/../x"), ("g#s/./x", "http://a/b/c/g"), ("g#s/../x", "http://a/b/c/g"),
]
OURS = [
    ("https://x:81/y/../z#f", "https://x:81/z"), ("HTTP://X", "http://x/"), ("//x:81?q", "http://x:81/?q"),
    ("?", "http://a/b/c/d;p?"),
    ("?y#", "http://a/b/c/d;p?y"), ("#", "http://a/b/c/d;p?q"), ("g?", "http://a/b/c/g?"), ("/", "http://a/"),
    ("/?q", "http://a/?q"),
    ("./g:h", "http://a/b/c/g:h"), ("g/h:i", "http://a/b/c/g/h:i"), ("?a:b", "http://a/b/c/d;p?a:b"), ("/x:y", "http://a/x:y"),
    ("/..//x", "http://a//x"), ("..//x", "http://a/b//x"), ("/\\evil.example/", "http://a/\\evil.example/"),
    ("/a%0d%0aX:%20y", "http://a/a%0d%0aX:%20y"), ("%2e%2e/%2f", "http://a/b/c/%2e%2e/%2f"), ("%", "http://a/b/c/%"),
    ("/caf\xc3\xa9", "http://a/caf%C3%A9"), ("/caf\xe9?\xff\x85", "http://a/caf%E9?%FF%85"), ("\x80#\x80", "http://a/b/c/%80"),
    ("//b\xc3\xbccher.example/\xfc", "http://xn--bcher-kva.example/%FC"), ("http://[::1]:8/", "http://[::1]:8/"),
]


@pytest.mark.parametrize("reference, expected", NORMAL + ABNORMAL + OURS)
def test_join_reference_is_resolved(reference, expected):
    assert join(split("http://a/b/c/d;p?q"), reference).text == expected


@pytest.mark.parametrize("base, reference, expected", [
    ("http://a", "g", "http://a/g"), ("http://a?q", "", "http://a/?q"), ("http://a?q", "x", "http://a/x"),
    ("http://a/b/", "g", "http://a/b/g"),
    ("https://a:444/b", "//c/d", "https://c/d"), ("https://a:444/b", "/d", "https://a:444/d"),
    ("https://a:444/b", "http://a:444/d", "http://a:444/d"),
    ("http://[::1]:8/b?x/y/z", "g", "http://[::1]:8/g"), ("http://a//b//c", "..", "http://a//b/"),
])
def test_join_other_base_is_kept_where_the_reference_says_nothing(base, reference, expected):
    assert join(split(base), reference).text == expected


@pytest.mark.parametrize("reference, reason", [
    ("g:h", "http://"), ("http:g", "http://"), ("http:/g", "http://"), ("http:", "http://"), ("ftp://h/x", "scheme ftp"),
    ("file:///etc/passwd", "scheme file"), ("data:,x", "http://"), ("javascript:x", "http://"), ("127.0.0.1:80/x", "http://"),
    (":x", "http://"), ("1a:b", "http://"), ("///x", "no host"), ("//", "no host"), ("http:///x", "no host"),
    ("http://:1/", "no host"),
    ("//u:p@h/", "--user"), ("http://u@h/", "--user"), ("//h:0/", "port"), ("//h:x/", "port"), ("//[::1", "IPv6"),
    ("//127.1/", "decimal"),
    ("//good\\.evil.example/", "character"), ("/a b", "blank"), (" /a", "blank"), ("/a\n", "blank"), ("/a\r\nX: y", "blank"),
    ("/a\0", "blank"), ("/a\x7f", "blank"), ("/a#\n", "blank"), ("/\u20ac", "no bytes"), ("?\u20ac", "no bytes"),
    ("//b\xfccher.example/", "UTF-8"),
    ("//\u20ac.example/", "UTF-8"), ("//a\xef\xbc\x8fb/", ""), ("/\ud800", "no bytes"),
])
def test_join_faulty_reference_is_refused_with_a_reason(reference, reason):
    with pytest.raises(ValueError) as caught:
        join(split("http://a/b/c"), reference)
    assert type(caught.value) is ValueError and reason in str(caught.value)


# -- properties
def dots_removed(path):
    """RFC 3986 section 5.2.4, letter by letter."""
    output = ""
    while path:
        if path.startswith("../"):
            path = path[3:]
        elif path.startswith(("./", "/./")):
            path = path[2:]
        elif path == "/.":
            path = "/"
        elif path.startswith("/../") or path == "/..":
            path = "/" + path[4:]
            output = output.rpartition("/")[0]
        elif path in (".", ".."):
            path = ""
        else:
            end = path.find("/", 1)
            end = len(path) if end < 0 else end
            output, path = output + path[:end], path[end:]
    return output


@given(st.lists(st.sampled_from([".", "..", "", "a", "/", "...", ".b"]), max_size=9).map("/".join))
@settings(deadline=None)
def test_dot_segments_are_removed_as_the_rfc_does(path):
    assert _without_dots(b"/" + path.encode()).decode() == dots_removed("/" + path)


PIECES = ["http", "https", "ftp", ":", "/", "//", "://", "?", "#", "@", "\\", "%", "%0d%0a", "%2e", "..", ".", "[", "]", "::1",
          "a", "h.example",
          "127.0.0.1", "0x7f", "1", "80", "\xe9", "\xc3\xa9", "\u20ac", " ", "\r\n", "\t", "\0", "\uff0f", "\ud800", "xn--",
          "-", "_"]
HOSTILE = st.one_of(st.text(max_size=30), st.lists(st.sampled_from(PIECES), max_size=12).map("".join))


@given(HOSTILE, st.sampled_from(["", "http://", "https://h", "http://h/", "//", "/"]))
@settings(deadline=None, max_examples=300)
def test_any_text_gives_a_url_that_is_read_in_one_way_or_a_value_error(text, prefix):
    base = split("http://base.example/a/b?c")
    for make in (lambda: split(prefix + text), lambda: join(base, prefix + text)):
        try:
            url = make()
        except ValueError as error:
            assert type(error) is ValueError
            continue
        assert url.target[:1] == b"/" and all(32 < byte < 127 for byte in url.target) and b"#" not in url.target
        assert url.host and not set(url.host) & set("/?#@\\[]% \r\n\t\0")
        assert url.host == url.host.lower() and url.host.isascii()
        assert 0 < url.port < 65536 and url.scheme in ("http", "https")
        assert not {b".", b".."} & set(url.target.partition(b"?")[0].split(b"/"))
        assert split(url.text) == url and join(base, url.text) == url


@pytest.mark.parametrize("piece", ["../", "./", "a/", "/", "%", "\xe9", "a.", ":", "[", "?", "\xe9."])
def test_long_urls_take_no_square_time(piece):
    for text in ("http://h/" + piece * 100_000, "http://" + piece * 100_000):      # a square would be 10**10 steps, and hang
        try:
            split(text)
        except ValueError:
            continue


# -- helpers for others
def test_split_authority_takes_the_port_it_is_told():
    assert split_authority("H", 1080) == ("h", 1080) and split_authority("[::1]:2", 1080) == ("::1", 2)
    with pytest.raises(ValueError) as caught:
        split_authority("s3cret!", 1080, is_shown=False)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("data, expected", [
    (b"", b""), (b"abc", b"abc"), (b"%41", b"A"), (b"%4a%4A", b"JJ"), (b"%00%ff", b"\0\xff"), (b"%", b"%"), (b"%4", b"%4"),
    (b"a%zz", b"a%zz"),
    (b"%%41", b"%A"), (b"%2541", b"%41"), (b"%+1", b"%+1"), (b"% 1", b"% 1"), (b"%4%41", b"%4A"), (b"%1_0", b"%1_0"),
    (b"%-1", b"%-1"),
])
def test_unescaped_decodes_once_and_leaves_what_is_broken(data, expected):
    assert unescaped(data) == expected


def test_usual_path_loads_nothing_heavy():
    code = ("import sys; from qhttp.protocol.url import split, join; join(split('http://h/a'), '/\\xe9');"
            "print(sorted({'urllib', 're', 'ipaddress', 'socket', '_socket', 'idna', 'typing'} & set(sys.modules)))")
    code = f"import sys; sys.path[:0] = {sys.path!r}; {code}"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
