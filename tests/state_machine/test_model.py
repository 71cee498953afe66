"""The model: it finds what must not be."""
import pytest

from state_machine.model import CONNECTED, CONNECTING, READING, SENDING, UNCONNECTED, Model
from state_machine.outcomes import BAD, ENDLESS, GOOD, KINDS, LOGIN, setting, wanted

GET = "/sized/9/1"


def model_of(*numbers, started=None):
    model = Model()
    for number in numbers:
        model.add(number, wanted("GET", GET))
    if started:
        model.on_started(started)
    return model


def answered():
    """A model whose request 1 has been answered, and is about to be finished."""
    model = model_of(1, 2, started=1)
    for state in (CONNECTING, SENDING, READING):
        model.on_state(state)
    model.on_header(200)
    model.on_read_progress(9, 9)
    model.on_ready()
    model.on_read(b"/sized/9/")
    model.on_state(CONNECTED)
    return model


def test_model_documented_order_no_fault():
    model = answered()
    model.on_finished(1, False, "NoError", 0)
    model.on_started(2)
    assert model.current() == 2
    model.on_finished(2, True, "NoError", 0)
    assert len(model.faults) == 1           # no such error was to be expected
    model.on_done(True)
    assert model.queue == [] and len(model.faults) == 1


@pytest.mark.parametrize("wrong", [
    lambda model: model.on_started(2),
    lambda model: model.on_finished(2, False, "NoError", 0),
    lambda model: model.on_finished(1, False, "NoError", 3),
    lambda model: model.on_finished(1, True, "Aborted", 0),
    lambda model: model.on_done(False),
    lambda model: model.on_done(True),
    lambda model: model.on_header(200),
    lambda model: model.on_ready(),
    lambda model: model.on_read_progress(9, 9),
    lambda model: model.on_read(b"x"),
    lambda model: model.on_state(READING),
    lambda model: model.on_state(CONNECTED),
    lambda model: model.add(1, setting("close")),
])
def test_model_signal_that_must_not_come_is_a_fault(wrong):
    model = answered()
    wrong(model)
    assert model.faults


def test_model_finished_twice_is_a_fault():
    model = answered()
    model.on_finished(1, False, "NoError", 0)
    model.on_finished(1, False, "NoError", 0)
    assert model.faults


def test_model_abort_drops_all_and_has_to_be_told():
    model = model_of(1, 2, started=1)
    model.abort()
    model.on_finished(1, True, "Aborted", 0)
    model.settle()
    assert model.faults == ["done(True) has not come"]
    model.on_done(True)
    assert model.queue == [] and model.state == UNCONNECTED


def test_model_clear_keeps_the_first():
    model = model_of(1, 2, 3)
    model.clear()
    assert model.queue == [1]


@pytest.mark.parametrize("kind", KINDS)
def test_wanted_every_kind_can_end_in_one_way_only(kind):
    result = wanted("GET", f"/{kind}/9/1")
    assert result.may_succeed == (kind in GOOD)
    assert len(result.errors) == (kind in BAD or kind in LOGIN) and (kind not in ENDLESS or not result.errors)
