"""Small programs as they were written for PySide and PyQt: only their first line is another one."""
import os

import pytest
from face.conftest import PathServer
from support.actions import Receive, ReceiveRequest, Send
from support.faults import whole

from qhttp.compat import (
    SIGNAL,
    SLOT,
    QBuffer,
    QCoreApplication,
    QFile,
    QFileInfo,
    QHttp,
    QHttpRequestHeader,
    QIODevice,
    QNetworkProxy,
    QObject,
    QTimer,
    QUrl,
)

REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: /second\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def app():
    return QCoreApplication([])


# -- 1: PySide's http example, without its windows
class HttpWindow(QObject):
    def __init__(self, folder, app):
        super().__init__()
        self.folder, self.app = folder, app
        self.httpGetId, self.httpRequestAborted, self.outFile = 0, False, None
        self.status, self.progress = [], []
        self.http = QHttp(self)
        self.connect(self.http, SIGNAL("requestFinished(int, bool)"), self.httpRequestFinished)
        self.connect(self.http, SIGNAL("dataReadProgress(int, int)"), self.updateDataReadProgress)
        self.connect(self.http, SIGNAL("responseHeaderReceived(QHttpResponseHeader)"), self.readResponseHeader)

    def downloadFile(self, text):
        url = QUrl(text)
        name = os.path.join(self.folder, QFileInfo(url.path()).fileName())
        if QFile.exists(name):
            QFile.remove(name)
        self.outFile = QFile(name)
        assert self.outFile.open(QIODevice.WriteOnly), self.outFile.errorString()
        port = url.port()
        if port == -1:
            port = 0
        self.http.setHost(url.host(), QHttp.ConnectionModeHttp, port)
        if url.userName():
            self.http.setUser(url.userName(), url.password())
        self.httpRequestAborted = False
        path = QUrl.toPercentEncoding(url.path(), "!$&'()*+,;=:@/") or "/"
        self.httpGetId = self.http.get(path, self.outFile)

    def cancelDownload(self):
        self.status.append("canceled")
        self.httpRequestAborted = True
        self.http.abort()

    def httpRequestFinished(self, requestId, error):
        if requestId != self.httpGetId:
            return
        if self.httpRequestAborted:
            self.outFile.close()
            self.outFile.remove()
            self.outFile = None
            self.app.quit()
            return
        self.outFile.close()
        if error:
            self.outFile.remove()
        self.status.append(self.http.errorString() if error else "downloaded")
        self.app.quit()

    def readResponseHeader(self, responseHeader):
        if responseHeader.statusCode() not in (200, 300, 301, 302, 303, 307):
            self.status.append(responseHeader.reasonPhrase())
            self.httpRequestAborted = True
            self.http.abort()

    def updateDataReadProgress(self, bytesRead, totalBytes):
        if self.httpRequestAborted:
            return
        self.progress.append((bytesRead, totalBytes))


def test_http_example_downloads_a_file(tmp_path, path_server, app):
    window = HttpWindow(str(tmp_path), app)
    path = path_server.path("thirds", 3000, "file.bin")
    window.downloadFile(f"http://127.0.0.1:{path_server.port}{path}")
    app.exec_()
    assert window.status == ["downloaded"] and (tmp_path / "file.bin").read_bytes() == path_server.body(path)
    assert window.progress[-1] == (3000, 3000)


def test_http_example_cancelled_leaves_no_file(tmp_path, scripted_server, app):
    server = scripted_server([ReceiveRequest(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")])
    window = HttpWindow(str(tmp_path), app)
    window.http.dataReadProgress.connect(lambda *_: QTimer.singleShot(0, window, SLOT("cancelDownload()")))
    window.downloadFile(f"http://127.0.0.1:{server.port}/file.bin")
    app.exec_()
    assert window.status == ["canceled"] and os.listdir(tmp_path) == []


def test_http_example_refuses_a_bad_status(tmp_path, scripted_server, app):
    server = scripted_server([ReceiveRequest(), Send(b"HTTP/1.1 404 Not Here\r\nContent-Length: 0\r\n\r\n")])
    window = HttpWindow(str(tmp_path), app)
    window.downloadFile(f"http://127.0.0.1:{server.port}/file.bin")
    app.exec_()
    assert window.status == ["Not Here"] and os.listdir(tmp_path) == []


# -- 2: several objects of a subclass, their requests told apart by id
class Fetcher(QHttp):
    answers = {}

    def __init__(self, host, port, parent=None):
        QHttp.__init__(self, host, port, parent)
        self.wanted = {}
        self.connect(self, SIGNAL("requestFinished(int,bool)"), self.finished)

    def fetch(self, path):
        self.wanted[self.get(path)] = path

    def finished(self, number, error):
        if number in self.wanted:
            Fetcher.answers[self.wanted.pop(number)] = self.readAll().data()


def test_objects_of_a_subclass_told_apart_by_id(path_server, app):
    Fetcher.answers, parent = {}, QObject()
    paths = [path_server.path("chunked", 100 + n) for n in range(12)]
    fetchers = [Fetcher("127.0.0.1", path_server.port, parent) for _ in range(3)]
    for n, path in enumerate(paths):
        fetchers[n % 3].fetch(path)
    app.exec_()
    assert {path: path_server.body(path) for path in paths} == Fetcher.answers


# -- 3: a proxy switched in place
def test_proxy_types_switched_in_place(scripted_server, app):
    def serve(text):
        return scripted_server(beyond=[ReceiveRequest(), Send(whole(text))] * 3)

    server, proxy_server = serve(b"direct"), serve(b"by proxy")
    http, bodies = QHttp(), []
    http.connect(SIGNAL("done(bool)"), lambda error: bodies.append(http.readAll()))
    proxy = QNetworkProxy(QNetworkProxy.DefaultProxy, "127.0.0.1", proxy_server.port)
    for kind in (QNetworkProxy.HttpCachingProxy, QNetworkProxy.NoProxy, QNetworkProxy.HttpProxy):
        proxy.setType(kind)
        http.setProxy(proxy)
        http.setHost("127.0.0.1", server.port)
        http.get("/x")
        app.exec_()
    assert bodies == [b"by proxy", b"direct", b"by proxy"]


# -- 4: redirects followed where the header comes in
def test_redirect_followed_inside_response_header_received(scripted_server, app):
    server = scripted_server([ReceiveRequest(), Send(REDIRECT), ReceiveRequest(), Send(whole(b"there"))])
    http, bodies = QHttp("127.0.0.1", server.port), []

    def header(response):
        if response.statusCode() in (301, 302):
            http.get(response.value("location"))

    http.connect(http, SIGNAL("responseHeaderReceived(const QHttpResponseHeader &)"), header)
    http.connect(http, SIGNAL("done(bool)"), lambda error: bodies.append((error, http.readAll().data())))
    http.get("/first")
    app.exec_()
    assert bodies == [(False, b"there")] and server.requests[0][1].startswith(b"GET /second ")


# -- 5: pause by abort, go on by Range
def test_pause_by_abort_and_resume_by_range(tmp_path, scripted_server, app):
    server = scripted_server(
        [ReceiveRequest(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234")],
        [ReceiveRequest(), Send(b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-9/10\r\n"
                                b"Content-Length: 5\r\n\r\n56789")])
    file = QFile(str(tmp_path / "file"))
    file.open(QIODevice.ReadWrite)
    http, ends = QHttp("127.0.0.1", server.port), []
    http.dataReadProgress.connect(lambda done, total: done == 5 and total == 10 and http.abort())
    http.done.connect(ends.append)
    http.get("/f", file)
    app.exec_()
    assert ends == [True] and file.size() == 5
    header = QHttpRequestHeader("GET", QUrl.toPercentEncoding("/f"))
    header.setValue("Host", "127.0.0.1")
    header.setValue("Range", f"bytes={file.size()}-")
    http.request(header, None, file)
    app.exec_()
    file.close()
    assert ends == [True, False] and (tmp_path / "file").read_bytes() == b"0123456789"
    assert b"Range: bytes=5-\r\n" in server.requests[1][0]


# -- 6: an endless stream, read as it comes
def test_endless_stream_read_in_ready_read(scripted_server, app):
    frames = [b"--frame\r\n%03d\r\n" % n for n in range(50)]
    server = scripted_server([ReceiveRequest(), Send(b"HTTP/1.1 200 OK\r\n\r\n"), *map(Send, frames)])
    http, buffer = QHttp("127.0.0.1", server.port), []

    def read():
        buffer.append(http.readAll())
        if b"049" in buffer[-1]:
            http.abort()

    http.connect(http, SIGNAL("readyRead(const QHttpResponseHeader&)"), read)
    http.get("/stream")
    app.exec_()
    assert b"".join(buffer) == b"".join(frames) and http.error() == QHttp.Aborted


# -- 7: the next server from inside requestFinished
def test_sethost_and_get_from_inside_request_finished(scripted_server, app):
    servers = [scripted_server([ReceiveRequest(), Send(whole(b"%d" % n))]) for n in range(3)]
    left, http, log, current = list(servers), QHttp(), [], [None]

    def next_one(number=0, error=False):      # 0: the first call
        if http.bytesAvailable():
            log.append(http.readAll())
        if left and number in (0, current[0]):
            server = left.pop(0)
            http.setHost("127.0.0.1", server.port)
            current[0] = http.get("/")

    http.requestFinished.connect(next_one)
    http.done.connect(lambda error: log.append(error))
    next_one()
    app.exec_()
    assert log == [b"0", b"1", b"2", False]


# -- 8: a buffer that nobody has opened
def test_unopened_buffers_as_devices(scripted_server, app):
    server = scripted_server([ReceiveRequest(), Send(whole(b"answer"))])
    http, source, target = QHttp("127.0.0.1", server.port), QBuffer(b"question"), QBuffer()
    http.post("/", source, target)
    app.exec_()
    assert target.data() == b"answer" and server.requests[0][0].endswith(b"\r\n\r\nquestion")
    assert source.isOpen() and target.isOpen() and target.isWritable() and not target.isReadable()


# -- 9: a slot without arguments
class Ticker(QObject):
    def getTicks(self, port):
        self.http = http = QHttp(self)
        self.connect(http, SIGNAL("done(bool)"), self, SLOT("showPage()"))
        http.setHost("127.0.0.1", port)
        http.get("/ticks.asp")

    def showPage(self):
        self.shown = self.sender().readAll()


def test_slot_without_arguments_on_done(scripted_server, app):
    server = scripted_server([ReceiveRequest(), Send(whole(b"ticks"))])
    ticker = Ticker()
    ticker.getTicks(server.port)
    app.exec_()
    assert ticker.shown == b"ticks"


# -- 10: close() behind a get
def test_close_queued_behind_a_get(path_server, app, record):
    http = QHttp(port=path_server.port, hostname="127.0.0.1")
    told = record(http)
    numbers = [http.get(path_server.path("whole")), http.close()]
    app.exec_()
    assert told.finished == [(number, False) for number in numbers] and told.of("done") == [False]
    assert told.states[-3:] == ["Connected", "Closing", "Unconnected"] and http.bytesAvailable() == 0


# -- 11: a timer asks again and again
def test_timer_asks_again_and_again(path_server, app):
    http, timer, bodies = QHttp("127.0.0.1", path_server.port), QTimer(), []
    path = path_server.path("whole")

    def refresh():
        if not http.hasPendingRequests() and not http.currentId():
            http.get(path)

    def done(error):
        bodies.append(http.readAll())
        if len(bodies) == 4:
            timer.stop()
            app.quit()

    timer.connect(timer, SIGNAL("timeout()"), refresh)
    http.connect(http, SIGNAL("done(bool)"), done)
    timer.start(1)
    app.exec_()
    assert bodies == [path_server.body(path)] * 4


# -- 12: a list of plug-ins, each into a .tmp file that gets its name when all is there
class Installer(QObject):
    def __init__(self, port, folder, paths):
        super().__init__()
        self.folder, self.paths, self.failed = folder, list(paths), []
        self.http = QHttp("127.0.0.1", port, parent=self)
        QObject.connect(self.http, SIGNAL("done(bool)"), self.fileDone)
        self.nextFile()

    def nextFile(self):
        if self.paths:
            self.path = self.paths.pop(0)
            self.name = os.path.join(self.folder, self.path.rpartition("/")[2])
            self.file = QFile(self.name + ".tmp")
            self.http.get(self.path, self.file)

    def fileDone(self, error):
        self.file.close()
        if error:
            self.failed.append((self.path, self.http.error()))
            self.file.remove()
        else:
            assert self.file.rename(self.name)
        self.nextFile()


def test_plugin_list_into_tmp_files_renamed_when_done(tmp_path, path_server, app):
    styles = ["whole", "cut", "chunks", "close", "bad", "head"]
    paths = [PathServer.path(style, 5000, f"plugin-{n}") for n, style in enumerate(styles)]
    installer = Installer(path_server.port, str(tmp_path), paths)
    app.exec_()
    assert installer.failed == [(paths[n], QHttp.WrongContentLength) for n in (1, 4)]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        f"plugin-{n}": path_server.body(paths[n]) for n in (0, 2, 3, 5)}


# -- the documentation's own example
def test_documented_request_example_sends_the_path(scripted_server, app):
    server = scripted_server([ReceiveRequest(), Send(whole(b"page"))], [Receive(1)])
    http = QHttp()
    header = QHttpRequestHeader("GET", QUrl.toPercentEncoding("/index.html"))
    header.setValue("Host", "qtsoftware.com")
    http.setHost("127.0.0.1", port=server.port)
    http.request(header)
    app.exec_()
    assert server.requests[0][0] == b"GET /index.html HTTP/1.1\r\nHost: qtsoftware.com\r\n\r\n" and http.readAll() == b"page"


def test_enumerations_are_the_numbers_of_old_code():
    assert QHttp.Unconnected == QHttp.NoError == QHttp.ConnectionModeHttp == 0
    assert [QHttp.HostLookup, QHttp.Closing, QHttp.Aborted, QHttp.ConnectionModeHttps] == [1, 6, 7, 1]
