"""Stents: a bright ring all round the lumen over some length, brighter than the blood inside.

Calcium lies in arcs or lumps; the lower quartile over all directions tells it from a ring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import uniform_filter1d

from plaque_edge.runs import runs
from plaque_edge.types import QcCheck

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plaque_edge.quality.limits import Limits
    from plaque_edge.quality.polar import Polar
    from plaque_edge.types import StraightBranch

RING_HU = 80.0
"""How much brighter than the lumen a quarter of the directions at least are."""
_MEAN_STEPS = 7
"""Struts lie up to 1.5 mm apart: means over 3.5 mm bridge them."""
_LUMEN_STEPS = 15
_LUMEN_SHARE = 0.5
"""A lumen has at least this share of the aorta's HU; else the ring is something beside it."""


def stents(
    seen: Sequence[tuple[StraightBranch, Polar]], blood_hu: float, limits: Limits
) -> tuple[QcCheck, tuple[str, ...]]:
    """Return the line on stents, and the vessels (LM, LAD, ...) that hold one."""
    least = limits.stent_mm
    said = f"pass without a bright ring round a lumen over {least:g} mm or more"
    if not seen:
        text = "Whether there are stents is not known: no vessel was straightened."
        return QcCheck("QC_STENT", "warn", None, said, text, "Look at the vessels."), ()
    lengths = {b.branch.name: (b, ring_mm(b, p, blood_hu)) for b, p in seen}
    found = {name: (b, mm) for name, (b, mm) in lengths.items() if mm >= least}
    longest = round(max(mm for _, mm in lengths.values()), 1)
    if not found:
        return QcCheck("QC_STENT", "pass", longest, said, "No stent was seen."), ()
    vessels = tuple(dict.fromkeys(b.branch.vessel for b, _ in found.values()))
    names = ", ".join(f"{name} over {mm:.0f} mm" for name, (_, mm) in found.items())
    text = f"Like a stent: {names}. Plaque can't be measured in it."
    return QcCheck("QC_STENT", "warn", longest, said, text, "Ask for the history."), vessels


def ring_mm(branch: StraightBranch, polar: Polar, blood_hu: float) -> float:
    """Length of the longest stretch with a ring, in mm."""
    if len(polar.center_hu) < _MEAN_STEPS:
        return 0.0
    ring = uniform_filter1d(polar.ring_hu.astype(np.float64), _MEAN_STEPS, axis=0)
    lumen = uniform_filter1d(polar.center_hu.astype(np.float64), _LUMEN_STEPS)
    weakest: NDArray[np.float64] = np.quantile(ring, 0.25, axis=1)
    bright = weakest > np.maximum(lumen, _LUMEN_SHARE * blood_hu) + RING_HU
    inside = lumen > _LUMEN_SHARE * blood_hu
    lengths = [stop - start for start, stop in runs(bright & inside)]
    return max(lengths, default=0) * branch.step_mm
