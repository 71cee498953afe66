"""The helps, the man page and the completions: all of one table."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import qhttp
from qhttp.cli import main
from qhttp.cli.help import help_text
from qhttp.cli.manual import page
from qhttp.cli.options import OPTIONS

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [flag for option in OPTIONS for flag in option.flags]


def test_help_fits_on_a_screen():
    lines = help_text(False).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.flags[-1])
def test_help_all_has_every_option_once(option):
    lines = help_text(True).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(re.search(rf"^ +(-., )?{option.flags[-1]}( |$)", line) is not None for line in lines) == 1


@pytest.mark.parametrize("words, expected", [
    (["--help"], help_text(False)), (["-h"], help_text(False)), (["--help-all"], help_text(True)),
    (["-j", "no", "--help"], help_text(False)), (["--version"], f"qhttp {qhttp.__version__}\n"),
    (["-v", "--version"], f"qhttp {qhttp.__version__}\n"),
])
def test_main_help_and_version_are_printed(capsys, words, expected):
    assert main(words) == 0
    assert capsys.readouterr() == (expected, "")


def test_no_flag_is_there_twice():
    assert len(set(FLAGS)) == len(FLAGS)


def test_short_options_are_no_more_than_these():
    """A letter that curl and aria2 both have means one thing or is not taken."""
    assert sorted(flag for flag in FLAGS if len(flag) == 2) == ["-H", "-d", "-h", "-i", "-j", "-o", "-q", "-v"]


# -- the man page
def test_manual_in_the_documentation_is_up_to_date():
    assert (ROOT / "docs" / "qhttp.1").read_text() == page(), "python -m qhttp.cli.manual > docs/qhttp.1"


@pytest.mark.parametrize("flag", FLAGS)
def test_manual_has_every_option(flag):
    assert r"\fB" + flag.replace("-", r"\-") + r"\fR" in page()


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_manual_is_good_roff():
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww"], input=page(), capture_output=True, text=True, check=True,
                          env={name: value for name, value in os.environ.items() if name != "LD_PRELOAD"})    # a sanitizer's
    assert done.stderr == ""
    assert "User Commands" in done.stdout


# -- completions
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_names_every_option_and_is_read_by_its_shell(capsys, shell):
    assert main(["--completion", shell]) == 0
    script = capsys.readouterr().out
    for flag in FLAGS:
        assert (f" -l {flag[2:]} " if shell == "fish" and len(flag) > 2 else flag[1:]) in script
    if shutil.which(shell) is not None:
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize("words, expected", [
    ("--no-re", ["--no-resume"]), ("--progress js", ["json"]), ("--dir fol", ["folder"]), ("-i li", ["list.txt"]),
    ("--user j", []),
    ("http://x", []),
])
def test_completion_of_bash_completes(tmp_path, capsys, words, expected):
    (tmp_path / "folder").mkdir()
    (tmp_path / "list.txt").touch()
    main(["--completion", "bash"])
    before, word = ["qhttp", *words.split()][-2:]
    code = f'compopt() {{ :; }}\n{capsys.readouterr().out}\n_qhttp qhttp "{word}" "{before}"; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == expected
