"""The examples run, and the two worked ones give the signals that the class documentation lists."""
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
sys.path.insert(0, str(EXAMPLES))


def run(name, *arguments, seconds=60):
    """What an example prints; it must end well."""
    done = subprocess.run([sys.executable, EXAMPLES / name, *arguments], capture_output=True, text=True, timeout=seconds,
                          check=False, cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def worked():
    import worked_examples
    return worked_examples


def came(worked, name):
    return worked.run_apart(name)[0]


def documented(worked, name):
    return [line for line in worked.EXAMPLES[name][2].splitlines() if line]


@pytest.mark.limit(60)
def test_worked_examples_differ_as_expected_only():
    text = run("worked_examples.py")
    assert "NOT EXPECTED" not in text and "FAILED" not in text and "Host host.invalid not found" in text


@pytest.mark.limit(60)
def test_worked_example_of_a_get_tells_the_documented_signals(worked):
    lines = came(worked, "get")
    assert "dataSendProgress(77, 77)" in lines
    assert [line for line in lines if "HostLookup" not in line] == documented(worked, "get")


@pytest.mark.limit(60)
def test_worked_example_that_fails_tells_the_documented_signals(worked):
    assert came(worked, "fail") == documented(worked, "fail")


@pytest.mark.parametrize("wrong", [
    lambda lines: lines[:-1], lambda lines: [*lines, "done(True)"], lambda lines: [lines[1], lines[0], *lines[2:]],
    lambda lines: [line.replace("77, 77", "75, 75") for line in lines],
    lambda lines: [line for line in lines if "dataReadProgress" not in line],
], ids=["short", "surplus", "order", "size", "nothing read"])
def test_worked_examples_other_signals_are_not_accepted(worked, wrong, capsys):
    lines = documented(worked, "get")
    assert worked.compare("", lines, lines) and not worked.compare("", lines, wrong(lines))


@pytest.mark.limit(120)
def test_demo_downloads_every_file_equal():
    assert "every SHA-256 equal" in run("demo.py", "--big-mib", "1", "--lanes", "4", seconds=110)
