"""The command `qhttp`: argparse in front of the bulk downloader. See docs/command-line.md.

What a call does not need is not imported: `qhttp --version` costs little more than Python itself.
"""
from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def process() -> int:
    """main() as a process of its own, which nobody interrupts any more once its status is known: all is done and tidied up."""
    import _signal as signal  # type: ignore[import-not-found]  # signal itself takes a millisecond
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt_until_run)
    status = main()
    if signal.getsignal(signal.SIGINT) is interrupt_until_run:     # there was no run
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return status


def interrupt_until_run(number: int, frame: object) -> NoReturn:
    """The handler of Ctrl-C in such a process, as Python's own; it also says whose process it is: after the run, nobody puts
    it back (qhttp.cli.interrupts)."""
    raise KeyboardInterrupt


def main(argv: list[str] | None = None) -> int:
    """Runs the command with these arguments (without the program's name; None: those of the process); its exit status.

    See `qhttp.cli.exits` for the statuses. Nothing is raised for a failed download or for wrong arguments.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    if None in (sys.stdin, sys.stdout, sys.stderr):
        from qhttp.cli.output import keep_places
        keep_places()
    try:
        return _command(argv)
    except OSError as error:            # no descriptor for the loop, say: what can be foreseen is met where it arises
        _complain(str(error))
        return 9
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
            return _print(help_text(arguments.help_all))
        if arguments.version:
            return _version()
        if arguments.completion:
            from qhttp.cli.completion import script
            return _print(script(arguments.completion))
        from qhttp.cli.command import run
        return run(arguments)
    except UsageError as error:
        _complain(str(error))
        return 2


def _version() -> int:
    return _print(f"qhttp {sys.modules['qhttp'].__version__}\n")


def _print(text: str) -> int:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
        return 0
    except OSError as error:
        from qhttp.cli.output import forget
        forget()
        if isinstance(error, BrokenPipeError):          # of `qhttp --help | head`: nobody reads on
            return 1
        _complain(f"stdout cannot be written: {error.strerror or error}")
        return 9


def _complain(text: str) -> None:
    try:
        sys.stderr.write(f"qhttp: {text}\n")
    except (AttributeError, OSError, ValueError):       # it is closed, or full, too
        pass
