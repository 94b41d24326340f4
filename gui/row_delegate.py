"""Paints worklist cells: two lines each, and the state with icon, word, colour and progress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from gui import icons, theme
from gui.i18n import tr
from gui.worklist_model import LINES_ROLE, ROW_ROLE, STATE_ROLE

if TYPE_CHECKING:
    from gui.states import StateText
    from plaque_edge.store import CaseRow


class RowDelegate(QStyledItemDelegate):
    """Two lines of text per cell; column 0 adds icon and progress bar."""

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
        palette = theme.current()
        view: Any = option
        frame = QRectF(view.rect)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if view.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(frame, theme.mix(palette.accent, palette.surface, 0.16))
        painter.setPen(QColor(theme.mix(palette.line, palette.surface, 0.7)))
        painter.drawLine(frame.bottomLeft(), frame.bottomRight())
        text: StateText = index.data(STATE_ROLE)
        first, second = index.data(LINES_ROLE)
        inner = frame.adjusted(14, 8, -8, -8)
        if index.column() == 0:
            self._edge(painter, frame, text)
            icons.draw(painter, text.icon, QRectF(inner.x(), inner.y() + 2, 18, 18),
                       palette.tone(text.tone))  # fmt: skip
            inner.adjust(28, 0, 0, 0)
            if text.progress is not None:
                self._progress(painter, inner, text.progress, palette.tone(text.tone))
        color = palette.tone(text.tone) if index.column() == 0 else palette.text
        bold = index.column() in (0, 1)
        quiet = row.state == "OUTDATED" or (index.column() == 3 and first == tr("no value"))
        self._lines(painter, inner, (first, second), (palette.muted if quiet else color, bold))
        painter.restore()

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
