"""Stopping: nothing new starts, what runs is broken off or comes to its end, and `left` says exactly what is to do."""
import pytest
from bulk.downloads import (
    LARGE,
    SMALL,
    HeldFiles,
    body,
    both_paths,
    descriptors_go_back_to,
    download,
    files_in,
    n_descriptors,
    names_in,
    one,
    running,
)
from bulk.origin import Each, Origin, Versioned, answer, redirect
from support.actions import Close, Drain, Pause

import qhttp

N, CUT = LARGE * 2, LARGE + 50_000
DATA = body(N)
PAGES = {f"/{number}": answer(200, b"x") for number in range(5)}


def slow(n=CUT):
    """Some of a body, and then nothing."""
    return [answer(200, DATA[:n], ("ETag", '"one"'), length=N), Drain(9)]


def urls(origin):
    return [origin.url(path) for path in origin.answers]


def urls_left(downloader):
    return sorted(row["url"].rpartition("/")[2] for row in downloader.left())


# -- what is left
def test_left_before_the_start_is_everything(tmp_path):
    rows = ["http://h/a", {"url": "http://h/b", "out": "x"}]
    with running(rows, dir=tmp_path) as (downloader, _):
        assert list(downloader.left()) == [{"url": "http://h/a"}, {"url": "http://h/b", "out": "x"}]


def test_left_not_read_to_its_end_leaves_the_other_rows_to_the_run(tmp_path):
    with Origin(PAGES) as origin, running(iter(urls(origin)), dir=tmp_path) as (downloader, seen):
        given = next(downloader.left())
        downloader.run()
        assert sorted([given["url"], *(transfer.url for transfer in seen.finished)]) == sorted(urls(origin))
        assert list(downloader.left()) == []


def test_left_asked_for_by_the_iterable_itself_is_refused_and_loses_no_row(tmp_path):
    def rows():
        with pytest.raises(ValueError, match="already executing"):
            list(downloader.left())
        yield from urls(origin)
    with Origin(PAGES) as origin, running(rows(), dir=tmp_path) as (downloader, seen):
        downloader.run()
    assert len(seen.finished) == len(PAGES)


def test_left_of_an_iterable_that_turns_the_loop_gives_all_its_rows(tmp_path):
    def rows():
        for url in urls(origin):
            qhttp.run(0)
            yield url
    with Origin(PAGES) as origin, running(rows(), dir=tmp_path) as (downloader, _):
        downloader.start()
        assert [row["url"] for row in downloader.left()] == urls(origin)


def test_left_after_the_end_is_what_failed(tmp_path):
    with Origin({"/a": answer(200, b"x"), "/b": answer(200, b"x")}) as origin:
        rows = [origin.url("/a"), {"url": origin.url("/none"), "out": "n"}, origin.url("/b"), "ftp://bad"]
        seen = download(rows, dir=tmp_path)
    assert sorted(map(str, seen.downloader.left())) == sorted(
        map(str, [{"url": origin.url("/none"), "out": "n"}, {"url": "ftp://bad"}])
    )


@pytest.mark.parametrize("what", [{"headers": [["A", "b\r\nc"]]}, {"checksum": "sha256:1"}, {"size": "x"}])
def test_left_of_a_row_that_was_refused_is_all_of_it(what, tmp_path):
    """Without what was wrong with it, the next run would fetch the URL under another name and compare nothing."""
    row = {"url": "http://h/a", "out": "x", **what}
    seen = download([row], dir=tmp_path)
    assert seen.kinds == {"a": "RequestError"}
    assert seen.ended[0].row == row and list(seen.downloader.left()) == [row]


@pytest.mark.parametrize("row", ["http://joe:secret@h/a", {"url": "http://joe:secret@h/a", "out": "a"}])
def test_left_of_a_row_with_a_user_is_refused_again_and_has_no_password(row, tmp_path):
    left = list(download([row], dir=tmp_path).downloader.left())
    assert "secret" not in str(left) and len(left) == 1
    again = download(left, dir=tmp_path)
    assert again.kinds == {"a": "RequestError"} and list(again.downloader.left()) == left


@both_paths
def test_left_after_a_stop_is_all_that_is_not_done(n, tmp_path):
    with Origin({f"/{name}": answer(200, body(n)) for name in "abc"} | {"/slow": slow(), "/slow2": slow()}) as origin:
        rows = [origin.url(path) for path in origin.answers] + [origin.url(f"/more{number}") for number in range(20)]
        with running(iter(rows), dir=tmp_path, jobs=2) as (downloader, seen):
            downloader.start()
            downloader.turn_until(lambda: len(seen.finished) == 3 and len(origin.log) == 5)
            downloader.stop()
            assert downloader.run()
            assert urls_left(downloader) == sorted(["slow", "slow2", *(f"more{number}" for number in range(20))])
    assert seen.had_errors == [True] and len(seen.ended) == 3 and names_in(tmp_path) == ["a", "b", "c"]


def test_left_has_each_row_once_whatever_it_waits_for(tmp_path):
    pages = {
        "/retry": answer(500, b"", ("Retry-After", "60")),
        "/slow": slow(),
        "/gone": answer(404),
        "/good": answer(200, b"x"),
        "/to": redirect("/slow"),
    }
    with Origin(pages) as origin:
        rows = [origin.url(path) for path in pages] + [origin.url("/waits")]
        with running(rows, dir=tmp_path, per_host=3, jobs=3) as (downloader, seen):
            downloader.start()
            downloader.turn_until(lambda: len(origin.asked("/slow")) == 2 and len(seen.ended) >= 2 and bool(seen.delays))
            downloader.stop()
            downloader.run()
            left = urls_left(downloader)
    done = {transfer.url.rpartition("/")[2] for transfer in seen.finished}
    assert sorted([*left, *done]) == sorted(["retry", "slow", "gone", "good", "to", "waits"]) and "good" in done


def test_left_rows_are_fetched_by_another_downloader(tmp_path):
    names = [str(number) for number in range(60)]
    with Origin({f"/{name}": answer(200, name.encode()) for name in names}) as origin:
        rows = [{"url": origin.url(f"/{name}"), "out": f"sub/{name}"} for name in names]
        with running(iter(rows), dir=tmp_path, jobs=3) as (downloader, seen):
            downloader.start()
            downloader.turn_until(lambda: len(seen.finished) >= 10)
            downloader.stop()
            downloader.run()
            left = list(downloader.left())
        assert len(left) + len(seen.finished) == 60
        second = download(left, dir=tmp_path)
    assert len(second.finished) == len(left) and files_in(tmp_path) == {f"sub/{name}": name.encode() for name in names}


def test_left_of_the_window_keeps_rows_that_were_read_ahead(tmp_path):
    with Origin({"/slow": slow()}) as origin:
        rows = [origin.url("/slow"), *(origin.url(f"/{number}") for number in range(50))]
        with running(iter(rows), dir=tmp_path, per_host=1, window=20) as (downloader, _):
            downloader.start()
            downloader.turn_until(lambda: bool(origin.log))
            downloader.stop()
            downloader.run()
            assert sorted(row["url"] for row in downloader.left()) == sorted(rows)


# -- what runs
def test_stop_breaks_off_and_leaves_no_part_without_a_session(tmp_path):
    with (
        Origin({"/a": slow(), "/b": slow(100)}) as origin,
        running([origin.url("/a"), origin.url("/b")], dir=tmp_path) as (downloader, seen),
    ):
        downloader.progress.connect(lambda transfer, n_done, _: n_done == CUT and downloader.stop())
        assert downloader.run()
        origin.wait_for(lambda: all(connection.how_ended for connection in origin.connections))
    assert seen.words == ["started", "started"] and seen.had_errors == [True] and names_in(tmp_path) == []


def test_stop_keeps_parts_with_a_session_and_the_next_run_continues(tmp_path):
    settings = {"dir": tmp_path / "files", "session": tmp_path / "session"}
    with Origin({"/a": slow(), "/b": slow()}) as origin:
        rows = [origin.url("/a"), origin.url("/b")]
        with running(rows, **settings) as (downloader, _):
            downloader.start()
            downloader.turn_until(lambda: downloader.n_bytes == 2 * CUT)
            downloader.stop()
            downloader.run()
            assert urls_left(downloader) == ["a", "b"]
        assert names_in(settings["dir"]) == ["a.part", "b.part"]
        origin.answers = {"/a": Versioned(DATA), "/b": Versioned(DATA)}
        seen = download(rows, **settings)
        assert all(origin.answers[path].n_sent[0] < LARGE for path in ("/a", "/b"))
    assert files_in(settings["dir"]) == {"a": DATA, "b": DATA} and all(transfer.n_resumed for transfer in seen.finished)


def test_stop_gently_lets_what_runs_come_to_its_end(tmp_path):
    with Origin(
        {"/a": [answer(200, body(SMALL))[:-5], Pause(0.1), answer(200, body(SMALL))[-5:]], "/b": answer(200, b"x")}
    ) as origin, running([origin.url("/a"), origin.url("/b")], dir=tmp_path, jobs=1) as (downloader, seen):
        downloader.progress.connect(lambda *_: downloader.stop(gently=True))
        assert downloader.run()
        assert urls_left(downloader) == ["b"]
    assert seen.kinds == {"a": None} and files_in(tmp_path) == {"a": body(SMALL)} and origin.paths == ["/a"]


def test_stop_gently_and_then_at_once(tmp_path):
    with Origin({"/a": slow()}) as origin, running([origin.url("/a")], dir=tmp_path) as (downloader, seen):
        downloader.start()
        downloader.turn_until(lambda: bool(origin.log))
        downloader.stop(gently=True)
        assert not downloader.run(50)
        downloader.stop()
        assert downloader.run()
    assert seen.ended == [] and names_in(tmp_path) == []


def test_stop_gently_does_not_wait_for_further_tries(tmp_path):
    with (
        Origin({"/a": answer(500, b"", ("Retry-After", "60"))}) as origin,
        running([origin.url("/a")], dir=tmp_path) as (downloader, _),
    ):
        downloader.start()
        downloader.turn_until(lambda: bool(origin.log))
        downloader.stop(gently=True)
        assert downloader.run()
        assert urls_left(downloader) == ["a"]


@pytest.mark.parametrize("kept", [True, False])
def test_stop_gently_lets_go_of_the_part_of_what_waits_for_another_try(kept, tmp_path):
    """What is left can be fetched at once, in the same process."""
    settings = {"dir": tmp_path, **({"session": tmp_path / "session"} if kept else {})}
    before = n_descriptors()
    with Origin({"/a": Versioned(DATA, cuts=[CUT])}) as origin:
        with running([origin.url("/a")], **settings) as (downloader, seen):
            downloader.retrying.connect(lambda *_: downloader.stop(gently=True))
            assert downloader.run()
            rows = list(downloader.left())
        assert seen.ended == [] and names_in(tmp_path) == (["a.part"] if kept else [])
        assert (one(rows[0], **settings).n_resumed > 0) is kept
    assert files_in(tmp_path)["a"] == DATA
    descriptors_go_back_to(before)


def test_stop_while_the_part_is_being_made_leaves_none(tmp_path):
    with Origin({"/a": slow()}) as origin, running([origin.url("/a")], dir=tmp_path) as (downloader, _):
        with HeldFiles(downloader):
            downloader.start()
            downloader.turn_until(lambda: bool(origin.log))
            downloader.run(100)
            downloader.stop()
        assert downloader.run()
    assert names_in(tmp_path) == []


@both_paths
def test_stop_while_files_are_being_placed_waits_for_them(n, tmp_path):
    with Origin({"/a": answer(200, body(n))}) as origin, running([origin.url("/a")], dir=tmp_path) as (downloader, seen):
        downloader.start()
        if n == SMALL:
            with HeldFiles(downloader):
                downloader.turn_until(lambda: bool(origin.log))
                downloader.run(100)
                downloader.stop()
        else:
            downloader.progress.connect(lambda transfer, n_done, _: n_done == n and downloader.stop(gently=True))
        assert downloader.run()
        assert list(downloader.left()) == []
    assert seen.kinds == {"a": None} and files_in(tmp_path) == {"a": body(n)} and downloader.n_done == 1


# -- from a slot
@pytest.mark.parametrize("word", ["started", "finished", "failed", "progress", "retrying"])
@pytest.mark.parametrize("gently", [False, True])
@pytest.mark.parametrize("pipelining", [1, 4])
def test_stop_from_a_slot_leaves_what_is_not_done(word, gently, pipelining, tmp_path):
    pages = {f"/{number}": answer(200, body(SMALL)) for number in range(20)}
    if word == "failed":
        pages["/3"] = answer(404)
    elif word == "retrying":
        pages["/3"] = Each(answer(500), answer(200, body(SMALL)))
    with Origin(pages) as origin:
        rows = [origin.url(path) for path in pages]
        with running(rows, dir=tmp_path, jobs=2, pipelining=pipelining) as (downloader, seen):
            getattr(downloader, word).connect(lambda *_: downloader.stop(gently))
            assert downloader.run()
            n_events = len(seen.events)
            left = urls_left(downloader)
            qhttp.run(50)
            assert len(seen.events) == n_events, "told after the end"
    done = [transfer.url.rpartition("/")[2] for transfer in seen.finished]
    assert seen.had_errors == [True] and sorted([*done, *left]) == sorted(map(str, range(20)))
    assert names_in(tmp_path) == sorted(done)


def test_stop_in_the_slot_of_done_does_nothing(tmp_path):
    with Origin({"/a": answer(200, b"x")}) as origin, running([origin.url("/a")], dir=tmp_path) as (downloader, seen):
        downloader.done.connect(lambda _: downloader.stop())
        assert downloader.run()
    assert seen.had_errors[:1] == [False]


def test_stop_in_the_callers_iterator_starts_nothing_more(tmp_path):
    with Origin({f"/{number}": answer(200, b"x") for number in range(10)}) as origin:
        def rows():
            for number in range(10):
                if number == 3:
                    downloader.stop()
                yield origin.url(f"/{number}")
        with running(dir=tmp_path) as (downloader, seen):
            downloader.feed(rows())
            assert downloader.run()
            assert len(urls_left(downloader)) + len(seen.finished) == 10
            assert "/4" not in origin.paths


def test_stop_before_the_start_and_add_after_it(tmp_path):
    with Origin({"/a": answer(200, b"x")}) as origin, running([origin.url("/a")], dir=tmp_path) as (downloader, _):
        downloader.stop()
        assert downloader.run()
        downloader.add(origin.url("/b"))
        assert downloader.run() and origin.log == []
        assert urls_left(downloader) == ["a", "b"]


def test_stop_twice_is_told_once(tmp_path):
    with Origin({"/a": slow()}) as origin, running([origin.url("/a")], dir=tmp_path) as (downloader, seen):
        downloader.start()
        downloader.turn_until(lambda: bool(origin.log))
        downloader.stop()
        downloader.stop()
        assert downloader.run()
        downloader.stop()
        downloader.run()
    assert seen.had_errors == [True]


# -- the first failure
@pytest.mark.parametrize("bad", ["/none", "ftp://bad", "/cut"])
def test_fail_fast_stops_at_the_first_failure(bad, tmp_path):
    with Origin(
        {"/cut": [answer(200, b"x", length=5), Close()]} | {f"/{number}": answer(200, b"x") for number in range(30)}
    ) as origin:
        row = bad if ":" in bad else origin.url(bad)
        rows = [origin.url("/0"), row, *(origin.url(f"/{number}") for number in range(1, 30))]
        with running(rows, dir=tmp_path, jobs=1, fail_fast=True, retries=0) as (downloader, seen):
            downloader.run()
            assert len(seen.failed) == 1 and len(urls_left(downloader)) == 31 - len(seen.finished)
    assert seen.had_errors == [True] and len(seen.finished) <= 1 and "/2" not in origin.paths


def test_fail_fast_of_bad_rows_fails_one(tmp_path):
    with (
        Origin({"/a": answer(200, b"x")}) as origin,
        running(["ftp://a", "ftp://b", origin.url("/a")], dir=tmp_path, fail_fast=True) as (downloader, seen),
    ):
        downloader.run()
        assert len(seen.failed) == 1 and origin.log == []


# -- the end
def test_close_breaks_off_what_runs(tmp_path):
    with Origin({"/a": slow()}) as origin:
        with running([origin.url("/a")], dir=tmp_path) as (downloader, seen):
            downloader.start()
            downloader.turn_until(lambda: downloader.n_bytes == CUT)
        origin.wait_for(lambda: origin.connections[0].how_ended is not None)
    assert seen.ended == [] and names_in(tmp_path) == []


def test_close_twice_and_what_comes_then(tmp_path):
    with Origin({"/a": answer(200, b"x")}) as origin:
        with running([origin.url("/a")], dir=tmp_path) as (downloader, _):
            downloader.run()
        downloader.close()
        for late in (
            lambda: downloader.add(origin.url("/b")),
            lambda: downloader.feed([]),
            lambda: downloader.run(10),
            downloader.start,
        ):
            try:
                late()
            except RuntimeError as error:
                assert "closed" in str(error)
        assert len(origin.log) == 1


def test_close_in_a_with_block_that_raises_passes_that_on(tmp_path):
    with (
        Origin({"/a": slow()}) as origin,
        pytest.raises(KeyError),
        running([origin.url("/a")], dir=tmp_path) as (downloader, _),
    ):
        downloader.run(50)
        raise KeyError("mine")


def test_close_of_one_that_was_never_begun(tmp_path):
    with running(["http://h/a"], dir=tmp_path) as (_, seen):
        pass
    assert seen.events == [] and seen.had_errors == []


def test_iter_download_that_is_left_early_ends_everything(tmp_path):
    n = 3000
    with Origin({f"/{number}": answer(200, b"x") for number in range(n)} | {"/slow": slow()}) as origin:
        rows = [origin.url("/slow"), *(origin.url(f"/{number}") for number in range(n))]
        for transfer in qhttp.iter_download(iter(rows), dir=tmp_path, proxy=None, jobs=3):
            assert transfer.error is None
            break
        origin.wait_for(lambda: all(connection.how_ended for connection in origin.connections))
        assert len(origin.log) < n and "slow" not in names_in(tmp_path)


def test_iter_download_yields_each_end_once(tmp_path):
    with Origin({f"/{number}": answer(200, b"x") for number in range(30)}) as origin:
        ends = list(
            qhttp.iter_download((origin.url(f"/{number}") for number in range(32)), dir=tmp_path, proxy=None, retries=0)
        )
        assert sorted(transfer.url for transfer in ends) == sorted(origin.url(f"/{number}") for number in range(32))
        assert sum(transfer.error is not None for transfer in ends) == 2
    assert one("ftp://x").error is not None
