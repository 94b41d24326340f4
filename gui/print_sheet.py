"""Prints one page of the console, on paper or as PDF: ``python -m gui.print_sheet < job``.

A process of its own, so that the console never waits. It loads the case again from its folder,
with the same checks of identity, shows the very page in light colours out of sight, and paints
that onto A4; what the page shows in part follows as text. Every sheet bears the identity, who
signed or UNSIGNED, and "research use only".
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QCoreApplication, QMarginsF, QPoint, QPointF, QRectF, QSizeF, Qt
from PySide6.QtGui import QColor, QPageLayout, QPageSize, QPainter, QPicture, QTextDocument
from PySide6.QtPrintSupport import QPrinter, QPrinterInfo
from PySide6.QtWidgets import QApplication

from gui import i18n, print_text, theme
from gui.case import Guard, key_of, load_case
from gui.edit_case import corrected_case
from gui.frames import Frames
from gui.i18n import tr
from gui.print_job import FAILED, PrintJob, Study
from gui.print_wire import from_bytes
from gui.result_page import ResultPage
from gui.serial_page import SerialPage
from plaque_edge import __version__
from plaque_edge.export import words

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from gui.case import OpenCase
    from gui.scene import Scene

SHEET = (1300, 882)
"""A sheet in the page's pixels: 277 x 188 mm of A4, so that small text has 7.5 points."""
HEAD, FOOT = 24, 40
IMAGES_S = 120.0
"""For images on a computer that is busy; a quiet one needs one second."""


def main(argv: list[str] | None = None) -> int:
    """Print the job from standard input; 1 with a reason on standard output."""
    arguments = sys.argv[1:] if argv is None else argv
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ["QT_SCALE_FACTOR"] = "2"  # images on paper are worth twice the screen's pixels

    app = QApplication(["plaque-edge"])
    if "--printers" in arguments:
        print(json.dumps(printers()))
        return 0
    try:
        make(app, from_bytes(sys.stdin.buffer.read()))
    except Exception as error:
        detail = f"{FAILED.text} ({type(error).__name__})"
        print(json.dumps({"code": FAILED.code, "text": detail, "next_step": FAILED.next_step}))
        return 1
    return 0


def printers() -> list[str]:
    """Return the names of the system's printers, the usual one first."""
    names = list(QPrinterInfo.availablePrinterNames())
    usual = QPrinterInfo.defaultPrinterName()
    return sorted(names, key=lambda name: name != usual)


def make(app: QApplication, job: PrintJob) -> None:
    """Print ``job``. Raises ``IdentityError``, ``OSError`` or ``RuntimeError``."""
    i18n.use(job.language)
    theme.use_scheme(job.scheme)
    theme.apply(app, theme.LIGHT)
    present = _load(job.present)
    prior = None if job.prior is None else _load(job.prior)
    sheets = Sheets(job, present, prior)
    if prior is None:
        page, text = _result_page(present, job.present), sheets.result_text()
    else:
        page, text = _serial_page(job, present, prior), sheets.change_text(job.change)
    target = Path(job.file)
    part = target.with_name(f".{target.name}.part")
    try:
        sheets.write(_printer(job, part), page, text)
        if not job.printer:
            part.replace(target)
    finally:
        if not job.printer:
            part.unlink(missing_ok=True)


def _load(study: Study) -> OpenCase:
    return corrected_case(replace(load_case(study.row), review=study.review))


def _printer(job: PrintJob, part: Path) -> QPrinter:
    printer = QPrinter(QPrinter.PrinterMode.HighResolution)
    if job.printer:
        printer.setPrinterName(job.printer)
        printer.setCopyCount(job.copies)
    else:
        printer.setOutputFormat(QPrinter.OutputFormat.PdfFormat)
        printer.setOutputFileName(str(part))
    printer.setDocName("plaque-edge")
    printer.setResolution(300)
    printer.setPageLayout(
        QPageLayout(
            QPageSize(QPageSize.PageSizeId.A4), QPageLayout.Orientation.Landscape,
            QMarginsF(10, 11, 10, 11), QPageLayout.Unit.Millimeter,
        )
    )  # fmt: skip
    return printer


# ---- the page itself -----------------------------------------------------------------------


def _shown(page: QWidget) -> None:
    page.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen)
    page.resize(SHEET[0], SHEET[1] - HEAD - FOOT)
    page.show()


def _settled(frames: Frames) -> None:
    for _ in range(4):
        QCoreApplication.processEvents()
        if not frames.wait(IMAGES_S):
            raise RuntimeError("the images were not drawn in time")
        QCoreApplication.processEvents()


def _result_page(case: OpenCase, study: Study) -> QWidget:
    guard = Guard()
    guard.selected = case.key
    page = ResultPage(guard)
    _shown(page)
    page.show_case(case)
    page.viewer.show_tab(3)
    _place(page.viewer.scene, study)
    for item in (*page.review.buttons.values(), page.headline.prior, page.headline.print,
                 page.refusal.print, page.review.images, page.risk.missing,
                 *page.risk.swap.buttons()):  # fmt: skip
        item.hide()
    for row in (page.viewer.tool_row, page.viewer.top_row):
        for at in range(row.count()):
            tool = row.itemAt(at).widget()
            if tool is not None:
                tool.hide()
    _settled(page.viewer.frames)
    return page


def _serial_page(job: PrintJob, present: OpenCase, prior: OpenCase) -> QWidget:
    guard, frames = Guard(), Frames()
    guard.selected = present.key
    page = SerialPage(guard, frames)
    _shown(page)
    page.show_case(present, (prior.row,))
    page.take(prior)
    page.comparison.stop()
    if job.change is not None:
        page.comparison.done.emit((key_of(prior.row), present.key), job.change)
    _place(page.present.scene, job.present)
    for tool in (page.branch, page.print, page.swap, page.choice, page.choice_label):
        tool.hide()
    _settled(frames)
    return page


def _place(scene: Scene, study: Study) -> None:
    branch, step, angle = study.place
    scene.set_step(branch, step)
    scene.turn(angle)


# ---- sheets ------------------------------------------------------------------------------


class Sheets:
    """Paints page and text onto sheets, each with head, foot and watermark."""

    def __init__(self, job: PrintJob, present: OpenCase, prior: OpenCase | None) -> None:
        self.case = present
        who = print_text.identity(present)
        self.head = who if prior is None else f"{tr('PRESENT STUDY')}: {who}"
        self.signed = print_text.signed(present)
        self.unsigned = present.review.standing != "signed"
        now, day = i18n.clock(time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()))
        by = tr("printed {day} {time}", day=day, time=now)
        if job.person:
            by = tr("{printed} by {person}", printed=by, person=job.person)
        self.foot = f"{tr(words.RESEARCH_USE)}. {self.signed}"
        self.under = f"{tr(words.TRAINING_NOTE)}. plaque-edge {__version__}, {by}"
        self.watermark = tr(words.UNSIGNED) if self.unsigned else ""
        if present.review.standing == "rejected":
            self.watermark = tr("REJECTED")
        self.prior = "" if prior is None else print_text.identity(prior)

    def result_text(self) -> str:
        """Return the text behind a result page."""
        return print_text.of_result(self.case)

    def change_text(self, change: dict[str, Any] | None) -> str:
        """Return the text behind a serial page."""
        who = f"<p>{escape(tr('PRIOR STUDY'))}: {escape(self.prior)}</p>"
        return who + ("" if change is None else print_text.of_change(change))

    def write(self, printer: QPrinter, page: QWidget, text: str) -> None:
        """Print the page, then its text. Raises ``OSError`` when the printer says no."""
        document = self._document(text)
        total = 1 + document.pageCount()
        recorded = QPicture()  # straight onto a printer Qt would paint pixels, not text
        page.render(recorded)
        painter = QPainter()
        if not painter.begin(printer):
            raise OSError("the printer or the file can't be opened")
        painter.scale(*[printer.width() / SHEET[0]] * 2)
        for number in range(total):
            if number and not printer.newPage():
                raise OSError("the printer takes no further sheet")
            if number == 0:
                painter.save()
                painter.translate(0, HEAD)
                # Qt enlarges a picture by the printer's resolution; the page has its size already.
                painter.scale(*[recorded.logicalDpiX() / printer.logicalDpiX()] * 2)
                painter.drawPicture(QPoint(0, 0), recorded)
                painter.restore()
            else:
                self._text(painter, document, number - 1)
            self._furniture(painter, number + 1, total)
        if not painter.end():
            raise OSError("the sheets could not be written")

    @staticmethod
    def _document(text: str) -> QTextDocument:
        out = QTextDocument()
        out.setDefaultFont(theme.font(theme.BODY))
        out.setDefaultStyleSheet(print_text.STYLE)
        out.setHtml(text)
        out.setPageSize(QSizeF(SHEET[0], SHEET[1] - HEAD - FOOT))
        return out

    @staticmethod
    def _text(painter: QPainter, document: QTextDocument, number: int) -> None:
        high = SHEET[1] - HEAD - FOOT
        painter.save()
        painter.translate(0, HEAD - number * high)
        document.drawContents(painter, QRectF(0, number * high, SHEET[0], high))
        painter.restore()

    def _furniture(self, painter: QPainter, number: int, total: int) -> None:
        wide, high = SHEET
        left, right = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight
        painter.setPen(QColor(theme.LIGHT.text))
        painter.setFont(theme.font(theme.SMALL, bold=True))
        painter.drawText(QRectF(0, 0, wide, 18), left, self.head)
        painter.drawText(QRectF(0, high - 34, wide - 130, 16), left, self.foot)
        painter.setFont(theme.font(theme.SMALL))
        page = tr("page {number} of {total}", number=number, total=total)
        painter.drawText(QRectF(wide - 130, high - 34, 130, 16), right, page)
        painter.drawText(QRectF(0, high - 17, wide, 16), left, self.under)
        painter.setPen(QColor(theme.LIGHT.line))
        painter.drawLine(QPointF(0, high - FOOT + 2), QPointF(wide, high - FOOT + 2))
        if self.watermark:
            painter.save()
            painter.translate(wide / 2, high / 2)
            painter.rotate(-32)
            painter.setPen(QColor(140, 26, 38, 24))
            painter.setFont(theme.font(170, bold=True))
            box = QRectF(-wide, -150, 2 * wide, 300)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, self.watermark)
            painter.restore()


if __name__ == "__main__":
    from gui.background import leave

    raise SystemExit(leave(main()))
