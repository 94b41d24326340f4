"""The Numba loops of the phantom: which tissue lies at a point, and what the scanner makes of it.

All tubes are lists of samples 0.25 mm apart. A coarse grid of cells (2 mm) holds, for each
cell, the samples whose tube may reach it; a point asks only those.
"""

# mypy: disallow-untyped-decorators=False
from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import njit, prange

if TYPE_CHECKING:
    from numpy.typing import NDArray

CELL_MM = 2.0
OUTSIDE, LUMEN, WALL, FIBROUS, LOW, CALC, VEIN = 0, 2, 3, 4, 5, 6, 1
"""Tissue codes at a point: the channels of ``types.WALL_CLASSES``."""


class Scene(NamedTuple):
    """All tubes as flat arrays; n samples, m tubes, k lesions. Lengths in mm, angles in rad."""

    center: NDArray[np.float64]  # (n, 3)
    tangent: NDArray[np.float64]  # (n, 3)
    normal: NDArray[np.float64]  # (n, 3) rotation-minimising
    lumen: NDArray[np.float64]  # (n,) narrowed lumen radius
    oval: NDArray[np.float64]  # (n, 2) ellipticity, its angle
    wall: NDArray[np.float64]  # (n,) healthy wall thickness
    reach: NDArray[np.float64]  # (n,) largest outer radius
    arc: NDArray[np.float64]  # (n,) arc length
    tube: NDArray[np.int32]  # (n,)
    lumen_hu: NDArray[np.float64]  # (n,)
    shift: NDArray[np.float64]  # (n, 3) motion during the scan
    wall_hu: NDArray[np.float64]  # (m,)
    vein: NDArray[np.bool_]  # (m,)
    lesion_first: NDArray[np.int32]  # (m + 1,)
    lesion: NDArray[np.float64]  # (k, 8) center, half, peak, theta, concentric, hu, powers
    blobs: NDArray[np.float64]  # (k, 10, 8)
    cell_first: NDArray[np.int64]  # (cells + 1,)
    cell_sample: NDArray[np.int32]
    cell_shape: NDArray[np.int64]  # (3,)
    cell_origin: NDArray[np.float64]  # (3,)


@njit(cache=True)
def fill_cells(center: Any, reach: Any, origin: Any, shape: Any, first: Any, sample: Any) -> None:
    """Two passes over samples: count (``sample`` empty), then fill the lists of every cell."""
    counting = sample.size == 0
    for i in range(center.shape[0]):
        lo = np.empty(3, np.int64)
        hi = np.empty(3, np.int64)
        for a in range(3):
            lo[a] = max(0, math.floor((center[i, a] - reach[i] - origin[a]) / CELL_MM))
            hi[a] = min(shape[a] - 1, math.floor((center[i, a] + reach[i] - origin[a]) / CELL_MM))
        for z in range(lo[0], hi[0] + 1):
            for y in range(lo[1], hi[1] + 1):
                for x in range(lo[2], hi[2] + 1):
                    cell = (z * shape[1] + y) * shape[2] + x
                    if counting:
                        first[cell + 1] += 1
                    else:
                        sample[first[cell]] = i
                        first[cell] += 1


@njit(cache=True)
def _angle_difference(a: float, b: float) -> float:
    d = a - b
    return d - 2 * math.pi * math.floor((d + math.pi) / (2 * math.pi))


@njit(cache=True)
def plaque_thickness(s: Any, tube: int, arc: float, theta: float) -> tuple[float, int]:
    """Thickness in mm at (arc, theta) of a tube, and the lesion that gives most of it."""
    total, best, top = 0.0, -1, 0.0
    for k in range(s.lesion_first[tube], s.lesion_first[tube + 1]):
        x = (arc - s.lesion[k, 0]) / s.lesion[k, 1]
        if x <= -1 or x >= 1:
            continue
        along = math.cos(0.5 * math.pi * x)
        c = 0.5 + 0.5 * math.cos(_angle_difference(theta, s.lesion[k, 3]))
        around = s.lesion[k, 4] + (1 - s.lesion[k, 4]) * c ** s.lesion[k, 7]
        t = s.lesion[k, 2] * along ** s.lesion[k, 6] * around
        total = max(total, t)
        if t > top:
            top, best = t, k
    return (total, best) if total > 0.04 else (0.0, -1)


@njit(cache=True)
def _component(s: Any, k: int, arc: float, theta: float, depth: float) -> tuple[int, float]:
    """Tissue code and HU inside lesion ``k``; calcium wins over lipid, lipid over fibrous."""
    code, hu = FIBROUS, s.lesion[k, 5]
    for j in range(s.blobs.shape[1]):
        kind = s.blobs[k, j, 6]
        if kind == 0:
            break
        a = (arc - s.lesion[k, 0] - s.blobs[k, j, 0]) / s.blobs[k, j, 3]
        b = _angle_difference(theta, s.blobs[k, j, 1]) / s.blobs[k, j, 4]
        c = (depth - s.blobs[k, j, 2]) / s.blobs[k, j, 5]
        if a * a + b * b + c * c <= 1:
            if kind == 1:
                return CALC, s.blobs[k, j, 7]
            code, hu = LOW, s.blobs[k, j, 7]
    return code, hu


@njit(cache=True)
def _in_tube(s: Any, i: int, p: Any, phase: float) -> tuple[int, float, float]:
    """Tissue code, HU and depth (distance outside the outer wall, mm) at p of sample i's tube."""
    t, n = s.tangent[i], s.normal[i]
    d0 = p[0] - s.center[i, 0] - phase * s.shift[i, 0]
    d1 = p[1] - s.center[i, 1] - phase * s.shift[i, 1]
    d2 = p[2] - s.center[i, 2] - phase * s.shift[i, 2]
    along = d0 * t[0] + d1 * t[1] + d2 * t[2]
    d0, d1, d2 = d0 - along * t[0], d1 - along * t[1], d2 - along * t[2]
    rr = d0 * d0 + d1 * d1 + d2 * d2
    cu = d0 * n[0] + d1 * n[1] + d2 * n[2]
    cv = (
        d0 * (t[1] * n[2] - t[2] * n[1])
        + d1 * (t[2] * n[0] - t[0] * n[2])
        + d2 * (t[0] * n[1] - t[1] * n[0])
    )
    r, theta = math.sqrt(rr), math.atan2(cv, cu)
    arc, tube = s.arc[i] + along, s.tube[i]
    inner = s.lumen[i] * (1 + s.oval[i, 0] * math.cos(2 * (theta - s.oval[i, 1])))
    plaque, k = 0.0, -1
    if not s.vein[tube]:
        plaque, k = plaque_thickness(s, tube, arc, theta)
    wall = s.wall[i] * (0.45 + 0.55 * math.exp(-2 * plaque))
    outer = inner + plaque + wall
    if abs(along) > 0.2:  # beyond the open end of the tube
        return OUTSIDE, 0.0, max(r - outer, abs(along))
    if s.vein[tube]:
        return (VEIN if r < outer else OUTSIDE), s.lumen_hu[i], r - outer
    if r < inner:
        return LUMEN, s.lumen_hu[i], r - outer
    if r < inner + plaque:
        code, hu = _component(s, k, arc, theta, (r - inner) / plaque)
        return code, hu, r - outer
    if r < outer:
        return WALL, s.wall_hu[tube], r - outer
    return OUTSIDE, 0.0, r - outer


@njit(cache=True)
def tissue_at(s: Any, p: Any, own: int, phase: float) -> tuple[int, float, int, float]:
    """Tissue at point ``p``: code, HU, owning tube (-1 none), distance outside its wall in mm.

    ``own`` < 0: what the scanner sees (any lumen wins, then the tube reaching deepest).
    ``own`` >= 0: seen from that tube: other tubes are VEIN (= "other vessel") outside its wall.
    """
    cz = math.floor((p[0] - s.cell_origin[0]) / CELL_MM)
    cy = math.floor((p[1] - s.cell_origin[1]) / CELL_MM)
    cx = math.floor((p[2] - s.cell_origin[2]) / CELL_MM)
    if not (0 <= cz < s.cell_shape[0] and 0 <= cy < s.cell_shape[1] and 0 <= cx < s.cell_shape[2]):
        return OUTSIDE, 0.0, -1, 1e9
    cell = (cz * s.cell_shape[1] + cy) * s.cell_shape[2] + cx
    return _tissue_of(s, s.cell_sample, s.cell_first[cell], s.cell_first[cell + 1], p, own, phase)


@njit(cache=True)
def _tissue_of(
    s: Any, samples: Any, first: int, last: int, p: Any, own: int, phase: float
) -> tuple[int, float, int, float]:
    """Tissue at ``p`` as :func:`tissue_at`, of ``samples[first:last]``, sorted by tube, alone."""
    j = first
    code, hu, owner, depth = OUTSIDE, 0.0, -1, 1e9
    lumen_hu, any_lumen, other, own_code, own_hu, own_depth = 0.0, False, False, OUTSIDE, 0.0, 1e9
    while j < last:
        tube = s.tube[samples[j]]
        best, at = 1e18, -1
        while j < last and s.tube[samples[j]] == tube:
            i = samples[j]
            dz = p[0] - s.center[i, 0] - phase * s.shift[i, 0]
            dy = p[1] - s.center[i, 1] - phase * s.shift[i, 1]
            dx = p[2] - s.center[i, 2] - phase * s.shift[i, 2]
            d2 = dz * dz + dy * dy + dx * dx
            if d2 < best:
                best, at = d2, i
            j += 1
        c, h, d = _in_tube(s, at, p, phase)
        if c == LUMEN:
            any_lumen, lumen_hu = True, h
        if tube == own:
            own_code, own_hu, own_depth = c, h, d
        elif c != OUTSIDE:
            other = True
        if s.vein[tube] and code != OUTSIDE:
            continue  # where they touch, the artery is real
        if d < depth - 1e-9:
            code, hu, owner, depth = c, h, tube, d
    if own >= 0:
        if own_code != OUTSIDE:
            return (LUMEN if any_lumen else own_code), own_hu, own, own_depth
        return (VEIN if other else OUTSIDE), 0.0, own, own_depth
    if any_lumen:
        return LUMEN, lumen_hu, owner, depth
    return code, hu, owner, depth


@njit(cache=True)
def _near(s: Any, first: int, last: int, p: Any, half_mm: float, near: Any) -> int:
    """Fill ``near`` with the samples of a cell that decide within ``half_mm`` of ``p``; count them.

    Left out are tubes that don't reach so far, and samples that are nowhere there the nearest of
    their tube: where any tube lies, the tissue is that of the whole list.
    """
    n, j = 0, first
    while j < last:
        tube, start, best, reached = s.tube[s.cell_sample[j]], j, 1e18, False
        while j < last and s.tube[s.cell_sample[j]] == tube:
            i = s.cell_sample[j]
            d = _distance(s.center[i], p)
            best = min(best, d)
            reached = reached or d <= s.reach[i] + half_mm
            j += 1
        if reached:
            for k in range(start, j):
                if _distance(s.center[s.cell_sample[k]], p) <= best + 2 * half_mm + 1e-6:
                    near[n] = s.cell_sample[k]
                    n += 1
    return n


@njit(cache=True)
def _distance(a: Any, b: Any) -> float:
    return math.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2)


@njit(cache=True)
def _tally_cube(s: Any, near: Any, low: Any, step: float, n: Any, vessel_of: Any, out: Any) -> None:
    """Count ``n`` (3,) lattice points from ``low`` on into ``out``, of the samples ``near``."""
    p = np.empty(3)
    for a in range(n[0]):
        p[0] = low[0] + a * step
        for b in range(n[1]):
            p[1] = low[1] + b * step
            for c in range(n[2]):
                p[2] = low[2] + c * step
                code, _, owner, _ = _tissue_of(s, near, 0, near.size, p, -1, 0.0)
                if owner >= 0 and code > VEIN and vessel_of[owner] >= 0:
                    out[vessel_of[owner], code] += 1


SIDE = 5
"""Points a side of the cubes in which lattice points are counted."""


@njit(cache=True)
def _tally_cell(s: Any, at: Any, n: int, near: Any, vessel_of: Any, out: Any) -> None:
    """Count the ``n`` to the third lattice points of the cell ``at`` (3,) into ``out``."""
    cell = (at[0] * s.cell_shape[1] + at[1]) * s.cell_shape[2] + at[2]
    first, last = s.cell_first[cell], s.cell_first[cell + 1]
    if last == first:
        return
    step, cubes = CELL_MM / n, (n + SIDE - 1) // SIDE
    low, middle, corner, count = np.empty(3), np.empty(3), np.empty(3, np.int64), at.copy()
    for cube in range(cubes**3):
        corner[0], corner[1], corner[2] = cube // cubes**2, cube // cubes % cubes, cube % cubes
        for a in range(3):
            count[a] = min(SIDE, n - corner[a] * SIDE)
            low[a] = s.cell_origin[a] + at[a] * CELL_MM + (corner[a] * SIDE + 0.5) * step
            middle[a] = low[a] + 0.5 * (count[a] - 1) * step
        found = _near(s, first, last, middle, _distance(low, middle), near)
        if found:
            _tally_cube(s, near[:found], low, step, count, vessel_of, out)


@njit(cache=True, parallel=True)
def tally_volumes(s: Any, lattice_mm: float, vessel_of: Any) -> Any:
    """Exact truth: mm3 per (vessel, tissue code), by counting a fine lattice inside the cells."""
    n = round(CELL_MM / lattice_mm)
    plane = np.zeros((s.cell_shape[0], 4, 7))
    for cz in prange(s.cell_shape[0]):
        near = np.empty(s.tube.size, np.int32)
        at = np.empty(3, np.int64)
        at[0] = cz
        for cy in range(s.cell_shape[1]):
            for cx in range(s.cell_shape[2]):
                at[1], at[2] = cy, cx
                _tally_cell(s, at, n, near, vessel_of, plane[cz])
    out = np.zeros((4, 7))
    for cz in range(s.cell_shape[0]):
        out += plane[cz]
    return out * (CELL_MM / n) ** 3


@njit(cache=True)
def slab_of(first: Any, z: float) -> int:
    """Slab whose image holds height ``z``."""
    k = 0
    while k + 1 < first.size and z >= first[k + 1]:
        k += 1
    return k


@njit(cache=True, parallel=True)
def tree_labels(
    s: Any,
    class_of: Any,
    labels: Any,
    origin: Any,
    spacing: float,
    pad_mm: float,
    slab_first: Any,
    slab_shift: Any,
) -> None:
    """Write network A's class of every tube into ``labels``.

    A voxel belongs to a tube in its lumen, and less than ``pad_mm`` outside its outer wall.
    Slabs (``slabs.Slabs``) say where the image shows which part of the scene.
    """
    for z in prange(labels.shape[0]):
        p = np.empty(3)
        k = slab_of(slab_first, origin[0] + z * spacing)
        for y in range(labels.shape[1]):
            for x in range(labels.shape[2]):
                p[0] = origin[0] + z * spacing + slab_shift[k, 0]
                p[1] = origin[1] + y * spacing + slab_shift[k, 1]
                p[2] = origin[2] + x * spacing + slab_shift[k, 2]
                code, _, owner, depth = tissue_at(s, p, -1, 0.0)
                if owner >= 0 and (code == LUMEN or code == VEIN or depth < pad_mm):
                    labels[z, y, x] = class_of[owner]
