"""Signal: order, connecting and disconnecting at any time, exceptions, what is kept alive."""
import gc
import sys
import weakref

import pytest

from qhttp._signal import Signal


@pytest.fixture
def signal():
    return Signal("changed", 1)


def fail(what):
    raise ValueError(what)


# -- emit
def test_emit_without_a_slot_does_nothing(signal):
    assert signal.emit(1) is None


def test_emit_calls_in_the_order_of_the_connections(signal):
    got = []
    for n in range(5):
        signal.connect(lambda a, n=n: got.append((n, a)))
    signal.emit("x")
    assert got == [(n, "x") for n in range(5)]


def test_emit_of_a_slot_connected_twice_calls_it_twice(signal):
    got = []
    signal.connect(got.append)
    signal.connect(got.append)
    signal.emit(1)
    assert got == [1, 1]


@pytest.mark.parametrize("arguments", [(), (1, 2)])
def test_emit_with_a_wrong_number_of_arguments_is_refused(signal, arguments):
    got = []
    signal.connect(got.append)
    with pytest.raises(TypeError, match="changed has 1 arguments"):
        signal.emit(*arguments)
    assert got == []


def test_emit_with_a_wrong_number_is_refused_also_without_slots(signal):
    with pytest.raises(TypeError):
        signal.emit()


def test_emit_passes_the_very_objects(signal):
    thing, got = object(), []
    signal.connect(got.append)
    signal.emit(thing)
    assert got[0] is thing


def test_emit_inside_a_slot_runs_to_its_end_first(signal):
    got = []

    def slot(n):
        got.append(("begin", n))
        if n < 2:
            signal.emit(n + 1)
        got.append(("end", n))

    signal.connect(slot)
    signal.emit(0)
    assert got == [("begin", 0), ("begin", 1), ("begin", 2), ("end", 2), ("end", 1), ("end", 0)]


# -- connect and disconnect
def test_connect_returns_the_slot(signal):
    @signal.connect
    def slot(a):
        pass

    assert callable(slot) and slot.__name__ == "slot"


def test_connect_during_an_emit_is_for_the_next_one(signal):
    got = []
    signal.connect(lambda: signal.connect(got.append))
    signal.emit(1)
    assert got == []
    signal.emit(2)
    assert got == [2]


def test_disconnect_during_an_emit_of_a_later_slot_keeps_it_from_being_called(signal):
    got = []
    signal.connect(lambda: signal.disconnect(got.append))
    signal.connect(got.append)
    signal.emit(1)
    assert got == []


def test_disconnect_during_an_emit_of_an_earlier_slot_leaves_the_others(signal):
    got = []

    def first(a):
        got.append("first")

    signal.connect(first)
    signal.connect(lambda: signal.disconnect(first))
    signal.connect(lambda: got.append("last"))
    signal.emit(1)
    assert got == ["first", "last"]


def test_disconnect_of_the_slot_that_runs_is_for_good(signal):
    got = []

    def once(a):
        got.append(a)
        signal.disconnect(once)

    signal.connect(once)
    signal.emit(1)
    signal.emit(2)
    assert got == [1]


def test_disconnect_all_during_an_emit_ends_it(signal):
    got = []
    signal.connect(lambda: (got.append("first"), signal.disconnect()))
    signal.connect(lambda: got.append("second"))
    signal.emit(1)
    signal.emit(2)
    assert got == ["first"]


def test_disconnect_and_connect_again_during_an_emit_is_for_the_next_one(signal):
    got = []

    def again(a):
        signal.disconnect(got.append)
        signal.connect(got.append)

    signal.connect(again)
    signal.connect(got.append)
    signal.emit(1)
    assert got == []
    signal.disconnect(again)
    signal.emit(2)
    assert got == [2]


def test_disconnect_during_a_nested_emit_holds_for_the_outer_one(signal):
    got = []

    def first(n):
        if n == 0:
            signal.emit(1)
        else:
            signal.disconnect(got.append)

    signal.connect(first)
    signal.connect(got.append)
    signal.emit(0)
    assert got == []


def test_disconnect_removes_every_connection_of_the_slot_and_no_other(signal):
    got, others = [], []
    signal.connect(got.append)
    signal.connect(others.append)
    signal.connect(got.append)
    signal.disconnect(got.append)
    signal.emit(1)
    assert (got, others) == ([], [1])


def test_disconnect_bound_method_is_found_by_equality(signal):
    class Receiver:
        def slot(self, a):
            raise AssertionError("called")

    receiver, other = Receiver(), Receiver()
    signal.connect(receiver.slot)
    with pytest.raises(ValueError):
        signal.disconnect(other.slot)
    signal.disconnect(receiver.slot)
    signal.emit(1)


@pytest.mark.parametrize("slot", [print, None.__class__, 5])
def test_disconnect_what_was_not_connected_is_refused(signal, slot):
    signal.connect(len)
    with pytest.raises(ValueError, match="not connected to changed"):
        signal.disconnect(slot)


def test_disconnect_twice_is_refused(signal):
    signal.connect(len)
    signal.disconnect(len)
    with pytest.raises(ValueError):
        signal.disconnect(len)


def test_disconnect_all_without_slots_does_nothing(signal):
    signal.disconnect()


# -- signals to signals
def test_connect_signal_to_signal_passes_the_arguments_on(signal):
    other, got = Signal("other", 1), []
    signal.connect(other)
    other.connect(got.append)
    signal.emit(1)
    assert got == [1]


def test_connect_signal_to_a_signal_of_fewer_arguments_drops_the_rest():
    two, one, none, got = Signal("two", 2), Signal("one", 1), Signal("none", 0), []
    two.connect(one)
    two.connect(none)
    one.connect(got.append)
    none.connect(lambda: got.append("none"))
    two.emit(1, 2)
    assert got == [1, "none"]


def test_disconnect_signal_from_signal_stops_it(signal):
    other, got = Signal("other", 1), []
    signal.connect(other)
    other.connect(got.append)
    signal.disconnect(other)
    signal.emit(1)
    assert got == []


# -- exceptions
def test_emit_first_exception_is_raised_after_all_slots_were_called(signal, unraisable):
    got = []
    signal.connect(lambda: fail("first"))
    signal.connect(got.append)
    signal.connect(lambda: fail("second"))
    signal.connect(got.append)
    with pytest.raises(ValueError, match="first"):
        signal.emit(1)
    assert got == [1, 1]
    assert [str(error) for error in unraisable] == ["second"]


def test_emit_exception_keeps_its_traceback(signal):
    signal.connect(lambda: fail("x"))
    with pytest.raises(ValueError) as caught:
        signal.emit(1)
    assert caught.traceback[-1].name == "fail"


def test_emit_keyboard_interrupt_in_a_slot_is_raised(signal):
    got = []

    def interrupt():
        raise KeyboardInterrupt

    signal.connect(interrupt)
    signal.connect(got.append)
    with pytest.raises(KeyboardInterrupt):
        signal.emit(1)
    assert got == [1]


def test_emit_after_an_exception_works_as_before(signal):
    signal.connect(lambda a: fail("x") if a else None)
    with pytest.raises(ValueError):
        signal.emit(1)
    signal.emit(0)


# -- life
def test_signal_keeps_its_slots_alive_until_disconnected(signal):
    class Receiver:
        def slot(self):
            got.append(1)

    got, receiver = [], Receiver()
    watched = weakref.ref(receiver)
    signal.connect(receiver.slot)
    del receiver
    gc.collect()
    signal.emit(1)
    assert got == [1]
    signal.disconnect()
    assert watched() is None


def test_signal_dropped_lets_its_slots_go():
    def slot():
        pass

    watched = weakref.ref(slot)
    signal = Signal("one", 1)
    signal.connect(slot)
    del slot, signal
    assert watched() is None


def test_signal_in_a_cycle_with_its_slot_is_collected():
    class Owner:
        def __init__(self):
            self.signal = Signal("one", 1)
            self.signal.connect(self.slot)

        def slot(self):
            pass

    watched = weakref.ref(Owner())
    gc.collect()
    assert watched() is None


def test_emit_many_times_leaves_no_reference(signal, unraisable):
    thing = object()
    signal.connect(lambda a: None)
    signal.connect(lambda: None)
    signal.connect(lambda: fail("x"))

    def emit(n):
        for _ in range(n):
            with pytest.raises(ValueError):
                signal.emit(thing)

    emit(10)
    before = sys.getrefcount(thing), len(gc.get_objects())
    gc.disable()
    try:
        emit(200)
        after = sys.getrefcount(thing), len(gc.get_objects())
    finally:
        gc.enable()
    assert after[0] == before[0]
    assert after[1] - before[1] < 100


def test_connect_and_disconnect_many_times_leaves_no_reference(signal):
    def slot():
        pass

    before = sys.getrefcount(slot)
    for _ in range(100):
        signal.connect(slot)
        signal.emit(1)
        signal.disconnect(slot)
    assert sys.getrefcount(slot) == before


def test_signal_dropped_by_its_own_slot_finishes_the_emit():
    holder, got = [Signal("one", 1)], []
    holder[0].connect(lambda: holder.clear())
    holder[0].connect(got.append)
    holder[0].emit(1)
    assert got == [1] and holder == []


# -- names
def test_signal_tells_its_name_and_number():
    signal = Signal("dataReadProgress", 2)
    assert (str(signal), signal.name, signal.n_args) == ("dataReadProgress", "dataReadProgress", 2)
    signal.connect(lambda: None)
    assert repr(signal) == "<Signal dataReadProgress with 1 slots>"


def test_signal_name_that_is_no_text_is_refused():
    with pytest.raises(TypeError):
        Signal(None, 1)
