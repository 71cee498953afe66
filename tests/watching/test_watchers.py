"""What watchers ask and do: the URL of a request before it is sent, and fields that a tracer adds to a transfer's requests."""
import pytest
from bulk.origin import Origin, answer, redirect
from bulk.range_servers import SPLIT, Ranged
from support import faults

import qhttp
from qhttp import watching

NAME, VALUE = "traceparent", "00-1-2-01"
HTTPS = qhttp.QHttp.ConnectionModeHttps


@pytest.fixture
def tracer():
    """Adds a field to each transfer that starts; what was raised by that."""
    raised = []

    def add(transfer):
        try:
            transfer.add_header(NAME, VALUE)
        except RuntimeError as error:
            raised.append(str(error))

    @watching.watch
    def follow(made):
        made.started.connect(add)

    yield raised
    watching.unwatch(follow)


def url_of(host, mode, port, queue):
    http = qhttp.QHttp(host, mode, port)
    queue(http)
    try:
        return http.currentUrl()
    finally:
        http.abort()


@pytest.mark.parametrize(("host", "mode", "port", "target", "url"), [
    ("h.test", None, None, "/a?b", "http://h.test/a?b"), ("h.test", 81, None, "/a", "http://h.test:81/a"),
    ("h.test", HTTPS, 0, "/", "https://h.test/"), ("h.test", HTTPS, 80, "/", "https://h.test:80/"),
    ("::1", 443, None, "/", "http://[::1]:443/"), ("h.test", None, None, "a", "http://h.test/a"),
    ("h.test", None, None, "http://other.test/x", "http://other.test/x"),
    ("h.test", None, None, "/?to=http://other.test/", "http://h.test/?to=http://other.test/"),
])
def test_current_url_is_what_is_asked_for(host, mode, port, target, url):
    assert url_of(host, mode, port, lambda http: http.get(target)) == url


def test_current_url_is_empty_where_nothing_is_asked_for():
    assert qhttp.QHttp().currentUrl() == qhttp.QHttp("h").currentUrl() == ""
    assert url_of("h", None, None, lambda http: http.close()) == url_of("h", None, None, lambda http: http.setHost("g")) == ""
    http = qhttp.QHttp()
    http.get("/")
    assert http.currentUrl() == ""      # no server
    http.abort()


def test_current_url_is_of_the_request_that_starts(scripted_server):
    server, told = scripted_server(faults.answer(b"a", b"b")), []
    http = qhttp.QHttp()
    http.requestStarted.connect(lambda number: told.append(http.currentUrl()))
    http.setHost(server.host, server.port)
    http.get("/1")
    http.post("/2", b"x")
    assert http.waitForDone(5000) and told == ["", *(f"http://{server.host}:{server.port}/{number}" for number in (1, 2))]


def test_added_header_goes_with_all_requests_of_a_transfer(tracer):
    with Origin({"/b": answer(200, b"x")}) as other, Origin({"/a": redirect(other.url("/b"))}) as origin, \
            qhttp.Client(proxy=None) as client:
        found = client.get(origin.url("/a"), [("X-Own", "1")])
        plain = client.get(other.url("/b"))
    assert [request.get(NAME) for request in origin.log + other.log] == [VALUE] * 3
    assert origin.log[0].get("x-own") == "1"
    assert found.n_redirects == 1 and (found.request_method, plain.request_method) == ("GET", "GET") and not tracer


def test_added_header_is_no_part_of_the_row(tracer, tmp_path):
    with Origin() as origin, \
            qhttp.Downloader([{"url": origin.url("/a"), "headers": [("X-Own", "1")]}, origin.url("/a?2")], dir=tmp_path,
                             proxy=None, retries=0) as downloader:
        downloader.run()
        left = list(downloader.left())
    assert len(left) == 2 and all(request.get(NAME) == VALUE for request in origin.log) and NAME not in str(left)


def test_added_header_goes_with_the_pieces_of_a_file(tracer, tmp_path):
    with Origin({"/a": Ranged()}) as origin:
        transfer, = qhttp.iter_download([origin.url("/a")], dir=tmp_path, proxy=None, **SPLIT)
    assert transfer.error is None and len(origin.log) > 2 and {request.get(NAME) for request in origin.log} == {VALUE}


@pytest.mark.parametrize(("name", "value"), [("a b", "c"), ("a", "b\r\nc: d"), ("Range", "bytes=0-1")])
def test_added_header_that_may_not_be_sent_is_refused(closed_port, name, value):
    transfers = []

    def add(transfer):
        transfers.append(transfer)
        with pytest.raises(ValueError):
            transfer.add_header(name, value)

    with qhttp.Downloader([f"http://127.0.0.1:{closed_port.port}/"], into="bytes", proxy=None, retries=0) as downloader:
        downloader.started.connect(add)
        downloader.run()
    with pytest.raises(RuntimeError, match="too late"):
        transfers[0].add_header(NAME, VALUE)


def test_added_header_comes_too_late_for_what_was_sent_ahead(tracer):
    with Origin({f"/{number}": answer(200, b"x") for number in range(12)}) as origin:
        found = list(qhttp.iter_download([origin.url(path) for path in origin.answers], into="bytes", proxy=None, per_host=1,
                                         pipelining=4))
    n_sent = sum(request.get(NAME) is not None for request in origin.log)
    assert [transfer.error for transfer in found] == [None] * 12 and 0 < len(tracer) == 12 - n_sent < 12
