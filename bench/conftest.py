"""Fixtures of the pytest-benchmark comparison: the C server, compiled on the fly, and an nginx with TLS."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent))       # behind everything: an installed qhttp is preferred

from bench.build_c import build
from bench.certificate import find_openssl, make_certificate
from bench.contenders.runner import Job
from bench.nginx import find_nginx, nginx
from bench.pattern import write_pattern_file
from bench.servers import c_server

TLS_BODY_LEN = 16 << 20


@pytest.fixture(scope="session")
def server_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of a running C server."""
    programs = build(tmp_path_factory.mktemp("programs"), ("server",))
    with c_server(programs) as port:
        yield port


@pytest.fixture(scope="session")
def tls_job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """A body on a running nginx over TLS 1.3."""
    if not find_nginx() or not find_openssl():
        pytest.skip("nginx and openssl are needed")
    folder = tmp_path_factory.mktemp("tls")
    (folder / "served").mkdir()
    write_pattern_file(folder / "served" / "body", TLS_BODY_LEN)
    certificate = make_certificate(folder)
    with nginx({"/served/": str(folder / "served")}, certificate=certificate) as port:
        yield Job(port, "/served/body", TLS_BODY_LEN, cafile=str(certificate.path))
