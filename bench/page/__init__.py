"""From saved outcomes to docs/benchmarks.md, its plots, and the figures of the README. `python -m bench.page` makes them."""
