"""The log of ended transfers."""
import json
import os
import stat

import pytest
from cli.fake import FakeTransfer

from qhttp.cli.log import BLOCK_LEN, JsonLog, open_log, open_stdout


class File:
    """Takes so many bytes at a time, and so many in all."""

    def __init__(self, piece=10**9, room=10**9):
        self.content, self.piece, self.room, self.is_closed = b"", piece, room, False

    def write(self, data):
        if len(self.content) >= self.room:
            raise OSError(28, "No space left on device")
        data = bytes(data[:min(self.piece, self.room - len(self.content))])
        self.content += data
        return len(data)

    def close(self):
        self.is_closed = True


def test_log_lines_are_the_transfers():
    file = File(piece=7)
    log = JsonLog(file, None)
    log.add(FakeTransfer("http://example.org/\xfc"))
    log.add(FakeTransfer("http://example.org/b", error=ValueError()))
    assert file.content == b""
    log.flush()
    assert [json.loads(line) for line in file.content.splitlines()] == [
        {"url": "http://example.org/\xfc", "error": None}, {"url": "http://example.org/b", "error": "ValueError"}]
    log.close()
    assert file.is_closed


def test_log_is_written_in_blocks():
    file = File()
    log = JsonLog(file, None)
    while not file.content:
        log.add(FakeTransfer("http://example.org/" + "x" * 1000))
    assert BLOCK_LEN <= len(file.content) < BLOCK_LEN + 2000
    assert file.content.endswith(b"\n")


def test_log_that_is_full_tells_once_and_drops_the_rest():
    errors = []
    log = JsonLog(File(room=5), errors.append)
    for _ in range(3):
        log.add(FakeTransfer("http://example.org/"))
        log.flush()
    log.close()
    assert [error.errno for error in errors] == [28]


def test_log_of_what_json_does_not_know_has_its_text():
    class Odd:
        def to_dict(self):
            return {"path": b"x"}

    file = File()
    log = JsonLog(file, None)
    log.add(Odd())
    log.close()
    assert json.loads(file.content) == {"path": "b'x'"}


def test_open_log_is_appended_to_and_its_owners_own(tmp_path):
    path = tmp_path / "log"
    for text in (b"a\n", b"b\n"):
        with open_log(str(path)) as file:
            file.write(text)
    assert path.read_bytes() == b"a\nb\n"
    assert stat.S_IMODE(os.stat(path).st_mode) & 0o077 == 0


def test_open_log_begins_a_line_behind_one_that_was_cut(tmp_path):
    path = tmp_path / "log"
    for before, after in ((b'{"url":"a"}\n{"ur', b'{"url":"a"}\n{"ur\n'), (b'{"url":"a"}\n', b'{"url":"a"}\n'), (b"", b"")):
        path.write_bytes(before)
        open_log(str(path)).close()
        assert path.read_bytes() == after


def test_open_stdout_without_one_is_an_oserror(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    with pytest.raises(OSError, match="closed"):
        open_stdout()
