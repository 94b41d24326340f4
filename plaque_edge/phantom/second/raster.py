"""From tubes and plaques to a cloud of small labelled cubes: the second phantom's exact truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from plaque_edge.phantom.kernels import CALC, FIBROUS, LOW, LUMEN, VEIN, WALL
from plaque_edge.segment.straighten import parallel_frames

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plaque_edge.phantom.anatomy import Tube
    from plaque_edge.phantom.second.disease import Disease

Array = NDArray[np.float64]
LATTICE_MM = 0.2
PIECE = 32


@dataclass(frozen=True, slots=True)
class Cloud:
    """Cubes of :data:`LATTICE_MM` inside a vessel: centres are ``index * LATTICE_MM``."""

    index: NDArray[np.int64]  # (n, 3)
    code: NDArray[np.int64]
    owner: NDArray[np.int64]
    hu: Array

    def volumes_mm3(self, owners: list[int]) -> Array:
        """mm3 per tissue code of the cubes that belong to these tubes."""
        mine = np.isin(self.owner, owners)
        return np.asarray(np.bincount(self.code[mine], minlength=7) * LATTICE_MM**3, np.float64)


def rasterise(
    tubes: Sequence[Tube], disease: Disease, lumen_hu: Sequence[Array], wall_hu: Array
) -> Cloud:
    """Label every cube by the tube it lies deepest in; arteries before veins, lumen before all."""
    parts = [_one(i, tubes[i], disease, lumen_hu[i], wall_hu[i]) for i in range(len(tubes))]
    index, code, hu, depth = (np.concatenate([p[k] for p in parts]) for k in range(4))
    owner = np.concatenate([np.full(len(p[0]), i) for i, p in enumerate(parts)])
    low = index.min(0)
    shape = index.max(0) - low + 1
    key = np.ravel_multi_index(tuple((index - low).T), tuple(shape))
    order = np.lexsort((depth, code == VEIN, key))
    index, code, hu, owner, key = (x[order] for x in (index, code, hu, owner, key))
    first = np.flatnonzero(np.r_[True, np.diff(key) > 0])
    is_lumen = np.maximum.reduceat((code == LUMEN).astype(np.int64), first)
    bright = np.maximum.reduceat(np.where(code == LUMEN, hu, -1e9), first)
    return Cloud(
        index[first],
        np.where(is_lumen > 0, LUMEN, code[first]),
        owner[first],
        np.where(is_lumen > 0, bright, hu[first]),
    )


def _one(
    i: int, tube: Tube, disease: Disease, lumen_hu: Array, wall_hu: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], Array, Array]:
    """Cubes of one tube: index, tissue code, HU, and depth (mm, negative inside)."""
    wall, points = disease.walls[i], tube.points_mm
    outermost = wall.membrane_mm + wall.offset_mm + wall.wall_mm
    tree, (tangent, u, v) = cKDTree(points), parallel_frames(points)
    found = []
    for start in range(0, len(points), PIECE):
        piece = slice(start, start + PIECE)
        index = _box(points[piece], float(outermost[piece].max()) + 0.3)
        away, near = tree.query(
            index * LATTICE_MM, distance_upper_bound=float(outermost.max()) + 0.3
        )
        ok = (near >= start) & (near < min(start + PIECE, len(points)))
        index, near, away = index[ok], near[ok], away[ok]
        d = index * LATTICE_MM - points[near]
        theta = np.arctan2((d * v[near]).sum(1), (d * u[near]).sum(1))
        along = np.abs((d * tangent[near]).sum(1))
        r = np.sqrt(np.maximum(0, away**2 - along**2))
        turn = theta - wall.angle[near]
        offset = wall.offset_mm[near]
        root = np.sqrt(np.maximum(0, wall.membrane_mm[near] ** 2 - (offset * np.sin(turn)) ** 2))
        membrane = np.maximum(offset * np.cos(turn) + root, wall.lumen_mm[near])
        depth = r - membrane - wall.wall_mm[near]
        inside = (depth < 0) & (along <= 0.2)
        index, near, r, membrane, depth = (x[inside] for x in (index, near, r, membrane, depth))
        if tube.vein:
            found.append((index, np.full(len(r), VEIN), lumen_hu[near], depth))
            continue
        code = np.where(r < wall.lumen_mm[near], LUMEN, np.where(r < membrane, FIBROUS, WALL))
        hu = np.where(code == LUMEN, lumen_hu[near], wall_hu)
        _fill(
            code,
            hu,
            index,
            wall.kind[near],
            (r - wall.lumen_mm[near]),
            membrane - wall.lumen_mm[near],
            disease,
        )
        found.append((index, code, hu, depth))
    index, code, hu, depth = (np.concatenate([f[k] for f in found]) for k in range(4))
    return index, code, hu, depth


def _fill(
    code: NDArray[np.int64],
    hu: Array,
    index: NDArray[np.int64],
    kind: NDArray[np.int64],
    depth_mm: Array,
    thickness_mm: Array,
    disease: Disease,
) -> None:
    """Give every cube of plaque its component: calcium over lipid over fibrous tissue."""
    at = np.flatnonzero((code == FIBROUS) & (kind >= 0))
    code[(code == FIBROUS) & (kind < 0)] = WALL
    row = disease.plaques[kind[at]] if len(at) else np.zeros((0, 5))
    calcium, lipid = disease.fields_at(np.asarray(index[at] * LATTICE_MM, np.float64))
    share = depth_mm[at] / np.maximum(thickness_mm[at], 1e-6)
    core = (lipid > row[:, 1]) & (share > 0.25) & (share < 0.9) & (thickness_mm[at] > 0.6)
    is_calcium = calcium > row[:, 0]
    code[at] = np.where(is_calcium, CALC, np.where(core, LOW, FIBROUS))
    hu[at] = np.where(is_calcium, row[:, 4], np.where(core, row[:, 3], row[:, 2]))


def _box(points: Array, reach_mm: float) -> NDArray[np.int64]:
    low = np.floor((points.min(0) - reach_mm) / LATTICE_MM).astype(np.int64)
    high = np.ceil((points.max(0) + reach_mm) / LATTICE_MM).astype(np.int64)
    axes = [np.arange(a, b + 1) for a, b in zip(low, high, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)


def overlay(image: NDArray[np.float32], cloud: Cloud, origin_mm: Array, spacing_mm: Array) -> None:
    """Mix the cubes into the voxels of ``image`` they lie in, by the share they fill of each."""
    axes = [
        np.floor((cloud.index[:, a] * LATTICE_MM - origin_mm[a]) / spacing_mm[a] + 0.5).astype(int)
        for a in range(3)
    ]
    ok = np.all([(x >= 0) & (x < n) for x, n in zip(axes, image.shape, strict=True)], axis=0)
    key, inverse = np.unique(
        np.ravel_multi_index([x[ok] for x in axes], image.shape), return_inverse=True
    )
    hits, total = np.bincount(inverse), np.bincount(inverse, weights=cloud.hu[ok])
    z, y, x = np.unravel_index(key, image.shape)
    full = [_cubes_per_voxel(n, origin_mm[a], spacing_mm[a]) for a, n in enumerate(image.shape)]
    room = np.maximum(full[0][z] * full[1][y] * full[2][x], hits)
    image[z, y, x] = (total + (room - hits) * image[z, y, x]) / room


def _cubes_per_voxel(n: int, origin_mm: float, spacing_mm: float) -> NDArray[np.int64]:
    low, high = origin_mm - spacing_mm, origin_mm + (n + 1) * spacing_mm
    k = np.arange(int(low / LATTICE_MM) - 1, int(high / LATTICE_MM) + 2)
    voxel = np.floor((k * LATTICE_MM - origin_mm) / spacing_mm + 0.5).astype(int)
    return np.bincount(voxel[(voxel >= 0) & (voxel < n)], minlength=n)
