"""One file from several servers: their bytes are put together only where something proves that they have the same file."""
import hashlib

import pytest
from bulk.downloads import LIMIT_S, descriptors_go_back_to, files_in, n_descriptors, names_in, running
from bulk.origin import OLD, answer, origins, redirect
from bulk.range_servers import DATA, FIRST, OTHER, SPLIT, N, Ranged, covers, cut, fetch, fetch_all, status
from support.actions import Close, Pause, Send
from support.scripted_server import ClosedPort

import qhttp

SHA = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
LATER = "Tue, 07 Nov 2000 08:49:37 GMT"


def row_of(main, *mirrors, **more):
    return {"url": main.url("/a"), "mirrors": [one if isinstance(one, str) else one.url("/a") for one in mirrors], **more}


def bytes_of(*servers):
    return [end - start for server in servers for start, end in filter(None, server.asked)]


# -- who may take part
@pytest.mark.parametrize("n_mirrors", [1, 2, 5])
def test_mirrors_with_the_same_strong_etag_take_part(n_mirrors, tmp_path):
    servers = [Ranged() for _ in range(n_mirrors + 1)]
    with origins(*({"/a": server} for server in servers)) as found:
        transfer = fetch(row_of(*found), tmp_path)
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA}
    assert covers([asked for server in servers for asked in server.asked], N) and sum(map(bool, servers)) > 1
    assert all(server.asked for server in servers[:3]) and transfer.n_done == N


@pytest.mark.parametrize(
    "main, mirror",
    [
        ({"etag": '"one"'}, {"etag": '"two"'}),
        ({"etag": '"one"'}, {"etag": None}),
        ({"etag": 'W/"one"'}, {"etag": 'W/"one"'}),
        ({"etag": '"one"'}, {"etag": 'W/"one"'}),
        ({"etag": None}, {"etag": '"one"'}),
        ({"etag": None, "last_modified": OLD}, {"etag": None, "last_modified": OLD}),
        ({"etag": None}, {"etag": None}),
    ],
)
@pytest.mark.parametrize("ignores", [True, False])
def test_mirrors_that_prove_nothing_do_not_take_part(main, mirror, ignores, tmp_path):
    first, second = Ranged(**main), Ranged(OTHER, **mirror, ignores_if_range=ignores)
    with origins({"/a": first}, {"/a": second}) as found:
        transfer = fetch(row_of(*found), tmp_path)
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA}


@pytest.mark.parametrize("mirror", [{"etag": '"two"'}, {"etag": None}, {"etag": None, "last_modified": LATER}], ids=str)
def test_mirrors_of_a_file_with_a_checksum_take_part(mirror, tmp_path):
    first, second = Ranged(), Ranged(**mirror)
    with origins({"/a": first}, {"/a": second}) as found:
        transfer = fetch(row_of(*found, checksum=SHA), tmp_path)
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA} and second.asked and len(first.asked) > 1
    assert "sha256:" + transfer.sha256 == SHA


@pytest.mark.parametrize("etag", ['"one"', '"two"', None])
@pytest.mark.parametrize("retries", [0, 2])
def test_mirror_with_another_file_is_found_by_the_checksum(etag, retries, tmp_path):
    with origins({"/a": Ranged()}, {"/a": Ranged(OTHER, etag=etag)}) as found:
        transfer = fetch(row_of(*found, checksum=SHA), tmp_path, retries=retries)
    assert files_in(tmp_path) == ({"a": DATA} if transfer.error is None else {})
    assert transfer.error is None if retries else isinstance(transfer.error, (type(None), qhttp.ChecksumMismatch))


@pytest.mark.parametrize("data", [OTHER[:-1], OTHER + b"x", OTHER[:FIRST], b""], ids=len)
@pytest.mark.parametrize("checksum", [[], [SHA]])
def test_mirror_whose_file_has_another_length_does_not_take_part(checksum, data, tmp_path):
    with origins({"/a": Ranged()}, {"/a": Ranged(data)}) as found:
        transfer = fetch(row_of(*found, **({"checksum": checksum} if checksum else {})), tmp_path)
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA}


def test_mirror_whose_file_changes_does_not_go_on(tmp_path):
    mirror = Ranged()

    def change(server, start, end):
        mirror.data, mirror.etag = OTHER, '"two"'
        return mirror.piece(start, end)

    mirror.at = {start * FIRST: [change] for start in range(3, 10)}
    mirror.ignores_if_range = True
    with origins({"/a": Ranged()}, {"/a": mirror}) as found:
        transfer = fetch(row_of(*found), tmp_path)
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA}


# -- mirrors that are of no use
NO_USE = {
    **{str(code): answer(code) for code in (401, 403, 404, 416, 500, 503)},
    "200": answer(200, DATA), "200 of another": answer(200, OTHER),
    "nonsense": b"nonsense\r\n\r\n", "cut": [Send(b"HTTP/1.1 206"), Close()],
    "redirect to nowhere": redirect("ftp://127.0.0.1/a"), "redirect to itself": redirect("/a"),
}


@pytest.mark.parametrize("what", NO_USE)
@pytest.mark.parametrize("split", [2, 8])
def test_mirrors_that_are_of_no_use_do_no_harm(split, what, tmp_path):
    with origins({"/a": Ranged()}, {"/a": NO_USE[what]}) as found:
        transfer = fetch(row_of(*found), tmp_path, retries=1, split=split)
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA} and transfer.url_effective == found[0].url("/a")


@pytest.mark.parametrize("split", [2, 8])
def test_dead_mirrors_do_no_harm(split, tmp_path):
    with ClosedPort() as closed, origins({"/a": Ranged()}) as [main]:
        dead = [f"http://127.0.0.1:{closed.port}/{name}" for name in "xy"]
        transfer = fetch(row_of(main, *dead), tmp_path, retries=1, split=split)
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA}


@pytest.mark.parametrize("mirror", ["ftp://127.0.0.1/a", "nonsense", "http://", "http://127.0.0.1:99999/a", "magnet:?xt=1"])
def test_mirrors_that_are_no_urls_of_http_are_left_out(mirror, tmp_path):
    with origins({"/a": Ranged()}) as [main]:
        transfer = fetch(row_of(main, mirror), tmp_path)
    assert files_in(tmp_path) == {"a": DATA} and transfer.error is None


def test_mirrors_that_are_no_urls_are_left_out_of_kept_pieces(tmp_path):
    with origins({"/a": Ranged()}) as [main]:
        for is_second in (False, True):
            with running([row_of(main, *["ftp://127.0.0.1/a"] * is_second)], dir=tmp_path / "files",
                         session=tmp_path / "session", **SPLIT) as (downloader, seen):
                if not is_second:
                    downloader.progress.connect(lambda transfer, n_done, _, all=downloader: n_done > N // 2 and all.stop())
                assert downloader.run()
    assert seen.kinds == {"a": None} and files_in(tmp_path / "files") == {"a": DATA}


def test_mirror_that_stalls_is_left(tmp_path):
    def stall(server, start, end):
        return [Send(server.piece(start, end)[:-1000]), Pause(LIMIT_S)]

    mirror = Ranged(at={start: [stall] for start in range(FIRST, N, FIRST)}, stays=True)
    with origins({"/a": Ranged()}, {"/a": mirror}) as found:
        transfer = fetch(row_of(*found), tmp_path, idle_timeout=0.1, retries=0)
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA} and transfer.n_done == N


@pytest.mark.parametrize("n", [0, 10, FIRST - 1])
def test_mirror_that_is_cut_is_gone_on_with(n, tmp_path):
    mirror = Ranged(at={start: [cut(n)] for start in range(FIRST, N, FIRST)})
    with origins({"/a": Ranged()}, {"/a": mirror}) as found:
        transfer = fetch(row_of(*found), tmp_path)
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA} and transfer.n_done == N


# -- the main one is of no use
@pytest.mark.parametrize("split", [1, 4])
@pytest.mark.parametrize("what", ["404", "500", "cut", "nonsense", "closed"])
def test_mirror_is_used_where_the_main_server_is_dead(what, split, tmp_path):
    with ClosedPort() as closed, origins({"/a": NO_USE.get(what, b"")}, {"/a": Ranged(etag='"m"')}) as [main, mirror]:
        url = f"http://127.0.0.1:{closed.port}/a" if what == "closed" else main.url("/a")
        transfer = fetch({"url": url, "mirrors": [mirror.url("/a")]}, tmp_path, retries=0, split=split)
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA}
    assert transfer.url_effective == mirror.url("/a") and transfer.url == url


@pytest.mark.parametrize("start", [FIRST, 5 * FIRST])
@pytest.mark.parametrize("fault", ["503", "404", "cut"])
@pytest.mark.parametrize("etag", [None, '"one"', '"two"'])
def test_mirror_that_proves_nothing_does_not_fill_in_for_the_main_server(etag, fault, start, tmp_path):
    """A piece of the main server cannot be had at all: all of the mirror's file, or nothing."""
    make = cut(0) if fault == "cut" else status(int(fault))
    main = Ranged(at={start: [make]}, stays=True)
    mirror = Ranged(DATA if etag == main.etag else OTHER, etag=etag, ignores_if_range=True)
    with origins({"/a": main}, {"/a": mirror}) as found:
        fetch(row_of(*found), tmp_path, retries=1)
    assert files_in(tmp_path) in ({}, {"a": mirror.data}) and names_in(tmp_path) in ([], ["a"])


def test_main_server_that_dies_is_no_end_where_the_mirror_has_it_all(tmp_path):
    main = Ranged(at={start: [cut(0)] for start in range(FIRST, N, FIRST)}, stays=True)
    with origins({"/a": main}, {"/a": Ranged()}) as found:
        transfer = fetch(row_of(*found), tmp_path, retries=0)
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA}


def test_all_dead_is_an_error(tmp_path):
    before = n_descriptors()
    with origins({"/a": answer(404)}, {"/a": answer(404)}, {"/a": answer(404)}) as found:
        seen = fetch_all([row_of(*found)], tmp_path)
        assert [len(one.log) for one in found] == [1, 1, 1]
    assert seen.kinds == {"a": "HTTPStatusError"} and names_in(tmp_path) == []
    descriptors_go_back_to(before)


def test_mirrors_file_with_a_wrong_checksum_is_an_error(tmp_path):
    with origins({"/a": answer(404)}, {"/a": Ranged(OTHER)}) as found:
        transfer = fetch(row_of(*found, checksum=SHA), tmp_path, retries=0)
    assert transfer.error is not None and names_in(tmp_path) == []


# -- what mirrors are told
@pytest.mark.parametrize("is_main_dead", [True, False])
@pytest.mark.parametrize("where", ["row", "settings"])
def test_mirrors_elsewhere_get_nothing_that_is_secret(where, is_main_dead, tmp_path):
    headers = [["Authorization", "Bearer mine"], ["Cookie", "a=b"], ["Host", "secret.example"], ["X-Plain", "1"]]
    given = {"headers": headers} if where == "row" else {}
    settings = {"headers": headers} if where == "settings" else {}
    with origins({"/a": answer(404) if is_main_dead else Ranged()}, {"/a": Ranged()}) as found:
        assert fetch(row_of(*found, **given), tmp_path, **settings).error is None
        assert {request.get("authorization") for request in found[0].log} == {"Bearer mine"} and found[1].log
        for request in found[1].log:
            assert [request.get(name) for name in ("authorization", "cookie", "x-plain")] == [None, None, "1"]
            assert request.all("host") == [f"127.0.0.1:{found[1].port}"]


def test_mirrors_elsewhere_do_not_get_the_password(tmp_path):
    challenge = answer(401, b"", ("WWW-Authenticate", 'Basic realm="r"'))

    def asking(server):
        return lambda request: server(request) if request.get("authorization") else challenge

    with origins({"/a": asking(Ranged())}, {"/a": asking(Ranged())}) as found:
        transfer = fetch(row_of(*found), tmp_path, user=("me", "secret"))
        assert found[0].log[-1].get("authorization") and not any(request.get("authorization") for request in found[1].log)
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA}


def test_mirrors_are_asked_with_their_own_etag(tmp_path):
    mirror = Ranged(etag='"m"')
    with origins({"/a": Ranged()}, {"/a": mirror}) as found:
        assert fetch(row_of(*found, checksum=SHA), tmp_path, split=2).error is None
        assert {request.get("if-range") for request in found[1].log} == {None, '"m"'}
        assert {request.get("if-range") for request in found[0].log} == {None, '"one"'}


# -- limits
@pytest.mark.parametrize("settings", [{"per_host": 1}, {"jobs": 1}, {"pipelining": 4}, {"per_host": 1, "jobs": 2}], ids=str)
def test_mirrors_keep_the_limits(settings, tmp_path):
    servers = [Ranged() for _ in range(3)]
    with origins(*({"/a": server} for server in servers)) as found:
        seen = fetch_all([row_of(*found), *({**row_of(*found), "out": str(n)} for n in range(3))], tmp_path, **settings)
        if settings.get("per_host") == 1:
            assert all(len({request.connection for request in one.log}) <= 1 for one in found)
    assert len(seen.finished) == 4 and set(files_in(tmp_path).values()) == {DATA}


@pytest.mark.parametrize("settings", [{"split": 1}, {"limit_rate": 10**9}])
def test_mirrors_wait_where_there_is_one_connection(settings, tmp_path):
    servers = Ranged(), Ranged()
    with origins(*({"/a": server} for server in servers)) as found:
        assert fetch(row_of(*found), tmp_path, **settings).error is None
    assert [server.asked for server in servers] == [[None], []] and bytes_of(*servers) == []


def test_mirrors_give_descriptors_back(tmp_path):
    with origins({"/a": Ranged()}, {"/a": Ranged()}, {"/a": answer(404)}) as found:
        fetch(row_of(*found), tmp_path / "warm")
        before = n_descriptors()
        for number in range(4):
            assert fetch(row_of(*found), tmp_path / str(number)).error is None
        for one in found:
            one.wait_for(lambda one=one: all(connection.how_ended for connection in one.connections))
        descriptors_go_back_to(before)
