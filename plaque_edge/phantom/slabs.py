"""Step artefacts: a scan put together from slabs of several heartbeats.

Each heartbeat images 20-40 mm of the heart (64-row: 38 mm, overlapping). Where the heart or
the breath differs, the next slab shows everything moved, and with another amount of contrast.
The anatomy stays what it is: only where it is shown changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Slabs:
    """Slabs from below upwards: where each begins, and what is added to scene points to see it.

    Image point ``p`` with ``first_mm[k] <= p.z < first_mm[k + 1]`` shows the scene at
    ``p + shift_mm[k]``; its HU are ``gain[k] * (HU + 1000) - 1000 + offset_hu[k]``.
    """

    first_mm: Array
    shift_mm: Array
    offset_hu: Array
    gain: Array

    def of(self, z_mm: Array) -> NDArray[np.int64]:
        """Return the slab that shows each height."""
        return np.clip(np.searchsorted(self.first_mm, z_mm, "right") - 1, 0, len(self.gain) - 1)

    def shown(self, points_mm: Array) -> Array:
        """Where the image shows points of the scene ``(n, 3)``."""
        at = points_mm
        for _ in range(3):  # a point near a border may belong to the slab it moves into
            at = points_mm - self.shift_mm[self.of(at[:, 0])]
        return np.asarray(at)


def whole(origin_z_mm: float) -> Slabs:
    """One slab: no steps."""
    return Slabs(np.array([origin_z_mm]), np.zeros((1, 3)), np.zeros(1), np.ones(1))


def draw_slabs(
    low_mm: float, high_mm: float, step_mm: tuple[float, float], rng: np.random.Generator
) -> Slabs:
    """Slabs of 20-40 mm; each moved against the last by a length within ``step_mm``.

    One border in four is a breath: the rest of the scan stays moved, downwards and forwards.
    """
    first = [low_mm]
    while first[-1] + 20 < high_mm:
        first.append(first[-1] + rng.uniform(20, 40))
    n = len(first)
    shift = np.zeros((n, 3))
    breath = np.zeros(3)
    for k in range(1, n):
        way = rng.normal(size=3) * [0.7, 1.0, 1.0]
        way *= rng.uniform(*step_mm) / np.linalg.norm(way)
        if rng.random() < 0.25:
            breath = breath + np.array([1.0, 0.4, 0.0]) * rng.choice([-1, 1]) * abs(way).sum()
        shift[k] = way + breath
    shift -= shift[n // 2]
    return Slabs(np.array(first), shift, rng.uniform(-14, 14, n), rng.uniform(0.97, 1.03, n))
