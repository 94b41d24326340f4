"""The base of every image view: asks for a frame, shows it only for the selected case."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import (
    QColor,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QShowEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui import theme
from gui.frames import Drawn, Place
from gui.i18n import number, tr

if TYPE_CHECKING:
    from collections.abc import Callable

    from gui.case import Key, OpenCase
    from gui.scene import Scene

INK, SHADE, CURSOR, MEASURE = "#E8EDF3", "#000000", "#7FE3FF", "#FFE08A"
LEFT, RIGHT = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight
CENTRE = Qt.AlignmentFlag.AlignCenter


class FrameView(QWidget):
    """Shows frames of the scene's case; a frame of another case is never painted.

    A subclass gives :meth:`job`, which returns a function of immutable inputs for the
    background thread, and may draw marks over the frame in :meth:`marks`.
    """

    title = ""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self.scene = scene
        self._drawn: Drawn | None = None
        self._drawn_key: Key | None = None
        self._drawn_subject: object = None
        self._asked = self._shown = 0
        self.frames_painted = 0
        self._zoom, self._pan = 1.0, QPointF(0, 0)
        self._drag: QPointF | None = None
        self._line: tuple[QPointF, QPointF] | None = None
        self._button = Qt.MouseButton.NoButton
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(90, 70)
        self.setAccessibleName(tr(self.title))
        scene.frames.done.connect(self._take)
        scene.case_changed.connect(self._blank)
        scene.style_changed.connect(self.refresh)

    # ---- asking and taking ---------------------------------------------------------------

    def job(self) -> Callable[[Place], Drawn] | None:
        """Return what draws the frame; ``None`` when there is nothing to draw."""
        raise NotImplementedError

    def subject(self) -> object:
        """Return what of the case a frame is of; marks of another are never drawn over it."""
        return None

    def marks(self, painter: QPainter, drawn: Drawn) -> None:
        """Draw what lies over the frame."""

    def refresh(self) -> None:
        """Ask for a new frame, if anybody can see it."""
        if not self.isVisible() or self.scene.case is None:
            return
        make = self.job()
        if make is None:
            self._drawn = None
            self.update()
            return
        pan = (self._pan.x(), self._pan.y())
        place = Place(self.width(), self.height(), self.devicePixelRatioF(), self._zoom, pan)
        self._asked += 1
        ticket = (self.scene.case.key, self._asked, self.subject())
        self.scene.frames.ask(id(self), ticket, lambda: make(place))

    def _take(self, view: int, ticket: Any, drawn: Drawn) -> None:
        if view != id(self):
            return
        key, number_, subject = ticket
        case = self.scene.case
        if case is None or case.key != key or self.scene.guard.selected != key:
            return
        if number_ > self._shown:
            self._drawn, self._drawn_key, self._shown = drawn, key, number_
            self._drawn_subject = subject
            self.update()

    def _blank(self) -> None:
        self._drawn = self._drawn_key = self._line = None
        self._zoom, self._pan = 1.0, QPointF(0, 0)
        self.update()
        self.refresh()

    @property
    def case(self) -> OpenCase | None:
        """The case of the frame on screen, ``None`` while blank."""
        shown = self.scene.case
        return shown if shown is not None and self._drawn_key == shown.key else None

    @property
    def drawn(self) -> Drawn | None:
        """The frame on screen."""
        return self._drawn

    # ---- painting ------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the frame and its marks, after asking the guard."""
        with QPainter(self) as painter:
            painter.fillRect(self.rect(), QColor(SHADE))
            case = self.scene.case
            if case is not None and self.scene.guard.allows(case):
                drawn = self._drawn
                if drawn is None or self._drawn_key != case.key:
                    self._nothing(painter)
                else:
                    self.scene.guard.painted(self._drawn_key)
                    self.frames_painted = self._shown
                    painter.drawImage(QPointF(0, 0), drawn.image)
                    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
                    if self._drawn_subject is self.subject():
                        self.marks(painter, drawn)
                    self._draw_line(painter, drawn)
                    if self.scene.badge:
                        box = QRectF(8, 24, self.width() - 16, 17)
                        self.text(painter, box, self.scene.badge, bold=True, ink=MEASURE)
            if self.hasFocus():
                painter.setPen(QPen(QColor(theme.current().accent), 1.5))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRect(QRectF(self.rect()).adjusted(0.75, 0.75, -0.75, -0.75))

    def _nothing(self, painter: QPainter) -> None:
        if self.job() is None:
            text = self.why_empty()
            box = QRectF(self.rect()).adjusted(12, 12, -12, -12)
            painter.setPen(QColor("#9CA9B8"))
            painter.setFont(theme.font(theme.SMALL))
            painter.drawText(box, CENTRE | Qt.TextFlag.TextWordWrap, text)

    def why_empty(self) -> str:
        """Say why there is no picture."""
        return tr("No image to show for this case")

    @staticmethod
    def text(
        painter: QPainter,
        box: QRectF,
        text: str,
        align: Qt.AlignmentFlag = LEFT,
        *,
        bold: bool = False,
        ink: str = INK,
    ) -> None:
        """Write ``text`` with a shadow, so that it is read on any grey."""
        painter.setFont(theme.font(theme.SMALL, bold=bold))
        shown = painter.fontMetrics().elidedText(
            text, Qt.TextElideMode.ElideRight, int(box.width())
        )
        for dx, dy in ((1, 1), (-1, 1), (1, -1), (0, 1)):
            painter.setPen(QColor(SHADE))
            painter.drawText(box.translated(dx, dy), align, shown)
        painter.setPen(QColor(ink))
        painter.drawText(box, align, shown)

    # ---- measuring -----------------------------------------------------------------------

    def pixels_per_mm(self) -> float | None:
        """Scale of the frame, ``None`` where a distance would mean nothing."""
        return None

    def _draw_line(self, painter: QPainter, drawn: Drawn) -> None:
        millimetres = self.measured_mm()
        if self._line is None or millimetres is None:
            return
        a, b = (self._from_share(p, drawn) for p in self._line)
        painter.setPen(QPen(QColor(SHADE), 3.5))
        painter.drawLine(a, b)
        painter.setPen(QPen(QColor(MEASURE), 1.8))
        painter.drawLine(a, b)
        for end in (a, b):
            painter.drawEllipse(end, 3, 3)
        place = QRectF(b.x() + 8, b.y() - 9, 90, 18)
        if place.right() > self.width():
            place.moveRight(b.x() - 8)
        self.text(painter, place, f"{number(millimetres, 1)} mm", bold=True, ink=MEASURE)

    @staticmethod
    def _from_share(point: QPointF, drawn: Drawn) -> QPointF:
        frame = drawn.frame
        return QPointF(
            frame.x() + point.x() * frame.width(), frame.y() + point.y() * frame.height()
        )

    def _to_share(self, position: QPointF) -> QPointF | None:
        if self._drawn is None:
            return None
        frame = self._drawn.frame
        return QPointF(
            (position.x() - frame.x()) / frame.width(), (position.y() - frame.y()) / frame.height()
        )

    def measured_mm(self) -> float | None:
        """Length of the drawn measuring line in mm."""
        scale = self.pixels_per_mm()
        if self._line is None or self._drawn is None or scale is None:
            return None
        a, b = (self._from_share(p, self._drawn) for p in self._line)
        return math.hypot(b.x() - a.x(), b.y() - a.y()) / scale

    # ---- hands ---------------------------------------------------------------------------

    def pick(self, position: QPointF) -> None:
        """Move the cursor to what lies under ``position``."""

    def hover(self, position: QPointF) -> None:
        """Tell what lies under ``position``."""

    def rolled(self, steps: int) -> None:
        """Scroll by wheel notches."""

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Left: cursor, or a measuring line; middle or right: move the picture."""
        self._button, self._drag = event.button(), event.position()
        share = self._to_share(event.position())
        if self._button == Qt.MouseButton.LeftButton and share is not None:
            if self.scene.measuring and self.pixels_per_mm() is not None:
                self._line = (share, share)
                self.update()
            else:
                self.pick(event.position())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Go on with what the press began; without a button, read out."""
        self.hover(event.position())
        if self._drag is None:
            return
        if self._button == Qt.MouseButton.LeftButton:
            share = self._to_share(event.position())
            if self._line is not None and self.scene.measuring and share is not None:
                self._line = (self._line[0], share)
                self.update()
            else:
                self.pick(event.position())
        else:
            self.moved_by(event.position() - self._drag)
            self._drag = event.position()

    def moved_by(self, delta: QPointF) -> None:
        """Move the picture in its frame."""
        self._pan += delta
        self.refresh()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End what the press began."""
        self._drag = None

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Fit the picture into the view again."""
        self._zoom, self._pan, self._line = 1.0, QPointF(0, 0), None
        self.refresh()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll; with Ctrl, zoom."""
        delta = event.angleDelta().y() or event.angleDelta().x()
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.zoom_by(1.15 if delta > 0 else 1 / 1.15)
        elif delta:
            self.rolled(1 if delta > 0 else -1)
        event.accept()

    def zoom_by(self, factor: float) -> None:
        """Zoom by ``factor``, between the whole picture and eight times."""
        self._zoom = max(1.0, min(8.0, self._zoom * factor))
        if self._zoom == 1.0:
            self._pan = QPointF(0, 0)
        self.refresh()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Ask for a frame of the new size."""
        super().resizeEvent(event)
        self.refresh()

    def showEvent(self, event: QShowEvent) -> None:
        """Ask for what was not drawn while nobody could see it."""
        super().showEvent(event)
        self.refresh()
