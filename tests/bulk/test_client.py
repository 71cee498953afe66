"""Client: one request at a time, its answer in memory; every final status is an answer."""
import gc
import gzip
import weakref

import pytest
from bulk.downloads import LARGE, LIMIT_S, body, n_descriptors
from bulk.origin import Each, Origin, Versioned, answer, chunked, origins, redirect
from core.process_tools import in_thread
from support.actions import Close, Drain, Pause, Reset
from support.credentials import basic
from support.watchdog import limited

import qhttp


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setattr(qhttp.Downloader, "random", lambda self: 0.0)       # no waits between tries
    with limited(LIMIT_S), qhttp.Client(proxy=None) as client:
        yield client


@pytest.fixture
def make(monkeypatch):
    monkeypatch.setattr(qhttp.Downloader, "random", lambda self: 0.0)
    with limited(LIMIT_S):
        yield lambda **settings: qhttp.Client(**{"proxy": None, **settings})


@pytest.mark.parametrize("n", [0, 1, 1000, LARGE * 3])
@pytest.mark.parametrize("form", ["length", "chunked", "closed"])
def test_client_get_has_the_content(form, n, client):
    page = {
        "length": answer(200, body(n), ("X", "y")),
        "chunked": chunked(body(n), ("X", "y")),
        "closed": [answer(200, body(n), ("X", "y"), length=-1), Close()],
    }[form]
    with Origin({"/a": page}) as origin:
        found = client.get(origin.url("/a"))
        assert (found.status, found.content, found.size, found.url_effective) == (200, body(n), n, origin.url("/a"))
    assert ("X", "y") in found.headers and found.header("x") == "y" and found.path is None and found.error is None


@pytest.mark.parametrize(
    "status",
    [
        200,
        201,
        202,
        203,
        299,
        300,
        301,
        302,
        303,
        307,
        308,
        400,
        403,
        404,
        408,
        410,
        416,
        418,
        429,
        451,
        500,
        502,
        503,
        504,
        599,
        999,
    ],
)
def test_client_every_final_status_is_an_answer(status, client):
    with Origin({"/a": answer(status, b"page")}) as origin:
        found = client.get(origin.url("/a"))
    assert (found.status, found.content) == (status, b"page") and len(origin.log) == 1


@pytest.mark.parametrize("status", [204, 304])
def test_client_answer_without_content(status, client):
    digest = "Repr-Digest", "sha-256=:" + "A" * 43 + "=:"
    with Origin(
        {"/a": answer(status, b"", digest, ("ETag", '"x"'), ("Content-Encoding", "gzip"), length=-1), "/b": answer(200, b"b")}
    ) as origin:
        found = client.get(origin.url("/a"), headers=[("If-None-Match", '"x"')])
        assert (found.status, found.content, found.etag) == (status, b"", '"x"')
        assert client.get(origin.url("/b")).content == b"b" and len(origin.connections) == 1


def test_client_401_and_407_are_raised(client):
    with Origin({"/a": answer(401, b"", ("WWW-Authenticate", 'Basic realm="r"')), "/b": answer(407)}) as origin:
        for path, name in (("/a", "AuthenticationRequired"), ("/b", "ProxyAuthenticationRequired")):
            with pytest.raises(qhttp.QHttpError) as refusal:
                client.get(origin.url(path))
            assert type(refusal.value).__name__ == name


def test_client_plain_206_is_an_error(client):
    with Origin({"/a": answer(206, b"part", ("Content-Range", "bytes 0-3/9"))}) as origin, pytest.raises(qhttp.ResumeError):
        client.get(origin.url("/a"))


@pytest.mark.parametrize(
    "row",
    [
        ("http://127.0.0.1:1/", qhttp.ConnectError),
        ("ftp://h/", qhttp.RequestError),
        ("x", qhttp.RequestError),
        ("", qhttp.RequestError),
        (5, (qhttp.RequestError, TypeError)),
        ("http://u:hidden@h/", qhttp.RequestError),
    ],
)
def test_client_what_is_no_answer_is_raised(row, make):
    url, error = row
    with make(retries=1) as client, pytest.raises(error) as refusal:
        client.get(url)
    assert "hidden" not in str(refusal.value)


@pytest.mark.parametrize(
    "page, error",
    [
        ([Reset()], qhttp.UnexpectedClose),
        ([answer(200, b"cut", length=9), Close()], qhttp.Truncated),
        (b"no http\r\n\r\n", qhttp.ProtocolError),
        (answer(200, b"no gzip", ("Content-Encoding", "gzip")), qhttp.DecodeError),
        ([chunked(b"x", end=b"zz\r\n"), Close()], qhttp.BodyError),
        (redirect("ftp://x"), qhttp.RedirectError),
        (redirect("/a"), qhttp.RedirectError),
    ],
)
def test_client_failures_are_raised_and_the_next_call_works(page, error, make):
    with Origin({"/a": page, "/b": answer(200, b"b")}) as origin, make(retries=1) as client:
        for _ in range(2):
            with pytest.raises(error):
                client.get(origin.url("/a"))
            assert client.get(origin.url("/b")).content == b"b"


def test_client_failure_is_tried_again(client):
    with Origin({"/a": Each([Reset()], [answer(200, b"cut", length=9), Close()], answer(200, b"x"))}) as origin:
        found = client.get(origin.url("/a"))
    assert found.content == b"x" and found.n_retries >= 1


@pytest.mark.parametrize(
    "settings, page, error",
    [
        ({"idle_timeout": 0.1}, [Pause(9)], qhttp.TimeoutError),
        ({"max_time": 0.1}, [Pause(9)], qhttp.TimeoutError),
        ({"max_size": 5}, answer(200, b"123456"), qhttp.TooLarge),
        ({"max_redirects": 0}, redirect("/b"), qhttp.RedirectError),
        ({"max_size": 1000}, answer(200, gzip.compress(bytes(10**6)), ("Content-Encoding", "gzip")), qhttp.TooLarge),
    ],
)
def test_client_limits_hold(settings, page, error, make):
    with Origin({"/a": page}) as origin, make(retries=0, **settings) as client, pytest.raises(error):
        client.get(origin.url("/a"))


# -- requests
def test_client_keeps_its_connection(client):
    with Origin({f"/{number}": answer(200, b"x") for number in range(10)}) as origin:
        for number in range(10):
            client.get(origin.url(f"/{number}"))
        assert len(origin.connections) == 1


def test_client_head_has_no_content(client):
    with Origin({"/a": answer(200, b"", ("X", "y"), length=1000)}) as origin:
        found = client.head(origin.url("/a"))
        assert client.head(origin.url("/a")).status == 200 and len(origin.connections) == 1
    assert (found.status, found.header("content-length"), found.content or b"") == (200, "1000", b"") and origin.log[
        0
    ].method == "HEAD"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
@pytest.mark.parametrize("data", [None, b"", b"some data", body(LARGE)])
def test_client_request_sends_method_and_body(data, method, client):
    with Origin({"/a": answer(200, b"done")}) as origin:
        found = client.request(method, origin.url("/a"), [("X", "y")], data)
    [asked] = origin.log
    assert (found.content, asked.method, asked.body, asked.get("x")) == (b"done", method, data or b"", "y")
    assert (
        asked.get("content-length")
        == (None if data is None and method not in ("POST", "PUT", "PATCH") else str(len(data or b"")))
        or data is None
    )


@pytest.mark.parametrize(
    "arguments, error",
    [
        (("CONNECT", "http://h/"), ValueError),
        (("GE T", "http://h/"), ValueError),
        (("", "http://h/"), ValueError),
        (("GET\r\n", "http://h/"), ValueError),
        (("POST", "http://h/", (), "text"), TypeError),
        (("POST", "http://h/", (), 5), TypeError),
        (("GET", "http://h/", [("Range", "bytes=0-")]), ValueError),
        (("GET", "http://h/", [("X", "a\r\nb")]), ValueError),
        (("POST", "http://h/", [("Content-Length", "5")], b"x"), ValueError),
    ],
)
def test_client_arguments_that_are_wrong_raise(arguments, error, client):
    with pytest.raises(error):
        client.request(*arguments)


@pytest.mark.parametrize("fault", [[Reset()], [answer(200, b"cut", length=9), Close()], [Close()]])
def test_client_post_is_sent_once(fault, client):
    with Origin({"/a": Each(fault, answer(200, b"twice")), "/b": answer(200, b"b")}) as origin:
        client.get(origin.url("/b"))
        with pytest.raises(qhttp.QHttpError):
            client.request("POST", origin.url("/a"), (), b"order")
        assert len(origin.asked("/a")) == 1


def test_client_put_is_sent_again(client):
    with Origin({"/a": Each([Reset()], answer(200, b"done"))}) as origin:
        assert client.request("PUT", origin.url("/a"), (), b"data").content == b"done"
        assert [request.body for request in origin.log] == [b"data", b"data"]


# -- redirects
@pytest.mark.parametrize(
    "status, method, then",
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "DELETE", "GET"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (301, "PUT", "PUT"),
        (302, "DELETE", "DELETE"),
        (303, "HEAD", "HEAD"),
        (303, "GET", "GET"),
        (307, "PUT", "PUT"),
    ],
)
def test_client_redirect_changes_the_method_where_it_must(status, method, then, client):
    data = b"data" if method in ("POST", "PUT") else None
    with Origin({"/a": redirect("/b", status), "/b": answer(200, b"there" if then != "HEAD" else b"")}) as origin:
        found = client.request(method, origin.url("/a"), (), data)
        assert found.url_effective == origin.url("/b") and found.n_redirects == 1
    assert origin.log[1].method == then and origin.log[1].body == (data if then == method and data else b"")
    assert then == method or origin.log[1].get("content-length") in (None, "0")


@pytest.mark.parametrize("status, is_kept", [(303, False), (307, True)])
def test_client_redirect_that_drops_the_body_drops_what_described_it(status, is_kept, client):
    described = [("Content-Type", "application/json"), ("Content-Digest", "sha-256=:AAAA:"), ("X", "y")]
    with Origin({"/a": redirect("/b", status), "/b": answer(200, b"there")}) as origin:
        client.request("POST", origin.url("/a"), described, b"{}")
    found = [origin.log[1].get(name.lower()) for name, _ in described]
    assert found == ([value for _, value in described] if is_kept else [None, None, "y"])


def test_client_redirect_drops_secrets_of_the_call(client):
    with origins({}, {"/b": answer(200, b"x")}) as (home, away):
        home.answers["/a"] = redirect(away.url("/b"))
        client.get(home.url("/a"), headers=[("Authorization", "hidden"), ("Cookie", "hidden"), ("X", "y")])
        assert b"hidden" not in away.log[0].raw and away.log[0].get("x") == "y"


def test_client_redirect_of_a_post_to_another_origin_keeps_the_body_only_where_it_must(client):
    with origins({}, {"/b": answer(200, b"x")}) as (home, away):
        home.answers["/a"] = redirect(away.url("/b"), 302)
        client.request("POST", home.url("/a"), (), b"secret form")
        assert b"secret form" not in away.log[0].raw + away.log[0].body


# -- codings, cookies, users
def test_client_asks_for_codings_and_undoes_them(client):
    with Origin({"/a": answer(200, gzip.compress(body(1000)), ("Content-Encoding", "gzip"))}) as origin:
        assert client.get(origin.url("/a")).content == body(1000)
        assert "gzip" in origin.log[0].get("accept-encoding")


def test_client_without_decoding(make):
    with (
        Origin({"/a": answer(200, b"as it is", ("Content-Encoding", "gzip"))}) as origin,
        make(decode=False, compressed=False) as client,
    ):
        assert client.get(origin.url("/a")).content == b"as it is" and origin.log[0].get("accept-encoding") == "identity"


def test_client_cookies_and_user_from_call_to_call(make):
    def page(request):
        if request.get("authorization") == basic("me", "pw"):
            return answer(200, b"x", ("Set-Cookie", "k=v"))
        return answer(401, b"", ("WWW-Authenticate", 'Basic realm="r"'))
    with Origin({"/a": page}) as origin, make(cookies=True, user=("me", "pw")) as client:
        client.get(origin.url("/a"))
        client.get(origin.url("/a"))
        assert [(bool(request.get("authorization")), request.get("cookie")) for request in origin.log] == [
            (False, None),
            (True, None),
            (True, "k=v"),
        ]


# -- ranges
DATA = body(50_000)
RANGES = [(0, 10), (1000, 5000), (49_990, 50_000), (7, 8)]
WANTED = [DATA[start:end] for start, end in RANGES]


def multipart(ranges, data=DATA, boundary="sep", total=None, fields=()):
    parts = [
        f"--{boundary}\r\nContent-Type: x/y\r\nContent-Range: bytes {start}-{end - 1}/{total or len(data)}\r\n\r\n".encode()
        + data[start:end]
        + b"\r\n"
        for start, end in ranges
    ]
    return answer(
        206,
        b"".join(parts) + f"--{boundary}--\r\n".encode(),
        ("Content-Type", f"multipart/byteranges; boundary={boundary}"),
        *fields,
    )


def single(start, end, data=DATA, fields=()):
    return answer(206, data[start:end], ("Content-Range", f"bytes {start}-{end - 1}/{len(data)}"), *fields)


@pytest.mark.parametrize(
    "page",
    [
        multipart(RANGES),
        multipart(RANGES[::-1]),
        answer(200, DATA),
        chunked(DATA),
        single(0, 50_000),
        multipart([(0, 5000), (49_000, 50_000)]),
        answer(200, gzip.compress(DATA), ("Content-Encoding", "gzip")),
    ],
    ids=["multipart", "other order", "whole", "whole chunked", "one part", "merged", "whole coded"],
)
def test_client_get_ranges_gives_the_pieces(page, client):
    with Origin({"/a": page}) as origin:
        assert client.get_ranges(origin.url("/a"), RANGES) == WANTED
    [asked] = origin.log
    assert (
        asked.get("range") == "bytes=0-9,1000-4999,49990-49999,7-7"
        and asked.get("if-range") is None
        and asked.get("accept-encoding") == "identity"
    )


@pytest.mark.parametrize("values", [[], ["5-9/100", "6-10/100"], ["5-9/100", "5-9/100"], ["5-9"], ["*/100"]])
def test_client_get_ranges_content_range_has_to_be_one(values, client):
    page = answer(206, DATA[5:10], *(("Content-Range", f"bytes {value}") for value in values))
    with Origin({"/a": page}) as origin, pytest.raises(qhttp.BodyError):
        client.get_ranges(origin.url("/a"), [(5, 10)])


@pytest.mark.parametrize("pair", [(0.5, 10.9), ("0", "5"), (0, None)])
def test_client_get_ranges_of_what_are_no_numbers_is_refused(client, pair):
    with pytest.raises(TypeError):
        client.get_ranges("http://127.0.0.1:9/a", [pair])


def test_client_get_ranges_of_one_piece(client):
    with Origin({"/a": Versioned(DATA)}) as origin:
        origin.answers["/a"] = lambda request: single(5, 10)
        assert client.get_ranges(origin.url("/a"), [(5, 10)]) == [DATA[5:10]]


@pytest.mark.parametrize("field", ["Repr-Digest", "Digest", "Content-Digest"])
def test_client_get_ranges_holds_a_digest_against_what_it_is_of(field, client):
    import base64
    import hashlib
    whole, part = (base64.b64encode(hashlib.sha256(data).digest()).decode() for data in (DATA, DATA[5:10]))
    right, wrong = (
        f"sha-256={value}" if field == "Digest" else f"sha-256=:{value}:"
        for value in ((part, whole) if field == "Content-Digest" else (whole, part))
    )
    with Origin({"/a": single(5, 10, fields=[(field, right)]), "/b": single(5, 10, fields=[(field, wrong)])}) as origin:
        assert client.get_ranges(origin.url("/a"), [(5, 10)]) == [DATA[5:10]]
        if field == "Content-Digest":
            with pytest.raises(qhttp.ChecksumMismatch):
                client.get_ranges(origin.url("/b"), [(5, 10)])


@pytest.mark.parametrize(
    "page, error",
    [
        (answer(404, b"no"), qhttp.HTTPStatusError),
        (answer(416), qhttp.HTTPStatusError),
        (answer(304, length=-1), qhttp.HTTPStatusError),
        (answer(200, DATA[:100]), qhttp.BodyError),
        (single(0, 100), qhttp.BodyError),
        (answer(206, DATA[:9]), qhttp.BodyError),
        (answer(206, DATA[:9], ("Content-Range", "bytes 0-99/50000")), qhttp.BodyError),
        (answer(206, DATA[:9], ("Content-Range", "nonsense")), qhttp.BodyError),
        (multipart(RANGES[:2]), qhttp.BodyError),
        (answer(206, b"--sep\r\n", ("Content-Type", "multipart/byteranges; boundary=sep")), qhttp.BodyError),
        (answer(206, b"x", ("Content-Type", "multipart/byteranges")), qhttp.BodyError),
        (multipart([(0, 10), (1000, 5000), (49_990, 50_000), (8, 9)]), None),
        (
            answer(206, gzip.compress(DATA[:9]), ("Content-Encoding", "gzip"), ("Content-Range", "bytes 0-9/50000")),
            qhttp.QHttpError,
        ),
    ],
)
def test_client_get_ranges_answer_that_does_not_have_them_is_an_error(page, error, make):
    with Origin({"/a": page}) as origin, make(retries=0) as client:
        if error is None:
            assert client.get_ranges(origin.url("/a"), RANGES) == WANTED         # the first part has it, too
            return
        with pytest.raises(error):
            client.get_ranges(origin.url("/a"), RANGES)


@pytest.mark.parametrize("ranges", [[], [(5, 5)], [(5, 4)], [(-1, 4)], [(0, 1)] * 1001, [("a", "b")], [(0,)], 5])
def test_client_get_ranges_that_are_none_are_refused(ranges, client):
    with pytest.raises((ValueError, TypeError)):
        client.get_ranges("http://127.0.0.1:1/", ranges)


def test_client_get_ranges_after_a_redirect_and_a_failure(client):
    with Origin({"/a": redirect("/b"), "/b": Each([Reset()], [Reset()], [Reset()], [Reset()], multipart(RANGES))}) as origin:
        assert client.get_ranges(origin.url("/a"), RANGES) == WANTED
        assert {request.get("range") is not None for request in origin.log} == {True}


# -- the end
def test_client_after_its_end_raises(make):
    client = make()
    client.close()
    client.close()
    for call in (
        lambda: client.get("http://127.0.0.1:1/"),
        lambda: client.head("http://127.0.0.1:1/"),
        lambda: client.get_ranges("http://127.0.0.1:1/", [(0, 1)]),
    ):
        with pytest.raises((RuntimeError, ValueError)):
            call()


def test_client_closed_while_it_waits_for_an_answer_raises_cancelled(make):
    client, loop = make(), qhttp.loop()

    def page(_request):
        loop.call_from_thread(client.close)
        return [Drain(LIMIT_S)]
    with Origin({"/a": page}) as origin, pytest.raises(qhttp.Cancelled):
        client.get(origin.url("/a"))


def test_client_call_left_by_an_exception_takes_its_request_back(make):
    loop = qhttp.loop()

    def interrupt():
        raise KeyboardInterrupt

    def page(_request):
        loop.call_from_thread(interrupt)
        return [Drain(LIMIT_S)]
    with Origin({"/a": page, "/b": answer(200, b"x")}) as origin, make(jobs=1) as client:
        with pytest.raises(KeyboardInterrupt):
            client.get(origin.url("/a"))
        assert client.get(origin.url("/b")).content == b"x"


def test_client_in_another_thread_is_refused(client):
    with pytest.raises(RuntimeError):
        in_thread(lambda: client.get("http://127.0.0.1:1/"))


def test_client_that_is_dropped_leaves_nothing(make):
    with Origin({"/a": answer(200, b"x")}) as origin:
        content = make().get(origin.url("/a")).content
        qhttp.run(0)
        gc.collect()
        origin.wait_for(lambda: origin.connections[0].how_ended is not None)
        n_before = n_descriptors()
        for _ in range(5):
            client = make()
            client.get(origin.url("/a"))
            reference = weakref.ref(client)
            del client
        qhttp.run(0)
        gc.collect()
        origin.wait_for(lambda: all(connection.how_ended for connection in origin.connections))
        assert reference() is None and n_descriptors() == n_before
    assert content == b"x"


@pytest.mark.parametrize("settings", [{"fail_fast": True}, {"dry_run": True}, {"no_such": 1}, {"into": "file"}])
def test_client_settings_that_make_no_sense_are_refused_or_harmless(settings, make):
    with Origin({"/a": answer(200, b"x"), "/none": [Reset()]}) as origin:
        try:
            client = make(retries=0, **settings)
        except (TypeError, ValueError):
            return
        with client:
            with pytest.raises(qhttp.QHttpError):
                client.get(origin.url("/none"))
            assert client.get(origin.url("/a")).content == b"x"
