"""Agatston score of a non-contrast series (Agatston et al. 1990, doi:10.1016/0735-1097(90)90282-T).

Per slice: connected pixels of 130 HU and more, at least 1 mm², area times a weight by the
brightest pixel (1 from 130, 2 from 200, 3 from 300, 4 from 400 HU), summed over slices. The
rule was made for slices of 3 mm; others are scaled by thickness / 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import label
from scipy.spatial import cKDTree

from plaque_edge.quantify.label_stats import label_statistics
from plaque_edge.types import VESSELS, Agatston, CoronaryTree, VesselName, Volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

THRESHOLD_HU = 130
MIN_AREA_MM2 = 1.0
REFERENCE_SLICE_MM = 3.0
NEAR_MM = 5.0
"""Calcium farther than this from every traced artery is not coronary: aorta, valve, bone.
Wide, because the two series are of different heart beats."""
_IN_SLICE = np.array([np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))])


def weight(max_hu: NDArray[np.float64]) -> NDArray[np.int64]:
    """Weight 1 to 4 of the brightest pixel of a piece."""
    return np.clip(np.floor(np.asarray(max_hu) / 100.0), 1, 4).astype(np.int64)


def pieces(volume: Volume) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Score and centre ``(n, 3)`` (z, y, x) mm of every piece of calcium in every slice."""
    dz, dy, dx = volume.spacing_zyx_mm
    marked, count = label(volume.hu >= THRESHOLD_HU, structure=_IN_SLICE, output=np.int32)
    found = label_statistics(marked, volume.hu, count + 1)
    area = found.voxels[1:] * dy * dx
    box = found.box[1:].astype(np.float64)
    middle = volume.to_mm(0.5 * (box[:, ::2] + box[:, 1::2] - 1.0))
    keep = area >= MIN_AREA_MM2
    score = area * weight(found.max_hu[1:]) * (dz / REFERENCE_SLICE_MM)
    return np.asarray(score[keep], np.float64), middle[keep]


def agatston(volume: Volume, tree: CoronaryTree, series_uid: str = "") -> Agatston:
    """Score the calcium near the traced arteries, each piece in the nearest vessel.

    ``volume`` is without contrast and lies in the same patient coordinates as ``tree``.
    """
    score, middle = pieces(volume)
    points = np.concatenate([b.points_mm for b in tree.branches])
    owner = np.concatenate(
        [np.full(len(b.points_mm), VESSELS.index(b.vessel)) for b in tree.branches]
    )
    total: dict[VesselName, float] = dict.fromkeys(VESSELS, 0.0)
    if len(score):
        distance, nearest = cKDTree(points).query(middle)
        for s, d, k in zip(score, distance, owner[nearest], strict=True):
            if d <= NEAR_MM:
                total[VESSELS[int(k)]] += float(s)
    text = (
        f"Agatston rule on pieces within {NEAR_MM:g} mm of the arteries traced in the contrast "
        "series; calcium of the root, valve or mitral ring nearer than that counts too"
    )
    if tree.missing:
        names = ", ".join(v for v in VESSELS if v in tree.missing)
        text += f". A lower bound: {names} not traced, so its calcium may be missing"
    return Agatston(sum(total.values()), total, series_uid, text)
