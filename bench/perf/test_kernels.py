"""The C kernels, without Python around them."""

from __future__ import annotations

import ctypes

import pytest
from pytest_benchmark.fixture import BenchmarkFixture


@pytest.mark.benchmark(group="C, head of 8 fields, 1,000 times", max_time=0.2)
@pytest.mark.parametrize("name", ["scan_head", "index_facts", "index_fields"])
def test_head(benchmark: BenchmarkFixture, kernels: ctypes.CDLL, name: str) -> None:
    benchmark(kernels[name], ctypes.c_long(1000))


@pytest.mark.benchmark(group="C, chunked body of 64 KiB, 16 times: 1 MiB", max_time=0.2)
@pytest.mark.parametrize("chunk_len", [16384, 4096, 16])
def test_chunked_body(benchmark: BenchmarkFixture, kernels: ctypes.CDLL, chunk_len: int) -> None:
    benchmark(kernels[f"decode_{chunk_len}"], ctypes.c_long(16))
