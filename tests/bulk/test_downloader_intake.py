"""Rows in: lazily, from several iterables, while it runs; and slots that do as they like."""
import itertools
import select

import pytest
from bulk.downloads import LARGE, LIMIT_S, SMALL, Quick, body, download, files_in, names_in, running
from bulk.origin import Each, Origin, answer
from core.process_tools import in_thread
from support.actions import Drain
from support.watchdog import limited

import qhttp

SLOW = [answer(200, body(100), length=200), Drain(9)]


def numbered(n, data=b"x"):
    return {f"/{number}": answer(200, data) for number in range(n)}


class Reading:
    """An iterator of rows that tells how far it was read."""

    def __init__(self, rows):
        self._rows, self.n_read = iter(rows), 0

    def __iter__(self):
        return self

    def __next__(self):
        row = next(self._rows)
        self.n_read += 1
        return row


def test_intake_reads_no_more_than_lanes_and_the_window_take(tmp_path):
    with Origin({f"/{number}": SLOW for number in range(100)}) as origin:
        rows = Reading(origin.url(f"/{number}") for number in range(100))
        with running(rows, dir=tmp_path, jobs=4, per_host=2, window=10) as (downloader, _):
            assert rows.n_read == 0
            downloader.start()
            downloader.turn_until(lambda: len(origin.log) == 2)
            downloader.run(30)
            assert 2 < rows.n_read <= 2 + 10 + 1 and downloader.n_queued == rows.n_read - 2
            downloader.stop()


def test_intake_is_as_lazy_without_a_busy_host(tmp_path):
    with Origin({f"/{number}": SLOW for number in range(100)}) as origin:
        rows = Reading(origin.url(f"/{number}") for number in range(100))
        with running(rows, dir=tmp_path, jobs=3, per_host=8) as (downloader, _):
            downloader.start()
            downloader.turn_until(lambda: len(origin.log) == 3)
            downloader.run(30)
            assert rows.n_read == 3
            downloader.stop()


def test_intake_of_a_busy_host_does_not_stop_the_others(tmp_path):
    with Origin({f"/slow{number}": SLOW for number in range(20)}) as slow, Origin(numbered(5)) as quick:
        rows = [origin.url(path) for origin in (slow, quick) for path in origin.answers]
        with running(rows, dir=tmp_path, per_host=1) as (downloader, seen):
            downloader.start()
            downloader.turn_until(lambda: len(seen.finished) == 5 and slow.log)     # a server may be slower than another
            assert len(slow.log) == 1 and downloader.n_running == 1
            downloader.stop()


def test_intake_limits_transfers_at_a_time(tmp_path):
    most = []
    with (
        Origin(numbered(60, body(SMALL))) as origin,
        running([origin.url(path) for path in origin.answers], dir=tmp_path, jobs=7, per_host=5) as (downloader, seen),
    ):
        downloader.started.connect(lambda _: most.append(downloader.n_running))
        downloader.run()
        assert len(origin.connections) <= 5
    assert max(most) == 5 and len(seen.finished) == 60


@pytest.mark.parametrize("rows", [[], (), iter(()), "nothing fed"])
def test_intake_of_nothing_is_done_at_once(rows, tmp_path):
    with running(() if rows == "nothing fed" else rows, dir=tmp_path) as (downloader, seen):
        assert downloader.run() and downloader.is_done
    assert seen.had_errors == [False]


def test_intake_of_one_url_is_one_row(tmp_path):
    with Origin(numbered(1)) as origin:
        assert [transfer.url for transfer in download(origin.url("/0"), dir=tmp_path).ended] == [origin.url("/0")]
        seen = download({"url": origin.url("/0"), "out": "x"}, dir=tmp_path)
    assert [transfer.row["out"] for transfer in seen.ended] == ["x"]


def test_intake_reads_iterables_in_their_order(tmp_path):
    with Origin(numbered(6)) as origin, running([origin.url("/0")], dir=tmp_path, jobs=1) as (downloader, seen):
        downloader.feed(origin.url(f"/{number}") for number in (1, 2))
        downloader.feed([origin.url("/3")])
        downloader.add(origin.url("/4"))
        downloader.add({"url": origin.url("/5")})
        downloader.run()
    assert origin.paths == [f"/{number}" for number in range(6)] and len(seen.finished) == 6


def test_intake_of_rows_that_come_while_it_runs(tmp_path):
    with Origin(numbered(30)) as origin, running([origin.url("/0")], dir=tmp_path) as (downloader, seen):
        def more(transfer):
            number = int(transfer.url.rpartition("/")[2])
            if number < 29:
                downloader.add(origin.url(f"/{number + 1}"))
        downloader.finished.connect(more)
        assert downloader.run()
    assert len(seen.finished) == 30 and seen.had_errors == [False]


def test_intake_row_added_from_another_thread_is_refused_and_later_ones_are_fetched(tmp_path):
    with Origin(numbered(2)) as origin, running([], dir=tmp_path) as (downloader, _):
        for _ in range(2):
            with pytest.raises(RuntimeError, match="thread"):
                in_thread(lambda: downloader.add(origin.url("/0")))
        downloader.add(origin.url("/1"))
        assert downloader.run()
    assert names_in(tmp_path) == ["1"]


def test_intake_row_added_and_those_that_left_was_not_asked_for_are_fetched(tmp_path):
    with Origin(numbered(4)) as origin, running([], dir=tmp_path) as (downloader, _):
        for number in range(3):
            downloader.add(origin.url(f"/{number}"))
        left = downloader.left()
        assert next(left)["url"] == origin.url("/0")
        left.close()
        downloader.add(origin.url("/3"))
        assert downloader.run()
    assert names_in(tmp_path) == ["1", "2", "3"]


def test_intake_iterator_that_turns_the_loop_to_its_end_comes_back(tmp_path):
    with Origin(numbered(3)) as origin:
        def rows():
            yield origin.url("/0")
            qhttp.run()
            yield origin.url("/1")

        with running(rows(), dir=tmp_path) as (downloader, _), limited(LIMIT_S):
            assert downloader.run()
    assert names_in(tmp_path) == ["0", "1"]


def test_intake_after_the_end_goes_on(tmp_path):
    with Origin(numbered(4)) as origin, running([origin.url("/0")], dir=tmp_path) as (downloader, seen):
        downloader.run()
        downloader.add(origin.url("/1"))
        assert not downloader.is_done
        downloader.run()
        downloader.feed([origin.url("/2")])
        downloader.run()
        downloader.done.connect(lambda _: len(seen.finished) == 3 and downloader.add(origin.url("/3")))
        downloader.feed([])
        downloader.run()
    assert len(seen.finished) == 4 and set(seen.had_errors) == {False}


def test_intake_the_same_iterable_twice_is_read_once(tmp_path):
    with Origin(numbered(10)) as origin:
        rows = iter([origin.url(path) for path in origin.answers])
        with running(rows, dir=tmp_path) as (downloader, seen):
            downloader.feed(rows)
            downloader.run()
    assert len(seen.ended) == 10


def test_intake_iterator_that_raises_is_told_and_the_rest_is_fetched(tmp_path):
    def broken():
        yield origin.url("/0")
        raise KeyError("mine")
    with Origin(numbered(3)) as origin, running(broken(), dir=tmp_path) as (downloader, seen):
        downloader.feed([origin.url("/1"), origin.url("/2")])
        with pytest.raises(KeyError, match="mine"):
            downloader.run()
        assert downloader.run() and len(seen.finished) == 3


@pytest.mark.parametrize(
    "function",
    [lambda rows, **kw: list(qhttp.iter_download(rows, **kw)), qhttp.download_shard],
    ids=["iter_download", "download_shard"],
)
def test_intake_iterator_that_raises_is_not_hushed_up(function, tmp_path):
    def broken():
        yield origin.url("/0")
        raise KeyError("mine")
    with Origin(numbered(1)) as origin, limited(10), pytest.raises(KeyError, match="mine"):
        function(broken(), dir=tmp_path, proxy=None)


@pytest.mark.parametrize(
    "function",
    [lambda rows, **kw: [transfer.to_dict() for transfer in qhttp.iter_download(rows, **kw)], qhttp.download_shard],
    ids=["iter_download", "download_shard"],
)
def test_intake_none_is_a_bad_row_for_those_who_cannot_say_more(function, tmp_path):
    with Origin(numbered(2)) as origin, limited(10):
        found = function([origin.url("/0"), None, origin.url("/1")], dir=tmp_path, proxy=None)
    assert sorted(str(row["error"]) for row in found) == ["None", "None", "RequestError"]


def test_intake_none_waits_until_there_is_more(tmp_path):
    queue = ["/0", None, "/1", None, None, "/2"]

    def rows():
        while queue:
            path = queue.pop(0)
            yield None if path is None else origin.url(path)
    with Origin(numbered(3)) as origin, running(rows(), dir=tmp_path) as (downloader, seen):
        for expected in (1, 2, 2, 3):
            downloader.start()
            assert downloader.run(100) is (expected == 3)
            assert len(seen.finished) == expected
            downloader.more()


def test_intake_none_added_is_a_row_that_fails(tmp_path):
    with Origin(numbered(1)) as origin, running([], dir=tmp_path) as (downloader, seen):
        downloader.add(None)
        downloader.add(origin.url("/0"))
        assert downloader.run()
    assert [type(transfer.error).__name__ for transfer in seen.ended] == ["RequestError", "NoneType"]


def test_intake_source_that_another_thread_fills_is_asked_again_through_the_loop(tmp_path):
    filled, loop = [], qhttp.loop()

    def fill(url):
        filled.append(url)
        loop.call_from_thread(downloader.more)

    def rows():
        while True:
            yield filled.pop() if filled else None
    with Origin(numbered(1)) as origin, running(rows(), dir=tmp_path) as (downloader, seen):
        assert not downloader.run(0)
        in_thread(lambda: fill(origin.url("/0")))
        downloader.turn_until(lambda: seen.finished)
    assert names_in(tmp_path) == ["0"]


def test_intake_turned_until_something_shows_what_is_left_to_do_on_the_descriptor():
    loop, called = qhttp.loop(), []

    def call():
        called.append("now")
        loop.call_soon(lambda: called.append("in the turn after"))
    with running(itertools.repeat(None), into="bytes") as (downloader, _):
        downloader.run(0)
        loop.call_later(0, lambda: loop.call_soon(call))
        downloader.turn_until(lambda: called)
        assert called == ["now"]
        assert select.select([loop.fileno()], [], [], 0)[0]


def test_intake_reads_a_million_rows_without_keeping_them(tmp_path):
    """Bad rows end at once: none of them stays but for what `left` has to say."""
    rows = Reading("x" for _ in range(20_000))
    with running(rows, dir=tmp_path) as (downloader, _):
        n_failed = []
        downloader.failed.connect(lambda transfer: n_failed.append(1))
        downloader.run()
    assert rows.n_read == 20_000 and len(n_failed) == 20_000 == downloader.n_failed


# -- slots
@pytest.mark.parametrize("word", ["started", "progress", "finished", "failed", "retrying", "done"])
def test_slot_that_raises_is_told_by_run_and_nothing_is_lost(word, tmp_path):
    pages = numbered(6) | {"/bad": answer(404), "/later": Each(answer(500), answer(200, b"x"))}
    with Origin(pages) as origin, running([origin.url(path) for path in pages], dir=tmp_path) as (downloader, seen):
        raised = []

        def slot(*_):
            if not raised:
                raised.append(1)
                raise KeyError(word)
        getattr(downloader, word).connect(slot)
        with pytest.raises(KeyError, match=word):
            downloader.run()
        assert downloader.run()
    assert len(seen.finished) == 7 and len(seen.failed) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")     # of several in one turn, one is raised
def test_slot_that_raises_each_time_loses_nothing(tmp_path):
    with (
        Origin(numbered(5)) as origin,
        running([origin.url(path) for path in origin.answers], dir=tmp_path, jobs=1) as (downloader, seen),
    ):
        def slot(transfer):
            raise KeyError(transfer.url)
        downloader.finished.connect(slot)
        n_raised = 0
        for _ in range(10):
            try:
                if downloader.run():
                    break
            except KeyError:
                n_raised += 1
    assert n_raised >= 1 and len(seen.finished) == 5


@pytest.mark.parametrize("word", ["started", "progress", "finished", "failed", "retrying"])
def test_slot_that_turns_the_loop(word, tmp_path):
    pages = numbered(12) | {"/bad": answer(404), "/later": Each(answer(500), answer(200, b"x"))}
    with Origin(pages) as origin, running([origin.url(path) for path in pages], dir=tmp_path, jobs=3) as (downloader, seen):
        getattr(downloader, word).connect(lambda *_: qhttp.run(5))
        assert downloader.run()
    assert len(seen.finished) == 13 and len(seen.failed) == 1 and len(set(seen.ended)) == 14


@pytest.mark.parametrize("word", ["started", "progress", "finished", "failed", "retrying"])
def test_slot_that_turns_the_loop_without_a_limit(word, tmp_path):
    pages = numbered(12) | {"/bad": answer(404), "/later": Each(answer(500), answer(200, b"x"))}
    with Origin(pages) as origin, running([origin.url(path) for path in pages], dir=tmp_path, jobs=3) as (downloader, seen):
        n_called = []

        def slot(*_):
            n_called.append(1)
            if len(n_called) < 4:
                qhttp.run()
        getattr(downloader, word).connect(slot)
        assert downloader.run()
    assert len(seen.finished) == 13 and len(seen.failed) == 1 and len(set(seen.ended)) == 14


@pytest.mark.parametrize("word", ["started", "progress", "finished"])
def test_slot_that_runs_another_downloader(word, tmp_path):
    with (
        Origin(numbered(4) | {"/in": answer(200, body(LARGE))}) as origin,
        running([origin.url(f"/{number}") for number in range(4)], dir=tmp_path, jobs=2) as (downloader, seen),
    ):
        inner = []

        def slot(*_):
            if not inner:
                inner.append(1)
                with Quick([origin.url("/in")], dir=tmp_path, proxy=None) as another:
                    inner.append(another.run())
        getattr(downloader, word).connect(slot)
        assert downloader.run()
    assert inner == [1, True] and len(seen.finished) == 4 and files_in(tmp_path)["in"] == body(LARGE)


def test_slot_that_asks_a_client(tmp_path):
    with (
        Origin(numbered(4) | {"/in": answer(200, b"inner")}) as origin,
        running([origin.url(f"/{number}") for number in range(4)], dir=tmp_path) as (downloader, seen),
        qhttp.Client(proxy=None) as client,
    ):
        contents = []
        downloader.finished.connect(lambda _: contents.append(client.get(origin.url("/in")).content))
        assert downloader.run()
    assert contents == [b"inner"] * 4 and len(seen.finished) == 4


def test_slot_that_disconnects_itself(tmp_path):
    with (
        Origin(numbered(4)) as origin,
        running([origin.url(path) for path in origin.answers], dir=tmp_path) as (downloader, seen),
    ):
        called = []

        def slot(transfer):
            called.append(transfer)
            downloader.finished.disconnect(slot)
        downloader.finished.connect(slot)
        downloader.run()
    assert len(called) == 1 and len(seen.finished) == 4


# -- what is told
def test_signals_come_in_their_order(tmp_path):
    told = []
    with Origin({"/a": answer(200, body(LARGE))}) as origin, running([origin.url("/a")], dir=tmp_path) as (downloader, _):
        downloader.started.connect(lambda transfer: told.append("started"))
        downloader.progress.connect(lambda transfer, n_done, n_total: told.append((n_done, n_total)))
        downloader.finished.connect(lambda transfer: told.append("finished"))
        downloader.done.connect(lambda had_errors: told.append(had_errors))
        downloader.run()
    numbers = [n_done for n_done, _ in told[1:-2]]
    assert (
        told[0] == "started" and told[-2:] == ["finished", False] and numbers == sorted(numbers) and told[-3] == (LARGE, LARGE)
    )


def test_counters_add_up(tmp_path):
    (tmp_path / "0").write_bytes(b"x")
    with Origin(numbered(10) | {"/10": Each(answer(500), answer(200, b"12345"))}) as origin:
        seen = download([origin.url(f"/{number}") for number in range(12)], dir=tmp_path, existing="skip")
    downloader = seen.downloader
    assert (downloader.n_done, downloader.n_skipped, downloader.n_failed, downloader.n_retries) == (10, 1, 1, 1)
    assert downloader.n_bytes == 9 + 5 and downloader.n_running == downloader.n_queued == 0


def test_run_for_a_while_says_whether_it_was_enough(tmp_path):
    with Origin({"/a": SLOW}) as origin, running([origin.url("/a")], dir=tmp_path) as (downloader, seen):
        assert downloader.run(0) is False and downloader.run(20) is False
        assert not downloader.is_done
        downloader.stop()
        assert downloader.run(5000) is True and downloader.is_done
    assert seen.had_errors == [True]


def test_qhttp_run_turns_a_downloader_that_was_started(tmp_path):
    with (
        Origin(numbered(3)) as origin,
        running([origin.url(path) for path in origin.answers], dir=tmp_path) as (downloader, seen),
    ):
        downloader.start()
        assert qhttp.run()
    assert len(seen.finished) == 3


@pytest.mark.parametrize(
    "path, sent",
    [
        ("/a/../b", "/b"),
        ("/a/./b", "/a/b"),
        ("/a#frag", "/a"),
        ("/caf\xe9", "/caf%C3%A9"),
        ("?q", "/?q"),
        ("", "/"),
        ("/a?x=/../", "/a?x=/../"),
        ("/a%20b", "/a%20b"),
        ("/..", "/"),
    ],
)
def test_url_means_the_same_as_the_first_of_its_host_and_as_a_later_one(path, sent, tmp_path):
    with Origin() as origin:
        for before in ([], [origin.url("/first")]):
            origin.log.clear()
            download([*before, origin.url(path)], into="bytes", per_host=1, retries=0)
            assert origin.paths[-1] == sent
