"""Small hard things (calcium, metal) as clouds of points that each fill a known volume.

A point shares its volume among the eight voxels round it, so that a wire much thinner than a
voxel weighs what it should: the image's excess HU, summed over voxels, is HU times mm3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Deposit:
    """Points ``(n, 3)`` in scene mm, the mm3 that each fills ``(n,)``, and its HU ``(n,)``."""

    points_mm: Array
    volume_mm3: Array
    hu: Array

    def where(self, keep: NDArray[np.bool_]) -> Deposit:
        """Return only the marked points."""
        return Deposit(self.points_mm[keep], self.volume_mm3[keep], self.hu[keep])


def join(parts: list[Deposit]) -> Deposit:
    """All points of several deposits; of none, an empty one."""
    if not parts:
        return Deposit(np.zeros((0, 3)), np.zeros(0), np.zeros(0))
    return Deposit(
        np.concatenate([p.points_mm for p in parts]),
        np.concatenate([p.volume_mm3 for p in parts]),
        np.concatenate([p.hu for p in parts]),
    )


def paint_deposit(
    image: NDArray[np.float32], origin_mm: Array, spacing_mm: Array, deposit: Deposit
) -> None:
    """Mix the deposit into ``image`` (z, y, x) by volume, before any blur; a voxel fills once."""
    at = (deposit.points_mm - origin_mm) / spacing_mm
    inside = ((at >= 0) & (at < np.array(image.shape) - 1)).all(1)
    if not inside.any():
        return
    low = np.floor(at[inside]).astype(np.int64)
    part = at[inside] - low
    corners = np.indices((2, 2, 2)).reshape(3, 8).T
    share = np.concatenate([np.where(c, part, 1 - part).prod(1) for c in corners])
    flat = np.concatenate([np.ravel_multi_index(tuple((low + c).T), image.shape) for c in corners])
    each = np.tile(deposit.volume_mm3[inside], 8) * share
    voxels, inverse = np.unique(flat, return_inverse=True)
    volume = np.maximum(np.bincount(inverse, each), 1e-12)
    hu = np.bincount(inverse, each * np.tile(deposit.hu[inside], 8)) / volume
    share = np.minimum(volume / np.prod(spacing_mm), 1.0)
    values = image.reshape(-1)
    values[voxels] += (share * (hu - values[voxels])).astype(np.float32)


def rod(line_mm: Array, radius_mm: float, hu: float, step_mm: float = 0.1) -> Deposit:
    """Wire of round section along a polyline ``(n, 3)``; its volume is length x section."""
    steps = np.r_[0, np.cumsum(np.linalg.norm(np.diff(line_mm, axis=0), axis=1))]
    count = max(2, int(np.ceil(steps[-1] / step_mm)))
    at = (np.arange(count) + 0.5) * steps[-1] / count
    points = np.stack([np.interp(at, steps, line_mm[:, a]) for a in range(3)], 1)
    tangent = np.gradient(points, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1), 1e-9)[:, None]
    u = np.cross(tangent, np.eye(3)[np.argmin(np.abs(tangent), axis=1)])
    u /= np.linalg.norm(u, axis=1)[:, None]
    v = np.cross(tangent, u)
    disc = _disc(radius_mm, step_mm)
    cloud = points[:, None] + disc[:, 0, None] * u[:, None] + disc[:, 1, None] * v[:, None]
    n = len(points) * len(disc)
    each = np.pi * radius_mm**2 * steps[-1] / n
    return Deposit(cloud.reshape(-1, 3), np.full(n, each), np.full(n, hu))


def _disc(radius_mm: float, step_mm: float) -> Array:
    """Points spread over a disc, ``(n, 2)``; one in the middle when it is thin."""
    if radius_mm < step_mm:
        return np.zeros((1, 2))
    line = np.arange(-radius_mm, radius_mm + 1e-9, step_mm)
    a, b = np.meshgrid(line, line)
    inside = np.hypot(a, b) <= radius_mm
    return np.asarray(np.stack([a[inside], b[inside]], 1))


def nodule(
    center_mm: Array, radii_mm: Array, axes: Array, hu: float, step_mm: float = 0.2
) -> Deposit:
    """Ellipsoid of a lattice of cubes; ``axes`` holds its three unit axes as rows."""
    lines = [np.arange(-r + step_mm / 2, r, step_mm) for r in radii_mm]
    grid = np.stack(np.meshgrid(*lines, indexing="ij"), -1).reshape(-1, 3)
    grid = grid[((grid / radii_mm) ** 2).sum(1) <= 1]
    n = len(grid)
    return Deposit(grid @ axes + center_mm, np.full(n, step_mm**3), np.full(n, hu))
