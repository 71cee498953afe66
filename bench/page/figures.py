"""What the page says, as numbers: medians and ratios from the saved outcomes of `bench.compare`.

Files of several runs may be merged: the newest run of each workload wins, whole. A ratio is never taken across runs.
Whatever a file does not have is left out, so that older files can be read, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / "bench" / "results"
USUAL_FLOOR = "c_loop"
GIB, MIB = 1 << 30, 1 << 20


@dataclass(frozen=True)
class Figure:
    """One contender in one workload. None: not known."""

    name: str
    label: str
    cpu: float | None = None          # us a request, or s a GiB
    rate: float | None = None         # requests a second, or MiB a second
    peak_mib: float | None = None
    cpu_ratio: float | None = None    # to the floor
    rate_ratio: float | None = None
    failure: str = ""
    is_floor: bool = False

    @property
    def is_c(self) -> bool:
        return self.label.startswith("C,") or self.name == USUAL_FLOOR

    @property
    def is_ours(self) -> bool:
        return self.name.startswith("qhttp")


@dataclass(frozen=True)
class Workload:
    """One table, cheapest first, those without a number last."""

    name: str
    title: str
    in_bytes: bool                    # measured by the byte and not by the request
    server: str
    n_rounds: int
    run: int                          # index into Page.runs
    figures: tuple[Figure, ...]

    @property
    def cpu_unit(self) -> str:
        return "s/GiB" if self.in_bytes else "\N{MICRO SIGN}s/request"

    @property
    def rate_unit(self) -> str:
        return "MiB/s" if self.in_bytes else "requests/s"

    @property
    def floor(self) -> Figure | None:
        return next((figure for figure in self.figures if figure.is_floor), None)

    @property
    def floor_text(self) -> str:
        """What the ratios are to; not everything has been written in C."""
        return "C floor" if self.floor is None or self.floor.is_c else self.floor.label


@dataclass(frozen=True)
class Run:
    """One call of `bench.compare`: where, when and with what."""

    environment: dict[str, str]
    seed: object
    is_quick: bool = False            # of `--quick`: shows that everything works, and nothing else

    @property
    def date(self) -> str:
        return str(self.environment.get("date", ""))


@dataclass
class Page:
    """Everything."""

    runs: list[Run] = field(default_factory=list)
    workloads: list[Workload] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    imports: dict[str, float] = field(default_factory=dict)
    scaling: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def without_paths(text: str) -> str:
    """A reason for others' eyes: one line, paths of this machine shortened to their last part."""
    text = " ".join(text.split())
    text = re.sub(r"(?<![\w:/.])(?:/[\w.+@-]+){2,}", lambda found: found[0].rsplit("/", 1)[1], text)
    return text if len(text) <= 160 else text[:157] + "..."


def _n_done(outcome: dict, in_bytes: bool, body_len: int) -> int:
    """Requests, or bytes; a contender may have had a smaller body than the workload's."""
    n_requests = int(outcome.get("n_requests") or 0)
    return n_requests * int(outcome.get("body_len") or body_len) if in_bytes else n_requests


def _cpu(outcomes: Sequence[dict], in_bytes: bool, body_len: int) -> float | None:
    scale = GIB if in_bytes else 1e6
    counted = [(o.get("cpu_s"), _n_done(o, in_bytes, body_len)) for o in outcomes]
    known = [cpu_s * scale / n for cpu_s, n in counted if cpu_s is not None and n]
    return median(known) if known else None


def _rate(outcomes: Sequence[dict], in_bytes: bool, body_len: int) -> float | None:
    scale = MIB if in_bytes else 1
    known = [_n_done(o, in_bytes, body_len) / scale / o["wall_s"] for o in outcomes if o.get("wall_s")]
    return median(known) if known else None


def _peak(outcomes: Sequence[dict]) -> float | None:
    known = [o["peak_rss_kib"] / 1024 for o in outcomes if o.get("peak_rss_kib")]
    return max(known) if known else None


def _over(value: float | None, floor: float | None) -> float | None:
    return value / floor if value is not None and floor else None


def read_workload(comparison: dict[str, Any], labels: dict[str, str], run: int) -> Workload:
    """One entry of `comparisons`."""
    about = comparison.get("workload") or {}
    outcomes: dict[str, list[dict]] = comparison.get("outcomes") or {}
    failures: dict[str, str] = comparison.get("failures") or {}
    labels = {**labels, **(comparison.get("labels") or {})}
    body_len = int(about.get("body_len") or 0)
    kind = about.get("kind") or ("bytes" if about.get("to_file") else "requests")
    in_bytes = kind == "bytes" and body_len > 0
    floor_name = about.get("floor") or USUAL_FLOOR
    good = {name: runs for name, runs in outcomes.items() if runs and name not in failures}
    floor = good.get(floor_name, ())
    floor_cpu, floor_rate = _cpu(floor, in_bytes, body_len), _rate(floor, in_bytes, body_len)
    figures = []
    for name in dict.fromkeys([*outcomes, *failures]):
        label = str(labels.get(name) or name)
        if name not in good:
            reason = without_paths(str(failures.get(name) or "no outcome"))
            figures.append(Figure(name, label, failure=reason, is_floor=name == floor_name))
            continue
        cpu, rate = _cpu(good[name], in_bytes, body_len), _rate(good[name], in_bytes, body_len)
        figures.append(Figure(name, label, cpu, rate, _peak(good[name]), _over(cpu, floor_cpu), _over(rate, floor_rate),
                              is_floor=name == floor_name))  # fmt: skip
    figures.sort(key=lambda f: (bool(f.failure), f.cpu is None, f.cpu or 0, f.name))
    name = str(about.get("name") or "workload")
    n_rounds = max((len(runs) for runs in good.values()), default=0)
    title, server = str(about.get("title") or name), str(about.get("server") or "")
    return Workload(name, title, in_bytes, server, n_rounds, run, tuple(figures))


def _imports(content: dict[str, Any]) -> dict[str, float]:
    """Statement -> ms, from a run of `bench.imports` or from a section of that name (name -> ms)."""
    section = content.get("imports")
    table = {str(k): float(v) for k, v in section.items() if isinstance(v, int | float)} if isinstance(section, dict) else {}
    for row in _rows(content.get("rows")):
        statement, ms = row.get("statement"), row.get("above_nothing_ms")
        if statement and isinstance(ms, int | float) and statement != content.get("nothing"):
            table[str(statement)] = float(ms)
    return table


def _scaling(content: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Heading -> rows, from a run of `bench.scaling` or from a section of that name; raw outcomes are left out."""
    section = content.get("scaling")
    tables = {"queues": content.get("queues"), "memory": content.get("memory")}
    tables.update(section if isinstance(section, dict) else {"scaling": section})
    return {name: rows for name, table in tables.items() if (rows := _rows(table))}


def _rows(section: object) -> list[dict[str, Any]]:
    """Dictionaries of plain values."""
    rows = [row for row in section if isinstance(row, dict)] if isinstance(section, list) else []
    return [{key: value for key, value in row.items() if not isinstance(value, list | dict)} for row in rows]


def newest_results() -> list[Path]:
    """The file of each kind (compare, ...) that was saved last, by its name, which is its date; none of `--quick`."""
    newest: dict[str, Path] = {}
    for file in sorted(RESULTS.glob("*.json")):
        if not json.loads(file.read_text()).get("quick"):
            newest[file.name.partition("-")[0]] = file
    if not newest:
        raise SystemExit("nothing was measured yet: make bench")
    return list(newest.values())


def read_page(files: Sequence[Path]) -> Page:
    """Merged, oldest file first, so that a newer run of a workload replaces the older one in its place."""
    contents = [json.loads(file.read_text()) for file in files]
    contents.sort(key=lambda content: str((content.get("environment") or {}).get("date", "")))
    page = Page()
    runs: list[Run] = []
    found: dict[str, Workload] = {}
    for number, content in enumerate(contents):
        environment = {str(key): str(value) for key, value in (content.get("environment") or {}).items()}
        runs.append(Run(environment, content.get("seed"), bool(content.get("quick"))))
        for comparison in content.get("comparisons") or ():
            workload = read_workload(comparison, content.get("labels") or {}, number)
            found[workload.name] = workload
        page.skipped.update({name: without_paths(str(why)) for name, why in (content.get("skipped") or {}).items()})
        page.imports = _imports(content) or page.imports
        page.scaling = _scaling(content) or page.scaling
    in_use = sorted({workload.run for workload in found.values()}) or list(range(len(runs)))[-1:]
    page.runs = [runs[number] for number in in_use]
    page.workloads = [replace(workload, run=in_use.index(workload.run)) for workload in found.values()]
    page.skipped = {name: why for name, why in page.skipped.items() if name not in found}
    return page
