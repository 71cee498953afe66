"""The plots of the page: one for each workload, and the summary for the README."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from bench.page.figures import Page, Workload
from bench.plots import THEMES, Bar, RatioRow, bars, number, ratios, times

# Libraries of the summary, by how the names of their contenders begin; the first one is highlighted.
LIBRARIES = {"qhttp": "qhttp", "pycurl": "pycurl", "urllib3": "urllib3", "aiohttp": "aiohttp", "httpx": "httpx",
             "requests": "requests", "httpcore": "httpcore", "http_client": "http.client"}  # fmt: skip
MOST_SERIES = 6
SUMMARY_WORKLOADS = 6
# Which workloads the summary shows, where they were measured: one of each task. It is filled up with others in their order.
SUMMARY_FIRST = ("small_64", "sequential", "stream_1g", "memory_64m", "file_1g_disk", "file_1g", "chunked_16k")


def capital(title: str) -> str:
    """As a heading."""
    return title[:1].upper() + title[1:]


def plot_files(name: str) -> list[str]:
    """Names of the files of one plot, light one first."""
    return [f"{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}-{theme.name}.svg" for theme in THEMES]


def bars_of(workload: Workload) -> list[Bar]:
    """A bar for each contender; those without a number say so, the reason stands in the table."""
    found = []
    for figure in workload.figures:
        if figure.failure:
            found.append(Bar(figure.label, None, "no number"))
        elif figure.cpu is not None:
            ratio = "" if figure.cpu_ratio is None or figure.is_floor else times(figure.cpu_ratio)
            found.append(Bar(figure.label, figure.cpu, number(figure.cpu), ratio, figure.is_ours, figure.is_floor))
    return found


def library_ratio(workload: Workload, prefix: str) -> float | None:
    """What a library takes in its cheapest form: the same rule for each, ours included."""
    known = [f.cpu_ratio for f in workload.figures if f.name.startswith(prefix) and f.cpu_ratio is not None]
    return min(known, default=None)


def summary_workloads(page: Page) -> list[Workload]:
    """About six with a floor in C, in the order of the page."""
    usable = [w for w in page.workloads if w.floor and w.floor.is_c and library_ratio(w, "qhttp") is not None]
    usable.sort(key=lambda w: SUMMARY_FIRST.index(w.name) if w.name in SUMMARY_FIRST else len(SUMMARY_FIRST))
    chosen = {w.name for w in usable[:SUMMARY_WORKLOADS]}
    return [w for w in page.workloads if w.name in chosen]


def summary_libraries(workloads: Sequence[Workload]) -> list[str]:
    """Those that have a number in at least one of the workloads."""
    return [p for p in LIBRARIES if any(library_ratio(w, p) is not None for w in workloads)][:MOST_SERIES]


def draw(page: Page, folder: Path) -> list[Path]:
    """Writes all plots; those of workloads that are no longer there go."""
    folder.mkdir(parents=True, exist_ok=True)
    content: dict[str, str] = {}
    for workload in page.workloads:
        rows = bars_of(workload)
        for theme, file in zip(THEMES, plot_files(workload.name), strict=True):
            if any(row.value is not None for row in rows):
                content[file] = bars(capital(workload.title), workload.cpu_unit, rows, theme, workload.floor_text)
    chosen = summary_workloads(page)
    if chosen:
        libraries = summary_libraries(chosen)
        lines = [RatioRow(capital(w.title), tuple(library_ratio(w, p) for p in libraries)) for w in chosen]
        for theme, file in zip(THEMES, plot_files("summary"), strict=True):
            content[file] = ratios(
                "CPU time of HTTP clients beside a C program doing the same",
                "Ratio to that program's CPU time, each library in its cheapest form; further left is better",
                [LIBRARIES[p] for p in libraries], lines, theme,
            )  # fmt: skip
    for theme in THEMES:
        for old in folder.glob(f"*-{theme.name}.svg"):
            if old.name not in content:
                old.unlink()
    for file, text in content.items():
        (folder / file).write_text(text, encoding="utf-8")
    return [folder / file for file in content]
