"""Fixtures of the micro benchmarks. The bench server's port comes from bench/conftest.py."""

from __future__ import annotations

import ctypes

import pytest

from bench.perf.build_kernels import build_library


@pytest.fixture(scope="session")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The functions of kernels.c; each takes the number of repetitions."""
    return ctypes.CDLL(str(build_library(tmp_path_factory.mktemp("kernels"))))
