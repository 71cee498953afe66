"""`python -m qhttp`: the command."""
from qhttp.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
