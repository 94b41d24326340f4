"""Curved MPR of one branch: straightened (along the width) or stretched (down the height)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSizeF, Qt
from PySide6.QtGui import QColor, QPen

from gui.frame_view import CENTRE, CURSOR, INK, RIGHT, FrameView
from gui.frames import Drawn, Place, compose
from gui.i18n import mark, number, tr
from plaque_edge.export import overlay
from plaque_edge.show import reformat

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QKeyEvent, QPainter

    from gui.scene import Scene
    from plaque_edge.show.reformat import Reformat

TURN = math.radians(10)


class CurvedView(FrameView):
    """A reformat with the cursor and the lesions; drag along it to move the cursor."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        scene.branch_changed.connect(self.refresh)
        scene.turned.connect(self.refresh)
        scene.stepped.connect(self.update)
        self.setCursor(Qt.CursorShape.CrossCursor)

    def subject(self) -> object:
        """Return the path that is straightened or unrolled."""
        return self.scene.path

    def why_empty(self) -> str:
        """Say why there is no curved picture."""
        return tr("No vessel was measured for a curved view")

    def rolled(self, steps: int) -> None:
        """Walk along the vessel."""
        self.scene.walk(-0.5 * steps)

    def moved_by(self, delta: QPointF) -> None:
        """Turn about the vessel."""
        self.scene.turn(self.scene.angle + (delta.x() + delta.y()) * math.radians(0.8))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Up and Down turn the vessel."""
        turns = {Qt.Key.Key_Up: TURN, Qt.Key.Key_Down: -TURN}
        if event.key() in turns:
            self.scene.turn(self.scene.angle + turns[Qt.Key(event.key())])
        else:
            super().keyPressEvent(event)

    def _caption(self, painter: QPainter, box: QRectF) -> None:
        path = self.scene.path
        if path is not None:
            angle = number(round(math.degrees(self.scene.angle)) % 360)
            names = " → ".join(self.scene.branches[p.branch].name for p in path.parts)
            self.text(painter, box, f"{names} · {tr(self.title)} · {angle}°")


class StraightView(CurvedView):
    """The vessel as a straight line from left (origin) to right, over the profile."""

    title = mark("Straightened")
    MARGIN, END = 46, 12
    """Space at both ends, the same as the profile's, so that the two stand in line."""
    HALF_MM = 8.0

    def job(self) -> Callable[[Place], Drawn] | None:
        """Return what draws the straightened branch, stretched to the profile's width."""
        stack, path = self.scene.stack, self.scene.path
        if stack is None or path is None:
            return None
        branch = path.view
        angle, style = self.scene.angle, self.scene.style
        table, on = self.scene.table, self.scene.overlay_on
        margin, end = self.MARGIN, self.END

        def make(place: Place) -> Drawn:
            made = reformat.straightened(stack, branch, angle, self.HALF_MM)
            pixels = overlay.render(made.hu, made.labels if on else None, style, table)
            frame = QRectF(margin, 0, place.width - margin - end, place.height)
            return compose(pixels, frame, place, made)

        return make

    def step_at(self, position: QPointF) -> float | None:
        """Return the step under a widget position."""
        path, drawn = self.scene.path, self.drawn
        if path is None or drawn is None:
            return None
        share = (position.x() - drawn.frame.x()) / drawn.frame.width()
        return share * (len(path.view) - 1)

    def pick(self, position: QPointF) -> None:
        """Move the cursor along the vessel."""
        step = self.step_at(position)
        if step is not None:
            self.scene.set_path_step(self.scene.path_at, step)

    def marks(self, painter: QPainter, drawn: Drawn) -> None:
        """Draw cursor, lesions and the scale across."""
        path, frame = self.scene.path, drawn.frame
        if path is None:
            return
        branch = path.view
        self._joints(painter, frame)
        x = frame.x() + self.scene.path_step / max(1, len(branch) - 1) * frame.width()
        painter.setPen(QPen(QColor(CURSOR), 1.2))
        painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))
        self._lesions(painter, frame)
        self.text(painter, QRectF(2, self.height() / 2 - 9, self.MARGIN - 6, 18), branch.name,
                  RIGHT, bold=True)  # fmt: skip
        self._caption(painter, QRectF(frame.x() + 6, 4, frame.width() / 2, 17))

    def _joints(self, painter: QPainter, frame: QRectF) -> None:
        """Draw where one branch goes on into the next."""
        path = self.scene.path
        assert path is not None
        painter.setPen(QPen(QColor(INK), 1.0, Qt.PenStyle.DotLine))
        for part in path.parts[1:]:
            x = frame.x() + part.first / max(1, len(path.view) - 1) * frame.width()
            painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))

    def _lesions(self, painter: QPainter, frame: QRectF) -> None:
        path = self.scene.path
        assert path is not None
        branch = path.view
        for lesion in self.scene.path_lesions():
            a, b = (
                frame.x() + lesion[end] / max(branch.length_mm, 1e-6) * frame.width()
                for end in ("start_mm", "end_mm")
            )
            painter.setPen(QPen(QColor(INK), 1.4))
            y = self.height() - 4.0
            painter.drawLine(QPointF(a, y), QPointF(b, y))
            for x in (a, b):
                painter.drawLine(QPointF(x, y), QPointF(x, y - 6))


class StretchedView(CurvedView):
    """The vessel unrolled down the height, with true lengths along and across."""

    title = mark("Curved MPR")

    def job(self) -> Callable[[Place], Drawn] | None:
        """Return what draws the stretched branch."""
        stack, path = self.scene.stack, self.scene.path
        if stack is None or path is None:
            return None
        branch = path.view
        angle, style = self.scene.angle, self.scene.style
        table, on = self.scene.table, self.scene.overlay_on

        def make(place: Place) -> Drawn:
            made = reformat.stretched(stack, branch, angle)
            hu, labels = np.ascontiguousarray(made.hu.T), np.ascontiguousarray(made.labels.T)
            pixels = overlay.render(hu, labels if on else None, style, table)
            rows, columns = pixels.shape
            size = QSizeF(columns * made.pixel_mm, rows * made.pixel_mm)
            return compose(pixels, size, place, made)

        return make

    def pixels_per_mm(self) -> float | None:
        """Scale of the unrolled surface."""
        if self.drawn is None:
            return None
        made: Reformat = self.drawn.more
        return self.drawn.frame.width() / (self.drawn.columns * made.pixel_mm)

    def _place(self, drawn: Drawn, step: float) -> QPointF:
        made: Reformat = drawn.more
        line = float(np.interp(step, made.step, np.arange(len(made.step))))
        across = float(np.interp(step, made.step, made.row))
        frame = drawn.frame
        return QPointF(
            frame.x() + (across + 0.5) / drawn.columns * frame.width(),
            frame.y() + (line + 0.5) / drawn.rows * frame.height(),
        )

    def pick(self, position: QPointF) -> None:
        """Move the cursor to the vessel's point at this height."""
        if self.drawn is None:
            return
        made: Reformat = self.drawn.more
        frame = self.drawn.frame
        line = (position.y() - frame.y()) / frame.height() * self.drawn.rows - 0.5
        step = float(np.interp(line, np.arange(len(made.step)), made.step))
        self.scene.set_path_step(self.scene.path_at, step)

    def marks(self, painter: QPainter, drawn: Drawn) -> None:
        """Draw the cursor across the vessel, its lesions beside it, the caption."""
        at = self._place(drawn, self.scene.path_step)
        painter.setPen(QPen(QColor(CURSOR), 1.2))
        for side in (-1, 1):
            painter.drawLine(at + QPointF(side * 10, 0), at + QPointF(side * 34, 0))
        path = self.scene.path
        for number_, lesion in enumerate(self.scene.path_lesions(), 1):
            if path is None:
                break
            step_mm = path.view.step_mm
            ends = [self._place(drawn, lesion[end] / step_mm) for end in ("start_mm", "end_mm")]
            x = max(p.x() for p in ends) + 0.06 * self.width() + 8
            painter.setPen(QPen(QColor(INK), 1.4))
            painter.drawLine(QPointF(x, ends[0].y()), QPointF(x, ends[1].y()))
            for end in ends:
                painter.drawLine(QPointF(x - 4, end.y()), QPointF(x, end.y()))
            middle = QRectF(x + 3, (ends[0].y() + ends[1].y()) / 2 - 9, 16, 18)
            self.text(painter, middle, str(number_), CENTRE, bold=True)
        self._caption(painter, QRectF(8, 6, self.width() - 16, 17))
