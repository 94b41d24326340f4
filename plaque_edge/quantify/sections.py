"""Cross-sections: how far the vessel reaches in each direction, lumen and outer-wall area."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.quantify.jit import jit, prange

if TYPE_CHECKING:
    from numpy.typing import NDArray

ANGLES = 32
"""Directions per cross-section."""
RAY_MM = 0.125
"""Sampling along a ray."""
OFF_CENTRE_MM = 1.0
"""A ray may meet the vessel as late as this: the centerline can lie beside a small lumen."""
GAP_MM = 0.375
"""A gap up to this does not end the vessel: noise inside a plaque is no outer wall."""


@jit(parallel=True)
def inside_wall(fractions: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Share of lumen + wall + plaque of each pixel, float32 ``(n, h, w)``."""
    n, h, w = fractions.shape[1], fractions.shape[2], fractions.shape[3]
    out = np.zeros((n, h, w), np.float32)
    for i in prange(n):
        for c in range(2, 7):
            for j in range(h):
                for k in range(w):
                    out[i, j, k] += np.float32(fractions[c, i, j, k]) / np.float32(255.0)
    return out


@jit()
def sample(image: NDArray[np.float32], row: float, col: float) -> float:
    """Bilinear value at a pixel position, 0 outside the window."""
    h, w = image.shape
    if not (0.0 <= row <= h - 1 and 0.0 <= col <= w - 1):
        return 0.0
    j, k = min(int(row), h - 2), min(int(col), w - 2)
    p, q = row - j, col - k
    upper = (1.0 - q) * image[j, k] + q * image[j, k + 1]
    lower = (1.0 - q) * image[j + 1, k] + q * image[j + 1, k + 1]
    return float((1.0 - p) * upper + p * lower)


@jit(parallel=True)
def ray_lengths(inside: NDArray[np.float32], pixel_mm: float) -> NDArray[np.float64]:
    """Outer radius per step and direction in mm, ``(n, ANGLES)``; 0 where no vessel is met."""
    n, h, w = inside.shape
    out = np.zeros((n, ANGLES))
    half = 0.5 * math.sqrt(h * h + w * w) * pixel_mm
    for i in prange(n):
        for a in range(ANGLES):
            angle = 2.0 * math.pi * a / ANGLES
            du, dv = math.cos(angle) / pixel_mm, math.sin(angle) / pixel_mm
            end, last, r = 0.0, 0.0, 0.0
            while r < half:
                f = sample(inside[i], 0.5 * (h - 1) + r * du, 0.5 * (w - 1) + r * dv)
                if f >= 0.5:
                    end = r
                elif last >= 0.5:
                    end = r - RAY_MM * (0.5 - f) / (last - f)
                elif r - end > (GAP_MM if end > 0.0 else OFF_CENTRE_MM):
                    break
                last = f
                r += RAY_MM
            out[i, a] = end
    return out


@jit(parallel=True)
def area(
    share: NDArray[np.float32], pixel_mm: float, reach: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Soft area of each cross-section within ``reach`` ``(n, ANGLES)`` mm, ``(n,)`` in mm²."""
    n, h, w = share.shape
    radius, direction = np.empty((h, w)), np.empty((h, w), np.int64)
    for j in range(h):
        for k in range(w):
            a = (j - 0.5 * (h - 1)) * pixel_mm
            b = (k - 0.5 * (w - 1)) * pixel_mm
            radius[j, k] = math.sqrt(a * a + b * b)
            turn = math.atan2(b, a) / (2.0 * math.pi)
            direction[j, k] = math.floor(turn * ANGLES + 0.5) % ANGLES
    out = np.zeros(n)
    for i in prange(n):
        for j in range(h):
            for k in range(w):
                if radius[j, k] <= reach[i, direction[j, k]]:
                    out[i] += share[i, j, k]
    return out * (pixel_mm * pixel_mm)
