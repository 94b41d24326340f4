"""Straightened vessels: the CT resampled in cross-sections along a centerline.

Frames are rotation-minimising (double reflection, Wang et al., ACM TOG 2008,
doi 10.1145/1330511.1330513), so that a plaque keeps its side from one section to the next.
"""

# mypy: disallow-untyped-decorators=False
from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

STEP_MM, PIXEL_MM, WIDTH = 0.5, 0.25, 48
"""Distance of cross-sections, pixel, and pixels per side: 12 mm wide."""

Points = NDArray[np.float64]


def parallel_frames(points_mm: Points) -> tuple[Points, Points, Points]:
    """Tangent and two rotation-minimising normals, unit ``(n, 3)``, along a polyline (n >= 2)."""
    tangent = np.gradient(points_mm, axis=0)
    if len(points_mm) > 12:  # a jagged tangent would make cross-sections wobble
        tangent = gaussian_filter1d(tangent, 2.0, axis=0, mode="nearest")
    tangent = tangent / np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    normal = np.zeros_like(tangent)
    axis = np.eye(3)[int(np.argmin(np.abs(tangent[0])))]
    first = axis - (axis @ tangent[0]) * tangent[0]
    normal[0] = first / np.linalg.norm(first)
    _double_reflection(np.ascontiguousarray(points_mm), tangent, normal)
    return tangent, normal, np.cross(tangent, normal)


@njit(cache=True)
def _double_reflection(points: Any, tangent: Any, normal: Any) -> None:
    for i in range(points.shape[0] - 1):
        v1 = points[i + 1] - points[i]
        c1 = v1 @ v1
        if c1 < 1e-12:
            normal[i + 1] = normal[i]
            continue
        reflected = normal[i] - (2 / c1) * (v1 @ normal[i]) * v1
        turned = tangent[i] - (2 / c1) * (v1 @ tangent[i]) * v1
        v2 = tangent[i + 1] - turned
        c2 = v2 @ v2
        new = reflected - (2 / c2) * (v2 @ reflected) * v2 if c2 > 1e-12 else reflected
        new = new - (new @ tangent[i + 1]) * tangent[i + 1]
        normal[i + 1] = new / math.sqrt(new @ new)


def even_points(points_mm: Points, step_mm: float = STEP_MM) -> Points:
    """Resample a polyline at equal arc length."""
    s = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(points_mm, axis=0), axis=1))]
    even = np.arange(0, s[-1] + 1e-6, step_mm)
    return np.stack([np.interp(even, s, points_mm[:, k]) for k in range(3)], axis=1)


def sample_sections(
    hu: NDArray[np.int16],
    origin_mm: Any,
    spacing_mm: Any,
    centers_mm: Points,
    u: Points,
    v: Points,
    width: int = WIDTH,
    pixel_mm: float = PIXEL_MM,
) -> NDArray[np.float32]:
    """Trilinear HU of cross-sections, float32 ``(n, width, width)``; outside the scan -1024."""
    out = np.empty((len(centers_mm), width, width), np.float32)
    _sample(
        hu,
        np.asarray(origin_mm, float),
        np.asarray(spacing_mm, float),
        np.ascontiguousarray(centers_mm),
        np.ascontiguousarray(u),
        np.ascontiguousarray(v),
        pixel_mm,
        out,
    )
    return out


@njit(cache=True, parallel=True)
def _sample(
    hu: Any, origin: Any, spacing: Any, centers: Any, u: Any, v: Any, pixel: float, out: Any
) -> None:
    n, h, w = out.shape
    for i in prange(n):
        for j in range(h):
            a = (j - 0.5 * (h - 1)) * pixel
            for k in range(w):
                b = (k - 0.5 * (w - 1)) * pixel
                z = (centers[i, 0] + a * u[i, 0] + b * v[i, 0] - origin[0]) / spacing[0]
                y = (centers[i, 1] + a * u[i, 1] + b * v[i, 1] - origin[1]) / spacing[1]
                x = (centers[i, 2] + a * u[i, 2] + b * v[i, 2] - origin[2]) / spacing[2]
                z0, y0, x0 = math.floor(z), math.floor(y), math.floor(x)
                if (
                    z0 < 0
                    or y0 < 0
                    or x0 < 0
                    or z0 + 1 >= hu.shape[0]
                    or y0 + 1 >= hu.shape[1]
                    or x0 + 1 >= hu.shape[2]
                ):
                    out[i, j, k] = -1024.0
                    continue
                fz, fy, fx = z - z0, y - y0, x - x0
                low = (hu[z0, y0, x0] * (1 - fx) + hu[z0, y0, x0 + 1] * fx) * (1 - fy) + (
                    hu[z0, y0 + 1, x0] * (1 - fx) + hu[z0, y0 + 1, x0 + 1] * fx
                ) * fy
                high = (hu[z0 + 1, y0, x0] * (1 - fx) + hu[z0 + 1, y0, x0 + 1] * fx) * (1 - fy) + (
                    hu[z0 + 1, y0 + 1, x0] * (1 - fx) + hu[z0 + 1, y0 + 1, x0 + 1] * fx
                ) * fy
                out[i, j, k] = low * (1 - fz) + high * fz
