"""What may be asked for: paths, methods, header objects. What could be read as other than one request never gets out."""
import io
import warnings

import pytest
from support.actions import ReceiveRequest, Send
from support.faults import whole

from qhttp import QHttp, QHttpRequestHeader, QHttpResponseHeader

BAD_PATHS = ["/a b", "/a\r\nX: y", "/a\nb", "/a\rb", "/a\x00b", "/a\tb", "/\x7f", "/ä", "/€", " /", "/ ", "/a\x0bb", "/a\x1fb",
             "\r\n",
             b"/a b", b"/\xe4", b"/\r\n", "/\u2028", "/\u3000"]
GOOD_PATHS = ["/", "/a?b=c#d", "relative", "http://example.com/x", "*", "/%20%0d%0a", "//x", "/" + "x" * 8000,
              "/~!$&'()*+,;=:@|{}\"<>\\^`[]"]
BAD_VALUES = ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\x00b", "a\x7fb", "a\x1fb", "\n", "a\r\n\r\nGET / HTTP/1.1", "€", "a\u2028b"]
BAD_NAMES = ["", " ", "X Y", "X:", "X\r\nY", "X\n", "Ä", "X\x00", "(X)", "X,Y", "Content-Length ", "\tX", "X\x7f", '"X"', "X/Y"]
BAD_METHODS = ["GET ", " GET", "G T", "GET\r\nX: y", "", "GÄT", "GET/", "G\x00T", "GET\t", "(GET)", "GET:"]


@pytest.fixture
def wire(make, finish, scripted_server):
    """What the server got for the requests that a function queues: wire(queue) -> [bytes, ...]."""
    def play(queue, n=1):
        server = scripted_server([action for _ in range(n) for action in (ReceiveRequest(), Send(whole()))])
        http = make(server)
        queue(http)
        finish(http)
        assert http.error() == QHttp.NoError, http.errorString()
        return server.requests[0]
    return play


def header_of(method="GET", path="/", *fields, version=(1, 1)):
    header = QHttpRequestHeader(method, path, *version)
    for name, value in fields:
        header.addValue(name, value)
    return header


def refused(make, header, *arguments, match="header", kind=ValueError):
    http = make("h")
    with pytest.raises(kind, match=match):
        http.request(header, *arguments)
    assert http.currentId() == 0


# -- paths
@pytest.fixture(params=["get", "head", "post", "request"])
def ask(request):
    """Every way to give a path: ask(http, path)."""
    return {"get": lambda http, path: http.get(path), "head": lambda http, path: http.head(path),
            "post": lambda http, path: http.post(path, b""),
            "request": lambda http, path: http.request(
                header_of("GET", path if isinstance(path, str) else path.decode("latin-1")))}[request.param]


@pytest.mark.parametrize("path", BAD_PATHS, ids=ascii)
def test_path_that_could_end_the_line_refused_by_name(make, ask, path):
    http = make("h")
    with pytest.raises(ValueError, match="path"):
        ask(http, path)
    assert http.currentId() == 0


@pytest.mark.parametrize("path", GOOD_PATHS, ids=lambda path: path[:20])
def test_path_of_visible_ascii_sent_as_it_is(make, wire, path):
    assert wire(lambda http: http.get(path))[0].split(b" ")[1] == path.encode()


@pytest.mark.parametrize("path", [None, 5, ["/"], 1.5, object()], ids=repr)
def test_path_of_wrong_type_refused_by_name(make, path):
    http = make("h")
    for call in (http.get, http.head, lambda path: http.post(path, b"")):
        with pytest.raises(TypeError, match="path"):
            call(path)


def test_path_empty_warns_at_the_callers_line_and_asks_for_the_root(wire):
    def queue(http):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            http.get("")
            http.post("", b"x")
            http.request(header_of("GET", ""))
            http.head("")
        texts.extend(str(warning.message) for warning in caught)
        files.update(warning.filename for warning in caught)

    texts, files = [], set()
    http_requests = wire(queue, 4)
    assert all(b" / HTTP/1.1\r\n" in request for request in http_requests) and len(http_requests) == 4
    assert len(texts) == 4 and all("empty path requested is invalid -- using '/'" in text for text in texts)
    assert files == {__file__}


def test_path_empty_with_warnings_as_errors_queues_nothing(make):
    http = make("h")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning):
            http.get("")
    assert http.currentId() == 0


# -- what get, head and post send
def test_simple_requests_send_exactly_the_recorded_bytes(make, path_server, wire):
    requests = wire(lambda http: (http.get("/g"), http.post("/p", b"data"), http.post("/e", b""), http.post("/n", None)), 4)
    host = requests[0].split(b"Host: ")[1].split(b"\r\n")[0]
    fixed = b"Connection: Keep-Alive\r\nHost: " + host + b"\r\n"
    assert requests == [b"GET /g HTTP/1.1\r\n" + fixed + b"\r\n",
                        b"POST /p HTTP/1.1\r\n" + fixed + b"content-length: 4\r\n\r\ndata",
                        b"POST /e HTTP/1.1\r\n" + fixed + b"content-length: 0\r\n\r\n",
                        b"POST /n HTTP/1.1\r\n" + fixed + b"\r\n"]


def test_keyword_arguments_named_as_in_qt(make, path_server, finish):
    http, to = make(path_server), io.BytesIO()
    path = path_server.path("whole")
    http.setHost(hostname=path_server.host, port=path_server.port)
    http.get(path=path, to=to)
    http.head(path=path)
    http.post(path=path, data=b"x", to=to)
    http.request(header=header_of("GET", path), data=None, to=to)
    finish(http)
    assert to.getvalue() == path_server.body(path) * 3


# -- methods
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PROPFIND", "OPTIONS", "PATCH", "MKCOL", "REPORT", "x", "get", "M-SEARCH",
                                    "A!#$%&'*+-.^_`|~9"])
@pytest.mark.parametrize("data", [None, b"", b"<body/>"])
def test_request_any_method_with_and_without_body_sent(wire, method, data):
    request = wire(lambda http: http.request(header_of(method, "/r", ("Host", "h"), ("X-A", "1")), data))[0]
    length = b"" if data is None else b"content-length: %d\r\n" % len(data)
    assert request == method.encode() + b" /r HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n" + length + b"\r\n" + (data or b"")


@pytest.mark.parametrize("method", BAD_METHODS, ids=ascii)
def test_request_method_that_is_no_token_refused(make, method):
    refused(make, header_of(method), match="method")


def test_request_connect_refused(make):
    refused(make, header_of("CONNECT", "h:443"), match="CONNECT")


def test_request_head_answer_has_no_body(make, path_server, finish):
    http = make(path_server)
    http.request(header_of("HEAD", path_server.path("whole")))
    http.get(path_server.path("whole", 10))
    finish(http)
    assert http.readAll() == path_server.body(path_server.path("whole", 10))


def test_request_body_with_get_and_head_sent(make, path_server, finish):
    http = make(path_server)
    for method in ("GET", "HEAD"):
        http.request(header_of(method, path_server.path("whole")), b"unusual")
    finish(http)
    taken = path_server.connections[-1].taken
    assert taken[1::2] == [b"unusual"] * 2 and http.error() == QHttp.NoError


# -- fields
@pytest.mark.parametrize("value", BAD_VALUES, ids=ascii)
def test_request_value_that_could_end_the_line_refused(make, value):
    refused(make, header_of("GET", "/", ("X-Good", "1"), ("X-Bad", value)), match="X-Bad")


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_request_name_that_is_no_token_refused(make, name):
    refused(make, header_of("GET", "/", (name, "1")), match="name")


@pytest.mark.parametrize("name", ["Transfer-Encoding", "transfer-encoding", "TRANSFER-ENCODING"])
@pytest.mark.parametrize("value", ["chunked", "identity", "", "gzip, chunked", "x"])
@pytest.mark.parametrize("data", [None, b"x"])
def test_request_transfer_encoding_refused(make, name, value, data):
    refused(make, header_of("POST", "/", (name, value)), data, match="Transfer-Encoding")


@pytest.mark.parametrize("lengths, data", [
    (["5"], None), (["5", "6"], b"12345"), (["5", "5"], None), (["-1"], None), (["+5"], None), (["0", "5"], None),
    (["5", "0"], b""),
    (["0x5"], None), (["5, 5"], None), ([""], None), ([" "], None), (["-0"], None)])
def test_request_length_that_contradicts_refused(make, lengths, data):
    refused(make, header_of("POST", "/", *(("Content-Length", length) for length in lengths)), data, match="Content-Length")


@pytest.mark.parametrize("name", ["Content-Length", "content-length", "CONTENT-LENGTH", "cOnTeNt-LeNgTh"])
@pytest.mark.parametrize("given", ["5", "999", "0", "rubbish", ""])
def test_request_length_beside_data_replaced_in_place_with_its_spelling(wire, name, given):
    request = wire(lambda http: http.request(header_of("PUT", "/", ("A", "1"), (name, given), ("B", "2")), b"body"))[0]
    assert request == b"PUT / HTTP/1.1\r\nA: 1\r\n" + name.encode() + b": 4\r\nB: 2\r\n\r\nbody"


def test_request_length_given_twice_alike_sent_once(wire):
    header = header_of("PUT", "/", ("Content-Length", "4"), ("content-length", "4"))
    assert wire(lambda http: http.request(header, b"body"))[0] == b"PUT / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"


def test_request_length_zero_without_data_sent(wire):
    header = header_of("POST", "/", ("Content-Length", "0"))
    assert wire(lambda http: http.request(header))[0].count(b"Content-Length: 0\r\n") == 1


def test_request_setcontentlength_as_old_code_does_it(wire):
    header = header_of("POST", "/")
    header.setContentLength(3)
    header.setContentType("text/plain; charset=utf-8")
    assert wire(lambda http: http.request(header, b"body"))[0] == (
        b"POST / HTTP/1.1\r\ncontent-length: 4\r\ncontent-type: text/plain; charset=utf-8\r\n\r\nbody")


def test_request_fields_sent_in_order_with_spelling_and_latin1(wire):
    header = header_of("GET", "/", ("b", "2"), ("A", "1"), ("B", "3"), ("X", "ä\xff"), ("Y", "in\tside"), ("Z", ""))
    assert wire(lambda http: http.request(header))[0] == (
        b"GET / HTTP/1.1\r\nb: 2\r\nA: 1\r\nB: 3\r\nX: \xe4\xff\r\nY: in\tside\r\nZ: \r\n\r\n")


@pytest.mark.parametrize("version", [(1, 0), (1, 1)])
def test_request_version_sent_as_given(wire, version):
    header = header_of("GET", "/", version=version)
    assert wire(lambda http: http.request(header))[0].startswith(b"GET / HTTP/1.%d\r\n" % version[1])


@pytest.mark.parametrize("version", [(0, 9), (1, 2), (2, 0), (3, 0), (-1, 1), (1, -1), (11, 1)])
def test_request_other_version_refused(make, version):
    refused(make, header_of("GET", "/", version=version), match="version")


# -- the header object
@pytest.mark.parametrize("header", [None, "GET / HTTP/1.1", b"GET", 5, QHttpResponseHeader(200), object()],
                         ids=lambda x: type(x).__name__)
def test_request_header_of_wrong_type_refused_by_name(make, header):
    refused(make, header, kind=TypeError)


@pytest.mark.parametrize("header", [QHttpRequestHeader(), QHttpRequestHeader("GET /"),
                                    QHttpRequestHeader("GET / HTTP/1.1\r\nno colon")])
def test_request_invalid_header_ends_with_unknownerror_and_sends_nothing(make, scripted_server, record, finish, header):
    server = scripted_server()
    http = make(server)
    told = record(http)
    number = http.request(header)
    finish(http)
    assert told.finished == [(number, True)] and http.error() == QHttp.UnknownError and told.states == []
    assert "header" in http.errorString() and server.connections == []


def test_request_header_copied_at_the_call(wire):
    def queue(http):
        header = header_of("GET", "/before", ("X", "before"))
        http.request(header, b"body")
        header.setRequest("DELETE", "/after", 1, 0)
        header.setValue("X", "after\r\nEvil: 1")
        header.addValue("Transfer-Encoding", "chunked")

    assert wire(queue)[0] == b"GET /before HTTP/1.1\r\nX: before\r\ncontent-length: 4\r\n\r\nbody"


def test_request_header_of_the_caller_never_changed(wire):
    header = header_of("PUT", "/", ("Content-Length", "1"))
    before = header.toString()
    wire(lambda http: http.request(header, b"body"))
    assert header.toString() == before


class SlyHeader(QHttpRequestHeader):
    """Says something else every time it is asked."""

    def values(self):
        return [("X", "\r\nEvil: 1")]

    def method(self):
        return "GET / HTTP/1.1\r\nEvil: 1\r\n\r\nGET"

    def isValid(self):
        return False


def test_request_header_subclass_that_lies_taken_at_its_fields(wire):
    assert wire(lambda http: http.request(SlyHeader("GET", "/")))[0] == b"GET / HTTP/1.1\r\n\r\n"


class SlyText(str):
    """A text that shows one face to the check and another to the sender."""

    def encode(self, *_):
        return b"/\r\nEvil: 1"

    def isascii(self):
        return True


def test_request_sly_texts_never_break_the_line(make, scripted_server, finish):
    server = scripted_server([ReceiveRequest(), Send(whole())] * 3)
    http = make(server)
    for queue in (lambda: http.get(SlyText("/x")), lambda: http.request(header_of("GET", "/", ("X", SlyText("v")))),
                  lambda: http.request(header_of("GET", SlyText("/y")))):
        try:
            queue()
        except (TypeError, ValueError):
            pass
    finish(http)
    assert not any(b"\r\nEvil" in request for request in server.requests[0:1] for request in request)


def test_request_current_request_shows_it_as_given(make, path_server, finish):
    http = make(path_server)
    seen = []
    http.requestFinished.connect(lambda: seen.append(http.currentRequest().toString()))
    http.request(header_of("PUT", path_server.path("whole"), ("X", "1")), b"body")
    finish(http)
    assert seen == [f"PUT {path_server.path('whole')} HTTP/1.1\r\nX: 1\r\n\r\n"]


def test_request_answers_of_mixed_requests_go_to_their_requests(make, path_server, finish):
    http = make(path_server)
    got = []
    http.requestFinished.connect(lambda number: got.append(http.readAll()))
    paths = [path_server.path("thirds", 50 + n, n) for n in range(6)]
    http.get(paths[0])
    http.post(paths[1], b"x" * 1000)
    http.request(header_of("PUT", paths[2]), b"y")
    http.head(paths[3].replace("thirds", "whole"))
    http.request(header_of("DELETE", paths[4]))
    http.get(paths[5])
    finish(http)
    assert got == [path_server.body(path) if n != 3 else b"" for n, path in enumerate(paths)]
    assert http.error() == QHttp.NoError
