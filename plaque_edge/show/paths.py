"""Vessels from their ostium: the left main joined to what goes on from it.

LAD, LCX and ramus are branches of their own that begin where the left main ends. A reader
follows aorta -> LM -> LAD, so a curved view shows both as one line. Numbers stay with the branch
they were measured on: a path only says which section of which branch stands where.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plaque_edge.show.branches import BranchView

STEM = "LM"
JOIN_MM = 3.0
"""Farther than this from the left main a branch does not leave it."""
_JOINED = ("centers_mm", "u", "v", "area_mm2", "plaque_mm3", "lumen_mm", "wall_mm")


@dataclass(frozen=True, slots=True)
class Part:
    """``count`` sections of branch number ``branch``, from its first one on.

    ``first`` is the step of the path at which they begin.
    """

    branch: int
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Path:
    """One line of sections from the ostium on, made of one branch or of two.

    ``view`` is it as a branch, ``step_mm`` apart; where two meet the step may be off by half.
    """

    view: BranchView
    parts: tuple[Part, ...]

    def place(self, step: float) -> tuple[int, float]:
        """Return the branch under a step of the path, and that branch's own step."""
        part = next((p for p in reversed(self.parts) if step >= p.first - 0.5), self.parts[0])
        return part.branch, min(max(step - part.first, 0.0), part.count - 1.0)

    def step_of(self, branch: int, step: float) -> float | None:
        """Return the path's step of a branch's step, ``None`` where the path does not run."""
        for part in self.parts:
            if part.branch == branch and step <= part.count - 0.5:
                return part.first + step
        return None


def paths_of(branches: Sequence[BranchView]) -> tuple[Path, ...]:
    """Return the path of each branch, in the order of the branches."""
    stem = next((i for i, b in enumerate(branches) if b.name == STEM and len(b) > 1), None)
    return tuple(_path(branches, i, stem) for i in range(len(branches)))


def _path(branches: Sequence[BranchView], at: int, stem: int | None) -> Path:
    branch = branches[at]
    alone = Path(branch, (Part(at, 0, len(branch)),))
    goes_on = branch.name == branch.vessel or branch.name.startswith("RI")
    if stem is None or at == stem or not goes_on or branch.step_mm != branches[stem].step_mm:
        return alone
    gap = np.linalg.norm(branches[stem].centers_mm - branch.centers_mm[0], axis=1)
    end = int(gap.argmin())
    if gap[end] > JOIN_MM:
        return alone
    while end > 0 and gap[end] < 0.5 * branch.step_mm:
        end -= 1
    first = _turned(branches[stem], end + 1, branch)
    parts = (Part(stem, 0, end + 1), Part(at, end + 1, len(branch)))
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(first, name), getattr(branch, name)]) for name in _JOINED
    }
    return Path(replace(branch, **joined), parts)


def _turned(stem: BranchView, count: int, branch: BranchView) -> BranchView:
    """Return the stem's first ``count`` sections with axes that go on into those of ``branch``.

    All by one angle about the vessel, so that no twist comes into it; contours, which are radii
    counted from ``u``, turn back by as much.
    """
    u, v = stem.u[count - 1], stem.v[count - 1]
    angle = float(np.arctan2(branch.u[0] @ v, branch.u[0] @ u))
    cos, sin = np.cos(angle), np.sin(angle)
    cut: dict[str, Any] = {name: getattr(stem, name)[:count] for name in _JOINED}
    cut["u"], cut["v"] = cos * cut["u"] + sin * cut["v"], cos * cut["v"] - sin * cut["u"]
    for name in ("lumen_mm", "wall_mm"):
        cut[name] = _rolled(cut[name], angle)
    return replace(stem, **cut)


def _rolled(radii_mm: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """Radii ``(n, A)`` counted from an axis that lies ``angle`` radians further on."""
    directions = radii_mm.shape[1]
    at = np.arange(directions) + angle / (2 * np.pi) * directions
    low = np.floor(at).astype(int)
    share = at - low
    near, far = radii_mm[:, low % directions], radii_mm[:, (low + 1) % directions]
    out: NDArray[np.float64] = (1 - share) * near + share * far
    return out
