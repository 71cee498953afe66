"""Many machines: shards on a Dask cluster, by the command, too; a worker killed in the midst; Ray, and a map as Spark has
it. QHTTP_CLUSTER_FILES says how many files go through a cluster."""
import functools
import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.file_server_process import FileServerProcess
from support.seeded_files import SeededFiles

import qhttp
from world.programs import module

ROOT = Path(__file__).resolve().parents[2]
SEED, LARGEST, N = 9, 32768, int(os.environ.get("QHTTP_CLUSTER_FILES", "1200"))
FILES = SeededFiles(SEED, LARGEST)


@pytest.fixture(scope="module")
def server():
    with FileServerProcess(seed=SEED, largest=LARGEST, fault_percent=0, hosts=3) as server:
        yield server


@pytest.fixture
def asked(server):
    """The numbers that were asked for since the test began."""
    server.ask("log")
    return lambda: server.ask("log")


@pytest.fixture(scope="module")
def cluster():
    distributed = module("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster:
        yield cluster


def rows(server, n=N):
    return [{"url": server.url(number), "out": str(number), "size": FILES.size(number)} for number in range(n)]


def test_cluster_that_lets_go_of_shards_has_failed_to_do_them(cluster, server, tmp_path):
    """As distributed does with all futures when the connection to its scheduler is lost."""
    cluster_downloader = module("qhttp.bulk.cluster").ClusterDownloader
    with cluster_downloader(cluster.scheduler_address, rows(server, 400), dir=str(tmp_path), shard_rows=50) as downloader:
        ended, failed, overs, released = [], [], [], []

        def release(outcome):
            if not released:
                released.extend(downloader._shards)
                for future in released:
                    future.cancel()

        downloader.finished.connect(ended.append)
        downloader.finished.connect(release)
        downloader.failed.connect(failed.append)
        downloader.done.connect(overs.append)
        downloader.run()
        left = [int(row["out"]) for row in downloader.left()]
    assert overs == [True] and len(ended) + len(failed) == 400 and downloader.n_failed == len(failed) > 0
    assert sorted(left) == sorted(int(outcome.row["out"]) for outcome in failed)
    assert "scheduler" in str(failed[0].error)


def is_whole(folder, n=N):
    return all((Path(folder) / str(number)).read_bytes() == FILES.view(number) for number in range(n))


def test_cluster_fetches_all_and_tells_of_each(cluster, server, tmp_path, asked):
    cluster_downloader = module("qhttp.bulk.cluster").ClusterDownloader
    with cluster_downloader(cluster.scheduler_address, rows(server), dir=str(tmp_path), shard_rows=50) as downloader:
        ended, overs = [], []
        downloader.finished.connect(ended.append)
        downloader.done.connect(overs.append)
        downloader.run()
    assert sorted(int(outcome.row["out"]) for outcome in ended) == list(range(N)) and overs == [False]
    assert (downloader.n_done, downloader.n_bytes) == (N, sum(FILES.size(number) for number in range(N)))
    assert is_whole(tmp_path) and sorted(asked()) == list(range(N))


def test_cluster_failures_are_told_as_exceptions(cluster, server, tmp_path):
    cluster_downloader = module("qhttp.bulk.cluster").ClusterDownloader
    bad = [server.url(1).replace("/f/1", "/none"), "ftp://x/"]
    with cluster_downloader(cluster.scheduler_address, [*bad, server.url(2)], dir=str(tmp_path)) as downloader:
        failed = {}
        downloader.failed.connect(lambda outcome: failed.update({outcome.url: outcome.error}))
        downloader.run()
        assert sorted(row["url"] for row in downloader.left()) == sorted(bad)
    assert isinstance(failed[bad[0]], qhttp.HTTPStatusError) and failed[bad[0]].status == 404
    assert isinstance(failed[bad[1]], qhttp.RequestError)


def test_cluster_second_url_of_a_name_is_an_error_whoever_fetches_it(cluster, server, tmp_path, asked):
    """A worker that finds the file there would take it as done."""
    cluster_downloader = module("qhttp.bulk.cluster").ClusterDownloader
    given = [{"url": server.url(number), "out": "same" if number < 2 else str(number)} for number in range(6)]
    with cluster_downloader(cluster.scheduler_address, given, dir=str(tmp_path), shard_rows=1) as downloader:
        failed = []
        downloader.failed.connect(failed.append)
        downloader.run()
        assert len(failed) == 1 and list(downloader.left()) == [failed[0].row] and downloader.n_done == 5
    [first] = {0, 1} - {number for number in (0, 1) if given[number] == failed[0].row}
    assert isinstance(failed[0].error, qhttp.FileError) and (tmp_path / "same").read_bytes() == FILES.view(first)
    assert sorted(asked()) == sorted({0, 1, 2, 3, 4, 5} - {1 - first})


def test_cluster_worker_killed_in_the_midst_loses_nothing(cluster, server, tmp_path, asked):
    """What is in its place already is not fetched again: of the dead worker's shard, that is; others are never done twice."""
    cluster_downloader = module("qhttp.bulk.cluster").ClusterDownloader
    with cluster_downloader(cluster.scheduler_address, rows(server), dir=str(tmp_path), shard_rows=100) as downloader:
        pids = downloader._client.run(os.getpid)
        done_then = []

        def kill_one(outcome):
            if not done_then and downloader.n_done >= N // 3:
                os.kill(next(iter(pids.values())), signal.SIGKILL)
                done_then.extend(int(path.name) for path in tmp_path.iterdir() if path.name.isdigit())
                asked()             # from here on

        downloader.finished.connect(kill_one)
        downloader.run()
    again = set(done_then) & set(asked())
    assert done_then and downloader.n_failed == 0 and is_whole(tmp_path)
    assert not again, again


def test_command_hands_its_list_to_a_cluster(cluster, server, tmp_path, asked):
    listed = tmp_path / "list.jsonl"
    listed.write_text("".join(json.dumps(row) + "\n" for row in rows(server, 500)))
    words = ["-i", str(listed), "-d", str(tmp_path / "out"), "--dask", cluster.scheduler_address, "--progress", "json",
             "--log-json", str(tmp_path / "log"), "--no-proxy"]
    ran = subprocess.run([sys.executable, "-m", "qhttp", *words], capture_output=True, text=True, timeout=60,
                         env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stderr.splitlines()[-1])["done"] == 500
    logged = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert len(logged) == 500 and is_whole(tmp_path / "out", 500) and len(asked()) == 500


def test_command_cluster_that_does_not_answer_is_told(tmp_path, closed_port, monkeypatch):
    module("distributed")
    ran = subprocess.run([sys.executable, "-m", "qhttp", "http://127.0.0.1:1/", "--dask", f"tcp://127.0.0.1:{closed_port}"],
                         capture_output=True, text=True, timeout=60, cwd=tmp_path,
                         env={**os.environ, "PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "1s"})
    assert ran.returncode != 0 and "no cluster answers" in ran.stderr and list(tmp_path.iterdir()) == []


def test_dask_bag_maps_shards(cluster, server, tmp_path):
    bag = module("dask.bag")
    distributed = module("distributed")
    with distributed.Client(cluster, set_as_default=False) as client:
        found = bag.from_sequence(rows(server, 300), npartitions=6).map_partitions(
            functools.partial(qhttp.download_shard, dir=str(tmp_path), proxy=None))
        outcomes = client.compute(found).result()
    assert [outcome["error"] for outcome in outcomes] == [None] * 300 and is_whole(tmp_path, 300)


def test_ray_maps_shards(server, tmp_path):
    ray = module("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False,
             runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}})
    try:
        fetch = ray.remote(lambda shard: qhttp.download_shard(shard, dir=str(tmp_path), proxy=None))
        wanted = rows(server, 300)
        outcomes = ray.get([fetch.remote(wanted[at:at + 50]) for at in range(0, 300, 50)])
    finally:
        ray.shutdown()
    assert sum(len(shard) for shard in outcomes) == 300 and is_whole(tmp_path, 300)


def test_spark_like_map_of_partitions(server, tmp_path):
    """rdd.mapPartitions(f): f gets an iterator and gives an iterable; it goes to the workers by pickle."""
    fetch = pickle.loads(pickle.dumps(functools.partial(qhttp.download_shard, dir=str(tmp_path), proxy=None)))
    partitions = [rows(server, 100)[at::4] for at in range(4)]
    outcomes = [outcome for partition in partitions for outcome in fetch(iter(partition))]
    assert {outcome["error"] for outcome in outcomes} == {None} and is_whole(tmp_path, 100)
