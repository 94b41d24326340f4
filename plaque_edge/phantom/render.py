"""Tubes as a scanner and a network's target see them: means and shares over sub-voxels."""

# mypy: disallow-untyped-decorators=False
from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, prange

from plaque_edge.phantom.kernels import CELL_MM, OUTSIDE, slab_of, tissue_at


@njit(cache=True)
def _cell_mask(s: Any, origin: Any, spacing: Any, shape: Any) -> Any:
    """Mark the cells that hold samples, as a boolean grid: only these are worth a visit."""
    mask = np.zeros((s.cell_shape[0], s.cell_shape[1], s.cell_shape[2]), np.bool_)
    n = 0
    for z in range(s.cell_shape[0]):
        for y in range(s.cell_shape[1]):
            for x in range(s.cell_shape[2]):
                mask[z, y, x] = s.cell_first[n + 1] > s.cell_first[n]
                n += 1
    return mask


@njit(cache=True, parallel=True)
def paint_tubes(s: Any, image: Any, origin: Any, spacing: Any, sub: Any, phases: Any) -> None:
    """Lay the tubes over ``image`` (float32 HU): the mean over sub-voxels and motion phases."""
    mask = _cell_mask(s, origin, spacing, image.shape)
    half = 0.5 * math.sqrt(spacing[0] ** 2 + spacing[1] ** 2 + spacing[2] ** 2)
    if phases.size > 1:
        for i in range(s.shift.shape[0]):
            half = max(
                half, 0.4 + math.sqrt(s.shift[i, 0] ** 2 + s.shift[i, 1] ** 2 + s.shift[i, 2] ** 2)
            )
    for z in prange(image.shape[0]):
        p = np.empty(3)
        pz = origin[0] + z * spacing[0]
        cz = math.floor((pz - s.cell_origin[0]) / CELL_MM)
        if cz < 0 or cz >= s.cell_shape[0]:
            continue
        for y in range(image.shape[1]):
            py = origin[1] + y * spacing[1]
            cy = math.floor((py - s.cell_origin[1]) / CELL_MM)
            if cy < 0 or cy >= s.cell_shape[1]:
                continue
            for x in range(image.shape[2]):
                px = origin[2] + x * spacing[2]
                cx = math.floor((px - s.cell_origin[2]) / CELL_MM)
                if cx < 0 or cx >= s.cell_shape[2] or not mask[cz, cy, cx]:
                    continue
                p[0], p[1], p[2] = pz, py, px
                if tissue_at(s, p, -1, 0.0)[3] > half:
                    continue
                total, hits, n = 0.0, 0, 0
                for m in range(phases.size):
                    for a in range(sub[0]):
                        p[0] = pz + ((a + 0.5) / sub[0] - 0.5) * spacing[0]
                        for b in range(sub[1]):
                            p[1] = py + ((b + 0.5) / sub[1] - 0.5) * spacing[1]
                            for c in range(sub[2]):
                                p[2] = px + ((c + 0.5) / sub[2] - 0.5) * spacing[2]
                                code, hu, _, _ = tissue_at(s, p, -1, phases[m])
                                n += 1
                                if code != OUTSIDE:
                                    hits += 1
                                    total += hu
                if hits:
                    image[z, y, x] = (total + (n - hits) * image[z, y, x]) / n


@njit(cache=True, parallel=True)
def straight_fractions(
    s: Any,
    own: int,
    centers: Any,
    u: Any,
    v: Any,
    pixel_mm: float,
    sub: int,
    slab_first: Any,
    slab_shift: Any,
    out: Any,
) -> None:
    """Fill ``out``, uint8 (7, n, h, w), with the fraction (0..255) of every tissue in a window.

    ``centers`` are image points; slabs say where the image shows which part of the scene.
    """
    n, h, w = out.shape[1], out.shape[2], out.shape[3]
    for i in prange(n):
        p = np.empty(3)
        moved = np.zeros(3)
        count = np.zeros(7)
        for j in range(h):
            for k in range(w):
                count[:] = 0
                for c in range(3):
                    p[c] = (
                        centers[i, c]
                        + (j - 0.5 * (h - 1)) * pixel_mm * u[i, c]
                        + (k - 0.5 * (w - 1)) * pixel_mm * v[i, c]
                    )
                at = slab_of(slab_first, p[0])
                for c in range(3):
                    moved[c] = slab_shift[at, c]
                    p[c] += moved[c]
                if tissue_at(s, p, -1, 0.0)[3] > pixel_mm:  # no tube near: pure background
                    out[:, i, j, k] = 0
                    out[0, i, j, k] = 255
                    continue
                for a in range(sub):
                    ju = (j - 0.5 * (h - 1) + (a + 0.5) / sub - 0.5) * pixel_mm
                    for b in range(sub):
                        kv = (k - 0.5 * (w - 1) + (b + 0.5) / sub - 0.5) * pixel_mm
                        for c in range(3):
                            p[c] = centers[i, c] + ju * u[i, c] + kv * v[i, c] + moved[c]
                        code, _, _, _ = tissue_at(s, p, own, 0.0)
                        count[code] += 1
                for c in range(7):
                    out[c, i, j, k] = int(255 * count[c] / (sub * sub) + 0.5)
