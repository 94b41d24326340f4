"""From class maps to the coronary tree: ostia, minimal-cost paths, branches, names.

Which artery a branch belongs to follows from where it leaves the tree, not from what the
network calls each voxel; the network's classes only choose the main paths. So a diagonal
never turns into a marginal half-way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_erosion, gaussian_filter1d, label

from plaque_edge.errors import Refused
from plaque_edge.segment.naming import dominance_of, with_names
from plaque_edge.segment.paths import Field, Reached, leaves, make_field, walk
from plaque_edge.segment.straighten import STEP_MM, even_points
from plaque_edge.types import Branch, CoronaryTree, Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plaque_edge.types import VesselName, Volume

AORTA, LM, LAD, LCX, RCA, VEIN = 1, 2, 3, 4, 5, 6
LEAST_MAIN_MM = 25.0
"""A main vessel shorter than this was not found."""
LEAST_BRANCH_MM = 7.0
LEAST_LM_MM = 2.0
"""LAD and LCX that part earlier have ostia of their own: there is no left main."""
GAP_MM, LONG_GAP_MM = 6.0, 25.0
"""The longest stretch without probable artery that any path may cross, and that a path may
cross which holds :data:`GAP_WORTH` times as much certain artery: a main vessel behind a motion
artefact or a tight stenosis."""
GAP_WORTH = 4.0
LEAST_MEAN = 0.5
"""Mean artery probability that a whole path needs."""
CERTAIN, BREAK_EVEN, MAIN_BREAK_EVEN = 0.6, 0.7, 0.65
"""A branch ends in a voxel of the first probability. A voxel of a path is worth its artery probability minus this. A branch ends where its worth is
greatest: it crosses a gap only for enough certain artery beyond, and does not run on into what
merely might be one. Network A overrates arteries on purpose (weighted loss), hence so high;
chosen on phantoms of the validation seeds."""
NEAR_FORK_MM = 6.0
"""A branch that leaves this near the fork and looks like LCX is a ramus: it counts to LCX."""


@dataclass(frozen=True, slots=True)
class TreeMaps:
    """Network A's probabilities, uint8 ``(7, z, y, x)`` x 255, with the HU on the same grid."""

    probability: NDArray[np.uint8]
    spacing_mm: float
    low_mm: tuple[float, float, float]
    hu: NDArray[np.int16]
    blood_hu: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (z, y, x)."""
        _, z, y, x = self.probability.shape
        return z, y, x

    def artery(self) -> NDArray[np.float32]:
        """Probability of any coronary artery, 0..1."""
        total = self.probability[LM : RCA + 1].sum(0, dtype=np.uint16)
        return np.minimum(total, 255).astype(np.float32) / 255

    def blood(self) -> NDArray[np.float32]:
        """How much a voxel looks like blood outside a vein, 0..1."""
        bright = np.clip((self.hu / np.float32(self.blood_hu) - 0.35) / 0.3, 0, 1)
        return np.where(self.probability[VEIN] > 76, 0, bright).astype(np.float32)

    def to_mm(self, voxels: NDArray[np.int64]) -> NDArray[np.float64]:
        """Points (z, y, x) in mm of flat voxel indices."""
        index = np.stack(np.unravel_index(voxels, self.shape), axis=-1)
        return np.asarray(index * self.spacing_mm + np.array(self.low_mm))


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
    paths = {end: reached.path(end)[::-1] for end in _good_leaves(reached, field, maps.spacing_mm)}
    branches: list[Branch] = []
    for system, ostium in ((left_branches, left), (right_branches, right)):
        own = {end: path for end, path in paths.items() if path[0] == ostium}
        found = system(maps, own, field.artery)
        branches += [
            b if b.parent is None else replace(b, parent=b.parent + len(branches)) for b in found
        ]
    if not branches:
        raise Refused(
            "NO_CORONARY_TREE",
            "No coronary artery could be traced from the aorta.",
            "Check contrast timing and motion; is this a coronary CT angiogram?",
        )
    missing = _missing({b.vessel for b in branches})
    branches = with_names(branches)
    return CoronaryTree(
        tuple(branches), dominance_of(branches), missing, _aorta_hu(maps, aorta, volume, branches)
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
    ends = _good_leaves(reached, field, maps.spacing_mm)
    own = {name: maps.probability[name].ravel() for name in (LM, LAD, LCX, RCA)}
    starts = []
    for names in ((LM, LAD, LCX), (RCA,)):
        best, most = None, LEAST_MAIN_MM / maps.spacing_mm
        for end in ends:
            path = np.array(reached.path(end))
            share = sum(own[n][path].astype(float) for n in names) / 255
            if share.sum() > most and 2 * share.sum() > len(path):
                best, most = int(path[-1]), float(share.sum())
        starts.append(best)
    return starts[0], starts[1]


def _good_leaves(reached: Reached, field: Field, spacing_mm: float) -> list[int]:
    """Ends of paths that run in probable artery and cross no long gap."""
    found = leaves(reached, field, CERTAIN, LEAST_BRANCH_MM / spacing_mm)
    flat = field.artery.ravel()

    def good(end: int) -> bool:
        along = flat[np.array(reached.path(end))]
        certain_mm, gap_mm = (along > 0.5).sum() * spacing_mm, reached.gap[end] * spacing_mm
        most = max(GAP_MM, min(LONG_GAP_MM, certain_mm / GAP_WORTH))
        return bool(gap_mm <= most and along.mean() >= LEAST_MEAN)

    return [end for end in found if good(end)]


def _all_but(voxels: NDArray[np.int64], shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    mask = np.ones(shape, bool)
    mask.ravel()[voxels] = False
    return mask


# ---- one system at a time ------------------------------------------------------------------


def left_branches(
    maps: TreeMaps, paths: dict[int, list[int]], artery: NDArray[np.float32]
) -> list[Branch]:
    """LM, LAD, LCX and their side branches from the left ostium."""
    lad = _main(paths, maps, artery, LAD, LCX)
    lcx = _main({k: v for k, v in paths.items() if k != lad}, maps, artery, LCX, LAD)
    lad_ok = lad is not None and _own_mm(paths[lad], maps, LAD) >= LEAST_MAIN_MM
    lcx_ok = lcx is not None and _own_mm(paths[lcx], maps, LCX) >= LEAST_MAIN_MM
    growing = _Growing(maps, artery)
    fork: NDArray[np.float64] | None = None
    if lad_ok and lcx_ok:
        assert lad is not None
        assert lcx is not None
        shared = _shared(paths[lad], paths[lcx])
        if shared * maps.spacing_mm >= LEAST_LM_MM:
            growing.add(paths[lad][: shared + 1], "LM")
            fork = maps.to_mm(np.array([paths[lad][shared]]))[0]
    elif lad_ok or lcx_ok:  # one of the two is gone: what the network calls LM still is one
        trunk = paths[lad if lad_ok else lcx]  # type: ignore[index]
        is_lm = maps.probability[LM].ravel()[np.array(trunk)] > 127
        last = int(np.flatnonzero(is_lm)[-1]) if is_lm.any() else 0
        if last * maps.spacing_mm >= LEAST_LM_MM:
            growing.add(trunk[: last + 1], "LM")
    if lad_ok and lad is not None:
        growing.add(paths[lad], "LAD")
    if lcx_ok and lcx is not None:
        growing.add(paths[lcx], "LCX")
    if not growing.branches:
        return []
    for path in paths.values():
        growing.add(path, None, fork)
    return growing.branches


def right_branches(
    maps: TreeMaps, paths: dict[int, list[int]], artery: NDArray[np.float32]
) -> list[Branch]:
    """RCA and its side branches from the right ostium."""
    main = _main(paths, maps, artery, RCA)
    if main is None or _own_mm(paths[main], maps, RCA) < LEAST_MAIN_MM:
        return []
    growing = _Growing(maps, artery)
    growing.add(paths[main], "RCA")
    for path in paths.values():
        growing.add(path, None)
    return growing.branches


def _main(
    paths: dict[int, list[int]],
    maps: TreeMaps,
    artery: NDArray[np.float32],
    name: int,
    rival: int | None = None,
) -> int | None:
    """The end whose path holds most certain artery of a class, and least of its ``rival``."""
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


def _shared(a: list[int], b: list[int]) -> int:
    """Index of the last voxel that two paths from one source have in common."""
    n = 0
    while n + 1 < min(len(a), len(b)) and a[n + 1] == b[n + 1]:
        n += 1
    return n


class _Growing:
    """A tree that grows path by path; each keeps only what is new of it."""

    def __init__(self, maps: TreeMaps, artery: NDArray[np.float32]) -> None:
        self.maps, self.artery = maps, artery.ravel()
        self.branches: list[Branch] = []
        self.owner: dict[int, int] = {}

    def add(
        self, path: list[int], vessel: VesselName | None, fork: NDArray[np.float64] | None = None
    ) -> None:
        """Add the part of ``path`` (source first) that no branch has; without a name it takes its parent's."""
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
        for voxel in new:
            self.owner[voxel] = len(self.branches)
        self.branches.append(Branch(vessel, vessel, parent, points, np.full(len(points), np.nan)))

    def _vessel_of(
        self, new: list[int], parent: int, joint: int, fork: NDArray[np.float64] | None
    ) -> VesselName:
        vessel = self.branches[parent].vessel
        if fork is None or vessel == "RCA":
            return vessel
        near = float(np.linalg.norm(self.maps.to_mm(np.array([joint]))[0] - fork)) <= NEAR_FORK_MM
        if not near:
            return "LAD" if vessel == "LM" else vessel
        votes = self.maps.probability[[LAD, LCX]][
            :, *np.unravel_index(np.array(new), self.maps.shape)
        ].sum(1, dtype=float)
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
    """Mean and SD of the scan's own voxels well inside the root, near the ostia."""
    core = binary_erosion(aorta, iterations=4)
    points = maps.to_mm(np.flatnonzero(core))
    height = np.mean([b.points_mm[0, 0] for b in branches if b.parent is None])
    points = points[np.abs(points[:, 0] - height) < 15.0]
    index = np.round(volume.to_index(points)).astype(int)
    inside = ((index >= 0) & (index < volume.shape_zyx)).all(1)
    if inside.sum() < 50:
        return None
    hu = volume.hu[tuple(index[inside].T)].astype(float)
    return float(hu.mean()), float(hu.std())
