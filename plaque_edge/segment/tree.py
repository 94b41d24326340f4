"""From class maps to the coronary tree: ostia, minimal-cost paths, branches, names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_erosion, label

from plaque_edge.errors import Refused
from plaque_edge.runs import runs
from plaque_edge.segment.branches import (
    GAP_MM,
    LEAST_BRANCH_MM,
    LEAST_MAIN_MM,
    SEEN,
    grow_left,
    grow_right,
)
from plaque_edge.segment.naming import dominance_of, with_names
from plaque_edge.segment.paths import Field, Reached, leaves, make_field, walk
from plaque_edge.segment.tree_maps import AORTA, LAD, LCX, LM, RCA, TreeMaps
from plaque_edge.types import Branch, CoronaryTree, Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plaque_edge.types import VesselName, Volume

LONG_GAP_MM, GAP_WORTH = 25.0, 4.0
"""Any path may cross :data:`GAP_MM` without probable artery; up to the first of these one that
holds so many times as much certain artery: a main vessel behind motion or a tight stenosis."""
LEAST_MEAN = 0.5
"""Mean artery probability that a whole path needs."""
ROI_HALF_MM, ROI_EROSION = 2.6, 5
"""Half side of a region in which noise is measured, and how many voxels inside the root it lies."""
CERTAIN = 0.5
"""A branch may end in a voxel of this probability."""


def extract_tree(maps: TreeMaps, volume: Volume) -> CoronaryTree:
    """Trace and name the coronary arteries.

    A main vessel that is not there is in ``missing`` with its reason, never an empty branch.

    Raises
    ------
    Refused
        AORTA_NOT_FOUND, NO_CORONARY_TREE.
    """
    aorta = _aorta(maps)
    field = make_field(maps.artery(), maps.blood())
    left, right = _ostia(maps, field, aorta)
    ostia = np.array([voxel for voxel in (left, right) if voxel is not None], np.int64)
    reached = walk(field.closed(aorta & _all_but(ostia, maps.shape)), ostia)
    paths = {path[-1]: path for path in _good_paths(reached, field, maps.spacing_mm)}
    branches: list[Branch] = []
    warnings: list[Reason] = []
    for system, ostium in ((grow_left, left), (grow_right, right)):
        own = {end: path for end, path in paths.items() if path[0] == ostium}
        found = system(maps, own, field.artery)
        branches += [
            b if b.parent is None else replace(b, parent=b.parent + len(branches))
            for b in found.branches
        ]
        warnings += found.warnings
    if not branches:
        raise Refused(
            "NO_CORONARY_TREE",
            "No coronary artery could be traced from the aorta.",
            "Check contrast timing and motion; is this a coronary CT angiogram?",
        )
    missing = _missing({b.vessel for b in branches})
    branches = with_names(branches)
    return CoronaryTree(
        tuple(branches),
        dominance_of(branches),
        missing,
        _aorta_hu(maps, aorta, volume, branches),
        tuple(warnings),
    )


def _aorta(maps: TreeMaps) -> NDArray[np.bool_]:
    parts, count = label(maps.probability[AORTA] > 127)
    if count == 0:
        raise Refused(
            "AORTA_NOT_FOUND",
            "The aortic root was not found in the scan.",
            "Check that the scan starts above the coronary ostia.",
        )
    return np.asarray(parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:])))


def _ostia(maps: TreeMaps, field: Field, aorta: NDArray[np.bool_]) -> tuple[int | None, int | None]:
    """Flat voxel in the aorta's wall where the left and the right system begin."""
    core = binary_erosion(aorta)
    reached = walk(field.closed(core), np.flatnonzero(aorta & ~core))
    paths = _good_paths(reached, field, maps.spacing_mm)
    own = {name: maps.probability[name].ravel() for name in (LM, LAD, LCX, RCA)}
    starts = []
    for names in ((LM, LAD, LCX), (RCA,)):
        best, most = None, LEAST_MAIN_MM / maps.spacing_mm
        for path in paths:
            share = sum(own[n][np.array(path)].astype(float) for n in names) / 255
            if share.sum() > most and 2 * share.sum() > len(path):
                best, most = path[0], float(share.sum())
        starts.append(best)
    return starts[0], starts[1]


def _good_paths(reached: Reached, field: Field, spacing_mm: float) -> list[list[int]]:
    """Trace paths from the source outwards, each cut before the first gap it may not cross."""
    flat = field.artery.ravel()
    out = []
    for end in leaves(reached, field, CERTAIN, LEAST_BRANCH_MM / spacing_mm):
        path = np.array(reached.path(end)[::-1])
        path = path[: _crossable(flat[path], reached.length[path] * spacing_mm)]
        if len(path) * spacing_mm >= LEAST_BRANCH_MM and flat[path].mean() >= LEAST_MEAN:
            out.append([int(voxel) for voxel in path])
    return out


def _crossable(along: NDArray[np.float32], arc_mm: NDArray[np.float32]) -> int:
    """Count the voxels of a path before the first gap too long for what lies beyond it."""
    for start, stop in runs(along < SEEN):
        gap_mm = float(arc_mm[min(stop, len(arc_mm) - 1)] - arc_mm[max(start - 1, 0)])
        beyond_mm = float((np.diff(arc_mm[stop:]) * (along[stop + 1 :] > 0.5)).sum())
        if gap_mm > GAP_MM and gap_mm > min(LONG_GAP_MM, beyond_mm / GAP_WORTH):
            return start
    return len(along)


def _all_but(voxels: NDArray[np.int64], shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    mask = np.ones(shape, bool)
    mask.ravel()[voxels] = False
    return mask


# ---- what is missing, and the blood -------------------------------------------------------


def _missing(found: set[VesselName]) -> dict[VesselName, Reason]:
    sentences: dict[VesselName, str] = {
        "LM": "No left main artery was found; LAD and LCX may have ostia of their own.",
        "LAD": "The left anterior descending artery was not found.",
        "LCX": "The left circumflex artery was not found.",
        "RCA": "The right coronary artery was not found.",
    }
    step = "Look at the scan: is the vessel there, enhanced and free of motion?"
    return {
        v: Reason(f"{v}_NOT_FOUND", text, step) for v, text in sentences.items() if v not in found
    }


def _aorta_hu(
    maps: TreeMaps, aorta: NDArray[np.bool_], volume: Volume, branches: list[Branch]
) -> tuple[float, float] | None:
    """Median HU well inside the root near the ostia, and the scan's noise there.

    Noise is the median of the SDs of small square regions, as one would place them by hand, so
    that a calcified leaflet or a bit of another chamber isn't taken for noise.
    """
    core = binary_erosion(aorta, iterations=ROI_EROSION)
    points = maps.to_mm(np.flatnonzero(core))
    height = np.mean([b.points_mm[0, 0] for b in branches if b.parent is None])
    points = points[np.abs(points[:, 0] - height) < 15.0]
    index = np.round(volume.to_index(points)).astype(int)
    half = max(2, int(ROI_HALF_MM / max(volume.spacing_zyx_mm[1:])))
    low, high = np.array([0, half, half]), np.array(volume.shape_zyx) - [1, half + 1, half + 1]
    index = index[((index >= low) & (index <= high)).all(1)]
    if len(index) < 50:
        return None
    regions = [
        volume.hu[z, y - half : y + half + 1, x - half : x + half + 1]
        for z, y, x in index[:: max(1, len(index) // 300)]
    ]
    hu = volume.hu[tuple(index.T)]
    return float(np.median(hu)), float(np.median([r.std() for r in regions]))
