"""Motion: vessels whose edges are smeared while those of others in the same scan are sharp.

The point spread is the same for all vessels of a scan, so the sharpest edges tell what the
kernel can do, and a vessel that moved is told from one seen through a soft kernel. Only rays
that lie in the slice count, since slices are thicker than pixels. Where all vessels are
smeared nothing in the image says whether motion or the kernel did it: both are warned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.quality.lines import REPEAT
from plaque_edge.quality.polar import Polar, ray_heights
from plaque_edge.types import Level, QcCheck

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from plaque_edge.quality.limits import Limits
    from plaque_edge.types import StraightBranch

STRETCH, STRIDE = 30, 10
"""Sections of a stretch (15 mm) and between stretches."""
JUDGED = 140
"""Sections of a main vessel that are judged: 70 mm; further out vessels are too thin."""
_IN_SLICE = 0.5
_LEAST_RAYS = 4
_LEAST_SECTIONS = 10
_BRIGHT = 0.6
"""Share of the aorta's HU in the lumen; less is a stenosis or a thin end, not motion."""
_CLEAREST = 0.35
"""Quantile of a section's rays: plaque on one side widens the edges there and nowhere else."""
_SHARPEST = 0.2
"""Quantile of all sections' edges that stands for what the kernel can do."""


def motion(
    seen: Mapping[str, tuple[StraightBranch, Polar]], blood_hu: float, limits: Limits
) -> QcCheck:
    """Return the line on motion; ``seen`` holds the main vessels."""
    edges = _edges_mm(seen, blood_hu)
    sharp = _sharpest_mm(edges)
    worst = {name: _worst_mm(e) for name, e in edges.items()}
    blurred = {name: mm for name, mm in worst.items() if mm is not None}
    said = (
        f"pass when every 15 mm of a main vessel have edges up to {limits.blur_warn:g} times as "
        f"wide as the scan's sharpest and those up to {limits.edge_warn_mm:g} mm; refused above "
        f"{limits.blur_refuse:g} times"
    )
    if sharp is None or not blurred:
        text = "Whether vessels moved is not known: too few of their edges can be seen."
        return QcCheck("QC_MOTION", "warn", None, said, text, "Look at the vessels.")
    ratio = {name: mm / sharp for name, mm in blurred.items()}
    value = round(max(ratio.values()), 2)
    if sharp > limits.edge_warn_mm:
        text = f"All vessels have soft edges ({sharp:.1f} mm): motion, or a soft kernel."
        return QcCheck("QC_MOTION", "warn", value, said, text, REPEAT)
    names = ", ".join(name for name, r in ratio.items() if r > limits.blur_warn)
    if not names:
        return QcCheck("QC_MOTION", "pass", value, said, "No main vessel is smeared or doubled.")
    level: Level = "refuse" if value > limits.blur_refuse else "warn"
    text = f"Smeared or doubled, as by motion: {names}."
    return QcCheck("QC_MOTION", level, value, said, text, REPEAT)


def sharpest_edge_mm(
    seen: Mapping[str, tuple[StraightBranch, Polar]], blood_hu: float
) -> float | None:
    """Return how wide the scan's sharpest edges are, ``None`` when too few can be seen."""
    return _sharpest_mm(_edges_mm(seen, blood_hu))


def _edges_mm(
    seen: Mapping[str, tuple[StraightBranch, Polar]], blood_hu: float
) -> dict[str, NDArray[np.float64]]:
    return {name: section_edges_mm(*view, blood_hu)[:JUDGED] for name, view in seen.items()}


def _sharpest_mm(edges: Mapping[str, NDArray[np.float64]]) -> float | None:
    known = np.concatenate([e[np.isfinite(e)] for e in edges.values()] or [np.zeros(0)])
    return float(np.quantile(known, _SHARPEST)) if len(known) >= STRETCH else None


def section_edges_mm(branch: StraightBranch, polar: Polar, blood_hu: float) -> NDArray[np.float64]:
    """Edge of each section's clearer rays in mm, NaN where it can't be judged; ``(n,)``."""
    edge = np.where(ray_heights(branch) < _IN_SLICE, polar.edge_mm.astype(np.float64), np.nan)
    enough = np.isfinite(edge).sum(1) >= _LEAST_RAYS
    judged = enough & (polar.center_hu > _BRIGHT * blood_hu)
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
        if len(part) >= _LEAST_SECTIONS:
            medians.append(float(np.median(part)))
    return max(medians) if medians else None
