"""The quality gate: is this scan good enough for plaque volumes.

Each check is one line with its value, its limits and what to do. ``docs/quality-gate.md`` has
the table, and how often each is right on phantoms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from plaque_edge.quality.artefacts import Found, Scene, check_artefacts
from plaque_edge.quality.blood import blood, coverage
from plaque_edge.quality.limits import DEFAULT, Limits
from plaque_edge.quality.technique import technique
from plaque_edge.quality.tree import tree_lines
from plaque_edge.quality.verdicts import Verdict, limiting, verdict
from plaque_edge.types import QcCheck

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plaque_edge.types import CoronaryTree, SeriesFiles, Volume

__all__ = [
    "Found",
    "Limits",
    "Scene",
    "Verdict",
    "check_artefacts",
    "check_coverage",
    "check_header",
    "check_image",
    "limiting",
    "verdict",
]


def check_header(series: SeriesFiles, limits: Limits = DEFAULT) -> tuple[QcCheck, ...]:
    """Return what the header says of the technique, and which limits the site has changed."""
    return (*technique(series, limits), *_own_limits(limits))


def check_image(
    volume: Volume,
    tree: CoronaryTree | None,
    aorta_hu: tuple[float, float] | None,
    limits: Limits = DEFAULT,
) -> tuple[QcCheck, ...]:
    """Return what the image itself says."""
    lines = () if tree is None else tree_lines(tree, volume, limits)
    return (*blood(aorta_hu, limits), *lines)


def check_coverage(cut_cm2: Mapping[str, float], limits: Limits = DEFAULT) -> QcCheck:
    """Return whether the scan cuts the heart; sides such as "feet" with the muscle cut, cm2."""
    return coverage(cut_cm2, limits)


def _own_limits(limits: Limits) -> tuple[QcCheck, ...]:
    changed = limits.changed()
    if not changed:
        return ()
    value = "; ".join(f"{name} {shipped} -> {own}" for name, (shipped, own) in changed.items())
    text = f"This site has changed {len(changed)} of the shipped limits."
    return (QcCheck("QC_LIMITS", "pass", value, "information", text),)
