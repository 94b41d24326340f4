"""The numba loops of quantify: whose point is it, and what is there.

A point belongs to the branch with the smallest (distance to the centerline - outer
radius), the parent first on ties. It is looked up in that branch's straightened volume.
``tests/test_quantify.py`` holds the slow numpy twin of each loop.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from plaque_edge.quantify.jit import jit, prange

if TYPE_CHECKING:
    from numpy.typing import NDArray

TILE = 8
"""Edge of a tile in voxels: small enough to stay in the cache."""
CHUNKS = 16
"""Fixed number of partial sums: the result does not depend on the number of threads."""
COLUMNS = 7
"""Columns of a profile before those of the HU rules: lumen, wall, noncalcified, low attenuation,
calcified, hard plaque, and the fibro-fatty part of noncalcified."""
PER_RULE = 4
"""Columns of each HU rule: low attenuation, fibro-fatty, fibrous, calcified of all plaque."""
CLEAR = 0.5
"""A branch abstains above this share of other vessel, and sees clear lumen above it."""
OTHER, LUMEN, WALL, PLAQUE = 1, 2, 3, 4
"""Channels of network B (:data:`plaque_edge.types.WALL_CLASSES`); plaque is 4, 5 and 6."""


class Tree(NamedTuple):
    """All branches of a patient end to end: N steps, B branches, A angles."""

    centers: NDArray[np.float64]  # (N, 3) mm
    u: NDArray[np.float64]  # (N, 3)
    v: NDArray[np.float64]  # (N, 3)
    normal: NDArray[np.float64]  # (N, 3) along the vessel
    radius: NDArray[np.float64]  # (N,) outer wall, mm
    reach: NDArray[np.float64]  # (N, A) how far a point may lie from the centerline, mm
    far: NDArray[np.float64]  # (N,) no point nearest to this step lies farther, mm
    branch: NDArray[np.int64]  # (N,) branch of each step
    first: NDArray[np.int64]  # (B + 1,) first step of each branch
    depth: NDArray[np.int64]  # (B,) 0 for a root, 1 for its children ...
    size: NDArray[np.int64]  # (B, 2) rows, columns
    pixel_mm: NDArray[np.float64]  # (B,)
    offset: NDArray[np.int64]  # (B,) where the branch starts in fractions
    fractions: NDArray[np.uint8]  # each branch (7, n, h, w), flat
    weights: NDArray[np.float64]  # (7, 256) calibrated value of a byte
    hu: NDArray[np.float32]  # each branch (n, h, w), flat
    hu_limits: NDArray[np.float64]  # (R, 3) of each HU rule: fibro-fatty, fibrous, calcified from


class Grid(NamedTuple):
    """A Cartesian grid and its tiles near the tree (T tiles)."""

    origin: NDArray[np.float64]  # (3,) centre of voxel 0, mm
    spacing: NDArray[np.float64]  # (3,) mm
    shape: NDArray[np.int64]  # (3,)
    tile: NDArray[np.int64]  # (T, 3) first voxel of each tile
    start: NDArray[np.int64]  # (T + 1,) where the tile's candidates start
    step: NDArray[np.int64]  # candidate steps of all tiles, ascending within a tile


@jit()
def tile_spans(
    center: NDArray[np.float64], radius: float, grid: Any, n_tiles: NDArray[np.int64]
) -> tuple[int, int, int, int, int, int]:
    """First and last + 1 tile along each axis that a ball may touch."""
    span = np.empty(6, np.int64)
    for d in range(3):
        edge = TILE * grid.spacing[d]
        low = grid.origin[d] - 0.5 * grid.spacing[d]
        first = math.floor((center[d] - radius - low) / edge)
        last = math.floor((center[d] + radius - low) / edge) + 1
        span[2 * d] = min(max(first, 0), n_tiles[d])
        span[2 * d + 1] = min(max(last, 0), n_tiles[d])
    return span[0], span[1], span[2], span[3], span[4], span[5]


@jit()
def scatter_steps(
    centers: NDArray[np.float64],
    radius: NDArray[np.float64],
    grid: Any,
    slot: NDArray[np.int64],
    steps: NDArray[np.int64],
) -> None:
    """Count (empty ``steps``) or write each step into every tile its ball touches.

    ``slot`` int64 ``(tz, ty, tx)`` is the counter, or the next free place, of each tile.
    """
    n_tiles = np.array(slot.shape)
    edge = TILE * grid.spacing
    low = grid.origin - 0.5 * grid.spacing
    for i in range(centers.shape[0]):
        z0, z1, y0, y1, x0, x1 = tile_spans(centers[i], radius[i], grid, n_tiles)
        for z in range(z0, z1):
            dz = max(low[0] + z * edge[0] - centers[i, 0], 0.0)
            dz = max(centers[i, 0] - low[0] - (z + 1) * edge[0], dz)
            for y in range(y0, y1):
                dy = max(low[1] + y * edge[1] - centers[i, 1], 0.0)
                dy = max(centers[i, 1] - low[1] - (y + 1) * edge[1], dy)
                for x in range(x0, x1):
                    dx = max(low[2] + x * edge[2] - centers[i, 2], 0.0)
                    dx = max(centers[i, 2] - low[2] - (x + 1) * edge[2], dx)
                    if dz * dz + dy * dy + dx * dx > radius[i] * radius[i]:
                        continue
                    if steps.size > 0:
                        steps[slot[z, y, x]] = i
                    slot[z, y, x] += 1


@jit()
def project(point: NDArray[np.float64], near: int, tree: Any) -> tuple[int, float]:
    """Step below the point and the share of the way to the next; step -1 beyond the ends.

    The point lies on the plane between two cross-sections where its height over the
    interpolated plane is zero, which is the inverse of the straightening.
    """
    b = tree.branch[near]
    height = 0.0
    for d in range(3):
        height += (point[d] - tree.centers[near, d]) * tree.normal[near, d]
    low = near if height >= 0.0 else near - 1
    if low < tree.first[b] or low + 1 >= tree.first[b + 1]:
        return -1, 0.0
    below, above = 0.0, 0.0
    for d in range(3):
        below += (point[d] - tree.centers[low, d]) * tree.normal[low, d]
        above += (point[d] - tree.centers[low + 1, d]) * tree.normal[low + 1, d]
    if below - above < 1e-9:
        return low, 0.5
    return low, min(max(below / (below - above), 0.0), 1.0)


@jit()
def in_plane(point: NDArray[np.float64], low: int, t: float, tree: Any) -> tuple[float, float]:
    """In-plane coordinates (a along u, b along v) in mm between steps ``low`` and ``low + 1``."""
    a, b, uu, vv = 0.0, 0.0, 0.0, 0.0
    for d in range(3):
        c = (1.0 - t) * tree.centers[low, d] + t * tree.centers[low + 1, d]
        u = (1.0 - t) * tree.u[low, d] + t * tree.u[low + 1, d]
        v = (1.0 - t) * tree.v[low, d] + t * tree.v[low + 1, d]
        a += (point[d] - c) * u
        b += (point[d] - c) * v
        uu += u * u
        vv += v * v
    return a / math.sqrt(uu), b / math.sqrt(vv)


@jit()
def look_up(low: int, t: float, a: float, b: float, tree: Any, out: NDArray[np.float64]) -> bool:
    """Trilinear fractions at (step, a, b) into ``out`` ``(7,)``, summing to 1; False outside."""
    n = tree.branch[low]
    h, w = tree.size[n, 0], tree.size[n, 1]
    row = a / tree.pixel_mm[n] + 0.5 * (h - 1)
    col = b / tree.pixel_mm[n] + 0.5 * (w - 1)
    if not (0.0 <= row <= h - 1 and 0.0 <= col <= w - 1):
        return False
    j = min(int(row), h - 2)
    k = min(int(col), w - 2)
    p, q = row - j, col - k
    plane = h * w
    channel = (tree.first[n + 1] - tree.first[n]) * plane
    base = tree.offset[n] + (low - tree.first[n]) * plane + j * w + k
    total = 0.0
    for c in range(7):
        x = base + c * channel
        table = tree.weights[c]
        f = tree.fractions
        below = (1 - p) * ((1 - q) * table[f[x]] + q * table[f[x + 1]])
        below += p * ((1 - q) * table[f[x + w]] + q * table[f[x + w + 1]])
        x += plane
        above = (1 - p) * ((1 - q) * table[f[x]] + q * table[f[x + 1]])
        above += p * ((1 - q) * table[f[x + w]] + q * table[f[x + w + 1]])
        out[c] = (1 - t) * below + t * above
        total += out[c]
    if total <= 0.0:
        return False
    for c in range(7):
        out[c] /= total
    return True


@jit()
def look_up_hu(point: NDArray[np.float64], low: int, t: float, tree: Any) -> float:
    """Trilinear HU of a point that lies in the window of its owner at (step, share)."""
    a, b = in_plane(point, low, t, tree)
    n = tree.branch[low]
    h, w = tree.size[n, 0], tree.size[n, 1]
    row = a / tree.pixel_mm[n] + 0.5 * (h - 1)
    col = b / tree.pixel_mm[n] + 0.5 * (w - 1)
    j = min(max(int(row), 0), h - 2)
    k = min(max(int(col), 0), w - 2)
    p, q = row - j, col - k
    x = tree.offset[n] // 7 + (low - tree.first[n]) * h * w + j * w + k
    f = tree.hu
    below = (1 - p) * ((1 - q) * f[x] + q * f[x + 1])
    below += p * ((1 - q) * f[x + w] + q * f[x + w + 1])
    x += h * w
    above = (1 - p) * ((1 - q) * f[x] + q * f[x + 1])
    above += p * ((1 - q) * f[x + w] + q * f[x + w + 1])
    return float((1 - t) * below + t * above)


@jit()
def angle_index(a: float, b: float, n_angles: int) -> int:
    """Nearest of ``n_angles`` equal directions, counted from +u towards +v."""
    turn = math.atan2(b, a) / (2.0 * math.pi)
    return math.floor(turn * n_angles + 0.5) % n_angles


@jit()
def nearest_step(
    point: NDArray[np.float64], lo: int, hi: int, tree: Any, steps: NDArray[np.int64]
) -> int:
    """Find the nearest of the candidates ``steps[lo:hi]``, all of one branch; -1 if far."""
    best, best_d2 = steps[lo], np.inf
    for e in range(lo, hi):
        i = steps[e]
        dz = point[0] - tree.centers[i, 0]
        dy = point[1] - tree.centers[i, 1]
        dx = point[2] - tree.centers[i, 2]
        d2 = dz * dz + dy * dy + dx * dx
        if d2 < best_d2:
            best, best_d2 = i, d2
    return best if best_d2 <= tree.far[best] * tree.far[best] else -1


@jit()
def owner(
    point: NDArray[np.float64],
    tile: int,
    tree: Any,
    grid: Any,
    seen: NDArray[np.float64],
    best: NDArray[np.float64],
) -> tuple[int, float]:
    """Owner of a point as (step, share), -1 for none; its fractions go into ``best``.

    A branch that sees mainly another vessel abstains. Lumen that any branch sees clearly
    inside its own outer wall stays lumen, whoever owns the point: a child's wall inside
    its parent's lumen does not count.
    """
    low_best, t_best, d_best, depth_best, clear = -1, 0.0, np.inf, 0, 0.0
    hi = grid.start[tile]
    end = grid.start[tile + 1]
    while hi < end:
        lo = hi
        n = tree.branch[grid.step[lo]]
        while hi < end and tree.branch[grid.step[hi]] == n:
            hi += 1
        near = nearest_step(point, lo, hi, tree, grid.step)
        if near < 0:
            continue
        low, t = project(point, near, tree)
        if low < 0:
            continue
        a, b = in_plane(point, low, t, tree)
        r = math.sqrt(a * a + b * b)
        at = low if t < 0.5 else low + 1
        if r > tree.reach[at, angle_index(a, b, tree.reach.shape[1])]:
            continue
        if not look_up(low, t, a, b, tree, seen) or seen[OTHER] > CLEAR:
            continue
        d = r - ((1.0 - t) * tree.radius[low] + t * tree.radius[low + 1])
        if d <= 0.0 and seen[LUMEN] > clear:
            clear = seen[LUMEN]
        if d < d_best or (d == d_best and tree.depth[n] < depth_best):
            low_best, t_best, d_best, depth_best = low, t, d, tree.depth[n]
            best[:] = seen
    if low_best >= 0 and clear > CLEAR and clear > best[LUMEN]:
        best *= (1.0 - clear) / max(1.0 - best[LUMEN], 1e-9)
        best[LUMEN] = clear
    return low_best, t_best


@jit()
def hard_class(f: NDArray[np.float64]) -> int:
    """Channel that wins, plaque counting as one class first, then its largest component."""
    plaque = f[4] + f[5] + f[6]
    if plaque > max(f[0], f[1], f[2], f[3]):
        return PLAQUE + int(np.argmax(f[PLAQUE:]))
    return int(np.argmax(f[:PLAQUE]))


@jit()
def voxel_of(grid: Any, tile: int, v: int, index: NDArray[np.int64]) -> None:
    """Write the grid index of voxel ``v`` (0 to TILE³ - 1) of a tile into ``index``."""
    index[0] = grid.tile[tile, 0] + v // (TILE * TILE)
    index[1] = grid.tile[tile, 1] + (v // TILE) % TILE
    index[2] = grid.tile[tile, 2] + v % TILE


@jit()
def split_by_hu(
    best: NDArray[np.float64], hu: float, limits: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Fill the columns from 6 on: what HU says of a point's plaque, by every rule."""
    out[6:] = 0.0
    if hu < limits[0, 1]:
        out[6] = best[PLAQUE]
    plaque = best[PLAQUE] + best[PLAQUE + 1] + best[PLAQUE + 2]
    for rule in range(limits.shape[0]):
        part = 0
        for k in range(PER_RULE - 1):
            if hu >= limits[rule, k]:
                part += 1
        out[COLUMNS + PER_RULE * rule + part] = plaque


@jit(parallel=True)
def accumulate(tree: Any, grid: Any) -> NDArray[np.float64]:
    """Volume per step and column in mm³, ``(N, COLUMNS + PER_RULE * R)``, each voxel once.

    A voxel is shared linearly between the two cross-sections beside it.
    """
    width = COLUMNS + PER_RULE * tree.hu_limits.shape[0]
    partial = np.zeros((CHUNKS, tree.centers.shape[0], width))
    voxel_mm3 = grid.spacing[0] * grid.spacing[1] * grid.spacing[2]
    for chunk in prange(CHUNKS):
        point, seen, best = np.empty(3), np.empty(7), np.empty(7)
        amount = np.zeros(width)
        index = np.empty(3, np.int64)
        for tile in range(chunk, grid.tile.shape[0], CHUNKS):
            for v in range(TILE * TILE * TILE):
                voxel_of(grid, tile, v, index)
                for d in range(3):
                    point[d] = grid.origin[d] + index[d] * grid.spacing[d]
                low, t = owner(point, tile, tree, grid, seen, best)
                if low < 0:
                    continue
                for c in range(5):
                    amount[c] = best[LUMEN + c]
                amount[5] = 1.0 if hard_class(best) >= PLAQUE else 0.0
                last = 6
                if best[PLAQUE] + best[PLAQUE + 1] + best[PLAQUE + 2] > 0.0:
                    split_by_hu(best, look_up_hu(point, low, t, tree), tree.hu_limits, amount)
                    last = width
                for c in range(last):
                    partial[chunk, low, c] += (1.0 - t) * voxel_mm3 * amount[c]
                    partial[chunk, low + 1, c] += t * voxel_mm3 * amount[c]
    total = np.zeros((tree.centers.shape[0], width))
    for chunk in range(CHUNKS):
        total += partial[chunk]
    return total


@jit(parallel=True)
def paint(tree: Any, grid: Any, gated: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Hard labels on the grid: 0 none, 1 lumen, 2 wall, 3-5 plaque (see ``label_grid``).

    ``gated`` ``(N,)`` tells which steps lie in a lesion; plaque elsewhere is shown as wall.
    """
    out = np.zeros((grid.shape[0], grid.shape[1], grid.shape[2]), np.uint8)
    for chunk in prange(CHUNKS):
        point, seen, best = np.empty(3), np.empty(7), np.empty(7)
        index = np.empty(3, np.int64)
        for tile in range(chunk, grid.tile.shape[0], CHUNKS):
            for v in range(TILE * TILE * TILE):
                voxel_of(grid, tile, v, index)
                inside = True
                for d in range(3):
                    inside = inside and index[d] < grid.shape[d]
                    point[d] = grid.origin[d] + index[d] * grid.spacing[d]
                if not inside:
                    continue
                low, t = owner(point, tile, tree, grid, seen, best)
                if low < 0:
                    continue
                label = hard_class(best) - 1
                if label >= 3 and not gated[low if t < 0.5 else low + 1]:
                    label = 2
                out[index[0], index[1], index[2]] = max(label, 0)
    return out
