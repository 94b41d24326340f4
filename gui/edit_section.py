"""The cross-section in which contours and the centre can be edited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPen, QPolygonF

from gui.edit_hand import HANDLE_EVERY, STEP_MM
from gui.frame_view import CURSOR, INK, MEASURE, SHADE
from gui.section_view import HALF_MM, WALL_INK, SectionView
from plaque_edge.correct import contours

if TYPE_CHECKING:
    from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter

    from gui.edit_hand import Hand, Which
    from gui.frames import Drawn
    from gui.scene import Scene

HANDLE_PX = 4.0


class EditSectionView(SectionView):
    """As the section view; while a case is corrected the left button edits instead."""

    def __init__(self, scene: Scene, hand: Hand) -> None:
        super().__init__(scene)
        self.hand = hand
        self._more = False
        self._held: QPointF | None = None
        hand.changed.connect(self.update)
        hand.session.edited.connect(self.update)

    # ---- where things are ----------------------------------------------------------------

    def plane_of(self, position: QPointF) -> tuple[float, float] | None:
        """Return (u, v) in mm from the centre of the large section."""
        if self.drawn is None:
            return None
        frame = self.drawn.frame
        scale = frame.width() / (2 * HALF_MM)
        away = position - frame.center()
        return away.y() / scale, away.x() / scale

    def position_of(self, u: float, v: float) -> QPointF | None:
        """Return where a place (u, v) in mm of the large section is on the screen."""
        if self.drawn is None:
            return None
        frame = self.drawn.frame
        scale = frame.width() / (2 * HALF_MM)
        return frame.center() + QPointF(v * scale, u * scale)

    # ---- painting ------------------------------------------------------------------------

    def marks(self, painter: QPainter, drawn: Drawn) -> None:
        """Draw what the section view does, then what can be dragged."""
        super().marks(painter, drawn)
        if not self.hand.able or self.hand.tool == "stretch":
            return
        big, _ = self._boxes(self.width(), self.height())
        painter.save()
        painter.setClipRect(big)
        for which in ("lumen", "wall"):
            self._curve(painter, which)
        if self.hand.tool == "centre":
            self._centre(painter)
        else:
            self._handles(painter)
        if self.hand.tool == "brush" and self._held is not None:
            scale = drawn.frame.width() / (2 * HALF_MM)
            painter.setPen(QPen(QColor(CURSOR), 1.2, Qt.PenStyle.DotLine))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            radius = self.hand.brush_mm * scale
            painter.drawEllipse(self._held, radius, radius)
        painter.restore()

    def _curve(self, painter: QPainter, which: Which) -> None:
        """Draw a contour that is edited, or may be, thicker than a measured one."""
        chosen = which == self.hand.which and self.hand.tool != "centre"
        if not chosen and not self.hand.is_drawn(which):
            return
        radii, pole = self.hand.contour(which)
        points = [self.position_of(u, v) for u, v in contours.outline(radii, pole, 96)]
        line = QPolygonF([p for p in points if p is not None])
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(SHADE), 3.6))
        painter.drawPolygon(line)
        ink = MEASURE if self.hand.is_drawn(which) else INK if which == "lumen" else WALL_INK
        dashed = which == "wall"
        style = Qt.PenStyle.DashLine if dashed else Qt.PenStyle.SolidLine
        painter.setPen(QPen(QColor(ink), 2.0, style))
        painter.drawPolygon(line)

    def _handles(self, painter: QPainter) -> None:
        for number, (u, v) in enumerate(self.hand.handles()):
            at = self.position_of(u, v)
            if at is None:
                continue
            chosen = number * HANDLE_EVERY == self.hand.handle
            painter.setPen(QPen(QColor(SHADE), 1.2))
            painter.setBrush(QColor(CURSOR if chosen else INK))
            size = HANDLE_PX + (1.5 if chosen else 0.0)
            painter.drawEllipse(at, size, size)

    def _centre(self, painter: QPainter) -> None:
        at = self._held or self.position_of(0.0, 0.0)
        if at is None:
            return
        for ink, width in ((SHADE, 4.0), (MEASURE, 2.0)):
            painter.setPen(QPen(QColor(ink), width))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(at, 7, 7)
            painter.drawLine(at - QPointF(13, 0), at + QPointF(13, 0))
            painter.drawLine(at - QPointF(0, 13), at + QPointF(0, 13))

    # ---- hands ---------------------------------------------------------------------------

    def _edits(self) -> bool:
        return self.hand.able and self.hand.tool != "stretch" and not self.scene.measuring

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take the nearest point, set the brush down, or take the centre."""
        big, _ = self._boxes(self.width(), self.height())
        at = self.plane_of(event.position())
        left = event.button() == Qt.MouseButton.LeftButton
        if not (left and self._edits() and at is not None and big.contains(event.position())):
            super().mousePressEvent(event)
            return
        self.setFocus()
        self._held, self._more = event.position(), False
        self.scene.set_step(self.scene.branch, float(self.hand.step), self.scene.path_at)
        if self.hand.tool != "centre":
            self.hand.begin(*at)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag on; what the hand holds follows at once, numbers a moment later."""
        if self._held is None:
            super().mouseMoveEvent(event)
            return
        at, before = self.plane_of(event.position()), self.plane_of(self._held)
        if at is None or before is None:
            return
        if self.hand.tool == "centre":
            # The section moves under the hand only once it is measured: by what it moved since.
            self.hand.move_centre(at[0] - before[0], at[1] - before[1], more=self._more)
        else:
            self.hand.drag(*at, more=self._more)
        self._held, self._more = event.position(), True
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End the drag: one step of undo."""
        self._held = None
        super().mouseReleaseEvent(event)
        self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Fit the picture again, but not while the hand edits."""
        if not self._edits():
            super().mouseDoubleClickEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Edit by keys: choose a point, move it, the whole contour or the centre."""
        if not (self._edits() and self._key(event)):
            super().keyPressEvent(event)

    def _key(self, event: QKeyEvent) -> bool:
        key, shift = Qt.Key(event.key()), bool(
            event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        )  # fmt: skip
        if key in (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown):
            self.hand.next_handle(1 if key == Qt.Key.Key_PageUp else -1)
            return True
        away = {
            Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0),
            Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1),
        }.get(key)  # fmt: skip
        if away is None:
            return False
        if self.hand.tool == "centre":
            if not shift:
                return False
            self.hand.move_centre(away[0] * STEP_MM, away[1] * STEP_MM, more=False)
            return True
        if key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            return False
        self.hand.nudge(STEP_MM if key == Qt.Key.Key_Up else -STEP_MM, whole=shift)
        return True
