"""Cut from the tree what turns out to hold no lumen, or no arterial blood.

Network A follows a vessel at 0.8 mm and may run on behind its end. Network B looks at each
cross-section in detail: where it sees no lumen from some point to the end, there is no vessel.
Coronary blood is the aorta's: where a lumen is too wide to be dimmed by its surroundings and yet
much darker to its end, the path has gone over into a vein.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

from plaque_edge.segment.straighten import STEP_MM
from plaque_edge.types import VESSELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plaque_edge.types import Branch


class Lumen(NamedTuple):
    """Lumen along a branch, one value per point.

    ``brightness`` is its HU in the middle as a share of the aorta's.
    """

    area_mm2: NDArray[np.float64]
    brightness: NDArray[np.float64]


LEAST_LUMEN_MM2 = float(np.pi * 0.35**2)
"""A lumen of 0.35 mm radius: less is not a coronary artery that CT can show."""
LEAST_SEEN_MM = 8.0
"""A side branch with less lumen than this is not one."""
LEAST_MAIN_MM = 10.0
"""A main vessel keeps at least this: network A has found it by much more."""
SMOOTH_STEPS, BEYOND_STEPS = 2.0, 2
DIM = ((0.0, 1.0, 1.75, 2.25, 3.0, 4.0), (0.2, 0.35, 0.46, 0.56, 0.63, 0.65))
"""Least brightness (share of the aorta's) of a lumen by its area in mm2: below what 99.5 % of
true arteries have in validation phantoms of both generators, thin ones being blurred."""
DIM_SHARE, DIM_MM = 0.8, 6.0
"""A tail is a vein's when this share of its lumen is dim, over this length at least."""


def prune(branches: Sequence[Branch], lumens: Sequence[Lumen]) -> list[Branch]:
    """Shorten branches to their last arterial lumen; leave out side branches with hardly any.

    ``lumens`` holds what was seen of each branch. A branch reaches at least to where a
    kept side branch leaves it, so that a stretch without lumen in its middle (a closed vessel)
    stays. ``parent`` of what is returned counts the kept branches.
    """
    seen = [arterial(x) for x in lumens]
    length: dict[int, int] = {}
    for i in reversed(range(len(branches))):  # children come after their parents
        forks = [_fork(branches[i], branches[k]) for k in length if branches[k].parent == i]
        n = _kept(branches[i], seen[i], forks)
        if n:
            length[i] = n
    kept = sorted(length)
    new_index = {old: new for new, old in enumerate(kept)}
    return [
        replace(_first(branches[i], length[i]), parent=_moved(branches[i].parent, new_index))
        for i in kept
    ]


def arterial(lumen: Lumen) -> NDArray[np.bool_]:
    """Where there is a lumen, and none of a vein from there to the end: bool ``(n,)``."""
    area = gaussian_filter1d(lumen.area_mm2, SMOOTH_STEPS, mode="nearest")
    seen = area >= LEAST_LUMEN_MM2
    dim = seen & (lumen.brightness < np.interp(area, *DIM))
    to_end = np.cumsum(seen[::-1])[::-1], np.cumsum(dim[::-1])[::-1]
    veins = dim & (to_end[0] * STEP_MM >= DIM_MM) & (to_end[1] >= DIM_SHARE * to_end[0])
    if veins.any():
        seen[int(np.argmax(veins)) :] = False
    return np.asarray(seen)


def _kept(branch: Branch, seen: NDArray[np.bool_], forks: list[int]) -> int:
    """How many points stay; 0 leaves the branch out."""
    last = int(np.flatnonzero(seen)[-1]) + 1 + BEYOND_STEPS if seen.any() else 0
    n = max(last, *forks, 0)
    if branch.name in VESSELS:
        n = max(n, round(LEAST_MAIN_MM / STEP_MM))
    elif not forks and seen.sum() * STEP_MM < LEAST_SEEN_MM:
        return 0
    return min(n, len(branch.points_mm))


def _fork(parent: Branch, child: Branch) -> int:
    """Points of the parent up to where the child leaves."""
    away = np.linalg.norm(parent.points_mm - child.points_mm[0], axis=1)
    return int(np.argmin(away)) + 1


def _first(branch: Branch, n: int) -> Branch:
    return replace(branch, points_mm=branch.points_mm[:n], radius_mm=branch.radius_mm[:n])


def _moved(parent: int | None, new_index: dict[int, int]) -> int | None:
    return None if parent is None else new_index[parent]
