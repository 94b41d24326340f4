"""How thick the patient's healthy wall looks.

A thick healthy wall beside bright blood and a thin ring of plaque look alike in one
cross-section. Over a whole patient they differ: a wall is thick everywhere, a plaque somewhere.
So the wall network is told, in a channel of its own, how thick the wall of this patient is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.segment.straighten import PIXEL_MM
from plaque_edge.types import WALL_CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

OTHER, LUMEN, WALL = (WALL_CLASSES.index(c) for c in ("other_vessel", "lumen", "wall"))
NEAR_MM = 4.5
LEAST_LUMEN_MM2, MOST_OTHER_MM2 = 0.8, 3.0
"""A cross-section counts with a lumen, and without another vessel that hides its wall."""
HEALTHY = 0.3
"""Quantile of the thickness that stands for healthy wall, also where most of it is diseased."""
LEAST_SECTIONS = 100


def healthy_wall_mm(fractions: Iterable[NDArray[Any]]) -> float | None:
    """Return the 30th percentile of the thickness of what lies about the lumen, in mm.

    ``fractions`` are those of ``WALL_CLASSES`` along every branch, ``(7, n, v, u)`` of 0 to 255.
    The thickness is that of a round ring of the same area about a round lumen of the same area.
    ``None`` when fewer than 50 mm can be judged.
    """
    parts = [_thickness_mm(f) for f in fractions]
    seen = np.concatenate(parts) if parts else np.zeros(0)
    return float(np.quantile(seen, HEALTHY)) if seen.size >= LEAST_SECTIONS else None


def _thickness_mm(fractions: NDArray[Any]) -> NDArray[np.float64]:
    width = fractions.shape[-1]
    axis = (np.arange(width) - (width - 1) / 2) * PIXEL_MM
    near = (np.hypot(axis[:, None], axis[None, :]) < NEAR_MM).astype(np.float32).ravel()
    flat = fractions.reshape(*fractions.shape[:2], -1).astype(np.float32)
    area = (flat @ near).astype(float) * PIXEL_MM**2 / 255
    lumen, ring = area[LUMEN], area[WALL:].sum(0)
    judged = (lumen > LEAST_LUMEN_MM2) & (area[OTHER] < MOST_OTHER_MM2)
    return np.asarray((np.sqrt((lumen + ring) / np.pi) - np.sqrt(lumen / np.pi))[judged])
