"""Slow, obvious twins of the viewer's kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import map_coordinates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plaque_edge.export.overlay import Stack
    from plaque_edge.show.raster import Camera, Tubes


def sample(stack: Stack, points_mm: NDArray[np.float64]) -> tuple[Any, Any]:
    """HU and label at points ``(..., 3)``: scipy's linear interpolation, one class at a time."""
    index = ((points_mm - stack.origin_zyx_mm) / stack.spacing_zyx_mm).T
    inside = np.all((index.T >= -1e-6) & (index.T <= np.array(stack.hu.shape) - 1 + 1e-6), axis=-1)
    hu = map_coordinates(stack.hu.astype(float), index, order=1, mode="nearest")
    votes = [
        map_coordinates((stack.labels == code).astype(float), index, order=1, mode="nearest")
        for code in range(6)
    ]
    return (
        np.where(inside, np.floor(hu.T + 0.5), -1024),
        np.where(inside, np.argmax(np.round(votes, 9), axis=0).T, 0),
    )


def spheres(tubes: Tubes, camera: Camera, size: tuple[int, int]) -> NDArray[np.int64]:
    """Which sphere each pixel's ray meets first, tried one pixel and one sphere at a time."""
    seen = camera.project(tubes.centers_mm, size)
    out = np.full(size, -1)
    for row in range(size[0]):
        for col in range(size[1]):
            best = -np.inf
            for i, (x, y, z) in enumerate(seen):
                r = max(tubes.radius_mm[i] * camera.pixels_per_mm, 0.8)
                inside = r * r - (col - x) ** 2 - (row - y) ** 2
                if inside >= 0 and z + np.sqrt(inside) > best:
                    best, out[row, col] = z + np.sqrt(inside), i
    return out
