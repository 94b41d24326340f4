"""The fixed input of the parity gate: a heart of simple bodies, the same on every computer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from engines.manifest import Manifest

Array = NDArray[np.float32]
BLOOD_HU = 400.0
AIR, FAT, MUSCLE, SOFT, LIPID, WALL, CALCIUM = -950.0, -90.0, 110.0, 70.0, 10.0, 50.0, 900.0


def windows(manifest: Manifest, count: int) -> Array:
    """Return input ``(count, c, z, y, x)`` of a network, each window another view and noise."""
    views = [_scene(manifest, number) for number in range(count)]
    return np.stack([_channels(manifest.channels, hu) for hu in views])


def _channels(names: tuple[str, ...], hu: Array) -> Array:
    return np.stack([_channel(name, hu) for name in names]).astype(np.float32)


def _channel(name: str, hu: Array) -> Array:
    """Return HU as the named channel; one that is not known becomes soft tissue."""
    if "wall" in name:  # as of a patient whose wall is a little thicker than usual
        return np.full(hu.shape, 0.5, np.float32)
    if "blood" in name:
        return np.asarray(np.clip(hu / BLOOD_HU, -0.5, 2.0) * 0.4 + 0.2, np.float32)
    found = re.fullmatch(r"(-?\d+)\.\.(-?\d+) HU", name)
    low, high = (float(found[1]), float(found[2])) if found else (-200.0, 600.0)
    return np.asarray(np.clip((hu - low) / (high - low), 0, 1), np.float32)


def _scene(manifest: Manifest, number: int) -> Array:
    """HU ``(z, y, x)`` around a vessel that runs along z, at the network's own spacing."""
    shape, spacing = manifest.shape, manifest.spacing_mm
    z, y, x = np.meshgrid(
        *(
            (np.arange(n, dtype=np.float32) - n / 2) * s
            for n, s in zip(shape, spacing, strict=True)
        ),
        indexing="ij",
    )
    z = z + 6.0 * number  # another piece of the vessel
    hu = np.full(shape, AIR, np.float32)
    _around(hu, z, y, x)
    _vessel(hu, z, y - 0.6 * np.sin(z / 9), x + 0.8 * np.cos(z / 11))
    _vessel(hu, z + 9.0, y - 3.8 - z / 30, x + 3.0)
    noise = np.random.default_rng(number).standard_normal(shape, dtype=np.float32)
    return hu + np.float32(18.0) * noise


def _around(hu: Array, z: Array, y: Array, x: Array) -> None:
    """Add body, lungs, fat about the heart, muscle, a chamber, and an aorta beside the vessel."""
    hu[(y / 100) ** 2 + (x / 130) ** 2 < 1] = SOFT
    for side in (-1, 1):
        hu[((y - 10) / 75) ** 2 + ((x - side * 70) / 55) ** 2 + (z / 120) ** 2 < 1] = AIR + 80
    hu[((y - 8) / 58) ** 2 + ((x - 15) / 62) ** 2 + ((z + 12) / 62) ** 2 < 1] = FAT
    hu[((y - 22) / 36) ** 2 + ((x - 22) / 40) ** 2 + ((z + 22) / 46) ** 2 < 1] = MUSCLE
    hu[((y - 24) / 24) ** 2 + ((x - 24) / 27) ** 2 + ((z + 24) / 34) ** 2 < 1] = BLOOD_HU
    hu[((y - 3) ** 2 + (x + 17) ** 2 < 14**2) & (z > -8)] = BLOOD_HU


def _vessel(hu: Array, z: Array, y: Array, x: Array) -> None:
    """Add a lumen in its wall, with soft, fatty and calcified plaque by turns along z."""
    radius, angle = np.hypot(y, x), np.arctan2(y, x)
    turn = np.mod(z, 24.0)
    hu[radius < 2.3] = WALL
    thick = (turn > 4) & (turn < 12) & (np.abs(angle) < 1.9)
    hu[thick & (radius < 3.0)] = SOFT
    hu[thick & (turn > 7) & (radius > 1.5) & (radius < 2.5)] = LIPID
    hu[(radius < 1.7) & ~(thick & (radius > 1.2))] = BLOOD_HU
    spot = (turn > 15) & (turn < 20) & (np.abs(angle - 1.2) < 0.8)
    hu[spot & (radius > 1.2) & (radius < 2.6)] = CALCIUM
