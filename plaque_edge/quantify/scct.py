"""The 18 coronary segments (SCCT 2014, doi:10.1016/j.jcct.2014.07.003) on a traced tree.

The standard's borders are landmarks of the heart. A traced tree shows the forks but neither
the acute margin, nor septals, nor the apex; :func:`label_steps` says in ``borders`` what
stands in for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plaque_edge.quantify.pack import Packed

NAMES = {
    1: "proximal RCA", 2: "mid RCA", 3: "distal RCA", 4: "R-PDA", 5: "LM",
    6: "proximal LAD", 7: "mid LAD", 8: "distal LAD", 9: "D1", 10: "D2",
    11: "proximal LCX", 12: "OM1", 13: "mid and distal LCX", 14: "OM2", 15: "L-PDA",
    16: "R-PLB", 17: "RI", 18: "L-PLB",
}  # fmt: skip
EXCLUDED = 0
"""In place of a segment's number where a person excluded a step: it is measured nowhere."""
TRUNK = (1, 2, 3, 5, 6, 7, 8, 11, 13)
"""Segments that every patient has; the others are side branches that vary."""
OWN_NUMBER = {
    "R-PDA": 4, "LM": 5, "D1": 9, "D2": 10, "OM1": 12, "OM2": 14,
    "L-PDA": 15, "R-PLB": 16, "RI": 17,
}  # fmt: skip
D1_RADIUS_MM = 0.75
"""A diagonal ends the proximal LAD when it is wider than 1.5 mm."""
NO_DIAGONAL, NO_MARGINAL = 0.25, 0.5
"""Share of the LAD, or LCX, that stands for its proximal part when no side branch is traced."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Segment number of each step of each branch, and how each segment's end was found."""

    steps: tuple[NDArray[np.int64], ...]
    borders: dict[int, str]


def label_steps(packed: Packed) -> Labels:
    """Give every step of every branch its segment number, so that nothing is left out.

    A branch without a number of its own (a third diagonal or marginal, a right ventricular
    branch, a branch of a branch) counts to the segment that it leaves.
    """
    names = [item.branch.name for item in packed.branches]
    steps: list[NDArray[np.int64] | None] = [None] * len(names)
    borders: dict[int, str] = {}
    for i, name in enumerate(names):
        trunk = {"LAD": _lad, "LCX": _lcx, "RCA": _rca}.get(name)
        if trunk is not None:
            steps[i] = trunk(packed, i, borders)
        elif (number := _own_number(name)) is not None:
            steps[i] = np.full(len(packed.branches[i].centers_mm), number, np.int64)
            borders[number] = "the whole traced branch"
    for i in sorted(range(len(names)), key=lambda i: int(packed.tree.depth[i])):
        if steps[i] is None:
            n = len(packed.branches[i].centers_mm)
            steps[i] = np.full(n, _inherited(packed, i, steps), np.int64)
    return Labels(tuple(s for s in steps if s is not None), borders)


def _own_number(name: str) -> int | None:
    """Return a side branch's number; a second posterolateral or ramus has that of the first."""
    stem = name.rstrip("0123456789")
    return OWN_NUMBER.get(name, OWN_NUMBER.get(stem if stem in ("R-PLB", "RI") else ""))


def _inherited(packed: Packed, i: int, steps: list[NDArray[np.int64] | None]) -> int:
    """Segment at the point where a branch without a number leaves."""
    up = packed.parents[i]
    if up is not None and (above := steps[up[0]]) is not None:
        return int(above[up[1]])
    vessel, start = packed.branches[i].branch.vessel, packed.branches[i].centers_mm[0]
    best, number = np.inf, {"LM": 5, "LAD": 7, "LCX": 13, "RCA": 2}[vessel]
    for j, own in enumerate(steps):
        if own is None or packed.branches[j].branch.vessel != vessel or j == i:
            continue
        distance = np.linalg.norm(packed.branches[j].centers_mm - start, axis=1)
        if distance.min() < best:
            best, number = float(distance.min()), int(own[int(np.argmin(distance))])
    return number


def _leaves(packed: Packed, trunk: int, child: int) -> int:
    """Step of the trunk at which a child leaves."""
    centers = packed.branches[trunk].centers_mm
    first = packed.branches[child].centers_mm[0]
    return int(np.argmin(np.linalg.norm(centers - first, axis=1)))


def _children(packed: Packed, names: tuple[str, ...]) -> list[int]:
    return [i for i, item in enumerate(packed.branches) if item.branch.name in names]


def _lad(packed: Packed, i: int, borders: dict[int, str]) -> NDArray[np.int64]:
    n = len(packed.branches[i].centers_mm)
    wide = [
        j
        for j in _children(packed, ("D1", "D2", "D3"))
        if np.median(packed.branches[j].branch.radius_mm[:20]) > D1_RADIUS_MM
    ]
    if wide:
        end, text = min(_leaves(packed, i, j) for j in wide), "first diagonal wider than 1.5 mm"
    else:
        end, text = round(NO_DIAGONAL * n), "a quarter of the traced LAD: no diagonal was traced"
    half = end + (n - end) // 2
    borders[6] = f"{text}; septal branches are not traced"
    borders[7] = "half way to the end of the traced LAD, which stands for the apex"
    borders[8] = "the end of the traced LAD"
    at = np.arange(n)
    return np.where(at < end, 6, np.where(at < half, 7, 8)).astype(np.int64)


def _lcx(packed: Packed, i: int, borders: dict[int, str]) -> NDArray[np.int64]:
    n = len(packed.branches[i].centers_mm)
    at = np.arange(n)
    marginals = _children(packed, ("OM1", "OM2", "OM3"))
    if marginals:
        end, text = min(_leaves(packed, i, j) for j in marginals), "first obtuse marginal"
    else:
        end, text = round(NO_MARGINAL * n), "half of the traced LCX: no marginal was traced"
    out = np.where(at < end, 11, 13).astype(np.int64)
    borders[11], borders[13] = text, "the end of the traced LCX"
    for j in _children(packed, ("L-PDA",)):
        crux = _leaves(packed, i, j)
        if crux > end:
            out[crux + 1 :] = 18
            borders[13], borders[18] = "L-PDA", "the LCX beyond the L-PDA"
    return out


def _rca(packed: Packed, i: int, borders: dict[int, str]) -> NDArray[np.int64]:
    centers = packed.branches[i].centers_mm
    n = len(centers)
    end = n
    borders[3] = "the end of the traced RCA"
    for j in _children(packed, ("R-PDA",)):
        end = min(_leaves(packed, i, j) + 1, n)
        borders[3] = "R-PDA"
    chord = centers[end - 1] - centers[0]
    chord = chord / max(float(np.linalg.norm(chord)), 1e-9)
    away = centers[:end] - centers[0]
    bulge = np.linalg.norm(away - (away @ chord)[:, None] * chord, axis=1)
    margin = int(np.argmax(bulge))
    borders[1] = "half way from the ostium to the acute margin"
    borders[2] = "the point of the RCA farthest from the line from ostium to crux, which stands "
    borders[2] += "for the acute margin"
    at = np.arange(n)
    out = np.where(at < margin // 2, 1, np.where(at < margin, 2, 3)).astype(np.int64)
    if end < n:
        out[end:] = 16
        borders[16] = "the RCA beyond the R-PDA, and posterolateral branches"
    return out
