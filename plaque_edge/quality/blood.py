"""Contrast and noise in the aortic root, and whether the heart lies inside the scan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plaque_edge.quality.lines import REPEAT, Subject, at_most, softened, within
from plaque_edge.types import QcCheck

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def coverage(cut_cm2: Mapping[str, float], limits: Limits) -> QcCheck:
    """Return whether the scan cuts the heart; sides such as "feet" with the muscle cut, cm2.

    Coronary arteries run on the muscle: where the edge meets the fat round it alone, none is
    lost. At the head every coronary CTA ends in the great vessels, so that side doesn't
    count. A coronary artery that runs out of the scan is told by QC_TREE_EDGE.
    """
    most = limits.heart_cut_warn_cm2
    said = f"pass up to {most:g} cm2 of muscle cut at any side but the head; else warn"
    counted = {side: cm2 for side, cm2 in cut_cm2.items() if side != "head"}
    worst = round(max(counted.values(), default=0.0), 1)
    cut = [f"{side} ({cm2:.0f} cm2)" for side, cm2 in counted.items() if cm2 > most]
    if cut:
        text = f"The heart is cut at: {', '.join(cut)}. Vessels may end too early there."
        next_step = "Reconstruct a larger field, or read the volumes as lower bounds."
        return QcCheck("QC_HEART_CUT", "warn", worst, said, text, next_step)
    text = "The heart's muscle lies inside the scan."
    if counted:
        text = (
            f"The scan ends in the fat round the heart at: {', '.join(counted)}; no muscle is cut."
        )
    return QcCheck("QC_HEART_CUT", "pass", worst, said, text)
