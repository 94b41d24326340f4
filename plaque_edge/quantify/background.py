"""What a patient's healthy wall looks like to the network, and the prior of plaque that follows.

Cross-section by cross-section a thick healthy wall beside bright blood and a thin ring of plaque
look alike, and the network calls either a little plaque. Along a whole patient they differ: a
wall is thick everywhere, a plaque somewhere. So the odds of soft plaque are scaled until the
median cross-section of the patient shows as much of it as that of a usual patient does. Where
the network is sure, a factor on the odds changes little. Calcium is told by its HU and stays.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.types import Background

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plaque_edge.quantify.options import Calibration
    from plaque_edge.types import StraightBranch

SOFT = (4, 5)
"""Non-calcified and low-attenuation plaque in ``WALL_CLASSES``."""
LEAST, MOST = 0.1, 4.0
"""Bounds of the factor: a patient with plaque in more than half of all cross-sections must not
lose it, and one without any must not get some."""
FLOOR_MM2 = 1e-3


def background_of(
    straight: Sequence[StraightBranch],
    usual_mm2: float,
    left_out: Sequence[NDArray[np.bool_]] | None = None,
) -> Background | None:
    """Return the patient's background and the factor on the odds of soft plaque.

    ``usual_mm2`` is the median area of a usual patient; steps that ``left_out`` marks, by branch,
    don't count. ``None`` without cross-sections.
    """
    areas = [
        np.sum([s.fractions[c].sum((1, 2), dtype=float) for c in SOFT], axis=0)
        * s.pixel_mm**2
        / 255
        for s in straight
    ]
    if left_out is not None:
        areas = [a[~out] for a, out in zip(areas, left_out, strict=True)]
    if not any(a.size for a in areas):
        return None
    median = float(np.median(np.concatenate(areas)))
    return Background(median, float(np.clip(usual_mm2 / max(median, FLOOR_MM2), LEAST, MOST)))


def for_patient(
    calibration: Calibration,
    straight: Sequence[StraightBranch],
    left_out: Sequence[NDArray[np.bool_]] | None = None,
) -> tuple[Calibration, Background | None]:
    """Return the calibration with the patient's factor in its prior.

    One without a usual background is returned as it is. See :func:`background_of`.
    """
    usual = calibration.background_mm2
    found = background_of(straight, usual, left_out) if usual > 0 else None
    if found is None:
        return calibration, None
    prior = tuple(p * (found.factor if c in SOFT else 1) for c, p in enumerate(calibration.prior))
    return replace(calibration, prior=prior, background_mm2=0.0), found
