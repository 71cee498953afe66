"""One run of the command: the downloader, and all that listens to it."""
from __future__ import annotations

from qhttp.cli import exits
from qhttp.cli.arguments import UsageError
from qhttp.cli.figures import Figures
from qhttp.cli.identity import tls_context_of, tls_options, user_of
from qhttp.cli.intake import Intake
from qhttp.cli.interrupts import Interrupts, StopAtOnce
from qhttp.cli.log import JsonLog, open_log, open_stdout
from qhttp.cli.messages import NORMAL, QUIET, VERBOSE, Messages
from qhttp.cli.progress import Display, display_for
from qhttp.cli.pulse import Pulse
from qhttp.cli.rest import Rest, session_paths
from qhttp.cli.telling import Teller
from qhttp.errors import FileError, QHttpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

BEAT_S = 0.5        # logs are written, and signals that came while the loop went to sleep are seen


def run(arguments: argparse.Namespace) -> int:
    """Runs what the arguments ask for; the exit status. Raises UsageError before anything was begun."""
    return Command(arguments).run()


def make_downloader(settings: dict[str, Any], dask: str | None = None, tls: argparse.Namespace | None = None) -> Any:
    """The downloader of a run. Raises TypeError or ValueError for settings that it does not take, OSError for a cluster
    (`dask`: its address, `tls`: the options that its workers make a context of) that does not answer."""
    if dask is not None:
        return _on_cluster(settings, dask, tls)
    from qhttp.bulk.downloader import Downloader
    return Downloader(**settings)


def _on_cluster(settings: dict[str, Any], address: str, tls: argparse.Namespace | None) -> Any:
    from functools import partial
    try:
        import distributed  # noqa: F401

        from qhttp.bulk.cluster import ClusterDownloader
    except ImportError as error:
        raise ValueError(f"--dask: {error.name} is not installed: pip install qhttp[dask]") from None
    has_context = settings.pop("context", None) is not None
    make_context = partial(tls_context_of, tls) if has_context and tls is not None else None
    try:
        return ClusterDownloader(address, make_context=make_context, **settings)
    except (OSError, ValueError) as error:
        raise type(error)(f"--dask: no cluster answers at {address}: {error}") from None


class Command:
    """Made of checked arguments; `run()` once."""

    messages: Messages
    failures: exits.Failures
    intake: Intake

    def __init__(self, arguments: argparse.Namespace):
        self.arguments = arguments
        self.messages = Messages(QUIET if arguments.quiet else VERBOSE if arguments.verbose else NORMAL)
        self.failures = exits.Failures()
        self.logs: list[JsonLog] = []
        self.downloader: Any = None
        self.is_over = False
        self.intake = Intake(arguments, self.messages, self.failures, self.stop)

    def run(self) -> int:
        """See run() above."""
        try:
            settings = self._settings()
        except QHttpError as error:
            self.messages.error(f"{error}; nothing was begun")
            return exits.kind_of(error)
        teller = Teller(self.arguments, self.messages, self.failures, self.logs, self._stdout_broken)
        try:
            display = display_for(self.arguments.progress or "auto", self.messages, self.arguments.progress_interval,
                                  lines_on_stdout=teller.prints)
        except ImportError as error:
            raise UsageError(f"--progress: {error}") from None
        try:
            self._open_logs()
        except OSError as error:
            self.messages.error(f"the log cannot be opened: {error}; nothing was begun")
            return exits.DISK
        try:
            session = self._make_downloader(settings)
        except (TypeError, ValueError) as error:
            raise UsageError(str(error)) from None
        except (QHttpError, OSError) as error:
            self.messages.error(f"{error}; nothing was begun")
            return exits.kind_of(error)
        try:
            return self._run(teller, display, Rest(self.arguments, self.downloader, self.intake, session, self.messages))
        finally:
            for log in self.logs:
                log.close()

    def stop(self) -> None:
        """What is running is broken off, its parts are kept."""
        if self.downloader is not None and not self.is_over:
            self.downloader.stop()

    # -- before
    def _settings(self) -> dict[str, Any]:
        arguments = self.arguments
        settings = dict(arguments.settings)
        if arguments.user:
            settings["user"] = user_of(arguments.user)
        context = tls_context_of(arguments)
        if context is not None:
            settings["context"] = context
        return settings

    def _make_downloader(self, settings: dict[str, Any]) -> str | None:
        """The path of the session that it has."""
        if self.arguments.dask:
            self.downloader = make_downloader(settings, self.arguments.dask, tls_options(self.arguments))
            return None
        *others, last = session_paths(self.arguments, settings.get("session"))
        for session in others:
            try:
                self.downloader = make_downloader({**settings, "session": session})
                return session
            except FileError:           # in use, most likely
                continue
        self.downloader = make_downloader({**settings, "session": last})
        return last

    def _open_logs(self) -> None:
        if self.arguments.log_json:
            self.logs.append(JsonLog(open_log(self.arguments.log_json), self._log_broken))
        if self.arguments.json_timings:
            self.logs.append(JsonLog(open_stdout(), self._log_broken))

    def _log_broken(self, error: OSError) -> None:
        self._broken("the log", error)

    def _stdout_broken(self, error: OSError) -> None:
        from qhttp.cli.output import forget
        forget()
        self._broken("stdout", error)

    def _broken(self, what: str, error: OSError) -> None:
        stopping = "" if self.is_over else "; stopping, the parts are kept"
        self.messages.error(f"{what} cannot be written: {error.strerror or error}{stopping}")
        self.failures.add(exits.DISK)
        self.stop()

    # -- the run
    def _run(self, teller: Teller, display: Display, rest: Rest) -> int:
        downloader = self.downloader
        figures = Figures(downloader, self.intake.n_unread)
        if display.interval_s:
            self.intake.count()
        pulses = [Pulse(lambda: display.interval_s, lambda: display.draw(figures.sample())), Pulse(lambda: BEAT_S, self._beat)]

        def over() -> None:
            self.is_over = True
            for pulse in pulses:
                pulse.stop()

        teller.connect(downloader)
        downloader.done.connect(over, 0)
        try:
            with Interrupts(self._interrupted) as interrupts:
                try:
                    for pulse in pulses:
                        pulse.start()
                    downloader.feed(self.intake.rows(downloader.more))
                    downloader.run()
                finally:
                    over()
                    display.end(None if self.arguments.head or self.arguments.dry_run else figures.sample())
                    teller.flush()
                return rest.settle(self.failures, interrupts.came)
        except StopAtOnce:
            self.messages.note("stopped; the parts are kept as far as they are known")
            return exits.INTERRUPTED
        finally:
            self.messages.end()         # rows are read until the rest is written

    def _beat(self) -> None:
        for log in self.logs:
            log.flush()

    def _interrupted(self) -> None:
        self.messages.note("stopping; Ctrl-C once more stops at once")
        self.stop()
