"""From the outcomes of the rounds to a Markdown table: medians, and ratios to the floor; and the file they are kept in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from bench.contenders.runner import Outcome
from bench.workloads import GIB, Workload

RESULTS = Path(__file__).parent / "results"


def _cpu_per_unit(workload: Workload, outcomes: Sequence[Outcome]) -> float | None:
    """Median of CPU us a request, or of CPU s a GiB."""
    known = [(o.cpu_s, o.n_requests, o.body_len) for o in outcomes if o.cpu_s is not None]
    if not known:
        return None
    if workload.kind == "bytes":
        return median(cpu_s / (body_len * n / GIB) for cpu_s, n, body_len in known)
    return median(cpu_s / n * 1e6 for cpu_s, n, _ in known)


def _rate(workload: Workload, outcomes: Sequence[Outcome]) -> float | None:
    """Median of requests a second, or of GB (1e9 bytes) a second."""
    if not outcomes:
        return None
    if workload.kind == "bytes":
        return median(o.n_requests * o.body_len / 1e9 / o.wall_s for o in outcomes)
    return median(o.n_requests / o.wall_s for o in outcomes)


def _peak_mib(outcomes: Sequence[Outcome]) -> float | None:
    peaks = [o.peak_rss_kib for o in outcomes if o.peak_rss_kib is not None]
    return max(peaks) / 1024 if peaks else None


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _over(value: float | None, floor: float | None) -> float | None:
    return None if value is None or not floor else value / floor


def summarize(workload: Workload, outcomes: Mapping[str, Sequence[Outcome]]) -> dict[str, dict[str, float | None]]:
    """Medians and ratios of each contender that has outcomes."""
    floor = outcomes.get(workload.floor, ())
    floor_cpu, floor_rate = _cpu_per_unit(workload, floor), _rate(workload, floor)
    second_cpu = _cpu_per_unit(workload, outcomes.get(workload.second, ()))
    summary = {}
    for name, runs in outcomes.items():
        if runs:
            cpu, rate = _cpu_per_unit(workload, runs), _rate(workload, runs)
            summary[name] = {
                "cpu_per_unit": cpu, "cpu_to_floor": _over(cpu, floor_cpu),
                "rate": rate, "rate_to_floor": _over(rate, floor_rate), "peak_mib": _peak_mib(runs),
                **({"cpu_to_second": _over(cpu, second_cpu)} if workload.second else {}),
            }  # fmt: skip
    return summary


def table(workload: Workload, outcomes: Mapping[str, Sequence[Outcome]], failures: Mapping[str, str]) -> str:
    """The table of one workload; a contender that failed is shown with its reason and without a number."""
    summary = summarize(workload, {name: runs for name, runs in outcomes.items() if name not in failures})
    form = ",.2f" if workload.kind == "bytes" else ",.0f"
    unit = workload.unit.replace("cpu", "CPU")
    more = f" to {workload.label(workload.second)} |" if workload.second else ""
    lines = [
        f"| contender | | {unit} | to floor |{more} {workload.rate_unit} | to floor | peak MiB |",
        f"|---|---|---:|---:|{'---:|' if more else ''}---:|---:|---:|",
    ]
    for name in workload.contenders:
        start = f"| {name} | {workload.label(name)} |"
        if name in failures:
            lines.append(f"{start} no number: {failures[name]} | | | | |{' |' if more else ''}")
            continue
        row = summary[name]
        second = f" {_text(row['cpu_to_second'], '.2f')}x |" if more else ""
        lines.append(
            f"{start} {_text(row['cpu_per_unit'], '.3f')} | {_text(row['cpu_to_floor'], '.2f')}x "
            f"|{second} {_text(row['rate'], form)} | {_text(row['rate_to_floor'], '.2f')}x | {_text(row['peak_mib'], '.0f')} |"
        )
    return "\n".join(lines)


def save(what: str, about: Mapping[str, str], content: Mapping[str, object]) -> Path:
    """Write results/WHAT-DATE.json, or write it anew; gives the file."""
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{what}-{about['date'].replace(':', '').replace('+0000', 'Z')}.json"
    unfinished = file.with_suffix(".tmp")
    unfinished.write_text(json.dumps({"environment": about, **content}, indent=1) + "\n")
    unfinished.replace(file)  # never half a file
    return file
