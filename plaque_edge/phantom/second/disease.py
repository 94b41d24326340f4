"""Plaques of the second phantom: the vessel's outer circle grows and moves off the lumen's.

At every sample the lumen is a circle about the centerline, and what lies between it and the
elastic membrane, a second circle off the first, is plaque (crescents, as in histology). What
the plaque holds follows from two random fields: calcium where one is high, lipid where the
other is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d, map_coordinates

from plaque_edge.phantom.anatomy import STEP_MM, Tube

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = NDArray[np.float64]
FIELD_MM, FIELD_SIZE = 0.4, 64


@dataclass(frozen=True, slots=True)
class Wall:
    """One tube's cross-sections, arrays ``(n,)``: radii and offset in mm, angle in rad.

    ``kind`` is an index into :class:`Disease`'s table of plaques, -1 where there is none.
    """

    lumen_mm: Array
    membrane_mm: Array
    offset_mm: Array
    angle: Array
    wall_mm: Array
    kind: NDArray[np.int64]

    def plaque_mm3(self) -> float:
        """Volume between the circles, for steering."""
        return float(np.pi * ((self.membrane_mm**2 - self.lumen_mm**2).sum()) * STEP_MM)


@dataclass(frozen=True, slots=True)
class Disease:
    """Walls of all tubes, and per plaque: (calcium threshold, lipid threshold, HU of the three)."""

    walls: tuple[Wall, ...]
    plaques: Array  # (k, 5)
    calcium: NDArray[np.float32]
    lipid: NDArray[np.float32]

    def fields_at(self, points: Array) -> tuple[Array, Array]:
        """Both random fields (SD 1, periodic) at points ``(n, 3)`` in mm."""
        at = (points / FIELD_MM).T
        one = map_coordinates(self.calcium, at, order=1, mode="grid-wrap")
        return one, map_coordinates(self.lipid, at, order=1, mode="grid-wrap")


def draw_disease(tubes: Sequence[Tube], target_mm3: float, rng: np.random.Generator) -> Disease:
    """Add plaques to the arteries until the volume between the circles reaches ``target_mm3``."""
    thin = rng.uniform(0.35, 0.7)
    walls = [_healthy(t, thin, rng) for t in tubes]
    arteries = [i for i, t in enumerate(tubes) if not t.vein]
    weight = np.array([len(tubes[i].points_mm) * tubes[i].radius_mm[0] ** 2 for i in arteries])
    plaques: list[list[float]] = []
    for _ in range(120):
        missing = target_mm3 - sum(walls[i].plaque_mm3() for i in arteries)
        if missing < 2:
            break
        i = arteries[int(rng.choice(len(arteries), p=weight / weight.sum()))]
        new = _with_plaque(walls[i], tubes[i], len(plaques), rng)
        if new.plaque_mm3() - walls[i].plaque_mm3() > 1.4 * missing + 5:
            continue
        walls[i] = new
        plaques.append(_kind(rng))
    table = np.array(plaques).reshape(-1, 5)
    return Disease(tuple(walls), table, _field(1.6, rng), _field(2.2, rng))


def _healthy(tube: Tube, thin: float, rng: np.random.Generator) -> Wall:
    r = tube.radius_mm
    wall = np.full(len(r), 0.25) if tube.vein else thin * (0.5 + 0.5 * r / r.max())
    zero = np.zeros(len(r))
    return Wall(r, r, zero, zero + rng.uniform(-3, 3), wall, np.full(len(r), -1))


def _with_plaque(wall: Wall, tube: Tube, index: int, rng: np.random.Generator) -> Wall:
    n = len(wall.lumen_mm)
    s = np.arange(n) * STEP_MM
    length = rng.uniform(5, 16) if rng.random() < 0.7 else rng.uniform(16, 45)  # focal or diffuse
    length = min(length, 0.8 * s[-1])
    x = (s - rng.beta(1.0, 1.8) * (s[-1] - length)) / length
    inside = (x > 0) & (x < 1)
    p, q = rng.uniform(0.6, 2.2, 2)
    shape = np.where(inside, np.clip(x, 0, 1) ** p * np.clip(1 - x, 0, 1) ** q, 0)
    rough = gaussian_filter1d(rng.normal(size=n), 6)
    shape = (
        shape / max(shape.max(), 1e-9) * (1 + 0.25 * rough / max(rough.std(), 1e-9)).clip(0.3, 1.6)
    )
    burden = (rng.uniform(0.15, 0.75) * shape).clip(0, 0.82)
    growth = 1 + (rng.uniform(0.95, 1.6) - 1) * shape
    membrane = tube.radius_mm * np.sqrt(growth)
    lumen = membrane * np.sqrt(1 - burden)
    thicker = inside & (membrane - lumen > wall.membrane_mm - wall.lumen_mm + 0.02)
    eccentric = rng.beta(2.0, 1.0) * 0.97
    angle = rng.uniform(-np.pi, np.pi) + rng.normal(0, 0.06) * (s - s[n // 2])
    offset = eccentric * (membrane - lumen)

    def take(new: Array, old: Array) -> Array:
        return np.where(thicker, new, old)

    return Wall(
        take(lumen, wall.lumen_mm),
        take(membrane, wall.membrane_mm),
        take(offset, wall.offset_mm),
        take(angle, wall.angle),
        wall.wall_mm,
        np.where(thicker, index, wall.kind),
    )


def _kind(rng: np.random.Generator) -> list[float]:
    calcium = rng.choice([9.0, rng.uniform(1.6, 2.3), rng.uniform(0.7, 1.4), rng.uniform(0, 0.6)])
    lipid = rng.choice([9.0, rng.uniform(0.5, 1.4)], p=[0.6, 0.4])
    hu = [rng.uniform(45, 140), rng.uniform(-30, 27), rng.uniform(400, 1500)]
    return [float(calcium), float(lipid), *hu]


def _field(scale_mm: float, rng: np.random.Generator) -> NDArray[np.float32]:
    noise = rng.normal(size=(FIELD_SIZE,) * 3).astype(np.float32)
    smooth = gaussian_filter(noise, scale_mm / FIELD_MM / 2.355, mode="wrap")
    return np.asarray(smooth / smooth.std(), np.float32)
