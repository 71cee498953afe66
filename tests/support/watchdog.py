"""A limit for one test, which turns a hang into a failure, also out of a loop that waits for ever."""
import contextlib
import signal


class Hang(Exception):
    """A test took longer than its limit."""


@contextlib.contextmanager
def limited(seconds):
    """Raises Hang in whatever runs inside for longer, and again each second."""
    def ring(*_):
        raise Hang("the test hangs")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
