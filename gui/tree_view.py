"""The coronary tree in 3-D, coloured by vessel, plaque or stenosis; drag to turn it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPen

from gui import theme
from gui.frame_view import CENTRE, CURSOR, INK, FrameView
from gui.frames import Drawn, Place, compose
from gui.i18n import mark, tr
from plaque_edge.export import words
from plaque_edge.show.raster import Camera, Picture, Tubes, draw_tubes

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QKeyEvent, QPainter

    from gui.scene import Scene

MODES = (mark("Vessel"), mark("Plaque"), mark("Stenosis"))
VESSEL_COLORS = {"LM": "#D9DEE5", "LAD": "#E69F00", "LCX": "#009E73", "RCA": "#CC79A7"}
PLAIN = "#7F8B99"
STENOSIS_STEPS = ((1.0, "#7F8B99"), (25.0, "#F3E79B"), (50.0, "#FAB95E"), (70.0, "#E8603C"))
"""Up to (below) each limit in per cent the colour; from 70 on the last one."""
WORST = "#A1133A"
GROUND = 0xFF0B0F14
TURN = math.radians(15)


class TreeView(FrameView):
    """Parallel projection of all branches; a click moves the cursor to that vessel."""

    title = mark("Coronary tree")

    def __init__(self, scene: Scene) -> None:
        self.mode = 0
        self.yaw = self.pitch = 0.0
        self._tubes: Tubes | None = None
        self._steps = np.zeros((0, 2), int)
        super().__init__(scene)
        scene.moved.connect(self.update)
        scene.case_changed.connect(self._forget)

    def set_mode(self, mode: int) -> None:
        """Colour by vessel (0), plaque (1) or stenosis (2)."""
        self.mode = mode
        self._forget()

    def _forget(self) -> None:
        self._tubes = None
        self.refresh()

    def why_empty(self) -> str:
        """Say why there is no tree."""
        return tr("No vessel was measured for the tree")

    # ---- the scene -----------------------------------------------------------------------

    def _build(self) -> Tubes:
        """Gather the branches, with one sphere between each two sections."""
        centers, radii, colors, steps = [], [], [], []
        for at, branch in enumerate(self.scene.branches):
            n = 2 * len(branch) - 1
            half = np.arange(n) / 2
            whole = np.arange(len(branch))
            centers.append(
                np.stack([np.interp(half, whole, branch.centers_mm[:, k]) for k in range(3)], 1)
            )
            radius = np.sqrt(np.maximum(branch.area_mm2[:, 1], 0.8) / np.pi)
            radii.append(np.interp(half, whole, radius))
            colors.append(self._colors(at)[(np.arange(n) + 1) // 2])
            steps.append(np.stack([np.full(n, at), (np.arange(n) + 1) // 2], axis=1))
        self._steps = np.concatenate(steps)
        return Tubes(np.concatenate(centers), np.concatenate(radii), np.concatenate(colors))

    def _colors(self, at: int) -> np.ndarray:
        branch = self.scene.branches[at]
        if self.mode == 0:
            return np.full(len(branch), _packed(VESSEL_COLORS.get(branch.vessel, PLAIN)))
        if self.mode == 1:
            out = np.full(len(branch), _packed(PLAIN))
            some = branch.plaque_mm3.sum(axis=1) > 0.05
            table = np.array([_packed(c) for c in theme.scheme().colors], np.uint32)
            out[some] = table[branch.plaque_mm3[some].argmax(axis=1)]
            return out
        percent = self.scene.stenosis(at)
        out = np.full(len(branch), _packed(WORST))
        for limit, color in reversed(STENOSIS_STEPS):
            out[percent < limit] = _packed(color)
        return out

    def camera(self, place: Place) -> Camera:
        """Look at the middle of the tree so that it fits and keeps its size while turned round."""
        points = np.concatenate([b.centers_mm for b in self.scene.branches])
        low, high = points.min(axis=0), points.max(axis=0)
        z, y, x = (float(v) for v in (low + high) / 2)
        wide = float(np.hypot(points[:, 1] - y, points[:, 2] - x).max())
        tall = float(np.abs(points[:, 0] - z).max()) * math.cos(self.pitch)
        tall += wide * abs(math.sin(self.pitch))
        fit = min(place.width / (2 * (wide + 5)), (place.height - 40) / (2 * (tall + 5)))
        scale = place.zoom * place.ratio * fit
        return Camera((z, y, x), scale, self.yaw, self.pitch)

    def job(self) -> Callable[[Place], Drawn] | None:
        """Return what draws the tree."""
        if not self.scene.branches:
            return None
        if self._tubes is None:
            self._tubes = self._build()
        tubes = self._tubes

        def make(place: Place) -> Drawn:
            rows, columns = (
                max(1, round(side * place.ratio)) for side in (place.height, place.width)
            )
            camera = self.camera(place)
            picture = draw_tubes(tubes, camera, (rows, columns), GROUND)
            frame = QRectF(0, 0, place.width, place.height)
            return compose(picture.pixels, frame, place, (picture, camera))

        return make

    # ---- hands ---------------------------------------------------------------------------

    def pick(self, position: QPointF) -> None:
        """Turn while dragging; a press on a vessel moves the cursor there."""
        if self._drag is not None and self._drag != position:
            self._turn_by(position - self._drag)
            self._drag = position
            return
        if self.drawn is None:
            return
        picture: Picture = self.drawn.more[0]
        ratio = self.drawn.image.devicePixelRatio()
        row, col = int(position.y() * ratio), int(position.x() * ratio)
        reach = 4
        near = picture.sphere[
            max(0, row - reach) : row + reach + 1, max(0, col - reach) : col + reach + 1
        ]
        hit = near[near >= 0]
        if hit.size:
            branch, step = self._steps[int(np.median(hit))]
            self.scene.set_step(int(branch), float(step))

    def turn_by_degrees(self, degrees: float) -> None:
        """Turn about the head-foot axis."""
        self.yaw += math.radians(degrees)
        self.refresh()

    def _turn_by(self, delta: QPointF) -> None:
        self.yaw -= math.radians(0.6) * delta.x()
        self.pitch = max(-1.5, min(1.5, self.pitch + math.radians(0.6) * delta.y()))
        self.refresh()

    def moved_by(self, delta: QPointF) -> None:
        """Turn with any button."""
        self._turn_by(delta)

    def rolled(self, steps: int) -> None:
        """Zoom."""
        self.zoom_by(1.15 if steps > 0 else 1 / 1.15)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Up, Down, Page Up, Page Down turn the tree; C changes the colours."""
        turns = {
            Qt.Key.Key_Up: (0, -25),
            Qt.Key.Key_Down: (0, 25),
            Qt.Key.Key_PageUp: (-25, 0),
            Qt.Key.Key_PageDown: (25, 0),
        }
        if event.key() in turns:
            self._turn_by(QPointF(*turns[Qt.Key(event.key())]))
        else:
            super().keyPressEvent(event)

    # ---- marks ---------------------------------------------------------------------------

    def marks(self, painter: QPainter, drawn: Drawn) -> None:
        """Name the branches, mark cursor and lesions, explain the colours."""
        camera: Camera = drawn.more[1]
        picture: Picture = drawn.more[0]
        ratio = drawn.image.devicePixelRatio()

        def at(point: np.ndarray) -> QPointF:
            x, y, _ = camera.project(np.atleast_2d(point), picture.sphere.shape)[0] / ratio
            return QPointF(float(x), float(y))

        taken = [self._key_box()]
        first = self.scene.branch
        for index in sorted(range(len(self.scene.branches)), key=lambda i: (i != first, i)):
            branch = self.scene.branches[index]
            end = at(branch.centers_mm[-1])
            box = QRectF(end.x() - 22, end.y() + 2, 44, 15)
            self._write(painter, box, branch.name, taken, bold=index == first)
            if self.mode:
                self._lesions(painter, index, at, taken)
        painter.setPen(QPen(QColor(CURSOR), 1.8))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(at(np.array(self.scene.point_mm)), 8, 8)
        self.text(painter, QRectF(8, 6, self.width() - 16, 17), tr(self.title))
        self._key(painter)
        for side, box in (
            ("R", QRectF(6, 26, 20, 20)),
            ("L", QRectF(self.width() - 26, 26, 20, 20)),
        ):
            if abs(math.cos(self.yaw)) > 0.5:
                shown = side if math.cos(self.yaw) > 0 else {"R": "L", "L": "R"}[side]
                self.text(painter, box, shown, CENTRE, bold=True)

    def _write(
        self, painter: QPainter, box: QRectF, text: str, taken: list[QRectF], *, bold: bool
    ) -> None:
        """Write ``text`` unless another text stands there: two on top of each other say nothing."""
        if not any(box.intersects(other) for other in taken):
            taken.append(box)
            self.text(painter, box, text, CENTRE, bold=bold)

    def _lesions(
        self,
        painter: QPainter,
        index: int,
        at: Callable[[np.ndarray], QPointF],
        taken: list[QRectF],
    ) -> None:
        branch = self.scene.branches[index]
        for lesion in self.scene.lesions_of(index):
            middle = (lesion["start_mm"] + lesion["end_mm"]) / 2 / branch.step_mm
            place = at(branch.centers_mm[min(len(branch) - 1, round(middle))])
            percent = lesion["diameter_stenosis_percent"]
            text = "?" if percent is None else f"{percent:.0f} %"
            box = QRectF(place.x() + 9, place.y() - 9, 40, 15)
            self._write(painter, box, text, taken, bold=True)

    def _key_box(self) -> QRectF:
        """Where the colours are explained."""
        lines = (len(VESSEL_COLORS), 3, len(STENOSIS_STEPS) + 1)[self.mode]
        height = 16.0 * lines + 6
        return QRectF(0, self.height() - height, 130, height)

    def _key(self, painter: QPainter) -> None:
        if self.mode == 0:
            rows = [(c, n) for n, c in VESSEL_COLORS.items()]
        elif self.mode == 1:
            parts = zip(theme.scheme().colors, words.COMPONENTS, strict=True)
            rows = [(c, f"{letter} {tr(word)}") for c, (letter, word, _) in parts]
        else:
            texts = ("0 %", "1–24 %", "25–49 %", "50–69 %", "≥ 70 %")
            rows = list(zip([*(c for _, c in STENOSIS_STEPS), WORST], texts, strict=True))
        y = self._key_box().y()
        for row, (color, text) in enumerate(rows):
            painter.fillRect(QRectF(8, y + 16 * row + 3, 10, 10), QColor(color))
            self.text(painter, QRectF(23, y + 16 * row, 150, 16), text, ink=INK)


def _packed(color: str) -> np.uint32:
    return np.uint32(QColor(color).rgba())
