"""Whether the coronary tree is one that a heart can have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.quality.lines import LOOK, Subject, within
from plaque_edge.types import VESSELS, Level, QcCheck

if TYPE_CHECKING:
    from plaque_edge.quality.limits import Limits
    from plaque_edge.types import Branch, CoronaryTree, Volume

_LENGTH = Subject("QC_TREE_LENGTH", "length of the coronary tree", "mm", LOOK)
_EDGE_MM = 1.5
_PROXIMAL_STEPS = 40
"""The first 20 mm of a vessel, in steps of 0.5 mm."""


def tree_lines(tree: CoronaryTree, volume: Volume, limits: Limits) -> tuple[QcCheck, ...]:
    """Return a line on vessels, lengths, branches, radii, and where vessels end."""
    total = sum(b.length_mm for b in tree.branches)
    return (
        _vessels(tree, limits),
        within(_LENGTH, total, limits.length_pass_mm, limits.length_limit_mm),
        _balance(tree, limits),
        _branches(tree, limits),
        _radius(tree, limits),
        _edge(tree, volume),
    )


def mains(tree: CoronaryTree) -> dict[str, Branch]:
    """Return the first branch of each main vessel that was found."""
    found: dict[str, Branch] = {}
    for branch in tree.branches:
        if branch.vessel not in tree.missing:
            found.setdefault(branch.vessel, branch)
    return found


def _vessels(tree: CoronaryTree, limits: Limits) -> QcCheck:
    found = mains(tree)
    text = f"pass with all four, refused below {limits.min_main_vessels:g}"
    level: Level = "pass" if len(found) == len(VESSELS) else "warn"
    if len(found) < limits.min_main_vessels:
        level = "refuse"
    absent = ", ".join(v for v in VESSELS if v not in found)
    said = f"Not found: {absent}." if absent else "All four main vessels were found."
    return _told("QC_TREE_VESSELS", level, float(len(found)), text, said)


def _balance(tree: CoronaryTree, limits: Limits) -> QcCheck:
    """Say whether one of the three long vessels ends early while the others go on."""
    least = limits.main_length_warn_mm
    text = f"pass when LAD, LCX and RCA have {least:g} mm or more each"
    lengths = {v: b.length_mm for v, b in mains(tree).items() if v != "LM"}
    short = {v: mm for v, mm in lengths.items() if mm < least}
    if not lengths:
        return QcCheck("QC_TREE_BALANCE", "warn", None, text, "No long vessel is known.", LOOK)
    if not short:
        said = "No main vessel ends early."
        return QcCheck("QC_TREE_BALANCE", "pass", round(min(lengths.values()), 1), text, said)
    said = "Ends early: " + ", ".join(f"{v} after {mm:.0f} mm" for v, mm in short.items()) + "."
    return _told("QC_TREE_BALANCE", "warn", round(min(short.values()), 1), text, said)


def _branches(tree: CoronaryTree, limits: Limits) -> QcCheck:
    low, high = limits.branches_pass
    count = len(tree.branches)
    text = f"pass with {low:g} to {high:g} branches, the main vessels among them"
    level: Level = "pass" if low <= count <= high else "warn"
    said = f"The tree has {count} branches."
    return _told("QC_TREE_BRANCHES", level, float(count), text, said)


def _radius(tree: CoronaryTree, limits: Limits) -> QcCheck:
    """Say whether a main vessel begins too thin or too wide to be one."""
    low, high = limits.radius_pass_mm
    text = f"pass when the first 20 mm of each main vessel have a radius of {low:g} to {high:g} mm"
    radius = {v: float(np.median(b.radius_mm[:_PROXIMAL_STEPS])) for v, b in mains(tree).items()}
    if not radius:
        return QcCheck("QC_TREE_RADIUS", "warn", None, text, "No radius is known.", LOOK)
    if not np.isfinite(list(radius.values())).all():
        return QcCheck("QC_TREE_RADIUS", "warn", None, text, "Not every radius is known.", LOOK)
    odd = {v: r for v, r in radius.items() if not low <= r <= high}
    worst = max(odd.values() or radius.values(), key=lambda r: abs(np.log(r / 1.6 + 1e-6)))
    said = "The main vessels begin as wide as coronary arteries do."
    if odd:
        said = "Odd radius at the start: " + ", ".join(f"{v} {r:.1f} mm" for v, r in odd.items())
        said += "."
    return _told("QC_TREE_RADIUS", "warn" if odd else "pass", round(worst, 2), text, said)


def _edge(tree: CoronaryTree, volume: Volume) -> QcCheck:
    """Say whether a vessel runs out of the image, so that the scan cut the heart."""
    top = [(n - 1) * s for n, s in zip(volume.shape_zyx, volume.spacing_zyx_mm, strict=True)]
    cut = 0
    for branch in tree.branches:
        place = branch.points_mm - volume.origin_zyx_mm
        cut += bool(((place < _EDGE_MM) | (place > [t - _EDGE_MM for t in top])).any())
    limits = "pass when no vessel runs out of the image"
    if cut == 0:
        return QcCheck("QC_TREE_EDGE", "pass", 0.0, limits, "All vessels lie inside the image.")
    text = f"{cut} vessel{'s run' if cut > 1 else ' runs'} out of the image."
    return QcCheck("QC_TREE_EDGE", "warn", float(cut), limits, text, "Reconstruct a larger field.")


def _told(code: str, level: Level, value: float, limits: str, text: str) -> QcCheck:
    return QcCheck(code, level, value, limits, text, "" if level == "pass" else LOOK)
