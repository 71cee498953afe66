"""One file over several connections: the right bytes or an error, whatever a piece meets; nothing stays that nobody can use."""
import base64
import hashlib
import threading

import pytest
from bulk.downloads import LIMIT_S, HeldFiles, body, descriptors_go_back_to, files_in, n_descriptors, names_in, running
from bulk.origin import NOW, OLD, Origin, answer, chunked, redirect
from bulk.range_servers import DATA, FIRST, IS_ODD, OTHER, SPLIT, N, Ranged, covers, cut, fetch, fetch_all, says, status
from support.actions import Close, Pause, Send

import qhttp

SECOND = FIRST                  # where the second piece begins
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(params=[0, 3, 8], ids=lambda n: f"piece{n}")
def start(request):
    """Where a piece begins: that of the first request, one in the middle, the last one."""
    return request.param * FIRST + (FIRST if request.param else 0)


def with_few_requests(origin, rows, folder, n_max, **settings):
    """Fetches, and looks after a number of requests whether there is an end."""
    with running(rows, dir=folder, **SPLIT, **settings) as (downloader, seen):
        downloader.start()
        downloader.turn_until(lambda: len(origin.log) > n_max)
        assert len(origin.log) <= n_max
    return seen


# -- right bytes
@pytest.mark.parametrize("split", [2, 4, 64])
@pytest.mark.parametrize(
    "n", [1, FIRST - 1, FIRST, FIRST + 1, 2 * FIRST - 1, 2 * FIRST, 2 * FIRST + 1, 5 * FIRST + 3, 30 * FIRST]
)
def test_pieces_of_any_size_make_the_file(n, split, tmp_path):
    server = Ranged(body(n))
    with Origin({"/a": server}) as origin:
        transfer = fetch(origin.url("/a"), tmp_path, split=split)
    assert transfer.error is None and files_in(tmp_path) == {"a": server.data}
    assert covers(server.asked, n)
    assert (transfer.size, transfer.n_done, transfer.n_total, transfer.status) == (n, n, n, 206)


def test_pieces_are_many_where_there_are_many_connections(tmp_path):
    server = Ranged()
    with Origin({"/a": server}) as origin:
        fetch(origin.url("/a"), tmp_path)
        assert len(server.asked) == 10 and covers(server.asked, N)
        assert 2 <= len({request.connection for request in origin.log}) <= 4


@pytest.mark.parametrize(
    "empty",
    [answer(code, b"", ("Content-Range", "bytes */0")) for code in (416, 412, 206, 200)],
    ids=["416", "412", "206", "200"],
)
def test_pieces_of_an_empty_file_are_an_empty_file(empty, tmp_path):
    with Origin({"/a": lambda request: empty if request.get("range") else answer(200)}) as origin:
        with_few_requests(origin, [origin.url("/a")], tmp_path, 2)
    assert files_in(tmp_path) == {"a": b""}


@pytest.mark.parametrize("n", [1000, N])
@pytest.mark.parametrize("whole", [answer, lambda code, data: chunked(data)], ids=["length", "chunked"])
def test_pieces_from_a_server_without_ranges_are_one(whole, n, tmp_path):
    with Origin({"/a": whole(200, DATA[:n])}) as origin:
        transfer = fetch(origin.url("/a"), tmp_path)
        assert len(origin.log) == 1
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA[:n]}


@pytest.mark.parametrize(
    "said",
    [
        "bytes {end}-{last}/{n}", "bytes 1-{end}/{n}", "bytes {start}-{last}/*", "bytes {start}-{last}/1", "bytes */{n}",
        "bytes {start}-{end}/{n}", "bytes {start}-{last}/9223372036854775807", "bytes {start}-{last}/99999999999999999999999",
        "items {start}-{last}/{n}", "nonsense", "bytes {start}-{last}/{n}, bytes {start}-{last}/{n}",
        "bytes {start}-{start}/{n}",
    ],
)
@pytest.mark.parametrize("start", [0, SECOND], ids=["first", "second"])
def test_pieces_that_are_not_what_was_asked_for_are_no_pieces(said, start, tmp_path):
    """The first says how long the file is: one that is wrong there is found at the second."""
    server = Ranged(at={start: [says(said)] * 3}, stays=True)
    with Origin({"/a": server}) as origin:
        [transfer] = with_few_requests(origin, [origin.url("/a")], tmp_path, 60, retries=1).ended
    if transfer.error is None:
        assert files_in(tmp_path) == {"a": DATA}
    else:
        assert "9223372036854775807" in said and names_in(tmp_path) == []


@pytest.mark.parametrize("change", ["chunked", "coded", "multipart"])
@pytest.mark.parametrize("start", [0, SECOND], ids=["first", "second"])
def test_pieces_in_other_clothes_are_no_pieces(change, start, tmp_path):
    def make(server, start, end):
        said = ("Content-Range", f"bytes {start}-{end - 1}/{N}")
        if change == "chunked":
            return chunked(DATA[start:end], said, *server.validators(), status=206)
        field = ("Content-Encoding", "gzip") if change == "coded" else ("Content-Type", "multipart/byteranges; boundary=b")
        return answer(206, DATA[start:end], *([said] if change == "coded" else []), field, *server.validators())

    server = Ranged(at={start: [make] * 3}, stays=True)
    with Origin({"/a": server}) as origin:
        assert with_few_requests(origin, [origin.url("/a")], tmp_path, 60).kinds == {"a": None} and None in server.asked
    assert files_in(tmp_path) == {"a": DATA}


# -- versions
@pytest.mark.parametrize("has_if_range", [True, False])
@pytest.mark.parametrize(
    "old, new",
    [
        ({"etag": '"one"'}, {"etag": '"two"'}),
        ({"etag": 'W/"one"'}, {"etag": 'W/"two"'}),
        ({"etag": None, "last_modified": OLD}, {"etag": None, "last_modified": "Tue, 07 Nov 2000 08:49:37 GMT"}),
    ],
    ids=["strong", "weak", "date"],
)
def test_pieces_of_a_file_that_changes_are_no_mixture(old, new, has_if_range, tmp_path):
    def change(server, start, end):
        server.data, server.etag, server.last_modified = OTHER, new["etag"], new.get("last_modified")
        return server.piece(start, end) if server.ignores_if_range else answer(200, OTHER, *server.validators())

    server = Ranged(at={3 * FIRST: [change]}, ignores_if_range=not has_if_range, **old)
    with Origin({"/a": server}) as origin:
        transfer = fetch(origin.url("/a"), tmp_path)
    assert transfer.error is None and files_in(tmp_path)["a"] in ([DATA, OTHER] if old["etag"] == 'W/"one"' else [OTHER])


@pytest.mark.parametrize("validators", [{"etag": None}, {"etag": None, "last_modified": NOW}], ids=["none", "weak date"])
def test_pieces_of_an_unknown_version_are_no_mixture(validators, tmp_path):
    """Nothing tells that the file has changed: then it must not be put together."""
    def change(server, start, end):
        server.data = OTHER
        return server.piece(start, end)

    server = Ranged(at={3 * FIRST: [change]}, **validators)
    with Origin({"/a": server}) as origin:
        fetch(origin.url("/a"), tmp_path)
    assert files_in(tmp_path) in ({}, {"a": DATA}, {"a": OTHER})


def test_pieces_of_a_file_that_has_shrunk_are_fetched_anew(tmp_path):
    def change(server, start, end):
        server.data = OTHER[:2 * FIRST]
        return answer(416, b"", ("Content-Range", f"bytes */{2 * FIRST}"))

    server = Ranged(at={3 * FIRST: [change]}, etag=None, last_modified=OLD)
    with Origin({"/a": server}) as origin:
        transfer = fetch(origin.url("/a"), tmp_path)
    assert transfer.error is None and files_in(tmp_path) == {"a": OTHER[:2 * FIRST]}


# -- pieces that fail
FAULTS = {
    "cut": cut(50_000 + IS_ODD), "cut at once": cut(0), "cut before the head": cut(-1), "reset": cut(50_000, is_reset=True),
    "503": status(503), "500": status(500), "503 with Retry-After": status(503, ("Retry-After", "0")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_pieces_that_fail_are_tried_again(fault, start, tmp_path):
    server = Ranged(at={start: [FAULTS[fault]]})
    with Origin({"/a": server}) as origin:
        seen = fetch_all([origin.url("/a")], tmp_path)
    [transfer] = seen.ended
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA} and seen.downloader.n_retries <= 1
    assert (transfer.n_done, transfer.n_total) == (N, N)


@pytest.mark.parametrize("fault", ["cut", "cut at once", "500"])
def test_pieces_that_all_fail_once_are_tried_again(fault, tmp_path):
    server = Ranged(at={n * FIRST: [FAULTS[fault]] for n in range(10)})
    with Origin({"/a": server}) as origin:
        transfer = fetch(origin.url("/a"), tmp_path)
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA} and (transfer.n_done, transfer.n_total) == (N, N)


def test_piece_that_is_cut_goes_on_where_it_was(tmp_path):
    server = Ranged(at={SECOND: [cut(50_000 + IS_ODD)]})
    with Origin({"/a": server}) as origin:
        assert fetch(origin.url("/a"), tmp_path).error is None
    assert (SECOND + 50_000 + IS_ODD, 2 * FIRST) in server.asked


def test_piece_that_is_retried_counts_for_its_transfer(tmp_path):
    with Origin({"/a": Ranged(at={SECOND: [cut(10), cut(-1)]})}) as origin:
        seen = fetch_all([origin.url("/a")], tmp_path)
    assert seen.words == ["started", "retrying", "finished"] or seen.words.count("retrying") == seen.ended[0].n_retries
    assert seen.ended[0].n_retries == seen.downloader.n_retries > 0


def test_piece_that_stalls_is_tried_again(start, tmp_path):
    def stall(server, start, end):
        whole = server.piece(start, end)
        return [Send(whole[:-1000]), Pause(LIMIT_S)]

    server = Ranged(at={start: [stall]})
    with Origin({"/a": server}) as origin:
        transfer = fetch(origin.url("/a"), tmp_path, idle_timeout=0.1)
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA} and transfer.n_done == N


@pytest.mark.parametrize("is_held", [True, False])
def test_first_piece_that_is_cut_before_the_part_is_there(is_held, tmp_path):
    server = Ranged(at={0: [cut(50_000)]})
    with (
        Origin({"/a": server}) as origin,
        running([origin.url("/a")], dir=tmp_path, **SPLIT) as (downloader, seen),
        HeldFiles(downloader) as held,
    ):
        downloader.start()
        if is_held:
            downloader.turn_until(lambda: seen.errors)
        held.release()
        assert downloader.run()
    assert seen.kinds == {"a": None} and files_in(tmp_path) == {"a": DATA}


class Two:
    """One answer, and then another one for ever."""

    def __init__(self, first, then):
        self.first, self.then, self.n_asked = first, then, 0

    def __call__(self, request):
        self.n_asked += 1
        found = self.first if self.n_asked == 1 else self.then
        return found(request) if callable(found) else found


@pytest.mark.parametrize("is_whole_first", [True, False])
def test_first_answers_of_two_kinds_while_the_part_is_not_there_yet(is_whole_first, tmp_path):
    """One server of several knows ranges: whose part is opened is the same to both."""
    ranged, whole = Ranged(), answer(200, DATA, ("ETag", '"one"'))
    two = Two([Send(whole[:50_000]), Close()], ranged) if is_whole_first else Two(cut(50_000)(ranged, 0, FIRST), whole)
    with (
        Origin({"/a": two}) as origin,
        running([origin.url("/a")], dir=tmp_path, **SPLIT) as (downloader, seen),
        HeldFiles(downloader) as held,
    ):
        downloader.start()
        downloader.turn_until(lambda: two.n_asked >= 2)
        held.release()
        assert downloader.run()
    assert seen.kinds == {"a": None} and files_in(tmp_path) == {"a": DATA}


@pytest.mark.parametrize("fault, kind", [("cut at once", "Truncated"), ("500", "HTTPStatusError"), ("reset", None)])
def test_pieces_that_fail_for_good_leave_nothing(fault, kind, start, tmp_path):
    make = cut(0, is_reset=True) if fault == "reset" else FAULTS[fault]
    server = Ranged(at={start: [make]}, stays=True)
    before = n_descriptors()
    with Origin({"/a": server}) as origin:
        seen = fetch_all([origin.url("/a")], tmp_path, retries=2)
        assert server.asked.count((start, start + FIRST)) <= 3 + (start == 0)
    [transfer] = seen.ended
    if start == 0 and transfer.error is None:       # without the first one all of it may be asked for
        assert files_in(tmp_path) == {"a": DATA} and None in server.asked
    else:
        assert transfer.error is not None and (kind is None or seen.kinds == {"a": kind}) and names_in(tmp_path) == []
        assert seen.had_errors == [True]
    descriptors_go_back_to(before)


def test_pieces_that_all_fail_leave_nothing(tmp_path):
    server = Ranged(at={n * FIRST: [cut(0)] for n in range(1, 10)}, stays=True)
    with Origin({"/a": server}) as origin:
        transfer = fetch(origin.url("/a"), tmp_path, retries=0)
    assert isinstance(transfer.error, qhttp.Truncated) and names_in(tmp_path) == []


def test_file_that_has_failed_does_not_wait_for_its_other_pieces(tmp_path):
    """One piece is to come after a long pause; another one says that there is nothing to wait for."""
    is_waiting = threading.Event()
    then_404 = [lambda peer: is_waiting.wait(LIMIT_S), Send(answer(404))]
    server = Ranged(at={SECOND: [status(503, ("Retry-After", "50"))], 2 * FIRST: [lambda *_: then_404]})
    with Origin({"/a": server}) as origin, running([origin.url("/a")], dir=tmp_path, **SPLIT) as (downloader, seen):
        downloader.retrying.connect(lambda *_: is_waiting.set())
        downloader.start()
        downloader.turn_until(lambda: seen.ended)
        assert downloader.run(1000)
    assert seen.kinds == {"a": "HTTPStatusError"} and names_in(tmp_path) == []


# -- what the file has to be
def test_pieces_with_the_right_checksum_are_good(tmp_path):
    with Origin({"/a": Ranged()}) as origin:
        transfer = fetch({"url": origin.url("/a"), "checksum": f"sha256:{SHA}", "size": N}, tmp_path)
    assert transfer.error is None and transfer.sha256 == SHA and files_in(tmp_path) == {"a": DATA}


def test_pieces_with_a_wrong_checksum_are_an_error(tmp_path):
    server = Ranged(OTHER)
    with Origin({"/a": server}) as origin:
        transfer = fetch({"url": origin.url("/a"), "checksum": f"sha256:{SHA}"}, tmp_path, retries=1)
    assert isinstance(transfer.error, qhttp.ChecksumMismatch) and names_in(tmp_path) == []


@pytest.mark.parametrize("n", [1000, FIRST, N])
@pytest.mark.parametrize("is_right", [True, False])
def test_pieces_are_compared_with_the_digest_that_was_sent(is_right, n, tmp_path):
    digest = base64.b64encode(hashlib.sha256(DATA[:n] if is_right else OTHER[:n]).digest()).decode()
    server = Ranged(DATA[:n], fields=[("Repr-Digest", f"sha-256=:{digest}:")])
    with Origin({"/a": server}) as origin:
        transfer = fetch(origin.url("/a"), tmp_path, retries=0)
    assert (transfer.error is None) == is_right and files_in(tmp_path) == ({"a": DATA[:n]} if is_right else {})


@pytest.mark.parametrize("settings, row, kind", [
    ({"max_size": N - 1}, {}, qhttp.TooLarge), ({"max_size": N}, {}, type(None)),
    ({}, {"size": N - 1}, qhttp.BodyError), ({}, {"size": N + 1}, qhttp.BodyError), ({}, {"size": N}, type(None)),
])
def test_pieces_of_a_file_of_the_wrong_size_are_an_error(settings, row, kind, tmp_path):
    server = Ranged()
    with Origin({"/a": server}) as origin:
        transfer = fetch({"url": origin.url("/a"), **row}, tmp_path, **settings)
    assert isinstance(transfer.error, kind) and names_in(tmp_path) == ([] if transfer.error else ["a"])
    assert len(server.asked) <= 6 or not transfer.error        # only the beginning


# -- redirects, and who we are
def test_pieces_come_from_where_the_first_was_redirected_to(tmp_path):
    server = Ranged()
    with Origin({"/a": redirect("/b"), "/b": server}) as origin:
        transfer = fetch(origin.url("/a"), tmp_path)
        assert len(origin.asked("/a")) == 1 and len(origin.asked("/b")) == 10
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA} and transfer.url_effective == origin.url("/b")
    assert transfer.n_redirects == 1


def test_piece_that_is_redirected_itself_is_followed(tmp_path):
    server = Ranged(at={SECOND: [lambda *_: redirect("/b")]})
    with Origin({"/a": server, "/b": server}) as origin:
        transfer = fetch(origin.url("/a"), tmp_path)
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA}


def test_pieces_elsewhere_get_nothing_that_is_secret(tmp_path):
    headers = [["Authorization", "Bearer mine"], ["Cookie", "a=b"], ["X-Plain", "1"]]
    with Origin({"/b": Ranged()}) as other, Origin({"/a": redirect(other.url("/b"))}) as origin:
        assert fetch({"url": origin.url("/a"), "headers": headers}, tmp_path, user=("me", "pw")).error is None
        assert origin.log[0].get("authorization") == "Bearer mine"
    assert len(other.log) == 10
    for request in other.log:
        assert (request.get("authorization"), request.get("cookie"), request.get("x-plain")) == (None, None, "1")


def test_pieces_at_home_get_what_the_row_says(tmp_path):
    with Origin({"/a": Ranged()}) as origin:
        fetch({"url": origin.url("/a"), "headers": [["Authorization", "Bearer mine"]]}, tmp_path)
        assert {request.get("authorization") for request in origin.log} == {"Bearer mine"}
        assert [request.get("if-range") for request in origin.log] == [None] + ['"one"'] * 9


# -- limits, and other settings
@pytest.mark.parametrize(
    "settings", [{"per_host": 1}, {"jobs": 1}, {"per_host": 2, "jobs": 3}, {"window": 1}, {"pipelining": 4}]
)
def test_pieces_share_the_lanes_with_other_files(settings, tmp_path):
    sizes = {"/a": N, "/b": 10, "/c": N, "/d": FIRST, "/e": 7, "/f": N}
    answers = {path: Ranged(body(size, size), etag=f'"{path}"') for path, size in sizes.items()}
    with Origin(answers) as origin:
        seen = fetch_all([origin.url(path) for path in answers], tmp_path, **settings)
        assert len({request.connection for request in origin.log}) <= settings.get("per_host", 8) + 1
    assert set(seen.kinds.values()) == {None} and seen.downloader.n_done == 6
    assert files_in(tmp_path) == {path[1:]: server.data for path, server in answers.items()}


def test_pieces_that_are_wrong_are_fetched_whole_with_pipelining(tmp_path):
    server = Ranged(at={0: [says("bytes 1-{end}/{n}")]}, stays=True)
    answers = {f"/{n}": server for n in range(8)}
    with Origin(answers) as origin:
        seen = with_few_requests(origin, [origin.url(path) for path in answers], tmp_path, 60, pipelining=4, per_host=1)
    assert set(seen.kinds.values()) == {None}
    assert files_in(tmp_path) == {str(n): DATA for n in range(8)}


@pytest.mark.parametrize("settings", [{"limit_rate": 10**9}, {"host_limit_rate": 10**9}, {"split": 1}, {"compressed": True}])
def test_without_pieces_one_connection_fetches_all(settings, tmp_path):
    server = Ranged()
    with Origin({"/a": server}) as origin:
        transfer = fetch(origin.url("/a"), tmp_path, **settings)
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA} and server.asked == [None]


def test_progress_of_pieces_grows_up_to_the_whole(tmp_path):
    server = Ranged(at={0: [cut(50_000)], SECOND: [cut(70_000)], 4 * FIRST: [status(500)]})
    told = []
    with Origin({"/a": server}) as origin, running([origin.url("/a")], dir=tmp_path, **SPLIT) as (downloader, seen):
        downloader.progress.connect(lambda transfer, n_done, n_total: told.append((transfer, n_done, n_total)))
        assert downloader.run()
    [transfer] = seen.ended
    assert {n_total for _, _, n_total in told} == {N} and {one for one, _, _ in told} == {transfer}
    grows = [n_done for _, n_done, _ in told]       # but where a cut came before the part was there, and all begins anew
    assert grows == sorted(grows) or transfer.n_retries > 0
    assert transfer.n_done == N and transfer.n_total == N and max(n_done for _, n_done, _ in told) <= N


def test_pieces_give_descriptors_back(tmp_path):
    with Origin({"/a": Ranged(at={SECOND: [cut(10)], 0: [cut(10)]})}) as origin:
        fetch(origin.url("/a"), tmp_path / "warm")
        before = n_descriptors()
        for number in range(5):
            origin.answers["/a"] = Ranged(at={SECOND: [cut(10)], number * FIRST: [cut(1000)]})
            assert fetch(origin.url("/a"), tmp_path / str(number)).error is None
        origin.wait_for(lambda: all(connection.how_ended for connection in origin.connections))
        descriptors_go_back_to(before)
