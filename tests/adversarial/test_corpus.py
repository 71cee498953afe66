"""qhttp makes of each hostile answer what a sound client must make of it, however its bytes are cut."""
import pytest

from adversarial.corpus import cases, missing_feature
from adversarial.judge import judge_all, may_be_load

N_SHOWN = 10            # faults that are printed of a case with many cuts


def test_qhttp_hostile_answer_gets_the_right_verdict(case_id, mode, replayed):
    case = cases()[case_id]
    if feature := missing_feature(case):
        pytest.skip(f"qhttp does not have {feature} yet")
    outcome = replayed.outcomes[case_id, mode]
    if outcome.crash or may_be_load(case, outcome.value):
        outcome = replayed.again(case_id, mode)
    if outcome.crash:
        pytest.fail(f"crash: {outcome.crash}", pytrace=False)
    if faults := judge_all(case, outcome.value):
        lines = [f"{case_id}, {mode}: {case['note']} ({case['rfc']})", *faults[:N_SHOWN]]
        if len(faults) > N_SHOWN:
            lines.append(f"... and {len(faults) - N_SHOWN} more")
        pytest.fail("\n".join(lines), pytrace=False)
