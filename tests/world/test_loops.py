"""Event loops of others drive qhttp: asyncio, uvloop, trio, GLib and Qt, each at its strictest, with warnings as errors."""
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from world import driven
from world.programs import missing

TESTS = Path(__file__).resolve().parents[1]
PATHS = [f"/{location}/{name}" for location in ("plain", "chunked", "until-close") for name in ("small", "4mib")]
LIMIT_S = 35
NEEDED = {"asyncio": (), "uvloop": ("uvloop",), "trio": ("trio",), "glib": ("gi",), "pyside6": ("qtpy", "PySide6"),
          "pyqt6": ("qtpy", "PyQt6")}


def needs(loop):
    """Skips where what drives this loop is not there."""
    for module in NEEDED[loop]:
        if module == "gi":
            needs_gi()
        elif importlib.util.find_spec(module) is None:
            missing(f"the module {module} is not installed")


def needs_gi():
    """PyGObject is Debian's: a compiled module for one minor version of CPython."""
    found = run("-c", "from world.driven import find_gi; find_gi(); from gi.repository import GLib")
    if found.returncode:
        said = (found.stderr.strip() or "it died").splitlines()[-1]
        reason = f"no PyGObject for CPython {sys.version_info[0]}.{sys.version_info[1]} (Debian's python3-gi): {said}"
        if any(Path(driven.OF_DEBIAN, "gi").glob("_gi.cpython-*")) and "_gi" in said:
            pytest.skip(reason)         # installed, for another Python: nothing is missing
        missing(reason)


def run(*words):
    """A Python with every warning an error, the tests and the tree on its path."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *(path for path in sys.path if path)]),
                   "G_DEBUG": "fatal-warnings"}
    return subprocess.run([sys.executable, "-X", "dev", "-W", "error", *words], env=environment, capture_output=True, text=True,
                          timeout=LIMIT_S)


@pytest.fixture
def digest(nginx):
    """The SHA-256 of what a path leads to, from the disk."""
    return lambda path: hashlib.sha256(nginx.file(path.rpartition("/")[2]).read_bytes()).hexdigest()


@pytest.mark.parametrize("loop", driven.LOOPS)
def test_loop_drives_many_requests_cancels_and_lets_go(nginx, digest, loop):
    needs(loop)
    ended = run("-m", "world.driven", loop, f"127.0.0.1:{nginx.port['http']}", *PATHS)
    assert (ended.returncode, ended.stderr) == (0, "")
    report = json.loads(ended.stdout)
    assert Counter(map(tuple, report["bodies"])) == {(path, digest(path)): driven.N_AT_ONCE // len(PATHS) for path in PATHS}
    assert report["aborted"] == ["Aborted"] * driven.N_CANCELLED
    assert report["raised"] == ["ZeroDivisionError('division by zero')"]
    assert report["under way"] == ["Reading"] * driven.N_LEFT
    assert report["last"] == digest(PATHS[0])
    assert (report["still watched"], report["complaints"], report["connections"]) == ([], [], 0)


@pytest.mark.parametrize("loop", ["trio", "glib"])
def test_example_program_prints_the_size_of_each_body(nginx, loop):
    needs(loop)
    urls = [f"http://127.0.0.1:{nginx.port['http']}{path}?{n}" for path in PATHS for n in range(5)]
    ended = run("-m", "world.driven", "example", f"loop_{loop}.py", *urls)
    assert (ended.returncode, ended.stderr) == (0, "")
    sizes = {url: nginx.file(url.rpartition("/")[2].partition("?")[0]).stat().st_size for url in urls}
    assert dict(line.split() for line in ended.stdout.splitlines()) == {url: str(size) for url, size in sizes.items()}


@pytest.mark.parametrize("loop, said", [("trio", "OSError: http://127.0.0.1:"), ("glib", "refused")])
def test_example_program_tells_of_a_failure(closed_port, loop, said):
    needs(loop)
    ended = run("-m", "world.driven", "example", f"loop_{loop}.py", f"http://127.0.0.1:{closed_port.port}/")
    assert said in ended.stdout + ended.stderr
    assert ended.returncode == (1 if loop == "trio" else 0)         # one raises, the other prints


CANCELS = """\
import sys, trio
from world.driven import example
fetch, drive = example("loop_trio").fetch, example("loop_trio").drive

async def main(slow, sound):
    async with trio.open_nursery() as background:
        background.start_soon(drive)
        with trio.move_on_after(0.05) as scope:
            async with trio.open_nursery() as nursery:
                for _ in range(10):
                    nursery.start_soon(fetch, slow)
        print(scope.cancelled_caught, len(await fetch(sound)))
        background.cancel_scope.cancel()
    print(trio.lowlevel.current_statistics().io_statistics.tasks_waiting_read)

trio.run(main, *sys.argv[1:], strict_exception_groups=True)
import gc, os, qhttp
qhttp.run()
print(not [fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")
           and "socket" in os.readlink(f"/proc/self/fd/{fd}")])
"""


def test_trio_example_cancelled_tasks_take_their_requests_back(nginx):
    needs("trio")
    base = f"http://127.0.0.1:{nginx.port['http']}"
    ended = run("-c", CANCELS, f"{base}{driven.SLOW}", f"{base}/plain/4mib")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.split() == ["True", str(4 << 20), "1", "True"]      # one: trio's own
