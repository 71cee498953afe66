"""What stays behind: nothing. Objects, descriptors, threads, timers; and other threads and processes."""
import gc
import os
import threading
import weakref

import pytest
from bulk.downloads import LARGE, Quick, body, descriptors_go_back_to, download, n_descriptors, names_in, running
from bulk.origin import Each, Origin, answer, redirect
from core.process_tools import in_child, in_thread
from support.actions import Close, Drain, Reset

import qhttp
from qhttp.bulk.transfer import Transfer


def n_of(kind):
    gc.collect()
    return sum(type(found) is kind for found in gc.get_objects())


def n_threads():
    return len(os.listdir("/proc/self/task"))


PAGES = {
    "/a": answer(200, b"x"),
    "/b": answer(200, body(LARGE)),
    "/c": redirect("/a"),
    "/d": Each(answer(500), answer(200, b"x")),
    "/e": [answer(200, b"x", length=5), Close()],
    "/f": [Reset()],
    "/g": [answer(200, body(LARGE), length=LARGE + 1), Close()],
}


@pytest.mark.parametrize("settings", [{}, {"pipelining": 4}, {"session": "session"}, {"limit_rate": 10**9}, {"into": "bytes"}])
def test_end_leaves_no_object_behind(settings, tmp_path):
    settings = settings | ({"session": tmp_path / "session"} if "session" in settings else {})
    with Origin(PAGES) as origin:
        for _ in range(2):
            with running(
                [origin.url(path) for path in [*PAGES, "/none"]], dir=tmp_path, existing="overwrite", retries=1, **settings
            ) as (downloader, seen):
                downloader.run()
            reference = weakref.ref(downloader)
            assert len(seen.ended) == 8
            del downloader, seen
    gc.collect()
    assert reference() is None


def test_end_keeps_only_the_transfers_that_somebody_keeps(tmp_path):
    n_before = n_of(Transfer)
    with Origin({f"/{number}": answer(200, b"x") for number in range(100)}) as origin:
        with running((origin.url(f"/{number}") for number in range(100)), dir=tmp_path) as (downloader, _):
            pass
        del downloader, _
        with Quick((origin.url(f"/{number}") for number in range(100)), dir=tmp_path, proxy=None) as downloader:
            kept = []
            downloader.finished.connect(lambda transfer: kept.append(transfer) if transfer.url.endswith("/7") else None)
            downloader.run()
            assert n_of(Transfer) - n_before <= 2
    assert [transfer.size for transfer in kept] == [1]
    del downloader
    gc.collect()
    assert kept[0].to_dict()["http_code"] == 200 and kept[0].headers and repr(kept[0])


@pytest.mark.parametrize(
    "page",
    [answer(503, b"", ("Retry-After", "60")), answer(500, b"", ("Retry-After", "60")), [answer(200, b"x", length=5), Drain(9)]],
)
def test_stop_leaves_no_timer_behind(page, tmp_path):
    """What would be due in a minute holds nothing."""
    with (
        Origin({"/a": page}) as origin,
        running([origin.url("/a")], dir=tmp_path, limit_rate=1, host_rate=0.01) as (downloader, seen),
    ):
        downloader.start()
        downloader.turn_until(lambda: bool(origin.log))
        downloader.run(50)
        downloader.stop()
        downloader.run()
    reference = weakref.ref(downloader)
    del downloader, seen
    gc.collect()
    assert reference() is None


def test_close_ends_the_thread(tmp_path):
    with Origin({"/a": answer(200, b"x")}) as origin:
        before = None
        for number in range(3):
            download([origin.url("/a")], dir=tmp_path / str(number))
            gc.collect()
            if before is None:
                origin.wait_for(lambda: all(connection.how_ended for connection in origin.connections))
                before = len(threading.enumerate()), n_threads()
        origin.wait_for(lambda: all(connection.how_ended for connection in origin.connections))
        for connection in origin.connections:
            connection._thread.join()
    assert n_threads() <= before[1]


def test_downloader_that_is_dropped_without_an_end_leaves_no_connection(tmp_path):
    with Origin({"/a": [answer(200, b"x", length=5), Drain(9)]}) as origin:
        downloader = Quick([origin.url("/a")], dir=tmp_path, proxy=None)
        downloader.start()
        downloader.turn_until(lambda: bool(origin.log))
        downloader.stop()
        downloader.run()
        del downloader
        gc.collect()
        origin.wait_for(lambda: origin.connections[0].how_ended is not None)


def test_descriptors_after_each_kind_of_end(tmp_path):
    with Origin(PAGES) as origin:
        def closed(expected=None):
            origin.wait_for(lambda: all(connection.how_ended for connection in origin.connections))
            if expected is not None:
                descriptors_go_back_to(expected)
            return n_descriptors()
        download([origin.url(path) for path in PAGES], dir=tmp_path / "warm", retries=1, session=tmp_path / "session")
        before = closed()
        for number, settings in enumerate(
            [
                {},
                {"session": tmp_path / "session"},
                {"fail_fast": True},
                {"limit_rate": 10**9},
                {"max_size": 100},
                {"into": "bytes"},
                {"resume": False},
                {"fsync": True},
                {"hashes": ("md5",)},
            ]
        ):
            download(
                [origin.url(path) for path in [*PAGES, "/none", "ftp://x"]], dir=tmp_path / str(number), retries=1, **settings
            )
            closed(before)
        with running([origin.url(path) for path in PAGES], dir=tmp_path / "stopped") as (downloader, _):
            downloader.started.connect(lambda _: downloader.stop())
            downloader.run()
        closed(before)


# -- threads
@pytest.mark.parametrize(
    "use",
    [
        lambda downloader: downloader.run(0),
        lambda downloader: downloader.start(),
        lambda downloader: downloader.stop(),
        lambda downloader: downloader.add("http://h/"),
        lambda downloader: downloader.feed([]),
        lambda downloader: downloader.more(),
        lambda downloader: downloader.close(),
    ],
)
def test_another_thread_is_refused(use, tmp_path):
    with Origin({"/a": answer(200, b"x")}) as origin, running([origin.url("/a")], dir=tmp_path) as (downloader, seen):
        downloader.run(0)
        with pytest.raises(RuntimeError, match="thread"):
            in_thread(lambda: use(downloader))
        downloader.run()
    assert len(seen.finished) == 1


def test_another_thread_may_have_its_own(tmp_path):
    with Origin({f"/{number}": answer(200, b"x") for number in range(20)}) as origin:
        rows = [origin.url(path) for path in origin.answers]

        def work(name):
            found = qhttp.download_shard(rows, dir=tmp_path / name, proxy=None)
            return [row["error"] for row in found]
        results = {}
        threads = [threading.Thread(target=lambda name=name: results.setdefault(name, work(name))) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert results == dict.fromkeys("abc", [None] * 20) and len(names_in(tmp_path)) == 63


# -- processes
@pytest.mark.parametrize("use", [
    lambda downloader: downloader.run(0), lambda downloader: downloader.stop(), lambda downloader: downloader.add("http://h/"),
    lambda downloader: downloader.close(), lambda downloader: downloader.__exit__(None, None, None),
])
@pytest.mark.parametrize("is_done", [True, False])
def test_forked_child_is_refused_and_does_not_hang(is_done, use, tmp_path):
    def in_the_child():
        try:
            use(downloader)
        except RuntimeError as error:
            return "process" in str(error)
        return "went on"
    page = answer(200, b"x") if is_done else [answer(200, b"x", length=5), Drain(9)]
    with (
        Origin({"/a": page, "/b": answer(200, b"b")}) as origin,
        running([origin.url("/a"), origin.url("/b")], dir=tmp_path) as (downloader, seen),
    ):
        downloader.start()
        downloader.turn_until(lambda: len(seen.finished) == (2 if is_done else 1))
        assert in_child(in_the_child) is True
        assert origin.connections[0].how_ended is None


def test_forked_child_may_have_its_own(tmp_path):
    with (
        Origin({"/a": answer(200, b"x"), "/b": answer(200, b"y")}) as origin,
        running([origin.url("/a")], dir=tmp_path / "a") as (downloader, seen),
    ):
        downloader.run()
        found = in_child(lambda: qhttp.download_shard([origin.url("/b")], dir=tmp_path / "b", proxy=None))
        assert [row["error"] for row in found] == [None]
        downloader.add(origin.url("/b"))
        downloader.run()
    assert len(seen.finished) == 2 and names_in(tmp_path) == ["a", "a/a", "a/b", "b", "b/b"]


def test_forked_child_ends_without_a_word(tmp_path):
    """Its copies of the parent's objects go without harm."""
    with (
        Origin({"/a": answer(200, b"x"), "/b": answer(200, b"y")}) as origin,
        running([origin.url("/a")], dir=tmp_path) as (downloader, seen),
    ):
        downloader.run()

        def in_the_child():
            nonlocal downloader, seen
            del downloader, seen
            gc.collect()
            return True
        assert in_child(in_the_child)
        downloader.add(origin.url("/b"))
        downloader.run()
    assert len(seen.finished) == 2


# -- a Transfer by itself
ATTRIBUTES = (
    "url",
    "url_effective",
    "row",
    "path",
    "status",
    "size",
    "n_done",
    "n_total",
    "n_resumed",
    "error",
    "was_skipped",
    "n_retries",
    "n_redirects",
    "etag",
    "sha256",
    "checksums",
    "headers",
    "content",
    "time_namelookup",
    "time_connect",
    "time_appconnect",
    "time_starttransfer",
    "time_total",
    "state_name",
    "number",
)


@pytest.mark.parametrize("row", ["ftp://x", 5, "http://127.0.0.1:1/x"])
def test_transfer_that_failed_early_can_be_looked_at(row, tmp_path):
    def look():
        seen = download([row], dir=tmp_path, retries=0)
        [transfer] = seen.ended
        found = {name: getattr(transfer, name) for name in ATTRIBUTES}
        repr(transfer), transfer.to_dict(), transfer.header("x")
        for name in ("route", "place", "is_at_home", "request_headers", "range_fields"):
            try:
                getattr(transfer, name)
            except (AttributeError, TypeError):
                pass
        return found["status"], found["size"]
    assert in_child(look) == (0, -1)


def test_transfer_made_by_hand_is_no_crash():
    def look():
        transfer = Transfer()
        for name in [*ATTRIBUTES, "route", "place", "is_at_home", "request_headers", "range_fields"]:
            try:
                getattr(transfer, name)
            except (AttributeError, TypeError, RuntimeError):
                pass
        return len(repr(transfer)) > 0
    assert in_child(look)


@pytest.mark.parametrize("name", ["status", "size", "error", "path", "content", "was_skipped", "n_done", "url"])
def test_transfer_is_read_only(name):
    with pytest.raises(AttributeError):
        setattr(Transfer(), name, None)


def test_transfer_shows_no_query(tmp_path):
    with Origin() as origin:
        [transfer] = download([origin.url("/a?token=hidden")], dir=tmp_path).ended
    assert "hidden" not in repr(transfer) and "hidden" not in str(transfer.error)
