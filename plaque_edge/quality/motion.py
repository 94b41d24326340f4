"""Motion: vessels whose edges are smeared while those of others in the same scan are sharp.

A vessel that moved is smeared to both sides of the way it went and sharp across it; plaque lies
on one side, and leaves one of the two falls beside it steep. So the edges of opposite rays are
looked at together: both are wide, in the same direction, over a stretch of the vessel. The
point spread is the same for all vessels of a scan, so the sharpest edges tell what the kernel can
do. Only rays that lie in the slice count, since slices are thicker than pixels. Where all vessels
are smeared nothing in the image says whether motion or the kernel did it: both are warned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from plaque_edge.quality.lines import REPEAT
from plaque_edge.quality.polar import RAYS, Polar, ray_heights
from plaque_edge.types import Level, QcCheck

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from plaque_edge.quality.limits import Limits
    from plaque_edge.types import StraightBranch

PIECE = 20
"""Sections of a piece of a branch: 10 mm. One smeared piece may be a fork or a dense plaque, two
are motion."""
_LEAST_SECTIONS, _LEAST_WAYS = 6, 3
"""Sections with both edges, and directions that have them, for a piece to be judged."""
_ONE_WAY, _ALL_ROUND = 1.25, 1.125
"""An edge that is not this much wider one way than another is discounted by the second: plaque all
round in dark blood widens it alike in all directions. Of 640 pieces of 160 single vessels with
such plaque (blood of 220 to 480 HU) nine in ten of the wide ones stay below the first."""
STRETCH, STRIDE = 30, 10
"""Sections of a stretch (15 mm) and between stretches, for the sharpness of a main vessel."""
JUDGED = 140
"""Sections of a main vessel whose sharpness is judged: 70 mm; further out vessels are too thin."""
_IN_SLICE = 0.5
_LEAST_RAYS = 4
_LEAST_JUDGED = 10
_BRIGHT = 0.6
"""Share of the aorta's HU in the lumen; less is a stenosis or a thin end, not motion."""
_CLEAREST = 0.35
"""Quantile of a section's rays: plaque on one side widens the edges there and nowhere else."""
_SHARPEST = 0.2
"""Quantile of all sections' edges that stands for what the kernel can do."""

Rays = tuple["StraightBranch", Polar]


def motion(
    rays: Sequence[Rays], sharp: float | None, blood_hu: float, limits: Limits
) -> tuple[QcCheck, tuple[int, ...]]:
    """Return the line on motion, and which of the branches it smeared without doubt.

    ``rays`` holds all branches, ``sharp`` the scan's sharpest edges in mm. A branch that is soft
    alike all round is told but in doubt: dense plaque all round may do that.
    """
    said = (
        f"pass when no branch is smeared over 20 mm: opposite edges up to {limits.blur_warn:g} "
        f"times as wide as the scan's sharpest, and those up to {limits.edge_warn_mm:g} mm; "
        f"refused above {limits.blur_refuse:g} times"
    )
    smears = enumerate(smear_mm(*view, blood_hu) for view in rays)
    known = {i: w for i, w in smears if w is not None}
    if sharp is None or not known:
        text = "Whether vessels moved is not known: too few of their edges can be seen."
        return QcCheck("QC_MOTION", "warn", None, said, text, "Look at the vessels."), ()
    value = round(max(w.widest_mm for w in known.values()) / sharp, 2)
    if sharp > limits.edge_warn_mm:
        text = f"All vessels have soft edges ({sharp:.1f} mm): motion, or a soft kernel."
        return QcCheck("QC_MOTION", "warn", value, said, text, REPEAT), ()
    soft = [i for i, w in known.items() if w.widest_mm > limits.blur_warn * sharp]
    moved = tuple(i for i, w in known.items() if w.sure_mm > limits.blur_warn * sharp)
    if not soft:
        return QcCheck("QC_MOTION", "pass", value, said, "No vessel is smeared or doubled."), ()
    level: Level = "refuse" if value > limits.blur_refuse else "warn"
    names = ", ".join(dict.fromkeys(rays[i][0].branch.name for i in soft))
    text = f"Smeared or doubled, as by motion: {names}."
    return QcCheck("QC_MOTION", level, value, said, text, REPEAT), moved


class Smear(NamedTuple):
    """How wide edges are on both sides of their widest direction, mm.

    ``sure_mm`` is less where they are as wide all round.
    """

    widest_mm: float
    sure_mm: float


def smear_mm(branch: StraightBranch, polar: Polar, blood_hu: float) -> Smear | None:
    """Edges of the second worst piece; ``None`` when fewer than two pieces can be judged."""
    ways = opposite_edges_mm(branch, polar, blood_hu)
    pieces = [_piece(ways[i : i + PIECE]) for i in range(0, len(ways), PIECE)]
    known = [p for p in pieces if p is not None]
    if len(known) < 2:
        return None
    widest, sure = (sorted(values)[-2] for values in zip(*known, strict=True))
    return Smear(widest, sure)


def opposite_edges_mm(branch: StraightBranch, polar: Polar, blood_hu: float) -> NDArray[np.float64]:
    """Return the narrower of the two edges in every direction, NaN where either isn't seen.

    ``(n, RAYS / 2)``; only in the slice, and where the lumen is bright enough.
    """
    edge = _judged_mm(branch, polar, blood_hu)
    return np.minimum(edge[:, : RAYS // 2], edge[:, RAYS // 2 :])


def _judged_mm(branch: StraightBranch, polar: Polar, blood_hu: float) -> NDArray[np.float64]:
    """Edge of every ray that lies in the slice, NaN elsewhere and where the lumen is dark."""
    good = (ray_heights(branch) < _IN_SLICE) & (polar.center_hu > _BRIGHT * blood_hu)[:, None]
    return np.where(good, polar.edge_mm.astype(np.float64), np.nan)


def _piece(ways: NDArray[np.float64]) -> Smear | None:
    """Median over a piece in its widest direction; ``None`` when too little of it is seen."""
    seen = ways[:, np.isfinite(ways).sum(axis=0) >= _LEAST_SECTIONS]
    if seen.shape[1] < _LEAST_WAYS:
        return None
    median = np.nanmedian(seen, axis=0)
    widest = float(median.max())
    one_way = widest >= _ONE_WAY * float(median.min())
    return Smear(widest, widest if one_way else widest / _ALL_ROUND)


class Edges(NamedTuple):
    """Edges of the main vessels, which are the scan's; ``None`` when too few can be seen.

    ``ratio`` is how many times as wide as the sharpest those of the softest 15 mm are: what
    intervals know of motion.
    """

    sharpest_mm: float | None
    ratio: float | None


def main_edges(main: Mapping[str, Rays], blood_hu: float) -> Edges:
    """Look at the edges of the main vessels."""
    edges = {name: section_edges_mm(*view, blood_hu)[:JUDGED] for name, view in main.items()}
    sharp = _sharpest_mm(edges)
    worst = [mm for mm in map(_worst_mm, edges.values()) if mm is not None]
    return Edges(sharp, None if sharp is None or not worst else round(max(worst) / sharp, 2))


def _sharpest_mm(edges: Mapping[str, NDArray[np.float64]]) -> float | None:
    known = np.concatenate([e[np.isfinite(e)] for e in edges.values()] or [np.zeros(0)])
    return float(np.quantile(known, _SHARPEST)) if len(known) >= STRETCH else None


def section_edges_mm(branch: StraightBranch, polar: Polar, blood_hu: float) -> NDArray[np.float64]:
    """Edge of each section's clearer rays in mm, NaN where it can't be judged; ``(n,)``."""
    edge = _judged_mm(branch, polar, blood_hu)
    judged = np.isfinite(edge).sum(1) >= _LEAST_RAYS
    out = np.full(len(edge), np.nan)
    if judged.any():
        out[judged] = np.nanquantile(edge[judged], _CLEAREST, axis=1)
    return out


def _worst_mm(edges: NDArray[np.float64]) -> float | None:
    """Return the widest median of a stretch of 15 mm, ``None`` when no stretch can be judged."""
    medians = []
    for start in range(0, max(1, len(edges) - STRETCH + 1), STRIDE):
        part = edges[start : start + STRETCH]
        part = part[np.isfinite(part)]
        if len(part) >= _LEAST_JUDGED:
            medians.append(float(np.median(part)))
    return max(medians) if medians else None
