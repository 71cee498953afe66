"""The types of the package, as its users get them: `pyright --verifytypes` finds all of them known, and the stubs say what the
compiled modules have (mypy's stubtest, less what tools/stubtest.txt excuses).

pyright looks at installed packages alone, and only at those that lie in site-packages themselves, not behind a .pth file. So it
is given an environment with a copy of the package's Python files. Without fsspec, qtpy or PySide6 the modules for them are
left out.
"""
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from importlib.util import find_spec
from pathlib import Path
from shutil import copytree, ignore_patterns

ROOT = Path(__file__).resolve().parent.parent
NOT_COPIED = ignore_patterns("*.so", "*.c", "*.pyx", "*.pxd", "__pycache__")
NEEDS = {"qhttp.qt": ("qtpy", "PySide6"), "qhttp.fs": ("fsspec",), "qhttp.remote_file": ("fsspec",)}


def left_out() -> list[str]:
    """Modules of the package whose own packages are not there."""
    return [module for module, packages in NEEDS.items() if not all(map(find_spec, packages))]


def unknown_types(folder: Path, without: list[str]) -> list[str]:
    """What pyright finds wrong, a line for each public name."""
    venv.create(folder, with_pip=False)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    copytree(ROOT / "qhttp", packages / "qhttp", ignore=NOT_COPIED)
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pyright = [sys.executable, "-m", "pyright", "--verifytypes", "qhttp", "--ignoreexternal", "--outputjson"]
    done = subprocess.run(pyright, capture_output=True, text=True, cwd=folder, check=False,
                          env={**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"})
    found = json.loads(done.stdout)
    wrong = [diagnostic["message"] for diagnostic in found["generalDiagnostics"]]
    symbols = found["typeCompleteness"]["symbols"]
    for symbol in symbols:
        is_left_out = any(symbol["name"] == module or symbol["name"].startswith(module + ".") for module in without)
        if not is_left_out and not (symbol["isTypeKnown"] and not symbol["isTypeAmbiguous"]):
            wrong += [f"{symbol['name']}: {diagnostic['message']}" for diagnostic in symbol["diagnostics"]] or [symbol["name"]]
    print(f"pyright --verifytypes: {len(symbols)} names, {found['typeCompleteness']['completenessScore']:.1%} known")
    return wrong


def check_stubs(folder: Path, without: list[str]) -> int:
    """The exit status of stubtest."""
    command = [sys.executable, "-m", "mypy.stubtest", "qhttp", "--concise", "--mypy-config-file", "pyproject.toml",
               "--allowlist", "tools/stubtest.txt"]
    if without:
        more = folder / "left_out.txt"
        more.write_text("".join(f"{module.replace('.', chr(92) + '.')}(\\..*)?\n" for module in without))
        command += ["--allowlist", str(more), "--ignore-unused-allowlist"]
    return subprocess.run(command, cwd=ROOT, check=False, env={**os.environ, "QT_API": "pyside6"}).returncode


def main() -> int:
    without = left_out()
    if without:
        print(f"left out, for their packages are not installed: {', '.join(without)}")
    with tempfile.TemporaryDirectory() as folder:
        wrong = unknown_types(Path(folder) / "environment", without)
        print("\n".join(wrong), end="\n" if wrong else "")
        return bool(check_stubs(Path(folder), without)) or bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
