"""Transfers taken back one by one: wherever they stand, they end at once as Cancelled, and the others go on."""
import pytest
from bulk.downloads import LARGE, body, both_paths, names_in, running
from bulk.origin import Origin, answer
from support.actions import Drain

import qhttp

CUT = LARGE + 50_000
DATA = body(2 * LARGE)


def slow():
    """Some of a body, and then nothing."""
    return [answer(200, DATA[:CUT], ("ETag", '"one"'), length=len(DATA)), Drain(9)]


def error_names(transfers):
    return {transfer.url.rpartition("/")[2]: type(transfer.error).__name__ for transfer in transfers}


@both_paths
def test_cancel_of_one_that_runs_frees_its_lane(n, tmp_path):
    with Origin({"/slow": slow(), "/a": answer(200, body(n))}) as origin:
        rows = [origin.url("/slow"), origin.url("/a")]
        with running(rows, dir=tmp_path, jobs=1, session=str(tmp_path / "session")) as (downloader, seen):
            downloader.progress.connect(lambda transfer, n_done, n_total: n_done >= CUT and transfer.cancel())
            assert downloader.run()
            assert error_names(seen.ended) == {"slow": "Cancelled", "a": "NoneType"}
            assert [row["url"] for row in downloader.left()] == [origin.url("/slow")]
    assert names_in(tmp_path) == ["a", "slow.part"] and (tmp_path / "slow.part").read_bytes() == DATA[:CUT]


def test_cancel_of_one_between_two_tries_ends_it_at_once(tmp_path):
    with (
        Origin({"/busy": answer(503, b"", ("Retry-After", "60"))}) as origin,
        running([origin.url("/busy")], dir=tmp_path) as (downloader, seen),
    ):
        downloader.retrying.connect(lambda transfer, delay_s, error: transfer.cancel())
        assert downloader.run()
    assert error_names(seen.failed) == {"busy": "Cancelled"} and names_in(tmp_path) == []


def test_cancel_of_one_that_waits_for_a_lane_never_asks_for_it(tmp_path):
    with (
        Origin({"/slow": slow(), "/a": answer(200, b"a")}) as origin,
        running((), dir=tmp_path, jobs=1, into="bytes") as (downloader, seen),
    ):
        downloader.start()
        first, second, third = (downloader.ask("GET", origin.url(path), [], None, None) for path in ("/slow", "/b", "/a"))
        downloader.turn_until(lambda: len(origin.log) == 1)
        second.cancel()
        assert second.state_name == "ended"
        first.cancel()
        assert downloader.run()
    assert error_names(seen.ended) == {"slow": "Cancelled", "b": "Cancelled", "a": "NoneType"}
    assert third.content == b"a" and len(origin.log) == 2


@pytest.mark.parametrize("which", ["started", "finished"])
def test_cancel_in_a_slot_about_it(which, tmp_path):
    """In `started` nothing is asked; in `finished` it is too late."""
    with (
        Origin({"/a": answer(200, b"a"), "/b": answer(200, b"b")}) as origin,
        running([origin.url("/a"), origin.url("/b")], dir=tmp_path) as (downloader, seen),
    ):
        getattr(downloader, which).connect(lambda transfer: transfer.url.endswith("/a") and transfer.cancel())
        assert downloader.run()
    early = which == "started"
    assert error_names(seen.ended) == {"a": "Cancelled" if early else "NoneType", "b": "NoneType"}
    assert names_in(tmp_path) == (["b"] if early else ["a", "b"])


def test_cancel_of_one_in_pieces_keeps_the_part(tmp_path):
    with (
        Origin({"/big": answer(200, DATA, ("ETag", '"one"'), ("Accept-Ranges", "bytes"), length=2 * len(DATA))}) as origin,
        running([origin.url("/big")], dir=tmp_path, split=4, min_split_size=1 << 16) as (downloader, seen),
    ):
        downloader.progress.connect(lambda transfer, n_done, n_total: transfer.cancel())
        assert downloader.run()
    assert error_names(seen.failed) == {"big": "Cancelled"}
    assert "big" not in names_in(tmp_path)


def test_cancel_of_one_sent_ahead_leaves_its_neighbours_alone(tmp_path):
    paths = [f"/{n}" for n in range(6)]
    with (
        Origin({path: answer(200, path.encode()) for path in paths}) as origin,
        running([origin.url(path) for path in paths], into="bytes", jobs=1, pipelining=6) as (downloader, seen),
    ):
        def at_end(transfer):
            if transfer.url.endswith("/1"):
                ahead = [waiting for waiting in downloader.in_work() if waiting.url.endswith("/3")]
                ahead[0].cancel()
        downloader.finished.connect(at_end)
        assert downloader.run()
    assert error_names(seen.ended) == {str(n): "Cancelled" if n == 3 else "NoneType" for n in range(6)}
    assert all(transfer.content == transfer.url[-2:].encode() for transfer in seen.finished)


def test_cancel_twice_or_after_the_end_does_nothing(tmp_path):
    with (
        Origin({"/a": answer(200, b"a")}) as origin,
        running([origin.url("/a")], into="bytes") as (downloader, seen),
    ):
        downloader.run()
        [transfer] = seen.finished
        transfer.cancel()
        transfer.cancel()
        assert transfer.error is None and transfer.content == b"a"


def test_cancelled_error_is_the_aborted_of_qhttp():
    assert qhttp.Cancelled("x").qt_name == "Aborted"
