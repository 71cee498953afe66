"""The tests of this folder run in children whose clocks stand still (`support.still_clock`), some at a time, up front.

A test has parameters, and of the fixtures only `clock` and `folder`, which are made in the child.
"""
import pathlib

import pytest
from support.apart import run_apart
from support.still_clock import build, preloaded

HERE = pathlib.Path(__file__).parent
N_AT_ONCE = 4
LIMIT_S = 20                # for one test; a hang costs this much
WORK = "clocks.play:play"
MADE_THERE = ("clock", "folder")
PLAYED = pytest.StashKey[dict]()


@pytest.fixture
def clock():
    """A StillClock that has been started: the child's."""


@pytest.fixture
def folder():
    """A folder for files: pathlib.Path, the child's."""


def task(item) -> tuple:
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    wanted = tuple(name for name in MADE_THERE if name in item.fixturenames)
    return f"clocks.{item.path.stem}", item.originalname, parameters, wanted


@pytest.fixture(scope="session")
def outcomes(request, tmp_path_factory) -> dict:
    """name -> Outcome of all the tests of this folder that were selected."""
    tasks = {item.nodeid: task(item) for item in request.session.items if item.path.parent == HERE}
    environment = preloaded(build(tmp_path_factory.mktemp("still_clock")))
    return dict(run_apart(WORK, tasks, at_once=N_AT_ONCE, limit_s=LIMIT_S, environment=environment))


@pytest.fixture(autouse=True)
def outcome(outcomes, request):
    """What became of this test."""
    request.node.stash[PLAYED] = outcomes[request.node.nodeid]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Tells what the child has told, instead of calling the test here."""
    outcome = pyfuncitem.stash[PLAYED]
    if outcome.crash or outcome.value:
        pytest.fail(outcome.crash or outcome.value, pytrace=False)
    return True
