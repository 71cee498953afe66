"""Pipelining: requests before their turn, and nothing of one answer ever reaches another."""
import select
import threading

import pytest
from bulk.downloads import LARGE, body, download, files_in, n_descriptors, names_in, running
from bulk.origin import Each, Origin, Versioned, answer, chunked, redirect
from support.actions import Close, Pause, Reset, Send

import qhttp

N_FILES = 200


def small(number):
    return b"file %d " % number * (number % 7 + 1)


def pages(n=N_FILES, make=answer):
    return {
        f"/{number}": answer(200, small(number)) if make is answer else chunked(small(number), piece=9) for number in range(n)
    }


def expected(n=N_FILES, but=()):
    return {str(number): small(number) for number in range(n) if str(number) not in but}


def fetch(origin, folder, n=N_FILES, **settings):
    return download(
        [origin.url(f"/{number}") for number in range(n)], dir=folder, **{"pipelining": 8, "per_host": 2, **settings}
    )


@pytest.mark.parametrize("make", [answer, chunked])
@pytest.mark.parametrize("per_host", [1, 2, 8])
def test_pipelining_many_small_files_are_right(per_host, make, tmp_path):
    with Origin(pages(make=make)) as origin:
        seen = fetch(origin, tmp_path, per_host=per_host)
        assert len(origin.log) == N_FILES and len(origin.connections) <= per_host
    assert files_in(tmp_path) == expected() and len(seen.finished) == N_FILES and not seen.failed


def wait_for_others(n):
    """Goes on when so many further requests are there."""
    def action(peer):
        while bytes(peer.pending).count(b"\r\n\r\n") < n:
            peer.more(5)
    return action


def test_pipelining_requests_are_sent_ahead(tmp_path):
    """The first one shows that the connection stays; the answer to the second one waits until the others are there."""
    with Origin(pages(9) | {"/1": [wait_for_others(7), answer(200, small(1))]}) as origin:
        seen = fetch(origin, tmp_path, 9, per_host=1)
    assert len(seen.finished) == 9 and files_in(tmp_path) == expected(9) and len(origin.connections) == 1


def test_pipelining_does_not_begin_before_a_connection_is_known_to_stay(tmp_path):
    def look(peer):
        peer.pause(0.05)
        assert not peer.pending
    with Origin(pages(9) | {"/0": [look, answer(200, small(0))]}) as origin:
        fetch(origin, tmp_path, 9, per_host=1)
        assert len(origin.connections) == 1


@pytest.mark.parametrize("depth", [1, 3])
def test_pipelining_no_more_than_told_are_under_way(depth, tmp_path):
    most = []

    def look(peer):
        peer.pause(0.05)
        try:
            peer.more(0.001)
        except TimeoutError:
            pass
        most.append(bytes(peer.pending).count(b"\r\n\r\n") + 1)
    with Origin({f"/{number}": [look, answer(200, small(number))] for number in range(7)}) as origin:
        fetch(origin, tmp_path, 7, per_host=1, pipelining=depth)
    assert max(most) == depth and files_in(tmp_path) == expected(7)


class Patient(qhttp.Downloader):
    def random(self):
        return 0.2              # of a second, before another try


def test_pipelining_what_must_not_be_sent_ahead_waits_in_peace(tmp_path):
    """The part of a file that was cut, while a slow answer has the only lane, on a connection that stays."""
    gate = threading.Event()
    with Origin({"/cut": Versioned(body(LARGE * 2), cuts=[LARGE + 9000]), "/first": answer(200, b"x"),
                 "/slow": [lambda _: gate.wait(9), answer(200, b"y")]}) as origin:
        rows = [origin.url(path) for path in origin.answers]
        with running(rows, kind=Patient, dir=tmp_path, per_host=1, pipelining=4) as (downloader, seen):
            downloader.turn_until(lambda: "/slow" in origin.paths)
            downloader.run(400)
            assert seen.words.count("retrying") == 1 and downloader.n_queued == 1
            qhttp.loop().run(0)
            is_busy = bool(select.select([qhttp.loop().fileno()], [], [], 0.05)[0])
            gate.set()
            assert downloader.run()
    assert not is_busy and len(seen.finished) == 3 and files_in(tmp_path)["cut"] == body(LARGE * 2)


@pytest.mark.parametrize("every", [1, 2, 5])
@pytest.mark.parametrize("how", ["fin", "reset", "connection: close"])
def test_pipelining_server_that_closes_after_some_answers(how, every, tmp_path):
    """What was sent behind the last answer is asked for again, and is no failure of its own."""
    def page(number):
        def play(_request):
            count["n"] += 1
            if count["n"] % every:
                return answer(200, small(number))
            if how == "connection: close":
                return [answer(200, small(number), ("Connection", "close")), Close()]
            return [answer(200, small(number)), Pause(0.002), Close() if how == "fin" else Reset()]
        return play
    count = {"n": 0}
    n = 30
    with Origin({f"/{number}": page(number) for number in range(n)}) as origin:
        seen = fetch(origin, tmp_path, n, retries=20)
    assert files_in(tmp_path) == expected(n) and len(seen.finished) == n


@pytest.mark.parametrize(
    "fault, kind",
    [
        (answer(404, b"none"), "HTTPStatusError"),
        (answer(500, b"later"), "HTTPStatusError"),
        ([answer(200, b"short", length=50), Close()], "Truncated"),
        (b"nonsense\r\n\r\n", "ProtocolError"),
        ([chunked(b"x" * 50, end=b"zz\r\n")], "BodyError"),
        ([Reset()], "UnexpectedClose"),
        (answer(401, b"no", ("WWW-Authenticate", 'Basic realm="r"')), "AuthenticationRequired"),
        (answer(204, length=-1), "HTTPStatusError"),
        (answer(206, b"part", ("Content-Range", "bytes 0-3/9")), "ResumeError"),
        (redirect("ftp://x"), "RedirectError"),
    ],
)
def test_pipelining_fault_in_the_middle_stays_there(fault, kind, tmp_path):
    with Origin(pages(40) | {"/13": fault}) as origin:
        seen = fetch(origin, tmp_path, 40, per_host=1, retries=1)
    got = files_in(tmp_path)
    assert {name: found for name, found in seen.kinds.items() if found} == {"13": kind} and got == expected(40, but=["13"])


def test_pipelining_surplus_bytes_are_never_the_next_answer(tmp_path):
    """Every answer is followed by one that nobody asked for."""
    with Origin({f"/{number}": answer(200, small(number)) + answer(200, b"evil") for number in range(40)}) as origin:
        seen = fetch(origin, tmp_path, 40, per_host=2, retries=20)
    assert b"evil" not in b"".join(files_in(tmp_path).values())
    assert files_in(tmp_path) == expected(40, but=[name for name, kind in seen.kinds.items() if kind])


def test_pipelining_redirects_in_the_middle(tmp_path):
    with Origin(pages(60) | {f"/{number}": redirect(f"/to{number}") for number in range(0, 60, 3)}) as origin:
        origin.answers |= {f"/to{number}": answer(200, small(number)) for number in range(0, 60, 3)}
        seen = fetch(origin, tmp_path, 60)
    assert files_in(tmp_path) == expected(60) and {transfer.n_redirects for transfer in seen.finished} == {0, 1}


def test_pipelining_redirects_to_another_host(tmp_path):
    with Origin() as away, Origin(pages(30)) as home:
        home.answers |= {f"/{number}": redirect(away.url(f"/to{number}")) for number in range(0, 30, 4)}
        away.answers |= {f"/to{number}": answer(200, small(number)) for number in range(0, 30, 4)}
        fetch(home, tmp_path, 30)
    assert files_in(tmp_path) == expected(30)


def test_pipelining_large_files_among_small_ones(tmp_path):
    large = {name: body(LARGE * 2, int(name)) for name in ("3", "4", "17")}
    with Origin(pages(30) | {f"/{name}": answer(200, data) for name, data in large.items()}) as origin:
        fetch(origin, tmp_path, 30, per_host=1)
    assert files_in(tmp_path) == expected(30) | large


def test_pipelining_large_file_that_is_cut_is_continued(tmp_path):
    data = body(LARGE * 2)
    with Origin(pages(20) | {"/5": Versioned(data, cuts=[LARGE + 50_000])}) as origin:
        seen = fetch(origin, tmp_path, 20, per_host=1)
        assert origin.asked("/5")[-1].get("range") is not None
    assert files_in(tmp_path) == expected(20) | {"5": data} and not seen.failed


def test_pipelining_byte_by_byte(tmp_path):
    def cut(number):
        whole = answer(200, small(number))
        return Send(whole, tuple(range(1, len(whole), 3)))
    with Origin({f"/{number}": cut(number) for number in range(30)}) as origin:
        fetch(origin, tmp_path, 30, per_host=1)
    assert files_in(tmp_path) == expected(30)


def test_pipelining_answers_in_one_piece(tmp_path):
    """All answers at once, when all requests are there."""
    def all_at_once(peer):
        wait_for_others(7)(peer)
        peer.drop()
        peer.send(b"".join(answer(200, small(number)) for number in range(1, 9)))
    with Origin(pages(1) | {"/1": [all_at_once]}) as origin:
        seen = fetch(origin, tmp_path, 9, per_host=1)
    assert files_in(tmp_path) == expected(9) and len(seen.finished) == 9


def test_pipelining_pause_of_a_host_is_kept(tmp_path):
    """Behind a 429 nothing is sent that was not sent already."""
    with (
        Origin(pages(60) | {"/2": answer(429, b"", ("Retry-After", "60"))}) as origin,
        running([origin.url(f"/{number}") for number in range(60)], dir=tmp_path, pipelining=4, per_host=1, jobs=1) as (
            downloader,
            seen,
        ),
    ):
        downloader.start()
        downloader.turn_until(lambda: bool(seen.delays))
        assert not downloader.run(100)
        assert len(origin.log) <= 2 + 1 + 2 * 4
        downloader.stop()


def test_pipelining_answers_that_come_late_do_not_take_the_place_of_others(tmp_path):
    """The first of a line runs out of time; what is behind it is asked for again."""
    with Origin(pages(16) | {"/0": Each([Pause(9)], answer(200, small(0)))}) as origin:
        seen = fetch(origin, tmp_path, 16, per_host=1, idle_timeout=0.15)
    assert files_in(tmp_path) == expected(16) and len(seen.finished) == 16


def test_pipelining_existing_files_in_the_line(tmp_path):
    for number in range(0, 40, 5):
        (tmp_path / str(number)).write_bytes(b"mine")
    with Origin(pages(40)) as origin:
        seen = fetch(origin, tmp_path, 40, existing="skip")
        assert len(origin.log) == 32
    assert seen.downloader.n_skipped == 8 and seen.downloader.n_done == 32
    assert files_in(tmp_path) == expected(40) | {str(number): b"mine" for number in range(0, 40, 5)}


def test_pipelining_with_a_user(tmp_path):
    def page(number):
        def play(request):
            if request.get("authorization"):
                return answer(200, small(number))
            return answer(401, b"who", ("WWW-Authenticate", 'Basic realm="r"'))
        return play
    with Origin({f"/{number}": page(number) for number in range(30)}) as origin:
        seen = fetch(origin, tmp_path, 30, user=("me", "pw"))
    assert files_in(tmp_path) == expected(30) and not seen.failed


def test_pipelining_with_rows_of_their_own_fields(tmp_path):
    with Origin(
        {f"/{number}": lambda request: answer(200, request.get("x-mine", "none").encode()) for number in range(20)}
    ) as origin:
        rows = [
            {"url": origin.url(f"/{number}"), "headers": [("X-Mine", str(number))]} if number % 2 else origin.url(f"/{number}")
            for number in range(20)
        ]
        download(rows, dir=tmp_path, pipelining=4, per_host=1)
    assert files_in(tmp_path) == {str(number): str(number).encode() if number % 2 else b"none" for number in range(20)}


def test_pipelining_head_requests(tmp_path):
    with Origin({f"/{number}": answer(200, b"", length=number) for number in range(40)}) as origin:
        seen = fetch(origin, tmp_path, 40, method="HEAD", per_host=1)
    assert sorted(transfer.size for transfer in seen.finished) == list(range(40)) and names_in(tmp_path) == []


def test_pipelining_into_bytes_with_codings_and_rates():
    import gzip

    with Origin(
        {f"/{number}": answer(200, gzip.compress(small(number)), ("Content-Encoding", "gzip")) for number in range(40)}
    ) as origin:
        for settings in ({}, {"limit_rate": 10**9}):
            seen = download(
                [origin.url(f"/{number}") for number in range(40)], into="bytes", pipelining=8, per_host=2, **settings
            )
            assert {transfer.url: transfer.content for transfer in seen.finished} == {
                origin.url(f"/{number}"): small(number) for number in range(40)
            }


def test_pipelining_bad_rows_in_the_line(tmp_path):
    with Origin(pages(20)) as origin:
        rows = [row for number in range(20) for row in (origin.url(f"/{number}"), 5, "ftp://x")]
        seen = download(rows, dir=tmp_path, pipelining=4, per_host=1)
    assert len(seen.finished) == 20 and len(seen.failed) == 40 and files_in(tmp_path) == expected(20)


def test_pipelining_gives_all_descriptors_back(tmp_path):
    with Origin(pages(40) | {"/7": [Reset()], "/9": [answer(200, b"x", length=9), Close()]}) as origin:
        fetch(origin, tmp_path / "warm", 40, retries=1)
        origin.wait_for(lambda: all(connection.how_ended for connection in origin.connections))
        before = n_descriptors()
        fetch(origin, tmp_path / "again", 40, retries=1)
        origin.wait_for(lambda: all(connection.how_ended for connection in origin.connections))
        assert n_descriptors() == before


def test_pipelining_who_has_just_got_the_lane_is_not_too_slow(tmp_path):
    """The limits are looked at between the end of one answer and the turn of the next."""
    with Origin(pages(9)) as origin, running(
            [origin.url(f"/{number}") for number in range(9)], into="bytes", pipelining=8, per_host=1, retries=0,
    ) as (downloader, seen):
        downloader.finished.connect(lambda transfer: downloader.look())
        downloader.run()
    assert {transfer.url.rpartition("/")[2]: transfer.content for transfer in seen.finished} == expected(9)
