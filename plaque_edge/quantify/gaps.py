"""Stretches that are not measured: smeared by motion, or excluded by a person."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.quantify import scct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plaque_edge.types import Gap, StraightBranch


def in_order(
    gaps: Sequence[Gap], given: Sequence[StraightBranch], kept: Sequence[StraightBranch]
) -> tuple[Gap, ...]:
    """Give gaps the branch numbers of ``kept``, which holds some of ``given`` in any order."""
    place = {id(item): i for i, item in enumerate(kept)}
    at = [(place.get(id(given[g.branch])), g) for g in gaps]
    return tuple(replace(g, branch=i) for i, g in at if i is not None)


def masks(gaps: Sequence[Gap], counts: Sequence[int]) -> list[NDArray[np.bool_]] | None:
    """Which steps of every branch are left out, bool ``(n,)`` each; ``None`` without gaps."""
    if not gaps:
        return None
    out = [np.zeros(n, bool) for n in counts]
    for gap in gaps:
        out[gap.branch][gap.start : gap.end + 1] = True
    return out


def labelled(labels: scct.Labels, gaps: Sequence[Gap]) -> scct.Labels:
    """Return the labels with the steps in gaps as excluded."""
    out = masks(gaps, [len(s) for s in labels.steps])
    if out is None:
        return labels
    pairs = zip(labels.steps, out, strict=True)
    return replace(labels, steps=tuple(np.where(m, scct.EXCLUDED, s) for s, m in pairs))
