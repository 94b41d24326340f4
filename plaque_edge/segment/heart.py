"""Find the heart: network H on the whole scan at 3 mm gives the box in which all else works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_dilation, binary_opening, label

from plaque_edge.errors import Refused
from plaque_edge.segment.tree_maps import resample_volume
from plaque_edge.types import triple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from plaque_edge.segment.network import Network
    from plaque_edge.types import Volume

HEART_SPACING_MM = 3.0
HEART_SHAPE = (64, 96, 96)
"""Network H's fixed input: 192 x 288 x 288 mm, scans are centred in it."""
MIN_HEART_ML, MAX_HEART_ML = 180.0, 2500.0
"""Hearts with pericardial fat outside these volumes are not hearts of adults."""
MARGIN_MM = 6.0
MUSCLE_HU = 50.0
"""Between the fat round a heart (-100 HU) and its enhanced muscle (80 to 130 HU)."""


@dataclass(frozen=True, slots=True)
class HeartBox:
    """Box of the heart in (z, y, x) mm, its volume, and blood HU in the ascending aorta."""

    low_mm: tuple[float, float, float]
    high_mm: tuple[float, float, float]
    heart_ml: float
    aorta_ml: float
    aorta_hu: tuple[float, float]
    """Mean and SD of HU well inside the ascending aorta and root."""
    cut_cm2: Mapping[str, float]
    """Sides ("head", "feet", "front", ...) where the heart or the fat round it meets the edge of
    the scan, and how much muscle and blood is cut there, cm2: 0 where it is fat alone."""


def heart_input(volume: Volume) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Return the scan at 3 mm, centred in the network's shape, and its first voxel's place."""
    size = np.array(volume.shape_zyx) * volume.spacing_zyx_mm
    middle = np.array(volume.origin_zyx_mm) + size / 2 - np.array(volume.spacing_zyx_mm) / 2
    low = middle - HEART_SPACING_MM * (np.array(HEART_SHAPE) - 1) / 2
    return resample_volume(volume, low, HEART_SPACING_MM, HEART_SHAPE), low


def find_heart(volume: Volume, network: Network) -> HeartBox:
    """Locate the heart and the ascending aorta.

    Raises
    ------
    Refused
        HEART_NOT_FOUND, AORTA_NOT_FOUND.
    """
    hu, low = heart_input(volume)
    probability = network.run(hu)
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
        _cut_cm2(heart & (hu > MUSCLE_HU), inside, (scan_low - low, scan_low + size_mm - low)),
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


def _cut_cm2(
    muscle: NDArray[np.bool_],
    inside: NDArray[np.int64],
    edges_mm: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> dict[str, float]:
    """Measure muscle and blood where the heart meets an edge of the scan, cm2 by side.

    ``inside`` holds the heart's voxels ``(n, 3)``; edges lie as far from the first voxel. What is
    thinner than three voxels is the wall of another organ.
    """
    names = (("feet", "head"), ("front", "back"), ("right", "left"))
    cut: dict[str, float] = {}
    for axis, sides in enumerate(names):
        low, high = (float(edge[axis]) / HEART_SPACING_MM for edge in edges_mm)
        first, last = inside[:, axis].min(), inside[:, axis].max()
        places = (
            (first - low < 1, max(first, int(np.ceil(low)))),
            (
                high - last < 1,
                min(last, int(np.floor(high))),
            ),
        )
        for side, (touches, at) in zip(sides, places, strict=True):
            if touches:
                plane = binary_opening(np.take(muscle, at, axis=axis), np.ones((3, 3)))
                cut[side] = round(float(plane.sum()) * (HEART_SPACING_MM / 10) ** 2, 1)
    return cut
