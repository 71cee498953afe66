"""Devices after Qt's: ours, look-alikes, and those of a real PySide6 where it is installed."""
import pytest
from support.actions import ReceiveRequest, Send
from support.faults import whole

from qhttp import QHttp
from qhttp.compat import QBuffer, QByteArray, QFile, QIODevice, QUrl


@pytest.fixture
def qt_core(monkeypatch):
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    return pytest.importorskip("PySide6.QtCore")


@pytest.fixture
def exchange(scripted_server, finish):
    """Posts a body into a destination: exchange(data, to) -> (http, the request's bytes)."""
    def post(data=b"", to=None, answer=b"answer"):
        server = scripted_server([ReceiveRequest(), Send(whole(answer))])
        http = QHttp(server.host, server.port)
        http.post("/", data, to)
        finish(http)
        return http, server.requests[0][0] if server.connections and server.requests[0] else b""
    return post


class Lookalike:
    """Only what has to be there."""

    def __init__(self, content=b"", opens=True, sequential=False, n_written=None):
        self.content, self.opens, self.sequential, self.n_written = content, opens, sequential, n_written
        self.modes, self.at, self.seeks = [], 0, []

    def isOpen(self):
        return bool(self.modes)

    def open(self, mode):
        if self.opens:
            self.modes.append(mode)
        return self.opens

    def errorString(self):
        return "out of order"

    def isSequential(self):
        return self.sequential

    def size(self):
        return len(self.content)

    def seek(self, pos):
        self.seeks.append(pos)
        self.at = pos
        return True

    def read(self, n):
        data, self.at = self.content[self.at:self.at + n], self.at + n
        return data

    def write(self, data):
        self.content += data
        return len(data) if self.n_written is None else self.n_written


class Boxed:
    """What a read may give: no bytes, but something with data()."""

    def __init__(self, data):
        self.data = lambda: data


def test_closed_lookalike_source_opened_once_for_reading(exchange):
    device = Lookalike(b"question")
    _, sent = exchange(device)
    assert sent.endswith(b"\r\n\r\nquestion") and device.modes == [1] and set(device.seeks) == {0}


def test_open_source_rewound_and_not_opened_again(exchange):
    device = Lookalike(b"question")
    device.modes, device.at = [3], 5
    assert exchange(device)[1].endswith(b"\r\n\r\nquestion") and device.modes == [3]


def test_sequential_source_sent_as_it_is_and_not_rewound(exchange):
    device = Lookalike(b"question", sequential=True)
    assert exchange(device)[1].endswith(b"\r\n\r\nquestion") and device.seeks == []


def test_source_that_gives_objects_with_data_sent(exchange):
    device = Lookalike(b"question")
    read = device.read
    device.read = lambda n: Boxed(read(n))
    assert exchange(device)[1].endswith(b"\r\n\r\nquestion")


@pytest.mark.parametrize("role", ["source", "destination"])
def test_device_that_does_not_open_fails_in_words(exchange, role):
    device = Lookalike(b"x", opens=False)
    http, sent = exchange(device) if role == "source" else exchange(b"", device)
    assert sent == b"" and http.error() == QHttp.UnknownError
    assert "cannot be opened" in http.errorString() and "out of order" in http.errorString()


@pytest.mark.parametrize("role", ["source", "destination"])
def test_device_whose_open_raises_fails_in_words(exchange, role):
    device = Lookalike(b"x")
    device.open = lambda mode: 1 / 0
    http, sent = exchange(device) if role == "source" else exchange(b"", device)
    assert sent == b"" and "division by zero" in http.errorString()


def test_source_that_does_not_seek_fails_in_words(exchange):
    device = Lookalike(b"x")
    device.seek = lambda pos: False
    assert "does not go back" in exchange(device)[0].errorString()


def test_closed_lookalike_destination_opened_once_for_writing(exchange):
    device = Lookalike()
    http, _ = exchange(b"", device)
    assert http.error() == QHttp.NoError and device.content == b"answer" and device.modes == [2]


@pytest.mark.parametrize("n_written", [-1, 0, 3])
def test_destination_that_takes_less_is_an_error(exchange, n_written):
    http, _ = exchange(b"", Lookalike(n_written=n_written))
    assert http.error() == QHttp.UnknownError and http.errorString().startswith("Error writing response to device")


# -- ours
def test_buffer_reads_writes_and_refuses_as_qt_does():
    buffer = QBuffer(b"abc")
    assert not buffer.isOpen() and buffer.read(1) == b"" and buffer.write(b"x") == -1 and not buffer.seek(0)
    assert buffer.open(QIODevice.ReadWrite) and not buffer.open(QIODevice.ReadOnly) and buffer.errorString()
    assert buffer.read(2) == b"ab" and buffer.pos() == 2 and buffer.write(b"XYZ") == 3 and buffer.data() == b"abXYZ"
    assert buffer.seek(1) and buffer.readAll() == b"bXYZ" and buffer.atEnd() and not buffer.seek(9)
    buffer.close()
    assert buffer.open(QIODevice.Append) and buffer.write(b"!") == 1 and buffer.read(1) == b"" and buffer.data() == b"abXYZ!"


def test_file_opens_renames_and_removes(tmp_path):
    name = str(tmp_path / "a")
    file = QFile(name)
    assert not file.open(QIODevice.ReadOnly) and "No such file" in file.errorString() and not file.exists()
    assert file.open(QIODevice.WriteOnly) and file.write(b"abc") == 3 and file.size() == 3 and file.read(1) == b""
    file.close()
    assert file.open(QIODevice.ReadOnly) and file.readAll() == b"abc" and file.write(b"x") == -1
    assert file.rename(name + "b") and file.fileName() == name + "b" and QFile.exists(name + "b") and not QFile.exists(name)
    assert QFile.remove(name + "b") and not file.remove() and file.errorString()


def test_file_on_a_full_disk_is_an_error(exchange):
    http, _ = exchange(b"", QFile("/dev/full"))
    assert http.error() == QHttp.UnknownError and "it took -1 of 6 bytes" in http.errorString()


# -- PySide6's own
def test_pyside_devices_closed_are_opened(qt_core, exchange, tmp_path):
    question, answer = qt_core.QBuffer(), qt_core.QFile(str(tmp_path / "answer"))
    question.setData(b"question")
    http, sent = exchange(question, answer)
    assert http.error() == QHttp.NoError, http.errorString()
    assert sent.endswith(b"\r\n\r\nquestion") and question.isOpen() and answer.isOpen()
    answer.close()
    assert (tmp_path / "answer").read_bytes() == b"answer"


def test_pyside_file_that_is_not_there_fails_in_words(qt_core, exchange, tmp_path):
    http, sent = exchange(qt_core.QFile(str(tmp_path / "nothing")))
    assert sent == b"" and "No such file" in http.errorString()


def test_pyside_byte_array_and_url_accepted(qt_core, scripted_server, finish):
    server = scripted_server([ReceiveRequest(), Send(whole(b"1")), ReceiveRequest(), Send(whole(b"2")), ReceiveRequest(),
                              Send(whole(b"3"))])
    url = qt_core.QUrl(f"http://127.0.0.1:{server.port}/a b?x=%2F&y=\xe4#part")
    http = QHttp(url, url.port())
    http.post(qt_core.QUrl.toPercentEncoding("/p q", b"/"), qt_core.QByteArray(b"data"))
    http.setHost(url, url.port())
    http.get(url)
    http.get(qt_core.QUrl("http://h?q"))
    finish(http)
    first, second, third = server.requests[0]
    assert first.startswith(b"POST /p%20q HTTP/1.1\r\n") and first.endswith(b"\r\n\r\ndata")
    assert second.startswith(b"GET /a%20b?x=%2F&y=%C3%A4 HTTP/1.1\r\n") and third.startswith(b"GET /?q HTTP/1.1\r\n")


@pytest.mark.parametrize("end", ["delete later", "last reference"])
def test_pyside_parent_that_ends_aborts_its_child(qt_core, scripted_server, finish, end):
    server = scripted_server([ReceiveRequest()])
    box = [qt_core.QObject()]
    http = QHttp(server.host, server.port, box[0])
    assert http.parent() is box[0]
    http.get("/")
    if end == "delete later":
        box[0].deleteLater()
        app = qt_core.QCoreApplication.instance() or qt_core.QCoreApplication([])
        qt_core.QCoreApplication.sendPostedEvents(None, qt_core.QEvent.DeferredDelete)
        assert app
    box.clear()
    finish(http)
    assert http.error() == QHttp.Aborted


# -- QUrl
def test_url_is_taken_apart():
    url = QUrl("HTTP://me:p%40w@Ex.org:8080/a%20b/c?x=1&y=%2F#frag")
    assert (url.scheme(), url.host(), url.port(), url.port(80)) == ("http", "ex.org", 8080, 8080)
    assert (url.userName(), url.password(), url.path(), url.fileName()) == ("me", "p@w", "/a b/c", "c")
    assert (url.encodedPath(), url.query(), url.fragment()) == (b"/a%20b/c", "x=1&y=%2F", "frag")
    assert url.hasQuery() and url.isValid() and not url.isRelative() and "x=1" not in repr(url) and "w@" not in repr(url)
    assert QUrl("http://h/").port() == -1 and QUrl("http://h/").port(80) == 80 and QUrl(url) == url
    assert QUrl("http://h/a/b").resolved(QUrl("../c?d")).toString() == "http://h/c?d"
    assert QUrl().isEmpty() and not QUrl("http://h:port/").isValid()


def test_url_percent_encoding_as_qt_but_for_the_slash():
    code = QUrl.toPercentEncoding("/a b\xe4?")
    assert code == b"/a%20b%C3%A4%3F" and type(code) is QByteArray
    assert QUrl.toPercentEncoding("/a", "") == b"%2Fa" and QUrl.toPercentEncoding("a-b", b"", b"-") == b"a%2Db"
    assert QUrl.fromPercentEncoding(b"/a%20b%C3%A4") == "/a b\xe4"


def test_url_as_host_and_path_sends_both(scripted_server, finish):
    server = scripted_server([ReceiveRequest(), Send(whole(b"ok"))])
    url = QUrl(f"http://127.0.0.1:{server.port}/a b?q#f")
    http = QHttp(url, url.port())
    http.get(url)
    finish(http)
    assert server.requests[0][0].startswith(b"GET /a%20b?q HTTP/1.1\r\n")
