"""From the outcomes of the rounds to a Markdown table: medians, and ratios to the C loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from bench.bulk.workloads import LABELS, Workload
from bench.contenders.runner import Outcome
from bench.workloads import GIB


def _units(workload: Workload, outcome: Outcome) -> float:
    """What was fetched, in what times are given for: a million files, so that they are microseconds for one, or a GiB."""
    if workload.kind == "bytes":
        return outcome.n_requests * outcome.body_len / GIB
    return outcome.n_requests / 1e6


def summarize(workload: Workload, outcomes: Mapping[str, Sequence[Outcome]]) -> dict[str, dict[str, float | None]]:
    """Medians and ratios of each contender that has outcomes, of the peaks the largest. Times are us a file, or s a GiB."""
    summary: dict[str, dict[str, float | None]] = {}
    for name, runs in outcomes.items():
        if not runs:
            continue
        cpu = median((o.cpu_s or 0.0) / _units(workload, o) for o in runs)
        wall = median(o.wall_s / _units(workload, o) for o in runs)
        summary[name] = {
            "cpu_per_unit": cpu, "wall_per_unit": wall, "rate": GIB / 1e9 / wall if workload.kind == "bytes" else 1e6 / wall,
            "wall_s": median(o.wall_s for o in runs), "peak_mib": max(o.peak_rss_kib or 0 for o in runs) / 1024,
        }  # fmt: skip
    floor = summary.get(workload.floor)
    for row in summary.values():
        for time in ("cpu", "wall"):
            mine, its = row[f"{time}_per_unit"], floor and floor[f"{time}_per_unit"]
            row[f"{time}_to_floor"] = mine / its if mine is not None and its else None
    return summary


def table(workload: Workload, outcomes: Mapping[str, Sequence[Outcome]], failures: Mapping[str, str]) -> str:
    """The table of one workload; a contender that failed is shown with its reason and without a number."""
    summary = summarize(workload, {name: runs for name, runs in outcomes.items() if name not in failures})
    form, unit = (",.3f" if workload.kind == "bytes" else ",.1f"), workload.unit.partition(" ")[2]
    lines = [
        f"| contender | | CPU {unit} | to C | wall {unit} | to C | {workload.rate_unit} | peak MiB |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name in outcomes:
        start = f"| {name} | {LABELS[name]} |"
        row = summary.get(name)
        if row is None:
            lines.append(f"{start} no number: {failures.get(name, 'no outcome')} | | | | | |")
            continue
        ratios = ["-" if (ratio := row[f"{time}_to_floor"]) is None else f"{ratio:.2f}x" for time in ("cpu", "wall")]
        lines.append(
            f"{start} {row['cpu_per_unit']:{form}} | {ratios[0]} | {row['wall_per_unit']:{form}} | {ratios[1]} "
            f"| {row['rate']:{',.2f' if workload.kind == 'bytes' else ',.0f'}} | {row['peak_mib']:.0f} |"
        )
    return "\n".join(lines)
