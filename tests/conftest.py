"""Fixtures and options for the tests of all floors."""
import contextlib
import os

import pytest
from support.scripted_server import ClosedPort, ScriptedServer


def pytest_addoption(parser):
    parser.addoption("--splits", type=int, metavar="N", default=int(os.environ.get("QHTTP_SPLITS", "0")),
                     help="play each adversarial case with N seeded random splits, too (or set QHTTP_SPLITS)")


def pytest_configure(config):
    config.addinivalue_line("markers", "splits: an adversarial case cut at random places; see --splits")


@pytest.fixture
def scripted_server():
    """Makes scripted servers on loopback that end with the test: scripted_server(script, script, ..., beyond=None)."""
    with contextlib.ExitStack() as servers:
        yield lambda *scripts, **options: servers.enter_context(ScriptedServer(*scripts, **options))


@pytest.fixture
def closed_port():
    """A port of loopback that refuses connections for as long as the test runs."""
    with ClosedPort() as port:
        yield port


@pytest.fixture
def turn_until():
    """Waits until a condition holds, turning this thread's loop: turn_until(condition, seconds=5)."""
    from support.loops import turn_until
    return turn_until
