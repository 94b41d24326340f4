"""Axial, coronal and sagittal slices of the heart with the plaque overlay and the cursor.

On the axial slice rows grow to the back and columns to the patient's left, so the patient's
right is on the left; on the other two the head is up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSizeF, Qt, Signal
from PySide6.QtGui import QColor, QPen

from gui.frame_view import CENTRE, CURSOR, RIGHT, FrameView
from gui.frames import Drawn, Place, compose
from gui.i18n import mark, number, tr
from plaque_edge.export import overlay, words

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QKeyEvent, QPainter

    from gui.scene import Point, Scene

AXIAL, CORONAL, SAGITTAL = 0, 1, 2
TITLES = (mark("Axial"), mark("Coronal"), mark("Sagittal"))
_SIDES = (("R", "L", "A", "P"), ("R", "L", "H", "F"), ("A", "P", "H", "F"))
"""What is left, right, up and down on each plane."""
_TISSUE = ("", mark("lumen"), mark("wall"), "N", "L", "C")


class PlaneView(FrameView):
    """One plane through the cursor; the wheel scrolls it, a click moves the cursor."""

    readout = Signal(str)

    def __init__(self, scene: Scene, axis: int) -> None:
        self.axis, self.title = axis, TITLES[axis]
        self._last: tuple[int, ...] = ()
        super().__init__(scene)
        scene.moved.connect(self._moved)

    @property
    def across(self) -> tuple[int, int]:
        """Axes of the picture's rows and columns."""
        rows, columns = (axis for axis in (0, 1, 2) if axis != self.axis)
        return rows, columns

    @property
    def index(self) -> int:
        """The slice shown, starting at 0."""
        return self.scene.voxel()[self.axis]

    def set_slice(self, index: int) -> None:
        """Show slice ``index``, clipped to the stack; the curved views stay where they are."""
        stack = self.scene.stack
        if stack is None:
            return
        index = max(0, min(stack.hu.shape[self.axis] - 1, index))
        point = list(self.scene.point_mm)
        point[self.axis] = stack.origin_zyx_mm[self.axis] + index * stack.spacing_zyx_mm[self.axis]
        self.scene.set_point((point[0], point[1], point[2]), snap=False)

    def _moved(self) -> None:
        if self.index != (self._last[0] if self._last else None):
            self.refresh()
        self.update()

    def job(self) -> Callable[[Place], Drawn] | None:
        """Return what draws the slice through the cursor."""
        stack = self.scene.stack
        if stack is None:
            return None
        axis, index = self.axis, self.index
        self._last = (index,)
        rows, columns = self.across
        size = QSizeF(
            stack.hu.shape[columns] * stack.spacing_zyx_mm[columns],
            stack.hu.shape[rows] * stack.spacing_zyx_mm[rows],
        )
        style, table, on = self.scene.style, self.scene.table, self.scene.overlay_on

        def make(place: Place) -> Drawn:
            hu = _slice(stack.hu, axis, index)
            labels = _slice(stack.labels, axis, index) if on else None
            return compose(overlay.render(hu, labels, style, table), size, place)

        return make

    def pixels_per_mm(self) -> float | None:
        """Scale of the slice, the same in both directions."""
        stack, drawn = self.scene.stack, self.drawn
        if stack is None or drawn is None:
            return None
        columns = self.across[1]
        return drawn.frame.width() / (stack.hu.shape[columns] * stack.spacing_zyx_mm[columns])

    # ---- where is what -------------------------------------------------------------------

    def point_at(self, position: QPointF) -> Point | None:
        """Return the point in mm under a widget position, ``None`` outside the slice."""
        stack, drawn = self.scene.stack, self.drawn
        if stack is None or drawn is None or not drawn.frame.contains(position):
            return None
        frame = drawn.frame
        share = (
            (position.y() - frame.y()) / frame.height(),
            (position.x() - frame.x()) / frame.width(),
        )
        point = list(self.scene.point_mm)
        for axis, part in zip(self.across, share, strict=True):
            count = stack.hu.shape[axis]
            at = (1 - part) * count - 0.5 if axis == 0 else part * count - 0.5
            point[axis] = stack.origin_zyx_mm[axis] + at * stack.spacing_zyx_mm[axis]
        return point[0], point[1], point[2]

    def place_of(self, point: Point) -> QPointF | None:
        """Return where a point lies in the widget, seen along the plane's axis."""
        stack, drawn = self.scene.stack, self.drawn
        if stack is None or drawn is None:
            return None
        shares = []
        for axis in self.across:
            at = (point[axis] - stack.origin_zyx_mm[axis]) / stack.spacing_zyx_mm[axis] + 0.5
            share = at / stack.hu.shape[axis]
            shares.append(1 - share if axis == 0 else share)
        frame = drawn.frame
        return QPointF(
            frame.x() + shares[1] * frame.width(), frame.y() + shares[0] * frame.height()
        )

    def voxel_at(self, position: QPointF) -> tuple[int, int, int] | None:
        """Return the voxel under a widget position."""
        point, stack = self.point_at(position), self.scene.stack
        return None if point is None or stack is None else stack.index_of(point)

    # ---- hands ---------------------------------------------------------------------------

    def pick(self, position: QPointF) -> None:
        """Move the cursor to the point under ``position``."""
        point = self.point_at(position)
        if point is not None:
            self.scene.set_point(point)

    def hover(self, position: QPointF) -> None:
        """Read out HU and tissue."""
        voxel, stack = self.voxel_at(position), self.scene.stack
        if voxel is None or stack is None:
            self.readout.emit("")
            return
        tissue = _TISSUE[min(5, int(stack.labels[voxel]))]
        self.readout.emit(f"{int(stack.hu[voxel])} HU {tr(tissue) if tissue else ''}".strip())

    def rolled(self, steps: int) -> None:
        """Scroll slices."""
        self.set_slice(self.index + steps)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Up, Down, Page Up, Page Down: slices."""
        steps = {
            Qt.Key.Key_Up: 1,
            Qt.Key.Key_Down: -1,
            Qt.Key.Key_PageUp: 10,
            Qt.Key.Key_PageDown: -10,
        }
        if event.key() in steps:
            self.set_slice(self.index + steps[Qt.Key(event.key())])
        else:
            super().keyPressEvent(event)

    # ---- marks ---------------------------------------------------------------------------

    def marks(self, painter: QPainter, drawn: Drawn) -> None:
        """Draw the cursor, the sides, the place and whose picture it is."""
        at = self.place_of(self.scene.point_mm)
        if at is not None:
            self._cross(painter, at)
        self._corners(painter)

    def _cross(self, painter: QPainter, at: QPointF) -> None:
        color = QColor(CURSOR)
        color.setAlphaF(0.75)
        painter.setPen(QPen(color, 1.0))
        gap, w, h = 12.0, float(self.width()), float(self.height())
        for a, b in (
            ((0, at.y()), (at.x() - gap, at.y())),
            ((at.x() + gap, at.y()), (w, at.y())),
            ((at.x(), 0), (at.x(), at.y() - gap)),
            ((at.x(), at.y() + gap), (at.x(), h)),
        ):
            painter.drawLine(QPointF(*a), QPointF(*b))

    def _corners(self, painter: QPainter) -> None:
        case, stack = self.scene.case, self.scene.stack
        if case is None or stack is None:
            return
        width, height = float(self.width()), float(self.height())
        count = stack.hu.shape[self.axis]
        top = tr("{plane} {at} of {count}", plane=tr(self.title), at=self.index + 1, count=count)
        self.text(painter, QRectF(8, 6, width / 2 - 24, 17), top)
        where = "zyx"[self.axis] + " " + number(self.scene.point_mm[self.axis], 1) + " mm"
        self.text(painter, QRectF(width / 2 + 16, 6, width / 2 - 24, 17), where, RIGHT)
        if self.axis == AXIAL and height >= 130:
            who = f"{words.person(case.row.info.patient_name)} · ID {case.row.info.patient_id}"
            self.text(painter, QRectF(8, 23, width - 16, 17), who)
            window = self.scene.style.window
            level = f"{tr(window.name)} L {window.level:.0f} W {window.width:.0f}"
            self.text(
                painter, QRectF(width / 2 + 14, height - 22, width / 2 - 22, 17), level, RIGHT
            )
        left, right, up, down = _SIDES[self.axis]
        for side, box in (
            (left, QRectF(6, height / 2 - 10, 20, 20)),
            (right, QRectF(width - 26, height / 2 - 10, 20, 20)),
            (up, QRectF(width / 2 - 10, 4, 20, 20)),
            (down, QRectF(width / 2 - 10, height - 24, 20, 20)),
        ):
            self.text(painter, box, side, CENTRE, bold=True)


def _slice(volume: np.ndarray, axis: int, index: int) -> np.ndarray:
    """One plane as rows x columns; the head is up on the upright planes."""
    if axis == AXIAL:
        return np.ascontiguousarray(volume[index])
    plane = volume[::-1, index, :] if axis == CORONAL else volume[::-1, :, index]
    return np.ascontiguousarray(plane)
