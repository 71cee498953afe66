"""A head judged (llhttp) and taken apart into Python strings."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.perf.cases import make_case


@pytest.mark.benchmark(group="head of 8 fields, 1,000 times", max_time=0.2)
@pytest.mark.parametrize("name", ["is_valid_head", "describe_head"])
def test_head(benchmark: BenchmarkFixture, name: str) -> None:
    benchmark(make_case(name).repeat, 1000)
