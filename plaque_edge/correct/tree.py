"""All branches of a case with their edits, measured: exactly, or quickly from what is known.

:func:`measure` sums every voxel anew. :class:`Quick` sums only the tiles that an edit touches and
answers in a fraction of the time; its volumes agree but for rounding, and how undecided the network
is (softness) stays that of the analysis. Both judge alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.correct.branch import changed_steps, edited
from plaque_edge.correct.edits import Centre, Contour, Exclude, of_branch
from plaque_edge.correct.word import gaps_of, word_of
from plaque_edge.quantify import kernels, softness
from plaque_edge.quantify.measures import (
    VOXEL_MM,
    Mapped,
    judged,
    measure_mapped,
    with_agatston,
)
from plaque_edge.quantify.pack import Packed, Seen, look, make_grid, pack, tight_grid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plaque_edge.correct.edits import Edit
    from plaque_edge.correct.measured import Measured
    from plaque_edge.quantify.kernels import Grid
    from plaque_edge.types import Branch, CoronaryTree, PlaqueMeasures, StraightBranch

MARGIN_MM = 16.0
"""A quick grid reaches this much beyond the tree, so that edits stay inside it."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """The case with its edits: what was measured along the branches, and the numbers of it."""

    mapped: Mapped
    measures: PlaqueMeasures
    tree: CoronaryTree


def measure(case: Measured, edits: Sequence[Edit]) -> Corrected:
    """Measure the case with its edits, every voxel anew. Raises ``Refused``."""
    straight = apply(case, edits)
    packed = pack(straight, case.rules.calibration, case.rules.hu)
    volume = kernels.accumulate(packed.tree, tight_grid(packed, VOXEL_MM))
    return _judge(case, edits, packed, volume, np.concatenate(softness.along(packed)))


def apply(case: Measured, edits: Sequence[Edit]) -> tuple[StraightBranch, ...]:
    """Return the branches as the edits make them; untouched ones are the very same."""
    rule = case.rules.hu[-1]
    return tuple(edited(item, of_branch(edits, i), rule) for i, item in enumerate(case.straight))


def _judge(
    case: Measured,
    edits: Sequence[Edit],
    packed: Packed,
    volume: NDArray[np.float64],
    spread: NDArray[np.float64],
) -> Corrected:
    """Judge summed volumes and say what the edits say beside contours."""
    rules = case.rules
    parts = tuple(spread[packed.steps(i)] for i in range(len(packed.branches)))
    gaps = (*rules.gaps, *gaps_of(packed, edits))
    mapped = judged(packed, volume, parts, rules.gates, rules.hu, gaps)
    mapped, labels = word_of(mapped, edits)
    tree = _tree(case, mapped, edits)
    measures = measure_mapped(mapped, tree, rules.doubt, labels)
    return Corrected(mapped, with_agatston(measures, rules.agatston), tree)


def _tree(case: Measured, mapped: Mapped, edits: Sequence[Edit]) -> CoronaryTree:
    """Return the tree with moved centerlines and new names, in the order of its branches."""
    touched = {e.branch for e in edits if not isinstance(e, Contour | Exclude)}
    branches = list(case.tree.branches)
    for i in touched:
        old, new = case.straight[i].branch, mapped.packed.branches[i]
        at = next((k for k, b in enumerate(branches) if _same(b, old)), None)
        if at is not None:
            points, radius = old.points_mm, old.radius_mm
            if any(isinstance(e, Centre) for e in of_branch(edits, i)):
                points = new.centers_mm
                radius = np.sqrt(mapped.profiles[i].area_mm2[:, 0] / np.pi)
            branches[at] = replace(new.branch, points_mm=points, radius_mm=radius)
    return replace(case.tree, branches=tuple(branches))


def _same(a: Branch, b: Branch) -> bool:
    return (a.vessel, a.name) == (b.vessel, b.name) and np.array_equal(a.points_mm, b.points_mm)


class Quick:
    """Measures one case again and again, each time from the state before. Not thread-safe."""

    def __init__(self, case: Measured) -> None:
        self.case = case
        self._seen: dict[int, tuple[StraightBranch, Seen]] = {}
        self._made: dict[int, tuple[tuple[Edit, ...], StraightBranch]] = {}
        self._packed = self._pack(case.straight)
        self._volume = case.volume_mm3.copy()
        self._come: tuple[set[Tile], NDArray[np.float64]] | None = None
        pad, tree = MARGIN_MM, self._packed.tree
        self._low = np.floor((tree.centers.min(axis=0) - pad) / VOXEL_MM)
        high = np.ceil((tree.centers.max(axis=0) + pad) / VOXEL_MM)
        z, y, x = (int(n) + 1 for n in high - self._low)
        self._shape = (z, y, x)

    def measure(self, edits: Sequence[Edit]) -> Corrected:
        """Measure the case with these edits. Raises ``Refused``."""
        straight = tuple(
            self._branch(i, of_branch(edits, i)) for i in range(len(self.case.straight))
        )
        packed = self._pack(straight)
        if any(a is not b for a, b in zip(packed.branches, self._packed.branches, strict=True)):
            self._advance(packed)
        return _judge(self.case, edits, self._packed, self._volume, self.case.spread_mm3)

    def _branch(self, at: int, edits: tuple[Edit, ...]) -> StraightBranch:
        drawn = tuple(e for e in edits if isinstance(e, Centre | Contour))
        known = self._made.get(at)
        if known is None or known[0] != drawn:
            item = edited(self.case.straight[at], drawn, self.case.rules.hu[-1])
            self._made[at] = known = (drawn, item)
        return known[1]

    def _pack(self, straight: Sequence[StraightBranch]) -> Packed:
        self._seen = {id(s): self._seen[id(s)] for s in straight if id(s) in self._seen}
        return pack(straight, self.case.rules.calibration, self.case.rules.hu, self._look)

    def _look(self, item: StraightBranch) -> Seen:
        known = self._seen.get(id(item))
        if known is None:
            known = self._seen[id(item)] = (item, look(item))
        return known[1]

    def _advance(self, packed: Packed) -> None:
        """Sum the tiles that hold a changed step, before and after; keep the rest."""
        before = self._packed
        if not np.array_equal(before.tree.depth, packed.tree.depth):
            self._volume = kernels.accumulate(packed.tree, tight_grid(packed, VOXEL_MM))
            self._packed, self._come = packed, None
            return
        changed = self._changed(before, packed)
        old, new = self._grid(before), self._grid(packed)
        tiles = _touched(old, changed) | _touched(new, changed)
        # While a point is dragged the same tiles come again: their sums are known.
        if self._come is not None and self._come[0] == tiles:
            gone = self._come[1]
        else:
            gone = kernels.accumulate(before.tree, _only(old, tiles))
        come = kernels.accumulate(packed.tree, _only(new, tiles))
        self._come = (tiles, come)
        self._volume = self._volume + come - gone
        # Rounding must not leave a trace of what went away.
        self._volume[np.abs(self._volume) < 1e-9] = 0.0
        self._packed = packed

    def _changed(self, before: Packed, after: Packed) -> NDArray[np.bool_]:
        a, b = before.tree, after.tree
        out = (a.radius != b.radius) | (a.far != b.far) | (a.reach != b.reach).any(axis=1)
        for i, (x, y) in enumerate(zip(before.branches, after.branches, strict=True)):
            out[after.steps(i)] |= changed_steps(x, y)
        return np.asarray(out)

    def _grid(self, packed: Packed) -> Grid:
        return make_grid(packed, self._low * VOXEL_MM, np.full(3, VOXEL_MM), self._shape)


Tile = tuple[int, int, int]


def _touched(grid: Grid, changed: NDArray[np.bool_]) -> set[Tile]:
    """Return the tiles of a grid that have a changed step among their candidates."""
    if len(grid.tile) == 0:
        return set()
    hit = np.add.reduceat(changed[grid.step].astype(np.int64), grid.start[:-1]) > 0
    return {(int(z), int(y), int(x)) for z, y, x in grid.tile[hit]}


def _only(grid: Grid, tiles: set[Tile]) -> Grid:
    """Return the grid with these tiles alone."""
    keep = [i for i, t in enumerate(map(tuple, grid.tile.tolist())) if t in tiles]
    parts = [grid.step[grid.start[i] : grid.start[i + 1]] for i in keep]
    start = np.cumsum([0, *map(len, parts)]).astype(np.int64)
    step = np.concatenate([*parts, np.zeros(0, np.int64)])
    return grid._replace(tile=grid.tile[keep].reshape(-1, 3), start=start, step=step)
