"""Displays: which one is taken, what each writes, and how messages find their place."""
import io
import json
import sys

import pytest
from cli.test_figures import World, transfer

from qhttp.cli import progress
from qhttp.cli.messages import NORMAL, QUIET, Messages
from qhttp.cli.progress import Display, JsonLines, NowAndThen, UpdatingLine, display_for


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Broken(Terminal):
    def write(self, text):
        raise BrokenPipeError


def has_rich():
    return progress._has_rich()


@pytest.mark.parametrize("how, stream, level, kind", [
    ("auto", io.StringIO, NORMAL, NowAndThen), ("plain", io.StringIO, NORMAL, NowAndThen),
    ("rich", io.StringIO, NORMAL, NowAndThen),
    ("plain", Terminal, NORMAL, UpdatingLine), ("plain", Terminal, QUIET, UpdatingLine),
    ("none", Terminal, NORMAL, Display), ("auto", Terminal, QUIET, Display), ("json", io.StringIO, QUIET, JsonLines),
    ("json", Terminal, NORMAL, JsonLines),
])
def test_display_for_this_stream_is(how, stream, level, kind):
    assert type(display_for(how, Messages(level), stream=stream())) is kind


def test_display_without_rich_is_a_line_and_says_how_to_have_more(monkeypatch):
    monkeypatch.setattr(progress, "_has_rich", lambda: False)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert type(display_for("auto", Messages(), stream=Terminal())) is UpdatingLine
    with pytest.raises(ImportError, match=r"pip install qhttp\[cli\]"):
        display_for("rich", Messages(), stream=Terminal())


def test_display_on_a_dumb_terminal_is_a_line(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert type(display_for("auto", Messages(), stream=Terminal())) is UpdatingLine


def test_display_is_none_where_lines_go_to_the_same_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert type(display_for("auto", Messages(), stream=Terminal(), lines_on_stdout=True)) is Display
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert type(display_for("auto", Messages(), stream=Terminal(), lines_on_stdout=True)) is not Display


@pytest.mark.parametrize("how, stream, interval_s", [
    ("json", io.StringIO, 1.0), ("plain", io.StringIO, 10.0), ("plain", Terminal, 0.25),
])
def test_display_interval_is_its_own_or_the_one_given(how, stream, interval_s):
    assert display_for(how, Messages(), stream=stream()).interval_s == interval_s
    assert display_for(how, Messages(), 3.0, stream=stream()).interval_s == 3.0


# -- a line now and then
def test_now_and_then_writes_whole_lines():
    stream = io.StringIO()
    messages = Messages(NORMAL, stream)
    display = NowAndThen(messages, stream)
    world = World()
    display.draw(world.after(1, n_done=1))
    messages.error("e")
    display.end(world.figures)
    first, error, last = stream.getvalue().splitlines()
    assert first.startswith("qhttp: 1 done, 0 left") and error == "qhttp: e" and last.startswith("qhttp: 1 file; ")


# -- the line
def shown_by(text):
    """What a terminal shows of a text with carriage returns: its lines."""
    lines = []
    for line in text.split("\n"):
        cells = []
        at = 0
        for c in line:
            if c == "\r":
                at = 0
            else:
                cells[at:at + 1] = [c]
                at += 1
        lines.append("".join(cells).rstrip())
    return lines


def test_updating_line_makes_room_for_messages():
    stream = Terminal()
    messages = Messages(NORMAL, stream)
    display = UpdatingLine(messages, stream)
    world = World()
    display.draw(world.after(1, n_done=1, n_bytes=1024, running=[transfer(50, 200)]))
    assert shown_by(stream.getvalue()) == ["1 done, 1 left | 1 KiB at 1 KiB/s | ETA 0:00 | name 25% of 200 B"]
    messages.error("e")
    display.draw(world.after(1, n_done=2, running=[]))
    assert shown_by(stream.getvalue()) == ["qhttp: e", "2 done, 0 left | 1 KiB at 512 B/s"]
    display.end(world.figures)
    assert shown_by(stream.getvalue()) == ["qhttp: e", "qhttp: 2 files; 1 KiB in 0:02 (512 B/s)", ""]


def test_updating_line_that_is_the_same_is_not_written_again():
    stream = Terminal()
    display = UpdatingLine(Messages(NORMAL, stream), stream)
    world = World()
    display.draw(world.after(0))
    before = stream.getvalue()
    display.draw(world.after(0))
    assert stream.getvalue() == before


def test_updating_line_is_not_longer_than_the_terminal():
    stream = Terminal()
    display = UpdatingLine(Messages(NORMAL, stream), stream)
    display.draw(World().after(1, running=[transfer(path="x" * 500)]))
    assert len(shown_by(stream.getvalue())[0]) == progress.WIDTH - 1


@pytest.mark.parametrize("kind", [NowAndThen, UpdatingLine, JsonLines])
def test_display_whose_stream_is_gone_gives_up(kind):
    display = kind(Messages(NORMAL, Broken()), Broken())
    display.draw(World().after(1, n_done=1))
    assert display.interval_s == 0


# -- JSON
KEYS = {"event", "seconds", "done", "skipped", "failed", "retries", "running", "waiting", "unread", "bytes", "bytes_per_second",
        "eta"}


def test_json_lines_are_objects_with_the_documented_keys():
    stream = io.StringIO()
    messages = Messages(NORMAL, stream)
    display = JsonLines(messages, stream)
    world = World(None)
    display.draw(world.after(2, n_done=1, n_bytes=2048, running=[transfer(50, 200), transfer(7, 0, None)]))
    messages.error("http://x/: \"bad\"")
    messages.note("n")
    display.end(world.figures)
    drawn, error, note, end = map(json.loads, stream.getvalue().splitlines())
    assert set(drawn) == KEYS | {"transfers"} and set(end) == KEYS
    assert (drawn["event"], end["event"]) == ("progress", "end")
    assert (drawn["seconds"], drawn["done"], drawn["running"], drawn["unread"], drawn["bytes_per_second"], drawn["eta"]) == (
        2.0, 1, 2, None, 1024, None)
    assert drawn["transfers"] == [
        {"url": "http://example.org/x", "name": "name", "done": 50, "total": 200, "bytes_per_second": 0},
        {"url": "http://example.org/x", "name": "http://example.org/x", "done": 7, "total": None, "bytes_per_second": 0}]
    assert error == {"event": "error", "message": 'http://x/: "bad"'}
    assert note == {"event": "note", "message": "n"}


def test_json_lines_tell_of_some_transfers_only():
    stream = io.StringIO()
    JsonLines(Messages(NORMAL, stream), stream).draw(World().after(1, running=[transfer() for _ in range(50)]))
    told = json.loads(stream.getvalue())
    assert (told["running"], len(told["transfers"])) == (50, progress.MAX_TRANSFERS_TOLD)


# -- the table
@pytest.fixture
def table(monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "10")
    messages = Messages(NORMAL, stream := Terminal())
    return display_for("auto", messages, stream=stream)


def test_table_has_a_row_for_each_running_transfer_and_the_totals(table):
    world = World()
    world.after(0, running=[transfer(512, 2048, "big.iso"), transfer(7, 0, "[red]x")])
    table.draw(world.after(1, n_done=3, n_bytes=1024))
    text = table.stream.getvalue()
    assert "big.iso" in text and "25%" in text and "2 KiB" in text and "[red]x" in text and "3 done, 2 left" in text
    table.messages.error("[bold]e")
    assert "qhttp: [bold]e" in table.stream.getvalue()
    table.end(world.figures)
    assert table.stream.getvalue().endswith("qhttp: 3 files; 1 KiB in 0:01 (1 KiB/s)\n")


@pytest.mark.parametrize("columns", [200, 80, 60, 40, 20, 8, 1])
def test_table_is_not_larger_than_the_terminal(table, columns):
    table._console.size = columns, 10
    world = World()
    world.after(1, running=[transfer(path=f"{n}" + "x" * 100) for n in range(50)])
    drawn = table._drawn(world.after(1))
    lines = table._console.render_lines(drawn)
    assert len(lines) <= 9
    assert all(sum(segment.cell_length for segment in line) <= columns for line in lines)


def test_table_takes_back_what_wraps_in_a_narrower_terminal(table):
    world = World()
    world.after(1, running=[transfer(), transfer()])
    table.draw(world.after(1))              # lines of 80, 80 and 30 columns or so
    table._console.size = 40, 10
    before = len(table.stream.getvalue())
    table.draw(world.after(1))
    assert table.stream.getvalue()[before:].startswith("\r\x1b[4A\x1b[J\n\n")
    before = len(table.stream.getvalue())
    table._console.size = 90, 10
    table.draw(world.after(1))
    assert "\x1b[J" not in table.stream.getvalue()[before:]


def test_table_that_was_never_drawn_leaves_no_trace(table):
    table.end(None)
    assert table.stream.getvalue() == ""


def test_table_whose_stream_is_gone_gives_up(table, monkeypatch):
    def broken(text):
        raise BrokenPipeError

    monkeypatch.setattr(table.stream, "write", broken)
    world = World()
    table.draw(world.after(1, n_done=1))
    assert table.interval_s == 0
    table.messages.error("e")
    table.end(world.figures)
