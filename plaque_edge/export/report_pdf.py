"""The PDF report of one result: identity, headline, vessels, lesions, risk, quality, technique.

A4, one to three pages, readable in grey print. Every page bears the patient's identity, the
UNSIGNED watermark, "research use only" and its number. What was not measured says
"not analysable"; a refused series gives a report that says why.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate

from plaque_edge.export import report_story as story
from plaque_edge.export import words
from plaque_edge.export.report_fonts import BOLD, REGULAR, register, runs
from plaque_edge.export.report_parts import INK, LINE, MUTED

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from plaque_edge.types import SeriesInfo

MARGIN = 15 * mm


def write_pdf(
    result: dict[str, Any],
    info: SeriesInfo,
    path: Path,
    images: Mapping[str, NDArray[np.generic]] | None = None,
) -> None:
    """Write the report of ``result`` to ``path``; the file appears whole or not at all.

    Parameters
    ----------
    result
        A result valid against ``plaque-edge/result/1``.
    info
        The header of the same series: identity comes from here.
    path
        Where the PDF goes; its folder must exist.
    images
        Caption to picture: uint8 ``(y, x)`` or ``(y, x, 3)``, or int16 HU ``(y, x)``.
        :func:`plaque_edge.export.overlay.report_images` makes them.

    Raises
    ------
    ValueError
        When the result belongs to another series than ``info``.
    OSError
        When the file cannot be written.
    """
    wanted, found = info.series_instance_uid, result["series"]["series_instance_uid"]
    if wanted != found:
        raise ValueError("result and identity belong to different series; no report was written")
    register()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".report-", suffix=".pdf")
    os.close(handle)
    temporary = Path(name)
    try:
        _build(temporary, result, info, dict(images or {}))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _build(
    path: Path, result: dict[str, Any], info: SeriesInfo, images: dict[str, NDArray[Any]]
) -> None:
    page = _Page(
        f"{words.person(info.patient_name)}  ·  {info.patient_id or 'no ID'}  ·  born "
        f"{words.date(info.birth_date)}",
        f"plaque-edge {result['software']['version']}",
    )
    frame = Frame(
        MARGIN, 18 * mm, A4[0] - 2 * MARGIN, A4[1] - 38 * mm,
        leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0,
    )  # fmt: skip
    document = BaseDocTemplate(
        str(path), pagesize=A4, title="Coronary plaque report", author="plaque-edge",
        subject=words.RESEARCH_USE, creator=page.software,
    )  # fmt: skip
    document.addPageTemplates(PageTemplate("page", [frame]))
    document.build(
        story.build(result, info, images, A4[0] - 2 * MARGIN),
        canvasmaker=lambda *args, **options: _NumberedCanvas(page, *args, **options),
    )


@dataclass(frozen=True, slots=True)
class _Page:
    """What stands on every page."""

    identity: str
    software: str


class _NumberedCanvas(Canvas):  # type: ignore[misc]
    """A canvas that keeps its pages back until their number is known."""

    def __init__(self, page: _Page, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._page = page
        self._kept: list[dict[str, Any]] = []

    def showPage(self) -> None:
        self._kept.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        kept = self._kept
        for number, state in enumerate(kept, 1):
            self.__dict__.update(state)
            _furniture(self, self._page, number, len(kept))
            super().showPage()
        super().save()


def _furniture(canvas: Canvas, page: _Page, number: int, total: int) -> None:
    width, height = A4
    canvas.saveState()
    canvas.setFillColor(colors.Color(0.55, 0.1, 0.15, alpha=0.085))
    canvas.setFont(BOLD, 92)
    canvas.translate(width / 2, height / 2)
    canvas.rotate(52)
    canvas.drawCentredString(0, -30, words.UNSIGNED)
    canvas.restoreState()
    canvas.setStrokeColor(LINE)
    canvas.setLineWidth(0.6)
    canvas.line(MARGIN, height - 16 * mm, width - MARGIN, height - 16 * mm)
    canvas.line(MARGIN, 14 * mm, width - MARGIN, 14 * mm)
    canvas.setFillColor(INK)
    canvas.setFont(BOLD, 9)
    canvas.drawString(MARGIN, height - 13.5 * mm, "Coronary plaque report")
    _line_right(canvas, page.identity, width - MARGIN, height - 13.5 * mm)
    canvas.setFillColor(INK)
    canvas.setFont(BOLD, 7.5)
    canvas.drawString(MARGIN, 10 * mm, f"{words.RESEARCH_USE}. {words.UNSIGNED}: not reviewed.")
    canvas.setFillColor(MUTED)
    canvas.setFont(REGULAR, 7.5)
    canvas.drawString(MARGIN, 6.5 * mm, f"{words.TRAINING_NOTE}.")
    canvas.drawRightString(width - MARGIN, 10 * mm, f"Page {number} of {total}")
    canvas.drawRightString(width - MARGIN, 6.5 * mm, page.software)


def _line_right(canvas: Canvas, text: str, right: float, y: float) -> None:
    """Write one right-aligned line, changing the font wherever the script asks for it."""
    pieces = [(font or REGULAR, run) for font, run in runs(text)]
    x = right - sum(canvas.stringWidth(run, font, 8.5) for font, run in pieces)
    for font, run in pieces:
        canvas.setFont(font, 8.5)
        canvas.drawString(x, y, run)
        x += canvas.stringWidth(run, font, 8.5)
