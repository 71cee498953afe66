"""Plots as SVG text, light and dark: bars of one workload, and one chart of ratios over several.

Nothing but text is made: no script, no font from elsewhere, and the same figures give the same bytes. The widths of
texts are estimated, generously, because no font is at hand. Every plot has a title and a description that says in
words what it shows.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH = 800
MARGIN = 20
FONT = "system-ui,-apple-system,'Segoe UI','Noto Sans','DejaVu Sans',Helvetica,Arial,sans-serif"
LEVEL = 15              # px between the levels of marks in the summary
LOG_FROM_SPREAD = 10    # a larger spread than this is shown on a logarithmic scale


@dataclass(frozen=True)
class Theme:
    """Colours. Text has a contrast of at least 4.5 to the paper, marks of at least 3 where they carry meaning."""

    name: str
    paper: str
    text: str
    soft: str       # lesser text
    grid: str
    bar: str
    ours: str
    floor: str
    series: tuple[str, ...]


LIGHT = Theme("light", "#ffffff", "#1f2328", "#59636e", "#e4e8ec", "#a8b3bf", "#0969da", "#bc4c00",
              ("#0969da", "#9a6700", "#1a7f37", "#8250df", "#bf3989", "#59636e"))  # fmt: skip
DARK = Theme("dark", "#0d1117", "#f0f6fc", "#9198a1", "#21262d", "#57606a", "#4493f8", "#f0883e",
             ("#4493f8", "#d29922", "#3fb950", "#ab7df8", "#db61a2", "#9198a1"))  # fmt: skip
THEMES = (LIGHT, DARK)


@dataclass(frozen=True)
class Bar:
    """One contender. `value` None: it has no number, and `note` says so."""

    label: str
    value: float | None
    note: str = ""          # behind the bar: its number
    extra: str = ""         # lesser, behind the note: its ratio
    is_ours: bool = False
    is_floor: bool = False


@dataclass(frozen=True)
class RatioRow:
    """One workload of the summary: what each series takes, as a multiple of the floor; None: no number."""

    label: str
    ratios: tuple[float | None, ...]


def number(value: float) -> str:
    """About three digits: 0.427, 1.38, 8.2, 194, 9,712."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 4 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def times(ratio: float) -> str:
    """A ratio: 0.98x, 1.9x, 46x."""
    form = ".0f" if ratio >= 20 else ".1f" if ratio >= 2 else ".2f"
    return f"{ratio:,{form}}\N{MULTIPLICATION SIGN}"


def _text_width(text: str, size: float) -> float:
    return 0.58 * size * len(text)


def _shortened(text: str, size: float, room: float) -> str:
    n = int(room / (0.58 * size) + 0.5)
    return text if len(text) <= n else text[: n - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


class _Scale:
    """From a value to a place between `left` and `right`."""

    def __init__(self, values: Sequence[float], left: float, right: float, at_least_log: bool = False) -> None:
        self.left, self.right = left, right
        smallest, self.high = min(values), max(values)
        self.is_log = at_least_log or (smallest > 0 and self.high / smallest > LOG_FROM_SPREAD)
        self.low = self._step_below(smallest * 0.75) if self.is_log else 0.0
        if self.high <= self.low:
            self.high = self.low * 2 or 1.0

    @staticmethod
    def _step_below(value: float) -> float:
        decade = 10.0 ** math.floor(math.log10(value))
        return next(step * decade for step in (5, 2, 1) if step * decade <= value * 1.0000001)

    def at(self, value: float) -> float:
        share = value / self.high
        if self.is_log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.left + share * (self.right - self.left)

    def ticks(self) -> list[float]:
        """Round values on the axis, at least 44 px from each other."""
        if not self.is_log:
            step = 10.0 ** math.floor(math.log10(self.high / 2))
            step = next(s * step for s in (1, 2, 5, 10) if self.high / (s * step) <= 6)
            return [n * step for n in range(int(self.high / step + 1e-9) + 1)]
        found: list[float] = []
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for value in (step * 10.0**decade for step in (1, 5, 2) for decade in decades):     # the round ones first
            inside = self.low * 0.999 <= value <= self.high * 1.001
            if inside and all(abs(self.at(value) - self.at(other)) >= 44 for other in found):
                found.append(value)
        return sorted(found)


def _tick_text(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 and value == int(value) else f"{value:.6g}"


class _Drawing:
    """Collects elements; texts are escaped here."""

    def __init__(self, theme: Theme) -> None:
        self.theme = theme
        self.elements: list[str] = []

    @property
    def halo(self) -> str:
        """Attributes of a text that stands over lines: the paper shines around its letters."""
        return f' stroke="{self.theme.paper}" stroke-width="4" stroke-linejoin="round" paint-order="stroke"'

    def text(self, x: float, y: float, text: str, size: float = 13, colour: str = "", anchor: str = "start",
             bold: bool = False, halo: bool = False) -> None:  # fmt: skip
        weight = ' font-weight="600"' if bold else ""
        where = f' text-anchor="{anchor}"' if anchor != "start" else ""
        self.elements.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{colour or self.theme.text}"'
            f"{where}{weight}{self.halo if halo else ''}>"
            f"{escape(text)}</text>"
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1, dashes: str = "") -> None:
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self.elements.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'stroke="{colour}" stroke-width="{width:g}"{dashed}/>'
        )

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        self.elements.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1.5):.1f}" height="{height:.1f}" rx="3" fill="{colour}"/>'
        )

    def mark(self, series: int, x: float, y: float, size: float) -> None:
        """A shape and a colour for each series, so that neither is needed alone."""
        colour = self.theme.series[series % len(self.theme.series)]
        style = f'fill="{colour}" stroke="{self.theme.paper}" stroke-width="1.5"'
        corners = (
            (),
            ((-1, -1), (1, -1), (1, 1), (-1, 1)),
            ((0, -1.35), (1.35, 0), (0, 1.35), (-1.35, 0)),
            ((0, -1.3), (1.25, 1), (-1.25, 1)),
            ((0, 1.3), (1.25, -1), (-1.25, -1)),
            ((-1.4, -0.6), (1.4, -0.6), (1.4, 0.6), (-1.4, 0.6)),
        )[series % 6]
        if not corners:
            self.elements.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size * 1.2:.1f}" {style}/>')
            return
        points = " ".join(f"{x + dx * size:.1f},{y + dy * size:.1f}" for dx, dy in corners)
        self.elements.append(f'<polygon points="{points}" {style}/>')

    def svg(self, height: float, title: str, description: str) -> str:
        """The whole document."""
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
                f'viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-labelledby="title description" font-family="{FONT}">',
                f'<title id="title">{escape(title)}</title>',
                f'<desc id="description">{escape(description)}</desc>',
                f'<rect width="{WIDTH}" height="{height:.0f}" fill="{self.theme.paper}"/>',
                *self.elements,
                "</svg>\n",
            ]
        )


def bars(title: str, unit: str, rows: Sequence[Bar], theme: Theme, floor_text: str = "C floor") -> str:
    """Horizontal bars, in the order given, with the floor as a line through all of them."""
    drawing = _Drawing(theme)
    known = [row for row in rows if row.value is not None and row.value > 0]
    pitch, thickness, top = 30, 18, 84
    label_size, note_size = 13.0, 13.0
    label_room = min(260.0, max((_text_width(row.label, label_size) for row in rows), default=0))
    note_room = max((_text_width(f"{row.note}  {row.extra}", note_size) for row in known), default=0) + 14
    left, right = MARGIN + label_room + 12, WIDTH - MARGIN - note_room
    bottom = top + pitch * len(rows)
    scale = _Scale([row.value for row in known if row.value] or [1.0], left, right)
    drawing.text(MARGIN, 30, _shortened(title, 16, WIDTH - 2 * MARGIN), 16, bold=True)
    how = "logarithmic scale" if scale.is_log else "from zero"
    drawing.text(MARGIN, 51, f"CPU of the client, {unit}; shorter is better; {how}", 12.5, theme.soft)
    for tick in scale.ticks():
        drawing.line(scale.at(tick), top - 4, scale.at(tick), bottom, theme.grid)
        drawing.text(scale.at(tick), bottom + 16, _tick_text(tick), 11.5, theme.soft, "middle")
    for place, row in enumerate(rows):
        y = top + pitch * place
        base = y + pitch / 2 + 4.5
        drawing.text(left - 10, base, _shortened(row.label, label_size, label_room), label_size,
                     theme.text if row.value is not None else theme.soft, "end", row.is_ours)  # fmt: skip
        if row.value is None or row.value <= 0:
            drawing.text(left + 6, base, row.note, 12.5, theme.soft)
            continue
        end = scale.at(row.value)
        colour = theme.ours if row.is_ours else theme.floor if row.is_floor else theme.bar
        drawing.box(left, y + (pitch - thickness) / 2, end - left, thickness, colour)
    floor = next((row for row in known if row.is_floor), None)
    if floor is not None and floor.value is not None:
        x = scale.at(floor.value)
        drawing.line(x, top - 6, x, bottom, theme.floor, 1.5, "4 3")
        drawing.text(x, top - 11, floor_text, 11.5, theme.floor, "middle", True)
    for place, row in enumerate(rows):      # over the line
        if row.value is None or row.value <= 0:
            continue
        x, base = scale.at(row.value) + 8, top + pitch * place + pitch / 2 + 4.5
        weight = ' font-weight="600"' if row.is_ours else ""
        drawing.elements.append(
            f'<text x="{x:.1f}" y="{base:.1f}" font-size="{note_size:g}" fill="{theme.text}"{weight}{drawing.halo}>'
            f'{escape(row.note)}<tspan dx="8" fill="{theme.soft}">{escape(row.extra)}</tspan></text>'
        )
    said = "; ".join(f"{row.label}: {row.note} {row.extra}".strip() for row in rows)
    return drawing.svg(bottom + 30, title, f"CPU of each client in {unit}, less is better. {said}.")


@dataclass
class _Mark:
    """Where a mark of the summary goes. On level 0 its number stands above it, on deeper ones beside it."""

    series: int
    x: float
    ratio: float
    level: int


def _place_marks(row: RatioRow, scale: _Scale) -> list[_Mark]:
    """The first series first; what would hide something goes a level deeper."""
    marks: list[_Mark] = []
    taken: dict[int, list[tuple[float, float]]] = {}        # level -> spans; -1: the numbers above the line
    for series, ratio in enumerate(row.ratios):
        if ratio is None or ratio <= 0:
            continue
        x, width = scale.at(ratio), _text_width(times(ratio), 11.5)
        for level in range(len(row.ratios)):
            spans = {level: (x - 7, x + 11 + width)}
            if level == 0:
                spans = {0: (x - 7, x + 7), -1: (x - width / 2 - 2, x + width / 2 + 2)}
            if all(end < s or e < start for at, (start, end) in spans.items() for s, e in taken.get(at, ())):
                for at, span in spans.items():
                    taken.setdefault(at, []).append(span)
                marks.append(_Mark(series, x, ratio, level))
                break
    return marks


def _ratio_row(drawing: _Drawing, y: float, marks: Sequence[_Mark]) -> None:
    """The line of one workload with its marks."""
    theme = drawing.theme
    if marks:
        drawing.line(min(mark.x for mark in marks), y, max(mark.x for mark in marks), y, theme.bar, 1.5)
    for mark in marks:
        if mark.level:
            drawing.line(mark.x, y, mark.x, y + LEVEL * mark.level, theme.bar, 1)
    for mark in reversed(marks):
        colour = theme.series[mark.series % len(theme.series)]
        at = y + LEVEL * mark.level
        if mark.level:
            drawing.text(mark.x + 10, at + 4, times(mark.ratio), 11.5, colour, halo=True)
        else:
            drawing.text(mark.x, y - 11, times(mark.ratio), 11.5, colour, "middle", mark.series == 0, halo=True)
        drawing.mark(mark.series, mark.x, at, 6 if mark.series == 0 else 5)


def ratios(title: str, subtitle: str, series: Sequence[str], rows: Sequence[RatioRow], theme: Theme) -> str:
    """One line a workload, a mark a series, the floor at 1; the first series is the one that is looked for."""
    drawing = _Drawing(theme)
    top = 118
    labels = [textwrap.wrap(row.label, 32)[:3] for row in rows]
    label_room = min(240.0, max((_text_width(line, 13) for label in labels for line in label), default=0))
    left, right = MARGIN + label_room + 22, WIDTH - MARGIN - 22
    scale = _Scale([1.0, *(ratio for row in rows for ratio in row.ratios if ratio is not None and ratio > 0)], left, right)
    marks = [_place_marks(row, scale) for row in rows]
    heights = [
        max(46, 17 * len(label) + 10, 42 + LEVEL * max((mark.level for mark in placed), default=0))
        for label, placed in zip(labels, marks, strict=True)
    ]
    bottom = top + sum(heights)
    drawing.text(MARGIN, 30, title, 16, bold=True)
    drawing.text(MARGIN, 51, subtitle + ("; logarithmic scale" if scale.is_log else ""), 12.5, theme.soft)
    x = float(MARGIN + 6)
    for place, name in enumerate(series):
        drawing.mark(place, x, 74, 5)
        drawing.text(x + 12, 78.5, name, 13, bold=place == 0)
        x += 12 + _text_width(name, 13) + 24
    for tick in scale.ticks():
        at = scale.at(tick)
        if tick != 1:
            drawing.line(at, top - 6, at, bottom, theme.grid)
        drawing.text(at, bottom + 17, f"{_tick_text(tick)}\N{MULTIPLICATION SIGN}", 11.5, theme.soft, "middle")
    drawing.line(scale.at(1), top - 6, scale.at(1), bottom, theme.floor, 1.5, "4 3")
    drawing.text(scale.at(1), top - 12, "C floor", 11.5, theme.floor, "middle", True)
    y = float(top)
    for label, placed, height in zip(labels, marks, heights, strict=True):
        for at, line in enumerate(label):
            base = y + height / 2 + 4.5 + (at - (len(label) - 1) / 2) * 17
            drawing.text(left - 22, base, _shortened(line, 13, label_room + 4), 13, anchor="end")
        _ratio_row(drawing, y + 25, placed)
        y += height
    said = " ".join(
        f"{row.label}: "
        + ", ".join(f"{name} {times(r)}" for name, r in zip(series, row.ratios, strict=True) if r is not None)
        + "."
        for row in rows
    )
    return drawing.svg(bottom + 32, title, f"{subtitle}. {said}")
