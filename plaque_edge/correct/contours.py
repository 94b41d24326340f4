"""Closed smooth curves round a pole: drawn, dragged, pushed, and how much of a pixel they hold.

A curve is given by radii in equal directions, from ``u`` towards ``v``, joined by a periodic cubic
spline. All lengths are mm.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import CubicSpline

from plaque_edge.correct.edits import MAX_RADIUS_MM, MIN_RADIUS_MM

if TYPE_CHECKING:
    from numpy.typing import NDArray

FINE = 256
"""Directions in which a curve is looked up."""
SUB = 4
"""Samples along each side of a pixel."""
PULL = 3.0
"""A dragged point takes its neighbours along, less and less, up to this many directions away."""


def fine(radii_mm: NDArray[np.float64], count: int = FINE) -> NDArray[np.float64]:
    """Radii ``(count,)`` of the smooth curve through ``(A,)`` of them."""
    closed = np.r_[radii_mm, radii_mm[0]]
    spline = CubicSpline(np.arange(len(closed)), closed, bc_type="periodic")
    at = np.arange(count) * len(radii_mm) / count
    return np.maximum(np.asarray(spline(at), np.float64), 0.0)


def outline(
    radii_mm: NDArray[np.float64], pole_mm: tuple[float, float] = (0.0, 0.0), count: int = FINE
) -> NDArray[np.float64]:
    """Points ``(count, 2)`` at (u, v) mm of the smooth curve."""
    radius = fine(radii_mm, count)
    angle = 2.0 * np.pi * np.arange(count) / count
    at = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return np.asarray(at + np.asarray(pole_mm, float))


def area_mm2(radii_mm: NDArray[np.float64]) -> float:
    """Area inside the smooth curve."""
    return float(np.pi * np.mean(fine(radii_mm) ** 2))


def coverage(
    radii_mm: NDArray[np.float64],
    pole_mm: tuple[float, float],
    size: tuple[int, int],
    pixel_mm: float,
) -> NDArray[np.float64]:
    """Share of each pixel inside the curve, float64 ``(rows, columns)``; the window's middle is 0.

    Sampled :data:`SUB` times along each side, with edges as soft as a sample is wide.
    """
    turn, distance = _polar(size, pixel_mm, (float(pole_mm[0]), float(pole_mm[1])))
    curve = fine(radii_mm)
    low = turn.astype(np.int64)
    share = turn - low
    towards = (1.0 - share) * curve[low % FINE] + share * curve[(low + 1) % FINE]
    inside = np.clip((towards - distance) / (pixel_mm / SUB) + 0.5, 0.0, 1.0)
    return np.asarray(inside.reshape(size[0], SUB, size[1], SUB).mean(axis=(1, 3)))


@lru_cache(maxsize=32)
def _polar(
    size: tuple[int, int], pixel_mm: float, pole_mm: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Direction, in :data:`FINE` parts of a turn, and distance of every sample from the pole."""
    sub = pixel_mm / SUB
    a, b = (
        (np.arange(n * SUB) - 0.5 * (n * SUB - 1)) * sub - p
        for n, p in zip(size, pole_mm, strict=True)
    )
    turn = np.arctan2(b[None, :], a[:, None]) / (2.0 * np.pi) % 1.0
    return turn * FINE, np.hypot(a[:, None], b[None, :])


def radius_at(radii_mm: NDArray[np.float64], angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Radius of the curve at any angles in radians from ``u`` towards ``v``."""
    curve = fine(radii_mm)
    return np.interp(angle % (2.0 * np.pi), 2.0 * np.pi * np.arange(FINE + 1) / FINE,
                     np.r_[curve, curve[0]])  # fmt: skip


def dragged(radii_mm: NDArray[np.float64], direction: int, radius_mm: float) -> NDArray[np.float64]:
    """Return the curve with one point at another radius and its neighbours taken along."""
    count = len(radii_mm)
    away = np.abs((np.arange(count) - direction + count // 2) % count - count // 2)
    weight = np.where(away < PULL, np.cos(0.5 * np.pi * np.minimum(away / PULL, 1.0)) ** 2, 0.0)
    return _limited(radii_mm + weight * (radius_mm - radii_mm[direction]))


def pushed(
    radii_mm: NDArray[np.float64],
    brush_at_mm: tuple[float, float],
    brush_mm: float,
    *,
    outwards: bool,
) -> NDArray[np.float64]:
    """Return the curve pushed away by a round brush whose middle lies at (u, v) from the pole."""
    angle = 2.0 * np.pi * np.arange(len(radii_mm)) / len(radii_mm)
    middle = brush_at_mm[0] * np.cos(angle) + brush_at_mm[1] * np.sin(angle)
    aside = brush_at_mm[0] ** 2 + brush_at_mm[1] ** 2 - middle**2
    half = np.sqrt(np.maximum(brush_mm**2 - aside, 0.0))
    met = (half > 0) & (radii_mm >= middle - half) & (radii_mm <= middle + half)
    return _limited(np.where(met, middle + half if outwards else middle - half, radii_mm))


def scaled(radii_mm: NDArray[np.float64], by_mm: float) -> NDArray[np.float64]:
    """Return the curve grown on all sides by so many mm, or shrunk."""
    return _limited(radii_mm + by_mm)


def _limited(radii_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.clip(radii_mm, MIN_RADIUS_MM, MAX_RADIUS_MM), np.float64)
