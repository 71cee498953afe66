"""The table of running transfers on a terminal, drawn by rich: one line a transfer, and the totals below."""
from __future__ import annotations

from qhttp.cli.figures import Figures, name_of, percent_text, size_text, totals_text
from qhttp.cli.progress import TABLE_INTERVAL_S, Display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

    from qhttp.cli.messages import Messages

MAX_ROWS = 24           # transfers shown, where the terminal is high enough
MAX_WIDTH = 110         # columns
NAME_WIDTH = 16         # of a name at least, before anything else is shown
BAR_WIDTH, PERCENT_WIDTH, SIZE_WIDTH, RATE_WIDTH = 24, 4, 9, 11


class _Stream:
    """What rich writes to: it would end the program where a pipe is broken."""

    def __init__(self, display: Display):
        self._display = display
        self.encoding = getattr(display.stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        self._display.put(text)
        return len(text)

    def flush(self) -> None:
        """put() has done that."""

    def isatty(self) -> bool:
        return self._display.stream.isatty()

    def fileno(self) -> int:
        return self._display.stream.fileno()


class Table(Display):
    """Raises ImportError, which names the extra to install, where rich is missing."""

    interval_s = TABLE_INTERVAL_S

    def __init__(self, messages: Messages, stream: TextIO | None = None, interval_s: float | None = None):
        try:
            from rich.console import Console
            from rich.live import Live
        except ImportError:
            raise ImportError("the table needs rich: pip install qhttp[cli], or use --progress plain") from None
        super().__init__(messages, stream, interval_s)
        file: Any = _Stream(self)
        self._console = Console(file=file, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True, redirect_stdout=False,
                          redirect_stderr=False)
        self._widths: list[int] = []            # of the lines that are on the screen
        messages.write = self._write_above

    def draw(self, figures: Figures) -> None:
        self._live.start()              # the first time; not before something is to be seen
        drawn = self._drawn(figures)
        self._take_back_wrapped()
        self._live.update(drawn, refresh=True)
        self._widths = [getattr(line, "width", None) or line.cell_len for line in drawn.renderables]

    def _take_back_wrapped(self) -> None:
        """In a terminal that became narrower an old line takes several: rich goes up too few, and what is above would stay."""
        now = self._console.width
        n_lines = sum(-(-width // now) or 1 for width in self._widths)
        if n_lines > len(self._widths):
            self.put(f"\r\x1b[{n_lines - 1}A\x1b[J" + "\n" * (len(self._widths) - 1))

    def end(self, figures: Figures | None) -> None:
        self._live.stop()
        self.messages.write = self.messages.write_plain
        super().end(figures)

    def _write_above(self, kind: str, line: str) -> None:
        from rich.text import Text
        self._console.print(Text(line, style="red" if kind == "error" else ""), soft_wrap=True)

    def _drawn(self, figures: Figures) -> Any:
        from rich.console import Group
        from rich.text import Text
        width, height = self._console.size
        width = min(width, MAX_WIDTH)
        room = max(0, min(MAX_ROWS, height - 3))
        running = figures.lasting
        drawn: list[Any] = [_row(*each, width) for each in running[:room]]
        if len(running) > room:
            drawn.append(Text(f"... and {len(running) - room} more", style="dim", no_wrap=True, overflow="ellipsis"))
        drawn.append(Text(totals_text(figures), style="bold", no_wrap=True, overflow="ellipsis"))
        return Group(*drawn)


def _row(transfer: Any, rate: float, width: int) -> Any:
    """A line: the name, and what there is room for."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table as Grid
    from rich.text import Text
    total = transfer.n_total
    cells = {
        PERCENT_WIDTH: Text(percent_text(transfer)),
        RATE_WIDTH: Text(f"{size_text(rate)}/s"),
        SIZE_WIDTH: Text(size_text(total or transfer.n_done)),
        BAR_WIDTH: ProgressBar(total=total, completed=min(transfer.n_done, total)) if total > 0 else Text(""),
    }
    room = width - NAME_WIDTH
    shown = []
    for cell_width in cells:            # the more important ones first
        room -= cell_width + 1
        if room >= 0:
            shown.append(cell_width)
    grid = Grid.grid(padding=(0, 1, 0, 0), pad_edge=False, expand=True)
    grid.width = width
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    order = [cell_width for cell_width in (BAR_WIDTH, PERCENT_WIDTH, SIZE_WIDTH, RATE_WIDTH) if cell_width in shown]
    for cell_width in order:
        grid.add_column(justify="right", width=cell_width, no_wrap=True)
    grid.add_row(Text(name_of(transfer)), *(cells[cell_width] for cell_width in order))
    return grid
