"""The scan in blocks of about 2 mm in the slice: means for steps, peaks for metal. One pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.quantify.jit import jit, prange

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plaque_edge.types import Volume

BLOCK_MM = 2.0
LOW_HU, HIGH_HU = -200, 700
"""Means are of HU held within these, so that lung and metal don't outweigh the heart."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """``mean`` is float32 and ``top`` int16 ``(z, y, x)``; slices are kept, in-plane is coarser.

    ``size_mm`` is that of a block (z, y, x), ``origin_mm`` the middle of the first.
    """

    mean: NDArray[np.float32]
    top: NDArray[np.int16]
    size_mm: tuple[float, float, float]
    origin_mm: NDArray[np.float64]


def in_blocks(volume: Volume) -> Blocks:
    """Return the whole scan in blocks."""
    dz, dy, dx = volume.spacing_zyx_mm
    side = max(1, round(BLOCK_MM / dx))
    slices, rows, columns = volume.shape_zyx
    shape = slices, rows // side, columns // side
    mean, top = np.empty(shape, np.float32), np.empty(shape, np.int16)
    _fill(volume.hu, side, mean, top)
    first = np.array(volume.origin_zyx_mm) + 0.5 * (side - 1) * np.array([0.0, dy, dx])
    return Blocks(mean, top, (dz, side * dy, side * dx), first)


@jit(parallel=True)
def _fill(hu: Any, side: int, mean: Any, top: Any) -> None:
    slices, rows, columns = mean.shape
    for z in prange(slices):
        total = np.empty(columns * side, np.int32)
        peak = np.empty(columns * side, np.int16)
        for j in range(rows):
            total[:] = 0
            peak[:] = -32768
            for a in range(side):
                line = hu[z, j * side + a]
                for x in range(columns * side):
                    value = line[x]
                    total[x] += min(max(value, LOW_HU), HIGH_HU)
                    peak[x] = max(peak[x], value)
            for i in range(columns):
                sum_, most = 0, peak[i * side]
                for c in range(i * side, i * side + side):
                    sum_ += total[c]
                    most = max(most, peak[c])
                mean[z, j, i] = sum_ / (side * side)
                top[z, j, i] = most
