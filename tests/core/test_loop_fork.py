"""Loop and fork: a child lets go of the parent's loops and never touches what is behind them."""
import gc
import os
import threading

import pytest
from core import process_tools
from core.process_tools import USES, in_child, in_thread, n_pollers

import qhttp

LONG_MS = 10_000


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_parents_loop_used_in_a_child_raises(loop, use):
    def child():
        with pytest.raises(RuntimeError, match="parent process"):
            use(loop)

    in_child(child)


def test_parents_object_used_in_a_child_raises():
    http = qhttp.QHttp("127.0.0.1", 9)

    def child():
        with pytest.raises(RuntimeError, match="parent process"):
            http.get("/")

    in_child(child)


def test_childs_own_loop_is_new_and_works():
    mine = qhttp.loop()
    mine.call_soon(lambda: None)

    def child():
        ran = []
        qhttp.loop().call_soon(lambda: ran.append("soon"))
        qhttp.loop().call_later(0.005, lambda: ran.append("timer"))
        return qhttp.run(LONG_MS), ran, qhttp.loop() is not mine and qhttp.loop() is qhttp.loop()

    assert in_child(child) == (True, ["soon", "timer"], True)
    mine.run(0)


def test_child_has_no_descriptor_of_the_parents_loops():
    qhttp.loop().run(0)
    gc.collect()                            # loops of the tests before
    n_before = n_pollers()                  # with those of others: asyncio's, say
    theirs = in_thread(qhttp.loop)          # of a thread that the child does not have
    assert n_pollers() == n_before + 1
    assert in_child(n_pollers) <= n_before - 1
    del theirs


def test_parents_timers_go_on_after_a_child_has_dropped_its_copy(loop):
    ran = []
    loop.call_later(0.02, lambda: ran.append("timer"))

    def child():
        gc.collect()
        qhttp.loop().call_later(0.001, lambda: None)
        return qhttp.run(LONG_MS)

    assert in_child(child)
    loop.call_soon(lambda: ran.append("soon"))
    assert loop.run(LONG_MS) is True
    assert sorted(ran) == ["soon", "timer"]


def test_call_from_thread_in_a_child_does_not_wake_the_parent(loop):
    ran = []
    in_child(lambda: loop.call_from_thread(lambda: ran.append("child")))
    far = loop.call_later(3600, lambda: None)
    assert loop.run(20) is False
    assert ran == []
    far.cancel()


def test_fork_inside_a_callback_leaves_the_rest_to_the_parent(loop):
    ran = []
    loop.call_soon(lambda: in_child(lambda: ran.append("child")))
    loop.call_soon(lambda: ran.append("parent"))
    assert loop.run(LONG_MS) is True
    assert ran == ["parent"]


def test_child_forked_inside_a_callback_finds_the_run_it_returns_to_ended(loop):
    read_fd, write_fd = os.pipe()
    ran = []

    def fork():
        ran.append(process_tools.fork())

    loop.call_soon(fork)
    loop.call_soon(lambda: ran.append("rest"))
    try:
        loop.run(LONG_MS)
    except RuntimeError:
        pass                    # to say so is as good
    if ran[0] == 0:
        os.write(write_fd, repr(ran).encode())
        os._exit(0)
    os.close(write_fd)
    with open(read_fd) as pipe:
        seen_by_child = pipe.read()
    os.waitpid(ran[0], 0)
    assert ran[1:] == ["rest"]
    assert seen_by_child == "[0]"


def test_grandchild_has_a_loop_that_works():
    def work():
        ran = []
        qhttp.loop().call_later(0.001, lambda: ran.append(1))
        qhttp.run(LONG_MS)
        return ran

    assert in_child(lambda: (work(), in_child(work), work())) == ([1], [1], [1])


def test_fork_in_another_thread_gives_a_child_that_works():
    qhttp.loop()

    def work():
        ran = []
        qhttp.loop().call_soon(lambda: ran.append(1))
        qhttp.run(LONG_MS)
        return ran

    assert in_thread(lambda: (work(), in_child(work), work())) == ([1], [1], [1])


def test_fork_while_another_thread_waits_in_its_loop_does_not_wake_it():
    begun, ended, theirs = threading.Event(), [], []

    def wait():
        theirs.append(qhttp.loop())
        stop = qhttp.loop().call_later(3600, lambda: None)
        theirs.append(stop.cancel)
        qhttp.loop().call_soon(begun.set)
        ended.append(qhttp.run(LONG_MS))

    thread = threading.Thread(target=wait)
    thread.start()
    assert begun.wait(5)
    in_child(lambda: qhttp.loop().run(0))
    assert ended == []
    theirs[0].call_from_thread(theirs[1])
    thread.join()
    assert ended == [True]
