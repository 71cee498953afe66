"""Fixtures of the pytest-benchmark comparison: the C server, compiled on the fly."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent))       # behind everything: an installed qhttp is preferred

from bench.build_c import build
from bench.servers import c_server


@pytest.fixture(scope="session")
def server_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of a running C server."""
    programs = build(tmp_path_factory.mktemp("programs"), ("server",))
    with c_server(programs) as port:
        yield port
