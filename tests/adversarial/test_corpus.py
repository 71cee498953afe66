"""qhttp makes of each hostile answer what a sound client must make of it, on every way, however its bytes are cut."""
import pytest

from adversarial.corpus import cases
from adversarial.preferences import UNFOLLOWED

N_SHOWN = 10            # faults that are printed of a case with many cuts


def test_qhttp_hostile_answers_get_the_right_verdicts(way, mode, category, verdicts):
    wrong = []
    for name, outcome in verdicts.of(way, mode, category).items():
        faults = [f"crash: {outcome.crash}"] if outcome.crash else list(outcome.value.faults)
        if not faults and outcome.value.unpreferred and name not in UNFOLLOWED:
            faults = [f"preferred is {cases()[name]['prefer']}: {outcome.value.unpreferred}"]
        if faults:
            wrong += [f"{way}, {name}, {mode}: {cases()[name]['note']} ({cases()[name]['rfc']})", *faults[:N_SHOWN]]
            wrong += [f"... and {len(faults) - N_SHOWN} more"] * (len(faults) > N_SHOWN)
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)
