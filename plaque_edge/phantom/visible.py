"""How much of the true plaque lies in cross-sections that hold more than 1 mm² of it.

That is the usual clinical definition of a lesion; what is thinner is hardly in the image (0.3 mm
of plaque on a 0.5 mm wall behind a point spread of 0.7 mm), so figures are given both ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.phantom.render import straight_fractions
from plaque_edge.phantom.slabs import whole
from plaque_edge.quantify.options import LESION_AREA_MM2
from plaque_edge.segment.straighten import PIXEL_MM, WIDTH, parallel_frames
from plaque_edge.types import VESSELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plaque_edge.phantom.scene import Patient
    from plaque_edge.types import VesselName

EVERY = 2
"""Cross-sections are 0.5 mm apart: every second point of a tube."""


def plaque_area_mm2(patient: Patient, tube: int) -> NDArray[np.float64]:
    """Plaque of a tube itself in each cross-section, mm², every 0.5 mm along it."""
    points = np.ascontiguousarray(patient.anatomy.tubes[tube].points_mm[::EVERY])
    _, u, v = parallel_frames(points)
    out = np.zeros((7, len(points), WIDTH, WIDTH), np.uint8)
    slabs = whole(-1e9)
    straight_fractions(
        patient.scene, tube, points, u, v, PIXEL_MM, 2, slabs.first_mm, slabs.shift_mm, out
    )
    return np.asarray(out[4:].sum((0, 2, 3), dtype=float) * PIXEL_MM**2 / 255)


def visible_shares(patient: Patient) -> dict[VesselName, float]:
    """Share (0..1) of each vessel's plaque in cross-sections above 1 mm²; 1 without plaque."""
    sums = {name: np.zeros(2) for name in VESSELS}
    for i in sorted({x.tube for x in patient.lesions}):
        vessel = patient.anatomy.tubes[i].vessel
        if vessel is not None:
            area = plaque_area_mm2(patient, i)
            sums[vessel] += area[area > LESION_AREA_MM2].sum(), area.sum()
    return {name: float(s[0] / s[1]) if s[1] > 0 else 1.0 for name, s in sums.items()}
