"""The axial view with its tool row and the slice bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from gui import theme
from gui.viewer import AxialView
from gui.widgets import Card, label
from plaque_edge.export import overlay

if TYPE_CHECKING:
    from gui.case import Guard, OpenCase


class SliceBar(QWidget):
    """A vertical slider over the slices, head on top, with a tick at every lesion."""

    moved = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._count, self._index = 0, 0
        self._marks: tuple[int, ...] = ()
        self.setFixedWidth(26)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Slice")

    def set_range(self, count: int, marks: tuple[int, ...]) -> None:
        """Set the number of slices and the slices of the lesions."""
        self._count, self._marks = count, marks
        self.update()

    def set_index(self, index: int) -> None:
        """Show where the view is."""
        self._index = index
        self.update()

    def _y(self, index: int) -> float:
        return 10 + (self.height() - 20) * (1 - index / max(1, self._count - 1))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Jump to where it was clicked."""
        self._go(event.position().y())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Follow the pointer."""
        self._go(event.position().y())

    def _go(self, y: float) -> None:
        share = 1 - (y - 10) / max(1, self.height() - 20)
        self.moved.emit(round(max(0.0, min(1.0, share)) * max(0, self._count - 1)))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw track, lesion ticks and handle."""
        if self._count < 2:
            return
        palette = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(palette.line), 4))
        painter.drawLine(QPointF(13, 10), QPointF(13, self.height() - 10))
        painter.setPen(QPen(QColor(palette.warn), 2))
        for mark in self._marks:
            y = self._y(mark)
            painter.drawLine(QPointF(3, y), QPointF(23, y))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(palette.text))
        painter.drawRoundedRect(QRectF(5, self._y(self._index) - 5, 16, 10), 5, 5)


class ViewerPanel(Card):
    """Tools on top, slice in the middle, slice bar at the right."""

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self.box.setContentsMargins(12, 10, 12, 12)
        self.view = AxialView(guard)
        self.bar = SliceBar()
        self.box.addLayout(self._tools())
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.view, 1)
        row.addWidget(self.bar)
        self.box.addLayout(row, 1)
        self.bar.moved.connect(self.view.set_slice)
        self.view.slice_changed.connect(self.bar.set_index)
        self.view.readout.connect(self.readout.setText)
        self.view.overlay_toggled.connect(self.toggle.setChecked)

    def _tools(self) -> QVBoxLayout:
        column = QVBoxLayout()
        row = QHBoxLayout()
        row.setSpacing(4)
        self.presets = QButtonGroup(self)
        for index, window in enumerate(overlay.WINDOWS):
            button = QPushButton(window.name)
            button.setCheckable(True)
            button.setChecked(index == 0)
            button.setToolTip(f"Level {window.level:.0f} HU, width {window.width:.0f} HU")
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            self.presets.addButton(button, index)
            row.addWidget(button)
        row.addStretch(1)
        self.presets.idClicked.connect(lambda i: self.view.set_window(overlay.WINDOWS[i]))
        self.readout = label("", "muted")
        self.readout.setMinimumWidth(110)
        self.readout.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self.readout)
        column.addLayout(row)
        column.addLayout(self._overlay_tools())
        return column

    def _overlay_tools(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(8)
        self.toggle = QPushButton("Overlay")
        self.toggle.setCheckable(True)
        self.toggle.setChecked(True)
        self.toggle.setToolTip("Show or hide the plaque overlay (Space)")
        self.toggle.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.toggle.toggled.connect(self.view.set_overlay)
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setValue(55)
        self.opacity.setFixedWidth(120)
        self.opacity.setAccessibleName("Overlay opacity")
        self.opacity.setToolTip("Overlay opacity")
        self.opacity.valueChanged.connect(self._opacity)
        self.percent = label("55 %", "muted")
        self.percent.setMinimumWidth(44)
        row.addWidget(self.toggle)
        row.addWidget(self.opacity)
        row.addWidget(self.percent)
        row.addStretch(1)
        row.addWidget(label("Wheel: slices · Space: overlay · Home: worst lesion", "small"))
        return row

    def _opacity(self, value: int) -> None:
        self.percent.setText(f"{value} %")
        self.view.set_opacity(value / 100)

    def show_case(self, case: OpenCase | None) -> None:
        """Show the images of ``case``, or nothing."""
        stack = case.stack if case is not None else None
        marks: list[int] = []
        if case is not None and case.result is not None and stack is not None:
            for lesion in case.result.get("lesions") or []:
                point = overlay.lesion_point(lesion)
                place = stack.index_of(point) if point is not None else None
                if place is not None:
                    marks.append(place[0])
        self.bar.set_range(stack.hu.shape[0] if stack is not None else 0, tuple(marks))
        self.readout.setText("")
        self.view.show_case(case)
