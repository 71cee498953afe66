"""--help, which fits on a screen, and --help-all, which does not: both from the table of options."""
from __future__ import annotations

from qhttp.cli.options import GROUPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qhttp.cli.options import Option

WIDTH = 79              # of a line
COLUMN = 28             # where the explanations begin

USAGE = """\
Usage: qhttp [OPTION]... URL...
       qhttp [OPTION]... -i LIST [-d DIR]
"""
ENDING = """\
Exit status: 0 all done, 2 usage, 3 HTTP status, 4 connection, 5 time, 6 body,
7 interrupted, 8 part, 9 disk, 1 other. All options: qhttp --help-all
"""


def help_text(is_whole: bool) -> str:
    """The text of --help, or of --help-all."""
    lines = [USAGE.rstrip()]
    for title, options in GROUPS:
        shown = [option for option in options if is_whole or option.is_common]
        if not shown:
            continue
        lines += ["", f"{title}:"] if is_whole else [f"{title}:"]
        for option in shown:
            lines += _lines_of(option)
    return "\n".join(lines) + "\n" + ENDING


def spelled(option: Option) -> str:
    """An option's spellings and what follows it: -o, --out FILE."""
    short = "".join(f"{flag}, " for flag in option.flags if not flag.startswith("--"))
    return f"{short or '    '}{option.flags[-1]}" + (f" {option.metavar}" if option.metavar else "")


def explained(option: Option) -> str:
    """Its explanation with its default."""
    return option.help + (f" [{option.default}]" if option.default else "")


def _lines_of(option: Option) -> list[str]:
    from textwrap import wrap
    left, texts = "  " + spelled(option), wrap(explained(option), WIDTH - COLUMN)
    if len(left) < COLUMN:
        left = f"{left:{COLUMN}}{texts.pop(0)}"
    return [left, *(" " * COLUMN + text for text in texts)]
