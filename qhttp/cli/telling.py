"""What is told of each transfer: its line in the logs, errors, and the lines of -v, --head and --dry-run."""
from __future__ import annotations

import sys
from os.path import lexists

from qhttp.cli.exits import Failures, advice_for, kind_of
from qhttp.cli.figures import size_text, time_text
from qhttp.cli.messages import VERBOSE, Messages
from qhttp.errors import FileError
from qhttp.protocol.shown import shown_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import Any

    from qhttp.cli.log import JsonLog


class Teller:
    """Connects to no more signals than it has something to tell of: a million files are felt. `prints`: lines go to stdout.
    Where that does not take them, `broken(error)` is called, once."""

    prints: Any

    def __init__(self, arguments: argparse.Namespace, messages: Messages, failures: Failures, logs: list[JsonLog],
                 broken: Callable[[OSError], Any]):
        self._messages, self._failures, self._logs, self._broken = messages, failures, logs, broken
        self._is_head, self._is_dry = arguments.head, arguments.dry_run
        self.prints = arguments.head or arguments.dry_run or arguments.json_timings

    def connect(self, downloader: Any) -> None:
        downloader.failed.connect(self._failed)
        if self._logs:
            downloader.finished.connect(self._log)
        if self._is_head or self._is_dry:
            downloader.finished.connect(self._print)
        elif self._messages.level >= VERBOSE:
            downloader.finished.connect(self._finished)
        if self._messages.level >= VERBOSE:
            downloader.retrying.connect(self._retrying)

    def flush(self) -> None:
        """What was told arrives, too."""
        for log in self._logs:
            log.flush()
        if self.prints:
            self._try(sys.stdout.flush)

    def _log(self, transfer: Any) -> None:
        for log in self._logs:
            log.add(transfer)

    def _failed(self, transfer: Any) -> None:
        self._failures.add(kind_of(transfer.error))
        self._log(transfer)
        if self._is_head and transfer.status:
            self._print(transfer)
        self._messages.failure(failure_text(transfer) if self._messages.shows_errors else "")

    def _finished(self, transfer: Any) -> None:
        self._messages.detail(success_text(transfer))

    def _retrying(self, transfer: Any, delay_s: float, error: BaseException) -> None:
        self._messages.detail(f"{shown_url(transfer.url)}: {_cause(error)}; again in {delay_s:.1f} s")

    def _print(self, transfer: Any) -> None:
        url = without_credentials(transfer.url)
        if self._is_head:
            length = next((value for name, value in transfer.headers if name.lower() == "content-length"), "-")
            line = f"{transfer.status} {length} {url}"
        else:
            line = f"{url} -> {transfer.path}{' (is there)' if transfer.was_skipped else ''}"
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"         # names on a disk may be no text
        self._try(sys.stdout.write, line.encode(encoding, "backslashreplace").decode(encoding) + "\n")

    def _try(self, function: Callable[..., Any], *arguments: str) -> None:
        if self.prints:
            try:
                function(*arguments)
            except OSError as error:
                self.prints = False
                self._broken(error)


def failure_text(transfer: Any) -> str:
    """One line: whose, why, and what to do."""
    advice = advice_for(transfer.error)
    if isinstance(transfer.error, FileError) and transfer.path is not None and lexists(transfer.path):
        advice = "see --skip-existing and --overwrite"
    return f"{shown_url(transfer.url)}: {_cause(transfer.error)}{'; ' + advice if advice else ''}"


def success_text(transfer: Any) -> str:
    """One line of -v."""
    if transfer.was_skipped:
        return f"{shown_url(transfer.url)} -> {transfer.path} (is there)"
    about = [size_text(max(0, transfer.size))]
    about += [f"{size_text(transfer.n_resumed)} of it from before"] if transfer.n_resumed else []
    about += [f"{transfer.n_retries} retries"] if transfer.n_retries else []
    about += [f"{name}:{digest}" for name, digest in sorted(transfer.checksums.items())]
    about += [time_text(transfer.time_total)] if transfer.time_total >= 1 else []
    return f"{shown_url(transfer.url)} -> {transfer.path} ({', '.join(about)})"


def without_credentials(url: str) -> str:
    """The URL as it can be used again, but for user and password."""
    scheme, slashes, rest = url.partition("://")
    ends = [n for n in (rest.find("/"), rest.find("?"), rest.find("#")) if n >= 0]
    end = min(ends, default=len(rest))
    return scheme + slashes + rest[:end].rpartition("@")[2] + rest[end:]


def _cause(error: BaseException | None) -> str:
    return str(error).rstrip(".") or type(error).__name__
