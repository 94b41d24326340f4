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


@jit()
def inside_at(fractions: NDArray[np.uint8], step: int, row: float, col: float) -> float:
    """Share of lumen + wall + plaque at a pixel position, bilinear, 0 outside the window."""
    h, w = fractions.shape[2], fractions.shape[3]
    if not (0.0 <= row <= h - 1 and 0.0 <= col <= w - 1):
        return 0.0
    j, k = min(int(row), h - 2), min(int(col), w - 2)
    p, q = row - j, col - k
    total = 0.0
    for c in range(2, 7):
        f = fractions[c, step]
        total += (1 - p) * ((1 - q) * f[j, k] + q * f[j, k + 1])
        total += p * ((1 - q) * f[j + 1, k] + q * f[j + 1, k + 1])
    return total / 255.0


@jit(parallel=True)
def ray_lengths(fractions: NDArray[np.uint8], pixel_mm: float) -> NDArray[np.float64]:
    """Outer radius per step and direction in mm, ``(n, ANGLES)``; 0 where no vessel is met."""
    n, h, w = fractions.shape[1], fractions.shape[2], fractions.shape[3]
    out = np.zeros((n, ANGLES))
    half = 0.5 * math.sqrt(h * h + w * w) * pixel_mm
    for i in prange(n):
        for a in range(ANGLES):
            angle = 2.0 * math.pi * a / ANGLES
            du, dv = math.cos(angle) / pixel_mm, math.sin(angle) / pixel_mm
            end, last, r = 0.0, 0.0, 0.0
            while r < half:
                f = inside_at(fractions, i, 0.5 * (h - 1) + r * du, 0.5 * (w - 1) + r * dv)
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
def areas(
    fractions: NDArray[np.uint8],
    pixel_mm: float,
    lumen_reach: NDArray[np.float64],
    reach: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Soft lumen and outer-wall area of each cross-section in mm², ``(n, 2)``.

    Lumen counts within ``lumen_reach`` ``(n,)`` mm of the centre, so that a side branch
    leaving here does not; the outer wall within ``reach`` ``(n, ANGLES)``.
    """
    n, h, w = fractions.shape[1], fractions.shape[2], fractions.shape[3]
    out = np.zeros((n, 2))
    for i in prange(n):
        for j in range(h):
            for k in range(w):
                a = (j - 0.5 * (h - 1)) * pixel_mm
                b = (k - 0.5 * (w - 1)) * pixel_mm
                r = math.sqrt(a * a + b * b)
                turn = math.atan2(b, a) / (2.0 * math.pi)
                if r > reach[i, math.floor(turn * ANGLES + 0.5) % ANGLES]:
                    continue
                if r <= lumen_reach[i]:
                    out[i, 0] += fractions[2, i, j, k]
                for c in range(2, 7):
                    out[i, 1] += fractions[c, i, j, k]
    return out * (pixel_mm * pixel_mm / 255.0)
