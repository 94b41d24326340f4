"""The axial view: slices of the heart with the plaque overlay, and its controls.

A slice is one table look-up in NumPy and one image scaled by Qt's raster engine: no OpenGL.
Row grows to the back and column to the patient's left, so the patient's right is on the left.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui import theme
from plaque_edge.export import overlay, words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gui.case import Guard, OpenCase
    from plaque_edge.export.overlay import Stack, Window

Voxel = tuple[int, int, int]


class AxialView(QWidget):
    """Paints one axial slice of the selected case; never of another one."""

    slice_changed = Signal(int)
    readout = Signal(str)
    jump_worst = Signal()
    overlay_toggled = Signal(bool)
    LENS, LENS_ZOOM = 168, 3.0

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self._guard = guard
        self._case: OpenCase | None = None
        self._index = 0
        self._target: Voxel | None = None
        self._overlay_on = True
        self._style = overlay.Style()
        self._table = overlay.grey_table(self._style.window)
        self._pixels: NDArray[np.uint32] | None = None
        self._last_drag: QPointF | None = None
        self._zoom, self._pan = 1.0, QPointF(0, 0)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(280, 240)
        self.setAccessibleName("Axial view")

    def sizeHint(self) -> QSize:
        """Ask for a square."""
        return QSize(640, 640)

    @property
    def case(self) -> OpenCase | None:
        """The case whose slices are painted."""
        return self._case

    @property
    def index(self) -> int:
        """The slice shown, from the feet, starting at 0."""
        return self._index

    def stack(self) -> Stack | None:
        """Return the images of the case, if there are any."""
        return self._case.stack if self._case is not None else None

    def show_case(self, case: OpenCase | None) -> None:
        """Show the middle slice of ``case``; ``None`` blanks the view at once."""
        self._case, self._pixels, self._target = case, None, None
        self._zoom, self._pan = 1.0, QPointF(0, 0)
        stack = self.stack()
        self._index = stack.hu.shape[0] // 2 if stack is not None else 0
        self.slice_changed.emit(self._index)
        self.update()

    def set_slice(self, index: int) -> None:
        """Show slice ``index``, clipped to the stack."""
        stack = self.stack()
        if stack is None:
            return
        index = max(0, min(stack.hu.shape[0] - 1, index))
        if index != self._index:
            self._index, self._pixels = index, None
            self.slice_changed.emit(index)
            self.update()

    def set_window(self, window: Window) -> None:
        """Use another grey window."""
        self._style = replace(self._style, window=window)
        self._table = overlay.grey_table(window)
        self._refresh()

    def set_overlay(self, on: bool) -> None:
        """Show or hide the plaque overlay."""
        self._overlay_on = on
        self._refresh()

    def set_opacity(self, opacity: float) -> None:
        """Set the overlay's opacity, 0..1."""
        self._style = replace(self._style, opacity=opacity)
        self._refresh()

    def jump(self, target: Voxel) -> None:
        """Go to a voxel and mark it."""
        self._target = target
        self.set_slice(target[0])
        self.update()

    def _refresh(self) -> None:
        self._pixels = None
        self.update()

    def render_slice(self) -> NDArray[np.uint32] | None:
        """Return the packed pixels of the current slice (kept until something changes)."""
        stack = self.stack()
        if stack is None:
            return None
        if self._pixels is None:
            labels = stack.labels[self._index] if self._overlay_on else None
            self._pixels = overlay.render(stack.hu[self._index], labels, self._style, self._table)
        return self._pixels

    def _frame(self, stack: Stack) -> QRectF:
        """Where the slice lies in the widget, with true proportions."""
        _, rows, columns = stack.hu.shape
        _, dy, dx = stack.spacing_zyx_mm
        width, height = columns * dx, rows * dy
        scale = min(self.width() / width, self.height() / height) * self._zoom
        w, h = width * scale, height * scale
        return QRectF(
            (self.width() - w) / 2 + self._pan.x(), (self.height() - h) / 2 + self._pan.y(), w, h
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint slice, marks and corner texts, after asking the guard."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor("#000000"))
        case = self._case
        if case is None or not self._guard.allows(case):
            return
        pixels = self.render_slice()
        if case.stack is None or pixels is None:
            painter.setPen(QColor("#9CA9B8"))
            text = "No image to show for this case"
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, text)
            return
        rows, columns = pixels.shape
        image = QImage(pixels.data, columns, rows, 4 * columns, QImage.Format.Format_RGB32)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        frame = self._frame(case.stack)
        painter.drawImage(frame, image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._target is not None and self._target[0] == self._index:
            self._mark(painter, image, frame, self._target)
        self._corners(painter, case)

    def _mark(self, painter: QPainter, image: QImage, frame: QRectF, target: Voxel) -> None:
        """Ring the target and show it magnified in the lower left."""
        sx, sy = frame.width() / image.width(), frame.height() / image.height()
        at = QPointF(frame.x() + (target[2] + 0.5) * sx, frame.y() + (target[1] + 0.5) * sy)
        painter.setPen(QPen(QColor("#FFFFFF"), 1.4))
        painter.drawEllipse(at, 15, 15)
        side = min(float(self.LENS), 0.32 * self.height())
        lens = QRectF(12, self.height() - side - 44, side, side)
        w, h = side / sx / self.LENS_ZOOM, side / sy / self.LENS_ZOOM
        source = QRectF(target[2] + 0.5 - w / 2, target[1] + 0.5 - h / 2, w, h)
        painter.fillRect(lens, QColor("#000000"))
        painter.drawImage(lens, image, source)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(lens)
        self._text(painter, QRectF(lens.x() + 6, lens.y() + 4, side, 16), "lesion, 3 ×")

    def _corners(self, painter: QPainter, case: OpenCase) -> None:
        stack = case.stack
        assert stack is not None
        info = case.row.info
        width, height = float(self.width()), float(self.height())
        window = self._style.window
        z_mm = stack.origin_zyx_mm[0] + self._index * stack.spacing_zyx_mm[0]
        right = Qt.AlignmentFlag.AlignRight
        for row, text in enumerate((words.person(info.patient_name), f"ID {info.patient_id}")):
            self._text(painter, QRectF(12, 10 + 17 * row, 0.46 * width, 17), text)
        top = (f"slice {self._index + 1} of {stack.hu.shape[0]}", f"z {z_mm:.1f} mm")
        for row, text in enumerate(top):
            self._text(painter, QRectF(width - 212, 10 + 17 * row, 200, 17), text, right)
        level = f"{window.name}  L {window.level:.0f} W {window.width:.0f}"
        self._text(painter, QRectF(width - 272, height - 44, 260, 17), level, right)
        note = f"{words.UNSIGNED} · {words.RESEARCH_USE}"
        self._text(painter, QRectF(12, height - 27, width - 24, 17), note, right)
        middle = Qt.AlignmentFlag.AlignCenter
        for text, box in (
            ("R", QRectF(8, height / 2 - 10, 20, 20)),
            ("L", QRectF(width - 28, height / 2 - 10, 20, 20)),
            ("A", QRectF(width / 2 - 10, 6, 20, 20)),
            ("P", QRectF(width / 2 - 10, height - 50, 20, 20)),
        ):
            self._text(painter, box, text, middle, bold=True)

    @staticmethod
    def _text(
        painter: QPainter,
        box: QRectF,
        text: str,
        align: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft,
        *,
        bold: bool = False,
    ) -> None:
        painter.setFont(theme.font(theme.SMALL, bold=bold))
        painter.setPen(QColor("#000000"))
        painter.drawText(box.translated(1, 1), align, text)
        painter.setPen(QColor("#E8EDF3"))
        painter.drawText(box, align, text)

    def voxel_at(self, position: QPointF) -> Voxel | None:
        """Return the voxel under a widget position, ``None`` outside the slice."""
        stack = self.stack()
        if stack is None:
            return None
        frame = self._frame(stack)
        _, rows, columns = stack.hu.shape
        x = int((position.x() - frame.x()) / frame.width() * columns)
        y = int((position.y() - frame.y()) / frame.height() * rows)
        inside = frame.contains(position) and 0 <= x < columns and 0 <= y < rows
        return (self._index, y, x) if inside else None

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Read out HU under the pointer; drag to pan."""
        if self._last_drag is not None:
            self._pan += event.position() - self._last_drag
            self._last_drag = event.position()
            self.update()
        voxel, stack = self.voxel_at(event.position()), self.stack()
        if voxel is None or stack is None:
            self.readout.emit("")
            return
        word = ("", " lumen", " wall", " N", " L", " C")[min(5, int(stack.labels[voxel]))]
        self.readout.emit(f"{int(stack.hu[voxel])} HU{word}")

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Start panning."""
        self._last_drag = event.position()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Stop panning."""
        self._last_drag = None

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Fit the slice into the view again."""
        self._zoom, self._pan = 1.0, QPointF(0, 0)
        self.update()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll slices; with Ctrl, zoom."""
        up = event.angleDelta().y() > 0
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self._zoom = max(1.0, min(8.0, self._zoom * (1.15 if up else 1 / 1.15)))
            if self._zoom == 1.0:
                self._pan = QPointF(0, 0)
            self.update()
        else:
            self.set_slice(self._index + (1 if up else -1))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Up, Down, Page Up, Page Down: slices; Space: overlay; Home: worst lesion."""
        steps = {
            Qt.Key.Key_Up: 1,
            Qt.Key.Key_Down: -1,
            Qt.Key.Key_PageUp: 10,
            Qt.Key.Key_PageDown: -10,
        }
        if event.key() in steps:
            self.set_slice(self._index + steps[Qt.Key(event.key())])
        elif event.key() == Qt.Key.Key_Space:
            self.overlay_toggled.emit(not self._overlay_on)
        elif event.key() == Qt.Key.Key_Home:
            self.jump_worst.emit()
        else:
            super().keyPressEvent(event)
