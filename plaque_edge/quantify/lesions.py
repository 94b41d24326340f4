"""Lesions of one branch: where plaque counts, how much, how narrow, how remodelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.quantify.reference import healthy_diameter
from plaque_edge.runs import runs
from plaque_edge.types import Lesion, StraightBranch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plaque_edge.quantify.options import GateOptions

MIN_REFERENCE_DIAMETER_MM = 1.5
"""Smaller vessels are not graded for stenosis (SCCT grades segments of 1.5 mm and more)."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What was measured along one branch of n steps.

    ``volume_mm3`` ``(n, 6)`` in the columns of :data:`kernels.COLUMNS`, owned by this branch
    only; ``area_mm2`` ``(n, 2)`` lumen and outer wall of each cross-section; ``take_off``
    the first step outside the parent.
    """

    item: StraightBranch
    volume_mm3: NDArray[np.float64]
    area_mm2: NDArray[np.float64]
    take_off: int

    @property
    def length_mm(self) -> float:
        """Analysed length from the take-off to the distal end."""
        return (len(self.volume_mm3) - 1 - self.take_off) * self.item.step_mm


def gate(profile: Profile, options: GateOptions) -> NDArray[np.bool_]:
    """Find the steps that lie in a lesion, bool ``(n,)``."""
    step = profile.item.step_mm
    thickness = np.full(len(profile.volume_mm3), step)
    thickness[[0, -1]] *= 0.5
    over = profile.volume_mm3[:, 5] / thickness > options.area_mm2
    shortest = max(int(np.ceil(options.min_length_mm / step - 1e-9)), 1)
    widen = round(options.dilate_mm / step)
    inside = np.zeros(len(over), bool)
    for start, stop in runs(over):
        if stop - start >= shortest:
            inside[max(start - widen, 0) : stop + widen] = True
    return inside


def effective_diameter(area_mm2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Diameter of the circle of the same area, area smoothed over about 1 mm."""
    padded = np.pad(area_mm2, 1, mode="edge")
    smooth = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
    diameter: NDArray[np.float64] = np.sqrt(4.0 * smooth / np.pi)
    return diameter


def _usable(profile: Profile) -> NDArray[np.bool_]:
    """Find steps whose whole cross-section belongs to the branch, none in the parent."""
    one_mm = round(1.0 / profile.item.step_mm)
    usable = np.zeros(len(profile.volume_mm3), bool)
    usable[profile.take_off + one_mm : len(usable) - one_mm] = True
    return usable


def find_lesions(profile: Profile, inside: NDArray[np.bool_]) -> tuple[Lesion, ...]:
    """All lesions of a branch, from the ostium to the end. ``inside`` comes from :func:`gate`."""
    found = runs(inside)
    if not found:
        return ()
    usable = _usable(profile)
    lumen = effective_diameter(profile.area_mm2[:, 0])
    outer = effective_diameter(profile.area_mm2[:, 1])
    step = profile.item.step_mm
    lumen_ref = healthy_diameter(lumen, ~inside, usable, step)
    outer_ref = healthy_diameter(outer, ~inside, usable, step)
    lesions = []
    for start, stop in found:
        graded = np.flatnonzero(usable[start:stop]) + start
        worst, stenosis = _stenosis(lumen, lumen_ref, graded)
        plaque = profile.volume_mm3[start:stop, 2:5].sum(axis=0)
        thickest = start + int(np.argmax(profile.volume_mm3[start:stop, 2:5].sum(axis=1)))
        remodeling = None
        if outer_ref is not None and usable[thickest] and outer_ref[thickest] > 0:
            remodeling = float(outer[thickest] / outer_ref[thickest])
        z, y, x = profile.item.centers_mm[thickest if worst is None else worst]
        lesions.append(
            Lesion(
                vessel=profile.item.branch.vessel,
                branch=profile.item.branch.name,
                start_mm=start * step,
                end_mm=(stop - 1) * step,
                plaque_mm3=float(plaque[2]) + float(plaque[0] + plaque[1]),
                calcified_mm3=float(plaque[2]),
                noncalcified_mm3=float(plaque[0] + plaque[1]),
                low_attenuation_mm3=float(plaque[1]),
                diameter_stenosis_percent=stenosis,
                remodeling_index=remodeling,
                worst_point_mm=(float(z), float(y), float(x)),
            )
        )
    return tuple(lesions)


def _stenosis(
    lumen: NDArray[np.float64],
    reference: NDArray[np.float64] | None,
    graded: NDArray[np.int64],
) -> tuple[int | None, float | None]:
    """Step and per cent of the worst narrowing; ``None`` where the vessel is too small."""
    if reference is None or graded.size == 0:
        return None, None
    graded = graded[reference[graded] >= MIN_REFERENCE_DIAMETER_MM]
    if graded.size == 0:
        return None, None
    narrow = 100.0 * (1.0 - lumen[graded] / reference[graded])
    worst = int(np.argmax(narrow))
    return int(graded[worst]), float(np.clip(narrow[worst], 0.0, 100.0))
