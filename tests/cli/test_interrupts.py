"""Ctrl-C and SIGTERM: once, twice, and in other threads."""
import os
import signal
import subprocess
import sys
import threading

import pytest
from cli.fake import WAIT

import qhttp
from qhttp import errors
from qhttp.cli.interrupts import Interrupts

URL, OTHER = "http://example.org/a", "http://example.org/b"


def raising(*numbers, after=URL):
    """For `before`: raises the signals once a URL is under way."""
    def connect(downloader):
        pump, left = downloader.pump, list(numbers)

        def pumped():
            pump()
            while left and any(transfer.url == after for transfer in downloader.running):
                os.kill(os.getpid(), left.pop(0))

        downloader.pump = pumped

    return connect


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_stops_politely_and_says_how_to_go_on(command, tmp_path, number):
    ran = command(URL, OTHER, "--save-session", "rest", "-d", "data", outcomes={URL: WAIT, OTHER: WAIT}, before=raising(number))
    assert ran.status == 7
    assert ran.downloader.was_stopped and ran.downloader.is_closed
    assert "once more" in ran.err and "qhttp -i rest -d data" in ran.err
    assert (tmp_path / "rest").read_text().splitlines() == [URL, OTHER]


@pytest.mark.parametrize("words, said", [([], "run the same command again"), (["--no-session"], "--save-session")])
def test_interrupt_without_a_saved_list_says_what_is_possible(command, words, said):
    ran = command(URL, *words, outcomes={URL: WAIT}, before=raising(signal.SIGINT))
    assert ran.status == 7 and said in ran.err


@pytest.mark.parametrize("words, said", [([], "run the same command again"), (["--no-session"], "nothing was remembered")])
def test_interrupt_with_a_list_that_cannot_be_saved_is_one_and_says_how_to_go_on(command, words, said):
    ran = command(URL, *words, "--save-session", "no/such/rest", outcomes={URL: WAIT}, before=raising(signal.SIGINT))
    assert ran.status == 7 and "cannot be written" in ran.err and said in ran.err


def test_interrupt_with_nothing_left_is_as_if_there_was_none(command):
    ran = command(URL, before=lambda downloader: downloader.done.connect(lambda: os.kill(os.getpid(), signal.SIGINT)))
    assert ran.status == 0


@pytest.mark.parametrize("words", [[], ["--save-session", "rest"], ["--save-session", "no/such/rest"]])
def test_interrupt_goes_before_failures_if_anything_was_not_tried(command, words):
    outcomes = {OTHER: errors.HostNotFound("no"), URL: WAIT}
    assert command(OTHER, URL, *words, outcomes=outcomes, before=raising(signal.SIGINT)).status == 7
    late = command(OTHER, *words, outcomes=outcomes,
                   before=lambda downloader: downloader.done.connect(lambda: os.kill(os.getpid(), signal.SIGINT)))
    assert late.status == (1 if "no/such/rest" in words else 4)         # of two kinds then


def test_second_interrupt_stops_at_once(command, tmp_path):
    ran = command(URL, "--save-session", "rest", outcomes={URL: WAIT}, before=raising(signal.SIGINT, signal.SIGINT))
    assert ran.status == 7
    assert not ran.downloader.is_closed and not (tmp_path / "rest").exists()
    assert "stopped" in ran.err


def test_second_termination_is_as_polite_as_the_first(command):
    ran = command(URL, outcomes={URL: WAIT}, before=raising(signal.SIGTERM, signal.SIGTERM))
    assert ran.status == 7 and ran.downloader.is_closed


def test_interrupt_after_a_termination_stops_at_once(command):
    ran = command(URL, outcomes={URL: WAIT}, before=raising(signal.SIGTERM, signal.SIGINT))
    assert ran.status == 7 and not ran.downloader.is_closed


def test_handlers_are_put_back(command):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    command(URL)
    command(URL, outcomes={URL: WAIT}, before=raising(signal.SIGINT, signal.SIGINT))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_interrupts_in_another_thread_leave_the_signals_alone():
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def enter():
        with Interrupts(print):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [before]


def test_interrupt_before_anything_was_begun_is_seven(monkeypatch, capsys):
    def interrupt(argv):
        raise KeyboardInterrupt

    monkeypatch.setattr(qhttp.cli, "_command", interrupt)
    assert qhttp.cli.main([]) == 7


TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = """
import qhttp.cli, qhttp.cli.command
from cli.fake import FakeDownloader, WAIT
def make(settings):
    downloader = FakeDownloader({"http://example.org/a": WAIT}, **settings)
    downloader.run = lambda: (downloader.pump_soon(), print("begun", flush=True), qhttp.loop().run())
    return downloader
qhttp.cli.command.make_downloader = make
raise SystemExit(qhttp.cli.main(["http://example.org/a", "-i", "-"]))
"""


def python(program):
    root = os.path.dirname(os.path.dirname(qhttp.__file__))
    return subprocess.Popen(
        [sys.executable, "-c", program], cwd=root, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{TESTS}"}, preexec_fn=interruptible)


def interruptible():
    """Also where the tests run in the background of a shell, which has Ctrl-C ignored there."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_interrupt_is_seen_while_the_loop_sleeps_and_stdin_gives_nothing():
    """With a loop that nothing wakes, and a pipe that stays open."""
    program = python(PROGRAM)
    with program:
        assert program.stdout.readline() == "begun\n"
        program.send_signal(signal.SIGINT)
        assert program.wait(20) == 7
        assert "same command again" in program.stderr.read()


LATE = """
import atexit, os, signal, sys
import qhttp.cli, qhttp.cli.command
from cli.fake import FakeDownloader
sys.argv = ["qhttp", "http://example.org/a"]
run = qhttp.cli.command.run
def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
def run_and_interrupt(arguments):
    status = run(arguments)
    interrupt()
    return status
atexit.register(interrupt)
qhttp.cli.command.make_downloader = lambda settings: FakeDownloader(**settings)
qhttp.cli.command.run = run_and_interrupt
"""


def ended(program):
    """(status, stderr) of a Python program."""
    running = python(program)
    told = running.communicate(timeout=20)[1]
    return running.returncode, told


def test_interrupt_of_the_process_after_the_run_changes_nothing():
    """Between the run and its end, and while the interpreter ends."""
    status, told = ended(LATE + "raise SystemExit(qhttp.cli.process())")
    assert status == 0 and "Interrupt" not in told


def test_interrupt_of_the_process_without_a_run_changes_nothing():
    status, told = ended(LATE + "sys.argv[1:] = ['--version']; raise SystemExit(qhttp.cli.process())")
    assert status == 0 and "Interrupt" not in told


def test_interrupt_of_the_process_before_the_run_is_seven():
    status, told = ended(LATE + "qhttp.cli.command.run = lambda arguments: interrupt(); raise SystemExit(qhttp.cli.process())")
    assert status == 7 and "Traceback" not in told


def test_interrupt_after_the_run_is_the_callers_where_main_is_a_function():
    assert "KeyboardInterrupt" in ended(LATE + "atexit.unregister(interrupt); qhttp.cli.main(); interrupt()")[1]
