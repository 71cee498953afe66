"""Loop and exceptions: the first is raised by run, nothing else is lost, and run can be called again."""
import os
import select
import signal
import threading
import time

import pytest

LONG_MS = 10_000


def fail(what="on purpose"):
    raise ValueError(what)


def run_to_the_end(loop):
    """The texts of what run raises, until it returns."""
    texts = []
    while True:
        try:
            assert loop.run(LONG_MS) is True
            return texts
        except ValueError as error:
            texts.append(str(error))


@pytest.fixture
def handler():
    """Sets a signal's handler for the test: handler(signum, function)."""
    before = {}

    def set_handler(signum, function):
        before.setdefault(signum, signal.signal(signum, function))

    yield set_handler
    signal.setitimer(signal.ITIMER_REAL, 0)
    for signum, function in before.items():
        signal.signal(signum, function)


# -- exceptions out of callbacks
def test_run_raises_what_a_deferred_callback_raised(loop):
    loop.call_soon(fail)
    with pytest.raises(ValueError, match="on purpose"):
        loop.run()


def test_run_raises_what_a_timer_raised(loop):
    loop.call_later(0, fail)
    with pytest.raises(ValueError, match="on purpose"):
        loop.run()


def test_run_raises_what_a_call_from_a_thread_raised(loop):
    loop.call_from_thread(fail)
    with pytest.raises(ValueError, match="on purpose"):
        loop.run()


def test_run_keeps_the_traceback_of_the_callback(loop):
    loop.call_soon(fail)
    with pytest.raises(ValueError) as caught:
        loop.run()
    assert caught.traceback[-1].name == "fail"


def test_run_after_an_exception_does_the_rest(loop, unraisable):
    ran = []
    loop.call_soon(lambda: ran.append("before"))
    loop.call_soon(fail)
    loop.call_soon(lambda: ran.append("after"))
    loop.call_later(0.001, lambda: ran.append("timer"))
    with pytest.raises(ValueError):
        loop.run()
    assert loop.run(LONG_MS) is True
    assert ran == ["before", "after", "timer"]
    assert unraisable == []


def test_run_with_several_exceptions_loses_none(loop, unraisable):
    for n in range(3):
        loop.call_soon(lambda n=n: fail(f"soon {n}"))
        loop.call_later(0, lambda n=n: fail(f"timer {n}"))
        loop.call_from_thread(lambda n=n: fail(f"thread {n}"))
    texts = run_to_the_end(loop) + [str(error) for error in unraisable]
    assert sorted(texts) == sorted(f"{kind} {n}" for kind in ("soon", "timer", "thread") for n in range(3))


def test_run_first_exception_is_raised_and_further_ones_are_unraisable(loop, unraisable):
    loop.call_later(0, lambda: fail("first"))
    loop.call_later(0, lambda: fail("second"))
    with pytest.raises(ValueError, match="first"):
        loop.run()
    assert loop.run(LONG_MS) is True
    assert [str(error) for error in unraisable] == ["second"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_run_raises_also_what_is_no_exception(loop, error):
    def leave():
        raise error

    loop.call_soon(leave)
    with pytest.raises(error):
        loop.run()
    assert loop.run() is True


def test_run_inside_a_callback_raises_there(loop):
    caught = []

    def outer():
        loop.call_soon(fail)
        try:
            loop.run()
        except ValueError as error:
            caught.append(str(error))

    loop.call_soon(outer)
    assert loop.run() is True
    assert caught == ["on purpose"]


def test_run_inside_a_callback_that_is_not_caught_is_raised_by_the_outer_run(loop):
    loop.call_soon(lambda: (loop.call_soon(fail), loop.run()))
    with pytest.raises(ValueError, match="on purpose"):
        loop.run()
    assert loop.run() is True


def test_call_soon_after_an_exception_makes_the_descriptor_readable(loop):
    loop.call_soon(fail)
    with pytest.raises(ValueError):
        loop.run()
    loop.call_soon(lambda: None)
    assert select.select([loop.fileno()], [], [], 0)[0]


def test_what_cannot_be_called_is_raised_by_run(loop):
    loop.call_soon(None)
    with pytest.raises(TypeError):
        loop.run()
    assert loop.run() is True


# -- signals of the system
def interrupt(*_):
    raise KeyboardInterrupt


def test_run_blocked_is_ended_by_a_handler_that_raises(loop, handler):
    handler(signal.SIGALRM, interrupt)
    far = loop.call_later(3600, lambda: None)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        loop.run(LONG_MS)
    assert time.monotonic() - began < 5
    far.cancel()
    assert loop.run() is True


def test_run_blocked_is_ended_by_control_c(loop, handler):
    handler(signal.SIGINT, signal.default_int_handler)
    far = loop.call_later(3600, lambda: None)
    killer = threading.Thread(target=os.kill, args=[os.getpid(), signal.SIGINT])
    loop.call_soon(killer.start)
    with pytest.raises(KeyboardInterrupt):
        loop.run(LONG_MS)
    killer.join()
    far.cancel()
    assert loop.run() is True


def test_run_blocked_goes_on_after_a_handler_that_returns(loop, handler):
    caught, ran = [], []
    handler(signal.SIGALRM, lambda *_: caught.append(len(ran)))
    loop.call_later(0.06, lambda: ran.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    assert loop.run(LONG_MS) is True
    assert ran == [1]
    assert caught and not any(caught)


def test_run_limit_is_kept_in_spite_of_signals(loop, handler):
    handler(signal.SIGALRM, lambda *_: None)
    far = loop.call_later(3600, lambda: None)
    signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
    began = time.monotonic()
    assert loop.run(50) is False
    assert 0.05 <= time.monotonic() - began < 2
    far.cancel()


def test_handler_may_use_the_loop_that_it_interrupts(loop, handler):
    ran = []
    far = loop.call_later(3600, lambda: None)
    handler(signal.SIGALRM, lambda *_: loop.call_soon(lambda: (ran.append(1), far.cancel())))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    assert loop.run(LONG_MS) is True
    assert ran == [1]
