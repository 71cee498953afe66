"""What a queued request takes. The bytes stand in the heading of the table; the time is that of the whole process."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.perf import memory

MOST_BYTES = 1024       # a queue of a million requests must fit anywhere


@pytest.mark.benchmark
def test_queued_request(benchmark: BenchmarkFixture) -> None:
    n_bytes = benchmark.pedantic(memory.measure, rounds=1)
    benchmark.extra_info["bytes per queued request"] = n_bytes
    benchmark.group = f"{memory.N_REQUESTS:,} queued requests: {n_bytes:.0f} bytes each"
    assert 0 < n_bytes < MOST_BYTES
