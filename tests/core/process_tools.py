"""Forked children, other threads and descriptors, for the tests of the floors below the Qt face."""
import faulthandler
import os
import pickle
import signal
import sys
import threading
import traceback
import warnings

# Calls that a loop takes in its own thread and process only.
USES = {
    "fileno": lambda loop: loop.fileno(),
    "run": lambda loop: loop.run(0),
    "dispatch": lambda loop: loop.dispatch(),
    "call_soon": lambda loop: loop.call_soon(print),
    "call_later": lambda loop: loop.call_later(1, print),
}
CHILD_LIMIT_S = 10          # a child that hangs says where, and ends


def fork():
    """os.fork(), without the warning of later Pythons that there are threads: the children here use none of theirs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def in_child(work):
    """Calls `work()` in a forked child and returns what it returns; AssertionError with its traceback where it raises."""
    read_fd, write_fd = os.pipe()
    pid = fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        faulthandler.register(signal.SIGALRM, file=sys.__stderr__, chain=True)
        signal.alarm(CHILD_LIMIT_S)
        try:
            answer = True, work()
        except BaseException:
            answer = False, traceback.format_exc()
        os.write(write_fd, pickle.dumps(answer))
        os._exit(0)
    os.close(write_fd)
    with open(read_fd, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(pid, 0)
    assert data, f"the child died, exit {os.waitstatus_to_exitcode(status)}"
    good, answer = pickle.loads(data)
    assert good, answer
    return answer


class Child:
    """A forked child that has called `work()` and then lives until `end()` (or the end of a `with` block)."""

    def __init__(self, work=lambda: None):
        ready_fd, theirs = os.pipe()
        end_fd, self._end_fd = os.pipe()
        self.pid = fork()
        if self.pid == 0:
            signal.alarm(CHILD_LIMIT_S)
            os.close(self._end_fd)
            try:
                work()
                os.write(theirs, b"!")
                os.read(end_fd, 1)
            finally:
                os._exit(0)
        os.close(theirs)
        os.close(end_fd)
        self.came_up = os.read(ready_fd, 1) == b"!"
        os.close(ready_fd)

    def end(self):
        os.close(self._end_fd)
        os.waitpid(self.pid, 0)

    def __enter__(self):
        assert self.came_up, "the child has failed"
        return self

    def __exit__(self, *_):
        self.end()


def in_thread(work):
    """Calls `work()` in another thread, waits for its end, and returns what it returns, or raises what it raises."""
    outcome = []

    def run():
        try:
            outcome.extend((work(), None))
        except BaseException as error:
            outcome.extend((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    value, error = outcome
    if error is not None:
        raise error
    return value


def descriptors():
    """What this process has open, as a sorted list of what /proc/self/fd points at (sockets and pipes by their kind)."""
    kinds = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:
            continue                    # that of this very listing
        kinds.append(target.partition(":[")[0] if target.startswith(("socket", "pipe")) else target)
    return sorted(kinds)


def n_pollers():
    """How many epoll sets this process has open."""
    return descriptors().count("anon_inode:[eventpoll]")
