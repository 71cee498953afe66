"""How many instructions each hot piece takes, counted by callgrind: the same on a busy machine as on an idle one.

    python -m bench.perf.instructions [CASE ...] [--save] [--check PERCENT]

Each case runs twice, N and 2N times; the difference divided by N is one repetition, without start and end. It is
compared with bench/perf/baseline.json, which --save writes. Only --check makes a growth by more than PERCENT an error.
The memory of a queued request is measured and compared, too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.build_c import build
from bench.perf import memory
from bench.perf.build_kernels import ROOT, build_program
from bench.perf.cases import C_CASES, PYTHON_CASES, WHAT
from bench.servers import c_server

BASELINE = Path(__file__).parent / "baseline.json"
MEMORY = "queued_request"
NAMES = (*C_CASES, *PYTHON_CASES, MEMORY)
TIMEOUT_S = 120
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "GLIBC_TUNABLES": "glibc.cpu.x86_rep_movsb_threshold=1073741824",  # valgrind counts one `rep movsb` as many
}


def need_valgrind() -> None:
    """Installs valgrind where that is possible, else ends with a word about it."""
    if not shutil.which("valgrind"):
        subprocess.run([ROOT / "tools" / "debian_packages.sh", "valgrind=valgrind"], check=False)
    if not shutil.which("valgrind"):
        sys.exit("valgrind is needed")


def total_instructions(command: list[str], folder: Path) -> int:
    """Of one run, from its first instruction to its last."""
    out = folder / "callgrind.out"
    out.unlink(missing_ok=True)
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *command],
        cwd=ROOT, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if not line.startswith("==")]
        sys.exit(f"{' '.join(command)}: {said[-1] if said else f'exit status {done.returncode}'}")
    found = re.findall(r"^(?:summary|totals): (\d+)", out.read_text(errors="replace"), re.MULTILINE)
    return int(found[-1])


def per_repetition(command: list[str], n: int, folder: Path, *more: str) -> float:
    """Instructions of one repetition."""
    once, twice = (total_instructions([*command, str(times), *more], folder) for times in (n, 2 * n))
    return (twice - once) / n


def measure(names: list[str], folder: Path) -> dict[str, float]:
    """The number of each case, in the order of NAMES; says how far it is on stderr."""
    numbers: dict[str, float] = {}
    kernels = str(build_program(folder))
    with c_server(build(folder, ("server",))) as port:
        for name in (name for name in NAMES if name in names):
            print(f"\r{name:20}", end="", file=sys.stderr, flush=True)
            if name == MEMORY:
                numbers[name] = memory.measure()
            elif name in C_CASES:
                numbers[name] = per_repetition([kernels, name], C_CASES[name], folder)
            else:
                command = [sys.executable, "-m", "bench.perf.repeat", name]
                numbers[name] = per_repetition(command, PYTHON_CASES[name][2], folder, str(port))
        print("\r" + " " * 20 + "\r", end="", file=sys.stderr)
    return numbers


def about() -> dict[str, str]:
    """What instruction counts depend on besides qhttp."""

    def first_line(*command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.partition("\n")[0]

    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler": first_line(*os.environ.get("CC", "cc").split(), "--version"),
        "libc": " ".join(platform.libc_ver()),
        "machine": platform.machine(),
    }


def load_baseline() -> dict[str, dict]:
    """Empty where there is none."""
    return json.loads(BASELINE.read_text()) if BASELINE.exists() else {}


def show(numbers: dict[str, float], before: dict[str, float]) -> None:
    """A table: what, how many, how many before, the ratio."""
    print("Instructions of one repetition; bytes of a queued request.\n")
    print(f"{'case':18} {'now':>12} {'baseline':>12} {'ratio':>7}")
    for name, number in numbers.items():
        old = before.get(name)
        old_text, ratio = (f"{old:,.1f}", f"{number / old:.3f}") if old else ("-", "-")
        print(f"{name:18} {number:12,.1f} {old_text:>12} {ratio:>7}  {WHAT[name]}")


def save(numbers: dict[str, float], baseline: dict[str, dict]) -> None:
    """Writes the baseline; cases that were not measured now keep their number."""
    known = {**baseline.get("numbers", {}), **{name: round(number, 1) for name, number in numbers.items()}}
    ordered = {name: known[name] for name in NAMES if name in known}
    BASELINE.write_text(json.dumps({"about": about(), "numbers": ordered}, indent=1) + "\n")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.perf.instructions", description=(__doc__ or "").split("\n")[0],
                                     epilog="Cases: " + ", ".join(NAMES))  # fmt: skip
    parser.add_argument("case", nargs="*", help="default: all")
    parser.add_argument("--save", action="store_true", help="make what is counted now the baseline")
    parser.add_argument("--check", type=float, metavar="PERCENT", help="exit status 1 where a number grew by more")
    options = parser.parse_args()
    if unknown := set(options.case) - set(NAMES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    return options


def main() -> None:
    options = read_options()
    need_valgrind()
    with tempfile.TemporaryDirectory(prefix="perf-") as folder:
        numbers = measure(options.case or list(NAMES), Path(folder))
    baseline = load_baseline()
    before = baseline.get("numbers", {})
    show(numbers, before)
    differs = [f"{key} was {old}" for key, old in baseline.get("about", {}).items() if old != about()[key]]
    if differs:
        print(f"\nThe baseline is from elsewhere, ratios are a hint: {'; '.join(differs)}.")
    if options.save:
        save(numbers, baseline)
    if options.check is not None:
        most = 1 + options.check / 100
        grown = [name for name, number in numbers.items() if name in before and number > before[name] * most]
        if grown:
            sys.exit(f"grown by more than {options.check:g} %: {', '.join(grown)}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
