"""Calcium outside the coronary arteries: aortic valve and wall, mitral annulus, pericardium.

None of it is coronary plaque, so it has no part in the truth; where it would lie in a coronary
vessel it is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import map_coordinates

from plaque_edge.phantom.deposits import Deposit, join, nodule
from plaque_edge.phantom.tissue import GRID_MM, Chest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plaque_edge.phantom.anatomy import Anatomy

    Array = NDArray[np.float64]


def random_axes(rng: np.random.Generator) -> Array:
    """Three orthogonal unit vectors, as rows."""
    return np.asarray(np.linalg.qr(rng.normal(size=(3, 3)))[0])


def valve_calcium(anatomy: Anatomy, rng: np.random.Generator) -> Deposit:
    """Nodules on the leaflets: between the annulus and the sinotubular junction."""
    axis, radius = anatomy.root_mm, anatomy.root_radius_mm
    annulus = int(np.argmin(radius[: len(radius) // 2]))
    parts = []
    for _ in range(int(rng.integers(1, 9))):
        i = int(np.clip(annulus + rng.uniform(0, 13), 1, len(axis) - 2))
        along = axis[i + 1] - axis[i - 1]
        way = np.cross(along, rng.normal(size=3))
        way /= np.linalg.norm(way)
        center = axis[i] + way * radius[i] * rng.uniform(0.25, 0.97)
        size = rng.uniform(0.6, 3.0) * rng.uniform(0.5, 1.2, 3)
        parts.append(nodule(center, size, random_axes(rng), rng.uniform(500, 1500)))
    return join(parts)


def plate(
    chest: Chest, structure: str, center_mm: Array, size_mm: float, thick_mm: float, hu: float
) -> Deposit:
    """Plate of calcium on the surface of a structure of the chest, round ``center_mm``."""
    step = 0.3
    line = np.arange(-size_mm, size_mm, step)
    points = center_mm + np.stack(np.meshgrid(line, line, line, indexing="ij"), -1).reshape(-1, 3)
    where = ((points - chest.origin_mm) / GRID_MM).T
    field = map_coordinates(chest.field(structure), where, order=1, mode="nearest")
    ragged = 0.75 + 0.25 * np.sin(points @ np.array([1.1, 0.7, 0.9]))
    near = np.linalg.norm(points - center_mm, axis=1) < size_mm * ragged
    keep = near & (np.abs(field) < thick_mm / 2)
    n = int(keep.sum())
    return Deposit(points[keep], np.full(n, step**3), np.full(n, hu))


def surface_points(chest: Chest, *structures: str, near_mm: float = 1.5) -> Array:
    """Grid points that lie on the surfaces of all of these structures at once, ``(n, 3)``."""
    on = np.logical_and.reduce([np.abs(chest.field(s)) < near_mm for s in structures])
    return np.asarray(np.argwhere(on) * GRID_MM + chest.origin_mm)


def wall_plates(chest: Chest, structure: str, rng: np.random.Generator) -> Deposit:
    """Put a few plates on one structure's surface."""
    places = surface_points(chest, structure)
    parts = [
        plate(
            chest,
            structure,
            places[rng.integers(len(places))],
            rng.uniform(1.5, 7),
            rng.uniform(0.8, 2.2),
            rng.uniform(400, 1500),
        )
        for _ in range(int(rng.integers(1, 6)) if len(places) else 0)
    ]
    return join(parts)


def annular_calcium(chest: Chest, rng: np.random.Generator) -> Deposit:
    """Lumps along part of the ring where left atrium and ventricle meet (mitral annulus)."""
    ring = surface_points(chest, "la", "lv", near_mm=4.0)
    if not len(ring):
        return join([])
    first = ring[rng.integers(len(ring))]
    ring = ring[np.linalg.norm(ring - first, axis=1) < rng.uniform(6, 22)]
    picks = ring[rng.integers(len(ring), size=min(len(ring), int(rng.integers(2, 14))))]
    return join(
        [
            nodule(
                p + rng.normal(0, 0.7, 3),
                rng.uniform(0.8, 3.2) * rng.uniform(0.6, 1.2, 3),
                random_axes(rng),
                rng.uniform(500, 1600),
            )
            for p in picks
        ]
    )


def chest_calcium(
    chest: Chest, anatomy: Anatomy, chance: float, rng: np.random.Generator
) -> list[Deposit]:
    """Whichever of the four kinds this patient has."""
    parts = []
    if rng.random() < chance:
        parts.append(valve_calcium(anatomy, rng))
    for structure, rarer in (("aorta", 1.0), ("descending aorta", 1.0), ("pericardial fat", 0.3)):
        if rng.random() < chance * rarer:
            parts.append(wall_plates(chest, structure, rng))
    if rng.random() < chance * 0.6:
        parts.append(annular_calcium(chest, rng))
    return parts
