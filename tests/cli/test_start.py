"""What the command costs before it does anything."""
import subprocess
import sys
from pathlib import Path

import pytest

import qhttp

ROOT = Path(qhttp.__file__).parent.parent
HEAVY = {"ssl", "_ssl", "asyncio", "rich", "sqlite3", "json", "urllib", "typing", "dataclasses", "inspect", "threading",
         "signal"}


def loaded_by(code):
    """The modules that a fresh interpreter has after some code, whose output goes away."""
    code = (f"import io, sys; sys.path.insert(0, {str(ROOT)!r}); out, sys.stdout = sys.stdout, io.StringIO(); {code}; "
            "print(*sys.modules, file=out)")
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("code", ["import qhttp.cli", "import qhttp.cli; assert qhttp.cli.main(['--version']) == 0"])
def test_import_and_version_load_next_to_nothing(code):
    loaded = loaded_by(code)
    assert "qhttp.cli" in loaded
    assert loaded & (HEAVY | {"argparse", "re"}) == set()
    assert {name for name in loaded if name.startswith("qhttp.")} == {"qhttp.cli"}


def test_help_loads_nothing_heavy():
    loaded = loaded_by("import qhttp.cli; assert qhttp.cli.main(['--help']) == 0")
    assert "qhttp.cli.help" in loaded
    assert loaded & HEAVY == set()
    assert {name for name in loaded if name.startswith(("qhttp._", "qhttp.engine"))} == set()


@pytest.mark.parametrize("words, status, said", [(["--version"], 0, f"qhttp {qhttp.__version__}\n"), (["x"], 2, "")])
def test_module_runs_as_the_command(words, status, said):
    done = subprocess.run([sys.executable, "-m", "qhttp", *words], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (status, said)


def test_help_into_a_pipe_that_nobody_reads_ends_without_a_traceback():
    done = subprocess.Popen([sys.executable, "-m", "qhttp", "--help-all"], cwd=ROOT, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)
    done.stdout.close()
    assert done.wait(20) == 1
    with done.stderr:
        assert done.stderr.read() == b""
