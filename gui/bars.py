"""Stacked plaque volume per vessel: letter and pattern beside every colour, numbers in columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui import i18n, say, theme
from gui.i18n import mark, tr
from plaque_edge.export import words
from plaque_edge.types import VESSELS

if TYPE_CHECKING:
    from gui.case import Guard, OpenCase

_INK = "#10151B"
_COLUMNS = (
    (mark("Plaque"), 62),
    ("C", 42),
    (mark("N incl. L"), 64),
    ("L", 38),
    ("PAV", 56),
    (mark("Stenosis"), 64),
)
_TWO_LINES = 34.0
"""Height of a row from which the interval fits beneath the volume."""
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


class VesselBars(QWidget):
    """Four rows, one per vessel; a click asks for that vessel's worst lesion."""

    vessel_clicked = Signal(str)
    NAME, HEAD = 44, 26

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self._guard = guard
        self._case: OpenCase | None = None
        self._kept: tuple[tuple[Any, ...], QPixmap] | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(430, self.HEAD + 4 * 26)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName(tr("Plaque volume per vessel"))

    def sizeHint(self) -> QSize:
        """Ask for comfortable rows."""
        return QSize(700, self.HEAD + 4 * 40)

    def show_case(self, case: OpenCase | None) -> None:
        """Show the vessels of ``case``."""
        self._case, self._kept = case, None
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Tell which vessel was clicked."""
        row = int((event.position().y() - self.HEAD) // self._row_height())
        if 0 <= row < 4:
            self.vessel_clicked.emit(VESSELS[row])

    def _row_height(self) -> float:
        return min(64.0, (self.height() - self.HEAD) / 4)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw header, bars and numbers of the selected case."""
        case = self._case
        if case is None or case.result is None or not self._guard.allows(case):
            return
        ratio = self.devicePixelRatioF()
        look = (id(case), self.size(), ratio, theme.current(), theme.scheme(), i18n.language())
        if self._kept is None or self._kept[0] != look:
            pixmap = QPixmap(self.size() * ratio)
            pixmap.setDevicePixelRatio(ratio)
            pixmap.fill(QColor(theme.current().surface))
            with QPainter(pixmap) as painter:
                self._draw(painter, case.result["vessels"])
            self._kept = (look, pixmap)
        with QPainter(self) as whole:
            whole.drawPixmap(0, 0, self._kept[1])

    def _draw(self, painter: QPainter, vessels: dict[str, dict[str, Any]]) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        height = self._row_height()
        shown = height >= _TWO_LINES and any(words.interval(vessels[name]) for name in VESSELS)
        self._header(painter, shown)
        most = max(1.0, *(vessels[name]["plaque_mm3"] or 0.0 for name in VESSELS))
        for row, name in enumerate(VESSELS):
            frame = QRectF(0, self.HEAD + row * height, self.width(), height)
            self._row(painter, name, vessels[name], frame, most)

    def _bar_width(self) -> float:
        return self.width() - self.NAME - sum(w for _, w in _COLUMNS) - 12

    def _header(self, painter: QPainter, bounded: bool) -> None:
        painter.setFont(theme.font(theme.SMALL))
        painter.setPen(QColor(theme.current().muted))
        x = self.NAME + self._bar_width() + 12
        for title, width in _COLUMNS:
            painter.drawText(QRectF(x, 0, width, self.HEAD - 4), _RIGHT, tr(title))
            x += width
        painter.drawText(
            QRectF(self.NAME, 0, self._bar_width(), self.HEAD - 4), _LEFT,
            tr("mm³, 95 % interval beneath") if bounded else "mm³",
        )  # fmt: skip
        painter.setPen(QColor(theme.current().line))
        painter.drawLine(QPointF(0, self.HEAD - 1), QPointF(self.width(), self.HEAD - 1))

    def _row(
        self, painter: QPainter, name: str, vessel: dict[str, Any], frame: QRectF, most: float
    ) -> None:
        palette = theme.current()
        painter.setFont(theme.font(theme.STRONG, bold=True))
        painter.setPen(QColor(palette.text))
        painter.drawText(QRectF(0, frame.y(), self.NAME, frame.height()), _LEFT, name)
        thick = min(30.0, frame.height() - 8)
        bar = QRectF(self.NAME, frame.center().y() - thick / 2, self._bar_width(), thick)
        parts = words.parts(vessel)
        if parts is None or vessel["status"] == "not_analysable":
            _missing(painter, QRectF(bar.x(), bar.y(), self.width() - bar.x(), bar.height()))
            return
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.mix(palette.line, palette.surface, 0.35))
        painter.drawRect(bar)
        x = bar.x()
        for index, part in enumerate(parts):
            width = part / most * bar.width()
            if width > 0:
                segment(painter, QRectF(x, bar.y(), width, bar.height()), index)
            x += width
        self._numbers(painter, vessel, frame)

    def _numbers(self, painter: QPainter, vessel: dict[str, Any], frame: QRectF) -> None:
        palette = theme.current()
        bound = vessel["status"] == "partial"
        stenosis = vessel["max_diameter_stenosis_percent"]
        texts = (
            say.volume(vessel["plaque_mm3"], lower_bound=bound, unit=False),
            say.volume(vessel["calcified_mm3"], unit=False),
            say.volume(vessel["noncalcified_mm3"], unit=False),
            say.volume(vessel["low_attenuation_mm3"], unit=False),
            _short(vessel["pav_percent"], 1),
            _short(stenosis, 0),
        )
        x = self.NAME + self._bar_width() + 12
        for index, (text, (_, width)) in enumerate(zip(texts, _COLUMNS, strict=True)):
            strong = index == 0 or (index == 5 and stenosis is not None and stenosis >= 50)
            painter.setFont(theme.font(theme.BODY, bold=strong))
            painter.setPen(QColor(palette.text if index in (0, 4, 5) else palette.muted))
            beneath = say.interval(vessel) if index == 0 and frame.height() >= _TWO_LINES else ""
            upper = QRectF(x, frame.y(), width, frame.height())
            if beneath:
                upper.setHeight(0.62 * frame.height())
                lower = QRectF(x, frame.center().y(), width, 0.45 * frame.height())
                painter.drawText(upper, _RIGHT, text)
                painter.setFont(theme.font(theme.SMALL))
                painter.setPen(QColor(palette.muted))
                painter.drawText(lower, _RIGHT, beneath)
            else:
                painter.drawText(upper, _RIGHT, text)
            x += width


def _short(value: float | None, digits: int) -> str:
    return tr("n/a") if value is None else say.percent(value, digits)


def _missing(painter: QPainter, frame: QRectF) -> None:
    """Draw the dashed box of a vessel that was not measured: nothing like an empty bar."""
    palette = theme.current()
    pen = QPen(QColor(palette.bad), 1.2, Qt.PenStyle.DashLine)
    painter.setPen(pen)
    painter.setBrush(theme.mix(palette.bad, palette.surface, 0.08))
    painter.drawRoundedRect(frame.adjusted(1, 0, -1, 0), 4, 4)
    painter.setFont(theme.font(theme.BODY, bold=True))
    painter.setPen(QColor(palette.bad))
    text = tr("not analysable: no value, not zero")
    painter.drawText(frame, Qt.AlignmentFlag.AlignCenter, text)


def segment(painter: QPainter, frame: QRectF, index: int, *, tagged: bool = True) -> None:
    """Fill ``frame`` with component ``index`` (C, N, L): colour, pattern and letter."""
    letter, color = words.COMPONENTS[index][0], theme.scheme().colors[index]
    painter.save()
    painter.setClipRect(frame)
    painter.fillRect(frame, QColor(color))
    painter.setPen(QPen(QColor(_INK), 1.0))
    if index == 0:
        painter.setBrush(QColor(_INK))
        painter.setPen(Qt.PenStyle.NoPen)
        for column in range(int(frame.width() / 7) + 1):
            for row in range(int(frame.height() / 7) + 1):
                painter.drawEllipse(QPointF(frame.x() + 3 + 7 * column, frame.y() + 3 + 7 * row),
                                    0.9, 0.9)  # fmt: skip
    elif index == 2:
        for step in range(int((frame.width() + frame.height()) / 6) + 1):
            x = frame.x() + 6 * step
            painter.drawLine(QPointF(x, frame.y()), QPointF(x - frame.height(), frame.bottom()))
    painter.restore()
    painter.setPen(QPen(QColor(_INK), 1.0))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRect(frame)
    if tagged and frame.width() >= 18:
        tag = QRectF(frame.center().x() - 7, frame.center().y() - 8, 14, 16)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor("#FFFFFF"))
        painter.drawRoundedRect(tag, 3, 3)
        painter.setPen(QColor(_INK))
        painter.setFont(theme.font(theme.SMALL, bold=True))
        painter.drawText(tag, Qt.AlignmentFlag.AlignCenter, letter)


class Legend(QWidget):
    """The three components with letter, word, colour and pattern."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(tr("C calcified, N non-calcified, L low attenuation"))

    @staticmethod
    def _texts() -> list[str]:
        return [f"{letter} {tr(word)}" for letter, word, _ in words.COMPONENTS]

    def sizeHint(self) -> QSize:
        """Fit the words."""
        metrics = QFontMetrics(theme.font(theme.SMALL))
        return QSize(sum(metrics.horizontalAdvance(t) + 45 for t in self._texts()), 18)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the three swatches."""
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            x = 0.0
            for index, text in enumerate(self._texts()):
                segment(painter, QRectF(x + 0.5, 2.5, 20, 13), index, tagged=False)
                painter.setFont(theme.font(theme.SMALL))
                painter.setPen(QColor(theme.current().muted))
                painter.drawText(QPointF(x + 27, 13.5), text)
                x += 27 + painter.fontMetrics().horizontalAdvance(text) + 18
