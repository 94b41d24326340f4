"""Cut from the tree what turns out to hold no lumen, or no arterial blood.

Network A follows a vessel at 0.8 mm and may run on behind its end. Network B looks at each
cross-section in detail: where it sees no lumen from some point to the end, there is no vessel.
Coronary blood is the aorta's: where a lumen is too wide to be dimmed by its surroundings and yet
much darker to its end, the path has gone over into a vein. Where contrast is late, veins are
nearly as bright as arteries; but blood dims gradually along an artery and doesn't change where a
branch leaves it, so that a step in brightness where two vessels touch is a vein's as well.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d, label, maximum_filter1d, minimum_filter1d

from plaque_edge.segment.straighten import STEP_MM
from plaque_edge.types import VESSELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plaque_edge.types import Branch


class Lumen(NamedTuple):
    """Lumen along a branch, one value per point.

    ``brightness`` is its HU in the middle as a share of the aorta's, ``other_mm2`` the area of
    other vessels beside it.
    """

    area_mm2: NDArray[np.float64]
    brightness: NDArray[np.float64]
    other_mm2: NDArray[np.float64]


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
STEP_INSIDE, STEP_AT_FORK, STEP_ALONE = 0.065, 0.09, 0.13
"""Steps in brightness (share of the aorta's) that no artery shows: along a path and at a fork
where two vessels touch, and at a fork where they needn't, judged over twice the length. In 16
validation phantoms the largest of 112 true ones were 0.05, 0.08 and 0.09."""
WIDE_MM2, JUDGED_STEPS = 2.5, 12
"""Brightness is judged where the lumen is this wide, so that little of it is blur, over this many
cross-sections at least."""
TOUCH_MM2, THIN_MM2 = 8.0, 2.0
"""Two vessels touch where that much of another lies beside a lumen, or less than that of it."""
NEAR_STEPS, START_STEPS = 30, 8


def prune(branches: Sequence[Branch], lumens: Sequence[Lumen]) -> list[Branch]:
    """Shorten branches to their last arterial lumen; leave out side branches with hardly any.

    ``lumens`` holds what was seen of each branch. A branch reaches at least to where a
    kept side branch leaves it, so that a stretch without lumen in its middle (a closed vessel)
    stays. ``parent`` of what is returned counts the kept branches.
    """
    seen = [arterial(x) for x in lumens]
    for i, first in enumerate(_foreign(branches, lumens)):
        seen[i][first:] = False
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


def _foreign(branches: Sequence[Branch], lumens: Sequence[Lumen]) -> list[int]:
    """First point of every branch from which on it holds a vein's blood; its length if none."""
    out: list[int] = []
    for branch, lumen in zip(branches, lumens, strict=True):  # parents come before their children
        n = len(lumen.area_mm2)
        out.append(min([n, *(k for k in touches(lumen) if _steps_down(lumen, k))]))
        if branch.parent is None or branch.name in VESSELS:
            continue
        fork = _fork(branches[branch.parent], branch)
        before = _blood(lumens[branch.parent], fork - NEAR_STEPS // 2, fork + NEAR_STEPS // 2)
        least = STEP_AT_FORK if touches(lumen, START_STEPS + NEAR_STEPS // 2) else STEP_ALONE
        judged = JUDGED_STEPS * (1 if least == STEP_AT_FORK else 2)
        after = _blood(lumen, START_STEPS, START_STEPS + NEAR_STEPS, judged)
        if fork > out[branch.parent] or before - after >= least:
            out[-1] = 0
    return out


def touches(lumen: Lumen, stop: int | None = None) -> list[int]:
    """Thinnest points of the stretches in which a path may go over to another vessel."""
    area = minimum_filter1d(lumen.area_mm2, START_STEPS + 1)
    other = maximum_filter1d(lumen.other_mm2, START_STEPS + 1)
    stretches, count = label(((area < THIN_MM2) & (other > TOUCH_MM2))[:stop])
    places = [np.flatnonzero(stretches == k + 1) for k in range(count)]
    return [int(p[np.argmin(lumen.area_mm2[p])]) for p in places]


def _steps_down(lumen: Lumen, at: int) -> bool:
    before = _blood(lumen, at - START_STEPS - NEAR_STEPS, at - START_STEPS)
    after = _blood(lumen, at + START_STEPS, at + START_STEPS + NEAR_STEPS)
    return before - after >= STEP_INSIDE


def _blood(lumen: Lumen, start: int, stop: int, judged: int = JUDGED_STEPS) -> float:
    """Mean brightness of the wide lumen from ``start`` to ``stop``; NaN where little is wide."""
    where = slice(max(start, 0), max(stop, 0))
    wide = lumen.area_mm2[where] >= WIDE_MM2
    if wide.sum() < judged:
        return float("nan")
    return float(lumen.brightness[where][wide].mean())


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
