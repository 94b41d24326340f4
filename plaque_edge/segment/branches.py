"""Branches of the two coronary systems, grown path by path from their ostium.

Which artery a branch belongs to follows from where it leaves the tree, not from what the
network calls each voxel; the network's classes only choose the main paths. So a diagonal
never turns into a marginal half-way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from plaque_edge.runs import runs
from plaque_edge.segment.straighten import STEP_MM, even_points
from plaque_edge.segment.tree_maps import LAD, LCX, LM, RCA, TreeMaps
from plaque_edge.types import Branch, Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plaque_edge.types import VesselName

LEAST_MAIN_MM = 25.0
"""A main vessel shorter than this was not found."""
LEAST_BRANCH_MM = 7.0
LEAST_LM_MM = 4.0
"""LAD and LCX that part earlier have ostia of their own: there is no left main."""
JOINED_MM = 1.2
"""Paths this near to each other (neighbouring voxels) still run in one lumen."""
SEEN, GAP_MM = 0.3, 6.0
"""Below this probability an artery counts as not seen; longer stretches of that are told."""
BREAK_EVEN, MAIN_BREAK_EVEN = 0.62, 0.65
"""A voxel of a path is worth its artery probability minus this (the second when main vessels are
chosen), and a branch ends where its worth is greatest: it crosses a gap only for enough certain
artery beyond, and does not run on into what merely might be one. Network A overrates arteries on
purpose (weighted loss), hence so high; chosen on phantoms of the validation seeds."""
NEAR_FORK_MM = 6.0
"""A branch that leaves this near the fork and looks like LCX is a ramus: it counts to LCX."""
LEAST_SECOND_MM = 40.0
"""So much certain artery of its own makes what leaves the left main beside LAD or LCX the other
one, whatever the network calls it; a diagonal leaves further on."""


def grow_left(maps: TreeMaps, paths: dict[int, list[int]], artery: NDArray[np.float32]) -> Growing:
    """Grow LM, LAD, LCX and their side branches from the left ostium."""
    lad = _main(paths, maps, artery, LAD, LCX)
    lcx = _main({k: v for k, v in paths.items() if k != lad}, maps, artery, LCX, LAD)
    shared = _shared(paths[lad], paths[lcx]) if lad is not None and lcx is not None else -1
    ends: dict[VesselName, int] = {}
    if lad is not None and _is_there(paths[lad], shared, maps, artery, (LAD, LCX)):
        ends["LAD"] = lad
    if lcx is not None and _is_there(paths[lcx], shared, maps, artery, (LCX, LAD)):
        ends["LCX"] = lcx
    if len(ends) == 1:
        name, end = next(iter(ends.items()))
        second = _second(paths, end, maps, artery)
        if second is not None:
            ends["LCX" if name == "LAD" else "LAD"] = second
    if len(ends) > 1:
        paths = _joined(paths, ends["LAD"], ends["LCX"], maps)
    mains: dict[VesselName, list[int]] = {n: paths[ends[n]] for n in ("LAD", "LCX") if n in ends}
    growing = Growing(maps, artery)
    fork: NDArray[np.float64] | None = None
    if mains:
        trunk = _trunk(list(mains.values()), maps)
        if _steps_mm(trunk, maps).sum() >= LEAST_LM_MM:
            growing.add(trunk, "LM")
            fork = maps.to_mm(np.array(trunk[-1:]))[0] if len(mains) > 1 else None
    for name, path in mains.items():
        growing.add(path, name)
    if growing.branches:
        for path in paths.values():
            growing.add(path, None, fork)
    return growing


def _is_there(
    path: list[int],
    shared: int,
    maps: TreeMaps,
    artery: NDArray[np.float32],
    own_and_rival: tuple[int, int],
) -> bool:
    """Whether a main vessel was found: enough of its class, or enough artery that is rather it."""
    if _own_mm(path, maps, own_and_rival[0]) >= LEAST_MAIN_MM:
        return True
    alone = np.array(path[shared + 1 :], np.int64)
    long = _certain_mm(alone, maps, artery) >= LEAST_MAIN_MM
    own, rival = (float(maps.probability[k].ravel()[alone].sum()) for k in own_and_rival)
    return shared >= 0 and long and own > rival


def _second(
    paths: dict[int, list[int]], main: int, maps: TreeMaps, artery: NDArray[np.float32]
) -> int | None:
    """Return the end of the longest artery that leaves the left main beside the ``main`` one."""
    trunk_mm = (len(_trunk([paths[main]], maps)) - 1) * maps.spacing_mm
    best, most = None, LEAST_SECOND_MM
    for end, path in paths.items():
        fork = _shared(paths[main], path)
        own_mm = _certain_mm(np.array(path[fork + 1 :], np.int64), maps, artery)
        if end != main and fork * maps.spacing_mm <= trunk_mm + NEAR_FORK_MM and own_mm > most:
            best, most = end, own_mm
    return best


def _joined(
    paths: dict[int, list[int]], lad: int, lcx: int, maps: TreeMaps
) -> dict[int, list[int]]:
    """Return the paths with LAD and LCX on one line for as long as they run in one lumen.

    In a wide left main the cheapest ways to its two ends part before the vessel does.
    """
    a, b = paths[lad], paths[lcx]
    fork = _shared(a, b)
    line = cKDTree(maps.to_mm(np.array(b)))
    away, beside = line.query(maps.to_mm(np.array(a)))
    last = fork
    while last + 1 < min(len(a), len(b)) and away[last + 1] <= JOINED_MM:
        last += 1
    leave = int(beside[last])
    if last == fork or leave <= fork:
        return paths
    return {
        end: a[: last + 1] + p[leave + 1 :] if len(p) > leave and p[leave] == b[leave] else p
        for end, p in paths.items()
    }


def _steps_mm(path: list[int], maps: TreeMaps) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(np.diff(maps.to_mm(np.array(path)), axis=0), axis=1))


def _trunk(mains: list[list[int]], maps: TreeMaps) -> list[int]:
    """Return the left main: what LAD and LCX share, or what looks like it when one is gone."""
    if len(mains) > 1:
        return mains[0][: _shared(*mains) + 1]
    is_lm = maps.probability[LM].ravel()[np.array(mains[0])] > 127
    return mains[0][: int(np.flatnonzero(is_lm)[-1]) + 1] if is_lm.any() else mains[0][:1]


def grow_right(maps: TreeMaps, paths: dict[int, list[int]], artery: NDArray[np.float32]) -> Growing:
    """Grow the RCA and its side branches from the right ostium."""
    main = _main(paths, maps, artery, RCA)
    growing = Growing(maps, artery)
    if main is not None and _own_mm(paths[main], maps, RCA) >= LEAST_MAIN_MM:
        growing.add(paths[main], "RCA")
        for path in paths.values():
            growing.add(path, None)
    return growing


def _main(
    paths: dict[int, list[int]],
    maps: TreeMaps,
    artery: NDArray[np.float32],
    name: int,
    rival: int | None = None,
) -> int | None:
    """Return the end whose path holds most certain artery of a class, least of its ``rival``."""
    own, any_artery = maps.probability[name].ravel(), artery.ravel()
    other = np.zeros_like(own) if rival is None else maps.probability[rival].ravel()

    def score(path: list[int]) -> float:
        at = np.array(path)
        return float(
            ((own[at] / 255.0 - other[at] / 255.0) * (any_artery[at] - MAIN_BREAK_EVEN)).sum()
        )

    return max(paths, key=lambda end: score(paths[end])) if paths else None


def _worth_ends(along: NDArray[np.float32]) -> int:
    """How many voxels of a path to keep: up to where its summed worth is greatest."""
    worth = np.cumsum(along - BREAK_EVEN)
    best = int(np.argmax(worth))
    return best + 1 if worth[best] > 0 else 0


def _own_mm(path: list[int], maps: TreeMaps, name: int) -> float:
    return float((maps.probability[name].ravel()[np.array(path)] > 127).sum()) * maps.spacing_mm


def _certain_mm(voxels: NDArray[np.int64], maps: TreeMaps, artery: NDArray[np.float32]) -> float:
    return float((artery.ravel()[voxels] > 0.5).sum()) * maps.spacing_mm


def _shared(a: list[int], b: list[int]) -> int:
    """Index of the last voxel that two paths from one source have in common."""
    n = 0
    while n + 1 < min(len(a), len(b)) and a[n + 1] == b[n + 1]:
        n += 1
    return n


class Growing:
    """A tree that grows path by path; each keeps only what is new of it."""

    def __init__(self, maps: TreeMaps, artery: NDArray[np.float32]) -> None:
        self.maps, self.artery = maps, artery.ravel()
        self.branches: list[Branch] = []
        self.owner: dict[int, int] = {}
        self.warnings: list[Reason] = []

    def add(
        self, path: list[int], vessel: VesselName | None, fork: NDArray[np.float64] | None = None
    ) -> None:
        """Add the part of ``path`` (source first) that no branch has.

        Without a ``vessel`` it belongs to its parent's, but for a ramus beside the ``fork``.
        """
        first = next((i for i, voxel in enumerate(path) if voxel not in self.owner), len(path))
        new = path[first:]
        if vessel != "LM":
            new = new[: _worth_ends(self.artery[np.array(new, np.int64)])] if new else new
        if len(new) * self.maps.spacing_mm < (1.0 if vessel else LEAST_BRANCH_MM):
            return
        parent = self.owner[path[first - 1]] if first else None
        if vessel is None:
            if parent is None:
                return
            vessel = self._vessel_of(new, parent, path[first - 1], fork)
        points = self._line(path[max(first - 1, 0) : first + len(new)])
        if len(points) < 4:
            return
        self._tell_gap(vessel, new)
        for voxel in new:
            self.owner[voxel] = len(self.branches)
        self.branches.append(Branch(vessel, vessel, parent, points, np.full(len(points), np.nan)))

    def _tell_gap(self, vessel: VesselName, new: list[int]) -> None:
        """Warn where a branch crosses a long stretch that hardly looks like an artery."""
        unseen = runs(self.artery[np.array(new)] < SEEN)
        steps = _steps_mm(new, self.maps)
        gap_mm = max((float(steps[a : b + 1].sum()) for a, b in unseen), default=0.0)
        if gap_mm > GAP_MM:
            text = f"{vessel}: {gap_mm:.0f} mm were bridged in which no artery was seen."
            step = "Look there: a tight stenosis, motion, or a wrong course."
            self.warnings.append(Reason("VESSEL_BRIDGED", text, step))

    def _vessel_of(
        self, new: list[int], parent: int, joint: int, fork: NDArray[np.float64] | None
    ) -> VesselName:
        vessel = self.branches[parent].vessel
        if fork is None or vessel == "RCA":
            return vessel
        near = float(np.linalg.norm(self.maps.to_mm(np.array([joint]))[0] - fork)) <= NEAR_FORK_MM
        if not near:
            return "LAD" if vessel == "LM" else vessel
        votes = [float(self.maps.probability[k].ravel()[np.array(new)].sum()) for k in (LAD, LCX)]
        return "LAD" if votes[0] >= votes[1] else "LCX"

    def _line(self, voxels: list[int]) -> NDArray[np.float64]:
        """Smooth points every 0.5 mm through voxels; both ends stay."""
        rough = self.maps.to_mm(np.array(voxels))
        if len(rough) < 4:
            return even_points(rough, STEP_MM)
        padded = np.concatenate(
            [2 * rough[:1] - rough[4:0:-1], rough, 2 * rough[-1:] - rough[-2:-6:-1]]
        )
        smooth = gaussian_filter1d(padded, 1.6, axis=0)[len(rough[4:0:-1]) :][: len(rough)]
        return even_points(smooth, STEP_MM)
