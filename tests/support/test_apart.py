"""Cases played apart: results come back, and what goes wrong costs one case."""
import ctypes
import os
import time

from support.apart import run_apart


def doubled(n):
    return 2 * n


def misbehave(how):
    if how == "raises":
        raise KeyError("lost")
    if how == "crashes":
        ctypes.string_at(0)
    if how == "leaves":
        os._exit(3)
    if how == "hangs":
        time.sleep(60)
    return how


def play(work, arguments, limit_s=20):
    return dict(run_apart(f"{__name__}:{work}", {a: (a,) for a in arguments}, at_once=3, limit_s=limit_s))


def test_run_apart_more_tasks_than_children_all_values_come():
    assert {n: outcome.value for n, outcome in play("doubled", range(9)).items()} == {n: 2 * n for n in range(9)}


def test_run_apart_no_tasks_starts_nothing():
    assert play("doubled", []) == {}


def test_run_apart_crashes_cost_only_their_own_case():
    seen = play("misbehave", ["raises", "crashes", "leaves", "fine"])
    assert "KeyError: 'lost'" in seen["raises"].crash
    assert "exit -11" in seen["crashes"].crash and "Segmentation fault" in seen["crashes"].crash
    assert "exit 3" in seen["leaves"].crash
    assert seen["fine"].value == "fine"


def test_run_apart_hang_ended_at_the_limit():
    assert "hang: no result within 0.5 s" in play("misbehave", ["hangs"], limit_s=0.5)["hangs"].crash


def test_run_apart_gives_its_variables_to_the_children():
    [(_, outcome)] = run_apart("os:getenv", {"a": ("QHTTP_TEST_APART",)}, at_once=1, limit_s=20,
                               environment={"QHTTP_TEST_APART": "there"})
    assert outcome.value == "there" and "QHTTP_TEST_APART" not in os.environ
