"""Requests queued without a turn of the loop."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.perf.cases import make_case


@pytest.mark.benchmark(group="QHttp.get(), 1,000 times")
def test_get(benchmark: BenchmarkFixture) -> None:
    case = make_case("get")
    benchmark.pedantic(case.repeat, args=(1000,), setup=case.drop, rounds=200, warmup_rounds=5)
    case.end()
