"""The bulk client makes of each hostile answer what a sound client must make of it, with redirects, codings and parts."""
import pytest
from support.apart import run_apart

from adversarial.bulk_client import BulkSession
from adversarial.conftest import LIMIT_S, N_AT_ONCE, WORK
from adversarial.corpus import cases, is_heavy
from adversarial.judge import judge_all, may_be_load

CLIENT = "adversarial.bulk_client:client"
ITS_OWN = frozenset(
    {"redirect", "decode", "resume"}
)  # what no other client of the project has: these are cut into bytes as well
PREFERRED = {"error": True, "ok": False}


def played() -> list[tuple[str, str]]:
    chosen = {name: set(case.get("needs", [])) for name, case in cases().items()}
    return [(name, mode) for name, needs in chosen.items() if needs <= BulkSession.features
            for mode in (("whole", "byte") if needs & ITS_OWN else ("whole",))]


@pytest.fixture(scope="session")
def outcomes(request):
    """What was seen of the selected cases."""
    selected = [item.callspec.params["key"] for item in request.session.items
                if hasattr(item, "callspec") and "key" in item.callspec.params and item.path.name == "test_bulk_corpus.py"]
    found = {}
    for weight, at_once in ((False, N_AT_ONCE), (True, 1)):
        tasks = {key: (cases()[key[0]], key[1], CLIENT) for key in selected if is_heavy(cases()[key[0]]) is weight}
        found |= dict(run_apart(WORK, tasks, at_once=at_once, limit_s=LIMIT_S))
    return found


@pytest.mark.parametrize("key", played(), ids="-".join)
def test_bulk_hostile_answer_gets_the_right_verdict(key, outcomes):
    name, mode = key
    case, outcome = cases()[name], outcomes[key]
    if outcome.crash or may_be_load(case, outcome.value):       # once more, with nothing else running
        [(_, outcome)] = run_apart(WORK, {key: (case, mode, CLIENT)}, at_once=1, limit_s=LIMIT_S)
    if outcome.crash:
        pytest.fail(f"crash: {outcome.crash}", pytrace=False)
    faults = judge_all(case, outcome.value)
    if set(case.get("needs", [])) & ITS_OWN and case.get("prefer") in PREFERRED:
        faults += [
            f"to be preferred is {case['prefer']}: {seen.replies[0].status} {seen.replies[0].error}"
            for seen in outcome.value
            if seen.replies and (seen.replies[0].error is not None) is not PREFERRED[case["prefer"]]
        ]
    if faults:
        pytest.fail("\n".join([f"{name}, {mode}: {case['note']} ({case['rfc']})", *faults[:10]]), pytrace=False)
