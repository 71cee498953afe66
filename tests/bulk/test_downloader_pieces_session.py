"""Files in pieces that are stopped, or killed, and gone on with: only what is missing is fetched, and never a mixture."""
import hashlib
import os
import random
import resource
import threading

import pytest
from bulk.downloads import LIMIT_S, Quick, body, descriptors_go_back_to, files_in, n_descriptors, names_in, running
from bulk.origin import OLD, Origin, answer, origins
from bulk.range_servers import DATA, FIRST, OTHER, SPLIT, N, Ranged, cut, fetch, status
from core.process_tools import fork, in_child
from support.actions import Close, Send

from qhttp.bulk.resume import Version
from qhttp.bulk.segments import record_pieces

SECOND = FIRST


@pytest.fixture
def kept(tmp_path):
    """Settings of all runs of a test."""
    return {"dir": tmp_path / "files", "session": tmp_path / "state" / "session.db", **SPLIT}


def stop_at(downloader, n, gently=False):
    downloader.progress.connect(lambda transfer, n_done, n_total: n_done >= n and downloader.stop(gently))


def stopped_run(origin, n=N // 2, **settings):
    """A run that is stopped when so many bytes have come."""
    with running([origin.url("/a")], **settings) as (downloader, seen):
        stop_at(downloader, n)
        assert downloader.run() and not seen.finished
        return list(downloader.left())


SECOND_RUN = "X-Run", "second"


def second_run(origin, kept, **settings):
    with running([origin.url("/a")], **{**kept, "headers": [SECOND_RUN], **settings}) as (downloader, seen):
        assert downloader.run()
    [transfer] = seen.ended
    return transfer


def n_asked_for(origin):
    """Bytes that the second run has asked for."""
    asked = [request.get("range") for request in origin.log if request.get("x-run")]
    assert None not in asked
    ends = [one.removeprefix("bytes=").split("-") for one in asked]
    return sum((int(last) if last else N - 1) + 1 - int(first) for first, last in ends)


def part_kept(origin, kept, **validators):
    """A first run that leaves a part behind; the server of the second."""
    origin.answers["/a"] = Ranged(**validators)
    stopped_run(origin, **kept)
    assert names_in(kept["dir"]) == ["a.parts"]
    second = origin.answers["/a"] = Ranged(**validators)
    return second


# -- stopped
def test_file_in_pieces_is_left_once(kept):
    with Origin({"/a": Ranged()}) as origin:
        assert stopped_run(origin, **kept) == [{"url": origin.url("/a")}]


@pytest.mark.parametrize("n", [1, N // 2, N - 1])
def test_stop_without_a_session_leaves_no_pieces(n, tmp_path):
    before = n_descriptors()
    with Origin({"/a": Ranged()}) as origin, running([origin.url("/a")], dir=tmp_path, **SPLIT) as (downloader, seen):
        stop_at(downloader, n)
        assert downloader.run() and len(list(downloader.left())) == 1 - len(seen.finished)
    assert names_in(tmp_path) == ["a"] * len(seen.finished)
    descriptors_go_back_to(before)


@pytest.mark.parametrize("has_session", [True, False])
@pytest.mark.parametrize("how", ["stop", "gently", "close"])
def test_stop_while_all_pieces_wait(how, has_session, kept):
    """The host has asked for a pause: no piece has a lane."""
    before = n_descriptors()
    settings = kept if has_session else {**kept, "session": None}
    with Origin({"/a": Ranged(at={SECOND: [status(503, ("Retry-After", "50"))]}, stays=True)}) as origin:
        with running([origin.url("/a")], **settings) as (downloader, seen):
            downloader.start()
            downloader.turn_until(lambda: seen.errors and not downloader.running)
            if how != "close":
                downloader.stop(gently=how == "gently")
                if how == "stop":
                    assert downloader.run(2000) and list(downloader.left()) == [{"url": origin.url("/a")}]
                else:
                    downloader.run(100)
                    downloader.stop()
        assert not seen.finished
    assert names_in(kept["dir"]) == (["a.parts"] if has_session else [])
    descriptors_go_back_to(before)


def test_stop_while_pieces_wait_for_a_lane(tmp_path):
    """Another file has the only lane."""
    with (
        Origin({"/a": Ranged(), "/b": Ranged(OTHER, etag='"b"')}) as origin,
        running([origin.url("/a"), origin.url("/b")], dir=tmp_path, jobs=1, **SPLIT) as (downloader, seen),
    ):
        downloader.progress.connect(lambda transfer, *_: transfer.url.endswith("/b") and downloader.stop())
        assert downloader.run()
        left = [row["url"] for row in downloader.left()]
        finished = [transfer.url for transfer in seen.finished]
        assert sorted(left + finished) == [origin.url("/a"), origin.url("/b")]
    assert names_in(tmp_path) == sorted(url[-1] for url in finished)


def test_gentle_stop_brings_a_file_in_pieces_to_its_end(tmp_path):
    with Origin({"/a": Ranged()}) as origin, running([origin.url("/a")], dir=tmp_path, **SPLIT) as (downloader, seen):
        stop_at(downloader, N // 4, gently=True)
        assert downloader.run() and list(downloader.left()) == []
    assert seen.kinds == {"a": None} and files_in(tmp_path) == {"a": DATA}


def test_fail_fast_leaves_no_pieces(tmp_path):
    with (
        Origin({"/a": Ranged(at={5 * FIRST: [status(503, ("Retry-After", "50"))]})}) as origin,
        running([origin.url("/a")], dir=tmp_path, fail_fast=True, **SPLIT) as (downloader, seen),
    ):
        downloader.start()
        downloader.turn_until(lambda: seen.errors and not downloader.running)
        downloader.add("nonsense")
        assert downloader.run(2000)
    assert names_in(tmp_path) == []


# -- gone on with
@pytest.mark.parametrize("validators", [{"etag": '"one"'}, {"etag": None, "last_modified": OLD}], ids=["etag", "date"])
@pytest.mark.parametrize("settings", [{}, {"split": 1}, {"split": 64}, {"min_split_size": 1000}], ids=str)
def test_pieces_that_are_missing_are_fetched_by_the_next_run(settings, validators, kept):
    with Origin() as origin:
        part_kept(origin, kept, **validators)
        transfer = second_run(origin, kept, **settings)
        assert transfer.n_resumed >= FIRST and n_asked_for(origin) == N - transfer.n_resumed
    assert transfer.error is None and files_in(kept["dir"]) == {"a": DATA}
    assert (transfer.n_done, transfer.n_total, transfer.size) == (N, N, N)


def test_pieces_can_be_stopped_many_times(kept):
    with Origin({"/a": Ranged()}) as origin:
        for share in (3, 5, 7, 9):
            stopped_run(origin, N * share // 10, **kept)
        assert second_run(origin, kept).error is None and n_asked_for(origin) < N // 2
    assert files_in(kept["dir"]) == {"a": DATA}


@pytest.mark.parametrize("settings", [{}, {"split": 1}], ids=str)
@pytest.mark.parametrize("knows", [True, False], ids=["If-Range", "no If-Range"])
@pytest.mark.parametrize("data", [OTHER, OTHER[:-1], body(N + 1, 4), OTHER[:1000], b""], ids=len)
def test_pieces_of_a_file_that_has_changed_are_fetched_anew(data, knows, settings, kept):
    with Origin() as origin:
        server = part_kept(origin, kept)
        server.data, server.etag, server.ignores_if_range = data, '"two"', not knows
        transfer = second_run(origin, kept, **settings)
    assert transfer.error is None and files_in(kept["dir"]) == {"a": data}


def test_pieces_of_a_server_that_has_lost_its_ranges_are_fetched_anew(kept):
    with Origin() as origin:
        part_kept(origin, kept)
        origin.answers["/a"] = answer(200, DATA)
        assert second_run(origin, kept).error is None
    assert files_in(kept["dir"]) == {"a": DATA}


@pytest.mark.parametrize("how", ["removed", "made anew", "emptied", "shorter", "longer"])
def test_pieces_that_are_not_as_they_were_left(how, kept):
    path = kept["dir"] / "a.parts"
    with Origin() as origin:
        part_kept(origin, kept)
        n = path.stat().st_size
        if how in ("removed", "made anew"):
            path.rename(path.with_name("moved"))
        if how == "made anew":
            path.write_bytes(b"x" * n)
        elif how != "removed":
            os.truncate(path, {"emptied": 0, "shorter": FIRST, "longer": N + 5}[how])
        transfer = second_run(origin, kept)
        if transfer.error is not None:      # then the next one is good
            transfer = second_run(origin, kept)
    files = files_in(kept["dir"])
    files.pop("moved", None)
    assert transfer.error is None and files == {"a": DATA}


def test_pieces_of_another_url_are_not_gone_on_with(kept):
    with Origin() as origin:
        part_kept(origin, kept)
        origin.answers = {"/b/a": Ranged(OTHER)}
        assert fetch(origin.url("/b/a"), kept["dir"], session=kept["session"]).error is None
    assert files_in(kept["dir"])["a"] == OTHER


@pytest.mark.parametrize("split", [1, 4])
def test_part_from_the_start_is_gone_on_with_as_such(split, kept):
    """What a run without pieces has left is no file with holes."""
    whole, begin = Ranged(), answer(200, DATA, ("ETag", '"one"'))[:-FIRST]
    with Origin({"/a": [Send(begin), Close()]}) as origin:
        with running([origin.url("/a")], **{**kept, "split": 1, "retries": 0}) as (downloader, _):
            downloader.run()
        assert names_in(kept["dir"]) == ["a.part"]
        origin.answers["/a"] = whole
        transfer = second_run(origin, kept, split=split)
    assert transfer.error is None and files_in(kept["dir"]) == {"a": DATA} and whole.n_sent < 2 * FIRST


def test_rows_size_is_compared_with_pieces_that_were_kept(kept):
    with Origin() as origin:
        part_kept(origin, kept)
        with running([{"url": origin.url("/a"), "size": N - 1}], retries=0, **kept) as (downloader, seen):
            downloader.run()
    assert seen.kinds == {"a": "BodyError"} and "a" not in names_in(kept["dir"])


def test_checksum_is_compared_with_pieces_that_were_kept(kept):
    with Origin() as origin:
        part_kept(origin, kept)
        with running([{"url": origin.url("/a"), "checksum": "sha256:" + "0" * 64}], retries=0, **kept) as (downloader, seen):
            downloader.run()
    assert seen.kinds == {"a": "ChecksumMismatch"} and names_in(kept["dir"]) == []


def test_rate_holds_for_pieces_that_were_kept(kept):
    with Origin() as origin:
        part_kept(origin, kept)
        with running([origin.url("/a")], **kept, limit_rate=FIRST // 2) as (downloader, _):
            downloader.run(300)
            assert downloader.n_bytes <= FIRST * 2


# -- killed
@pytest.mark.parametrize("changes", [False, True], ids=["same", "changed"])
@pytest.mark.parametrize("start", [0, 1, 4, 9])
@pytest.mark.parametrize("n_of_it", [0, 60_000])
def test_pieces_after_a_kill_become_the_whole_file(n_of_it, start, changes, kept):
    reached = threading.Event()

    def hold(server, start, end):
        whole = server.piece(start, end)
        head_len = len(whole) - (end - start)
        return [Send(whole[:head_len + n_of_it]), lambda peer: (reached.set(), peer.pause(LIMIT_S))]

    with Origin({"/a": Ranged(at={start * FIRST: [hold]})}) as origin:
        pid = fork()
        if pid == 0:
            try:
                Quick([origin.url("/a")], proxy=None, **kept).run(8000)
            finally:
                os._exit(1)
        try:
            assert reached.wait(LIMIT_S)
        finally:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        assert "a" not in files_in(kept["dir"])
        origin.answers["/a"] = server = Ranged(OTHER, etag='"two"') if changes else Ranged()
        transfer = second_run(origin, kept)
    assert transfer.error is None and files_in(kept["dir"]) == {"a": server.data}


# -- a disk that is full: RLIMIT_FSIZE in a child
@pytest.mark.parametrize("limit", [FIRST // 2, FIRST + 50_000, N - 1000])
@pytest.mark.parametrize("has_session", [True, False])
def test_pieces_beyond_what_the_disk_takes(has_session, limit, kept):
    settings = kept if has_session else {**kept, "session": None}

    def work():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        with running([origin.url("/a")], **settings) as (downloader, seen):
            downloader.run()
        return seen.kinds, names_in(kept["dir"]), seen.ended[0].n_retries

    with Origin({"/a": Ranged()}) as origin:
        kinds, names, n_retries = in_child(work)
        assert kinds == {"a": "FileError"} and n_retries == 0 and set(names) <= ({"a.parts"} if has_session else set())
        assert second_run(origin, kept).error is None
    assert files_in(kept["dir"]) == {"a": DATA}


# -- with mirrors
@pytest.mark.parametrize("main", ['"one"', '"m"'])
def test_kept_pieces_of_a_mirror_are_no_part_of_another_file(main, kept):
    """The first run had the mirror only; the main server, which is there again, has another file."""
    with origins({"/a": answer(404)}, {"/a": Ranged(etag='"m"')}) as [first, mirror]:
        row = {"url": first.url("/a"), "mirrors": [mirror.url("/a")]}
        with running([row], **kept) as (downloader, seen):
            stop_at(downloader, N // 2)
            downloader.run()
        assert not seen.finished
        first.answers["/a"] = server = Ranged(DATA if main == '"m"' else OTHER, etag=main)
        with running([row], **kept) as (downloader, seen):
            downloader.run()
    assert seen.kinds == {"a": None} and files_in(kept["dir"]) in ({"a": server.data}, {"a": DATA})


@pytest.mark.parametrize("has_checksum", [True, False])
def test_kept_pieces_of_which_only_a_checksum_tells_that_they_belong_together_are_gone_on_with_by_one(has_checksum, kept):
    """The mirror has another file, which the first run cannot know: in the end the checksum tells, and all is fetched anew."""
    checksum = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
    with origins({"/a": Ranged(etag='"one"')}, {"/a": Ranged(OTHER, etag='"two"')}) as [main, mirror]:
        row = {"url": main.url("/a"), "mirrors": [mirror.url("/a")], "checksum": checksum}
        with running([row], **kept) as (downloader, seen):
            stop_at(downloader, N * 3 // 4)
            downloader.run()
        assert not seen.finished and names_in(kept["dir"]) == ["a.parts"] and mirror.paths
        if not has_checksum:
            row = {"url": row["url"]}
        n_resumed = []
        with running([row], **kept) as (downloader, seen):
            downloader.progress.connect(lambda transfer, n_done, n_total: n_resumed.append(transfer.n_resumed))
            downloader.run()
    assert any(n_resumed) == has_checksum
    assert seen.kinds == {"a": None} and files_in(kept["dir"]) == {"a": DATA}


# -- all together
@pytest.mark.parametrize("seed", range(30))
def test_pieces_with_faults_and_stops_become_one_version(seed, kept):
    """Cuts, refusals, changes of the file, stops and mirrors in any order: one version, or nothing yet."""
    chance = random.Random(seed)
    versions = [body(chance.choice([N, N, FIRST, FIRST + 1, 3 * FIRST]), n) for n in range(3)]
    faults = [cut(n) for n in (-1, 0, 1, 30_000, 99_999)] + [cut(5000, is_reset=True), *map(status, (500, 503, 416))]
    servers = [Ranged(versions[0], etag='"0"') for _ in range(2)]
    with origins({"/a": servers[0]}, {"/a": servers[1]}) as found:
        row = {"url": found[0].url("/a"), **({"mirrors": [found[1].url("/a")]} if chance.random() < 0.5 else {})}
        for n in [0, 0, 1, 1, 2]:
            for server in servers:
                server.data, server.etag = versions[n], f'"{n}"'
                n_faults = 0 if n == 2 else 3
                server.at = {start: chance.choices(faults, k=chance.randint(0, n_faults)) for start in range(0, N, FIRST)}
                server.ignores_if_range = chance.random() < 0.3
            settings = {"retries": chance.choice([0, 2]), "split": chance.choice([1, 2, 4]), "per_host": chance.choice([1, 8])}
            with running([row], **{**kept, **settings}) as (downloader, seen):
                if n < 2 and chance.random() < 0.5:
                    stop_at(downloader, chance.randrange(N))
                assert downloader.run()
            files = files_in(kept["dir"])
            assert files.get("a") in (None, *versions[:n + 1]) and ("a" in files) == bool(seen.finished)
            if seen.finished:
                break
    assert seen.kinds == {"a": None} and list(files) == ["a"]


# -- a power failure
class Noted:
    """In the place of a session: what was done before it was told."""

    def __init__(self, done):
        self.done = done

    def put_part(self, *told):
        self.done.append(told[-2])


@pytest.mark.parametrize("is_synced, expected", [(False, [[[5, 9]]]), (True, ["synced", [[5, 9]]])])
def test_pieces_are_on_the_disk_before_it_is_noted_that_they_are_there(is_synced, expected, tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(os, "fdatasync", lambda fd: done.append("synced"))
    with open(tmp_path / "part", "wb") as file:
        record_pieces(Noted(done), "part", "http://h/", file.fileno(), Version('"x"', None, 9), [[5, 9]], False, is_synced)
    assert done == expected


def test_pieces_that_cannot_be_brought_to_the_disk_are_not_noted(tmp_path, monkeypatch):
    def fails(fd):
        raise OSError(5, "input/output error")
    done = []
    monkeypatch.setattr(os, "fdatasync", fails)
    with open(tmp_path / "part", "wb") as file, pytest.raises(OSError, match="input"):
        record_pieces(Noted(done), "part", "http://h/", file.fileno(), Version('"x"', None, 9), [[5, 9]], False, True)
    assert done == []


def test_pieces_of_a_run_that_syncs_are_synced_before_each_note(kept, monkeypatch):
    synced, real = [], os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (synced.append(fd), real(fd)))
    with Origin({"/a": Ranged(DATA)}) as origin:
        assert fetch(origin.url("/a"), kept["dir"], fsync=True, session=kept["session"]).error is None
    assert len(synced) > 2 and files_in(kept["dir"]) == {"a": DATA}
