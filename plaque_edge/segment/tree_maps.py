"""Network A on the heart: what every 0.8 mm voxel probably is, tile by tile."""

# mypy: disallow-untyped-decorators=False
from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit, prange

from engines.base import STEP

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from plaque_edge.segment.network import Network
    from plaque_edge.types import Volume

TREE_SPACING_MM = 0.8
TILE_OVERLAP = 16
MOST_VOXELS = 6_000_000
"""What goes through at once where the engine takes any size: most hearts do, in a gigabyte."""
AORTA, LM, LAD, LCX, RCA, VEIN = 1, 2, 3, 4, 5, 6
"""Network A's classes; 0 is background."""


@dataclass(frozen=True, slots=True)
class TreeMaps:
    """Network A's probabilities, uint8 ``(7, z, y, x)`` x 255, with the HU on the same grid."""

    probability: NDArray[np.uint8]
    spacing_mm: float
    low_mm: tuple[float, float, float]
    hu: NDArray[np.int16]
    blood_hu: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (z, y, x)."""
        _, z, y, x = self.probability.shape
        return z, y, x

    def artery(self) -> NDArray[np.float32]:
        """Probability of any coronary artery, 0..1."""
        total = self.probability[LM : RCA + 1].sum(0, dtype=np.uint16)
        return np.asarray(np.minimum(total, 255), np.float32) / np.float32(255)

    def blood(self) -> NDArray[np.float32]:
        """How much a voxel looks like blood outside a vein, 0..1."""
        bright = np.clip((self.hu / np.float32(self.blood_hu) - 0.35) / 0.3, 0, 1)
        return np.where(self.probability[VEIN] > 76, 0, bright).astype(np.float32)

    def to_mm(self, voxels: NDArray[np.int64]) -> NDArray[np.float64]:
        """Points (z, y, x) in mm of flat voxel indices."""
        index = np.stack(np.unravel_index(voxels, self.shape), axis=-1)
        return np.asarray(index * self.spacing_mm + np.array(self.low_mm))


def resample_volume(
    volume: Volume, low_mm: Any, spacing_mm: float, shape: tuple[int, int, int]
) -> NDArray[np.int16]:
    """HU on an isotropic grid whose first voxel centre lies at ``low_mm``; outside the scan -1024.

    Averages over the new voxel where it is coarser than the scan, so that noise falls and thin
    vessels keep their contrast as they would in a coarser reconstruction.
    """
    out = np.empty(shape, np.int16)
    count = np.maximum(1, np.round(spacing_mm / np.array(volume.spacing_zyx_mm))).astype(np.int64)
    _resample(
        volume.hu,
        np.asarray(volume.origin_zyx_mm, float),
        np.asarray(volume.spacing_zyx_mm, float),
        np.asarray(low_mm, float),
        spacing_mm,
        np.minimum(count, 4),
        out,
    )
    return out


@njit(cache=True, parallel=True)
def _resample(
    hu: Any, origin: Any, spacing: Any, low: Any, step: float, count: Any, out: Any
) -> None:
    for z in prange(out.shape[0]):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                total, n = 0.0, 0
                for a in range(count[0]):
                    fz = (low[0] + step * (z + (a + 0.5) / count[0] - 0.5) - origin[0]) / spacing[0]
                    iz = math.floor(fz + 0.5)
                    for b in range(count[1]):
                        fy = (
                            low[1] + step * (y + (b + 0.5) / count[1] - 0.5) - origin[1]
                        ) / spacing[1]
                        iy = math.floor(fy + 0.5)
                        for c in range(count[2]):
                            fx = (
                                low[2] + step * (x + (c + 0.5) / count[2] - 0.5) - origin[2]
                            ) / spacing[2]
                            ix = math.floor(fx + 0.5)
                            if (
                                0 <= iz < hu.shape[0]
                                and 0 <= iy < hu.shape[1]
                                and 0 <= ix < hu.shape[2]
                            ):
                                total += hu[iz, iy, ix]
                                n += 1
                out[z, y, x] = -1024 if n == 0 else round(total / n)


def tile_starts(size: int, tile: int, overlap: int) -> list[int]:
    """First indices of tiles that cover ``size`` with at least ``overlap`` shared voxels.

    >>> tile_starts(180, 96, 16)
    [0, 42, 84]
    """
    if size <= tile:
        return [0]
    n = math.ceil((size - overlap) / (tile - overlap))
    return [round(i * (size - tile) / (n - 1)) for i in range(n)]


def tile_of(shape: tuple[int, ...], most: int = MOST_VOXELS) -> tuple[int, int, int]:
    """Size of equal tiles that cover ``shape``: as few as ``most`` voxels to a tile allow.

    >>> tile_of((150, 170, 180)), tile_of((190, 210, 220))
    ((152, 176, 184), (192, 216, 120))
    """
    counts = [1, 1, 1]
    while True:
        sizes = [
            -(-(n + (c - 1) * TILE_OVERLAP) // (c * STEP)) * STEP
            for n, c in zip(shape, counts, strict=True)
        ]
        if math.prod(sizes) <= most:
            return sizes[0], sizes[1], sizes[2]
        counts[sizes.index(max(sizes))] += 1


def tree_probability(
    hu: NDArray[np.int16],
    network: Network,
    blood_hu: float,
    progress: Callable[[float], None] | None = None,
) -> NDArray[np.uint8]:
    """Class probabilities x 255, uint8 ``(7, z, y, x)``, blended over overlapping tiles.

    ``hu`` is the heart at 0.8 mm, ``blood_hu`` the aorta's HU.
    """
    tile = tile_of(hu.shape) if network.any_size else network.shape
    shape = tuple(max(n, t) for n, t in zip(hu.shape, tile, strict=True))
    padded = np.full(shape, -1024, np.int16)
    padded[tuple(slice(0, n) for n in hu.shape)] = hu
    starts = list(
        itertools.product(
            *[tile_starts(n, t, TILE_OVERLAP) for n, t in zip(shape, tile, strict=True)]
        )
    )
    weight = _tile_weight(tile)
    total = np.zeros((7, *shape), np.float32)
    norm = np.zeros(shape, np.float32)
    for i, start in enumerate(starts):
        where = tuple(slice(s, s + t) for s, t in zip(start, tile, strict=True))
        if padded[where].max() > 0:
            soft = network.run(padded[where], blood_hu)
            soft *= weight
            total[(slice(None), *where)] += soft
        norm[where] += weight
        if progress:
            progress((i + 1) / len(starts))
    crop = tuple(slice(0, n) for n in hu.shape)
    out = np.empty((7, *hu.shape), np.uint8)
    scale = 255 / norm[crop]
    for c in range(7):
        out[c] = np.minimum(total[c][crop] * scale + 0.5, 255)
    return out


def _tile_weight(tile: tuple[int, int, int]) -> NDArray[np.float32]:
    ramps = [
        np.minimum(1, (np.minimum(np.arange(n), np.arange(n)[::-1]) + 1) / TILE_OVERLAP)
        for n in tile
    ]
    return np.asarray(
        ramps[0][:, None, None] * ramps[1][None, :, None] * ramps[2][None, None, :], np.float32
    )
