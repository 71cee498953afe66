"""`python -m qhttp`: the command."""
from qhttp.cli import process

if __name__ == "__main__":
    raise SystemExit(process())
