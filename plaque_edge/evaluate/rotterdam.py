"""The Rotterdam measures of a centerline: overlaps and accuracy inside the vessel.

Schaap et al. 2009, doi:10.1016/j.media.2009.06.003, section 6. A point of the true centerline is
found when a measured point lies within the true radius there; a measured point is right when it
lies within the radius of a true point. Correspondence is to the nearest point; the paper walks
along both lines. Like there, the three main vessels and the longest side branch are judged, each
from its ostium to its end.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from plaque_edge.evaluate.tree_metrics import RELEVANT_RADIUS_MM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plaque_edge.types import Branch, CoronaryTree

    Points = NDArray[np.float64]

JOINT_MM = 3.0
"""A branch starts within this of its parent's centerline."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """OV, OF, OT as shares 0..1, AI in mm; AI is ``None`` where nothing overlaps."""

    overlap: float
    until_first_error: float
    relevant: float
    inside_mm: float | None

    def as_dict(self) -> dict[str, float | None]:
        """All fields by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Line:
    """A vessel from its ostium to its end: points ``(n, 3)`` and lumen radius ``(n,)``, mm."""

    name: str
    points_mm: Points
    radius_mm: Points


def judge(truth: CoronaryTree, measured: CoronaryTree) -> dict[str, Overlap]:
    """Measures of each true vessel against the measured line that overlaps it most."""
    candidates = lines(measured)
    return {line.name: _best(line, candidates) for line in reference_lines(truth)}


def reference_lines(truth: CoronaryTree) -> list[Line]:
    """LAD, LCX and RCA from their ostium, and the longest side branch."""
    whole = lines(truth)
    mains = {i for i, b in enumerate(truth.branches) if _is_main(truth.branches, i)}
    side = [i for i in range(len(whole)) if i not in mains and truth.branches[i].vessel != "LM"]
    chosen = [i for i in sorted(mains) if truth.branches[i].vessel != "LM"]
    if side:
        chosen.append(max(side, key=lambda i: truth.branches[i].length_mm))
    return [
        whole[i] if i in mains else Line("side branch", whole[i].points_mm, whole[i].radius_mm)
        for i in chosen
    ]


def _is_main(branches: tuple[Branch, ...], i: int) -> bool:
    return i == next(k for k, b in enumerate(branches) if b.vessel == branches[i].vessel)


def lines(tree: CoronaryTree) -> list[Line]:
    """Every branch with its way from the ostium before it, parents by where a branch starts."""
    out: list[Line] = []
    for i, b in enumerate(tree.branches):
        before = _way_to(b, tree.branches[:i], out)
        points, radius = (
            (b.points_mm, b.radius_mm)
            if before is None
            else (
                np.concatenate([before.points_mm, b.points_mm]),
                np.concatenate([before.radius_mm, b.radius_mm]),
            )
        )
        out.append(Line(b.vessel, points, radius))
    return out


def _way_to(branch: Branch, earlier: tuple[Branch, ...], ways: list[Line]) -> Line | None:
    """Find the way from the ostium to where a branch leaves the nearest earlier one."""
    if not earlier or (branch.parent is None and branch.vessel in ("LM", "RCA")):
        return None
    start = branch.points_mm[0]
    at = branch.parent
    if at is None:
        at = min(range(len(earlier)), key=lambda k: _away(earlier[k].points_mm, start))
    away = np.linalg.norm(ways[at].points_mm - start, axis=1)
    if away.min() > JOINT_MM:
        return None
    n = int(np.argmin(away))
    return Line(ways[at].name, ways[at].points_mm[:n], ways[at].radius_mm[:n])


def _away(points: Points, start: Points) -> float:
    return float(np.linalg.norm(points - start, axis=1).min())


def _best(line: Line, candidates: list[Line]) -> Overlap:
    if not candidates:
        return Overlap(0.0, 0.0, 0.0, None)
    return max((compare(line, c.points_mm) for c in candidates), key=lambda o: o.overlap)


def compare(truth: Line, points_mm: Points) -> Overlap:
    """Measures of one measured line ``(n, 3)`` against one true line."""
    away, _ = cKDTree(points_mm).query(truth.points_mm)
    found = away <= truth.radius_mm
    back, on_true = cKDTree(truth.points_mm).query(points_mm)
    right = back <= truth.radius_mm[on_true]
    relevant = truth.radius_mm >= RELEVANT_RADIUS_MM
    last = int(np.flatnonzero(relevant)[-1]) + 1 if relevant.any() else len(relevant)
    errors = np.flatnonzero(~found & relevant)
    first_error = int(errors[0]) if len(errors) else len(found)
    near = on_true < last
    inside = away[found]
    return Overlap(
        _share(found, right),
        float(found[:first_error].sum() / len(found)) if len(errors) else float(found.mean()),
        _share(found[:last], right[near]),
        float(inside.mean()) if len(inside) else None,
    )


def _share(found: NDArray[np.bool_], right: NDArray[np.bool_]) -> float:
    return float((found.sum() + right.sum()) / (len(found) + len(right)))
