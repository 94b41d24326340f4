"""Cross-section by cross-section: lumen and outer wall, what they would be in health, stenosis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.quantify.reference import healthy_diameter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plaque_edge.types import StraightBranch

MIN_REFERENCE_DIAMETER_MM = 1.5
"""Smaller vessels are not graded for stenosis (SCCT grades segments of 1.5 mm and more)."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What was measured along one branch of n steps.

    ``volume_mm3`` ``(n, columns)`` in the columns of :data:`kernels.COLUMNS` and those of the
    HU rules, owned by this branch only; ``area_mm2`` ``(n, 2)`` lumen and outer wall of each
    cross-section; ``take_off`` the first step outside the parent.
    """

    item: StraightBranch
    volume_mm3: NDArray[np.float64]
    area_mm2: NDArray[np.float64]
    take_off: int

    @property
    def length_mm(self) -> float:
        """Analysed length from the take-off to the distal end."""
        return (len(self.volume_mm3) - 1 - self.take_off) * self.item.step_mm


@dataclass(frozen=True, slots=True)
class Graded:
    """Diameters ``(n,)`` in mm of one branch; NaN where a cross-section can't be graded."""

    lumen_mm: NDArray[np.float64]
    lumen_reference_mm: NDArray[np.float64]
    outer_mm: NDArray[np.float64]
    outer_reference_mm: NDArray[np.float64]

    def stenosis_percent(self) -> NDArray[np.float64]:
        """Diameter stenosis 0..100 of each cross-section."""
        return np.clip(100.0 * (1.0 - self.lumen_mm / self.lumen_reference_mm), 0.0, 100.0)

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
    return usable


def grade(profile: Profile, inside: NDArray[np.bool_]) -> Graded:
    """Grade every cross-section of a branch; ``inside`` tells those in lesions."""
    usable, step = usable_steps(profile), profile.item.step_mm
    lumen = effective_diameter(profile.area_mm2[:, 0])
    outer = effective_diameter(profile.area_mm2[:, 1])
    nothing = np.full(len(lumen), np.nan)
    lumen_reference = healthy_diameter(lumen, ~inside, usable, step)
    outer_reference = healthy_diameter(outer, ~inside, usable, step)
    if lumen_reference is None or outer_reference is None:
        return Graded(nothing, nothing, nothing, nothing)
    large = usable & (lumen_reference >= MIN_REFERENCE_DIAMETER_MM)
    return Graded(
        np.where(large, lumen, np.nan),
        np.where(large, lumen_reference, np.nan),
        np.where(usable & (outer > 0), outer, np.nan),
        np.where(usable & (outer_reference > 0), outer_reference, np.nan),
    )
