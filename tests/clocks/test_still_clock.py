"""The clocks of these tests themselves: they stand, go on when told to, and leave those alone who wait for a thread."""
import threading
import time

import pytest

import qhttp

DAY_S = 86_400


def test_clocks_stand_still(clock):
    before = time.monotonic_ns(), time.time_ns()
    time.sleep(0.01)            # in real time
    assert (time.monotonic_ns(), time.time_ns()) == before


def test_clocks_go_on_together(clock):
    before = time.monotonic_ns(), time.time_ns()
    clock.advance(3600, ns=7)
    assert (time.monotonic_ns() - before[0], time.time_ns() - before[1]) == (3600 * 10**9 + 7,) * 2


def test_wall_that_is_set_leaves_the_other_clock_alone(clock):
    before = time.monotonic_ns()
    clock.set_wall(1e9)
    assert (time.time(), time.monotonic_ns()) == (1e9, before)


@pytest.mark.parametrize("seconds", [1e-9, 0.001, 0.25, 1, 3600, 400 * DAY_S])
def test_timer_of_a_loop_goes_off_to_the_nanosecond(clock, seconds):
    called = []
    qhttp.loop().call_later(seconds, lambda: called.append(time.monotonic_ns()))
    due = time.monotonic_ns() + round(seconds * 10**9)
    assert clock.next_timer_ns == due
    clock.goes_off(seconds, lambda: called)
    assert called == [due]


def test_timer_that_is_cancelled_is_not_waited_for(clock):
    timer = qhttp.loop().call_later(5, print)
    timer.cancel()
    clock.advance(10)
    clock.settle()
    assert qhttp.loop().run(0)


def test_loops_of_other_threads_have_the_same_time(clock):
    called, ready, go = [], threading.Event(), threading.Event()

    def other():
        qhttp.loop().call_later(60, lambda: called.append(1))
        ready.set()
        go.wait()
        qhttp.loop().run()      # the timer has gone off already

    thread = threading.Thread(target=other)
    thread.start()
    ready.wait()
    clock.advance(60)
    go.set()
    thread.join()
    assert called == [1]


def test_locks_of_threads_are_waited_for_in_real_time(clock):
    began = clock.real_s
    clock.advance(DAY_S)
    assert threading.Event().wait(0.05) is False
    assert 0.04 < clock.real_s - began < 2


def test_time_is_skipped_when_nothing_comes(clock):
    clock.skip(1)
    began, called = time.monotonic(), []
    qhttp.loop().call_later(100, lambda: called.append(time.monotonic() - began))
    qhttp.loop().call_later(3 * DAY_S, lambda: called.append(time.monotonic() - began))
    assert qhttp.loop().run()
    assert called == [pytest.approx(100), pytest.approx(3 * DAY_S)]


@pytest.mark.parametrize("msecs", [1, 20, 86_400_000])
def test_run_for_a_time_comes_back_after_it(clock, msecs):
    clock.skip(1)
    qhttp.loop().call_later(10 * DAY_S, print)
    began = time.monotonic_ns()         # a difference of floats may be a rounding less
    assert not qhttp.loop().run(msecs)
    assert 0 <= time.monotonic_ns() - began - msecs * 10**6 <= 2 * 10**6
