"""What follows from stents and operations: vessels that aren't measured, and no risk."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from plaque_edge.types import VESSELS, Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plaque_edge.types import CoronaryTree

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
