"""Along the vessel: the straightened view and the profile in which one can mark and move."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from gui.curved_view import StraightView
from gui.frame_view import MEASURE
from gui.profile_view import ProfileView
from plaque_edge.correct.edits import Centre, Contour, Exclude, Relabel

if TYPE_CHECKING:
    from PySide6.QtGui import QMouseEvent, QPaintEvent

    from gui.edit_hand import Hand
    from gui.frames import Drawn
    from gui.scene import Scene

Span = tuple[float, float]


def span_of(scene: Scene, branch: int, first: int, last: int) -> Span | None:
    """Return where a stretch of a branch lies on the path, as shares of its length."""
    path = scene.path
    if path is None:
        return None
    ends = [path.step_of(branch, float(s)) for s in (first, last)]
    begin, end = ends
    if begin is None:
        return None
    part = next(p for p in path.parts if p.branch == branch)
    stop = part.first + part.count - 1.0 if end is None else end
    most = max(1, len(path.view) - 1)
    return begin / most, stop / most


def mark_on(hand: Hand, start: float, end: float) -> None:
    """Mark from one step of the path to another, as far as the branch of the first one goes."""
    path = hand.scene.path
    if path is None:
        return
    branch, first = path.place(start)
    part = next(p for p in path.parts if p.branch == branch)
    hand.mark(branch, first, min(max(end - part.first, 0.0), part.count - 1.0))


def paint_edits(painter: QPainter, frame: QRectF, hand: Hand) -> None:
    """Draw the marked stretch, and what was edited where along the vessel."""
    if not hand.able:
        return
    ink = QColor(MEASURE)
    if hand.marked is not None:
        span = span_of(hand.scene, *hand.marked)
        if span is not None:
            left, right = (frame.x() + s * frame.width() for s in span)
            shade = QColor(ink)
            shade.setAlpha(46)
            painter.fillRect(QRectF(left, frame.y(), right - left, frame.height()), shade)
            painter.setPen(QPen(ink, 1.4))
            for x in (left, right):
                painter.drawLine(QPointF(x, frame.y()), QPointF(x, frame.bottom()))
    for edit in hand.session.edits:
        _paint_edit(painter, frame, hand.scene, edit)


def _paint_edit(painter: QPainter, frame: QRectF, scene: Scene, edit: Any) -> None:
    ink = QColor(MEASURE)
    single = isinstance(edit, Contour | Centre)
    ends = (edit.step, edit.step) if single else (edit.start, edit.end)
    span = span_of(scene, edit.branch, *ends)
    if span is None:
        return
    left, right = (frame.x() + s * frame.width() for s in span)
    top = frame.y() + 2
    painter.setPen(QPen(ink, 2.0))
    if single:
        painter.drawLine(QPointF(left, top), QPointF(left, top + 7))
        return
    painter.drawLine(QPointF(left, top + 3), QPointF(right, top + 3))
    if isinstance(edit, Exclude):
        painter.setPen(QPen(ink, 1.0))
        painter.setBrush(Qt.BrushStyle.BDiagPattern)
        painter.fillRect(
            QRectF(left, frame.y(), right - left, frame.height()),
            Qt.BrushStyle.BDiagPattern,
        )
        painter.setBrush(Qt.BrushStyle.NoBrush)
    elif isinstance(edit, Relabel):
        box = QRectF(left + 2, top + 5, 40, 16)
        painter.drawText(box, Qt.AlignmentFlag.AlignLeft, str(edit.segment))


class EditStraightView(StraightView):
    """As the straightened view; while a case is corrected one can move the line and mark on it."""

    def __init__(self, scene: Scene, hand: Hand) -> None:
        super().__init__(scene)
        self.hand = hand
        self._from: float | None = None
        self._held: QPointF | None = None
        hand.changed.connect(self.update)
        hand.session.edited.connect(self.update)

    def marks(self, painter: QPainter, drawn: Drawn) -> None:
        """Draw what the straightened view does, then the edits."""
        super().marks(painter, drawn)
        paint_edits(painter, drawn.frame, self.hand)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin a stretch, or take the line where it is pressed."""
        step = self.step_at(event.position())
        left = event.button() == Qt.MouseButton.LeftButton
        tool = self.hand.tool if self.hand.able else "points"
        if step is None or not left or tool not in ("stretch", "centre"):
            super().mousePressEvent(event)
            return
        self._from, self._held, self._more = step, event.position(), False
        path = self.scene.path
        if tool == "centre" and path is not None:
            self.scene.set_path_step(self.scene.path_at, round(step))
        elif tool == "stretch":
            mark_on(self.hand, step, step)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Mark on, or move the line across."""
        if self._from is None or self._held is None:
            super().mouseMoveEvent(event)
            return
        step = self.step_at(event.position())
        if self.hand.tool == "stretch" and step is not None:
            mark_on(self.hand, self._from, step)
        elif self.hand.tool == "centre":
            self._move(event.position().y() - self._held.y())
            self._held, self._more = event.position(), True

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End the mark or the move."""
        self._from = self._held = None
        super().mouseReleaseEvent(event)

    def _move(self, pixels: float) -> None:
        """Move the centre at the cursor across, by pixels down the picture."""
        path, branch, drawn = self.scene.path, self.scene.current, self.drawn
        if path is None or branch is None or drawn is None or pixels == 0.0:
            return
        by_mm = pixels * 2 * self.HALF_MM / drawn.frame.height()
        at = min(len(path.view) - 1, max(0, round(self.scene.path_step)))
        # The path's axes are turned where the left main goes on into another branch.
        angle = self.scene.angle
        line = math.cos(angle) * path.view.u[at] + math.sin(angle) * path.view.v[at]
        u, v = branch.u[self.hand.step], branch.v[self.hand.step]
        self.hand.move_centre(by_mm * float(line @ u), by_mm * float(line @ v), more=self._more)


class EditProfileView(ProfileView):
    """As the profile; while a case is corrected one can mark a stretch on it."""

    def __init__(self, scene: Scene, hand: Hand) -> None:
        super().__init__(scene)
        self.hand = hand
        self._from: float | None = None
        hand.changed.connect(self.update)
        hand.session.edited.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the profile, then the edits over it."""
        super().paintEvent(event)
        case = self.scene.case
        if case is not None and self.scene.guard.allows(case):
            with QPainter(self) as painter:
                painter.setRenderHint(QPainter.RenderHint.Antialiasing)
                paint_edits(painter, self._plot(), self.hand)

    def _step(self, event: QMouseEvent) -> float | None:
        path, plot = self.scene.path, self._plot()
        if path is None or not self.hand.able or self.hand.tool != "stretch":
            return None
        share = min(max((event.position().x() - plot.x()) / plot.width(), 0.0), 1.0)
        return share * (len(path.view) - 1)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin a stretch, or move the cursor."""
        self._from = self._step(event)
        if self._from is None:
            super().mousePressEvent(event)
        else:
            mark_on(self.hand, self._from, self._from)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Mark on, or drag the cursor."""
        step = self._step(event)
        if self._from is None or step is None:
            super().mouseMoveEvent(event)
        else:
            mark_on(self.hand, self._from, step)
