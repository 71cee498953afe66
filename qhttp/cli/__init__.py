"""The command `qhttp`: argparse in front of the bulk downloader. See docs/command-line.md.

What a call does not need is not imported: `qhttp --version` costs little more than Python itself.
"""
from __future__ import annotations

import sys


def main(argv: list[str] | None = None) -> int:
    """Runs the command with these arguments (without the program's name; None: those of the process); its exit status.

    See `qhttp.cli.exits` for the statuses. Nothing is raised for a failed download or for wrong arguments.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        status = _command(argv)
        sys.stdout.flush()
        return status
    except BrokenPipeError:             # of `qhttp --help | head`: nobody reads on
        _forget_stdout()
        return 1
    except KeyboardInterrupt:           # before anything was begun
        return 7


def _command(argv: list[str]) -> int:
    if argv == ["--version"]:           # without a parser
        return _version()
    from qhttp.cli.arguments import UsageError, parsed
    try:
        arguments = parsed(argv)
        if arguments.help or arguments.help_all:
            from qhttp.cli.help import help_text
            sys.stdout.write(help_text(arguments.help_all))
            return 0
        if arguments.version:
            return _version()
        if arguments.completion:
            from qhttp.cli.completion import script
            sys.stdout.write(script(arguments.completion))
            return 0
        from qhttp.cli.command import run
        return run(arguments)
    except UsageError as error:
        sys.stderr.write(f"qhttp: {error}\n")
        return 2


def _version() -> int:
    sys.stdout.write(f"qhttp {sys.modules['qhttp'].__version__}\n")
    return 0


def _forget_stdout() -> None:
    """Keeps the interpreter from writing into the broken pipe once more at its end."""
    import os
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
