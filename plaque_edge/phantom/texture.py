"""Noise that isn't the same everywhere: iterative reconstruction, shoulders, rings.

Iterative reconstructions leave less noise, of lower frequency (Li, Tang and Chen, Med Phys 2014,
doi 10.1118/1.4867863), "blotchy" to the eye; what keeps edges sharp leaves more of it there.
Photon starvation at the shoulders adds streaks from side to side; detectors out of balance add
rings.
"""

# mypy: disallow-untyped-decorators=False
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit, prange
from scipy.ndimage import gaussian_filter, gaussian_filter1d

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Texture:
    """How noise departs from an even, band-passed one."""

    blotchy: float = 0.0
    """Share of the noise's variance that is of low frequency."""
    blotch_mm: float = 3.0
    edges: float = 0.0
    """How much more noise at strong edges than in even tissue (1: twice as much)."""
    smoothing: float = 0.0
    """Range of the edge-preserving filter in units of the noise; 0 for none."""
    uneven: float = 0.0
    """Slow changes of the noise across the image, as a share of it."""
    shoulder_hu: float = 0.0
    ring_hu: float = 0.0


def band_response(
    f_z: Any, f_plane: Any, grain_mm: float, psf_z_mm: float
) -> NDArray[np.floating[Any]]:
    """Amplitude of the noise over frequency (1/mm): band-passed in plane, blurred along z."""
    response = np.exp(-2 * (np.pi * f_plane * grain_mm * 0.42) ** 2) * (
        0.15 + np.minimum(1, f_plane * grain_mm * 2.2)
    )
    return np.asarray(response * np.exp(-2 * (np.pi * f_z * psf_z_mm * 0.42) ** 2))


def noise_cube(
    spacing_zyx_mm: tuple[float, float, float],
    grain_mm: float,
    psf_z_mm: float,
    texture: Texture,
    rng: np.random.Generator,
    size: int = 144,
) -> NDArray[np.float32]:
    """Periodic noise with SD 1 whose power is the band's and the blotches' in their shares."""
    f = np.meshgrid(
        *[np.fft.fftfreq(size, d) for d in spacing_zyx_mm[:2]],
        np.fft.rfftfreq(size, spacing_zyx_mm[2]),
        indexing="ij",
    )
    plane = np.hypot(f[1], f[2])
    band = band_response(f[0], plane, grain_mm, psf_z_mm)
    low = np.exp(-2 * (np.pi * np.hypot(plane, f[0]) * texture.blotch_mm * 0.42) ** 2)
    power = (1 - texture.blotchy) * band**2 / _mean_power(band, size)
    power += texture.blotchy * low**2 / _mean_power(low, size)
    white = rng.normal(size=(size, size, size)).astype(np.float32)
    noise = np.fft.irfftn(np.fft.rfftn(white) * np.sqrt(power), s=white.shape, axes=(0, 1, 2))
    return np.asarray(noise / noise.std(), np.float32)


def _mean_power(response: NDArray[np.floating[Any]], size: int) -> float:
    """Mean of the squared response over the full spectrum of a real image."""
    twice = np.full(response.shape[-1], 2.0)
    twice[0] = 1
    if size % 2 == 0:
        twice[-1] = 1
    return float((response**2 * twice).sum() / size**3)


def noise_map(
    coarse_hu: NDArray[np.float32], texture: Texture, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Noise of each coarse voxel relative to the scan's: more at edges, slowly uneven."""
    out = np.ones(coarse_hu.shape, np.float32)
    if texture.edges > 0:
        soft = np.clip(coarse_hu, -200, 700)
        edge = sum(np.abs(np.gradient(soft, axis=a)) for a in range(3) if soft.shape[a] > 1)
        out *= 1 + texture.edges * np.clip(gaussian_filter(edge, 0.7) / 250, 0, 1)
    if texture.uneven > 0:
        slow = gaussian_filter(rng.normal(size=coarse_hu.shape), 14)
        out *= 1 + texture.uneven * np.clip(slow / max(slow.std(), 1e-6), -2, 2) / 2
    return out


def streak_tile(
    spacing_zyx_mm: tuple[float, float, float], rng: np.random.Generator, size: int = 192
) -> NDArray[np.float32]:
    """Periodic noise with SD 1, drawn out from side to side."""
    tile = rng.normal(size=(48, size, size)).astype(np.float32)
    for axis, width in enumerate((0.6, 0.6, 22.0)):
        tile = gaussian_filter1d(tile, width / spacing_zyx_mm[axis] / 2.355, axis=axis, mode="wrap")
    return np.asarray(tile / tile.std(), np.float32)


def ring_table(rng: np.random.Generator, size: int = 400) -> NDArray[np.float32]:
    """HU of the rings over the radius in pixels, SD 1; most detectors are in balance."""
    table = rng.normal(size=size) * (rng.random(size) < 0.15)
    table = gaussian_filter1d(table, 0.6)
    return np.asarray(table / max(table.std(), 1e-6), np.float32)


@njit(cache=True)
def _at(grid: Any, z: float, y: float, x: float) -> Any:
    """Trilinear look-up of a coarse grid, held at its borders."""
    z = min(max(z, 0.0), grid.shape[0] - 1.0)
    y = min(max(y, 0.0), grid.shape[1] - 1.0)
    x = min(max(x, 0.0), grid.shape[2] - 1.0)
    z0, y0, x0 = int(z), int(y), int(x)
    z1 = min(z0 + 1, grid.shape[0] - 1)
    y1, x1 = min(y0 + 1, grid.shape[1] - 1), min(x0 + 1, grid.shape[2] - 1)
    c, b, a = z - z0, y - y0, x - x0
    low = (grid[z0, y0, x0] * (1 - a) + grid[z0, y0, x1] * a) * (1 - b) + (
        grid[z0, y1, x0] * (1 - a) + grid[z0, y1, x1] * a
    ) * b
    high = (grid[z1, y0, x0] * (1 - a) + grid[z1, y0, x1] * a) * (1 - b) + (
        grid[z1, y1, x0] * (1 - a) + grid[z1, y1, x1] * a
    ) * b
    return low * (1 - c) + high * c


@njit(cache=True, parallel=True)
def add_noise(
    image: Any,
    steps: Any,
    added: Any,
    level: Any,
    tile: Any,
    offset: Any,
    streaks: Any,
    streak_hu: Any,
    rings: Any,
    ring_hu: float,
) -> None:
    """Add to ``image`` in place: a coarse image ``added``, noise, streaks by height, and rings.

    ``level`` is the noise's SD on the same coarse grid as ``added``, ``steps`` image voxels a
    coarse one; ``streak_hu`` has one entry a slice.
    """
    n, ns = tile.shape[0], streaks.shape
    for z in prange(image.shape[0]):
        gz = (z + 0.5) / steps[0] - 0.5
        for y in range(image.shape[1]):
            gy = (y + 0.5) / steps[1] - 0.5
            for x in range(image.shape[2]):
                gx = (x + 0.5) / steps[1] - 0.5
                v = (
                    _at(added, gz, gy, gx)
                    + _at(level, gz, gy, gx)
                    * (tile[(z + offset[0]) % n, (y + offset[1]) % n, (x + offset[2]) % n])
                )
                if streak_hu[z] > 0:
                    v += streak_hu[z] * streaks[z % ns[0], y % ns[1], x % ns[2]]
                if ring_hu > 0:
                    r = math.sqrt((y - 0.5 * image.shape[1]) ** 2 + (x - 0.5 * image.shape[2]) ** 2)
                    v += ring_hu * rings[min(int(r), rings.size - 1)]
                image[z, y, x] += v


@njit(cache=True, parallel=True)
def keep_edges(image: Any, range_hu: float, out: Any) -> None:
    """Mean over 3 x 3 x 3 voxels, those that differ by much more than ``range_hu`` left out."""
    nz, ny, nx = image.shape
    inverse = 1.0 / (range_hu * range_hu)
    for z in prange(nz):
        for y in range(ny):
            for x in range(nx):
                here = image[z, y, x]
                total, weight = here, 1.0
                for k in range(max(z - 1, 0), min(z + 2, nz)):
                    for j in range(max(y - 1, 0), min(y + 2, ny)):
                        for i in range(max(x - 1, 0), min(x + 2, nx)):
                            d = image[k, j, i] - here
                            if k != z or j != y or i != x:
                                w = d * d * inverse
                                w = 0.7 / (1.0 + w * w)
                                total += w * image[k, j, i]
                                weight += w
                out[z, y, x] = total / weight
