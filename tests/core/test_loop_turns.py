"""Loop: what run() waits for, what a turn is, timers."""
import gc
import time
import weakref

import pytest

import qhttp
from qhttp._core import Timer

FAR_S = 3600.0
LONG_MS = 10_000            # the test hangs or fails long before
SHORT_MS = 30


class Clock:
    """Seconds since it was made."""

    def __init__(self):
        self.began = time.monotonic()

    def __call__(self):
        return time.monotonic() - self.began


# -- run
def test_run_with_nothing_pending_returns_true_at_once(loop):
    clock = Clock()
    assert loop.run() is True
    assert clock() < 1


def test_run_with_nothing_pending_and_a_limit_does_not_wait_for_it(loop):
    clock = Clock()
    assert loop.run(LONG_MS) is True
    assert clock() < 1


def test_module_run_turns_the_loop_of_the_thread():
    ran = []
    qhttp.loop().call_soon(lambda: ran.append(1))
    assert qhttp.run() is True
    assert ran == [1]


def test_run_limit_zero_is_one_turn_and_tells_that_work_is_left(loop):
    ran = []
    loop.call_soon(lambda: loop.call_soon(lambda: ran.append("second")))
    assert loop.run(0) is False
    assert ran == []
    assert loop.run(0) is True
    assert ran == ["second"]


@pytest.mark.parametrize("msecs", [SHORT_MS, float(SHORT_MS)])
def test_run_limit_before_a_timer_returns_false_when_it_is_over(loop, msecs):
    loop.call_later(FAR_S, lambda: None)
    clock = Clock()
    assert loop.run(msecs) is False
    assert SHORT_MS / 1000 <= clock() < 2


def test_run_negative_limit_is_one_turn(loop):
    loop.call_later(FAR_S, lambda: None)
    clock = Clock()
    assert loop.run(-5) is False
    assert clock() < 1


def test_run_after_its_limit_goes_on_where_it_stopped(loop):
    ran = []
    loop.call_later(2 * SHORT_MS / 1000, lambda: ran.append(1))
    assert loop.run(1) is False
    assert loop.run(LONG_MS) is True
    assert ran == [1]


def test_run_limit_that_is_no_number_is_refused(loop):
    with pytest.raises(TypeError):
        loop.run("5")


# -- call_soon
def test_call_soon_several_are_called_in_order(loop):
    ran = []
    for n in range(5):
        loop.call_soon(lambda n=n: ran.append(n))
    loop.run()
    assert ran == [0, 1, 2, 3, 4]


def test_call_soon_does_not_call_at_once(loop):
    ran = []
    loop.call_soon(lambda: ran.append(1))
    assert ran == []
    loop.run()


def test_call_soon_inside_a_callback_waits_for_the_turn_after(loop):
    ran = []

    def first():
        ran.append("first")
        loop.call_soon(lambda: ran.append("third"))

    loop.call_soon(first)
    loop.call_soon(lambda: ran.append("second"))
    loop.run(0)
    assert ran == ["first", "second"]
    loop.run(0)
    assert ran == ["first", "second", "third"]


def test_call_soon_endless_chain_does_not_keep_a_limited_run(loop):
    def again():
        loop.call_soon(again)

    again()
    clock = Clock()
    assert loop.run(SHORT_MS) is False
    assert clock() < 2


def test_call_soon_same_function_twice_is_called_twice(loop):
    ran = []

    def once():
        ran.append(1)

    loop.call_soon(once)
    loop.call_soon(once)
    loop.run()
    assert ran == [1, 1]


def test_call_soon_function_is_let_go_after_the_call(loop):
    def function():
        pass

    watched = weakref.ref(function)
    loop.call_soon(function)
    loop.run()
    del function
    assert watched() is None


# -- call_later
def test_call_later_is_waited_for_and_never_early(loop):
    clock, ran = Clock(), []
    loop.call_later(SHORT_MS / 1000, lambda: ran.append(clock()))
    assert loop.run() is True
    assert SHORT_MS / 1000 <= ran[0] < 2


def test_call_later_several_are_called_by_their_times(loop):
    ran = []
    loop.call_later(0.02, lambda: ran.append("late"))
    loop.call_later(0.001, lambda: ran.append("early"))
    loop.run()
    assert ran == ["early", "late"]


@pytest.mark.parametrize("seconds", [0, 0.0, -1, -0.5])
def test_call_later_without_delay_comes_in_the_order_of_the_calls(loop, seconds):
    ran = []
    for n in range(3):
        loop.call_later(seconds, lambda n=n: ran.append(n))
    loop.run()
    assert ran == [0, 1, 2]


def test_call_later_without_delay_inside_a_timer_waits_for_the_turn_after(loop):
    ran = []

    def again():
        ran.append(1)
        if len(ran) < 3:
            loop.call_later(0, again)

    loop.call_later(0, again)
    loop.run()
    assert ran == [1, 1, 1]


def test_call_later_inside_a_callback_is_waited_for(loop):
    ran = []
    loop.call_soon(lambda: loop.call_later(0.001, lambda: ran.append(1)))
    loop.run()
    assert ran == [1]


def test_call_later_earlier_than_the_armed_one_comes_first(loop):
    ran = []
    far = loop.call_later(FAR_S, lambda: ran.append("far"))
    loop.run(0)
    loop.call_later(0.001, lambda: (ran.append("near"), far.cancel()))
    assert loop.run(LONG_MS) is True
    assert ran == ["near"]


def test_call_later_tells_when(loop):
    before = time.monotonic_ns()
    timer = loop.call_later(FAR_S, lambda: None)
    assert before + FAR_S * 1e9 <= timer.when_ns <= time.monotonic_ns() + FAR_S * 1e9


@pytest.mark.parametrize("seconds", ["soon", None])
def test_call_later_time_that_is_no_number_is_refused(loop, seconds):
    with pytest.raises(TypeError):
        loop.call_later(seconds, lambda: None)
    assert loop.run(0) is True


# -- cancel
def test_cancel_before_the_time_is_never_called_and_not_waited_for(loop):
    ran = []
    timer = loop.call_later(FAR_S, lambda: ran.append(1))
    timer.cancel()
    clock = Clock()
    assert loop.run() is True
    assert clock() < 1 and ran == []


def test_cancel_of_the_earlier_timer_leaves_the_later_one(loop):
    ran = []
    loop.call_later(0.001, lambda: ran.append("cancelled")).cancel()
    loop.call_later(0.005, lambda: ran.append("kept"))
    loop.run()
    assert ran == ["kept"]


def test_cancel_inside_another_callback_of_the_same_turn_still_holds(loop):
    ran = []
    loop.call_later(0, lambda: second.cancel())
    second = loop.call_later(0, lambda: ran.append("second"))
    loop.run()
    assert ran == []


def test_cancel_repeated_or_late_does_nothing(loop):
    timer = loop.call_later(0, lambda: None)
    loop.run()
    timer.cancel()
    timer.cancel()
    assert loop.run() is True


def test_cancel_inside_its_own_callback_does_nothing(loop):
    ran = []
    timer = loop.call_later(0, lambda: (timer.cancel(), ran.append(1)))
    loop.run()
    assert ran == [1]


def test_cancel_lets_the_callback_go(loop):
    def function():
        pass

    watched = weakref.ref(function)
    timer = loop.call_later(FAR_S, function)
    timer.cancel()
    del function
    assert watched() is None


def test_cancel_many_behind_a_live_timer_are_forgotten(loop):
    live = loop.call_later(FAR_S, lambda: None)
    for _ in range(5000):
        loop.call_later(2 * FAR_S, lambda: None).cancel()
    loop.run(0)
    n_timers = sum(type(thing) is Timer for thing in gc.get_objects())
    live.cancel()
    assert n_timers < 1000


# -- turning inside a callback
def test_run_inside_a_callback_does_what_is_pending(loop):
    ran = []

    def outer():
        loop.call_soon(lambda: ran.append("inner"))
        loop.run()
        ran.append("outer")

    loop.call_soon(outer)
    loop.run()
    assert ran == ["inner", "outer"]


def test_run_inside_a_callback_takes_over_the_rest_of_the_turn(loop):
    ran = []
    loop.call_soon(lambda: (loop.run(), ran.append("first")))
    loop.call_soon(lambda: ran.append("second"))
    loop.run()
    assert ran == ["second", "first"]


def test_run_inside_a_timer_fires_the_other_timers_in_time(loop):
    ran = []

    def outer():
        clock = Clock()
        ran.append(loop.run(2000))
        assert clock() < 1

    loop.call_later(0.001, outer)
    loop.call_later(0.02, lambda: ran.append("other"))
    loop.run(LONG_MS)
    assert ran == ["other", True]


def test_run_inside_a_timer_fires_timers_that_are_due_already(loop):
    ran = []
    loop.call_later(0, lambda: ran.append(loop.run(500)))
    loop.call_later(0, lambda: ran.append("other"))
    loop.run(LONG_MS)
    assert ran == ["other", True]


def test_run_many_levels_deep_comes_back(loop):
    depths = []

    def deeper():
        depths.append(len(depths))
        if len(depths) < 50:
            loop.call_soon(deeper)
            loop.run()

    loop.call_soon(deeper)
    assert loop.run() is True
    assert len(depths) == 50
