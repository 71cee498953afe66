"""Interpreters beside the first one: the second to import qhttp is refused, and the first goes on as if nothing had been."""
import os
import subprocess
import sys

import pytest
from support import faults

RUN_S = 30
BEGINNING = """\
import sys
try:
    import _interpreters                            # CPython 3.13
    make = lambda isolated: _interpreters.create("isolated" if isolated else "legacy")
    run = _interpreters.exec
except ImportError:
    import _xxsubinterpreters as _interpreters
    make = lambda isolated: _interpreters.create(isolated=isolated)
    run = _interpreters.run_string

IMPORTS = f'''
import sys
sys.path[:] = {sys.path}                            # the same qhttp, where there are two
try:
    import qhttp
    qhttp.QHttp
    print("imported", flush=True)
except ImportError as error:
    print("refused:", error, flush=True)
'''

def fetch(port):
    import qhttp
    http = qhttp.QHttp("127.0.0.1", port)
    http.get("/")
    assert http.waitForDone(5000)
    print(http.readAll().decode(), flush=True)

"""
AFTER_MAIN = BEGINNING + """
fetch(int(sys.argv[1]))
other = make(isolated=sys.argv[2] == "isolated")
run(other, IMPORTS)
_interpreters.destroy(other)
fetch(int(sys.argv[1]))
"""
BEFORE_MAIN = BEGINNING + """
other = make(isolated=False)
run(other, IMPORTS)
_interpreters.destroy(other)
exec(IMPORTS)
"""


def run(code, *words):
    """The lines that a program writes; it must end well, and write nothing to stderr."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", code, *map(str, words)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=RUN_S)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.splitlines()


@pytest.mark.parametrize("kind", ["legacy", "isolated"])
def test_second_interpreter_is_refused_and_the_first_goes_on(scripted_server, kind):
    server = scripted_server(*[faults.answer()] * 2)
    first, refused, last = run(AFTER_MAIN, server.port, kind)
    assert first == last == faults.BODY.decode()
    assert refused.startswith("refused:") and "interpreter" in refused


def test_main_interpreter_is_refused_where_another_was_first():
    first, refused = run(BEFORE_MAIN)
    assert first == "imported" and refused.startswith("refused:") and "one interpreter per process" in refused
