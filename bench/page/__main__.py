"""Write docs/benchmarks.md and docs/plots/ from saved results.

    python -m bench.page [RESULTS.json ...] [--readme]

Without a file: the newest run that is not a quick one. With several, the newest run of each workload wins.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from bench.page.document import document
from bench.page.drawing import draw
from bench.page.figures import ROOT, newest_results, read_page
from bench.page.readme import rewrite
from bench.workloads import WORKLOADS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.page", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("results", nargs="*", type=Path, help="default: the newest in bench/results/")
    parser.add_argument("--readme", action="store_true", help="the README's figures, too: between its markers, else printed")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="folder of the page; default: docs")
    options = parser.parse_args()
    files = options.results or newest_results()
    if len(files) > 1:      # one quick run that was named is shown, with a warning; it takes nobody's place
        files = [file for file in files if not json.loads(file.read_text()).get("quick")] or files
    page = read_page(files)
    if missing := [name for name in WORKLOADS if name not in {workload.name for workload in page.workloads}]:
        print(f"not in these files: {', '.join(missing)} (name several files to merge them)", file=sys.stderr)
    if not page.workloads:
        raise SystemExit("no workload in " + ", ".join(file.name for file in files))
    plots = draw(page, options.out / "plots")
    (options.out / "benchmarks.md").write_text(document(page), encoding="utf-8")
    print(f"{len(page.workloads)} workloads from {', '.join(file.name for file in files)}: benchmarks.md, {len(plots)} plots")
    if options.readme:
        rewrite(page, ROOT / "README.md")


if __name__ == "__main__":
    main()
