"""Paints worklist cells: two lines each, and the state with icon, word, colour and progress."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPixmap
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from gui import icons, theme
from gui.i18n import tr
from gui.worklist_model import LINES_ROLE, ROW_ROLE, STATE_ROLE

if TYPE_CHECKING:
    from gui.states import StateText
    from plaque_edge.store import CaseRow


KEPT = 600
"""Cells kept drawn: some screens full. Each is found by the very words it shows."""


class RowDelegate(QStyledItemDelegate):
    """Two lines of text per cell; column 0 adds icon and progress bar."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._kept: OrderedDict[Any, QPixmap] = OrderedDict()

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        """Draw one cell."""
        row: CaseRow | None = index.data(ROW_ROLE)
        if row is None:
            return
        view: Any = option
        text: StateText = index.data(STATE_ROLE)
        lines: tuple[str, str] = index.data(LINES_ROLE)
        selected = bool(view.state & QStyle.StateFlag.State_Selected)
        ratio = painter.device().devicePixelRatioF()
        size = (view.rect.width(), view.rect.height())
        cell = (index.column(), text, lines, row.state == "OUTDATED", selected)
        key = (cell, size, ratio, theme.current())
        pixmap = self._kept.pop(key, None)
        if pixmap is None:
            pixmap = QPixmap(round(size[0] * ratio), round(size[1] * ratio))
            pixmap.setDevicePixelRatio(ratio)
            pixmap.fill(Qt.GlobalColor.transparent)
            with QPainter(pixmap) as inside:
                self._draw(inside, QRectF(0, 0, *size), *cell)
        self._kept[key] = pixmap
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        painter.drawPixmap(view.rect.topLeft(), pixmap)

    def _draw(
        self, painter: QPainter, frame: QRectF, column: int, text: StateText,
        lines: tuple[str, str], outdated: bool, selected: bool,
    ) -> None:  # fmt: skip
        palette = theme.current()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if selected:
            painter.fillRect(frame, theme.mix(palette.accent, palette.surface, 0.16))
        painter.setPen(QColor(theme.mix(palette.line, palette.surface, 0.7)))
        painter.drawLine(frame.bottomLeft(), frame.bottomRight())
        inner = frame.adjusted(14, 8, -8, -8)
        if column == 0:
            self._edge(painter, frame, text)
            icons.draw(painter, text.icon, QRectF(inner.x(), inner.y() + 2, 18, 18),
                       palette.tone(text.tone))  # fmt: skip
            inner.adjust(28, 0, 0, 0)
            if text.progress is not None:
                self._progress(painter, inner, text.progress, palette.tone(text.tone))
        color = palette.tone(text.tone) if column == 0 else palette.text
        quiet = outdated or (column == 3 and lines[0] == tr("no value"))
        look = (palette.muted if quiet else color, column in (0, 1))
        self._lines(painter, inner, lines, look)

    @staticmethod
    def _edge(painter: QPainter, frame: QRectF, text: StateText) -> None:
        """Mark what needs a person with a bar at the left edge."""
        if text.tone in ("bad", "warn"):
            color = QColor(theme.current().tone(text.tone))
            painter.fillRect(QRectF(frame.x(), frame.y() + 1, 4, frame.height() - 2), color)

    @staticmethod
    def _progress(painter: QPainter, inner: QRectF, share: float, color: str) -> None:
        palette = theme.current()
        track = QRectF(inner.x(), inner.bottom() + 1, min(inner.width(), 240), 4)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(palette.line))
        painter.drawRoundedRect(track, 2, 2)
        painter.setBrush(QColor(color))
        track.setWidth(track.width() * max(0.02, min(1.0, share)))
        painter.drawRoundedRect(track, 2, 2)

    @staticmethod
    def _lines(
        painter: QPainter, inner: QRectF, lines: tuple[str, str], look: tuple[str, bool]
    ) -> None:
        color, bold = look
        palette = theme.current()
        rows: tuple[tuple[str, QFont, str], ...] = (
            (lines[0], theme.font(theme.BODY, bold=bold), color),
            (lines[1], theme.font(theme.SMALL), palette.muted),
        )
        for at, (text, font, ink) in enumerate(rows):
            painter.setFont(font)
            painter.setPen(QColor(ink))
            metrics = painter.fontMetrics()
            shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, int(inner.width()))
            box = QRectF(inner.x(), inner.y() + 22 * at + 1, inner.width(), 20)
            painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, shown)
