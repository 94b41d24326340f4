"""Lumen and wall area along the branch, with plaque and lesions: a plot one can drag along."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui import theme
from gui.curved_view import StraightView
from gui.i18n import number, tr

if TYPE_CHECKING:
    from PySide6.QtGui import QWheelEvent

    from gui.case import OpenCase
    from gui.scene import Scene
    from plaque_edge.show.branches import BranchView

_NICE = (4.0, 8.0, 12.0, 16.0, 20.0, 30.0, 40.0, 60.0, 100.0, 200.0)


class ProfileView(QWidget):
    """Drag to move the cursor along the vessel. The plot stands in line with the view above."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self.scene = scene
        self._kept: tuple[Any, QPixmap] | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(200, 76)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.SizeHorCursor)
        self.setAccessibleName(tr("Lumen and wall area along the vessel"))
        for signal in (
            scene.case_changed, scene.stepped, scene.branch_changed, scene.style_changed,
        ):  # fmt: skip
            signal.connect(self.update)

    def sizeHint(self) -> QSize:
        """Ask for a flat strip."""
        return QSize(600, 120)

    def _plot(self) -> QRectF:
        left, right = StraightView.MARGIN, StraightView.END
        return QRectF(left, 21, self.width() - left - right, self.height() - 21 - 20)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw areas, plaque, lesions and the cursor of the selected case."""
        case, path = self.scene.case, self.scene.path
        palette = theme.current()
        with QPainter(self) as painter:
            painter.fillRect(self.rect(), QColor(palette.surface))
            if case is None or path is None or not self.scene.guard.allows(case):
                return
            branch, plot = path.view, self._plot()
            painter.drawPixmap(0, 0, self._still(case, branch, plot))
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            now = self._now_box(painter, plot, branch)
            self._ticks(painter, plot, branch, now[0])
            self._now(painter, plot, *now)
            if self.hasFocus():
                painter.setPen(QPen(QColor(palette.accent), 1.5))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRect(QRectF(self.rect()).adjusted(0.75, 0.75, -0.75, -0.75))

    def _still(self, case: OpenCase, branch: BranchView, plot: QRectF) -> QPixmap:
        """Draw all but the cursor once for each branch, size and look."""
        ratio = self.devicePixelRatioF()
        key = (case.key, self.scene.path_at, self.size(), ratio, theme.current(), theme.scheme())
        if self._kept is None or self._kept[0] != key:
            pixmap = QPixmap(self.size() * ratio)
            pixmap.setDevicePixelRatio(ratio)
            pixmap.fill(QColor(theme.current().surface))
            with QPainter(pixmap) as painter:
                painter.setRenderHint(QPainter.RenderHint.Antialiasing)
                top = next((t for t in _NICE if float(branch.area_mm2[:, 1].max()) <= t), _NICE[-1])
                self._axes(painter, plot, top)
                self._lesions(painter, plot, branch)
                self._areas(painter, plot, branch, top)
                self._plaque(painter, plot, branch)
                self._joints(painter, plot)
            self._kept = (key, pixmap)
        return self._kept[1]

    def _axes(self, painter: QPainter, plot: QRectF, top: float) -> None:
        palette = theme.current()
        painter.setFont(theme.font(theme.SMALL))
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for value in (0.0, top / 2, top):
            y = plot.bottom() - value / top * plot.height()
            painter.setPen(QColor(palette.line))
            painter.drawLine(QPointF(plot.x(), y), QPointF(plot.right(), y))
            painter.setPen(QColor(palette.muted))
            painter.drawText(QRectF(0, y - 8, StraightView.MARGIN - 4, 16), right, f"{value:g}")
        painter.drawText(QRectF(0, 0, StraightView.MARGIN - 4, 14), right, "mm²")

    def _ticks(self, painter: QPainter, plot: QRectF, branch: BranchView, now: QRectF) -> None:
        """Write millimetres along the vessel, but not under the cursor's text."""
        painter.setFont(theme.font(theme.SMALL))
        painter.setPen(QColor(theme.current().muted))
        length = max(branch.length_mm, 1e-6)
        every = 10 if length < 120 else 20
        for at in range(0, int(length) + 1, every):
            x = plot.x() + at / length * plot.width()
            if x > plot.right() - 12:
                break
            box = QRectF(x - 20, plot.bottom() + 3, 40, 16)
            if not box.adjusted(6, 0, -6, 0).intersects(now):
                painter.drawText(box, Qt.AlignmentFlag.AlignHCenter, f"{at}" if at else "0 mm")

    def _points(self, plot: QRectF, values: np.ndarray, top: float) -> list[QPointF]:
        n = max(1, len(values) - 1)
        return [
            QPointF(
                plot.x() + i / n * plot.width(),
                plot.bottom() - min(1.0, float(v) / top) * plot.height(),
            )
            for i, v in enumerate(values)
        ]

    def _areas(self, painter: QPainter, plot: QRectF, branch: BranchView, top: float) -> None:
        palette = theme.current()
        lumen = self._points(plot, branch.area_mm2[:, 0], top)
        wall = self._points(plot, branch.area_mm2[:, 1], top)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.mix(palette.muted, palette.surface, 0.35))
        painter.drawPolygon(QPolygonF([*lumen, *reversed(wall)]))
        for line, ink, style in (
            (wall, palette.muted, Qt.PenStyle.DashLine),
            (lumen, palette.text, Qt.PenStyle.SolidLine),
        ):
            painter.setPen(QPen(QColor(ink), 1.5, style))
            painter.drawPolyline(QPolygonF(line))

    def _plaque(self, painter: QPainter, plot: QRectF, branch: BranchView) -> None:
        """Draw plaque per step at the foot, in the colours of the bars."""
        n = len(branch)
        most = max(float(branch.plaque_mm3.sum(axis=1).max()), 1e-6)
        wide = plot.width() / max(1, n - 1)
        high = 0.34 * plot.height() * min(1.0, most / (5 * branch.step_mm))
        for step in np.flatnonzero(branch.plaque_mm3.sum(axis=1) > 0):
            y = plot.bottom()
            for part, color in zip(branch.plaque_mm3[step], theme.scheme().colors, strict=True):
                h = float(part) / most * high
                x = plot.x() + (step - 0.5) * wide
                painter.fillRect(QRectF(x, y - h, math.ceil(wide), h), QColor(color))
                y -= h

    def _joints(self, painter: QPainter, plot: QRectF) -> None:
        """Draw where one branch goes on into the next."""
        path = self.scene.path
        assert path is not None
        painter.setPen(QPen(QColor(theme.current().muted), 1.0, Qt.PenStyle.DotLine))
        for part in path.parts[1:]:
            x = plot.x() + part.first / max(1, len(path.view) - 1) * plot.width()
            painter.drawLine(QPointF(x, plot.y()), QPointF(x, plot.bottom()))

    def _lesions(self, painter: QPainter, plot: QRectF, branch: BranchView) -> None:
        palette = theme.current()
        length = max(branch.length_mm, 1e-6)
        painter.setFont(theme.font(theme.SMALL, bold=True))
        for lesion in self.scene.path_lesions():
            a, b = (
                plot.x() + lesion[end] / length * plot.width() for end in ("start_mm", "end_mm")
            )
            painter.fillRect(
                QRectF(a, plot.y(), b - a, plot.height()),
                theme.mix(palette.warn, palette.surface, 0.18),
            )
            percent = lesion["diameter_stenosis_percent"]
            text = tr("not graded") if percent is None else f"{percent:.0f} %"
            painter.setPen(QColor(palette.warn))
            box = QRectF((a + b) / 2 - 50, 0, 100, 16)
            painter.drawText(box, Qt.AlignmentFlag.AlignHCenter, text)

    def _now_box(
        self, painter: QPainter, plot: QRectF, branch: BranchView
    ) -> tuple[QRectF, float, str]:
        """Return where the cursor's text stands, where its line runs, and the text."""
        x = plot.x() + self.scene.path_step / max(1, len(branch) - 1) * plot.width()
        step = min(len(branch) - 1, round(self.scene.path_step))
        lumen, wall = branch.area_mm2[step]
        text = tr(
            "{at} mm: lumen {lumen}, wall {wall} mm²",
            at=number(step * branch.step_mm, 1), lumen=number(lumen, 1), wall=number(wall, 1),
        )  # fmt: skip
        painter.setFont(theme.font(theme.SMALL, bold=True))
        wide = painter.fontMetrics().horizontalAdvance(text) + 8
        left = min(max(plot.x(), x - wide / 2), plot.right() - wide)
        return QRectF(left, self.height() - 17, wide, 16), x, text

    def _now(self, painter: QPainter, plot: QRectF, box: QRectF, x: float, text: str) -> None:
        accent = QColor(theme.current().accent)
        painter.setPen(QPen(accent, 2))
        painter.drawLine(QPointF(x, plot.y() - 4), QPointF(x, plot.bottom() + 3))
        painter.setFont(theme.font(theme.SMALL, bold=True))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    def _go(self, x: float) -> None:
        path, plot = self.scene.path, self._plot()
        if path is not None:
            share = (x - plot.x()) / plot.width()
            self.scene.set_path_step(self.scene.path_at, share * (len(path.view) - 1))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Move the cursor here."""
        self._go(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag the cursor."""
        if event.buttons():
            self._go(event.position().x())

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Walk along the vessel."""
        self.scene.walk(-0.5 if event.angleDelta().y() > 0 else 0.5)
        event.accept()
