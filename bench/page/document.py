"""docs/benchmarks.md: caution, how to do it again, where it was measured, and a table and a plot for each workload."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bench.page.drawing import capital, plot_files
from bench.page.figures import Figure, Page, Run, Workload, without_paths
from bench.plots import number, times

START = """\
# Benchmarks

qhttp beside other HTTP clients. This page is made by `python -m bench.page` from what `make bench` saved; nothing on it is
written by hand.

## Caution first

* **Loopback is not a network.** These numbers say what a client costs, not how fast a download will be. On most lines any
  client waits for the line.
* **The CPU time is what to read**: user and system time of the whole client process, all threads. Wall time depends on the
  scheduler, the server and whatever else runs. The peak is that of the resident memory, interpreter included.
* **A ratio is worth more than a number, and only within one run.** In each round every contender has its turn once, in a
  new random order, each in a process of its own; shown is the median of the rounds, of the peak the largest. No ratio is
  taken across two runs.
* **Every answer is checked.** A client with a wrong answer has no number; what failed is listed with its reason.
* **Small differences mean nothing.** Below about five percent the next run may have it the other way round.
* **The bias:** this is qhttp's own comparison, and the workloads are those it was made for. The other libraries do many
  things that qhttp does not (https, redirects, cookies, proxies, HTTP/2), and a part of what they cost is the price of
  that. Each is used in the best form known to us; a better one is welcome.
* **The floor** is, where not said otherwise, a C program that does the same system calls and nothing else: not a client,
  but a mark for what the kernel takes. Another way of asking for the same (pipelining, larger pieces) can be below it.

## Once more

    make bench                                  # everything, some minutes
    make bench W=small_64                       # one workload
    python -m bench.page                        # this page and its plots, from the newest run
    python -m bench.page bench/results/*.json   # ... from several: the newest run of each workload
    pytest bench                                # no measurement but a look, beside urllib3: half a minute

What the workloads and contenders are: [bench/README.md](../bench/README.md).
"""

QUICK = "**From a quick run: it shows that everything works. Its numbers mean nothing.**"
ABOUT_SCALING = {
    "queues": "Requests queued before the loop turns for the first time: does the millionth cost more than the first?",
    "memory": "What a queued request takes:",
}
COLUMN_HEADS = {
    "queued": "requests queued", "run_us": "to run, \N{MICRO SIGN}s/request", "queue_us": "to queue, \N{MICRO SIGN}s/request",
    "to_first": "run, to first line", "paths": "paths of the requests", "bytes_each": "bytes each",
}  # fmt: skip
NO = "\N{EN DASH}"


def cell(text: object) -> str:
    """Text that cannot leave its cell."""
    return str(text).replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def table(heads: Iterable[str], rows: Iterable[Iterable[object]], n_text: int = 1) -> str:
    """A Markdown table; all but the first columns are numbers."""
    heads = list(heads)
    lines = [heads, ["---" if place < n_text else "---:" for place in range(len(heads))], *rows]
    return "\n".join("| " + " | ".join(str(entry) for entry in line) + " |" for line in lines)


def picture(name: str, words: str, folder: str = "plots") -> str:
    """The light or the dark plot, as the reader has it."""
    light, dark = plot_files(name)
    words = words.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return (
        "<picture>\n"
        f'  <source media="(prefers-color-scheme: dark)" srcset="{folder}/{dark}">\n'
        f'  <source media="(prefers-color-scheme: light)" srcset="{folder}/{light}">\n'
        f'  <img alt="{words}" src="{folder}/{light}">\n'
        "</picture>"
    )


def environment(runs: list[Run]) -> str:
    """What the numbers depend on; a column for each run."""
    keys = list(dict.fromkeys(key for run in runs for key in run.environment))
    keys = [key for key in keys if any(run.environment.get(key, "not installed") != "not installed" for run in runs)]
    rows = [[cell(key), *(cell(without_paths(run.environment.get(key, NO))) for run in runs)] for key in keys]
    rows.append(["seed of the order", *(cell(run.seed if run.seed is not None else NO) for run in runs)])
    heads = ["", *(f"run {n}" for n in range(1, len(runs) + 1))] if len(runs) > 1 else ["", "run"]
    return table(heads, rows, n_text=len(heads))


def _form(value: float | None, form: Any) -> str:
    return NO if value is None else form(value)


def row(figure: Figure) -> list[str]:
    """One contender with a number."""
    label = f"**{cell(figure.label)}**" if figure.is_ours else cell(figure.label)
    return [
        label,
        _form(figure.cpu, number),
        _form(figure.cpu_ratio, times),
        _form(figure.rate, lambda rate: f"{rate:,.0f}"),
        _form(figure.rate_ratio, times),
        _form(figure.peak_mib, lambda mib: f"{mib:,.0f}"),
    ]


def section(workload: Workload, n_runs: int) -> str:
    """One workload."""
    floor = workload.floor
    known = [figure for figure in workload.figures if not figure.failure]
    to_floor = "to C" if workload.floor_text == "C floor" else f"to {cell(workload.floor_text)}"
    heads = ["client", f"CPU {workload.cpu_unit}", to_floor, workload.rate_unit, to_floor, "peak MiB"]
    of = f"`{workload.name}`, median of {workload.n_rounds} rounds" + (f", run {workload.run + 1}" if n_runs > 1 else "")
    if floor is not None:
        of += f"; the floor is \N{LEFT DOUBLE QUOTATION MARK}{cell(floor.label)}\N{RIGHT DOUBLE QUOTATION MARK}"
    parts = [f'<a id="{workload.name}"></a>\n\n### {capital(workload.title)}', f"{of}."]
    if any(figure.cpu is not None for figure in known):
        said = ", ".join(f"{f.label} {number(f.cpu)}" for f in known if f.cpu is not None)
        parts.append(picture(workload.name, f"{capital(workload.title)}: CPU {workload.cpu_unit}: {said}"))
    if known:
        parts.append(table(heads, map(row, known)))
    failed = [f"* {cell(figure.label)}: {cell(figure.failure)}" for figure in workload.figures if figure.failure]
    if failed:
        parts.append("Without a number:\n\n" + "\n".join(failed))
    return "\n\n".join(parts)


def imports(found: dict[str, float]) -> str:
    """Milliseconds, cheapest first."""
    rows = [[f"`{cell(name)}`", f"{ms:.1f}"] for name, ms in sorted(found.items(), key=lambda pair: (pair[1], pair[0]))]
    return "## Imports\n\nMilliseconds above an interpreter that does nothing; median.\n\n" + table(["", "ms"], rows)


def scaling(tables: dict[str, list[dict[str, Any]]]) -> str:
    """As it was saved: a table for each list, a column for each key."""
    parts = ["## Scaling"]
    for name, rows in tables.items():
        keys = list(dict.fromkeys(key for entry in rows for key in entry))
        if about := ABOUT_SCALING.get(name):
            parts.append(about)
        heads = [cell(COLUMN_HEADS.get(key, key.replace("_", " "))) for key in keys]
        parts.append(table(heads, [[_value(entry.get(key)) for key in keys] for entry in rows]))
    return "\n\n".join(parts)


def _value(value: object) -> str:
    if value is None:
        return NO
    if isinstance(value, float):
        return number(value) if value > 0 else f"{value:g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else cell(value)


def document(page: Page) -> str:
    """The whole page."""
    parts = [START.rstrip()]
    if any(run.is_quick for run in page.runs):
        parts.append(QUICK)
    parts.append("## Where and with what\n\n" + environment(page.runs))
    parts.append("## Workloads")
    parts += [section(workload, len(page.runs)) for workload in page.workloads]
    if page.skipped:
        skipped = [f"* `{cell(name)}`: {cell(why)}" for name, why in page.skipped.items()]
        parts.append("### Not measured\n\n" + "\n".join(skipped))
    if page.imports:
        parts.append(imports(page.imports))
    if page.scaling:
        parts.append(scaling(page.scaling))
    return "\n\n".join(parts) + "\n"
