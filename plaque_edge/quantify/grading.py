"""Cross-section by cross-section: lumen and outer wall, what they would be in health, stenosis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import uniform_filter1d

from plaque_edge.quantify.reference import healthy_diameter
from plaque_edge.runs import runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plaque_edge.types import StraightBranch

MIN_REFERENCE_DIAMETER_MM = 1.5
"""Smaller vessels are not graded for stenosis (SCCT grades segments of 1.5 mm and more)."""
SUSPECT_AREA_MM2, SUSPECT_LENGTH_MM, SUSPECT_WIDEN_MM = 0.8, 1.5, 1.0
"""A stretch with this much plaque is looked at for stenosis, though it may be too little to
count as volume. Chosen on validation phantoms (docs/quantify.md)."""
NARROW_PERCENT = 25.0
"""Where such a stretch narrows as much as this, its plaque counts."""
MIN_OUTER, LOST_LUMEN = 0.6, 0.5
"""A stenosis keeps its outer wall: below this share of the healthy one the line was lost."""
OTHER_AREA_MM2 = 20.0
LOST_MM = 4.0
"""A lumen that is not seen for this length is told."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What was measured along one branch of n steps.

    ``volume_mm3`` ``(n, columns)`` in the columns of :data:`kernels.COLUMNS` and those of the
    HU rules, owned by this branch only; ``area_mm2`` ``(n, 2)`` lumen and outer wall of each
    cross-section; ``take_off`` the first step outside the parent. ``left_out`` ``(n,)`` marks
    steps that a person excluded.
    """

    item: StraightBranch
    volume_mm3: NDArray[np.float64]
    area_mm2: NDArray[np.float64]
    take_off: int
    left_out: NDArray[np.bool_] | None = None

    @property
    def length_mm(self) -> float:
        """Analysed length from the take-off to the distal end."""
        return (len(self.volume_mm3) - 1 - self.take_off) * self.item.step_mm


@dataclass(frozen=True, slots=True)
class Graded:
    """Diameters ``(n,)`` in mm of one branch; NaN where a cross-section can't be measured.

    ``suspect`` marks steps with a little plaque at least: only these are graded, since a
    lumen that narrows without any plaque is a line that left the vessel. ``lost`` marks
    steps where neither a lumen nor an outer wall fit to be one is seen.
    """

    lumen_mm: NDArray[np.float64]
    lumen_reference_mm: NDArray[np.float64]
    outer_mm: NDArray[np.float64]
    outer_reference_mm: NDArray[np.float64]
    suspect: NDArray[np.bool_]
    lost: NDArray[np.bool_]

    def stenosis_percent(self) -> NDArray[np.float64]:
        """Diameter stenosis 0..100 of each graded cross-section, NaN elsewhere."""
        narrow = np.clip(100.0 * (1.0 - self.lumen_mm / self.lumen_reference_mm), 0.0, 100.0)
        graded = self.suspect & (self.lumen_reference_mm >= MIN_REFERENCE_DIAMETER_MM)
        return np.where(graded, narrow, np.nan)

    def burden_percent(self) -> NDArray[np.float64]:
        """Share of the outer wall's area that is not lumen."""
        return np.clip(100.0 * (1.0 - (self.lumen_mm / self.outer_mm) ** 2), 0.0, 100.0)

    def remodeling(self) -> NDArray[np.float64]:
        """Outer diameter relative to the healthy one."""
        return self.outer_mm / self.outer_reference_mm


def effective_diameter(area_mm2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Diameter of the circle of the same area, area smoothed over about 1 mm."""
    padded = np.pad(area_mm2, 1, mode="edge")
    smooth = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
    diameter: NDArray[np.float64] = np.sqrt(4.0 * smooth / np.pi)
    return diameter


def usable_steps(profile: Profile) -> NDArray[np.bool_]:
    """Find steps whose whole cross-section belongs to the branch, none in the parent."""
    one_mm = round(1.0 / profile.item.step_mm)
    usable = np.zeros(len(profile.volume_mm3), bool)
    usable[profile.take_off + one_mm : len(usable) - one_mm] = True
    return usable if profile.left_out is None else usable & ~profile.left_out


def suspect_steps(profile: Profile, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find steps in a lesion, or with plaque too little for its volume to count."""
    step = profile.item.step_mm
    area = uniform_filter1d(profile.volume_mm3[:, 2:5].sum(axis=1) / step, 3, mode="nearest")
    shortest, widen = round(SUSPECT_LENGTH_MM / step), round(SUSPECT_WIDEN_MM / step)
    found = inside.copy()
    for start, stop in runs(area > SUSPECT_AREA_MM2):
        if stop - start >= shortest:
            found[max(start - widen, 0) : stop + widen] = True
    return found


def _beside_others(profile: Profile) -> NDArray[np.bool_]:
    """Find steps in a window full of another vessel: a vein, the aorta, a chamber."""
    other = profile.item.fractions[1].sum(axis=(1, 2), dtype=np.float64) / 255.0
    mm2 = other * profile.item.pixel_mm**2
    smooth = uniform_filter1d(mm2, 2 * round(2.0 / profile.item.step_mm) + 1, mode="nearest")
    return np.asarray(smooth >= OTHER_AREA_MM2)


def grade(profile: Profile, inside: NDArray[np.bool_]) -> Graded:
    """Grade every cross-section of a branch; ``inside`` tells those in lesions."""
    usable, step = usable_steps(profile), profile.item.step_mm
    suspect = suspect_steps(profile, inside)
    lumen = effective_diameter(profile.area_mm2[:, 0])
    outer = effective_diameter(profile.area_mm2[:, 1])
    lumen_reference = healthy_diameter(lumen, ~suspect, usable, step)
    outer_reference = healthy_diameter(outer, ~suspect, usable, step)
    if lumen_reference is None or outer_reference is None:
        nothing, none = np.full(len(lumen), np.nan), np.zeros(len(lumen), bool)
        return Graded(nothing, nothing, nothing, nothing, none, none)
    shrunk = outer < MIN_OUTER * outer_reference
    lost = usable & shrunk & (lumen < LOST_LUMEN * lumen_reference)
    seen = usable & ~shrunk & ~_beside_others(profile)
    return Graded(
        np.where(usable, lumen, np.nan),
        np.where(usable & (lumen_reference > 0), lumen_reference, np.nan),
        np.where(usable & (outer > 0), outer, np.nan),
        np.where(usable & (outer_reference > 0), outer_reference, np.nan),
        suspect & seen,
        lost,
    )


def widen_lesions(profile: Profile, inside: NDArray[np.bool_], graded: Graded) -> NDArray[np.bool_]:
    """Add stretches of little plaque in which the lumen narrows: two weak signs make one."""
    narrow = np.nan_to_num(graded.stenosis_percent())
    out = inside.copy()
    for start, stop in runs(suspect_steps(profile, inside) & ~inside):
        if narrow[start:stop].max() >= NARROW_PERCENT:
            out[start:stop] = True
    return out
