"""What an emit costs, and what a slot adds to it."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.perf.cases import make_case


@pytest.mark.benchmark(group="Signal.emit, 1,000 times", max_time=0.2)
@pytest.mark.parametrize("name", ["emit_0_slots", "emit_1_slot", "emit_3_slots"])
def test_emit(benchmark: BenchmarkFixture, name: str) -> None:
    benchmark(make_case(name).repeat, 1000)
