"""Lay the tree of one study over that of another: rigidly, then along each branch.

Trunks are paired by name, side branches by where they run, so that a D2 that was called D1
the last time still finds itself. Along a branch every step is sent to the nearest of the
other, never backwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plaque_edge.compare.study import Course

TRUNKS = ("LM", "LAD", "LCX", "RCA")
NEAR_MM = 6.0
"""Steps farther from the other study's branch than this have no partner: it was not traced."""
SAME_MM = 3.0
"""Side branches are one when their median distance is below this."""
ROUNDS = 30
TRIM = 0.8
"""Share of the nearest pairs that a round of the rigid fit uses."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A branch in both studies.

    ``before_steps`` and ``after_steps`` are the common stretch as half-open step numbers;
    ``partner`` is the step of ``before`` for each step of the stretch of ``after``.
    """

    before: Course
    after: Course
    before_steps: tuple[int, int]
    after_steps: tuple[int, int]
    partner: NDArray[np.int64]
    distance_mm: float


def rigid(
    moving: NDArray[np.float64], fixed: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotation and shift of least squares, ``fixed ~ moving @ r.T + t`` (Kabsch 1976,
    doi:10.1107/S0567739476001873).
    """  # noqa: D205
    a, b = moving.mean(axis=0), fixed.mean(axis=0)
    u, _, v = np.linalg.svd((moving - a).T @ (fixed - b))
    flip = np.diag([1.0, 1.0, float(np.sign(np.linalg.det(v.T @ u.T)))])
    r = v.T @ flip @ u.T
    return r, b - a @ r.T


def register(before: Sequence[Course], after: Sequence[Course]) -> tuple[Pair, ...]:
    """Pair the branches of two studies; none when no trunk is in both."""
    trunks = [(b, a) for b in before for a in after if a.branch == b.branch and a.branch in TRUNKS]
    if not trunks:
        return ()
    r, t = _fit(trunks)
    pairs = [_pair(b, a, a.points_mm @ r.T + t) for b, a in trunks]
    rest_b = [b for b in before if b.branch not in TRUNKS]
    rest_a = [a for a in after if a.branch not in TRUNKS]
    pairs += _side_branches(rest_b, rest_a, r, t)
    return tuple(p for p in pairs if p is not None)


def _fit(
    trunks: Sequence[tuple[Course, Course]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Start from equal distances along each trunk, then pair nearest points again and again."""
    shared = [min(len(b.points_mm), len(a.points_mm)) for b, a in trunks]
    moving = np.concatenate([a.points_mm[:n] for (_, a), n in zip(trunks, shared, strict=True)])
    fixed = np.concatenate([b.points_mm[:n] for (b, _), n in zip(trunks, shared, strict=True)])
    r, t = rigid(moving, fixed)
    trees = [cKDTree(b.points_mm) for b, _ in trunks]
    for _ in range(ROUNDS):
        found, wanted, gaps = [], [], []
        for (b, a), tree in zip(trunks, trees, strict=True):
            gap, near = tree.query(a.points_mm @ r.T + t)
            inner = (near > 0) & (near < len(b.points_mm) - 1)
            found.append(a.points_mm[inner])
            wanted.append(b.points_mm[near[inner]])
            gaps.append(gap[inner])
        gap = np.concatenate(gaps)
        if len(gap) < 6:
            break
        keep = gap <= np.quantile(gap, TRIM)
        r, t = rigid(np.concatenate(found)[keep], np.concatenate(wanted)[keep])
    return r, t


def _pair(before: Course, after: Course, moved: NDArray[np.float64]) -> Pair | None:
    """Send each step of ``after`` to ``before``, never backwards; ``None`` without overlap."""
    gap, near = cKDTree(before.points_mm).query(moved)
    close = gap <= NEAR_MM
    inner = (
        close
        & ((near > 0) | (gap <= before.step_mm))
        & ((near < len(before.points_mm) - 1) | (gap <= before.step_mm))
    )
    if inner.sum() < 2:
        return None
    first, last = int(np.argmax(inner)), len(inner) - int(np.argmax(inner[::-1]))
    partner = np.maximum.accumulate(near[first:last])
    stretch = (int(partner[0]), int(partner[-1]) + 1)
    middle = float(np.median(gap[first:last]))
    return Pair(before, after, stretch, (first, last), partner.astype(np.int64), middle)


def _side_branches(
    before: Sequence[Course],
    after: Sequence[Course],
    r: NDArray[np.float64],
    t: NDArray[np.float64],
) -> list[Pair | None]:
    """Pair side branches of one vessel by distance, the closest first."""
    offers = []
    for i, b in enumerate(before):
        for j, a in enumerate(after):
            if a.vessel != b.vessel:
                continue
            pair = _pair(b, a, a.points_mm @ r.T + t)
            if pair is not None and pair.distance_mm <= SAME_MM:
                offers.append((pair.distance_mm, i, j, pair))
    out: list[Pair | None] = []
    taken_b: set[int] = set()
    taken_a: set[int] = set()
    for _, i, j, pair in sorted(offers, key=lambda offer: offer[:3]):
        if i not in taken_b and j not in taken_a:
            taken_b.add(i)
            taken_a.add(j)
            out.append(pair)
    return out
