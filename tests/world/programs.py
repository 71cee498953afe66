"""Server programs as children of the tests: found, run in the foreground as an ordinary user, waited for, ended by pid.

No service of the system is touched. What is missing skips the tests that need it, or fails them where the environment
has QHTTP_WORLD_REQUIRED=1.
"""
import contextlib
import ctypes
import importlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest
from support.scripted_server import bound_socket

SERVER_USER = "nobody"      # for servers started by root: some refuse to run as root, none needs it
SYSTEM_FOLDERS = ["/usr/sbin", "/usr/local/sbin"]       # not in the PATH of an ordinary user
START_S = 15.0
END_S = 5.0
LOOK_AGAIN_S = 0.02         # between two looks at a port or a log
LOG_S = 5.0                 # the longest that a server takes to write its log
N_LOG_LINES = 15            # of a server that did not start
PR_SET_PDEATHSIG = 1


def missing(reason: str):
    """Skips the test, or fails it where everything has to be there."""
    if os.environ.get("QHTTP_WORLD_REQUIRED") == "1":
        pytest.fail(f"{reason}, and QHTTP_WORLD_REQUIRED=1", pytrace=False)
    pytest.skip(reason)


def program(name: str, *folders: str) -> str:
    """The path of a program, looked for in these folders, too."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS, *folders])
    return shutil.which(name, path=path) or missing(f"the program {name} is not installed")


def module(name: str):
    """An imported module that only these tests need."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing(f"the module {name} cannot be imported: {error}")


def run_as() -> dict:
    """The arguments of Popen with which a server is an ordinary user's."""
    return {"user": SERVER_USER, "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


def give(path) -> None:
    """Makes a file or folder the property of the user who runs the servers."""
    if os.geteuid() == 0:
        shutil.chown(path, SERVER_USER)


def make_folder(parent, name: str):
    """A folder in which a server may write."""
    folder = parent / name
    folder.mkdir()
    give(folder)
    return folder


def free_ports(n: int) -> list[int]:
    """Different free ports of loopback. Whoever binds them next has them, which is soon."""
    with contextlib.ExitStack() as held:
        return [held.enter_context(bound_socket()).getsockname()[1] for _ in range(n)]


def is_listening(port: int, host: str = "127.0.0.1") -> bool:
    try:
        socket.create_connection((host, port), 1).close()
        return True
    except OSError:
        return False


def wait_until(condition, seconds: float, otherwise):
    """Gives what the condition gives once that is true; raises TimeoutError with what `otherwise()` tells."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(otherwise())
        time.sleep(LOOK_AGAIN_S)
    return value


@contextlib.contextmanager
def running(command: list, ports: list[int], log, *, as_root: bool = False):
    """Runs a server in the foreground until the block is left; enters it when all ports accept connections."""
    libc = ctypes.CDLL(None)

    def end_with_parent():
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    with open(log, "ab") as output:
        give(log)
        process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=log.parent,
            preexec_fn=end_with_parent, start_new_session=True, **({} if as_root else run_as()))

    def said():
        return f"{command[0]} is not there:\n" + "\n".join(log.read_text(errors="replace").splitlines()[-N_LOG_LINES:])

    def is_up():
        if process.poll() is not None:
            raise RuntimeError(said())
        return all(map(is_listening, ports))

    try:
        wait_until(is_up, START_S, said)
        yield process
    finally:
        end(process)


def end(process) -> None:
    """Ends a server, and whatever of its helpers outlives it: they are in a session of their own."""
    process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        pass
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class JsonLog:
    """The log of a server, a JSON object on each line; a server may write it after the client has its answer."""

    def __init__(self, path):
        self.path = path
        path.touch()
        give(path)

    def about(self, text: str, key: str = "uri") -> list[dict]:
        """What it tells so far about the requests in whose `key` this text is, in order."""
        lines = self.path.read_text(errors="replace").split("\n")[:-1]      # the last one may be unfinished
        return [record for record in map(json.loads, lines) if text in record[key]]

    def wait_about(self, text: str, n: int = 1, key: str = "uri") -> list[dict]:
        """The same, once there are n requests."""
        def enough():
            records = self.about(text, key)
            return records if len(records) >= n else None
        return wait_until(enough, LOG_S, lambda: f"{self.path} has not {n} requests with {text} but {self.about(text, key)}")
