"""A QHttp for the job's server over TLS. Apart from the others, so that those without TLS do not load it."""

from __future__ import annotations

import ssl

import qhttp.engine.opening
import qhttp.engine.tls  # noqa: F401  (imported when first used: off the clock)
from bench.contenders.runner import Job
from qhttp import QHttp


def https(job: Job) -> QHttp:
    """Trusts the job's certificate and nothing else."""
    http = QHttp()
    http.setSslConfiguration(ssl.create_default_context(cafile=job.cafile))
    http.setHost("127.0.0.1", QHttp.ConnectionModeHttps, job.port)
    return http
