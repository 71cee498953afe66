"""qhttp beside urllib3 with pytest-benchmark, in about a quarter of a minute: a look, not a measurement.

Both run in this one process, unpinned, and what is shown is wall time; `python -m bench.compare`
measures properly. Every body is compared with what was asked for, by the contender itself; the file, by the test.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.contenders.runner import Job
from bench.pattern import is_pattern_file

KIB, MIB = 1 << 10, 1 << 20
Fetch = Callable[[Job], int]


@pytest.fixture(params=["qhttp_face", "urllib3_threads"])
def contender(request: pytest.FixtureRequest) -> ModuleType:
    """The clients, one after the other."""
    return importlib.import_module(f"bench.contenders.{request.param}")


@pytest.fixture
def fetch(contender: ModuleType) -> Fetch:
    """A contender's function that makes the requests of a job and returns how many were right."""
    fetch: Fetch = contender.requests
    return fetch


@pytest.mark.benchmark(group="1 KiB, one connection, 200 requests")
def test_small_bodies(benchmark: BenchmarkFixture, fetch: Fetch, server_port: int) -> None:
    job = Job(server_port, f"/b/{KIB}", KIB, n_requests=200)
    assert benchmark(fetch, job) == job.n_requests


@pytest.mark.benchmark(group="1 KiB, 32 connections, 640 requests")
def test_many_connections(benchmark: BenchmarkFixture, fetch: Fetch, server_port: int) -> None:
    job = Job(server_port, f"/b/{KIB}", KIB, n_requests=640, n_connections=32)
    assert benchmark(fetch, job) == job.n_requests


@pytest.mark.benchmark(group="one body of 16 MiB")
def test_big_body(benchmark: BenchmarkFixture, fetch: Fetch, server_port: int) -> None:
    job = Job(server_port, f"/b/{16 * MIB}", 16 * MIB)
    assert benchmark(fetch, job) == 1


@pytest.mark.benchmark(group="one body of 16 MiB to a file")
def test_big_file(benchmark: BenchmarkFixture, contender: ModuleType, server_port: int, tmp_path: Path) -> None:
    job = Job(server_port, f"/b/{16 * MIB}", 16 * MIB, target=str(tmp_path / "body"))
    benchmark(contender.to_file, job)
    assert is_pattern_file(job.target, job.body_len)


@pytest.mark.benchmark(group="one body of 1 MiB in chunks of 1000 bytes")
def test_chunked_body(benchmark: BenchmarkFixture, fetch: Fetch, server_port: int) -> None:
    job = Job(server_port, f"/c/{MIB}/1000", MIB)
    assert benchmark(fetch, job) == 1


@pytest.mark.benchmark(group="one body of 16 MiB over TLS 1.3, dropped")
@pytest.mark.parametrize("name", ["qhttp_tls_read_all", "urllib3_threads"])
def test_big_body_over_tls(benchmark: BenchmarkFixture, name: str, tls_job: Job) -> None:
    contender = importlib.import_module(f"bench.contenders.{name}")
    assert benchmark(contender.stream, tls_job) == tls_job.body_len
