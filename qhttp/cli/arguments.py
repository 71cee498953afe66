"""From the words of a command line to checked arguments, and from those to the downloader's settings."""
from __future__ import annotations

import argparse
import os

from qhttp.cli.options import OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, NoReturn

    from qhttp.cli.options import Option

SCHEMES = ("http", "https")
APART = (                       # of each, one at most
    ("--overwrite", "--skip-existing"), ("--session", "--no-session"), ("--ipv4", "--ipv6"), ("--quiet", "--verbose"),
    ("--proxy", "--no-proxy"), ("--head", "--dry-run"), ("--head", "--out"), ("--head", "--checksum"), ("--head", "--mirrors"),
    *(("--dask", other) for other in ("--session", "--head", "--dry-run", "--out", "--fail-fast")),
    ("--input-file", "--out"), ("--input-file", "--mirrors"), ("--input-file", "--checksum"),
)
MAX_SHOWN_LEN = 100             # characters of an argument in a message


class UsageError(Exception):
    """The command cannot be run as it was given; the text says what to do. Exit status 2."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        flag, _, rest = message.removeprefix("argument ").partition(": ")
        if message.startswith("argument ") and rest.startswith("expected one argument"):
            metavar = next((option.metavar for option in OPTIONS if option.flags[-1] in flag.split("/")), "value")
            raise UsageError(f"{flag.split('/')[-1]} needs a {metavar} behind it")
        if message.startswith("argument ") and rest.startswith("ignored explicit argument"):
            raise UsageError(f"{flag.split('/')[-1]} takes no value")
        raise UsageError(message)


def parser() -> argparse.ArgumentParser:
    """The parser of the options; what is no option is left over."""
    made = _Parser(prog="qhttp", add_help=False, allow_abbrev=False)
    for option in OPTIONS:
        action = "store_true" if option.metavar is None else "append" if option.repeats else "store"
        made.add_argument(*option.flags, action=action, dest=option.dest)
    return made


def parsed(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments, checked and converted: an attribute for each option, `urls`, and `settings` for the downloader.

    Raises UsageError.
    """
    words, behind = _halves(list(argv))
    arguments, rest = parser().parse_known_args(words)
    for word in rest:
        if word.startswith("-") and word != "-":
            raise UsageError(_unknown(word))
    arguments.urls = rest + behind
    if arguments.help or arguments.help_all or arguments.version:
        return arguments
    _convert(arguments)
    if arguments.completion:
        return arguments
    _check(arguments)
    arguments.settings = _settings(arguments)
    return arguments


def _halves(argv: list[str]) -> tuple[list[str], list[str]]:
    """The words before -- and those behind it, which are URLs."""
    at = argv.index("--") if "--" in argv else len(argv)
    return argv[:at], argv[at + 1:]


def _unknown(word: str) -> str:
    from difflib import get_close_matches

    from qhttp.cli.foreign import HINTS
    name = word.partition("=")[0]
    if name not in HINTS and name[1:2] != "-" and name[:2] in HINTS:
        name = name[:2]                 # what is joined to it may be a password
    if name in HINTS:
        return f"{name} is not an option here: {HINTS[name]}"
    close = get_close_matches(name, [flag for option in OPTIONS for flag in option.flags if flag.startswith("--")], 1)
    did_you = f"did you mean {close[0]}? " if close else ""
    return f"there is no option {shown(name)}: {did_you}qhttp --help-all shows them all"


def shown(word: str) -> str:
    """An argument as it may stand in a message: one line, not too long, no credentials and no query."""
    from qhttp.protocol.shown import shown_url
    return shown_url(word)[:MAX_SHOWN_LEN]


# -- checks
def _convert(arguments: argparse.Namespace) -> None:
    for option in OPTIONS:
        given = getattr(arguments, option.dest)
        if option.metavar is None or given is None:
            continue
        try:
            converted = [_converted(option, text) for text in (given if option.repeats else [given])]
        except ValueError as error:
            raise UsageError(f"{option.flags[-1]}: {error}") from None
        setattr(arguments, option.dest, converted if option.repeats else converted[0])


def _converted(option: Option, text: str) -> Any:
    if not text:
        raise ValueError("there is nothing behind it")
    if isinstance(option.complete, tuple) and option.complete and text not in option.complete:
        raise ValueError(f"must be one of {', '.join(option.complete)}, not {text!r}")
    return option.value(text)


def _check(arguments: argparse.Namespace) -> None:
    given = {option.flags[-1] for option in OPTIONS if getattr(arguments, option.dest) not in (None, False)}
    for one, other in APART:
        if one in given and other in given:
            raise UsageError(f"{one} and {other} do not go together: leave out one of them")
    urls = arguments.urls
    if not urls and not arguments.input_file:
        raise UsageError("nothing to fetch: give a URL, or a list with -i (see qhttp --help)")
    for url in urls:
        _check_url(url)
    if arguments.mirrors and len(urls) < 2:
        raise UsageError("--mirrors needs two URLs or more: all of them lead to the same file")
    if len(urls) > 1 and not arguments.mirrors:
        for option in sorted(given & {"--out", "--checksum"}):
            raise UsageError(f"{option} is for one file: give one URL, or --mirrors if they all lead to it, or a list with -i")
    if arguments.key and not arguments.cert:
        raise UsageError("--key belongs to a certificate: give that with --cert")
    if arguments.out is not None:
        _check_out(arguments)


def _check_url(url: str) -> None:
    scheme, colon, _ = url.partition("://")
    if not colon:
        if url == "-":
            raise UsageError("- is no URL: a list from stdin is read by -i -")
        hint = f"did you mean https://{shown(url)} ?" if "." in url or ":" in url else "is it the value of an option?"
        raise UsageError(f"{shown(url)} is no URL, http:// or https:// is missing: {hint}")
    if scheme.lower() not in SCHEMES:
        raise UsageError(f"{shown(url)}: {shown(scheme)} URLs cannot be fetched, only http and https")
    from qhttp.protocol.url import split
    try:
        split(url)
    except ValueError as error:
        raise UsageError(f"{shown(url)}: {error}") from None


def _check_out(arguments: argparse.Namespace) -> None:
    if arguments.out == "-":
        raise UsageError("-o -: files are written, not stdout; give a name")
    path = os.path.join(arguments.dir or ".", arguments.out)
    if not os.path.basename(path) or os.path.isdir(path):
        raise UsageError(f"-o {shown(arguments.out)} is a folder: give a file's name, or the folder with -d")


# -- settings
def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was given, as the downloader calls it; what was not is left to its defaults."""
    settings: dict[str, Any] = {}
    for option in OPTIONS:
        given = getattr(arguments, option.dest)
        if option.setting is None or given is None or given is False:
            continue
        settings[option.setting] = option.const if option.metavar is None else given
    if arguments.hash:
        settings["hashes"] = tuple(dict.fromkeys(_flat(arguments.hash)))
    if arguments.header:
        settings["headers"] = tuple(_flat(arguments.header))
    if arguments.out is not None:       # its folder becomes the folder: names are relative to that
        folder, settings["name"] = os.path.split(os.path.join(arguments.dir or ".", arguments.out))
        settings["dir"] = folder or "."
    if arguments.head:
        settings.update(method="HEAD", into="bytes", resume=False)
    if arguments.log_json or arguments.json_timings:
        settings["timings"] = True
    session = _session(arguments, settings)
    if session is not None:
        settings["session"] = session
    return settings


def _session(arguments: argparse.Namespace, settings: dict[str, Any]) -> str | None:
    if arguments.session or arguments.no_session or arguments.no_resume or arguments.head or arguments.dask:
        asked_for: str | None = arguments.session
        return asked_for
    return os.path.join(settings.get("dir", "."), SESSION_NAME)


SESSION_NAME = ".qhttp-session"     # in the folder of the files


def _flat(lists: Iterable[Iterable[Any]]) -> list[Any]:
    return [value for values in lists for value in values]
