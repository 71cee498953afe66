"""The figures of the README: the summary plot and one line a workload, between two markers.

Without the markers in README.md the lines are printed instead.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from bench.page.document import NO, QUICK, cell, picture, table
from bench.page.drawing import LIBRARIES, capital, summary_workloads
from bench.page.figures import Figure, Page, Workload
from bench.plots import number, times

BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
COLUMNS = ("qhttp", "pycurl", "aiohttp", "urllib3")


def cheapest(workload: Workload, prefix: str) -> Figure | None:
    """A library in its cheapest form."""
    return next((f for f in workload.figures if f.name.startswith(prefix) and f.cpu is not None), None)


def line(workload: Workload) -> list[str]:
    """Title, unit, floor, and each library with its ratio; the cheapest library is in bold."""
    found = [cheapest(workload, prefix) for prefix in COLUMNS]
    best = min((figure.cpu for figure in found if figure and figure.cpu is not None), default=None)
    floor = workload.floor
    cells = [f"[{cell(capital(workload.title))}](docs/benchmarks.md#{workload.name})", workload.cpu_unit]
    cells.append(number(floor.cpu) if floor and floor.is_c and floor.cpu is not None else NO)
    for figure in found:
        if figure is None or figure.cpu is None:
            cells.append(NO)
            continue
        text = f"**{number(figure.cpu)}**" if figure.cpu == best else number(figure.cpu)
        cells.append(f"{text} ({times(figure.cpu_ratio)})" if floor and floor.is_c and figure.cpu_ratio else text)
    return cells


def lines(page: Page) -> str:
    """The block, without its markers."""
    ours = [workload for workload in page.workloads if cheapest(workload, "qhttp")]
    heads = ["CPU of the client", "unit", "C floor", *(LIBRARIES[prefix] for prefix in COLUMNS)]
    parts = []
    if any(run.is_quick for run in page.runs):
        parts.append(QUICK)
    if summary_workloads(page):
        parts.append(picture("summary", "CPU time of HTTP clients as a multiple of a C program's", "docs/plots"))
    parts.append(table(heads, map(line, ours), n_text=2))
    parts.append(
        "In brackets the ratio to the C program; each library in its cheapest form, the cheapest of a line in bold. "
        "All clients, rates, peaks of memory,\nplots, and what these numbers are not: [docs/benchmarks.md](docs/benchmarks.md)."
    )
    return "\n\n".join(parts)


def rewrite(page: Page, readme: Path) -> None:
    """Puts the block between the markers of `readme`, or prints it."""
    text = readme.read_text(encoding="utf-8")
    between = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    if not between.search(text):
        print(lines(page))
        print(f"{readme.name} has no {BEGIN} and {END}: nothing was rewritten", file=sys.stderr)
        return
    readme.write_text(between.sub(lambda _: f"{BEGIN}\n{lines(page)}\n{END}", text, count=1), encoding="utf-8")
    print(f"{readme.name}: rewritten between its markers")
