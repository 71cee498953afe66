"""Hostile servers: what they send never becomes a wrong file, takes memory by what it claims, or stops the others."""
import resource

import pytest
from bulk.downloads import LARGE, SMALL, body, download, files_in, names_in, one, running
from bulk.origin import Each, Origin, answer, chunked, redirect
from core.process_tools import in_child
from support.actions import Close, Drip, Pause, Repeat, Reset, Send

import qhttp

DATA = body(SMALL)


def head(*lines):
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode("latin-1")


HEADS = {
    "two lengths": head("Content-Length: 1000", "Content-Length: 999"),
    "length and chunked": head("Content-Length: 1000", "Transfer-Encoding: chunked"),
    "length that is none": head("Content-Length: 1e3"),
    "length below nought": head("Content-Length: -1"),
    "length with a sign": head("Content-Length: +1000"),
    "length beyond all": head("Content-Length: 99999999999999999999999999"),
    "coding that is not known": head("Transfer-Encoding: mystery"),
    "chunked twice": head("Transfer-Encoding: chunked, chunked"),
    "name with a blank": head("Content-Length : 1000"),
    "NUL in a value": head("X: a\0b", "Content-Length: 1000"),
    "bare CR": b"HTTP/1.1 200 OK\rX: y\r\nContent-Length: 1000\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "other protocol": b"SSH-2.0-OpenSSH\r\n",
    "huge field": b"HTTP/1.1 200 OK\r\nX: " + b"x" * (1 << 20) + b"\r\n\r\n",
    "many fields": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
    "status of 99": b"HTTP/1.1 99 X\r\nContent-Length: 0\r\n\r\n",
    "only interim": b"HTTP/1.1 100 Continue\r\n\r\n" * 3,
}


@pytest.mark.parametrize("name", HEADS)
def test_hostile_head_is_an_error_of_that_file_alone(name, tmp_path):
    with Origin({"/a": [Send(HEADS[name] + DATA), Close()], "/b": answer(200, b"b")}) as origin:
        seen = download([origin.url("/a"), origin.url("/b")], dir=tmp_path, retries=1)
    assert (
        seen.kinds["b"] is None
        and seen.kinds["a"] in ("ProtocolError", "UnexpectedClose", "BodyError", "Truncated")
        and names_in(tmp_path) == ["b"]
    )


@pytest.mark.parametrize("claim", [1 << 31, 1 << 40, (1 << 63) - 1])
@pytest.mark.parametrize("settings", [{}, {"into": "bytes"}, {"limit_rate": 10**9}])
def test_hostile_claim_takes_no_memory_and_no_disk(claim, settings, tmp_path):
    def work():
        resource.setrlimit(resource.RLIMIT_AS, (address_space() + (256 << 20),) * 2)
        [transfer] = download([url], dir=tmp_path, retries=0, **settings).ended
        return type(transfer.error).__name__

    with Origin({"/a": [answer(200, body(LARGE), length=claim), Close()]}) as origin:
        url = origin.url("/a")
        assert (
            in_child(work) in ("Truncated", "BodyError", "FileError", "UnexpectedClose", "ProtocolError")
            and names_in(tmp_path) == []
        )


def address_space() -> int:
    """Bytes of it that this process has."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


@pytest.mark.parametrize("form", ["closed", "chunked", "announced", "tiny chunks"])
def test_hostile_body_without_an_end_stops_at_the_largest_size(form, tmp_path):
    pages = {
        "closed": [answer(200, length=-1), Repeat(b"x" * 1000, 10**6)],
        "chunked": [chunked(b"", end=b""), Repeat(b"3e8\r\n" + b"x" * 1000 + b"\r\n", 10**6)],
        "announced": [answer(200, length=10**12), Repeat(b"x" * 1000, 10**6)],
        "tiny chunks": [chunked(b"", end=b""), Repeat(b"1\r\nx\r\n", 10**7)],
    }
    with Origin({"/a": pages[form], "/b": answer(200, b"b")}) as origin:
        seen = download([origin.url("/a"), origin.url("/b")], dir=tmp_path, max_size=LARGE)
        assert len(origin.asked("/a")) == 1
    assert seen.kinds == {"a": "TooLarge", "b": None} and names_in(tmp_path) == ["b"]


def test_hostile_interim_answers_without_an_end_run_out_of_time(tmp_path):
    with Origin({"/a": Repeat(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n", 10**6), "/b": answer(200, b"b")}) as origin:
        seen = download([origin.url("/a"), origin.url("/b")], dir=tmp_path, max_time=0.4, retries=0)
    assert seen.kinds["b"] is None and seen.kinds["a"] in ("TimeoutError", "ProtocolError")


def test_hostile_dripping_runs_out_of_time(tmp_path):
    with Origin(
        {
            "/a": [answer(200, length=1000), Drip(b"x" * 1000, 0.01)],
            "/h": Drip(head("Content-Length: 0"), 0.02),
            "/b": answer(200, b"b"),
        }
    ) as origin:
        seen = download([origin.url("/a"), origin.url("/h"), origin.url("/b")], dir=tmp_path, max_time=0.25, retries=0)
    assert seen.kinds == {"a": "TimeoutError", "h": "TimeoutError", "b": None}


def test_hostile_trailers_change_nothing(tmp_path):
    trailer = (b"0\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n"
               b"Content-Disposition: attachment; filename=evil\r\nLocation: /evil\r\n\r\n")
    with Origin({"/a": chunked(DATA, end=trailer)}) as origin:
        one(origin.url("/a"), dir=tmp_path, content_disposition=True)
    assert files_in(tmp_path) == {"a": DATA}


@pytest.mark.parametrize("surplus", [b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"\r\n" * 100, b"\0" * 5000])
def test_hostile_bytes_behind_an_answer_are_nobodys(surplus, tmp_path):
    pages = {f"/{number}": answer(200, b"%d" % number) + surplus for number in range(20)}
    with Origin(pages) as origin:
        seen = download([origin.url(path) for path in pages], dir=tmp_path, per_host=1, retries=30)
    assert files_in(tmp_path) == {str(number): b"%d" % number for number in range(20) if seen.kinds[str(number)] is None}
    assert len(seen.finished) >= 19


def test_hostile_answer_before_the_question_is_nobodys(tmp_path):
    """Bytes on an idle connection, while nothing is asked."""
    with Origin(
        {
            "/a": [answer(200, b"a"), Pause(0.03), answer(200, b"evil")],
            "/b": answer(200, b"b"),
            "/c": [Pause(0.1), answer(200, b"c")],
        }
    ) as origin, Origin({"/w": [Pause(0.15), answer(200, b"w")]}) as other:
        download([origin.url("/a"), other.url("/w")], dir=tmp_path)
        seen = download([origin.url("/b"), origin.url("/c")], dir=tmp_path)
    assert not seen.failed and files_in(tmp_path) == {"a": b"a", "b": b"b", "c": b"c", "w": b"w"}


def test_hostile_redirects_to_the_inside_are_followed_without_secrets(tmp_path):
    """Where a redirect leads is the server's say; what goes along is not."""
    with Origin({"/latest/meta-data": answer(200, b"inside")}) as inside, Origin() as origin:
        origin.answers["/a"] = redirect(inside.url("/latest/meta-data"))
        one({"url": origin.url("/a"), "headers": [("Cookie", "hidden")]}, dir=tmp_path, user=("me", "hidden"))
    assert b"hidden" not in inside.log[0].raw and inside.log[0].method == "GET"


@pytest.mark.parametrize(
    "value",
    [
        "attachment; filename=" + "x" * 100_00,
        "attachment; filename*=UTF-8''%00%2e%2e%2f",
        'attachment; filename="a\\"; filename="b"',
        ";;;;=",
        '"',
        "\xff\xfe",
    ],
)
def test_hostile_disposition_is_no_way_out(value, tmp_path):
    with Origin({"/a": answer(200, DATA, ("Content-Disposition", value))}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path / "in", content_disposition=True)
    assert (
        [name.count("/") for name in files_in(tmp_path)] == [1]
        and transfer.path.startswith(f"{tmp_path}/in/")
        and list(files_in(tmp_path).values()) == [DATA]
    )


@pytest.mark.parametrize(
    "fields",
    [
        [("Retry-After", "9" * 400)],
        [("Retry-After", "-" * 400)],
        [("Retry-After", "\xff")],
        [("ETag", '"' + "x" * 20_000 + '"')],
        [("ETag", "")],
        [("ETag", '"a\xff"')],
        [("Last-Modified", "x" * 20_000)],
        [("Repr-Digest", "sha-256=:" + "A" * 20_000 + ":")],
        [("Set-Cookie", "k=" + "v" * 20_000)],
        [("Content-Type", "\xff" * 1000)],
        [("Content-Range", "bytes 0-1/2")],
        [("Content-Encoding", "identity," * 2000)],
    ],
)
def test_hostile_fields_of_a_good_answer_do_no_harm(fields, tmp_path):
    with Origin({"/a": answer(200, body(LARGE), *fields)}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path / "files", session=tmp_path / "session", cookies=True, retries=0)
        again = one(origin.url("/a"), dir=tmp_path / "files", session=tmp_path / "session")
    assert transfer.error is None and again.was_skipped and files_in(tmp_path / "files") == {"a": body(LARGE)}


@pytest.mark.parametrize("existing", ["error", "overwrite"])
@pytest.mark.parametrize("n", [1000, LARGE])
def test_hostile_part_that_is_another_file_too_leaves_that_as_it_is(n, existing, tmp_path):
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "a.part").hardlink_to(tmp_path / "mine")
    with Origin({"/a": answer(200, body(n))}) as origin:
        assert one(origin.url("/a"), dir=tmp_path, existing=existing).error is None
    found = files_in(tmp_path)
    assert (found["mine"], found["a"]) == (b"mine", body(n))


@pytest.mark.parametrize("value", ["9" * 400, "1e400", "99999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_hostile_wait_is_bounded_and_can_be_stopped(value, tmp_path):
    with (
        Origin({"/a": answer(503, b"", ("Retry-After", value))}) as origin,
        running([origin.url("/a")], dir=tmp_path) as (downloader, seen),
    ):
        downloader.start()
        downloader.turn_until(lambda: bool(origin.log) and (bool(seen.delays) or bool(seen.ended)))
        assert all(0 <= delay <= 3600 * 1.1 for delay in seen.delays)
        downloader.stop()
        assert downloader.run()


def test_hostile_weak_and_strange_validators_never_make_a_mixture(tmp_path):
    """Two files that change places under one ETag, each answer cut: what is whole in the end is one of them."""
    one_file, other = body(LARGE * 2, 1), body(LARGE * 2, 2)
    for etag in ('"same"', 'W/"same"', "same", '""', '"a", "b"'):
        turns = []

        def page(request, etag=etag, turns=turns):
            turns.append(1)
            data = one_file if len(turns) % 2 else other
            if request.get("range"):
                start = int(request.get("range")[6:-1])
                return answer(
                    206, data[start:], ("ETag", etag), ("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
                )
            return (
                [answer(200, data[: LARGE + 40_000], ("ETag", etag), length=len(data)), Close()]
                if len(turns) < 3
                else answer(200, data, ("ETag", etag))
            )
        folder = tmp_path / str(len(turns)) / etag.replace("/", "_")
        with Origin({"/a": page}) as origin:
            transfer = one(origin.url("/a"), dir=folder, retries=8)
        assert transfer.error is None and files_in(folder)["a"] in (one_file, other)


def test_hostile_host_does_not_stop_the_others(tmp_path):
    with (
        Origin({f"/x{number}": Each([Reset()], [Pause(9)], b"nonsense") for number in range(20)}) as bad,
        Origin({f"/{number}": answer(200, b"x") for number in range(50)}) as good,
    ):
        rows = [row for number in range(20) for row in (bad.url(f"/x{number}"), good.url(f"/{number}"))] + [
            good.url(f"/{number}") for number in range(20, 50)
        ]
        seen = download(rows, dir=tmp_path, idle_timeout=0.15, retries=1)
    assert len(seen.finished) == 50 and len(seen.failed) == 20 and isinstance(seen.failed[0].error, qhttp.QHttpError)
