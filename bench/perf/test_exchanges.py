"""Whole exchanges, one at a time on one connection."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.perf.cases import make_case


@pytest.mark.benchmark(group="one connection, 1 KiB, 100 exchanges", max_time=0.5)
def test_exchange(benchmark: BenchmarkFixture, server_port: int) -> None:
    benchmark(make_case("exchange", server_port).repeat, 100)
