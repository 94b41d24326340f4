"""Anatomical names of branches (LAD, D1, OM1, R-PDA, ...) and which artery is dominant.

Both follow from where a branch lies round the heart's long axis, seen from the coronary tree
itself: the grooves in which RCA and LCX run give the base plane, the LAD the front.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plaque_edge.types import Branch

Dominance = Literal["right", "left", "co", "unknown"]
PDA_DEPTH_MM = 14.0
"""How far towards the apex a posterior descending artery reaches beyond the base plane."""
PDA_ANGLE_DEG = 135.0
"""How far round the heart from the LAD it lies, at least."""
FAR_LCX_DEG = 112.0
"""A circumflex that reaches this far round feeds the posterolateral wall, if the RCA doesn't."""
CRUX_SHARE = 0.6
"""An RCA branch that leaves after this share of the main vessel is posterior."""


@dataclass(frozen=True, slots=True)
class HeartAxes:
    """Base centre, unit axis to the apex and unit direction of the LAD's groove, (z, y, x)."""

    center_mm: NDArray[np.float64]
    apex: NDArray[np.float64]
    front: NDArray[np.float64]

    def depth_mm(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance from the base plane towards the apex."""
        return np.asarray((points - self.center_mm) @ self.apex)

    def angle_deg(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Angle round the long axis from the LAD's groove, 0..180."""
        d = points - self.center_mm
        d = d - (d @ self.apex)[:, None] * self.apex
        return np.asarray(
            np.rad2deg(np.arccos(np.clip(d @ self.front / np.linalg.norm(d, axis=1), -1, 1)))
        )


def heart_axes(branches: list[Branch]) -> HeartAxes | None:
    """Axes from main RCA, LCX and LAD; ``None`` when one of them is missing."""
    main = {
        b.vessel: b
        for b in reversed(branches)
        if b.parent is None or b.vessel != branches[b.parent].vessel
    }
    if not {"LAD", "LCX", "RCA"} <= set(main):
        return None
    ring = np.concatenate([main["RCA"].points_mm, main["LCX"].points_mm])
    center = (ring.min(0) + ring.max(0)) / 2
    _, _, axes = np.linalg.svd(ring - ring.mean(0), full_matrices=False)
    apex = axes[2]
    tip = main["LAD"].points_mm[-1] - center
    apex = apex * np.sign(apex @ tip)
    lad = main["LAD"].points_mm
    front = lad[len(lad) // 3] - center
    front = front - (front @ apex) * apex
    return HeartAxes(center, apex, front / np.linalg.norm(front))


def _descends_behind(branch: Branch, axes: HeartAxes) -> bool:
    """Whether a branch runs in the posterior interventricular groove."""
    deep = axes.depth_mm(branch.points_mm) > PDA_DEPTH_MM
    behind = axes.angle_deg(branch.points_mm) > PDA_ANGLE_DEG
    return bool((deep & behind).sum() * 0.5 > 8.0)


def dominance_of(branches: list[Branch]) -> Dominance:
    """Which artery gives the posterior descending branch, and which the posterolateral ones.

    Balanced ("co"): the first from the right, the second from the left (SCCT 2014,
    doi:10.1016/j.jcct.2014.07.003), or a descending branch from both.
    """
    axes = heart_axes(branches)
    if axes is None:
        return "unknown"
    right = any(b.vessel == "RCA" and _descends_behind(b, axes) for b in branches)
    left = any(b.vessel == "LCX" and _descends_behind(b, axes) for b in branches)
    if right and (left or _left_feeds_posterolateral(branches, axes)):
        return "co"
    return "right" if right else "left" if left else "unknown"


def _left_feeds_posterolateral(branches: list[Branch], axes: HeartAxes) -> bool:
    posterior = _posterior(branches, axes)
    others = (i for i in range(len(branches)) if i not in posterior)
    if any(_special(branches, i) == "R-PLB" for i in others):
        return False
    lcx = next(b for b in branches if b.vessel == "LCX").points_mm
    return bool(axes.angle_deg(lcx[len(lcx) // 2 :]).max() >= FAR_LCX_DEG)


def with_names(branches: list[Branch]) -> list[Branch]:
    """Return the branches with anatomical names; D, OM and AM are numbered as they leave."""
    names = [b.vessel if _is_main(b, branches) else "" for b in branches]
    axes = heart_axes(branches)
    posterior = _posterior(branches, axes)
    for stem, vessel in (("D", "LAD"), ("OM", "LCX"), ("AM", "RCA")):
        side = [i for i, b in enumerate(branches) if b.vessel == vessel and not names[i]]
        count: dict[str, int] = {stem: 0}
        for i in sorted(side, key=lambda i: _way(branches, i)):
            own = posterior.get(i) or _special(branches, i) or stem
            count[own] = count.get(own, 0) + 1
            names[i] = own if own != stem and count[own] == 1 else f"{own}{count[own]}"
    return [replace(b, name=name) for b, name in zip(branches, names, strict=True)]


def _is_main(branch: Branch, branches: list[Branch]) -> bool:
    first = next(b for b in branches if b.vessel == branch.vessel)
    return branch is first


def _leaves_at(branches: list[Branch], i: int) -> float:
    """Where a branch leaves its parent, as a share of the parent's length."""
    parent = branches[i].parent
    if parent is None:
        return 0.0
    line = branches[parent].points_mm
    at = int(np.argmin(np.linalg.norm(line - branches[i].points_mm[0], axis=1)))
    return at / max(1, len(line) - 1)


def _way(branches: list[Branch], i: int) -> tuple[float, ...]:
    """Where one turns off on the way to a branch, from the ostium on: sorts by order of leaving."""
    parent = branches[i].parent
    before = () if parent is None else _way(branches, parent)
    return (*before, _leaves_at(branches, i))


def _posterior(branches: list[Branch], axes: HeartAxes | None) -> dict[int, str]:
    """Name the one branch of each artery that runs deepest in the posterior groove."""
    out: dict[int, str] = {}
    if axes is None:
        return out
    for vessel, name in (("RCA", "R-PDA"), ("LCX", "L-PDA")):
        deep = {
            i: float(axes.depth_mm(b.points_mm).mean())
            for i, b in enumerate(branches)
            if b.vessel == vessel and not _is_main(b, branches) and _descends_behind(b, axes)
        }
        if deep:
            out[max(deep, key=lambda i: deep[i])] = name
    return out


def _special(branches: list[Branch], i: int) -> str:
    """Names that follow from where a branch leaves."""
    branch = branches[i]
    parent = branches[branch.parent] if branch.parent is not None else None
    if branch.vessel == "LCX" and parent is not None and parent.vessel in ("LM", "LAD"):
        return "RI"
    if branch.vessel != "RCA" or parent is None:
        return ""
    late = _is_main(parent, branches) and _leaves_at(branches, i) > CRUX_SHARE
    return "R-PLB" if late else ""
