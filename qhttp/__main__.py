"""`python -m qhttp`: the command."""
from qhttp.cli import main

raise SystemExit(main())
