"""Lesions of one branch: where plaque counts, how much, how narrow, how remodelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from plaque_edge.quantify.features import find_features
from plaque_edge.runs import runs
from plaque_edge.types import Lesion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plaque_edge.quantify.grading import Graded, Profile
    from plaque_edge.quantify.options import GateOptions

CALCIFIED_SHARE, NONCALCIFIED_SHARE = 0.7, 0.3
"""A lesion is calcified from this share of calcium on, non-calcified up to the other, mixed
between (the usual visual classes: 70 and 30 % of the plaque)."""


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
    return inside if profile.left_out is None else inside & ~profile.left_out


def plaque_type(calcified: float, plaque: float) -> Literal["calcified", "noncalcified", "mixed"]:
    """Name a lesion by the share of calcium in it."""
    share = calcified / plaque if plaque > 0 else 0.0
    if share >= CALCIFIED_SHARE:
        return "calcified"
    return "noncalcified" if share <= NONCALCIFIED_SHARE else "mixed"


def largest(values: NDArray[np.float64]) -> float | None:
    """Largest of the values that are not NaN, ``None`` without any."""
    known = values[~np.isnan(values)]
    return float(known.max()) if known.size else None


def find_lesions(
    profile: Profile,
    inside: NDArray[np.bool_],
    graded: Graded,
    segments: NDArray[np.int64],
    *,
    low_attenuation: bool = True,
) -> tuple[Lesion, ...]:
    """All lesions of a branch, from the ostium to the end.

    ``inside`` comes from :func:`gate`, ``segments`` ``(n,)`` from :func:`scct.label_steps`;
    ``low_attenuation`` says whether it can be told in this scan.
    """
    return tuple(
        _lesion(profile, start, stop, graded, segments, low_attenuation)
        for start, stop in runs(inside)
    )


def _lesion(
    profile: Profile,
    start: int,
    stop: int,
    graded: Graded,
    segments: NDArray[np.int64],
    low_attenuation: bool,
) -> Lesion:
    step, span = profile.item.step_mm, slice(start, stop)
    volume = profile.volume_mm3[span]
    total = volume.sum(axis=0)
    calcified, noncalcified = float(total[4]), float(total[2] + total[3])
    stenosis = graded.stenosis_percent()[span]
    thickest = start + int(np.argmax(volume[:, 2:5].sum(axis=1)))
    known = not np.isnan(stenosis).all()
    worst = start + int(np.nanargmax(stenosis)) if known else thickest
    lumen, reference = graded.lumen_mm[worst], graded.lumen_reference_mm[worst]
    remodeling = graded.remodeling()[thickest]
    z, y, x = profile.item.centers_mm[worst]
    plaque = calcified + noncalcified
    return Lesion(
        vessel=profile.item.branch.vessel,
        branch=profile.item.branch.name,
        start_mm=start * step,
        end_mm=(stop - 1) * step,
        plaque_mm3=plaque,
        calcified_mm3=calcified,
        noncalcified_mm3=noncalcified,
        low_attenuation_mm3=float(total[3]),
        diameter_stenosis_percent=float(np.nanmax(stenosis)) if known else None,
        remodeling_index=None if np.isnan(remodeling) else float(remodeling),
        worst_point_mm=(float(z), float(y), float(x)),
        length_mm=(stop - 1 - start) * step,
        plaque_type=plaque_type(calcified, plaque),
        fibro_fatty_mm3=float(total[6]),
        fibrous_mm3=float(total[2] - total[6]),
        vessel_mm3=float(total[:5].sum()),
        lumen_mm3=float(total[0]),
        max_burden_percent=largest(graded.burden_percent()[span]),
        area_stenosis_percent=area_stenosis(float(lumen), float(reference)) if known else None,
        minimal_lumen_area_mm2=0.25 * np.pi * float(lumen) ** 2 if known else None,
        minimal_lumen_diameter_mm=float(lumen) if known else None,
        reference_diameter_mm=float(reference) if known else None,
        worst_cross_section=worst,
        segments=tuple(int(s) for s in dict.fromkeys(segments[span].tolist())),
        features=find_features(profile, start, stop, graded, low_attenuation=low_attenuation),
    )


def area_stenosis(lumen_mm: float, reference_mm: float) -> float:
    """Area stenosis in per cent of a diameter and its reference."""
    return float(np.clip(100.0 * (1.0 - (lumen_mm / reference_mm) ** 2), 0.0, 100.0))
