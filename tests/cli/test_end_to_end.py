"""The command with the real downloader, and scripted servers: files, statuses, going on later."""
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.actions import Close, Pause, ReceiveRequest, Send, StartTls
from support.certificate import make_certificate

import qhttp
import qhttp.cli

BODY = b"0123456789" * 100
SHA256 = "sha256:" + hashlib.sha256(BODY).hexdigest()
LONG_S = 20             # of a server that says nothing
ROOT = Path(qhttp.__file__).parent.parent


def answer(body=BODY, status="200 OK", fields="", length=None):
    """The bytes of an answer that closes nothing."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body) if length is None else length}\r\n{fields}\r\n"
    return head.encode() + body


def served(*answers):
    """A script that gives one answer to each request of a connection."""
    return [action for each in answers for action in (ReceiveRequest(), Send(each))]


class Command:
    def __init__(self, capfd):
        self._capfd = capfd

    def __call__(self, *words):
        self.status = qhttp.cli.main([str(word) for word in words])
        self.out, self.err = self._capfd.readouterr()
        return self.status


@pytest.fixture
def qhttp_command(tmp_path, monkeypatch, capfd):
    """Calls main() in an empty folder, without a proxy; has status, out and err of the last call."""
    monkeypatch.chdir(tmp_path)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return Command(capfd)


def url(server, path="/file", scheme="http"):
    return f"{scheme}://{server.host}:{server.port}{path}"


def files():
    return sorted(os.listdir())


def requests(server):
    return [taken.split(b"\r\n")[0].decode() for connection in server.requests for taken in connection]


def test_url_becomes_a_file_and_nothing_else_is_left(qhttp_command, scripted_server):
    server = scripted_server(served(answer()))
    assert qhttp_command(url(server)) == 0, qhttp_command.err
    assert files() == ["file"] and Path("file").read_bytes() == BODY
    assert qhttp_command.out == "" and qhttp_command.err.startswith("qhttp: 1 file; 1000 B")


def test_redirect_is_followed_and_named_by_the_url(qhttp_command, scripted_server):
    server = scripted_server(served(answer(b"", "302 Found", "Location: /elsewhere\r\n"), answer()))
    assert qhttp_command(url(server), "-d", "new/folder", "-q") == 0
    assert Path("new/folder/file").read_bytes() == BODY and qhttp_command.err == ""
    assert requests(server) == ["GET /file HTTP/1.1", "GET /elsewhere HTTP/1.1"]


def test_file_by_another_name_is_verified(qhttp_command, scripted_server):
    server = scripted_server(served(answer()))
    assert qhttp_command(url(server), "-o", "sub/name", "--checksum", SHA256, "-v", "--hash", "md5") == 0
    assert Path("sub/name").read_bytes() == BODY
    assert SHA256 in qhttp_command.err and "md5:" in qhttp_command.err


# -- statuses
@pytest.mark.parametrize("script, words, status, said", [
    (served(answer(b"", "404 Not Found")), [], 3, "404; check the URL"),
    (served(answer(b"", "401 Unauthorized", 'WWW-Authenticate: Basic realm="x"\r\n')), [], 3, "give --user or --netrc"),
    (served(*[answer(b"", "302 Found", "Location: /file\r\n")] * 3), ["--max-redirects", "2"], 3, "--max-redirects"),
    ([ReceiveRequest(), Close()], [], 4, "try again later"),
    ([ReceiveRequest(), Pause(LONG_S)], ["--idle-timeout", "0.1"], 5, "longer limit"),
    ([ReceiveRequest(), Pause(LONG_S)], ["--max-time", "0.1"], 5, "longer limit"),
    ([ReceiveRequest(), Send(answer(length=2000)), Close()], [], 6, "try again"),
    (served(answer()), ["--checksum", "sha256:" + "0" * 64], 6, "the file or the checksum is wrong"),
    (served(answer()), ["--max-size", "999"], 6, "--max-size"),
    (served(answer(b"no gzip", fields="Content-Encoding: gzip\r\n")), [], 6, "--no-decode"),
    (served(answer(status="206 Partial Content", fields="Content-Range: bytes 0-999/2000\r\n")), [], 8, "--no-resume"),
    (served(b"nonsense\r\n\r\n"), [], 1, "the server is at fault"),
], ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else None)
def test_failure_has_its_status_and_says_what_to_do(qhttp_command, scripted_server, script, words, status, said):
    server = scripted_server(script, beyond=script)
    assert qhttp_command(url(server, "/file?secret"), "--retries", "0", "-q", *words) == status
    assert said in qhttp_command.err and qhttp_command.err.startswith(f"qhttp: {url(server)}: ")
    assert qhttp_command.err.count("\n") == 1 and "secret" not in qhttp_command.err
    assert "file" not in files()


def test_refused_connection_is_four(qhttp_command, closed_port):
    assert qhttp_command(url(closed_port), "--retries", "0", "-q") == 4


def test_host_that_is_not_there_is_four(qhttp_command, monkeypatch):
    from qhttp.engine import resolver

    def look_up(host, port):
        import socket
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(resolver, "look_up", look_up)
    assert qhttp_command("http://nowhere.test/file", "--retries", "0", "-q") == 4
    assert "check the spelling of the host" in qhttp_command.err


@pytest.mark.parametrize("words", [[], ["--existing-is-a-folder"]])
def test_file_that_is_there_is_nine(qhttp_command, scripted_server, words):
    server = scripted_server(served(answer()))
    if words:
        os.mkdir("file")
    else:
        Path("file").write_bytes(b"mine")
    assert qhttp_command(url(server), "-q") == 9
    assert "--skip-existing and --overwrite" in qhttp_command.err
    assert words or Path("file").read_bytes() == b"mine"


@pytest.mark.parametrize("option, content, requested", [
    ("--skip-existing", b"mine", []), ("--overwrite", BODY, ["GET /file HTTP/1.1"]),
])
def test_file_that_is_there_may_be_taken_or_replaced(qhttp_command, scripted_server, option, content, requested):
    server = scripted_server(served(answer()))
    Path("file").write_bytes(b"mine")
    assert qhttp_command(url(server), option) == 0
    assert Path("file").read_bytes() == content and requests(server) == requested
    assert ("1 already there" in qhttp_command.err) == (option == "--skip-existing")


def test_folder_that_cannot_be_made_is_nine(qhttp_command, closed_port):
    Path("folder").touch()
    assert qhttp_command(url(closed_port), "-d", "folder/below") == 9
    assert qhttp_command.err.count("\n") == 1 and "folder/below" in qhttp_command.err


def test_session_that_is_none_is_nine(qhttp_command, closed_port):
    Path("notes").write_bytes(b"This is no session file." * 100)
    assert qhttp_command(url(closed_port), "--session", "notes") == 9
    assert "nothing was begun" in qhttp_command.err


def test_failures_of_several_kinds_are_one(qhttp_command, scripted_server, closed_port):
    server = scripted_server(served(answer(b"", "404 Not Found")))
    assert qhttp_command(url(server), url(closed_port, "/other"), "--retries", "0", "-q") == 1
    assert qhttp_command.err.count("\n") == 2


def test_fail_fast_stops_at_the_first_failure(qhttp_command, scripted_server):
    server = scripted_server(served(answer(b"", "404 Not Found"), answer()))
    assert qhttp_command(url(server), url(server, "/other"), "-j", "1", "--fail-fast", "--save-session", "rest") == 3
    assert requests(server) == ["GET /file HTTP/1.1"]
    assert sorted(Path("rest").read_text().split()) == [url(server), url(server, "/other")]


# -- TLS
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize("words, status", [([], 4), (["--cacert"], 0), (["--insecure"], 0)])
def test_server_is_verified_unless_told_otherwise(qhttp_command, scripted_server, tmp_path, words, status):
    pem = make_certificate(tmp_path)
    server = scripted_server(beyond=[StartTls(pem), *served(answer())])
    words = [*words, pem] if words == ["--cacert"] else words
    assert qhttp_command(url(server, scheme="https"), "--retries", "0", "-q", *words) == status
    assert Path("file").exists() == (status == 0)


# -- lists
def test_list_is_done_once(qhttp_command, scripted_server):
    server = scripted_server(served(answer(), answer(b"b"), answer(b"", "404 Not Found")), served(answer(b"c")))
    Path("list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (
        {"url": url(server, "/a"), "checksum": SHA256, "size": 1000}, {"url": url(server, "/b"), "out": "sub/named"},
        {"url": url(server, "/c")})))
    words = "-i", "list.jsonl", "-d", "data", "-j", "1", "--log-json", "log", "--save-session", "rest"
    assert qhttp_command(*words) == 3
    assert Path("data/a").read_bytes() == BODY and Path("data/sub/named").read_bytes() == b"b"
    assert Path("rest").read_text() == url(server, "/c") + "\n"
    assert qhttp_command(*words) == 0
    assert requests(server) == [f"GET /{name} HTTP/1.1" for name in "abcc"]
    assert Path("rest").read_text() == "" and Path("data/c").read_bytes() == b"c"
    logged = [json.loads(line) for line in Path("log").read_text().splitlines()]
    assert sorted((line["http_code"], str(line["error"]), line["skipped"]) for line in logged) == [
        (0, "None", True), (0, "None", True), (200, "None", False), (200, "None", False), (200, "None", False),
        (404, "HTTPStatusError", False)]
    assert "2 already there" in qhttp_command.err


def test_json_timings_and_progress_are_json(qhttp_command, scripted_server):
    server = scripted_server(served(answer()))
    assert qhttp_command(url(server), "--json-timings", "--progress", "json") == 0
    line, end = json.loads(qhttp_command.out), json.loads(qhttp_command.err)
    assert (line["url"], line["size_download"], line["path"]) == (url(server), 1000, os.path.abspath("file"))
    assert 0 < line["time_connect"] <= line["time_starttransfer"] <= line["time_total"]
    assert (end["event"], end["done"], end["bytes"]) == ("end", 1, 1000)


def test_head_and_dry_run_fetch_nothing(qhttp_command, scripted_server):
    server = scripted_server(served(answer(b"", length=1000)))
    assert qhttp_command(url(server), "--head") == 0
    assert qhttp_command.out == f"200 1000 {url(server)}\n" and requests(server) == ["HEAD /file HTTP/1.1"]
    assert qhttp_command(url(server), "--dry-run", "-d", "data") == 0
    assert qhttp_command.out == f"{url(server)} -> {os.path.abspath('data/file')}\n"
    assert files() == [] and len(requests(server)) == 1


def test_dry_run_says_what_the_run_would_do_and_leaves_its_session_alone(qhttp_command, scripted_server):
    server = scripted_server(served(answer()))
    Path("list").write_text(f"{url(server)}\n")
    assert qhttp_command("-i", "list") == 0
    before = {name: (os.stat(name).st_mtime_ns, Path(name).read_bytes()) for name in files()}
    assert qhttp_command(url(server), url(server, "/new"), "--dry-run") == 0
    assert qhttp_command.out == (f"{url(server)} -> {os.path.abspath('file')} (is there)\n"
                                 f"{url(server, '/new')} -> {os.path.abspath('new')}\n")
    assert {name: (os.stat(name).st_mtime_ns, Path(name).read_bytes()) for name in files()} == before
    assert qhttp_command(url(server), "--dry-run") == 0         # it knows of nothing else, and stays all the same
    assert files() == sorted(before)
    assert qhttp_command("-i", "list") == 0


# -- a process of its own
@pytest.fixture
def process(tmp_path):
    """Starts the command in an empty folder: process(*words) is a Popen with text pipes."""
    started = []

    def start(*words):
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        started.append(subprocess.Popen(
            [sys.executable, "-m", "qhttp", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=tmp_path, env={**environment, "PYTHONPATH": str(ROOT)}, text=True))
        return started[-1]

    yield start
    for program in started:
        with program:
            program.kill()


def test_interrupted_run_goes_on_where_it_stopped(process, scripted_server, tmp_path):
    body = os.urandom(400_000)
    rest = answer(body[300_000 - 16_384:], "206 Partial Content",
                  f'ETag: "v"\r\nContent-Range: bytes {300_000 - 16_384}-399999/400000\r\n')
    first = answer(body, fields='ETag: "v"\r\nAccept-Ranges: bytes\r\n')[:-100_000]
    server = scripted_server([ReceiveRequest(), Send(first), Pause(LONG_S)], served(rest))
    program = process(url(server), "--progress", "json", "--progress-interval", "0.125")
    for line in program.stderr:
        told = json.loads(line).get("transfers") or [{"done": 0}]
        if told[0]["done"] >= 300_000:
            break
    program.send_signal(signal.SIGINT)
    assert program.wait(LONG_S) == 7
    assert "run the same command again" in program.stderr.read()
    assert sorted(os.listdir(tmp_path)) == [".qhttp-session", "file.part"]
    again = process(url(server), "-v")
    assert again.wait(LONG_S) == 0, again.stderr.read()
    assert (tmp_path / "file").read_bytes() == body and os.listdir(tmp_path) == ["file"]
    assert b"Range: bytes=283616-\r\n" in server.requests[1][0]


def test_urls_of_a_slow_pipe_are_fetched_as_they_come(process, scripted_server, tmp_path):
    server = scripted_server(served(answer(), answer(b"b")), beyond=served(answer(b"b")))
    program = process("-i", "-", "--format", "jsonl")
    program.stdin.write(json.dumps({"url": url(server, "/a")}) + "\n")
    program.stdin.flush()
    server.wait_for(lambda: requests(server) == ["GET /a HTTP/1.1"])
    program.stdin.write(json.dumps({"url": url(server, "/b")}) + "\n")
    program.stdin.close()
    assert program.wait(LONG_S) == 0
    assert (tmp_path / "a").read_bytes() == BODY and (tmp_path / "b").read_bytes() == b"b"


def test_terminated_run_with_a_pipe_saves_what_still_comes(process, scripted_server, tmp_path):
    server = scripted_server([ReceiveRequest(), Pause(LONG_S)])
    program = process("-i", "-", "--format", "jsonl", "--save-session", "rest")
    program.stdin.write(json.dumps({"url": url(server, "/a")}) + "\n")
    program.stdin.flush()
    server.wait_for(lambda: len(requests(server)) == 1)
    program.send_signal(signal.SIGTERM)
    assert "stopping" in program.stderr.readline()
    program.stdin.write(json.dumps({"url": url(server, "/b")}) + "\n")
    program.stdin.close()
    assert program.wait(LONG_S) == 7
    assert (tmp_path / "rest").read_text().split() == [url(server, "/a"), url(server, "/b")]


def test_interrupt_while_a_pipe_is_waited_for_ends_at_once(process, scripted_server, tmp_path):
    server = scripted_server([ReceiveRequest(), Pause(LONG_S)])
    program = process("-i", "-", "--format", "jsonl", "--save-session", "rest")
    program.stdin.write(json.dumps({"url": url(server, "/a")}) + "\n")
    program.stdin.flush()
    server.wait_for(lambda: len(requests(server)) == 1)
    program.send_signal(signal.SIGTERM)
    assert "stopping" in program.stderr.readline()
    program.send_signal(signal.SIGINT)
    assert program.wait(LONG_S) == 7
    assert not (tmp_path / "rest").exists() and "stopped" in program.stderr.read()
