"""The cross-section stack: one large section at the cursor, its neighbours beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QPointF, QRectF, QSizeF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen, QPolygonF

from gui.frame_view import CURSOR, INK, RIGHT, FrameView
from gui.frames import Drawn, Place, compose
from gui.i18n import mark, number, tr
from plaque_edge.export import overlay
from plaque_edge.show import branches as show_branches
from plaque_edge.show import reformat

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from PySide6.QtGui import QKeyEvent

    from gui.scene import Scene

HALF_MM = 6.0
OFFSETS_MM = (-2.0, -1.0, 1.0, 2.0)
"""Where the small sections lie, from the cursor; towards the origin first."""
KEPT = 2000
"""Outlines kept: those of a branch or two."""
WALL_INK = "#A8E6A1"


class SectionView(FrameView):
    """Lumen (solid) and outer wall (dashed) as measured, over CT and overlay."""

    title = mark("Cross-section")

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.setMinimumSize(150, 110)
        self._outlines: dict[Any, QPolygonF] = {}
        scene.case_changed.connect(self._outlines.clear)
        scene.stepped.connect(self.refresh)
        scene.branch_changed.connect(self.refresh)

    def why_empty(self) -> str:
        """Say why there is no section."""
        return tr("No vessel was measured for a cross-section")

    def _boxes(self, width: float, height: float) -> tuple[QRectF, list[QRectF]]:
        """Where the large section and the four small ones lie."""
        if width >= height:
            small = min(height / 4 - 2, 0.25 * width)
            big = QRectF(0, 0, width - small - 4, height)
            strip = [QRectF(width - small, i * height / 4, small, small) for i in range(4)]
        else:
            small = min(width / 4 - 2, 0.25 * height)
            big = QRectF(0, 0, width, height - small - 4)
            strip = [QRectF(i * width / 4, height - small, small, small) for i in range(4)]
        return big, strip

    def subject(self) -> object:
        """Return the branch that is cut."""
        return self.scene.current

    def job(self) -> Callable[[Place], Drawn] | None:
        """Return what draws the five sections."""
        stack, branch = self.scene.stack, self.scene.current
        if stack is None or branch is None:
            return None
        step, style = self.scene.step, self.scene.style
        table, on = self.scene.table, self.scene.overlay_on
        steps = [step + offset / branch.step_mm for offset in OFFSETS_MM]

        def section(at: float, pixel_mm: float) -> np.ndarray:
            at = min(max(at, 0.0), len(branch) - 1.0)
            hu, labels = reformat.cross_section(stack, branch, at, HALF_MM, pixel_mm)
            return overlay.render(hu, labels if on else None, style, table)

        def make(place: Place) -> Drawn:
            big, strip = self._boxes(place.width, place.height)
            inner = Place(big.width(), big.height(), place.ratio, place.zoom, place.pan)
            main = compose(section(step, 0.12), QSizeF(2 * HALF_MM, 2 * HALF_MM), inner, step)
            out = QImage(
                round(place.width * place.ratio), round(place.height * place.ratio),
                QImage.Format.Format_RGB32,
            )  # fmt: skip
            out.setDevicePixelRatio(place.ratio)
            out.fill(0xFF000000)
            with QPainter(out) as painter:
                painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
                painter.drawImage(QPointF(0, 0), main.image)
                for at, box in zip(steps, strip, strict=True):
                    pixels = section(at, 0.25)
                    n = pixels.shape[0]
                    painter.drawImage(box, QImage(pixels.data, n, n, 4 * n, main.image.format()))
            return Drawn(out, main.frame, main.rows, main.columns, step)

        return make

    def pixels_per_mm(self) -> float | None:
        """Scale of the large section."""
        return None if self.drawn is None else self.drawn.frame.width() / (2 * HALF_MM)

    def rolled(self, steps: int) -> None:
        """Walk along the vessel."""
        self.scene.walk(-0.5 * steps)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Up and Down walk along the vessel."""
        steps = {Qt.Key.Key_Up: -0.5, Qt.Key.Key_Down: 0.5}
        if event.key() in steps:
            self.scene.walk(steps[Qt.Key(event.key())])
        else:
            super().keyPressEvent(event)

    def marks(self, painter: QPainter, drawn: Drawn) -> None:
        """Draw contours, areas and where the small sections lie."""
        branch = self.scene.current
        if branch is None:
            return
        step = round(float(drawn.more))
        _, strip = self._boxes(self.width(), self.height())
        big, _ = self._boxes(self.width(), self.height())
        painter.save()
        painter.setClipRect(big)
        self._contours(painter, drawn.frame, step)
        painter.restore()
        for offset, box in zip(OFFSETS_MM, strip, strict=True):
            at = round(float(drawn.more) + offset / branch.step_mm)
            if 0 <= at < len(branch):
                painter.save()
                painter.setClipRect(box)
                self._contours(painter, box, at)
                painter.restore()
            self.text(painter, box.adjusted(3, 1, -3, 0), self._offset(offset, box))
        self._numbers(painter, big, step)

    @staticmethod
    def _offset(offset: float, box: QRectF) -> str:
        text = f"{'+' if offset > 0 else '−'}{abs(offset):.0f}"
        return f"{text} mm" if box.width() > 56 else text

    def _contours(self, painter: QPainter, frame: QRectF, step: int) -> None:
        branch = self.scene.current
        assert branch is not None
        scale = frame.width() / (2 * HALF_MM)
        for radii, ink, style in (
            (branch.wall_mm[step], WALL_INK, Qt.PenStyle.DashLine),
            (branch.lumen_mm[step], INK, Qt.PenStyle.SolidLine),
        ):
            outline = self._outline(radii, scale, (id(branch), style, step, scale))
            outline = outline.translated(frame.center())
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(ink), 1.5, style))
            painter.drawPolygon(outline)

    def _outline(self, radii: np.ndarray, scale: float, key: Any) -> QPolygonF:
        """Return a contour about the origin; made once for each step and size."""
        found = self._outlines.get(key)
        if found is None:
            if len(self._outlines) > KEPT:
                self._outlines.clear()
            points = show_branches.contour(radii) * scale
            found = self._outlines[key] = QPolygonF([QPointF(v, u) for u, v in points])
        return found

    def _numbers(self, painter: QPainter, big: QRectF, step: int) -> None:
        branch = self.scene.current
        assert branch is not None
        lumen, wall = (float(a) for a in branch.area_mm2[step])
        at = number(step * branch.step_mm, 1)
        width = big.width() - 12
        self.text(painter, QRectF(8, 6, width, 17), f"{branch.name} · {at} mm", ink=CURSOR)
        foot = (
            tr("lumen {area} mm²", area=number(lumen, 1)),
            tr("wall {area} mm²", area=number(wall, 1)),
        )
        for row, text in enumerate(foot):
            box = QRectF(8, big.bottom() - 22 - 17 * (len(foot) - 1 - row), width, 17)
            self.text(painter, box, text, ink=(INK, WALL_INK)[row])
        if wall > 0 and big.width() > 260:
            burden = number(max(0.0, 100 * (1 - lumen / wall)))
            box = QRectF(8, big.bottom() - 22, width - 8, 17)
            self.text(painter, box, tr("area burden {percent} %", percent=burden), RIGHT)
