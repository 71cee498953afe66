"""Loop behind its one descriptor: a foreign loop watches fileno() and calls dispatch()."""
import asyncio
import select
import threading

import pytest

from qhttp._core import Loop

WAIT_S = 5.0


def is_readable(loop, seconds=0.0):
    return bool(select.select([loop.fileno()], [], [], seconds)[0])


def dispatch_while_readable(loop, n_most=100):
    """What a foreign loop does; the number of dispatches."""
    n = 0
    while is_readable(loop) and n < n_most:
        loop.dispatch()
        n += 1
    return n


def test_fileno_without_work_is_not_readable(loop):
    assert not is_readable(loop)


def test_fileno_after_call_soon_is_readable_until_dispatched(loop):
    ran = []
    loop.call_soon(lambda: ran.append(1))
    assert is_readable(loop)
    loop.dispatch()
    assert ran == [1]
    assert not is_readable(loop)


def test_fileno_works_with_poll_and_epoll(loop):
    poll, epoll = select.poll(), select.epoll()
    with epoll:
        poll.register(loop.fileno(), select.POLLIN)
        epoll.register(loop.fileno(), select.EPOLLIN)
        assert poll.poll(0) == [] and epoll.poll(0) == []
        loop.call_soon(lambda: None)
        assert len(poll.poll(0)) == 1 and len(epoll.poll(0)) == 1
        loop.dispatch()
        assert poll.poll(0) == [] and epoll.poll(0) == []


def test_fileno_becomes_readable_when_a_timer_is_due(loop):
    ran = []
    loop.call_later(0.01, lambda: ran.append(1))
    assert not is_readable(loop)
    loop.dispatch()
    assert ran == []
    assert is_readable(loop, WAIT_S)
    loop.dispatch()
    assert ran == [1]
    assert not is_readable(loop)


def test_fileno_becomes_readable_by_a_call_from_another_thread(loop):
    ran = []
    thread = threading.Thread(target=loop.call_from_thread, args=[lambda: ran.append(1)])
    thread.start()
    assert is_readable(loop, WAIT_S)
    thread.join()
    loop.dispatch()
    assert ran == [1]


def test_fileno_is_the_same_at_every_call(loop):
    assert loop.fileno() == loop.fileno() != Loop().fileno()


def test_dispatch_without_work_comes_back(loop):
    loop.dispatch()
    assert not is_readable(loop)


def test_dispatch_does_not_wait_for_timers(loop):
    timer = loop.call_later(3600, lambda: None)
    loop.dispatch()
    timer.cancel()


def test_dispatch_with_endless_work_comes_back_and_stays_readable(loop):
    ran, n_most = [], [1000]            # the loop and what it has to do hold each other: it would outlive the test

    def again():
        ran.append(1)
        if len(ran) < n_most[0]:
            loop.call_soon(again)

    again()
    loop.dispatch()
    n_first = len(ran)
    assert is_readable(loop)
    loop.dispatch()
    assert len(ran) > n_first
    n_most[0] = 0
    loop.dispatch()


def test_dispatch_inside_a_callback_does_what_is_pending(loop):
    ran = []
    loop.call_soon(lambda: (loop.call_soon(lambda: ran.append("inner")), loop.dispatch(), ran.append("outer")))
    loop.dispatch()
    assert ran == ["inner", "outer"]


def fail():
    raise ValueError("on purpose")


def test_dispatch_raises_what_a_callback_raised(loop):
    loop.call_soon(fail)
    with pytest.raises(ValueError, match="on purpose"):
        loop.dispatch()
    loop.dispatch()


@pytest.mark.parametrize("defer", ["call_soon", "call_from_thread"])
def test_dispatch_that_raises_loses_nothing_of_the_rest(loop, defer):
    ran = []
    getattr(loop, defer)(fail)
    getattr(loop, defer)(lambda: ran.append(1))
    with pytest.raises(ValueError):
        loop.dispatch()
    dispatch_while_readable(loop)
    assert ran == [1]


def test_run_that_raised_leaves_the_descriptor_readable_for_the_rest(loop):
    ran = []
    loop.call_soon(fail)
    loop.call_soon(lambda: ran.append(1))
    with pytest.raises(ValueError):
        loop.run()
    dispatch_while_readable(loop)
    assert ran == [1]


def test_run_that_left_work_leaves_the_descriptor_readable(loop):
    loop.call_soon(lambda: loop.call_soon(lambda: None))
    assert loop.run(0) is False
    assert is_readable(loop)


def test_loop_watched_by_asyncio_does_its_work(loop):
    ran = []

    async def main():
        done = asyncio.Event()
        asyncio.get_running_loop().add_reader(loop.fileno(), loop.dispatch)
        loop.call_later(0.005, lambda: (ran.append("timer"), done.set()))
        loop.call_soon(lambda: ran.append("soon"))
        await asyncio.wait_for(done.wait(), WAIT_S)
        asyncio.get_running_loop().remove_reader(loop.fileno())

    asyncio.run(main())
    assert ran == ["soon", "timer"]
