"""Each recorded scenario shows the recorded behaviour (`copy`) or at least a sound one (`do_not_copy`)."""
import pytest

from conformance.comparison import expected, side_by_side, unequal
from conformance.scenarios import cases, missing_feature
from conformance.soundness import unsound


def faults(case, outcome) -> list[str]:
    """What is wrong with how a scenario went, as sentences."""
    if outcome.crash:
        return [f"crash: {outcome.crash}"]
    return unequal(case, outcome.value) if case["verdict"] == "copy" else unsound(case, outcome.value)


def report(case, outcome, why) -> str:
    """What a reader needs to find out why: the sentences, both traces, the calls."""
    lines = [f"{case['name']} ({case['verdict']})", *why, *case.get("verdict_reason", [])]
    if run := outcome.value:
        if case["verdict"] == "copy":
            lines += ["", side_by_side(expected(case, run).trace, run.trace)]
        lines += ["", *run.notes, "", f"requests: {run.requests}", f"at the end: {run.final}"]
    return "\n".join(lines)


@pytest.mark.parametrize("name", cases())
def test_qhttp_recorded_scenario_behaves_as_it_should(name, played):
    case = cases()[name]
    if feature := missing_feature(case):
        pytest.skip(f"qhttp does not have {feature} yet")
    outcome = played.outcome(name)
    if faults(case, outcome):
        outcome = played.again(name)
    if why := faults(case, outcome):
        pytest.fail(report(case, outcome, why), pytrace=False)
