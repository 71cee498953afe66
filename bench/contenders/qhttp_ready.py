"""Imports what qhttp itself imports only when first used: in a comparison imports are not counted, for nobody."""

from __future__ import annotations

import httptools  # noqa: F401

import qhttp.engine.connect
import qhttp.engine.resolver  # noqa: F401
