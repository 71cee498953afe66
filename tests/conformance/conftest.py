"""Plays the selected scenarios up front, several at a time, since most of their time is pauses."""
import pathlib

import pytest
from support.apart import Outcome, run_apart
from support.certificate import make_certificate

from conformance.scenarios import cases, missing_feature, needs_https

HERE = pathlib.Path(__file__).parent
N_AT_ONCE = 8
LIMIT_S = 25                # for one scenario; a hang costs this much
WORK = "conformance.play:play"


class Played:
    """The runs of all selected scenarios."""

    def __init__(self, names: list, folder):
        chosen = [cases()[name] for name in names if not missing_feature(cases()[name])]
        certificate = make_certificate(folder) if any(map(needs_https, chosen)) else None
        self.tasks = {case["name"]: (case, certificate) for case in chosen}
        self.outcomes = dict(run_apart(WORK, self.tasks, at_once=N_AT_ONCE, limit_s=LIMIT_S))

    def outcome(self, name: str) -> Outcome:
        return self.outcomes[name]

    def again(self, name: str) -> Outcome:
        """Plays one scenario once more with nothing else running: the pauses in the scripts are short."""
        [(_, outcome)] = run_apart(WORK, {name: self.tasks[name]}, at_once=1, limit_s=LIMIT_S)
        return outcome


@pytest.fixture(scope="session")
def played(request, tmp_path_factory) -> Played:
    selected = [item.callspec.params["name"] for item in request.session.items
                if item.path.parent == HERE and hasattr(item, "callspec") and "name" in item.callspec.params]
    return Played(selected, tmp_path_factory.mktemp("certificate"))
