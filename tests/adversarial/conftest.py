"""Plays the selected cases up front, on all ways, some at a time."""
import collections
import itertools
import pathlib

import pytest
from support.apart import Outcome

from adversarial.corpus import cases, waits
from adversarial.modes import mode_names
from adversarial.playing import Playing
from adversarial.preferences import UNFOLLOWED
from adversarial.ways import WAYS, why_not

HERE = pathlib.Path(__file__).parent
# These are played in bytes as well, and with the cases that wait or are cut at every byte; for the others that is a long run's.
THOROUGH = {"qhttp-direct", "qhttp-tls", "pipelined-direct", "client-direct", "files-direct"}


def pytest_generate_tests(metafunc):
    if {"way", "mode", "category"} <= set(metafunc.fixturenames):
        categories = dict.fromkeys(case["category"] for case in cases().values())
        modes = mode_names(metafunc.config.getoption("splits"))
        metafunc.parametrize("way, mode, category", [
            pytest.param(way, mode, category, id=f"{way}-{mode}-{category}",
                         marks=[pytest.mark.splits] * mode.startswith("split-"))
            for way, mode, category in itertools.product(WAYS, modes, categories)
            if (mode != "byte" or way in THOROUGH) and names_of(way, category)])


def names_of(way: str, category: str) -> list[str]:
    """The cases of a category that are played on a way."""
    return [name for name, case in cases().items() if case["category"] == category and not why_not(WAYS[way], case)
            and (way in THOROUGH or not (waits(case) or "truncate_each" in case))]


class Verdicts:
    """What came of all selected plays."""

    def __init__(self, selected: list[tuple], playing: Playing):
        self._playing = playing
        keys = [(way, name, mode) for way, mode, category in selected for name in names_of(way, category)]
        self._found = dict(playing.play(keys))

    def of(self, way: str, mode: str, category: str) -> dict[str, Outcome]:
        """By case; what the load of the machine may have spoilt was played again, alone."""
        found = {}
        for name in names_of(way, category):
            outcome = self._found[way, name, mode]
            if outcome.crash or (outcome.value.faults and outcome.value.may_be_load) or (
                    outcome.value.unpreferred and name not in UNFOLLOWED):
                outcome = self._playing.again((way, name, mode))
            found[name] = outcome
        return found


@pytest.fixture(scope="session")
def verdicts(request):
    chosen = collections.OrderedDict.fromkeys(
        tuple(item.callspec.params[name] for name in ("way", "mode", "category")) for item in request.session.items
        if item.path.parent == HERE and hasattr(item, "callspec") and "category" in item.callspec.params)
    with Playing(cases()) as playing:
        yield Verdicts(list(chosen), playing)
