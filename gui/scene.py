"""What all views of one case share: the case, one cursor, the window, the overlay, the angle."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QObject, Signal

from gui import theme
from plaque_edge.export import overlay
from plaque_edge.show.branches import BranchView, nearest
from plaque_edge.show.paths import Path, paths_of

if TYPE_CHECKING:
    from gui.case import Guard, OpenCase
    from gui.frames import Frames
    from plaque_edge.export.overlay import Stack, Window

Point = tuple[float, float, float]
SNAP_MM = 5.0
"""A click this near to a vessel moves the curved views there."""


class Scene(QObject):
    """One case on screen. Views read it, ask for frames when it changes, and move its cursor.

    ``moved``: the point; ``stepped``: the place along the branch as well. ``branch`` and ``step``
    are of the case's own branches; the curved views run along a path, which may begin with the
    left main (:mod:`plaque_edge.show.paths`).
    """

    case_changed = Signal()
    moved = Signal()
    stepped = Signal()
    branch_changed = Signal()
    turned = Signal()
    style_changed = Signal()
    overlay_changed = Signal(bool)
    worst_wanted = Signal()

    def __init__(self, guard: Guard, frames: Frames, parent: QObject) -> None:
        super().__init__(parent)
        self.guard, self.frames = guard, frames
        self.case: OpenCase | None = None
        self.point_mm: Point = (0.0, 0.0, 0.0)
        self.branch, self.step = 0, 0.0
        self.paths: tuple[Path, ...] = ()
        self.path_at = 0
        self.angle = 0.0
        self.measuring = False
        self.badge = ""
        """Which of two studies this is, written into every view; empty when there is one."""
        self.overlay_on = True
        self.style = overlay.Style(colors=theme.overlay_colors())
        self.table = overlay.grey_table(self.style.window)

    # ---- what there is -------------------------------------------------------------------

    @property
    def stack(self) -> Stack | None:
        """The images of the case, if there are any."""
        return self.case.stack if self.case is not None else None

    @property
    def branches(self) -> tuple[BranchView, ...]:
        """The measured branches of the case; empty when there are none."""
        return self.case.branches if self.case is not None else ()

    @property
    def current(self) -> BranchView | None:
        """The branch under the cursor."""
        return self.branches[self.branch] if self.branch < len(self.branches) else None

    @property
    def path(self) -> Path | None:
        """The line of the curved views."""
        return self.paths[self.path_at] if self.path_at < len(self.paths) else None

    @property
    def path_step(self) -> float:
        """Where the cursor is along that line."""
        path = self.path
        step = None if path is None else path.step_of(self.branch, self.step)
        return 0.0 if step is None else step

    def voxel(self) -> tuple[int, int, int]:
        """Return the voxel under the cursor, clipped to the stack."""
        stack = self.stack
        if stack is None:
            return 0, 0, 0
        z, y, x = (
            max(0, min(n - 1, round((p - o) / s)))
            for p, o, s, n in zip(
                self.point_mm, stack.origin_zyx_mm, stack.spacing_zyx_mm, stack.hu.shape,
                strict=True,
            )
        )  # fmt: skip
        return z, y, x

    # ---- what moves ----------------------------------------------------------------------

    def show_case(self, case: OpenCase | None) -> None:
        """Show ``case`` from its middle; ``None`` blanks every view at once."""
        self.case = case
        self.branch, self.step, self.angle = 0, 0.0, 0.0
        self.paths, self.path_at = paths_of(self.branches), 0
        stack = self.stack
        if stack is not None:
            z, y, x = (
                o + s * (n // 2)
                for o, s, n in zip(
                    stack.origin_zyx_mm, stack.spacing_zyx_mm, stack.hu.shape, strict=True
                )
            )
            self.point_mm = (z, y, x)
        self.case_changed.emit()

    def take_branches(self, branches: tuple[BranchView, ...]) -> None:
        """Show the same case with other courses and contours; the cursor stays where it is."""
        if self.case is None or not branches:
            return
        self.case = replace(self.case, branches=branches)
        self.paths = paths_of(branches)
        self.style_changed.emit()
        self.stepped.emit()

    def set_point(self, point_mm: Point, *, snap: bool = True) -> None:
        """Move the cursor; with ``snap`` the curved views follow to a vessel nearby."""
        self.point_mm = point_mm
        found = nearest(self.branches, point_mm, SNAP_MM) if snap else None
        if found is not None:
            changed = self._go(found[0], float(found[1]))
            if changed:
                self.branch_changed.emit()
            self.stepped.emit()
        self.moved.emit()

    def _go(self, branch: int, step: float, path: int | None = None) -> bool:
        """Take a place; the path stays while it runs there. Return whether branch or path change.

        ``path`` is the path to take in any case.
        """
        before = self.branch, self.path_at
        self.branch, self.step = branch, step
        if path is not None:
            self.path_at = path
        elif self.path is None or self.path.step_of(branch, step) is None:
            self.path_at = branch
        return before != (self.branch, self.path_at)

    def set_step(self, branch: int, step: float, path: int | None = None) -> None:
        """Move the cursor along a branch, seen on ``path`` or on one that runs there."""
        if not 0 <= branch < len(self.branches):
            return
        line = self.branches[branch].centers_mm
        changed = self._go(branch, max(0.0, min(len(line) - 1.0, step)), path)
        low = math.floor(self.step)
        high = min(low + 1, len(line) - 1)
        share = self.step - low
        z, y, x = (float(v) for v in (1 - share) * line[low] + share * line[high])
        self.point_mm = (z, y, x)
        if changed:
            self.branch_changed.emit()
        self.moved.emit()
        self.stepped.emit()

    def set_path_step(self, path: int, step: float) -> None:
        """Move the cursor along a path, from its ostium on."""
        if 0 <= path < len(self.paths):
            self.set_step(*self.paths[path].place(step), path)

    def walk(self, millimetres: float) -> None:
        """Move the cursor along the path."""
        if self.path is not None:
            step = self.path_step + millimetres / self.path.view.step_mm
            self.set_path_step(self.path_at, step)

    def turn(self, angle: float) -> None:
        """Turn the curved views to ``angle`` radians."""
        self.angle = angle % (2 * math.pi)
        self.turned.emit()

    def branch_at(self, name: str) -> int | None:
        """Return the index of the branch of exactly this name."""
        return next((i for i, b in enumerate(self.branches) if b.name == name), None)

    def branch_named(self, name: str) -> int | None:
        """Return the index of a branch by its anatomical name, else by its vessel."""
        for key in ("name", "vessel"):
            for at, branch in enumerate(self.branches):
                if getattr(branch, key) == name:
                    return at
        return None

    # ---- how it looks --------------------------------------------------------------------

    def set_window(self, window: Window) -> None:
        """Use another grey window."""
        self.style = replace(self.style, window=window)
        self.table = overlay.grey_table(window)
        self.style_changed.emit()

    def set_overlay(self, on: bool) -> None:
        """Show or hide the plaque overlay."""
        self.overlay_on = on
        self.overlay_changed.emit(on)
        self.style_changed.emit()

    def set_opacity(self, opacity: float) -> None:
        """Set the overlay's opacity, 0..1."""
        self.style = replace(self.style, opacity=opacity)
        self.style_changed.emit()

    def set_colors(self) -> None:
        """Take the plaque colours in use."""
        self.style = replace(self.style, colors=theme.overlay_colors())
        self.style_changed.emit()

    def stenosis(self, at: int) -> np.ndarray:
        """Diameter stenosis in per cent at each step of branch ``at``: its lesions', else 0."""
        branch = self.branches[at]
        out = np.zeros(len(branch))
        for lesion in self.lesions_of(at):
            first = round(lesion["start_mm"] / branch.step_mm)
            last = round(lesion["end_mm"] / branch.step_mm)
            out[first : last + 1] = lesion["diameter_stenosis_percent"] or 0.0
        return out

    def lesions_of(self, at: int) -> list[dict[str, Any]]:
        """Return the result's lesions on branch ``at``."""
        result = self.case.result if self.case is not None else None
        branch = self.branches[at]
        lesions = (result.get("lesions") or []) if result is not None else []
        return [x for x in lesions if (x.get("branch") or x["vessel"]) == branch.name]

    def path_lesions(self) -> list[dict[str, Any]]:
        """Return the lesions along the path, ``start_mm`` and ``end_mm`` from its ostium."""
        path = self.path
        if path is None:
            return []
        out = []
        for part in path.parts:
            offset = part.first * path.view.step_mm
            for lesion in self.lesions_of(part.branch):
                if lesion["start_mm"] / path.view.step_mm <= part.count:
                    moved = {end: lesion[end] + offset for end in ("start_mm", "end_mm")}
                    out.append({**lesion, **moved})
        return out
