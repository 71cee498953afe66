"""The page from small made-up results: what wins, what is a ratio, what is said about a failure, and well-formed plots."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from bench.page.document import document
from bench.page.drawing import draw
from bench.page.figures import Page, read_page, without_paths
from bench.page.readme import BEGIN, END, lines, rewrite
from bench.plots import DARK, LIGHT, Bar, RatioRow, bars, ratios


def outcome(cpu_s: float | None, n_requests: int = 100, **more: object) -> dict[str, object]:
    return {"n_requests": n_requests, "wall_s": 2 * (cpu_s or 1), "cpu_s": cpu_s, "peak_rss_kib": 2048, **more}


def result(date: str, cpu_s: float, **more: object) -> dict[str, object]:
    """One workload with a floor, two clients and one that failed."""
    comparison = {
        "workload": {"name": "small", "title": "small & <many>", "kind": "requests", "floor": "c_loop", "body_len": 10},
        "labels": {"qhttp_face": "qhttp"},
        "outcomes": {"c_loop": [outcome(1.0)], "qhttp_face": [outcome(cpu_s), outcome(cpu_s)], "pycurl_multi": [outcome(40.0)]},
        "failures": {"urllib3_threads": "no file /some/where/else | gone"},
    }
    return {"environment": {"date": date}, "seed": 1, "comparisons": [comparison], **more}


def page_of(folder: Path, *contents: dict[str, object]) -> Page:
    files = [folder / f"{number}.json" for number in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_text(json.dumps(content))
    return read_page(files)


def test_read_page_two_runs_newest_wins(tmp_path: Path) -> None:
    page = page_of(tmp_path, result("2026-02-02", 3.0), result("2026-01-01", 2.0))
    (ours,) = (figure for figure in page.workloads[0].figures if figure.is_ours)
    assert (len(page.runs), ours.cpu, ours.cpu_ratio, ours.label) == (1, 30_000.0, 3.0, "qhttp")


def test_read_page_bytes_uses_each_outcomes_length(tmp_path: Path) -> None:
    content = result("2026-01-01", 2.0)
    content["comparisons"][0]["workload"] |= {"kind": "bytes", "body_len": 1 << 30}
    content["comparisons"][0]["outcomes"]["pycurl_multi"] = [outcome(1.0, n_requests=1, body_len=1 << 29)]
    figures = {figure.name: figure for figure in page_of(tmp_path, content).workloads[0].figures}
    assert (figures["pycurl_multi"].cpu, figures["pycurl_multi"].rate, figures["c_loop"].cpu) == (2.0, 256.0, 0.01)


@pytest.mark.parametrize("left_out", ["workload", "outcomes", "failures", "labels"])
def test_document_of_incomplete_results_is_made(tmp_path: Path, left_out: str) -> None:
    content = result("2026-01-01", 2.0)
    del content["comparisons"][0][left_out]
    assert "# Benchmarks" in document(page_of(tmp_path, content))


def test_document_names_failures_without_paths(tmp_path: Path) -> None:
    assert "* urllib3_threads: no file else \\| gone" in document(page_of(tmp_path, result("2026-01-01", 2.0)))


@pytest.mark.parametrize(
    ("text", "shown"), [("in /a/b/c.py", "in c.py"), ("http://host/a/b", "http://host/a/b"), ("1/2", "1/2")]
)
def test_without_paths_keeps_what_is_no_path(text: str, shown: str) -> None:
    assert without_paths(text) == shown


def test_draw_writes_the_same_well_formed_files(tmp_path: Path) -> None:
    page = page_of(tmp_path, result("2026-01-01", 2.0))
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "gone-light.svg").write_text("")
    files = draw(page, tmp_path / "plots")
    first = [file.read_bytes() for file in files]
    assert [file.name for file in files] == ["small-light.svg", "small-dark.svg", "summary-light.svg", "summary-dark.svg"]
    assert [file.read_bytes() for file in draw(page, tmp_path / "plots")] == first
    assert sorted((tmp_path / "plots").iterdir()) == sorted(files)
    for text in first:
        root = ElementTree.fromstring(text)
        assert [child.tag.rpartition("}")[2] for child in root][:2] == ["title", "desc"]


@pytest.mark.parametrize(("high", "scale"), [(9.0, "from zero"), (11.0, "logarithmic scale")])
def test_bars_scale_follows_the_spread(high: float, scale: str) -> None:
    assert scale in bars("t", "s", [Bar("a", 1.0, "1"), Bar("b", high, "x")], LIGHT)


@pytest.mark.parametrize("values", [(), (None,), (0.001, 1000.0), (1.0, 1.0, 1.0)])
def test_plots_of_any_values_are_well_formed(values: tuple[float | None, ...]) -> None:
    names = [str(number) for number in range(len(values))]
    ElementTree.fromstring(bars("t", "s", [Bar(name, value) for name, value in zip(names, values, strict=True)], DARK))
    ElementTree.fromstring(ratios("t", "s", names, [RatioRow("a row", tuple(values))], DARK))


def test_rewrite_between_markers_leaves_the_rest(tmp_path: Path) -> None:
    page = page_of(tmp_path, result("2026-01-01", 2.0))
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    rewrite(page, readme)
    assert readme.read_text() == f"before\n{BEGIN}\n{lines(page)}\n{END}\nafter\n"


def test_rewrite_without_markers_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("text\n")
    rewrite(page_of(tmp_path, result("2026-01-01", 2.0)), readme)
    assert readme.read_text() == "text\n"
    assert "**20,000** (2.0\N{MULTIPLICATION SIGN})" in capsys.readouterr().out
