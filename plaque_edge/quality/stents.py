"""Stents: a thin circle of metal round the lumen, the same over a length, blood inside.

Struts lie on the surface of a balloon, so that the brightest points of all directions lie on
one circle (an ellipse, where the section is cut aslant), about equally bright all round, and
stay there from section to section. Calcium lies in the wall in lumps: even where it goes all
round, it is thicker here than there and of another brightness. How bright it is tells little:
struts of 0.1 mm are seen at 30 to 700 HU over blood, calcium at up to 1300 HU.

Calcium behind the struts hides them here and there, so the stretches of a branch are summed.
Where it lies all round over the length of a stent, nobody can tell: that is a doubt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_closing, uniform_filter1d

from plaque_edge.quality.polar import RAY_STEP_MM, RAYS
from plaque_edge.runs import runs
from plaque_edge.types import QcCheck

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plaque_edge.quality.limits import Limits
    from plaque_edge.quality.polar import Polar
    from plaque_edge.types import StraightBranch

RING_HU = 30.0
"""How much brighter than the lumen three quarters of the directions are, in means over 3.5 mm.
Struts of 0.07 mm are no brighter in a soft kernel; that they lie on a circle is what tells."""
ROUND_MM = 0.05
"""Mean distance of the brightest points from the ellipse: 0.01 to 0.05 mm of stents, 0.04 to
0.4 mm of calcium all round (``docs/quality-gate.md``)."""
EVEN = 0.25
"""Least brightness of a tenth of the directions, as a share of the brightest tenth."""
AROUND_HU = 80.0
"""The same of calcium all round, which is no ring, and of a ring that surely is a stent. Fainter
ones are doubts: a sharp kernel puts a round rim of 30 to 60 HU to the edge of any vessel."""
_PEAKED = 0.75
"""Least share of the directions whose brightest point lies inside the range: where it gets
brighter outwards, as beside the aorta, all of them end at the same place and look round."""
_RING_STEPS = 2, 13
"""A stent lies 0.5 to 3 mm from the middle; its first and last place are no peak."""
_LEAST_RADIUS_MM = 0.7
_MEAN_STEPS = 7
"""Struts lie up to 1.5 mm apart: means over 3.5 mm bridge them."""
_GAP_STEPS = 5
_LEAST_STEPS = 3
"""Shorter stretches are chance."""
_LUMEN_STEPS = 15
_LUMEN_SHARE = 0.5
"""A lumen has at least this share of the aorta's HU; else the ring is something beside it."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where a branch holds a ring, mm from its start; ``length_mm`` is what was seen of it."""

    branch: str
    vessel: str
    start_mm: float
    end_mm: float
    length_mm: float

    def __str__(self) -> str:
        return f"{self.branch} from {self.start_mm:.0f} to {self.end_mm:.0f} mm"


def stents(
    seen: Sequence[tuple[StraightBranch, Polar]], blood_hu: float, limits: Limits
) -> tuple[QcCheck, tuple[str, ...]]:
    """Return the line on stents, and the vessels (LM, LAD, ...) that surely hold one.

    A ring too short to tell, and calcium all round, are doubts: they are warned of, so that a
    person looks, and the vessel is measured all the same.
    """
    sure, least = limits.stent_mm, limits.stent_doubt_mm
    said = f"pass without a thin, even ring in a vessel from {least:g} mm; a stent from {sure:g} mm"
    if not seen:
        text = "Whether there are stents is not known: no vessel was straightened."
        return QcCheck("QC_STENT", "warn", None, said, text, "Look at the vessels."), ()
    rings, found, around = [], [], []
    for branch, polar in seen:
        ring, bright = _sections(polar, blood_hu)
        rings += _stretch(branch, ring)
        found += [s for s in _stretch(branch, ring & bright) if s.length_mm >= sure]
        around += [s for s in _stretch(branch, bright) if s.length_mm >= sure]
    longest = round(max((r.length_mm for r in rings), default=0.0), 1)
    told = {r.branch for r in found}
    doubts = [r for r in rings if r.length_mm >= least and r.branch not in told]
    told |= {r.branch for r in doubts}
    doubts += [r for r in around if r.branch not in told]
    parts = []
    if found:
        parts.append(f"Like a stent: {', '.join(map(str, found))}. Plaque can't be measured in it.")
    if doubts:
        where = ", ".join(map(str, doubts))
        parts.append(f"A stent or calcium all round: {where}. It is measured as calcium.")
    if not parts:
        return QcCheck("QC_STENT", "pass", longest, said, "No stent was seen."), ()
    vessels = tuple(dict.fromkeys(r.vessel for r in found))
    step = "Look there; ask for the history."
    return QcCheck("QC_STENT", "warn", longest, said, " ".join(parts), step), vessels


def _sections(polar: Polar, blood_hu: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which sections hold a ring, faint or not, and which are bright all round; both ``(n,)``."""
    if len(polar.center_hu) < _MEAN_STEPS:
        nothing = np.zeros(len(polar.center_hu), bool)
        return nothing, nothing
    lumen = uniform_filter1d(polar.center_hu.astype(np.float64), _LUMEN_STEPS)
    lines = uniform_filter1d(polar.line_hu.astype(np.float64), _MEAN_STEPS, axis=0)
    top, radius, peaked = _peaks(lines[:, :, _RING_STEPS[0] : _RING_STEPS[1]])
    blood = np.maximum(lumen, _LUMEN_SHARE * blood_hu)
    dim, weak, bright = np.quantile(top - blood[:, None], (0.1, 0.25, 0.9), axis=1)
    middle, off = _ellipse(radius)
    inside = (lumen > _LUMEN_SHARE * blood_hu) & (middle > _LEAST_RADIUS_MM)
    inside &= peaked.mean(1) >= _PEAKED
    ring = inside & (weak > RING_HU) & (dim > EVEN * bright) & (off < ROUND_MM)
    return ring, inside & (weak > AROUND_HU)


def _stretch(branch: StraightBranch, sections: NDArray[np.bool_]) -> list[Stretch]:
    """Return the sections as one stretch, or none."""
    bridged = binary_closing(sections, np.ones(_GAP_STEPS))
    found = [(a, b) for a, b in runs(bridged) if b - a >= _LEAST_STEPS]
    if not found:
        return []
    own, step = branch.branch, branch.step_mm
    length = step * sum(b - a for a, b in found)
    return [Stretch(own.name, own.vessel, found[0][0] * step, found[-1][1] * step, length)]


def _peaks(
    lines: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Brightest point of each ray, HU, how far out it lies, mm, and whether it is a peak.

    All ``(n, rays)``. A parabola through the peak and its neighbours tells the place to a
    fraction of a step; at either end of the range there is none.
    """
    brightest, last = lines.argmax(2), lines.shape[2] - 1
    peaked = (brightest > 0) & (brightest < last)
    at = brightest.clip(1, last - 1)[..., None]
    before, top, after = (np.take_along_axis(lines, at + k, 2)[..., 0] for k in (-1, 0, 1))
    bend = before - 2 * top + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, 1.0), 0.0)
    radius = (_RING_STEPS[0] + at[..., 0] + shift.clip(-0.5, 0.5)) * RAY_STEP_MM
    return lines.max(2), radius, peaked


def _ellipse(radius: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean radius of each section's fitted ellipse, and mean distance of its points from it, mm.

    The first harmonic is a middle that lies beside the line, the second an oval.
    """
    angle = 2 * np.pi * np.arange(RAYS) / RAYS
    waves = [np.ones(RAYS), *(f(k * angle) for k in (1, 2) for f in (np.cos, np.sin))]
    base = np.stack(waves, axis=1)
    fitted, *_ = np.linalg.lstsq(base, radius.T, rcond=None)
    return fitted[0], np.abs(radius.T - base @ fitted).mean(0)
