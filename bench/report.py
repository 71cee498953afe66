"""From the outcomes of the rounds to a Markdown table: medians, and ratios to the C program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from bench.contenders.runner import Outcome
from bench.workloads import FLOOR, Workload

GIB = 1 << 30


def _cpu_per_unit(workload: Workload, outcomes: Sequence[Outcome]) -> float | None:
    """Median of CPU us a request, or of CPU s a GiB."""
    known = [(o.cpu_s, o.n_requests) for o in outcomes if o.cpu_s is not None]
    if not known:
        return None
    if workload.to_file:
        return median(cpu_s / (workload.body_len * n / GIB) for cpu_s, n in known)
    return median(cpu_s / n * 1e6 for cpu_s, n in known)


def _rate(workload: Workload, outcomes: Sequence[Outcome]) -> float:
    """Median of requests a second, or of MiB a second."""
    scale = workload.body_len / (1 << 20) if workload.to_file else 1
    return median(o.n_requests * scale / o.wall_s for o in outcomes)


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _ratio(value: float | None, floor: float | None) -> str:
    return "-" if value is None or not floor else f"{value / floor:.2f}x"


def table(
    workload: Workload,
    outcomes: Mapping[str, Sequence[Outcome]],
    failures: Mapping[str, str],
) -> str:
    """The table of one workload; a contender that failed is shown with its reason and without a number."""
    floor = outcomes.get(FLOOR, ())
    floor_cpu = _cpu_per_unit(workload, floor) if floor else None
    floor_rate = _rate(workload, floor) if floor else None
    cpu_unit, rate_unit = ("CPU s/GiB", "MiB/s") if workload.to_file else ("CPU us/request", "requests/s")
    lines = [
        f"| contender | {cpu_unit} | to C | {rate_unit} | to C | peak MiB |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name in workload.contenders:
        if name in failures:
            lines.append(f"| {name} | no number: {failures[name]} | | | | |")
            continue
        cpu, rate = _cpu_per_unit(workload, outcomes[name]), _rate(workload, outcomes[name])
        peaks = [o.peak_rss_kib for o in outcomes[name] if o.peak_rss_kib is not None]
        lines.append(
            f"| {name} | {_text(cpu, '.2f')} | {_ratio(cpu, floor_cpu)} "
            f"| {rate:,.0f} | {_ratio(rate, floor_rate)} "
            f"| {_text(max(peaks) / 1024 if peaks else None, '.0f')} |"
        )
    return "\n".join(lines)
