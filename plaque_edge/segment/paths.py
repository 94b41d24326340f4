"""Minimal-cost paths through a probability map: the Numba loops behind :mod:`.tree`.

Cost is low where an artery is probable and lowest on its axis, so that paths run centred and
merge soon; through a gap it is high but finite, so that a tight stenosis is bridged.
"""

# mypy: disallow-untyped-decorators=False
from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from scipy.ndimage import binary_dilation, gaussian_filter
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUSPECTED, REACH_VOXELS = 0.05, 4
"""Paths may run within this many voxels of anything that is suspected to be artery."""
GRAIN_VOXELS, INSIDE = 0.8, 0.4
BLOOD_TRUST = 0.15
"""In a gap, a voxel as bright as blood counts as artery of this probability."""


@dataclass(frozen=True, slots=True)
class Reached:
    """What a walk from the sources found, per flat voxel index of a map.

    ``before`` is the voxel the walk came from: -1 at a source, -2 where it never came.
    ``length`` is the way along the path in voxels.
    """

    before: NDArray[np.int64]
    length: NDArray[np.float32]

    def path(self, voxel: int) -> list[int]:
        """Voxels from ``voxel`` back to its source."""
        out = [voxel]
        while self.before[out[-1]] >= 0:
            out.append(int(self.before[out[-1]]))
        return out


@dataclass(frozen=True, slots=True)
class Field:
    """Where arteries run: probability 0..1, depth inside them in voxels, cost of a path."""

    artery: NDArray[np.float32]
    depth: NDArray[np.float32]
    cost: NDArray[np.float32]

    def closed(self, where: NDArray[np.bool_]) -> Field:
        """Return the same with no way through ``where``."""
        return Field(self.artery, self.depth, np.where(where, np.float32(np.inf), self.cost))


def make_field(artery: NDArray[np.float32], blood: NDArray[np.float32]) -> Field:
    """Cost per voxel of length, ``inf`` far from arteries.

    ``artery`` is the probability of an artery, ``blood`` 0..1 how much a voxel looks like blood.
    """
    # A thick vessel that the network is unsure of comes out as a grain of voxels: even it out.
    even = np.maximum(artery, gaussian_filter(artery, GRAIN_VOXELS))
    depth = depth_inside(even > INSIDE)
    trust = np.maximum(even, BLOOD_TRUST * blood)
    cost = 1.0 / ((0.03 + trust) ** 2 * np.maximum(depth, np.float32(0.7)) ** 1.5)
    allowed = binary_dilation(artery > SUSPECTED, iterations=REACH_VOXELS)
    return Field(artery, depth, np.where(allowed, cost, np.inf).astype(np.float32))


def depth_inside(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Distance of every voxel of a thin mask from the nearest one outside it, 0 outside.

    What :func:`scipy.ndimage.distance_transform_edt` gives, asked only where it matters.
    """
    depth = np.zeros(mask.shape, np.float32)
    rim = np.argwhere(binary_dilation(mask, np.ones((3, 3, 3), bool)) & ~mask)
    inside = np.argwhere(mask)
    if len(rim) and len(inside):
        depth[tuple(inside.T)] = cKDTree(rim).query(inside)[0]
    return depth


def walk(field: Field, sources: NDArray[np.int64]) -> Reached:
    """Cheapest ways from ``sources`` (flat indices) to every voxel with finite cost (Dijkstra)."""
    cost = field.cost
    before = np.full(cost.size, -2, np.int64)
    length = np.zeros(cost.size, np.float32)
    _dijkstra(cost.ravel(), np.array(cost.shape), sources, before, length)
    return Reached(before, length)


@njit(cache=True)
def _dijkstra(cost: Any, shape: Any, sources: Any, before: Any, length: Any) -> None:
    total = np.full(cost.size, np.inf, np.float32)
    done = np.zeros(cost.size, np.bool_)
    queue = [(np.float32(0.0), np.int64(s)) for s in sources]
    for s in sources:
        total[s] = 0.0
        before[s] = -1
    heapq.heapify(queue)
    plane, row = shape[1] * shape[2], shape[2]
    while len(queue) > 0:
        spent, i = heapq.heappop(queue)
        if done[i]:
            continue
        done[i] = True
        z, y, x = i // plane, (i // row) % shape[1], i % row
        for dz in range(-1, 2):
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    if not (
                        0 <= z + dz < shape[0] and 0 <= y + dy < shape[1] and 0 <= x + dx < shape[2]
                    ):
                        continue
                    j = i + dz * plane + dy * row + dx
                    if done[j] or not cost[j] < np.inf:
                        continue
                    step = np.sqrt(np.float32(dz * dz + dy * dy + dx * dx))
                    new = spent + step * np.float32(0.5) * (min(cost[i], np.float32(1e4)) + cost[j])
                    if new < total[j]:
                        total[j] = new
                        before[j] = i
                        length[j] = length[i] + step
                        heapq.heappush(queue, (new, j))


def leaves(reached: Reached, field: Field, certain: float, least_voxels: float) -> list[int]:
    """Find the ends of branches, longest first: far voxels that no earlier branch passes near.

    An end has at least probability ``certain``.

    A branch counts when its own part is at least ``least_voxels`` long. What lies within the
    vessel's width of an accepted or refused branch is not looked at again.
    """
    candidates = np.flatnonzero((field.artery.ravel() > certain) & (reached.before >= 0))
    order = candidates[np.argsort(-reached.length[candidates], kind="stable")]
    return list(
        _leaves(
            order,
            reached.before,
            reached.length,
            field.depth.ravel(),
            np.array(field.artery.shape),
            least_voxels,
        )
    )


@njit(cache=True)
def _leaves(order: Any, before: Any, length: Any, depth: Any, shape: Any, least: float) -> Any:
    covered = np.zeros(before.size, np.bool_)
    on_path = np.zeros(before.size, np.bool_)
    out = []
    plane, row = shape[1] * shape[2], shape[2]
    for leaf in order:
        if covered[leaf]:
            continue
        i, start = leaf, leaf
        while i >= 0 and not on_path[i]:
            start = i
            i = before[i]
        if length[leaf] - length[start] - depth[max(i, 0)] >= least:
            out.append(leaf)
            i = leaf
            while i >= 0 and not on_path[i]:
                on_path[i] = True
                i = before[i]
        i = leaf
        while i >= 0:
            reach = int(depth[i] + 2.0)
            z, y, x = i // plane, (i // row) % shape[1], i % row
            for a in range(max(0, z - reach), min(shape[0], z + reach + 1)):
                for b in range(max(0, y - reach), min(shape[1], y + reach + 1)):
                    for c in range(max(0, x - reach), min(shape[2], x + reach + 1)):
                        if (a - z) ** 2 + (b - y) ** 2 + (c - x) ** 2 <= (depth[i] + 1.6) ** 2:
                            covered[a * plane + b * row + c] = True
            if i == start:
                break
            i = before[i]
    return out
