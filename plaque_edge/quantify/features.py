"""High-risk features of a lesion (CAD-RADS 2.0, doi:10.1016/j.jcct.2022.07.002).

Each is a rule on the network's fractions and on HU in the cross-sections, with the
cross-section to look at. None has been compared with readers.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_dilation, label

from plaque_edge.quantify.hu_rules import LOW_HU
from plaque_edge.types import HighRiskFeature

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plaque_edge.quantify.grading import Graded, Profile

LOW_AREA_MM2 = 1.0
REMODELING_INDEX = 1.1
SPOT_MM = 3.0
SPOT_MIN_MM3 = 0.25
"""Calcium smaller than this is noise."""
CORE_AREA_MM2 = 0.5
RIM_SHARE = 0.7
RIM_HU = 20.0
RIM_MAX_HU = 130.0
RIM_MM = 1.5
RAYS = 24
LUMEN_GAP_MM = 0.5
NEAR_MM = 5.5
"""Nothing farther from the centerline is looked at: it may be another vessel."""


def find_features(
    profile: Profile, start: int, stop: int, graded: Graded, *, low_attenuation: bool = True
) -> tuple[HighRiskFeature, ...]:
    """All four features of the lesion in steps ``start`` to ``stop`` (half-open).

    Without ``low_attenuation`` the two that rest on it can't be told: ``present`` is None.
    """
    classes = _classes(profile, start, stop)
    step, pixel = profile.item.step_mm, profile.item.pixel_mm
    low_area = (classes == 5).sum(axis=(1, 2)) * pixel**2
    worst = int(np.argmax(low_area))
    found = [
        _feature(
            profile, "low_attenuation", float(low_area[worst]), LOW_AREA_MM2, start + worst,
            f"low-attenuation plaque (network; below {LOW_HU:g} HU) of at least "
            f"{LOW_AREA_MM2:g} mm² in a cross-section",
        )
    ]  # fmt: skip
    index = graded.remodeling()[start:stop]
    thick = int(np.argmax(profile.volume_mm3[start:stop, 2:5].sum(axis=1)))
    value = None if np.isnan(index[thick]) else float(index[thick])
    found.append(
        _feature(
            profile, "positive_remodeling", value, REMODELING_INDEX, start + thick,
            f"outer diameter at the thickest plaque at least {REMODELING_INDEX:g} times the "
            "healthy one",
        )
    )  # fmt: skip
    spot, at = _spot(classes, step, pixel)
    rule = f"calcium shorter than {SPOT_MM:g} mm in every direction with non-calcified plaque round"
    found.append(_feature(profile, "spotty_calcification", spot, 1.0, start + at, f"{rule} it"))
    ring, at = _napkin(profile, classes, start)
    found.append(
        _feature(
            profile, "napkin_ring", ring, RIM_SHARE, start + at,
            f"low-attenuation core of at least {CORE_AREA_MM2:g} mm² at the lumen, with a rim "
            f"{RIM_HU:g} HU brighter but below {RIM_MAX_HU:g} HU round {100 * RIM_SHARE:.0f} % of "
            "what does not face the lumen",
        )
    )  # fmt: skip
    if low_attenuation:
        return tuple(found)
    doubtful = "; low attenuation can't be told in this scan"
    return tuple(
        HighRiskFeature(f.name, None, None, f.rule + doubtful, f.cross_section, f.point_mm)
        if f.name in ("low_attenuation", "napkin_ring")
        else f
        for f in found
    )


def _feature(
    profile: Profile, name: object, value: float | None, limit: float, at: int, rule: str
) -> HighRiskFeature:
    z, y, x = profile.item.centers_mm[at]
    present = None if value is None else bool(value >= limit)
    point = (float(z), float(y), float(x))
    return HighRiskFeature(name, present, value, rule, at, point)  # type: ignore[arg-type]


def _classes(profile: Profile, start: int, stop: int) -> NDArray[np.int64]:
    """Largest class of each pixel near the centerline, ``(n, h, w)``; 0 elsewhere."""
    f = profile.item.fractions[:, start:stop]
    h, w = f.shape[2:]
    a, b = np.meshgrid(np.arange(h) - 0.5 * (h - 1), np.arange(w) - 0.5 * (w - 1), indexing="ij")
    near = np.hypot(a, b) * profile.item.pixel_mm <= NEAR_MM
    return np.asarray(f.argmax(axis=0) * near, np.int64)


def _spot(classes: NDArray[np.int64], step: float, pixel: float) -> tuple[float, int]:
    """1 and the middle step of the largest small piece of calcium in soft plaque, else 0."""
    pieces, count = label(classes == 6, structure=np.ones((3, 3, 3)))
    soft = (classes == 4) | (classes == 5)
    best, at = 0.0, 0
    for i in range(1, count + 1):
        piece = pieces == i
        where = np.argwhere(piece)
        mm3 = len(where) * step * pixel**2
        extent = (np.ptp(where, axis=0) + 1) * (step, pixel, pixel)
        if mm3 < max(SPOT_MIN_MM3, best) or extent.max() >= SPOT_MM:
            continue
        rim = binary_dilation(piece, iterations=2) & ~piece
        if (rim & soft).sum() >= 0.25 * rim.sum():
            best, at = mm3, int(np.median(where[:, 0]))
    return (1.0 if best > 0 else 0.0), at


def _napkin(profile: Profile, classes: NDArray[np.int64], start: int) -> tuple[float, int]:
    """Largest share of a bright rim round a low-attenuation core, and its step."""
    pixel = profile.item.pixel_mm
    area = (classes == 5).sum(axis=(1, 2)) * pixel**2
    best, at = 0.0, int(np.argmax(area))
    for i in np.flatnonzero(area >= CORE_AREA_MM2):
        share = _rim_share(classes[i], profile.item.hu[start + i], pixel)
        if share > best:
            best, at = share, int(i)
    return best, at


def _rim_share(classes: NDArray[np.int64], hu: NDArray[np.float32], pixel: float) -> float:
    """Share of directions from the core, lumen's side left out, that cross a bright rim."""
    core = classes == 5
    reach = max(round(LUMEN_GAP_MM / pixel), 1)
    if not (binary_dilation(core, iterations=reach) & (classes == 2)).any():
        return 0.0
    middle, inside = np.argwhere(core).mean(axis=0), float(hu[core].mean())
    rim, counted = 0, 0
    for k in range(RAYS):
        angle = 2 * math.pi * k / RAYS
        seen = _along(middle, (math.cos(angle), math.sin(angle)), core, classes, hu, pixel)
        if seen is None:
            continue
        counted += 1
        rim += inside + RIM_HU <= seen < RIM_MAX_HU
    return rim / counted if counted else 0.0


def _along(
    middle: NDArray[np.float64],
    way: tuple[float, float],
    core: NDArray[np.bool_],
    classes: NDArray[np.int64],
    hu: NDArray[np.float32],
    pixel: float,
) -> float | None:
    """Brightest plaque or wall within 1.5 mm beyond the core; ``None`` where the lumen is met."""
    h, w = classes.shape
    best, beyond, r = -1e9, 0.0, 0.0
    while beyond <= RIM_MM:
        r += 1.0
        j, k = round(middle[0] + r * way[0]), round(middle[1] + r * way[1])
        if not (0 <= j < h and 0 <= k < w):
            break
        if classes[j, k] == 2:
            return None
        if core[j, k]:
            beyond = 0.0
            continue
        beyond += pixel
        if classes[j, k] in (3, 4, 6):
            best = max(best, float(hu[j, k]))
    return best
