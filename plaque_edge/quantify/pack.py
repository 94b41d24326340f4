"""Gather all branches of a patient into the flat arrays that the kernels walk through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import maximum_filter, median_filter

from plaque_edge.quantify import sections
from plaque_edge.quantify.hu_rules import FIXED, limits_of
from plaque_edge.quantify.kernels import TILE, Grid, Tree, scatter_steps
from plaque_edge.types import VESSELS, StraightBranch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from plaque_edge.quantify.options import Calibration
    from plaque_edge.types import HuRule

EDGE_MM = 0.5
"""Soft edge kept outside the outer wall."""
MAX_EXCESS_MM = 3.0
"""No point farther than this outside the mean outer wall: an eccentric plaque stays, the
aorta at the ostium and a side branch do not."""
SMOOTH_MM = 6.0
"""Length of the running median of the outer radius; spans a side branch's mouth."""
MIN_RADIUS_MM = 0.5
CLEAN_MM = 1.0
"""Beyond the parent's wall a child needs this much more until its own wall stands free."""


@dataclass(frozen=True, slots=True)
class Packed:
    """The kernels' tree and what the profiles need beside it.

    ``branches`` are in canonical order (the order of the input never matters); ``take_off``
    ``(B,)`` is the first step of each branch outside its parent, ``parents`` the branch and
    step it leaves; ``area_mm2`` ``(N, 2)`` is lumen and outer-wall area per cross-section.
    """

    branches: tuple[StraightBranch, ...]
    tree: Tree
    take_off: NDArray[np.int64]
    area_mm2: NDArray[np.float64]
    search_mm: NDArray[np.float64]
    parents: tuple[tuple[int, int] | None, ...] = ()

    def steps(self, branch: int) -> slice:
        """Where the steps of one branch lie in the arrays of length N."""
        return slice(int(self.tree.first[branch]), int(self.tree.first[branch + 1]))


def _key(item: StraightBranch) -> tuple[object, ...]:
    ends = (*item.centers_mm[0].tolist(), *item.centers_mm[-1].tolist())
    return (VESSELS.index(item.branch.vessel), item.branch.name, len(item.centers_mm), *ends)


def find_parents(
    branches: Sequence[StraightBranch], radius: Sequence[NDArray[np.float64]]
) -> list[tuple[int, int] | None]:
    """Parent and nearest parent step of each branch's first point, by geometry.

    The parent is the nearest branch whose outer wall (plus 1 mm) holds the point and that
    does not itself start there: two branches of one fork are siblings.
    """
    found: list[tuple[int, int] | None] = []
    for i, item in enumerate(branches):
        best: tuple[float, int, int] | None = None
        for j, other in enumerate(branches):
            if item.branch.parent is None or i == j:
                continue
            distance = np.linalg.norm(other.centers_mm - item.centers_mm[0], axis=1)
            m = int(np.argmin(distance))
            near = distance[m] <= radius[j][m] + 1.0
            if near and m * other.step_mm >= 1.0 and (best is None or distance[m] < best[0]):
                best = (float(distance[m]), j, m)
        found.append(None if best is None else (best[1], best[2]))
    return found


def _depths(parents: Sequence[tuple[int, int] | None]) -> NDArray[np.int64]:
    depth = np.zeros(len(parents), np.int64)
    for i in range(len(parents)):
        at, seen = i, {i}
        while (up := parents[at]) is not None and up[0] not in seen:
            at = up[0]
            seen.add(at)
            depth[i] += 1
    return depth


def _outer_radius(rays: NDArray[np.float64], step_mm: float) -> NDArray[np.float64]:
    window = 2 * round(0.5 * SMOOTH_MM / step_mm) + 1
    middle = np.median(rays, axis=1)
    smooth = median_filter(middle, size=window, mode="nearest")
    return np.asarray(np.maximum(smooth, MIN_RADIUS_MM), np.float64)


def _buried(child: StraightBranch, parent: StraightBranch, radius: NDArray[np.float64]) -> int:
    """Count the leading steps of the child inside the parent's outer wall."""
    gap = child.centers_mm[:, None, :] - parent.centers_mm[None, :, :]
    distance = np.sqrt(np.einsum("ijk,ijk->ij", gap, gap))
    nearest = distance.argmin(axis=1)
    free = distance[np.arange(len(nearest)), nearest] >= radius[nearest]
    return int(np.argmax(free)) if free.any() else len(free) - 1


def _start_radius(radius: NDArray[np.float64], clean: int, step_mm: float) -> NDArray[np.float64]:
    """Replace the radius of the first ``clean`` steps, where a parent or the aorta shines in."""
    after = radius[clean : clean + max(round(5.0 / step_mm), 1)]
    if after.size == 0:
        return radius
    out = radius.copy()
    out[:clean] = np.minimum(out[:clean], np.median(after))
    return out


def _lumen_area(item: StraightBranch, radius: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lumen of each cross-section in mm², without what leaves it as a side branch."""
    lumen = item.fractions[2].astype(np.float32) / np.float32(255.0)
    limit = np.repeat(radius[:, None] + 0.5 * EDGE_MM, sections.ANGLES, axis=1)
    return sections.area(lumen, item.pixel_mm, limit)


def _reach(rays: NDArray[np.float64], radius: NDArray[np.float64]) -> NDArray[np.float64]:
    widened = maximum_filter(rays, size=3, mode=("nearest", "wrap")) + EDGE_MM
    return np.asarray(np.minimum(widened, radius[:, None] + MAX_EXCESS_MM), np.float64)


def _far(reach: NDArray[np.float64], step_mm: float) -> NDArray[np.float64]:
    widened = maximum_filter(reach.max(axis=1), size=3, mode="nearest") + step_mm
    return np.asarray(widened, np.float64)


Seen = tuple["NDArray[np.float32]", "NDArray[np.float64]"]
"""Share inside the outer wall ``(n, h, w)`` and outer radii ``(n, A)`` of one branch."""


def look(item: StraightBranch) -> Seen:
    """Find the vessel in every cross-section of one branch."""
    inside = sections.inside_wall(np.ascontiguousarray(item.fractions))
    return inside, sections.ray_lengths(inside, item.pixel_mm)


def pack(
    straight: Sequence[StraightBranch],
    calibration: Calibration,
    rules: Sequence[HuRule] = (FIXED,),
    look: Callable[[StraightBranch], Seen] = look,
) -> Packed:
    """Put the branches in canonical order and measure every cross-section.

    Branches shorter than two steps carry no volume and are left out. ``look`` may remember what
    it saw of a branch.
    """
    items = tuple(sorted((s for s in straight if len(s.centers_mm) >= 2), key=_key))
    seen = [look(s) for s in items]
    inside, rays = [s[0] for s in seen], [s[1] for s in seen]
    radius = [_outer_radius(r, s.step_mm) for r, s in zip(rays, items, strict=True)]
    parents = find_parents(items, radius)
    take_off = np.zeros(len(items), np.int64)
    own = []
    for i, item in enumerate(items):
        up = parents[i]
        clean = round(3.0 * CLEAN_MM / item.step_mm)
        if up is not None:
            take_off[i] = _buried(item, items[up[0]], radius[up[0]])
            clean = int(take_off[i]) + round(CLEAN_MM / item.step_mm)
        own.append(_start_radius(radius[i], clean, item.step_mm))
    reach = [_reach(r, o) for r, o in zip(rays, own, strict=True)]
    area = [
        np.stack([_lumen_area(s, o), sections.area(f, s.pixel_mm, r)], axis=1)
        for s, f, o, r in zip(items, inside, own, reach, strict=True)
    ]
    search = [
        maximum_filter(r.max(axis=1), size=2 * int(8.0 / s.step_mm) + 1, mode="nearest") + s.step_mm
        for s, r in zip(items, reach, strict=True)
    ]
    tree = _tree(items, own, reach, _depths(parents), calibration)._replace(
        hu=np.concatenate([*(s.hu.ravel() for s in items), np.zeros(0, np.float32)]),
        hu_limits=limits_of(rules),
    )
    far = np.concatenate([*search, np.zeros(0)])
    return Packed(items, tree, take_off, _join(area, 2), far, tuple(parents))


def _join(parts: Sequence[NDArray[np.float64]], width: int) -> NDArray[np.float64]:
    return np.ascontiguousarray(np.concatenate([*parts, np.zeros((0, width))]), np.float64)


def _tree(
    items: Sequence[StraightBranch],
    radius: Sequence[NDArray[np.float64]],
    reach: Sequence[NDArray[np.float64]],
    depth: NDArray[np.int64],
    calibration: Calibration,
) -> Tree:
    counts = [len(s.centers_mm) for s in items]
    volumes = [s.fractions.size for s in items]
    none = np.zeros(0)
    normals = []
    for s in items:
        normal = np.cross(s.u, s.v)
        along = np.einsum("ij,ij->", normal[:-1], np.diff(s.centers_mm, axis=0))
        normals.append(normal if along >= 0 else -normal)
    return Tree(
        centers=_join([s.centers_mm for s in items], 3),
        u=_join([s.u for s in items], 3),
        v=_join([s.v for s in items], 3),
        normal=_join(normals, 3),
        radius=np.concatenate([*radius, none]),
        reach=_join(reach, sections.ANGLES),
        far=np.concatenate(
            [*(_far(r, s.step_mm) for r, s in zip(reach, items, strict=True)), none]
        ),
        branch=np.repeat(np.arange(len(items), dtype=np.int64), counts),
        first=np.cumsum([0, *counts], dtype=np.int64),
        depth=depth,
        size=np.array([s.fractions.shape[2:] for s in items], np.int64).reshape(-1, 2),
        pixel_mm=np.array([s.pixel_mm for s in items], np.float64),
        offset=np.cumsum([0, *volumes], dtype=np.int64)[:-1],
        fractions=np.concatenate([*(s.fractions.ravel() for s in items), np.zeros(0, np.uint8)]),
        weights=calibration.table(),
        hu=np.zeros(0, np.float32),
        hu_limits=np.zeros((0, 3)),
    )


def make_grid(
    packed: Packed,
    origin: NDArray[np.float64],
    spacing: NDArray[np.float64],
    shape: tuple[int, int, int],
) -> Grid:
    """Tiles of a Cartesian grid that lie near the tree, each with its candidate steps."""
    tiles = -(-np.array(shape, np.int64) // TILE)
    bare = Grid(
        origin, spacing, np.array(shape, np.int64),
        np.zeros((0, 3), np.int64), np.zeros(1, np.int64), np.zeros(0, np.int64),
    )  # fmt: skip
    count = np.zeros(tuple(int(t) for t in tiles), np.int64)
    scatter_steps(packed.tree.centers, packed.search_mm, bare, count, bare.step)
    slot = np.cumsum(count).reshape(count.shape) - count
    used = np.argwhere(count > 0)
    amount = count[count > 0]
    step = np.zeros(int(amount.sum()), np.int64)
    if step.size:
        scatter_steps(packed.tree.centers, packed.search_mm, bare, slot, step)
    start = np.concatenate([[0], np.cumsum(amount)]).astype(np.int64)
    return bare._replace(tile=used * TILE, start=start, step=step)


def tight_grid(packed: Packed, voxel_mm: float) -> Grid:
    """Isotropic grid around the whole tree, aligned to multiples of the voxel."""
    pad = float(packed.search_mm.max()) + voxel_mm
    low = np.floor((packed.tree.centers.min(axis=0) - pad) / voxel_mm)
    high = np.ceil((packed.tree.centers.max(axis=0) + pad) / voxel_mm)
    z, y, x = (int(n) + 1 for n in high - low)
    return make_grid(packed, low * voxel_mm, np.full(3, voxel_mm), (z, y, x))
