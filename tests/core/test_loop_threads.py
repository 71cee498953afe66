"""Loop and threads: one each, calls from others, what a thread leaves behind."""
import gc
import threading

import pytest
from core.process_tools import USES, descriptors, in_thread, n_pollers

import qhttp
from qhttp._core import Loop

LONG_MS = 10_000


def test_loop_of_a_thread_is_one():
    assert qhttp.loop() is qhttp.loop()


def test_loop_of_another_thread_is_another():
    mine = qhttp.loop()
    assert in_thread(lambda: qhttp.loop() is qhttp.loop() and qhttp.loop() is not mine)


def test_loop_class_makes_a_loop_beside_the_threads_own():
    assert Loop() is not qhttp.loop()


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_loop_used_in_another_thread_names_both_threads(loop, use):
    idents = [threading.get_ident()]

    def trespass():
        idents.append(threading.get_ident())
        use(loop)

    with pytest.raises(RuntimeError) as caught:
        in_thread(trespass)
    assert all(str(ident) in str(caught.value) for ident in idents)
    assert loop.run(0) is True          # nothing of it was done


def test_object_used_in_another_thread_raises():
    http = qhttp.QHttp("127.0.0.1", 9)
    for use in (lambda: http.get("/"), http.abort, http.readAll, http.close, lambda: http.waitForDone(0)):
        with pytest.raises(RuntimeError, match="thread"):
            in_thread(use)
    assert not http.hasPendingRequests() and http.currentId() == 0


def test_call_from_thread_wakes_a_blocked_run(loop):
    threads = []
    far = loop.call_later(3600, lambda: None)
    loop.call_soon(lambda: threads.append(threading.Thread(target=loop.call_from_thread, args=[far.cancel])))
    loop.call_soon(lambda: threads[0].start())
    assert loop.run(LONG_MS) is True
    threads[0].join()


def test_call_from_thread_calls_in_the_thread_of_the_loop(loop):
    idents = []
    in_thread(lambda: loop.call_from_thread(lambda: idents.append(threading.get_ident())))
    loop.run()
    assert idents == [threading.get_ident()]


def test_call_from_thread_keeps_the_order_of_each_thread_and_loses_nothing(loop):
    n_threads, n_calls, seen, left = 4, 500, [], [4]
    far = loop.call_later(3600, lambda: None)

    def leave():
        left[0] -= 1
        if left[0] == 0:
            far.cancel()

    def work(number):
        for n in range(n_calls):
            loop.call_from_thread(lambda n=n: seen.append((number, n)))
        loop.call_from_thread(leave)

    threads = [threading.Thread(target=work, args=[number]) for number in range(n_threads)]
    for thread in threads:
        thread.start()
    assert loop.run(LONG_MS) is True
    for thread in threads:
        thread.join()
    for number in range(n_threads):
        assert [n for who, n in seen if who == number] == list(range(n_calls))


def test_call_from_thread_in_its_own_thread_waits_for_a_turn(loop):
    ran = []
    loop.call_from_thread(lambda: ran.append(1))
    assert ran == []
    loop.run(0)
    assert ran == [1]


def test_call_from_thread_inside_such_a_call_waits_for_the_turn_after(loop):
    ran = []

    def again():
        ran.append(1)
        if len(ran) < 100:
            loop.call_from_thread(again)

    loop.call_from_thread(again)
    loop.run(0)
    assert len(ran) == 1
    loop.run(0)
    assert len(ran) == 2


def test_call_from_thread_to_a_loop_whose_thread_has_ended_is_harmless():
    theirs = in_thread(qhttp.loop)
    theirs.call_from_thread(lambda: None)
    with pytest.raises(RuntimeError):
        theirs.run(0)


# -- what goes with a loop
def test_loop_dropped_closes_its_descriptors(loop):
    before = descriptors()
    more = [Loop() for _ in range(20)]
    assert len(descriptors()) == len(before) + 60
    del more
    assert descriptors() == before


def test_loop_dropped_with_work_pending_closes_its_descriptors():
    gc.collect()
    before = descriptors()
    for _ in range(5):
        other = Loop()
        other.call_soon(lambda: None)
        other.call_later(3600, lambda: None)
    del other
    gc.collect()
    assert descriptors() == before


def test_loop_dropped_after_cancelled_timer_closes_its_descriptors_without_collecting():
    gc.collect()
    before = descriptors()
    gc.disable()
    try:
        other = Loop()
        other.call_later(0, lambda: None)
        other.run()
        del other
        assert descriptors() == before
    finally:
        gc.enable()


def test_thread_ended_closes_the_descriptors_of_its_loop():
    gc.collect()
    before = n_pollers()
    assert in_thread(lambda: (qhttp.loop().run(0), n_pollers())[1]) == before + 1
    gc.collect()
    assert n_pollers() == before


def test_thread_ended_with_timers_pending_closes_the_descriptors_of_its_loop():
    gc.collect()
    before = descriptors()
    in_thread(lambda: (qhttp.loop().call_later(3600, lambda: None), None)[1])
    gc.collect()
    assert descriptors() == before


def test_loops_in_many_threads_at_once_do_not_disturb_each_other():
    def work():
        ran = []
        for n in range(50):
            qhttp.loop().call_later(0.0001 * (n % 5), lambda: ran.append(1))
        return qhttp.run(LONG_MS) and len(ran)

    outcomes = []
    threads = [threading.Thread(target=lambda: outcomes.append(work())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [50] * 8
