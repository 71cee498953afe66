"""The man page, made from the table of options: `python -m qhttp.cli.manual > docs/qhttp.1`."""
from __future__ import annotations

import sys

from qhttp.cli.exits import MEANINGS
from qhttp.cli.options import GROUPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qhttp.cli.options import Option

EXAMPLES = (
    ("Two files into this folder; the same command again goes on where it was broken off:",
     "qhttp https://example.org/a.iso https://example.org/b.iso"),
    ("A list into a folder, at most 8 transfers to a server at a time, and what is left into another list:",
     "qhttp -i urls.txt -d data -j 64 --per-host 8 --save-session rest.txt"),
    ("One large file over four connections, from two servers, verified:",
     "qhttp -o big.iso --mirrors --split 4 --checksum sha256:2c26b4... https://a.example/big.iso https://b.example/big.iso"),
    ("URLs from a program, a log for another one:",
     "make-urls | qhttp -i - -d data --log-json log.jsonl --progress json"),
)

DESCRIPTION = (
    "Downloads one file or millions of them over HTTP and HTTPS. Redirects are followed, parts are continued, failures that "
    "may go away are tried again, and names come from the URLs. A file has its name once it is whole and verified; until then "
    "it is NAME.part.",
    "The first Ctrl-C (or SIGTERM) breaks off what is running and keeps its parts; a second Ctrl-C stops at once.",
)
FILES = (
    ("NAME.part, NAME.parts", "A file that is not whole yet."),
    ("DIR/.qhttp-session", "What is done, and of which version parts are; --session names another file."),
)


def page() -> str:
    """The text of the page, in roff."""
    version = sys.modules["qhttp"].__version__
    lines = [f'.TH QHTTP 1 "" "qhttp {version}" "User Commands"', ".SH NAME", r"qhttp \- download files", ".SH SYNOPSIS",
             r".B qhttp", r"[\fIOPTION\fR]... \fIURL\fR...", ".br",
             r".B qhttp", r"[\fIOPTION\fR]... \fB\-i\fR \fILIST\fR [\fB\-d\fR \fIDIR\fR]", ".SH DESCRIPTION"]
    for text in DESCRIPTION:
        lines += [".PP", _escaped(text)]
    lines.append(".SH OPTIONS")
    for title, options in GROUPS:
        lines.append(f".SS {_escaped(title)}")
        for option in options:
            lines += _lines_of(option)
    lines.append(".SH EXIT STATUS")
    for status, meaning in MEANINGS.items():
        lines += [".TP", rf".B {status}", _escaped(meaning[0].upper() + meaning[1:]) + "."]
    lines.append(".SH FILES")
    for name, text in FILES:
        lines += [".TP", f".I {_escaped(name)}", _escaped(text)]
    lines.append(".SH EXAMPLES")
    for text, command in EXAMPLES:
        lines += [".PP", _escaped(text), ".PP", ".nf", ".RS 4", _escaped(command), ".RE", ".fi"]
    lines += [".SH SEE ALSO", r"\fBcurl\fR(1), \fBwget\fR(1), \fBaria2c\fR(1)"]
    return "\n".join(lines) + "\n"


def _lines_of(option: Option) -> list[str]:
    flags = ", ".join(rf"\fB{_escaped(flag)}\fR" for flag in option.flags)
    behind = rf" \fI{_escaped(option.metavar)}\fR" if option.metavar else ""
    text = option.help[0].upper() + option.help[1:]
    default = f" Default: {option.default}." if option.default else ""
    return [".TP", flags + behind, _escaped(f"{text}.{' ' + option.more if option.more else ''}{default}")]


def _escaped(text: str) -> str:
    """A text that roff shows as it is."""
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return r"\&" + text if text.startswith((".", "'")) else text


if __name__ == "__main__":
    sys.stdout.write(page())
