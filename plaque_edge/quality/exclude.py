"""What follows from stents, motion and operations: what isn't measured, and no risk."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from plaque_edge.types import VESSELS, Gap, Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plaque_edge.types import CoronaryTree, StraightBranch

TREATED = Reason(
    "RISK_TREATED",
    "Signs of a stent or a bypass operation were seen; the risk model holds for the untreated.",
    "Ask for the history.",
)


def without_stented(tree: CoronaryTree, stented: Sequence[str]) -> CoronaryTree:
    """Return the tree with every vessel that holds a stent as missing: not analysable, never 0."""
    out = {
        vessel: Reason(
            "STENT_IN_VESSEL",
            f"{vessel} holds what looks like a stent; its plaque can't be measured.",
            "Look at the vessel; ask for the history.",
        )
        for vessel in VESSELS
        if vessel in stented
    }
    return replace(tree, missing={**tree.missing, **out}) if out else tree


def smeared(straight: Sequence[StraightBranch], moved: Sequence[int]) -> tuple[Gap, ...]:
    """Return the branches that moved as gaps, by their place.

    The smear of a lumen looks like a ring of plaque, so that a moved branch would be over-read.
    Where a main vessel moved nothing of the vessel is measured: what its side branches hold would
    be taken for all of it.
    """
    names = [(s.branch.vessel, s.branch.name) for s in straight]
    whole = {vessel for vessel, name in (names[i] for i in moved) if vessel == name}
    return tuple(
        Gap(i, 0, len(item.centers_mm) - 1, _moved(vessel if vessel in whole else name))
        for i, (item, (vessel, name)) in enumerate(zip(straight, names, strict=True))
        if i in moved or vessel in whole
    )


def _moved(name: str) -> Reason:
    return Reason(
        "MOTION_IN_VESSEL",
        f"{name} is smeared, as by motion: its plaque can't be measured.",
        "Look at the vessel; take another phase or repeat the scan if it matters.",
    )
