"""Drawn parts of the report: stacked bars with letters and patterns, the risk curve, pictures."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from reportlab.lib import colors
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.platypus import Flowable

from plaque_edge.export import overlay, words
from plaque_edge.export.report_fonts import BOLD, REGULAR
from plaque_edge.types import VESSELS

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from reportlab.pdfgen.canvas import Canvas

INK = colors.HexColor("#1B2430")
MUTED = colors.HexColor("#5A6675")
LINE = colors.HexColor("#C9D1DA")
PALE = colors.HexColor("#F2F5F8")
ACCENT = colors.HexColor("#0B6E99")
WARN = colors.HexColor("#8A4B00")
STOP = colors.HexColor("#A11D2B")


class Bars(Flowable):  # type: ignore[misc]
    """Stacked plaque volume per vessel in mm³; letter and pattern beside every colour."""

    ROW, TOP = 9 * mm, 8 * mm

    def __init__(self, result: dict[str, Any], width: float) -> None:
        super().__init__()
        self.result = result
        self.width, self.height = width, 4 * self.ROW + self.TOP

    def draw(self) -> None:
        """Draw legend and four rows on the canvas."""
        canvas: Canvas = self.canv
        vessels = self.result["vessels"]
        totals = [vessels[name].get("plaque_mm3") or 0.0 for name in VESSELS]
        left, right = 16 * mm, 30 * mm
        scale = (self.width - left - right) / max(1.0, *totals)
        self._legend(canvas)
        for row, name in enumerate(VESSELS):
            y = self.height - self.TOP - (row + 1) * self.ROW + 1.5 * mm
            canvas.setFillColor(INK)
            canvas.setFont(BOLD, 9)
            canvas.drawString(0, y + 1.8 * mm, name)
            self._row(canvas, vessels[name], (left, y), scale)

    def _legend(self, canvas: Canvas) -> None:
        x, y = 16 * mm, self.height - 4.5 * mm
        for index, (letter, word, color) in enumerate(words.COMPONENTS):
            box(canvas, (x, y, 5 * mm, 3.4 * mm), color, index)
            canvas.setFillColor(MUTED)
            canvas.setFont(REGULAR, 7.5)
            text = f"{letter}  {word}"
            canvas.drawString(x + 6.2 * mm, y + 0.7 * mm, text)
            x += 6.2 * mm + stringWidth(text, REGULAR, 7.5) + 7 * mm

    def _row(
        self, canvas: Canvas, vessel: dict[str, Any], at: tuple[float, float], scale: float
    ) -> None:
        x, y = at
        parts = words.parts(vessel)
        canvas.setFont(REGULAR, 8.5)
        if vessel["status"] == "not_analysable" or parts is None:
            missing_box(canvas, (x, y, 46 * mm, 6 * mm))
            return
        for index, (part, (letter, _, color)) in enumerate(
            zip(parts, words.COMPONENTS, strict=True)
        ):
            width = part * scale
            if width <= 0:
                continue
            box(canvas, (x, y, width, 6 * mm), color, index)
            if width > 4.5 * mm:
                tag(canvas, letter, x + width / 2, y + 2 * mm)
            x += width
        canvas.setFillColor(INK)
        canvas.setFont(REGULAR, 8.5)
        bound = vessel["status"] == "partial"
        text = words.volume(vessel["plaque_mm3"], lower_bound=bound)
        canvas.drawString(x + 2 * mm, y + 1.8 * mm, text)


def box(canvas: Canvas, frame: tuple[float, float, float, float], color: str, pattern: int) -> None:
    """Fill a rectangle with a component's colour and pattern: 0 dots, 1 plain, 2 hatch."""
    x, y, width, height = frame
    canvas.saveState()
    path = canvas.beginPath()
    path.rect(x, y, width, height)
    canvas.clipPath(path, stroke=0, fill=0)
    canvas.setFillColor(colors.HexColor(color))
    canvas.rect(x, y, width, height, stroke=0, fill=1)
    canvas.setStrokeColor(INK)
    canvas.setFillColor(INK)
    canvas.setLineWidth(0.4)
    if pattern == 0:
        for column in range(int(width / 4.5) + 1):
            for row in range(int(height / 4.5) + 1):
                canvas.circle(x + 2 + 4.5 * column, y + 2 + 4.5 * row, 0.45, stroke=0, fill=1)
    elif pattern == 2:
        for step in range(int((width + height) / 3.2) + 2):
            canvas.line(x + 3.2 * step - height, y, x + 3.2 * step, y + height)
    canvas.restoreState()
    canvas.setStrokeColor(INK)
    canvas.setLineWidth(0.5)
    canvas.rect(x, y, width, height, stroke=1, fill=0)


def tag(canvas: Canvas, letter: str, x: float, y: float) -> None:
    """Write a letter on a white lozenge, readable on every pattern."""
    canvas.setFillColor(colors.white)
    canvas.roundRect(x - 4.2, y - 2.2, 8.4, 10, 2, stroke=0, fill=1)
    canvas.setFillColor(INK)
    canvas.setFont(BOLD, 8)
    canvas.drawCentredString(x, y, letter)


def missing_box(canvas: Canvas, frame: tuple[float, float, float, float]) -> None:
    """Draw the dashed box that says "not analysable": nothing like an empty bar."""
    x, y, width, height = frame
    canvas.saveState()
    canvas.setDash(2, 2)
    canvas.setStrokeColor(STOP)
    canvas.setLineWidth(0.8)
    canvas.rect(x, y, width, height, stroke=1, fill=0)
    canvas.setFillColor(STOP)
    canvas.setFont(BOLD, 8)
    canvas.drawCentredString(x + width / 2, y + height / 2 - 2.8, words.NOT_ANALYSABLE)
    canvas.restoreState()


class RiskCurve(Flowable):  # type: ignore[misc]
    """Probability of the endpoint over the horizons, with its 95 % band."""

    def __init__(self, risk: dict[str, Any], width: float, height: float) -> None:
        super().__init__()
        self.risk, self.width, self.height = risk, width, height

    def draw(self) -> None:
        """Draw axes, band and curve."""
        canvas: Canvas = self.canv
        years = [0.0, *map(float, self.risk["horizons_years"])]
        curve, low, high = (
            [0.0, *map(float, self.risk[key])] for key in ("probability", "lower", "upper")
        )
        left, bottom = 11 * mm, 8 * mm
        top = nice_top(max(high))
        sx = (self.width - left - 4 * mm) / max(years)
        sy = (self.height - bottom - 4 * mm) / top
        self._axes(canvas, (left, bottom, sx, sy), top, years)
        band = canvas.beginPath()
        edge = [*zip(years, high, strict=True), *reversed(list(zip(years, low, strict=True)))]
        for index, (year, value) in enumerate(edge):
            go = band.moveTo if index == 0 else band.lineTo
            go(left + year * sx, bottom + value * sy)
        band.close()
        canvas.setFillColor(colors.HexColor("#CFE4EE"))
        canvas.drawPath(band, stroke=0, fill=1)
        canvas.setStrokeColor(ACCENT)
        canvas.setLineWidth(1.6)
        for a in range(len(years) - 1):
            canvas.line(
                left + years[a] * sx, bottom + curve[a] * sy,
                left + years[a + 1] * sx, bottom + curve[a + 1] * sy,
            )  # fmt: skip

    def _axes(
        self, canvas: Canvas, frame: tuple[float, ...], top: float, years: list[float]
    ) -> None:
        left, bottom, sx, sy = frame
        canvas.setFont(REGULAR, 7)
        canvas.setLineWidth(0.4)
        for step in range(5):
            value = top * step / 4
            canvas.setStrokeColor(LINE)
            canvas.line(left, bottom + value * sy, left + years[-1] * sx, bottom + value * sy)
            canvas.setFillColor(MUTED)
            canvas.drawRightString(left - 2, bottom + value * sy - 2.4, f"{100 * value:g} %")
        for year in years:
            canvas.drawCentredString(left + year * sx, bottom - 9, f"{year:g}")
        canvas.drawCentredString(left + years[-1] * sx / 2, bottom - 18, "years after the scan")


def nice_top(highest: float) -> float:
    """Return a round axis end (fraction) at or above ``highest`` that divides by four."""
    for top in (0.02, 0.04, 0.08, 0.12, 0.2, 0.4, 0.6, 0.8):
        if highest <= top:
            return top
    return 1.0


def picture(array: NDArray[Any]) -> ImageReader:
    """Turn an image array into a PDF picture.

    uint8 ``(y, x)`` or ``(y, x, 3)`` is taken as it is; int16 ``(y, x)`` is HU and gets the
    coronary window.
    """
    data = np.asarray(array)
    if data.dtype != np.uint8:
        data = overlay.to_rgb(overlay.render(data.astype(np.int16), None, overlay.Style()))
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(data)).save(buffer, "PNG")
    buffer.seek(0)
    return ImageReader(buffer)
