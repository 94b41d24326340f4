"""Find the heart: network H on the whole scan at 3 mm gives the box in which all else works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import binary_dilation, label

from plaque_edge.errors import Refused
from plaque_edge.segment.tree_maps import resample_volume
from plaque_edge.types import triple

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from engines import Engine
    from plaque_edge.types import Volume

HEART_SPACING_MM = 3.0
HEART_SHAPE = (64, 96, 96)
"""Network H's fixed input: 192 x 288 x 288 mm, scans are centred in it."""
MIN_HEART_ML, MAX_HEART_ML = 180.0, 2500.0
"""Hearts with pericardial fat outside these volumes are not hearts of adults."""
MARGIN_MM = 6.0


@dataclass(frozen=True, slots=True)
class HeartBox:
    """Box of the heart in (z, y, x) mm, its volume, and blood HU in the ascending aorta."""

    low_mm: tuple[float, float, float]
    high_mm: tuple[float, float, float]
    heart_ml: float
    aorta_ml: float
    aorta_hu: tuple[float, float]
    """Mean and SD of HU well inside the ascending aorta and root."""
    cut: tuple[str, ...]
    """Sides ("head", "feet", "front", ...) where the heart touches the edge of the scan."""


def heart_input(volume: Volume) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Return the scan at 3 mm, centred in the network's shape, and its first voxel's place."""
    size = np.array(volume.shape_zyx) * volume.spacing_zyx_mm
    middle = np.array(volume.origin_zyx_mm) + size / 2 - np.array(volume.spacing_zyx_mm) / 2
    low = middle - HEART_SPACING_MM * (np.array(HEART_SHAPE) - 1) / 2
    return resample_volume(volume, low, HEART_SPACING_MM, HEART_SHAPE), low


def heart_channels(hu: NDArray[Any]) -> NDArray[np.float32]:
    """Network H's only channel, float32 ``(1, z, y, x)``: -1024..976 HU as 0..1."""
    return np.clip((hu[None].astype(np.float32) + 1024) / 2000, 0, 1)


def find_heart(volume: Volume, engine: Engine) -> HeartBox:
    """Locate the heart and the ascending aorta.

    Raises
    ------
    Refused
        HEART_NOT_FOUND, AORTA_NOT_FOUND.
    """
    hu, low = heart_input(volume)
    probability = engine.run(heart_channels(hu)[None])[0]
    classes = probability.argmax(0)
    classes[hu <= -1020] = 0
    heart = _largest(classes > 0)
    voxel_ml = HEART_SPACING_MM**3 / 1000
    heart_ml = float(heart.sum()) * voxel_ml
    if not MIN_HEART_ML <= heart_ml <= MAX_HEART_ML:
        raise Refused(
            "HEART_NOT_FOUND",
            f"No heart of plausible size in the scan (found {heart_ml:.0f} ml).",
            "Check that this is a coronary CT angiogram that covers the heart.",
        )
    aorta = _largest((classes == 2) & heart)
    aorta_ml = float(aorta.sum()) * voxel_ml
    if aorta_ml < 3:
        raise Refused(
            "AORTA_NOT_FOUND",
            "The aortic root was not found in the scan.",
            "Check that the scan starts above the coronary ostia.",
        )
    inside = np.argwhere(heart)
    size_mm = np.array(volume.shape_zyx) * volume.spacing_zyx_mm
    scan_low = np.array(volume.origin_zyx_mm)
    box_low = np.maximum(low + inside.min(0) * HEART_SPACING_MM - MARGIN_MM, scan_low)
    box_high = np.minimum(low + inside.max(0) * HEART_SPACING_MM + MARGIN_MM, scan_low + size_mm)
    return HeartBox(
        triple(box_low),
        triple(box_high),
        heart_ml,
        aorta_ml,
        _blood(hu, aorta),
        _cut_sides(
            low + inside.min(0) * HEART_SPACING_MM,
            low + inside.max(0) * HEART_SPACING_MM,
            scan_low,
            scan_low + size_mm,
        ),
    )


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, n = label(mask)
    if n == 0:
        return np.zeros_like(mask)
    return np.asarray(parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:])))


def _blood(hu: NDArray[np.int16], aorta: NDArray[np.bool_]) -> tuple[float, float]:
    core = aorta & ~binary_dilation(~aorta)
    values = hu[core if core.sum() > 20 else aorta].astype(float)
    return float(np.median(values)), float(values.std())


def _cut_sides(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    scan_low: NDArray[np.float64],
    scan_high: NDArray[np.float64],
) -> tuple[str, ...]:
    names = (("feet", "head"), ("front", "back"), ("right", "left"))
    sides = []
    for axis, (first, last) in enumerate(names):
        if low[axis] - scan_low[axis] < HEART_SPACING_MM:
            sides.append(first)
        if scan_high[axis] - high[axis] < HEART_SPACING_MM:
            sides.append(last)
    return tuple(sides)
