"""fsspec file systems: names, pieces, files, folders; pandas and pyarrow through them, with what they fetch counted."""
import asyncio
import pickle
import random

import pytest

import qhttp
from world.programs import give, make_folder, module
from world.table_server import TableServer

SEED, N = 3, 3 << 20


@pytest.fixture(scope="session")
def server(world_folder):
    server = TableServer(make_folder(world_folder, "tables"))
    for name, data in {"data.bin": random.Random(SEED).randbytes(N), "empty": b"", "sub/x y.txt": b"in the folder"}.items():
        path = server.files / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        give(path.parent)
    with server.run():
        yield server


@pytest.fixture(scope="session")
def fsspec():
    found = module("fsspec")
    module("qhttp.fs")
    for scheme in ("qhttp", "qhttps"):
        found.register_implementation(scheme, "qhttp.fs.QHttpFileSystem", clobber=True)      # as the entry points do
    return found


@pytest.fixture
def fs(fsspec):
    return fsspec.filesystem("qhttp", skip_instance_cache=True)


@pytest.fixture(scope="session")
def data(server):
    return (server.files / "data.bin").read_bytes()


# -- names and facts
def test_info_has_size_and_etag_by_one_request(fs, server):
    with server.counting() as fetched:
        info = fs.info(server.url("data.bin"))
    assert (info["size"], info["type"], bool(info["ETag"])) == (N, "file", True)
    assert (fetched.n_requests, fetched.n_bytes) == (1, 0)


def test_info_of_a_server_without_head_comes_by_one_byte(fs, server):
    with server.counting() as fetched:
        assert fs.info(server.url("no-head/data.bin"))["size"] == N
    assert fetched.ranges == ("", "bytes=0-0")


def test_errors_are_those_of_files(fs, server):
    with pytest.raises(FileNotFoundError):
        fs.cat_file(server.url("none"))
    with pytest.raises(PermissionError):
        fs.info(server.url("secret/x"))
    assert not fs.exists(server.url("none")) and fs.exists(server.url("data.bin"))


def test_folder_is_listed_walked_and_globbed(fs, server):
    base = server.url("", "http")
    assert fs.ls(server.url(""), detail=False) == [base + name for name in ("data.bin", "empty", "sub/")]
    assert {entry["name"]: entry["type"] for entry in fs.ls(server.url(""))}[base + "sub/"] == "directory"
    assert [base + "sub/x%20y.txt"] == list(fs.find(server.url("sub/")))
    assert fs.glob(server.url("*.bin")) == [base + "data.bin"]
    assert fs.isdir(server.url("sub/")) and not fs.isdir(server.url("data.bin"))
    with pytest.raises(FileNotFoundError):
        fs.ls(server.url("none/"))


def test_file_system_goes_through_pickle(fs, server):
    assert pickle.loads(pickle.dumps(fs)).info(server.url("data.bin"))["size"] == N


# -- pieces
@pytest.mark.parametrize("location", ["", "one-range/", "no-range/", "no-head/"])
@pytest.mark.parametrize("start, end", [(None, None), (0, 10), (5, None), (-7, None), (-9, -2), (100, 90), (N - 3, N + 10),
                                        (N + 5, N + 9), (None, 4)])
def test_cat_file_is_a_slice(fs, server, data, location, start, end):
    assert fs.cat_file(server.url(location + "data.bin"), start, end) == data[start:end]


def test_cat_file_of_an_empty_file_is_empty(fs, server):
    assert [fs.cat_file(server.url("empty"), *ends) for ends in ((), (0, 5), (-5, None))] == [b""] * 3


RANGES = [(7, 70), (0, 10), (1000, 1100), (5000, 5010), (65, 80), (5000, 5010), (-4, None)]


@pytest.mark.parametrize("location, n_requests", [("", 2), ("one-range/", None), ("no-range/", None)])
def test_cat_ranges_come_by_one_request_where_the_server_can(fs, server, data, location, n_requests):
    paths = [server.url(location + "data.bin")] * len(RANGES)
    with server.counting() as fetched:
        got = fs.cat_ranges(paths, *zip(*RANGES, strict=True))
    assert got == [data[start:end] for start, end in RANGES]
    assert n_requests in (None, fetched.n_requests)         # all of them, and the end


def test_cat_ranges_server_that_sends_all_instead_is_stopped(fs, server, data):
    paths = [server.url("one-range/data.bin")] * 2
    with server.counting() as fetched:
        assert fs.cat_ranges(paths, [0, 5000], [10, 5010]) == [data[:10], data[5000:5010]]
        assert fs.cat_ranges(paths, [1, 6000], [10, 6010]) == [data[1:10], data[6000:6010]]
    assert fetched.ranges[0] == "bytes=0-9,5000-5009"
    assert sorted(fetched.ranges[1:]) == ["bytes=0-9", "bytes=1-9", "bytes=5000-5009", "bytes=6000-6009"]


def test_cat_ranges_tell_errors_in_their_places_or_raise_them(fs, server, data):
    paths = [server.url("data.bin"), server.url("none")]
    good, bad = fs.cat_ranges(paths, [0, 0], [4, 4])
    assert good == data[:4] and isinstance(bad, FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        fs.cat_ranges(paths, [0, 0], [4, 4], on_error="raise")


def test_cat_ranges_of_a_missing_file_do_not_end_requests_for_several_ranges(fs, server, data):
    got = fs.cat_ranges([server.url("none")] * 3, [0, 1000, 5000], [10, 1010, 5010])
    assert [type(piece) for piece in got] == [FileNotFoundError] * 3
    with server.counting() as fetched:
        assert fs.cat_ranges([server.url("data.bin")] * 2, [0, 5000], [10, 5010]) == [data[:10], data[5000:5010]]
    assert fetched.ranges == ("bytes=0-9,5000-5009",)


def test_cat_of_many_is_at_once(fs, server, data):
    paths = [server.url("data.bin"), server.url("empty"), server.url("sub/x%20y.txt")]
    assert list(fs.cat(paths).values()) == [data, b"", b"in the folder"]


def test_file_system_in_a_loop_of_ones_own(fsspec, server, data):
    async def work():
        fs = fsspec.filesystem("qhttp", asynchronous=True, skip_instance_cache=True)
        return await fs._cat_file(server.url("data.bin"), 5, 9)
    assert asyncio.run(work()) == data[5:9]


# -- whole files
def test_get_file_is_whole_with_progress(fsspec, fs, server, data, tmp_path):
    seen = fsspec.Callback()
    fs.get_file(server.url("data.bin"), tmp_path / "got", callback=seen)
    assert (tmp_path / "got").read_bytes() == data and (seen.size, seen.value) == (N, N)
    with pytest.raises(FileNotFoundError):
        fs.get_file(server.url("none"), tmp_path / "none")
    assert [path.name for path in tmp_path.iterdir()] == ["got"]


# -- open files
def test_open_reads_in_order_with_few_requests(fsspec, server, data):
    with server.counting() as fetched, fsspec.open(server.url("data.bin")) as file:
        pieces = []
        while piece := file.read(50_000):
            pieces.append(piece)
    assert b"".join(pieces) == data
    assert fetched.n_requests <= 3 and fetched.n_bytes == N


def test_open_jumps_fetch_what_is_asked_for(fsspec, server, data):
    with server.counting() as fetched, fsspec.open(server.url("data.bin")) as file:
        file.seek(1_000_000)
        assert file.read(10) == data[1_000_000:1_000_010]
        file.seek(-5, 2)
        assert file.read() == data[-5:] and file.tell() == N
        file.seek(2_000_000)
        assert file.read(0) == b"" and file.size == N
    assert fetched.ranges == ("bytes=1000000-1000009", f"bytes={N - 5}-{N - 1}")


def test_open_random_reads_and_seeks_are_those_of_a_file(fsspec, server, data):
    numbers = random.Random(SEED)
    local = open(server.files / "data.bin", "rb")
    with local, fsspec.open(server.url("data.bin"), block_size=100_000) as file:
        for _ in range(150):
            if numbers.random() < 0.4:
                at = (numbers.randrange(N + 1000), 0) if numbers.random() < 0.7 else (-numbers.randrange(N), 2)
                assert local.seek(*at) == file.seek(*at)
            n = numbers.choice([0, 1, 1000, 70_000, 300_000])
            assert local.read(n) == file.read(n) and local.tell() == file.tell()


def test_open_file_that_changes_while_it_is_read_is_an_error(fsspec, server):
    path = server.files / "changing"
    path.write_bytes(b"a" * 300_000)
    with fsspec.open(server.url("changing"), block_size=1000) as file:
        assert file.read(1000) == b"a" * 1000
        path.write_bytes(b"b" * 300_001)
        with pytest.raises(qhttp.BodyError, match="changed"):
            file.read(100_000)


def test_open_for_writing_is_refused(fs, server):
    with pytest.raises(NotImplementedError, match="reads only"):
        fs.open(server.url("new"), "wb")


# -- readers of tables, beside fsspec's own http file system
@pytest.fixture(scope="session")
def tables(server):
    pandas, _ = module("pandas"), module("pyarrow.parquet")
    numbers = random.Random(SEED)
    frame = pandas.DataFrame({f"c{n}": [numbers.random() for _ in range(100_000)] for n in range(6)})
    frame.to_parquet(server.files / "table.parquet")
    frame.to_parquet(server.files / "groups.parquet", row_group_size=20_000)
    frame.to_csv(server.files / "table.csv", index=False)
    return frame


def both(fsspec, server, read):
    """What a reader fetches through qhttp, and through fsspec's own; the results must be equal."""
    module("aiohttp")
    counts, results = [], []
    for scheme in ("qhttp", "http"):
        fs = fsspec.filesystem(scheme, skip_instance_cache=True)
        with server.counting() as fetched:
            results.append(read(fs, lambda name, scheme=scheme: server.url(name, scheme)))
        counts.append(fetched)
    assert results[0].equals(results[1])
    print(*(f"{fetched.n_requests} requests, {fetched.n_sent / 1e6:.1f} MB" for fetched in counts), sep="; there ")
    return counts


def test_csv_fetches_no_more_and_by_fewer_requests(fsspec, server, tables):
    pandas = module("pandas")

    def read(fs, url):
        with fs.open(url("table.csv")) as file:
            return pandas.read_csv(file)
    ours, theirs = both(fsspec, server, read)
    assert ours.n_requests < theirs.n_requests and ours.n_sent <= theirs.n_sent, (ours, theirs)


@pytest.mark.parametrize("columns", [None, ["c2"], ["c0", "c4"]])
def test_parquet_fetches_no_more_and_by_fewer_requests(fsspec, server, tables, columns):
    parquet = module("pyarrow.parquet")

    def read(fs, url):
        return parquet.read_table(url("table.parquet"), columns=columns, filesystem=fs)
    ours, theirs = both(fsspec, server, read)
    assert ours.n_requests < theirs.n_requests and ours.n_sent <= theirs.n_sent, (ours, theirs)


def test_parquet_of_many_row_groups_fetches_the_columns_alone(fsspec, server, tables):
    parquet, opening = module("pyarrow.parquet"), module("fsspec.parquet")

    def read(fs, url):
        with opening.open_parquet_file(url("groups.parquet"), fs=fs, columns=["c2", "c4"], engine="pyarrow") as file:
            return parquet.read_table(file, columns=["c2", "c4"])
    ours, theirs = both(fsspec, server, read)
    assert ours.n_requests < theirs.n_requests and ours.n_sent <= theirs.n_sent, (ours, theirs)


def test_pandas_reads_by_url(fsspec, server, tables):
    pandas = module("pandas")
    assert pandas.read_csv(server.url("table.csv")).equals(tables)
    assert pandas.read_parquet(server.url("table.parquet"), columns=["c1"]).equals(tables[["c1"]])
