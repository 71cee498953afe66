"""Further tries: after which failures, how many, when, and how much of it a host has to bear."""
import time

import pytest
from bulk.downloads import LARGE, SMALL, HeldFiles, Quick, body, both_paths, download, files_in, names_in, one, running
from bulk.origin import NOW, Each, Origin, answer, chunked, http_date
from support.actions import Close, Reset, Send

import qhttp

RETRIED = [408, 425, 429, 500, 502, 503, 504]
FINAL = [400, 401, 403, 404, 405, 410, 416, 418, 451, 501, 505, 999, 204, 304, 203, 202, 300, 100 + 501]


@pytest.mark.parametrize("status", RETRIED)
def test_retry_status_that_may_go_away(status, tmp_path):
    with Origin({"/a": Each(answer(status, b"later"), answer(status, b"later"), answer(200, b"x"))}) as origin:
        seen = download([origin.url("/a")], dir=tmp_path)
    [transfer] = seen.finished
    assert (transfer.n_retries, transfer.status, len(origin.log)) == (2, 200, 3) and files_in(tmp_path) == {"a": b"x"}
    assert [error.status for error in seen.errors] == [status, status] and seen.downloader.n_retries == 2


@pytest.mark.parametrize("status", FINAL)
def test_retry_not_of_a_status_that_stays(status, tmp_path):
    page = b"" if status in (204, 304) else b"page"
    with Origin({"/a": answer(status, page, length=-1 if not page else None), "/b": answer(200, b"b")}) as origin:
        seen = download([origin.url("/a"), origin.url("/b")], dir=tmp_path)
        assert len(origin.asked("/a")) == 1
    [transfer] = seen.failed
    assert transfer.error.status == status if status != 401 else isinstance(transfer.error, qhttp.QHttpError)
    assert names_in(tmp_path) == ["b"] and transfer.status == status


def test_retry_plain_206_is_an_error(tmp_path):
    """Nobody asked for a part of it."""
    for field in (("Content-Range", "bytes 0-3/4"), ("Content-Range", "bytes 0-3/100"), ("X", "y")):
        with Origin({"/a": answer(206, b"data", field)}) as origin:
            transfer = one(origin.url("/a"), dir=tmp_path, retries=1)
        assert isinstance(transfer.error, qhttp.QHttpError) and names_in(tmp_path) == []


@both_paths
@pytest.mark.parametrize(
    "what, error",
    [
        ("reset", "UnexpectedClose"),
        ("nothing", "UnexpectedClose"),
        ("half a head", "UnexpectedClose"),
        ("nonsense", "ProtocolError"),
        ("cut", "Truncated"),
        ("cut chunk", "Truncated"),
        ("bad chunk", "BodyError"),
        ("two lengths", "ProtocolError"),
        ("reset in body", "Truncated"),
    ],
)
def test_retry_failure_that_may_go_away(what, error, n, tmp_path):
    whole, chunks = answer(200, body(n)), chunked(body(n))
    faults = {
        "reset": [Reset()],
        "nothing": [Close()],
        "half a head": [b"HTTP/1.1 200 O", Close()],
        "nonsense": [b"hello\r\n\r\n", Close()],
        "cut": [whole[:-10], Close()],
        "cut chunk": [chunks[:-20], Close()],
        "bad chunk": [chunks[:-7] + b"zz\r\n\r\n", Close()],
        "two lengths": whole.replace(b"\r\n", b"\r\nContent-Length: 5\r\n", 1),
        "reset in body": [whole[:-10], Reset()],
    }
    with Origin({"/a": Each(faults[what], faults[what], faults[what], faults[what], whole)}) as origin:
        seen = download([origin.url("/a")], dir=tmp_path)
    assert [transfer.error for transfer in seen.ended] == [None] and files_in(tmp_path) == {"a": body(n)}
    assert seen.errors and all(type(found).__name__ == error for found in seen.errors), seen.errors


@both_paths
@pytest.mark.parametrize("retries", [0, 1, 3])
def test_retry_count_is_exact(retries, n, tmp_path):
    with Origin({"/a": [answer(200, body(n), length=n + 1), Close()]}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, retries=retries)
    assert len(origin.log) == retries + 1 and transfer.n_retries == retries and names_in(tmp_path) == []
    assert isinstance(transfer.error, qhttp.Truncated)


def test_retry_refused_connection_is_tried_again(closed_port, tmp_path):
    seen = download([f"http://{closed_port.host}:{closed_port.port}/a"], dir=tmp_path, retries=2)
    assert [type(error) for error in seen.errors] == [qhttp.ConnectError] * 2 and seen.kinds == {"a": "ConnectError"}


def test_retry_host_that_is_not_there_is_tried_once_more(monkeypatch, tmp_path):
    from qhttp.engine import resolver as resolver_module
    asked = []
    monkeypatch.setattr(resolver_module, "look_up", lambda host, port: asked.append(host) or [])
    seen = download(["http://nowhere.test/a"], dir=tmp_path)
    assert seen.kinds == {"a": "HostNotFound"} and seen.words.count("retrying") == 1


@pytest.mark.parametrize(
    "row",
    [
        5,
        None,
        {},
        {"url": 5},
        "",
        "x",
        "ftp://h/",
        "http://",
        "http://h/\r\nX: y",
        "http://h/ b",
        "http://u:p@h/",
        {"url": "http://h/", "size": "x"},
        b"http://h/",
        ["http://h/"],
        {"url": "http://h:0/"},
    ],
)
def test_retry_not_of_a_row_that_is_none(row, tmp_path):
    rows = [row, "http://127.0.0.1:1/x"] if row is not None else [{"url": None}]
    seen = download(rows, dir=tmp_path, retries=0)
    transfer = seen.ended[0]
    assert isinstance(transfer.error, qhttp.RequestError) and transfer.n_retries == 0 and transfer.status == 0
    assert transfer.to_dict()["error"] == "RequestError" and repr(transfer) and transfer.row is not None


def test_retry_row_that_is_none_does_not_stop_a_session(tmp_path):
    with Origin({"/a": answer(200, b"x"), "/b": answer(200, b"x")}) as origin:
        seen = download(
            [5, origin.url("/a"), {"url": None}, b"x", {"url": "http://h", "size": -1}, origin.url("/b")],
            dir=tmp_path,
            session=tmp_path / "session",
        )
    assert len(seen.finished) == 2 and len(seen.failed) == 4


# -- when
def test_retry_waits_grow_and_are_spread(tmp_path):
    class Late(qhttp.Downloader):
        def random(self):
            return 1.0

    with (
        Origin({"/a": answer(500)}) as origin,
        running([origin.url("/a")], kind=Late, dir=tmp_path, retries=4) as (downloader, seen),
    ):
        while len(seen.delays) < 2:
            downloader.run(50)
    assert seen.delays[:2] == [0.5, 1.0]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("value", ["0", "-5", "nonsense", "0.0", http_date(0), NOW])
def test_retry_after_that_is_past_or_none_is_no_wait(status, value, tmp_path):
    with Origin({"/a": Each(answer(status, b"", ("Retry-After", value)), answer(200, b"x"))}) as origin:
        assert one(origin.url("/a"), dir=tmp_path).error is None
        assert len(origin.log) == 2


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_a_lower_bound_and_the_host_rests(status, form, tmp_path):
    value = "30" if form == "seconds" else http_date(time.time() + 30)
    with (
        Origin({"/a": answer(status, b"", ("Retry-After", value)), "/b": answer(200, b"x")}) as origin,
        Origin({"/c": answer(200, b"c")}) as other,
    ):
        rows = [origin.url("/a"), origin.url("/b"), other.url("/c")]
        with running(rows, dir=tmp_path, per_host=1) as (downloader, seen):
            downloader.start()
            downloader.turn_until(lambda: len(seen.finished) == 1)
            assert not downloader.run(150)
            assert origin.paths == ["/a"] and seen.kinds == {"c": None} and 25 < seen.delays[0] <= 33
            left = [row["url"] for row in downloader.left()]
            assert sorted(left) == sorted(rows[:2])


def test_retry_after_of_another_status_is_for_that_transfer_only(tmp_path):
    with (
        Origin({"/a": answer(500, b"", ("Retry-After", "30")), "/b": answer(200, b"x")}) as origin,
        running([origin.url("/a"), origin.url("/b")], dir=tmp_path, per_host=1) as (downloader, seen),
    ):
        downloader.start()
        downloader.turn_until(lambda: len(seen.finished) == 1)
        assert origin.paths == ["/a", "/b"] and seen.delays[0] >= 30


def test_retry_refusals_without_a_time_rest_the_host_ever_longer(tmp_path):
    class Late(qhttp.Downloader):
        def random(self):
            return 1.0
    with (
        Origin({"/a": answer(503), "/b": answer(200, b"x")}) as origin,
        running([origin.url("/a"), origin.url("/b")], kind=Late, dir=tmp_path, per_host=1) as (downloader, seen),
    ):
        downloader.start()
        downloader.turn_until(lambda: bool(seen.delays))
        assert origin.paths == ["/a"]           # not before 0.1 s
        downloader.turn_until(lambda: bool(seen.finished))
    assert seen.kinds == {"b": None}


def test_retry_not_after_the_time_for_all_tries(tmp_path):
    with Origin({"/a": answer(500, b"", ("Retry-After", "30")), "/b": answer(503, b"", ("Retry-After", "30"))}) as origin:
        seen = download([origin.url("/a"), origin.url("/b")], dir=tmp_path, retry_max_time=5.0)
        assert len(origin.log) == 2 and len(seen.failed) == 2 and not seen.delays


def test_retry_not_beyond_the_longest_time_of_a_transfer(tmp_path):
    with Origin({"/a": answer(500, b"", ("Retry-After", "30"))}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, max_time=5.0)
    assert transfer.error.status == 500 and len(origin.log) == 1


# -- how much
def test_retry_budget_of_a_host_that_is_down(tmp_path):
    """However many URLs there are, the host is asked again a bounded number of times."""
    n_rows = 200
    with Origin() as origin, Origin({"/b": Each(answer(503), answer(200, b"b"))}) as other:
        origin.answers.update({f"/{number}": answer(500) for number in range(n_rows)})
        seen = download(
            [*(origin.url(f"/{number}") for number in range(n_rows)), other.url("/b")], dir=tmp_path, per_host=2, retries=5
        )
        assert len(origin.log) <= n_rows + 100
    assert len(seen.failed) == n_rows and [transfer.n_retries for transfer in seen.finished] == [1]


def test_retry_budget_grows_with_success_also_while_the_disk_is_slow(tmp_path):
    n_rows = 150
    with (
        Origin({f"/{number}": Each(answer(500), answer(200, b"x")) for number in range(n_rows)}) as origin,
        running([origin.url(path) for path in origin.answers], dir=tmp_path, per_host=2) as (downloader, seen),
        HeldFiles(downloader) as files,
    ):
        downloader.start()
        downloader.turn_until(lambda: len(origin.log) == 2 * n_rows or bool(seen.failed))
        files.release()
        downloader.run()
    assert len(seen.finished) == n_rows


def test_retry_is_told_before_it_happens(tmp_path):
    with Origin({"/a": Each(answer(500), answer(200, b"x"))}) as origin:
        seen = download([origin.url("/a")], dir=tmp_path)
    assert seen.words == ["started", "retrying", "finished"] and seen.delays == [0.0] and seen.had_errors == [False]


def test_retry_keeps_nothing_of_the_answer_before(tmp_path):
    """Fields of the 503 are not those of the file."""
    with Origin(
        {"/a": Each(answer(503, b"page", ("ETag", '"page"'), ("Repr-Digest", "sha-256=:AAAA:")), answer(200, b"x", ("X", "y")))}
    ) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
    assert transfer.etag is None and ("X", "y") in transfer.headers and transfer.status == 200 and transfer.n_total == 1


@both_paths
def test_retry_of_another_length_is_that_length(n, tmp_path):
    first = [answer(200, body(n, 2), length=n + 50), Close()]
    for second in (answer(200, body(SMALL)), answer(200, body(LARGE)), chunked(body(LARGE)), answer(200, b"")):
        folder = tmp_path / str(len(second))
        with Origin({"/a": Each(first, second)}) as origin:
            transfer = one(origin.url("/a"), dir=folder)
        data = files_in(folder)["a"]
        assert (
            transfer.error is None
            and data in (body(SMALL), body(LARGE), b"")
            and transfer.size == len(data)
            and names_in(folder) == ["a"]
        )


def test_retry_in_the_slot_that_adds_another_row(tmp_path):
    with (
        Origin({"/a": Each(answer(500), answer(200, b"a")), "/b": answer(200, b"b")}) as origin,
        running([origin.url("/a")], kind=Quick, dir=tmp_path) as (downloader, seen),
    ):
        downloader.retrying.connect(lambda *_: downloader.add(origin.url("/b")))
        downloader.run()
    assert seen.kinds == {"a": None, "b": None}


def test_retry_slow_head_then_a_good_one(tmp_path):
    with Origin({"/a": Each([Send(b"HTTP/1.1 200 OK\r\n"), Close()], answer(200, b"x"))}) as origin:
        assert one(origin.url("/a"), dir=tmp_path).n_retries == 1
