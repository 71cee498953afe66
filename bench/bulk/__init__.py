"""Many downloads side by side: programs and libraries that fill a folder, beside a C loop. `python -m bench.bulk`."""
