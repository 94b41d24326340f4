"""What the hand does in a cross-section: which contour and tool, and what it makes of the edits.

No painting here. Places are (u, v) in mm from the centre of the section on the screen.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
from PySide6.QtCore import QObject, Signal

from plaque_edge.correct import contours
from plaque_edge.correct.branch import offsets_mm
from plaque_edge.correct.edits import (
    MIN_RADIUS_MM,
    Centre,
    Contour,
    Exclude,
    Relabel,
    of_branch,
)
from plaque_edge.quantify.sections import ANGLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gui.edit_session import EditSession
    from gui.scene import Scene

Which = Literal["lumen", "wall"]
Tool = Literal["points", "brush", "centre", "stretch"]
TOOLS: tuple[Tool, ...] = ("points", "brush", "centre", "stretch")
HANDLE_EVERY = 2
"""A point to drag in every second direction."""
STEP_MM = 0.1
LEAST_WALL_MM = 0.05
BRUSHES_MM = (0.6, 1.0, 1.5, 2.5)


class Hand(QObject):
    """The reader's tool on one scene, and the edits that it makes."""

    changed = Signal()

    def __init__(self, scene: Scene, session: EditSession, parent: QObject) -> None:
        super().__init__(parent)
        self.scene, self.session = scene, session
        self.which: Which = "lumen"
        self.tool: Tool = "points"
        self.handle = 0
        self.brush_mm = BRUSHES_MM[1]
        self.marked: tuple[int, int, int] | None = None
        """Branch, first and last step of the stretch that is marked."""
        self._outwards = True

    # ---- choosing ------------------------------------------------------------------------

    def choose(self, *, which: Which | None = None, tool: Tool | None = None) -> None:
        """Take another contour or tool."""
        self.which, self.tool = which or self.which, tool or self.tool
        self.changed.emit()

    def next_handle(self, by: int) -> None:
        """Choose the next point round the contour."""
        self.handle = (self.handle + by * HANDLE_EVERY) % ANGLES
        self.changed.emit()

    def next_brush(self) -> None:
        """Take the next size of the brush."""
        self.brush_mm = BRUSHES_MM[(BRUSHES_MM.index(self.brush_mm) + 1) % len(BRUSHES_MM)]
        self.changed.emit()

    # ---- what is there -------------------------------------------------------------------

    @property
    def able(self) -> bool:
        """Whether the section on the screen can be edited: of the case that is corrected."""
        case = self.scene.case
        return case is not None and case.key == self.session.key and self.scene.current is not None

    @property
    def step(self) -> int:
        """The step of the section that is edited: the nearest measured one."""
        branch = self.scene.current
        assert branch is not None
        return min(len(branch) - 1, max(0, round(self.scene.step)))

    def offset_mm(self) -> tuple[float, float]:
        """How far the centre on the screen lies from where the analysis put it, along (u, v)."""
        branch = self.scene.current
        assert branch is not None
        mine = of_branch(self.session.edits, self.scene.branch)
        moves = [e for e in mine if isinstance(e, Centre)]
        if not moves:
            return 0.0, 0.0
        u, v = offsets_mm(moves, len(branch), branch.step_mm)[self.step]
        return float(u), float(v)

    def contour(self, which: Which) -> tuple[NDArray[np.float64], tuple[float, float]]:
        """Return radii and pole, from the centre on the screen, of a contour as it stands."""
        branch = self.scene.current
        assert branch is not None
        drawn = self._drawn(which)
        if drawn is not None:
            u, v = self.offset_mm()
            return np.array(drawn.radii_mm), (drawn.pole_mm[0] - u, drawn.pole_mm[1] - v)
        radii = (branch.lumen_mm if which == "lumen" else branch.wall_mm)[self.step]
        return np.maximum(radii, MIN_RADIUS_MM), (0.0, 0.0)

    def _drawn(self, which: Which) -> Contour | None:
        found = [
            e
            for e in of_branch(self.session.edits, self.scene.branch)
            if isinstance(e, Contour) and e.step == self.step and e.which == which
        ]
        return found[-1] if found else None

    def is_drawn(self, which: Which) -> bool:
        """Whether a person drew this contour of the section on the screen."""
        return self._drawn(which) is not None

    def handles(self) -> NDArray[np.float64]:
        """Return the points to drag, ``(ANGLES / HANDLE_EVERY, 2)`` at (u, v) mm."""
        radii, pole = self.contour(self.which)
        at = np.arange(0, ANGLES, HANDLE_EVERY)
        angle = 2.0 * np.pi * at / ANGLES
        out = np.stack([radii[at] * np.cos(angle), radii[at] * np.sin(angle)], axis=1)
        return np.asarray(out + np.array(pole))

    # ---- doing ---------------------------------------------------------------------------

    def begin(self, u: float, v: float) -> None:
        """Press at a place: take the nearest point, or set the brush down."""
        radii, pole = self.contour(self.which)
        away = math.hypot(u - pole[0], v - pole[1])
        angle = math.atan2(v - pole[1], u - pole[0])
        turn = angle / (2.0 * math.pi) * ANGLES
        self.handle = HANDLE_EVERY * round(turn / HANDLE_EVERY) % ANGLES
        self._outwards = away <= float(contours.radius_at(radii, np.array(angle)))
        self.changed.emit()

    def drag(self, u: float, v: float, *, more: bool) -> None:
        """Go on to a place with the present tool."""
        if not self.able:
            return
        if self.tool == "centre":
            self.move_centre(u, v, more=more)
            return
        radii, pole = self.contour(self.which)
        place = (u - pole[0], v - pole[1])
        if self.tool == "brush":
            new = contours.pushed(radii, place, self.brush_mm, outwards=self._outwards)
        else:
            angle = 2.0 * math.pi * self.handle / ANGLES
            radius = max(place[0] * math.cos(angle) + place[1] * math.sin(angle), MIN_RADIUS_MM)
            new = contours.dragged(radii, self.handle, radius)
        if not np.allclose(new, radii, atol=1e-6):
            self._draw(new, pole, more=more)

    def nudge(self, by_mm: float, *, whole: bool) -> None:
        """Move the chosen point, or the whole contour, outwards or inwards."""
        if not self.able:
            return
        radii, pole = self.contour(self.which)
        if whole:
            new = contours.scaled(radii, by_mm)
        else:
            new = contours.dragged(radii, self.handle, float(radii[self.handle]) + by_mm)
        self._draw(new, pole, more=False)

    def _draw(self, radii: NDArray[np.float64], pole: tuple[float, float], *, more: bool) -> None:
        branch = self.scene.current
        assert branch is not None
        other, its_pole = self.contour("wall" if self.which == "lumen" else "lumen")
        if np.allclose(pole, its_pole):
            limit = np.minimum if self.which == "lumen" else np.maximum
            room = -LEAST_WALL_MM if self.which == "lumen" else LEAST_WALL_MM
            radii = np.maximum(limit(radii, other + room), MIN_RADIUS_MM)
        u, v = self.offset_mm()
        at = (round(pole[0] + u, 4), round(pole[1] + v, 4))
        values = tuple(round(float(r), 4) for r in radii)
        edit = Contour(self.scene.branch, branch.name, self.step, self.which, values, at)
        self.session.put(edit, more=more)

    def move_centre(self, u: float, v: float, *, more: bool) -> None:
        """Move the centre of the section by (u, v) mm from where it is on the screen."""
        branch = self.scene.current
        if not self.able or branch is None:
            return
        a, b = self.offset_mm()
        place = (round(a + u, 4), round(b + v, 4))
        self.session.put(Centre(self.scene.branch, branch.name, self.step, place), more=more)

    def mark(self, branch: int, first: float, last: float) -> None:
        """Mark a stretch of a branch from one step to another."""
        count = len(self.scene.branches[branch])
        low, high = sorted((first, last))
        ends = (max(0, round(low)), min(count - 1, round(high)))
        self.marked = (branch, *ends)
        self.changed.emit()

    def mark_end(self, *, last: bool) -> None:
        """Let the marked stretch begin, or end, at the cursor."""
        if not self.able:
            return
        at, here = self.scene.branch, self.step
        old = self.marked if self.marked is not None and self.marked[0] == at else None
        if last:
            self.mark(at, old[1] if old else here, here)
        else:
            self.mark(at, here, old[2] if old else here)

    def exclude(self, why: str) -> None:
        """Exclude the marked stretch."""
        if self.able and self.marked is not None and self.marked[0] < len(self.scene.branches):
            at, first, last = self.marked
            name = self.scene.branches[at].name
            self.session.put(Exclude(at, name, first, last, why))

    def relabel(self, segment: int) -> None:
        """Give the marked stretch another segment."""
        if self.able and self.marked is not None and self.marked[0] < len(self.scene.branches):
            at, first, last = self.marked
            name = self.scene.branches[at].name
            self.session.put(Relabel(at, name, first, last, segment))
