"""Rows from the command line and from lists, and lists that come slowly."""
import argparse
import io
import os
import select
import threading

import pytest
from support.loops import turn_until

import qhttp
from qhttp.cli.arguments import parsed
from qhttp.cli.exits import Failures
from qhttp.cli.intake import Intake, _n_lines
from qhttp.cli.messages import Messages
from qhttp.cli.pipe import PipedRows

URL, OTHER = "http://example.org/a", "http://example.org/b"
SHA256 = "sha256:" + "0" * 64


class Taken:
    """An intake at work: its rows, what was said, what failed, whether it asked for a stop."""

    def __init__(self, *words):
        self.said, self.failures, self.stops = io.StringIO(), Failures(), []
        self.intake = Intake(parsed(words), Messages(stream=self.said), self.failures, lambda: self.stops.append(True))
        self.mores = []

    def rows(self):
        return as_dicts(self.intake.rows(lambda: self.mores.append(True)))


def as_dicts(rows):
    return [{"url": row} if isinstance(row, str) else row for row in rows]


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """Writes a list and gives its name."""
    monkeypatch.chdir(tmp_path)

    def write(text, name="list.txt"):
        (tmp_path / name).write_text(text)
        return name

    return write


@pytest.mark.parametrize("words, rows", [
    ([URL, OTHER], [{"url": URL}, {"url": OTHER}]),
    ([URL, "--checksum", SHA256, "--checksum", "md5:" + "0" * 32], [{"url": URL, "checksum": [SHA256, "md5:" + "0" * 32]}]),
    ([URL, OTHER, "--mirrors", "--checksum", SHA256], [{"url": URL, "mirrors": [OTHER], "checksum": [SHA256]}]),
    (["http://example.org/100%25"], [{"url": "http://example.org/100%25"}]),
])
def test_rows_of_the_command_line(words, rows):
    assert Taken(*words).rows() == rows


def test_rows_of_lists_follow_those_of_the_command_line(listed):
    first = listed(f"{OTHER}\n  out=x\n")
    second = listed('{"url": "http://example.org/c"}\n', "list.jsonl")
    assert Taken("-i", first, URL, "-i", second).rows() == [
        {"url": URL}, {"url": OTHER, "out": "x"}, {"url": "http://example.org/c"}]


def test_format_goes_before_the_suffix(listed):
    assert Taken("-i", listed(f'{{"url": "{URL}"}}\n'), "--format", "jsonl").rows() == [{"url": URL}]


def test_row_that_cannot_be_read_is_told_and_passed_over(listed):
    taken = Taken("-i", listed(f'{{"url": "{URL}"}}\nnonsense\n{{"url": "{OTHER}"}}\n', "list.jsonl"))
    assert taken.rows() == [{"url": URL}, {"url": OTHER}]
    assert "list.jsonl" in taken.said.getvalue() and "2" in taken.said.getvalue()
    assert taken.failures.status == 1 and taken.stops == []


def test_row_that_cannot_be_read_ends_a_run_that_is_to_fail_fast(listed):
    taken = Taken("--fail-fast", "-i", listed(f'nonsense\n{{"url": "{OTHER}"}}\n', "list.jsonl"))
    rows = taken.rows()
    assert rows == [None, {"url": OTHER}]       # what is behind it is not begun, and not lost
    turn_until(lambda: taken.stops == [True])


def test_list_that_breaks_off_is_told(listed):
    taken = Taken("-i", listed(f"{URL}\n"))

    def rows():
        yield {"url": OTHER}
        raise OSError(5, "Input/output error")

    taken.intake._lists = [("list.txt", rows())]
    assert taken.rows() == [{"url": OTHER}]
    assert "list.txt cannot be read on" in taken.said.getvalue()
    assert taken.failures.status == 1


# -- how many there are
def test_n_unread_counts_down_to_nothing(listed):
    taken = Taken(URL, "-i", listed(f"# two\n{URL}\n  out=x\n\n{OTHER}"))
    assert taken.intake.n_unread() is None
    taken.intake.count()
    assert taken.intake.n_unread() == 3
    rows = taken.intake.rows(print)
    assert [taken.intake.n_unread() for _ in rows] == [2, 1, 0]
    assert taken.intake.n_unread() == 0 and taken.intake.is_over


@pytest.mark.parametrize("text, name, n", [
    ("", "l.txt", 0), ("a\nb\n", "l.txt", 2), ("a\nb", "l.txt", 2), ("a\n\n# x\n out=1\n\tdir=2\nb\n", "l.txt", 2),
    ("url\na\n", "l.csv", 2), ("a\n", "l.meta4", None), ("a\n", "l.parquet", None),
])
def test_n_lines_is_about_right(listed, text, name, n):
    assert _n_lines(listed(text, name)) == n


def test_n_lines_of_a_pipe_is_unknown():
    assert _n_lines("-") is _n_lines("/dev/null") is None


def test_n_lines_does_not_depend_on_blocks(listed, monkeypatch):
    name = listed("a\n\n# b\n c\nd\n" * 50)
    whole = _n_lines(name)
    for size in range(1, 8):
        monkeypatch.setattr("qhttp.cli.intake.COUNT_BLOCK", size)
        assert _n_lines(name) == whole == 100


# -- pipes
class Source:
    """Rows that come when they are put."""

    def __init__(self):
        self.rows, self.n_asked = [], 0
        self.changed = threading.Condition()

    def put(self, *rows):
        with self.changed:
            self.rows += rows
            self.changed.notify()

    def __iter__(self):
        return self

    def __next__(self):
        with self.changed:
            self.n_asked += 1
            assert self.changed.wait_for(lambda: self.rows, 20)
            row = self.rows.pop(0)
        if row is StopIteration:
            raise StopIteration
        if isinstance(row, Exception):
            raise row
        return row


@pytest.fixture
def source():
    source = Source()
    yield source
    source.put(StopIteration)


def test_piped_rows_have_nothing_until_something_comes(source):
    mores = []
    rows = PipedRows(source, lambda: mores.append(True))
    assert next(rows) is None and mores == []
    source.put("a")
    turn_until(lambda: mores)
    assert next(rows) == "a" and next(rows) is None
    source.put("b", StopIteration)
    turn_until(lambda: len(mores) == 2)
    rows.block()
    assert list(rows) == ["b"]


def test_piped_rows_that_end_tell_it(source):
    mores = []
    rows = PipedRows(source, lambda: mores.append(True))
    assert next(rows) is None
    source.put(StopIteration)
    turn_until(lambda: mores)
    assert list(rows) == []


def test_piped_rows_that_break_off_raise(source):
    rows = PipedRows(source, print)
    source.put("a", OSError("gone"))
    rows.block()
    assert next(rows) == "a"
    with pytest.raises(OSError, match="gone"):
        next(rows)
    assert list(rows) == []


def test_piped_rows_hold_no_more_than_their_bound(source):
    rows = PipedRows(source, print, rows_cap=4)
    source.put(*range(20), StopIteration)
    rows.block()
    assert next(rows) == 0
    turn_until(lambda: source.n_asked >= 5)
    assert source.n_asked <= 6          # 0, four that are held, and one in the hand
    assert list(rows) == list(range(1, 20))


def test_rows_of_a_named_pipe_do_not_stop_the_loop(tmp_path):
    path = str(tmp_path / "list")
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: writing.append(open(path, "w")))
    writing = []
    writer.start()
    taken = Taken("-i", path)
    writer.join()
    rows = taken.intake.rows(lambda: taken.mores.append(True))
    assert next(rows) is None
    writing[0].write(f"{URL}\n{OTHER}\n")
    writing[0].close()
    turn_until(lambda: taken.mores)
    taken.intake.block()
    assert list(rows) == [URL, OTHER]


def test_rows_of_a_stdin_that_does_not_block_are_waited_for(monkeypatch):
    """What comes next is written when it is waited for, so that there is nothing whenever it is read."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    pieces = [URL[:10].encode(), f"{URL[10:]}\n".encode(), f"{OTHER}\n".encode(), b""]

    def poll(real=select.poll):
        piece = pieces.pop(0)
        os.write(writing, piece) if piece else os.close(writing)
        return real()

    monkeypatch.setattr(select, "poll", poll)
    with open(reading) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        [(_, rows)] = Taken("-i", "-").intake._lists
        assert list(rows) == [{"url": URL}, {"url": OTHER}]
    assert pieces == []


def test_rows_that_are_urls_alone_are_urls(listed):
    taken = Taken(URL, "-i", listed(f"{OTHER}\n{OTHER}\n  out=x\n"))
    assert list(taken.intake.rows(print)) == [URL, OTHER, {"url": OTHER, "out": "x"}]


def test_intake_needs_no_loop_for_files(listed, monkeypatch):
    monkeypatch.setattr(qhttp._core, "loop", None)
    assert Taken("-i", listed(f"{URL}\n")).rows() == [{"url": URL}]
    assert isinstance(parsed([URL]), argparse.Namespace)
