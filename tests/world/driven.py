"""One event loop of another library drives qhttp in a process of its own: what came, what it said, and what it still watches.

    python -m world.driven LOOP ADDRESS PATH ...          # a report, one line of JSON
    python -m world.driven example FILE URL ...           # examples/FILE as a program

LOOP is a name of LOOPS. `test_loops` starts it with warnings as errors and reads what it writes. Each loop is as strict as
it can be: asyncio and uvloop in debug mode, trio with strict exception groups, GLib and Qt with every message recorded.
"""
import contextlib
import gc
import hashlib
import importlib
import json
import os
import runpy
import socket
import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OF_DEBIAN = "/usr/lib/python3/dist-packages"        # where python3-gi puts PyGObject, for Debian's minor version of CPython
N_AT_ONCE = 60
N_CANCELLED = N_LEFT = 6
SLOW = "/slow/4mib"             # its body takes an hour
N_LOOKS = 10            # turns of a loop that still watched, it would have called qhttp in them
LONG_S = 60.0                   # what asyncio calls slow only then: this machine may be busy
PATIENCE_MS = 15_000


def example(name: str):
    """A program of examples/, as a module."""
    sys.path.insert(0, str(ROOT / "examples"))
    return importlib.import_module(name)


def find_gi() -> None:
    """Makes PyGObject importable: the environment's own, or that of the system, behind all else."""
    sys.path.append(OF_DEBIAN)
    warnings.filterwarnings("ignore", "DynamicImporter", ImportWarning)         # its own way of importing is an old one


# --------------------------------------------------------------------------------------------- the loops
# Each: in_<loop>(begin) lets the loop turn, calls begin(stop), and comes back after stop() with what it still watches and what
# it had to say. What a slot raised is noted by `Play.note`.
def in_asyncio(begin, play, factory=None):
    """asyncio's loop, or uvloop's."""
    import asyncio

    import qhttp
    from qhttp import aio
    complaints = []

    async def main():
        running = asyncio.get_running_loop()
        running.slow_callback_duration = LONG_S
        running.set_exception_handler(lambda _, context: play.note(context["exception"]) if "exception" in context
                                      else complaints.append(str(context)))
        over = asyncio.Event()
        aio.attach()
        begin(over.set)
        await over.wait()
        aio.detach()
        turned = []
        qhttp.loop().call_soon(lambda: turned.append("the reader"))
        for _ in range(N_LOOKS):
            await asyncio.sleep(0)
        return turned + [repr(task) for task in asyncio.all_tasks() - {asyncio.current_task()}]

    with asyncio.Runner(debug=True, loop_factory=factory) as runner:
        return runner.run(main()), complaints


def in_uvloop(begin, play):
    import uvloop
    return in_asyncio(begin, play, uvloop.new_event_loop)


def in_trio(begin, play):
    """The task of examples/loop_trio.py. A slot's exception ends it, wrapped in its nursery's group; it is started again."""
    import trio.testing
    drive = example("loop_trio").drive

    def n_watching():
        return trio.lowlevel.current_statistics().io_statistics.tasks_waiting_read

    async def main():
        await trio.testing.wait_all_tasks_blocked()     # trio's own reader has begun
        n_before, over = n_watching(), trio.Event()
        begin(over.set)
        while not over.is_set():
            try:
                async with trio.open_nursery(strict_exception_groups=True) as nursery:
                    nursery.start_soon(drive)
                    await over.wait()
                    nursery.cancel_scope.cancel()
            except ExceptionGroup as group:
                for error in group.exceptions:
                    play.note(error)
        return ["a reader"] * (n_watching() - n_before)

    return trio.run(main, strict_exception_groups=True), []


def in_glib(begin, play):
    """The source of examples/loop_glib.py."""
    find_gi()
    from gi.repository import GLib
    main_loop, complaints = GLib.MainLoop(), []
    GLib.log_set_writer_func(lambda *about: complaints.append(str(about)) or GLib.LogWriterOutput.HANDLED)
    before, sys.excepthook = sys.excepthook, lambda kind, error, where: play.note(error)
    source = example("loop_glib").attach()
    GLib.idle_add(begin, main_loop.quit)
    main_loop.run()
    GLib.source_remove(source)
    sys.excepthook = before
    return ["the source"] if GLib.MainContext.default().find_source_by_id(source) else [], complaints


def in_qt(begin, play, binding=None):
    """Qt's loop, with the binding of that name."""
    os.environ.update(QT_API=binding, QT_QPA_PLATFORM="offscreen")
    from qtpy.QtCore import QCoreApplication, QTimer, qInstallMessageHandler

    import qhttp.qt
    complaints = []
    qInstallMessageHandler(lambda kind, context, text: complaints.append(text))
    before, sys.excepthook = sys.excepthook, lambda kind, error, where: play.note(error)
    application = QCoreApplication(["driven"])
    qhttp.qt.attach()
    QTimer.singleShot(0, lambda: begin(application.quit))
    application.exec()
    (driver,) = qhttp.qt._drivers.values()
    notifier = driver.notifier
    shut_down = getattr(application, "shutdown", None)      # PySide's: the application itself is a global of it
    if shut_down is not None:
        shut_down()
    application = shut_down = driver = None
    gc.collect()
    sys.excepthook = before
    with contextlib.suppress(RuntimeError):                 # its object in C++ is gone
        notifier.isEnabled()
        return ["the notifier"], complaints
    return [str(thread) for thread in qhttp.qt._drivers], complaints


LOOPS = {"asyncio": in_asyncio, "uvloop": in_uvloop, "trio": in_trio, "glib": in_glib,
         "pyside6": lambda begin, play: in_qt(begin, play, "pyside6"), "pyqt6": lambda begin, play: in_qt(begin, play, "pyqt6")}


# --------------------------------------------------------------------------------------------- what is played
class Play:
    """Many requests at once; some under way that are aborted; a slot that raises; and a stop with others under way."""

    def __init__(self, address: str, paths: list[str]):
        self.host, _, port = address.rpartition(":")
        self.port, self.paths = int(port), paths
        self.bodies, self.aborted, self.raised, self.objects = [], [], [], []
        self.n_going = 0
        self.stop = None

    def note(self, error):
        """A slot has raised: at the end of that step."""
        self.raised.append(repr(error))

    def make(self, path: str, signal: str, slot):
        """A request with this slot at this signal. The object is kept."""
        import qhttp
        http = qhttp.QHttp(self.host, self.port)
        getattr(http, signal).connect(lambda *args: slot(http, *args))
        http.get(path)
        self.objects.append(http)
        return http

    def begin(self, stop):
        """Many at once."""
        self.stop, self.n_going = stop, N_AT_ONCE
        for n in range(N_AT_ONCE):
            path = self.paths[n % len(self.paths)]
            self.make(path, "done", lambda http, error, path=path: self.take(path, http, error))

    def take(self, path, http, error):
        self.bodies.append((path, http.errorString() if error else hashlib.sha256(http.readAll()).hexdigest()))
        self.n_going -= 1
        if not self.n_going:
            self.begin_slow(N_CANCELLED, self.cancel)

    def begin_slow(self, n, then):
        """So many that never end; `then` is called when all have an answer's head."""
        self.objects, self.n_going = [], n

        def count(http, header):
            self.n_going -= 1
            if not self.n_going:
                then()

        for _ in range(n):
            self.make(SLOW, "responseHeaderReceived", count)

    def cancel(self):
        for http in self.objects:
            http.abort()
            self.aborted.append(http.error().name)
        http = self.make(self.paths[0], "requestFinished", lambda *_: 1 / 0)
        http.done.connect(lambda error: self.begin_slow(N_LEFT, self.end))

    def end(self):
        """Stops the loop, with requests under way."""
        stop, self.stop = self.stop, None           # which would keep an application alive
        stop()


def n_connections(port: int) -> int:
    """Of this process, to the server: loops of others have descriptors that they keep."""
    gc.collect()
    n = 0
    for fd in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):          # no socket, or not connected
            sock = socket.socket(fileno=fd)
            try:
                n += sock.getpeername()[1:2] == (port,)
            finally:
                sock.detach()
    return n


def main(name: str, address: str, *paths: str) -> dict:
    import qhttp
    play = Play(address, list(paths))
    qhttp.QHttp(play.host, play.port).get(paths[0])     # imports what it needs, and has the loop made
    assert qhttp.run(PATIENCE_MS)
    still_watched, complaints = LOOPS[name](play.begin, play)
    under_way = [http.state().name for http in play.objects]
    for http in play.objects:
        http.abort()
    play.objects = None
    last = qhttp.QHttp(play.host, play.port)            # the loop is nobody's now, and as good as before
    last.get(paths[0])
    assert last.waitForDone(PATIENCE_MS)
    last_body = hashlib.sha256(last.readAll()).hexdigest()
    del last, http
    qhttp.run(PATIENCE_MS)
    return {"bodies": play.bodies, "aborted": play.aborted, "raised": play.raised, "under way": under_way, "last": last_body,
            "still watched": still_watched, "complaints": complaints, "connections": n_connections(play.port)}


if __name__ == "__main__":
    if sys.argv[1] == "example":
        del sys.argv[:2]
        find_gi()
        runpy.run_path(str(ROOT / "examples" / sys.argv[0]), run_name="__main__")
    else:
        print(json.dumps(main(*sys.argv[1:])))
