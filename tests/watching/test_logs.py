"""The logger "qhttp": a line for each request, answer and end, nothing secret; and nothing at all where nobody listens."""
import gc
import logging
import subprocess
import sys
import weakref

import pytest
from support import faults
from support.actions import ReceiveRequest, Send
from support.loops import turn_until

import qhttp

SECRETS = ("hunter2", "token=", "Authorization", "Basic ")


@pytest.fixture
def lines(caplog):
    """What was logged, without the objects' names."""
    caplog.set_level(logging.DEBUG, "qhttp")
    return lambda: [record.getMessage().partition(" ")[2].partition(" ")[2] for record in caplog.records]


def fetch(server, target="/"):
    http = qhttp.QHttp(server.host, server.port)
    http.get(target)
    http.waitForDone(5000)
    return http


def test_log_of_a_request_has_its_steps(scripted_server, lines):
    fetch(scripted_server(faults.answer()), "/file?token=hunter2")
    told = lines()
    assert any("GET /file" in line for line in told)
    assert any("answer 200 OK from 127.0.0.1" in line for line in told)
    assert any("done; 44 bytes in" in line for line in told)
    assert [line for line in told if line in ("Connecting", "Sending", "Reading", "Connected")] == [
        "Connecting", "Sending", "Reading", "Connected"]


def test_log_of_a_failure_has_its_cause(scripted_server, lines):
    fetch(scripted_server(beyond=faults.cut_body()))
    assert any("failed, " in line for line in lines())


def test_log_has_no_secrets(scripted_server, caplog):
    caplog.set_level(logging.DEBUG, "qhttp")
    challenge = b'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="r"\r\nContent-Length: 0\r\n\r\n'
    server = scripted_server([ReceiveRequest(), Send(challenge), ReceiveRequest(), Send(faults.whole())])
    http = qhttp.QHttp(server.host, server.port)
    http.setUser("me", "hunter2")
    http.get("/?token=hunter2")
    http.waitForDone(5000)
    assert http.error() == http.NoError
    url = f"http://me:hunter2@{server.host}:{server.port}/?token=hunter2"
    with qhttp.Downloader([url], into="bytes", proxy=None, retries=0) as downloader:
        downloader.run()
    assert caplog.text and not [secret for secret in SECRETS if secret in caplog.text]


def test_log_of_an_answer_shows_no_control_characters(scripted_server, caplog):
    caplog.set_level(logging.DEBUG, "qhttp")
    fetch(scripted_server([ReceiveRequest(), Send(faults.whole(b"x", b"Content-Type: a\x9b31mb"))]))
    assert caplog.text and all(record.getMessage().isprintable() for record in caplog.records)


def test_log_of_a_downloader_has_each_row(scripted_server, lines):
    server = scripted_server(beyond=faults.answer())
    urls = [f"http://{server.host}:{server.port}/a", "ftp://x"]
    with qhttp.Downloader(urls, into="bytes", proxy=None) as downloader:
        downloader.run()
    told = lines()
    assert any(line.endswith("/a") for line in told) and any("answer 200, 44 bytes" in line for line in told)
    assert any("row 1: failed" in line for line in told)


def test_log_that_is_not_enabled_connects_nothing(caplog):
    caplog.set_level(logging.INFO, "qhttp")
    assert "0 slots" in repr(qhttp.QHttp("h").requestStarted)


def test_log_keeps_no_object_alive(caplog):
    caplog.set_level(logging.DEBUG, "qhttp")
    http = qhttp.QHttp("h")
    reference = weakref.ref(http)
    del http
    gc.collect()
    assert reference() is None


def test_logging_is_not_imported_by_qhttp():
    code = "import sys, qhttp; qhttp.QHttp('h'); qhttp.Downloader(); sys.exit('logging' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_watcher_is_told_of_each_new_object_until_it_is_taken_back(scripted_server):
    from qhttp import watching
    server, made, ended = scripted_server(faults.answer()), [], []

    @watching.watch
    def follow(new):
        made.append(type(new).__name__)
        new.done.connect(ended.append)

    try:
        http = fetch(server)
        with qhttp.Downloader():
            pass
    finally:
        watching.unwatch(follow)
    qhttp.QHttp("h")
    turn_until(lambda: ended)
    assert made == ["QHttp", "Downloader"] and ended == [False] and http.error() == http.NoError
    with pytest.raises(ValueError):
        watching.unwatch(follow)
