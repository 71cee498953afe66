"""Plays one test of this folder in a child whose clocks stand still. What the tests need is imported before the children are
made: it would be half of their time."""
import importlib
import pathlib
import sys
import tempfile
import traceback

from support.still_clock import StillClock

import qhttp

HERE = pathlib.Path(__file__).parent
N_LOCALS_CHARS = 300        # of a variable, in what is told about a failure
MODULES = {f"clocks.{path.stem}": importlib.import_module(f"clocks.{path.stem}") for path in HERE.glob("test_*.py")}
USED = qhttp.QHttp, qhttp.Client, qhttp.Downloader          # they are imported by their first use


def play(module: str, function: str, arguments: dict, wanted: tuple[str, ...]) -> str | None:
    """Calls the test; None, or what is to be told about its failure. `wanted`: "clock" and "folder", which are made here."""
    with tempfile.TemporaryDirectory() as folder:
        made = {"clock": StillClock(), "folder": pathlib.Path(folder)}
        made["clock"].start()
        try:
            getattr(MODULES[module], function)(**arguments, **{name: made[name] for name in wanted})
        except BaseException:
            kind, error, trace = sys.exc_info()
            told = traceback.TracebackException(kind, error, trace.tb_next, capture_locals=True)
            return "".join(line if len(line) < N_LOCALS_CHARS else line[:N_LOCALS_CHARS] + "...\n"
                           for part in told.format() for line in part.splitlines(keepends=True))
    return None
