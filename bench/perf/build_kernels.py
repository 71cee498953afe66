"""Compile kernels.c together with src_c/*.c: a program to count instructions of, and a library to time in this process."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FLAGS = ("-std=c11", "-O2", "-g", "-Wall", "-Wextra", "-Isrc_c")       # setup.py's optimisation


def _compile(target: Path, *more: str) -> Path:
    compiler = os.environ.get("CC", "cc").split()
    kernels = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "src_c").glob("*.c"))]
    command = [*compiler, *FLAGS, *more, "-o", str(target), "bench/perf/kernels.c", *kernels]
    subprocess.run(command, cwd=ROOT, check=True)
    return target


def build_program(folder: Path) -> Path:
    """The program `kernels CASE N`."""
    return _compile(folder / "kernels")


def build_library(folder: Path) -> Path:
    """A library with a function of the name of each case."""
    return _compile(folder / "kernels.so", "-shared", "-fPIC")
