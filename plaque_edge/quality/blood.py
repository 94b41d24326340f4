"""Contrast and noise in the aortic root, and whether the heart lies inside the scan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plaque_edge.quality.lines import REPEAT, Subject, at_most, softened, within
from plaque_edge.types import QcCheck

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plaque_edge.quality.limits import Limits

_CONTRAST = Subject("QC_CONTRAST", "aortic root", "HU", REPEAT)
_NOISE = Subject("QC_NOISE", "noise in the aortic root", "HU", REPEAT)


def blood(aorta_hu: tuple[float, float] | None, limits: Limits) -> tuple[QcCheck, QcCheck]:
    """``aorta_hu`` is mean and SD in the aortic root, ``None`` when it wasn't found."""
    mean, noise = (None, None) if aorta_hu is None else aorta_hu
    contrast = within(_CONTRAST, mean, limits.aorta_pass_hu, limits.aorta_limit_hu)
    if mean is not None and mean > limits.aorta_limit_hu[1]:
        # Too bright hides calcium but still shows the lumen: a person decides.
        contrast = softened(contrast)
    return contrast, at_most(_NOISE, noise, limits.noise_warn_hu, limits.noise_refuse_hu)


def coverage(cut_sides: Sequence[str]) -> QcCheck:
    """Return whether the heart touches the edge of the scan; sides such as "feet", "left".

    At the head every coronary CTA ends in the great vessels, so that side doesn't count: a
    coronary artery that runs out there is told by QC_TREE_EDGE.
    """
    limits = "pass when the heart is inside at all sides but the head; warn where it is cut"
    counted = [side for side in cut_sides if side != "head"]
    if not counted:
        text = "The heart lies inside the scan."
        return QcCheck("QC_HEART_CUT", "pass", "none", limits, text)
    sides = ", ".join(counted)
    text = f"The heart is cut at: {sides}. Vessels may end too early there."
    next_step = "Reconstruct a larger field, or read the volumes as lower bounds."
    return QcCheck("QC_HEART_CUT", "warn", sides, limits, text, next_step)
