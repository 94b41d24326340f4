"""Which HU is low-attenuation, fibro-fatty, fibrous or calcified plaque.

Two rules are computed beside the network's own fractions: fixed limits, and limits adapted to
the blood's HU and the tube voltage. ``docs/quantify.md`` has the table of all three on
phantoms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.kernels import classify
from plaque_edge.types import HuRule, Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LOW_HU, FIBROUS_HU, CALCIFIED_HU = 30.0, 131.0, 350.0
"""The common fixed limits: low attenuation below 30 HU, fibro-fatty to 130, fibrous to 350."""
FIXED = HuRule(
    "fixed",
    LOW_HU,
    FIBROUS_HU,
    CALCIFIED_HU,
    "low attenuation below 30 HU, fibro-fatty to 130, fibrous to 350, calcified from there",
)
CALCIUM_BY_KVP = ((70.0, 1.50), (80.0, 1.36), (100.0, 1.13), (120.0, 1.0), (140.0, 0.92))
"""HU of calcium relative to 120 kVp. 1.13 stands for the 147 HU used at 100 kVp instead of 130 in
calcium scoring; it and the others, on the same slope, are from memory: a proposal, not checked
against a source. Phantoms have no tube voltage, so they can't test it."""
BLOOD_SD = 3.0
"""Calcium is brighter than the blood by this many standard deviations of the root."""
LAP_KVP = (100.0, 120.0)
LAP_NOISE_HU = 35.0
LAP_BLOOD_HU = 550.0


def calcium_factor(kvp: float | None) -> float:
    """HU of calcium at a tube voltage relative to 120 kVp; 1 where the voltage is unknown."""
    if kvp is None:
        return 1.0
    x, y = zip(*CALCIUM_BY_KVP, strict=True)
    return float(np.interp(kvp, x, y))


def rules_for(aorta_hu: tuple[float, float] | None, kvp: float | None = None) -> tuple[HuRule, ...]:
    """Return the fixed rule, and the adapted one where the blood's mean and SD are known."""
    if aorta_hu is None:
        return (FIXED,)
    mean, sd = aorta_hu
    scaled = CALCIFIED_HU * calcium_factor(kvp)
    calcified = max(scaled, mean + BLOOD_SD * sd)
    fibrous = min(FIBROUS_HU * calcium_factor(kvp), 0.5 * calcified)
    at = "unknown" if kvp is None else f"{kvp:g} kVp"
    text = (
        f"low attenuation below 30 HU, fibro-fatty to {fibrous:.0f}, calcified from "
        f"{calcified:.0f}: the larger of 350 HU scaled to the tube voltage ({at}) and blood "
        f"{mean:.0f} + {BLOOD_SD:g} x {sd:.0f} HU"
    )
    return FIXED, HuRule("adapted", LOW_HU, fibrous, calcified, text)


def limits_of(rules: Sequence[HuRule]) -> NDArray[np.float64]:
    """Return the rules' limits as the kernels read them, float64 ``(R, 3)``, ascending."""
    rows = [[r.low_attenuation_below, r.fibrous_from, r.calcified_from] for r in rules]
    return np.array(rows, np.float64).reshape(-1, 3)


def low_attenuation_doubt(
    aorta_hu: tuple[float, float] | None, kvp: float | None, kernel: str
) -> Reason | None:
    """Say why low attenuation is worthless in this scan; ``None`` when nothing speaks against it.

    Noise of more than 35 HU moves a third of fibrous plaque at 65 HU below 30; other tube
    voltages than 100 and 120 kV and sharp kernels shift or spread plaque's HU; blood above
    550 HU bleeds into the plaque beside it.
    """
    causes = []
    if kvp is None:
        causes.append("the tube voltage is unknown")
    elif not LAP_KVP[0] <= kvp <= LAP_KVP[1]:
        causes.append(f"{kvp:g} kVp is outside 100 to 120")
    if classify(kernel) != "vascular":
        causes.append(f"kernel {kernel or 'unknown'} is not known as a smooth vascular one")
    if aorta_hu is None:
        causes.append("noise and blood are not known")
    else:
        if aorta_hu[1] > LAP_NOISE_HU:
            causes.append(f"noise is {aorta_hu[1]:.0f} HU")
        if aorta_hu[0] > LAP_BLOOD_HU:
            causes.append(f"blood is {aorta_hu[0]:.0f} HU")
    if not causes:
        return None
    return Reason(
        "LOW_ATTENUATION_DOUBTFUL",
        f"Low-attenuation plaque can't be told in this scan: {'; '.join(causes)}.",
        "Do not use it, nor the high-risk features that rest on it.",
    )
