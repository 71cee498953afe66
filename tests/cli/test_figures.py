"""Rates, what is left, and the words for them."""
from types import SimpleNamespace

import pytest

from qhttp.cli.figures import Figures, name_of, percent_text, size_text, summary_text, time_text, totals_text


def transfer(n_done=0, n_total=0, path="folder/name", url="http://example.org/x?secret"):
    class Transfer:
        pass

    made = Transfer()
    vars(made).update(n_done=n_done, n_total=n_total, path=path, url=url)
    return made


class World:
    """A downloader's counters, a clock and a list, all set by hand."""

    def __init__(self, n_unread=0):
        self.now, self.n_unread = 100.0, n_unread
        self.counters = SimpleNamespace(n_done=0, n_failed=0, n_skipped=0, n_retries=0, n_bytes=0, n_queued=0,
                                        n_files_waiting=0, running=[])
        self.figures = Figures(self.counters, lambda: self.n_unread, lambda: self.now)

    def after(self, seconds, **counters):
        self.now += seconds
        vars(self.counters).update(counters)
        return self.figures.sample()


def test_rate_is_that_of_the_last_seconds():
    world = World()
    assert world.after(1, n_bytes=1000).rate == 1000
    for _ in range(20):
        world.after(1, n_bytes=world.counters.n_bytes + 500)
    assert world.figures.rate == 500
    assert world.after(10).rate < 100
    assert world.after(10).rate == 0


def test_rate_of_a_sample_at_the_same_moment_stays():
    world = World()
    assert world.after(0, n_bytes=10).rate == 0


def test_samples_are_bounded():
    world = World()
    for _ in range(1000):
        world.after(0.001, n_bytes=world.counters.n_bytes + 1)
    assert world.figures.rate == pytest.approx(1000)
    assert len(world.figures._samples) <= 64


def test_eta_of_known_sizes_is_by_bytes():
    world = World()
    assert world.after(2, n_bytes=200, running=[transfer(100, 1000), transfer(100, 200)]).eta_s == pytest.approx(10)


@pytest.mark.parametrize("n_unread, counters, eta", [
    (0, {"n_done": 10, "n_queued": 40}, 40), (100, {"n_done": 5, "n_failed": 5}, 100),
    (None, {"n_done": 10, "n_queued": 40}, None),          # who knows how long the list is
    (0, {"n_done": 10}, None),                                 # nothing is left
    (0, {"n_queued": 40}, None), (0, {"n_bytes": 5, "running": [transfer(5, 0)]}, None),
])
def test_eta_is_by_files_or_unknown(n_unread, counters, eta):
    assert World(n_unread).after(10, **counters).eta_s == eta


def test_running_transfers_keep_their_order_and_have_rates():
    world = World()
    first, second, third = transfer(), transfer(), transfer()
    world.after(1, running=[second, first])
    assert [which for which, _ in world.figures.running] == [second, first]
    first.n_done = 100
    assert world.after(1, running={third: 0, first: 0, second: 0}).running == [(second, 0), (first, 100), (third, 0)]
    first.n_done = 400
    [(_, rate)] = world.after(1, running=[first]).running
    assert rate == pytest.approx(100 + 0.3 * 200)
    first.n_done = 0                            # it starts again
    [(_, rate)] = world.after(1, running=[first]).running
    assert 0 < rate < 160


def test_lasting_transfers_were_there_before():
    world = World()
    first, second = transfer(), transfer()
    assert world.after(1, running=[first]).lasting == []
    assert world.after(1, running=[second, first]).lasting == [(first, 0)]
    assert world.after(1, running=[second]).lasting == [(second, 0)]


def test_n_left_counts_what_is_known():
    world = World(7)
    assert world.after(1, n_queued=1, n_files_waiting=1, running=[transfer()]).n_left == 10
    world.n_unread = None
    assert world.after(1).n_left == 3


# -- words
@pytest.mark.parametrize("n, text", [
    (0, "0 B"), (1000, "1000 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (102_400, "100 KiB"), (1_022_976, "999 KiB"),
    (1_040_000, "1016 KiB"), (1_048_576, "1 MiB"),
    (12.34 * 2**30, "12.3 GiB"), (2**60, "1024 PiB"), (2**70, "1048576 PiB"),
])
def test_size_text_has_three_figures(n, text):
    assert size_text(n) == text


@pytest.mark.parametrize("seconds, text", [
    (None, "-"), (0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (750, "12:30"), (10921, "3:02:01"),
])
def test_time_text_is_short(seconds, text):
    assert time_text(seconds) == text


@pytest.mark.parametrize("n_done, n_total, text", [
    (0, 0, ""), (5, 0, ""), (0, 9, "0%"), (2, 3, "66%"), (9, 9, "100%"), (10, 9, "100%"),
])
def test_percent_text_is_cut_off(n_done, n_total, text):
    assert percent_text(transfer(n_done, n_total)) == text


@pytest.mark.parametrize("path, name", [("a/b.iso", "b.iso"), ("a/\x1b[2J", "?[2J"), (None, "http://example.org/x")])
def test_name_of_a_transfer_is_its_files(path, name):
    assert name_of(transfer(path=path)) == name


def test_totals_text_says_only_what_there_is():
    world = World(None)
    assert totals_text(world.after(0)) == "0 done, 0+ left | 0 B at 0 B/s"
    world.n_unread = 0
    world.after(10, n_done=10, n_failed=10, n_skipped=1, n_bytes=10240, n_queued=40)
    assert totals_text(world.figures) == "10 done, 1 were there, 10 failed, 40 left | 10 KiB at 1 KiB/s | ETA 0:20"


def test_summary_text_says_what_it_came_to():
    world = World()
    assert summary_text(world.after(2, n_done=1, n_bytes=2048)) == "1 file; 2 KiB in 0:02 (1 KiB/s)"
    world.after(0, n_done=2, n_failed=1, n_skipped=3)
    assert summary_text(world.figures) == "2 files, 3 already there, 1 failed; 2 KiB in 0:02 (1 KiB/s)"
