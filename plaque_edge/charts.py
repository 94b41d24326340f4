"""Small charts as SVG text: points, lines, bands on two axes. No library, no file, no colour alone.

Groups differ in shape as well as colour (Okabe & Ito's palette), lines in their dashes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from plaque_edge import RESEARCH_USE

if TYPE_CHECKING:
    from collections.abc import Sequence

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("", "7 4", "2 3", "9 3 2 3")
WIDTH, HEIGHT = 700, 400
LEFT, RIGHT, TOP, BOTTOM = 72, 514, 34, 342
"""Edges of the plot; right of it is room for the legend."""
INK, GRID = "#1B2430", "#DDE3E9"
NOTICE = f"{RESEARCH_USE}."


@dataclass(frozen=True, slots=True)
class Points:
    """Marks at ``(x, y)``, all of one group."""

    x: Sequence[float]
    y: Sequence[float]
    label: str = ""
    style: int = 0


@dataclass(frozen=True, slots=True)
class Curve:
    """A line through ``(x, y)``; ``steps`` holds each value until the next."""

    x: Sequence[float]
    y: Sequence[float]
    label: str = ""
    style: int = 0
    steps: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """The area between ``low`` and ``high``, an interval around a curve."""

    x: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    style: int = 0


Mark = Points | Curve | Band


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart to draw; ``x_range`` and ``y_range`` are those of the marks where not given."""

    title: str
    x_label: str
    y_label: str
    marks: tuple[Mark, ...]
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class _Axes:
    x: tuple[float, float]
    y: tuple[float, float]

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return the place of a value on the page."""
        (x0, x1), (y0, y1) = self.x, self.y
        across = LEFT + (x - x0) / (x1 - x0) * (RIGHT - LEFT)
        return across, BOTTOM - (y - y0) / (y1 - y0) * (BOTTOM - TOP)

    def path(self, x: Sequence[float], y: Sequence[float]) -> str:
        """Return values as the points of an SVG line, those that are not finite left out."""
        good = ((a, b) for a, b in zip(x, y, strict=True) if math.isfinite(a) and math.isfinite(b))
        return " ".join("{:.1f},{:.1f}".format(*self.place(a, b)) for a, b in good)


def svg(chart: Chart) -> str:
    """Return the chart as one SVG element."""
    axes = _Axes(
        chart.x_range or _range([v for m in chart.marks for v in m.x]),
        chart.y_range or _range([v for m in chart.marks for v in _values(m)]),
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="DejaVu Sans, Arial, sans-serif" '
        f'font-size="12" role="img" aria-label="{escape(chart.title, {chr(34): "&quot;"})}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        *_frame(chart, axes),
        f'<defs><clipPath id="plot"><rect x="{LEFT}" y="{TOP}" width="{RIGHT - LEFT}" '
        f'height="{BOTTOM - TOP}"/></clipPath></defs><g clip-path="url(#plot)">',
        *(_mark(mark, axes) for mark in chart.marks),
        "</g>",
        *_legend(chart),
        "</svg>",
    ]
    return "\n".join(parts)


def _values(mark: Mark) -> list[float]:
    return [*mark.low, *mark.high] if isinstance(mark, Band) else [*mark.y]


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Return a range with a margin around the finite values."""
    finite = [v for v in values if math.isfinite(v)] or [0.0]
    low, high = min(finite), max(finite)
    flat = high - low <= 1e-9 * max(abs(low), abs(high))
    margin = max(0.05 * abs(high), 0.5) if flat else 0.05 * (high - low)
    return low - margin, high + margin


def ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Round numbers between ``low`` and ``high``: 1, 2 or 5 times a power of ten apart."""
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _frame(chart: Chart, axes: _Axes) -> list[str]:
    out = [_text((LEFT + RIGHT) / 2, 20, chart.title, size=14, weight="bold")]
    for value in ticks(*axes.x, about=7):
        x = axes.place(value, axes.y[0])[0]
        out += [_line((x, TOP), (x, BOTTOM)), _text(x, BOTTOM + 16, f"{value:g}")]
    for value in ticks(*axes.y):
        y = axes.place(axes.x[0], value)[1]
        out += [_line((LEFT, y), (RIGHT, y)), _text(LEFT - 6, y + 4, f"{value:g}", anchor="end")]
    middle = (TOP + BOTTOM) / 2
    turned = f'transform="rotate(-90 16 {middle})"'
    return [
        *out,
        f'<rect x="{LEFT}" y="{TOP}" width="{RIGHT - LEFT}" height="{BOTTOM - TOP}" '
        f'fill="none" stroke="{INK}"/>',
        _text((LEFT + RIGHT) / 2, BOTTOM + 34, chart.x_label),
        _text(16, middle, chart.y_label, more=turned),
        _text(WIDTH - 8, HEIGHT - 6, NOTICE, anchor="end", size=9),
    ]


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "middle",
    size: int = 12,
    weight: str = "normal",
    more: str = "",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'font-weight="{weight}" fill="{INK}" {more}>{escape(text)}</text>'
    )


def _line(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = start, end
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{GRID}"/>'


def _mark(mark: Mark, axes: _Axes) -> str:
    color = COLORS[mark.style % len(COLORS)]
    if isinstance(mark, Band):
        outline = axes.path([*mark.x, *reversed(mark.x)], [*mark.low, *reversed(mark.high)])
        return f'<polygon points="{outline}" fill="{color}" fill-opacity="0.18"/>'
    if isinstance(mark, Curve):
        x, y = (_stairs(mark.x, mark.y)) if mark.steps else (mark.x, mark.y)
        dash = DASHES[mark.style % len(DASHES)]
        return (
            f'<polyline points="{axes.path(x, y)}" fill="none" stroke="{color}" '
            f'stroke-width="1.8" stroke-dasharray="{dash}"/>'
        )
    places = (axes.place(x, y) for x, y in zip(mark.x, mark.y, strict=True))
    return "".join(_shape(x, y, mark.style, color) for x, y in places)


def _stairs(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    across = [v for pair in zip(x, x, strict=True) for v in pair][1:]
    return across, [v for pair in zip(y, y, strict=True) for v in pair][:-1]


def _shape(x: float, y: float, style: int, color: str) -> str:
    """Return one mark: circle, square, triangle or diamond."""
    look = f'fill="{color}" fill-opacity="0.6" stroke="{color}"'
    if style % 4 == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" {look}/>'
    if style % 4 == 1:
        return f'<rect x="{x - 3:.1f}" y="{y - 3:.1f}" width="6" height="6" {look}/>'
    corners = (
        ((0, -4), (4, 3.5), (-4, 3.5)) if style % 4 == 2 else ((0, -5), (5, 0), (0, 5), (-5, 0))
    )
    outline = " ".join(f"{x + a:.1f},{y + b:.1f}" for a, b in corners)
    return f'<polygon points="{outline}" {look}/>'


def _legend(chart: Chart) -> list[str]:
    """Return the labels of the marks that have one, right of the plot."""
    out, y, x = [], TOP + 12, RIGHT + 10
    for mark in chart.marks:
        if isinstance(mark, Band) or not mark.label:
            continue
        color = COLORS[mark.style % len(COLORS)]
        if isinstance(mark, Points):
            out.append(_shape(x + 11, y - 4, mark.style, color))
        else:
            dash = DASHES[mark.style % len(DASHES)]
            out.append(
                f'<line x1="{x}" y1="{y - 4}" x2="{x + 22}" y2="{y - 4}" '
                f'stroke="{color}" stroke-width="1.8" stroke-dasharray="{dash}"/>'
            )
        out.append(_text(x + 28, y, mark.label, anchor="start", size=11))
        y += 16
    return out
