"""One branch with its edits: centres moved, then contours given anew. Pure."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.correct.edits import MIN_RADIUS_MM, Centre, Contour
from plaque_edge.correct.plane import (
    BACKGROUND,
    LUMEN,
    SOFT,
    Drawn,
    Pole,
    Tissue,
    displaced,
    network_curves,
    redrawn,
)
from plaque_edge.correct.spread import Share, shares
from plaque_edge.quantify.sections import ANGLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from plaque_edge.correct.edits import Edit
    from plaque_edge.types import HuRule, StraightBranch

WALL_RANGE_MM, USUAL_WALL_MM = (0.3, 1.0), 0.5
"""Normal wall: what the network saw of it, within this range, or this where it saw too little."""
ENOUGH_MM, FREE_MM2 = 5.0, 0.2
"""Least length without plaque, and the plaque area that is none, for seeing a normal wall."""


def edited(item: StraightBranch, edits: Sequence[Edit], rule: HuRule) -> StraightBranch:
    """Return a branch as its edits make it; the very same one where none moves or draws.

    ``rule`` says of which kind plaque is that the network saw as something else.
    """
    moves = [e for e in edits if isinstance(e, Centre)]
    drawn = [e for e in edits if isinstance(e, Contour)]
    if not moves and not drawn:
        return item
    offsets = offsets_mm(moves, len(item.centers_mm), item.step_mm)
    moved = _moved(item, offsets)
    if not drawn:
        return moved
    tissue = Tissue(normal_wall_mm(item), rule)
    return _redrawn(moved, drawn, offsets, tissue)


def offsets_mm(moves: Iterable[Centre], count: int, step_mm: float) -> NDArray[np.float64]:
    """How far each section's centre is moved, ``(count, 2)`` along its (u, v)."""
    keys = {m.step: m for m in moves}
    reach = {step: m.spread_mm / step_mm for step, m in keys.items()}
    out = np.zeros((count, 2))
    for step, share in shares(reach, count).items():
        # A cosine, so that the line bends without a corner.
        for key, part in share.parts:
            soft = 0.5 - 0.5 * math.cos(math.pi * part)
            out[step] += soft * np.array(keys[key].offset_mm)
    return out


def normal_wall_mm(item: StraightBranch) -> float:
    """Median thickness of the wall where the network saw no plaque, in mm."""
    area = item.fractions.sum(axis=(2, 3), dtype=np.float64) / 255.0 * item.pixel_mm**2
    lumen, outer, plaque = area[LUMEN], area[LUMEN:].sum(axis=0), area[SOFT:].sum(axis=0)
    free = (plaque < FREE_MM2) & (lumen > 1.0)
    if free.sum() * item.step_mm < ENOUGH_MM:
        return USUAL_WALL_MM
    thickness = np.sqrt(outer[free] / np.pi) - np.sqrt(lumen[free] / np.pi)
    return float(np.clip(np.median(thickness), *WALL_RANGE_MM))


def _moved(item: StraightBranch, offsets: NDArray[np.float64]) -> StraightBranch:
    steps = np.flatnonzero(np.abs(offsets).max(axis=1) > 0)
    if steps.size == 0:
        return item
    fractions, hu = item.fractions.copy(), item.hu.copy()
    for i in steps:
        at = (float(offsets[i, 0]), float(offsets[i, 1]))
        seen = displaced(item.fractions[:, i].astype(np.float32), at, item.pixel_mm, 0.0)
        seen[BACKGROUND] += np.maximum(255.0 - seen.sum(axis=0), 0.0)
        fractions[:, i] = np.rint(seen)
        hu[i] = displaced(item.hu[i][None], at, item.pixel_mm, -1024.0)[0]
    centers = item.centers_mm + offsets[:, :1] * item.u + offsets[:, 1:] * item.v
    return replace(item, centers_mm=centers, fractions=fractions, hu=hu)


def _redrawn(
    item: StraightBranch,
    drawn: Sequence[Contour],
    offsets: NDArray[np.float64],
    tissue: Tissue,
) -> StraightBranch:
    count = len(item.centers_mm)
    keys = {
        which: {c.step: c for c in drawn if c.which == which and c.step < count}
        for which in ("lumen", "wall")
    }
    taken = {
        which: shares({s: c.spread_mm / item.step_mm for s, c in found.items()}, count)
        for which, found in keys.items()
    }
    fractions = item.fractions.copy()
    for i in sorted(set(taken["lumen"]) | set(taken["wall"])):
        lumen, wall = (
            _contour(item, i, keys[which], taken[which].get(i), offsets, which == "wall")
            for which in ("lumen", "wall")
        )
        section = item.fractions[:, i].astype(np.float32) / np.float32(255.0)
        new = redrawn(section, item.hu[i], item.pixel_mm, lumen, wall, tissue)
        fractions[:, i] = np.rint(255.0 * new)
    return replace(item, fractions=fractions)


def _contour(
    item: StraightBranch,
    step: int,
    keys: dict[int, Contour],
    share: Share | None,
    offsets: NDArray[np.float64],
    wall: bool,
) -> Drawn | None:
    """Return the contour as it holds in one section: its own, or what neighbours' make of it."""
    if share is None:
        return None
    total = sum(part for _, part in share.parts)
    u, v = (sum(p * keys[k].pole_mm[d] for k, p in share.parts) / total for d in (0, 1))
    pole = (u - float(offsets[step, 0]), v - float(offsets[step, 1]))
    network = _curve(item, step, pole, wall)
    if step in keys:
        return Drawn(np.array(keys[step].radii_mm), network, pole, 1.0)
    change = np.zeros(ANGLES)
    for key, part in share.parts:
        there = keys[key]
        at = (
            there.pole_mm[0] - float(offsets[key, 0]),
            there.pole_mm[1] - float(offsets[key, 1]),
        )
        change += part * (np.array(there.radii_mm) - _curve(item, key, at, wall))
    radii = np.maximum(network + change, MIN_RADIUS_MM)
    return Drawn(radii, network, pole, share.weight)


def _curve(item: StraightBranch, step: int, pole: Pole, wall: bool) -> NDArray[np.float64]:
    section = item.fractions[:, step].astype(np.float32) / np.float32(255.0)
    return network_curves(section, pole, item.pixel_mm)[1 if wall else 0]


def changed_steps(before: StraightBranch, after: StraightBranch) -> NDArray[np.bool_]:
    """Tell which sections of a branch differ in place or content, bool ``(n,)``."""
    if before is after:
        return np.zeros(len(before.centers_mm), bool)
    moved = (before.centers_mm != after.centers_mm).any(axis=1)
    content = (before.fractions != after.fractions).any(axis=(0, 2, 3))
    return np.asarray(moved | content)
