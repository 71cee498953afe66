"""QCoreApplication, QEventLoop and QTimer: how they end, nested and in turns."""
import threading

import pytest

import qhttp
from qhttp.compat import SLOT, QCoreApplication, QEventLoop, QTimer


def test_application_without_work_returns_at_once():
    app = QCoreApplication(["name"])
    assert app.exec_() == 0 and QCoreApplication.instance() is app and app.arguments() == ["name"]


def test_exit_ends_the_loop_with_its_code():
    app, timer = QCoreApplication([]), QTimer()
    timer.start(100_000)
    QTimer.singleShot(0, lambda: app.exit(3))
    assert app.exec() == 3
    timer.stop()
    app.exit(4)                 # nothing turns: nobody is disturbed by it
    assert qhttp.run(1000)


def test_nested_loop_ends_first_then_the_outer_one():
    app, order = QCoreApplication([]), []

    def outer_slot():
        inner = QEventLoop()
        QTimer.singleShot(0, inner.quit)
        order.append(inner.exec_())
        order.append("inner ended")
        app.exit(5)

    QTimer.singleShot(0, outer_slot)
    assert app.exec_() == 5 and order == [0, "inner ended"]


def test_outer_loop_told_to_end_inside_the_inner_one_ends_after_it():
    app, inner, timer = QCoreApplication([]), QEventLoop(), QTimer()
    timer.start(1)      # so that it would go on for ever

    def slot():
        QTimer.singleShot(0, lambda: app.exit(7))
        QTimer.singleShot(5, inner.quit)
        inner.exec_()

    QTimer.singleShot(0, slot)
    assert app.exec_() == 7
    timer.stop()


@pytest.mark.parametrize("turn", ["processEvents", "run", "waitForDone", "inner loop"])
def test_slot_that_turns_the_loop_while_it_is_told_to_end_goes_on_first(turn):
    app, endless, order = QCoreApplication([]), QTimer(), []
    endless.start(100_000)
    inner, http = QEventLoop(), qhttp.QHttp()

    def slot():
        QTimer.singleShot(0, lambda: order.append("told") or app.exit(6))
        if turn == "processEvents":
            while not order:
                app.processEvents()
        elif turn == "inner loop":
            QTimer.singleShot(1, inner.quit)
            inner.exec_()
        else:
            http.close()
            assert qhttp.run(20) is False if turn == "run" else http.waitForDone(10_000)
            while not order:
                qhttp.run(0)
        order.append("the slot goes on")
        app.processEvents()
        order.append("to its end")

    QTimer.singleShot(0, slot)
    assert app.exec_() == 6 and order == ["told", "the slot goes on", "to its end"]
    endless.stop()
    assert not app.isRunning()


def test_quit_before_process_events_in_one_slot_ends_the_loop_after_it():
    app, order = QCoreApplication([]), []

    def slot():
        app.quit()
        QTimer.singleShot(0, lambda: order.append("timer"))
        app.processEvents()
        order.append("goes on")

    timer = QTimer()
    timer.start(100_000)
    QTimer.singleShot(0, slot)
    assert app.exec_() == 0 and order[-1] == "goes on" and order.count("goes on") == 1
    timer.stop()
    assert qhttp.run(1000)


def test_slot_that_raises_in_process_events_is_told_there():
    app, caught = QCoreApplication([]), []

    def slot():
        QTimer.singleShot(0, lambda: 1 / 0)
        try:
            while True:
                app.processEvents()
        except ZeroDivisionError:
            caught.append(app.isRunning())

    QTimer.singleShot(0, slot)
    assert app.exec_() == 0 and caught == [True]


def test_process_events_quit_by_another_thread_does_not_raise():
    app, timer, order = QCoreApplication([]), QTimer(), []
    timer.start(100_000)
    thread = threading.Thread(target=app.exit, args=(2,))

    def slot():
        thread.start()
        thread.join()
        app.processEvents()
        order.append("goes on")

    QTimer.singleShot(0, slot)
    assert app.exec_() == 2 and order == ["goes on"]
    timer.stop()


def test_quit_from_another_thread_ends_the_loop():
    app, timer = QCoreApplication([]), QTimer()
    timer.start(100_000)
    thread = threading.Thread(target=app.quit)
    QTimer.singleShot(0, thread.start)
    assert app.exec_() == 0
    thread.join()
    timer.stop()


def test_slot_that_raises_comes_out_of_exec():
    app = QCoreApplication([])
    QTimer.singleShot(0, lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        app.exec_()
    assert not app.isRunning() and app.exec_() == 0


def test_timer_rings_until_stopped_and_single_one_once():
    app, timer, single, rings = QCoreApplication([]), QTimer(), QTimer(), []
    timer.timeout.connect(lambda: rings.append("again") or (rings.count("again") == 3 and app.quit()))
    single.timeout.connect(lambda: rings.append("once"))
    single.setSingleShot(True)
    single.setInterval(0)
    single.start()
    timer.start(1)
    app.exec_()
    timer.stop()
    assert rings.count("once") == 1 and rings.count("again") == 3 and not timer.isActive() and not single.isActive()


def test_timer_single_shot_calls_a_slot_by_name():
    app = QCoreApplication([])
    QTimer.singleShot(0, app, SLOT("quit()"))
    assert app.exec_() == 0
    with pytest.raises(TypeError, match="callable"):
        QTimer.singleShot(0, 5)
    with pytest.raises(ValueError, match="msecs"):
        QTimer().start(-1)


def test_timer_deleted_later_stops():
    timer = QTimer()
    timer.start(100_000)
    timer.deleteLater()
    assert qhttp.run(1000) and not timer.isActive()
