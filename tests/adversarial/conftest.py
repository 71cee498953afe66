"""Plays the selected cases up front: the light ones a few at a time, those that move much alone."""
import pathlib

import pytest
from support.apart import Outcome, run_apart

from adversarial.corpus import cases, is_heavy, missing_feature
from adversarial.modes import mode_names

HERE = pathlib.Path(__file__).parent
N_AT_ONCE = 4
LIMIT_S = 60                # for one case with all its cuts
WORK = "adversarial.play:play"


def pytest_generate_tests(metafunc):
    if {"case_id", "mode"} <= set(metafunc.fixturenames):
        modes = mode_names(metafunc.config.getoption("splits"))
        metafunc.parametrize("case_id, mode", [
            pytest.param(name, mode, id=f"{name}-{mode}", marks=[pytest.mark.splits] * mode.startswith("split-"))
            for mode in modes for name in cases()])


class Replayed:
    """What was seen of all selected cases, by (id, mode)."""

    def __init__(self, selected: list[tuple[str, str]]):
        chosen = [key for key in selected if not missing_feature(cases()[key[0]])]
        light, heavy = ({key: (cases()[key[0]], key[1]) for key in chosen if is_heavy(cases()[key[0]]) is weight}
                        for weight in (False, True))
        self.outcomes = dict(run_apart(WORK, light, at_once=N_AT_ONCE, limit_s=LIMIT_S))
        self.outcomes |= run_apart(WORK, heavy, at_once=1, limit_s=LIMIT_S)

    def again(self, case_id: str, mode: str) -> Outcome:
        """Plays one case once more, with nothing else running."""
        [(_, outcome)] = run_apart(WORK, {case_id: (cases()[case_id], mode)}, at_once=1, limit_s=LIMIT_S)
        return outcome


@pytest.fixture(scope="session")
def replayed(request) -> Replayed:
    return Replayed([(item.callspec.params["case_id"], item.callspec.params["mode"]) for item in request.session.items
                     if item.path.parent == HERE and hasattr(item, "callspec") and "case_id" in item.callspec.params])
