"""From tissues to HU as a scanner shows them: chest, vessels, point spread, noise."""

# mypy: disallow-untyped-decorators=False
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit, prange
from scipy.ndimage import gaussian_filter1d

from plaque_edge.phantom.render import paint_tubes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plaque_edge.phantom.kernels import Scene
    from plaque_edge.phantom.tissue import Chest

AIR_HU = -1000.0


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """How the scan is taken and reconstructed. PSF values are full widths at half maximum."""

    spacing_zyx_mm: tuple[float, float, float]
    psf_mm: float
    psf_z_mm: float
    noise_hu: float
    noise_grain_mm: float
    sharpen: float
    motion: bool


@njit(cache=True, parallel=True)
def _paint_chest(
    fields: Any,
    hu: Any,
    texture_hu: Any,
    gradient: Any,
    texture: Any,
    grid_origin: Any,
    image: Any,
    origin: Any,
    spacing: Any,
) -> None:
    count, nz, ny, nx = fields.shape
    width = 0.6 * (spacing[1] + spacing[2])
    center = grid_origin + 2.0 * np.array([nz, ny, nx]) / 2
    for z in prange(image.shape[0]):
        pz = origin[0] + z * spacing[0]
        gz = min(max((pz - grid_origin[0]) / 2.0, 0.0), nz - 1.001)
        z0 = int(gz)
        wz = gz - z0
        active = np.empty(count, np.int64)
        line = np.empty((count + 1, 4), np.float32)
        for y in range(image.shape[1]):
            py = origin[1] + y * spacing[1]
            gy = min(max((py - grid_origin[1]) / 2.0, 0.0), ny - 1.001)
            y0 = int(gy)
            wy = gy - y0
            n, base, cell = 0, -1, -1
            for x in range(image.shape[2]):
                px = origin[2] + x * spacing[2]
                gx = min(max((px - grid_origin[2]) / 2.0, 0.0), nx - 1.001)
                x0 = int(gx)
                wx = gx - x0
                if x0 != cell:  # a new coarse cell: which structures have an edge in it?
                    cell, n, base = x0, 0, -1
                    for k in range(count - 1, -1, -1):
                        lo, hi = 1e9, -1e9
                        for a in range(2):
                            for b in range(2):
                                for c in range(2):
                                    f = fields[k, z0 + a, y0 + b, x0 + c]
                                    lo = min(lo, f)
                                    hi = max(hi, f)
                        if hi < -width:
                            base = k
                            break
                        if lo < width:
                            active[n] = k
                            n += 1
                    for m in range(n):
                        k = active[m]
                        for c in range(2):
                            line[m, c] = (
                                fields[k, z0, y0, x0 + c] * (1 - wy)
                                + fields[k, z0, y0 + 1, x0 + c] * wy
                            ) * (1 - wz) + (
                                fields[k, z0 + 1, y0, x0 + c] * (1 - wy)
                                + fields[k, z0 + 1, y0 + 1, x0 + c] * wy
                            ) * wz
                    for c in range(2):
                        line[count, c] = (
                            texture[z0, y0, x0 + c] * (1 - wy) + texture[z0, y0 + 1, x0 + c] * wy
                        ) * (1 - wz) + (
                            texture[z0 + 1, y0, x0 + c] * (1 - wy)
                            + texture[z0 + 1, y0 + 1, x0 + c] * wy
                        ) * wz
                grain = line[count, 0] * (1 - wx) + line[count, 1] * wx
                dz, dy, dx = pz - center[0], py - center[1], px - center[2]
                value = -1000.0
                if base >= 0:
                    value = (
                        hu[base]
                        + texture_hu[base] * grain
                        + gradient[base, 0] * dz
                        + gradient[base, 1] * dy
                        + gradient[base, 2] * dx
                    )
                for m in range(n - 1, -1, -1):
                    k = active[m]
                    d = line[m, 0] * (1 - wx) + line[m, 1] * wx
                    cover = min(1.0, max(0.0, 0.5 - d / width))
                    if cover > 0:
                        h = (
                            hu[k]
                            + texture_hu[k] * grain
                            + gradient[k, 0] * dz
                            + gradient[k, 1] * dy
                            + gradient[k, 2] * dx
                        )
                        value += cover * (h - value)
                image[z, y, x] = value


@njit(cache=True, parallel=True)
def _add_noise(image: Any, tile: Any, offset: Any, scale: Any, out: Any) -> None:
    n = tile.shape[0]
    for z in prange(image.shape[0]):
        for y in range(image.shape[1]):
            for x in range(image.shape[2]):
                v = (
                    image[z, y, x]
                    + scale * tile[(z + offset[0]) % n, (y + offset[1]) % n, (x + offset[2]) % n]
                )
                out[z, y, x] = int(min(3071.0, max(-1024.0, math.floor(v + 0.5))))


TILE = 144
"""Side of the periodic noise, voxels."""


def skip_acquisition(rng: np.random.Generator) -> None:
    """Advance a stream as :func:`acquire` does."""
    rng.normal(size=(TILE, TILE, TILE))
    rng.integers(0, TILE, 3)


def noise_tile(
    settings: ScanSettings, rng: np.random.Generator, size: int = TILE
) -> NDArray[np.float32]:
    """Periodic correlated noise with SD 1: band-passed, as filtered back-projection leaves it."""
    white = rng.normal(size=(size, size, size)).astype(np.float32)
    f = np.meshgrid(
        *[np.fft.fftfreq(size, d) for d in settings.spacing_zyx_mm[:2]],
        np.fft.rfftfreq(size, settings.spacing_zyx_mm[2]),
        indexing="ij",
    )
    inplane = np.sqrt(f[1] ** 2 + f[2] ** 2)
    grain = settings.noise_grain_mm
    response = np.exp(-2 * (np.pi * inplane * grain * 0.42) ** 2) * (
        0.15 + np.minimum(1, inplane * grain * 2.2)
    )
    response *= np.exp(-2 * (np.pi * f[0] * settings.psf_z_mm * 0.42) ** 2)
    noise = np.fft.irfftn(np.fft.rfftn(white) * response, s=white.shape, axes=(0, 1, 2))
    return np.asarray(noise / noise.std(), np.float32)


def blur(image: NDArray[np.float32], settings: ScanSettings) -> NDArray[np.float32]:
    """Point-spread function of the reconstruction kernel, with edge enhancement when sharp."""
    widths = (settings.psf_z_mm, settings.psf_mm, settings.psf_mm)
    out = image
    for axis, (fwhm, step) in enumerate(zip(widths, settings.spacing_zyx_mm, strict=True)):
        out = gaussian_filter1d(out, fwhm / 2.355 / step, axis=axis, truncate=3.0, mode="nearest")
    if settings.sharpen > 0:
        wide = out
        for axis in (1, 2):
            wide = gaussian_filter1d(
                wide, 0.7 / settings.spacing_zyx_mm[axis], axis=axis, truncate=2.5
            )
        out = out + settings.sharpen * (out - wide)
    return np.asarray(out)


def paint_chest(
    chest: Chest,
    shape_zyx: tuple[int, int, int],
    origin_zyx_mm: NDArray[np.float64],
    spacing_zyx_mm: tuple[float, float, float],
) -> NDArray[np.float32]:
    """HU of everything but the coronary vessels, sharp and without noise."""
    image = np.empty(shape_zyx, np.float32)
    _paint_chest(
        chest.fields,
        chest.hu,
        chest.texture_hu,
        chest.gradient,
        chest.texture,
        chest.origin_mm,
        image,
        origin_zyx_mm,
        np.array(spacing_zyx_mm),
    )
    return image


def paint_vessels(
    scene: Scene,
    image: NDArray[np.float32],
    origin_zyx_mm: NDArray[np.float64],
    settings: ScanSettings,
) -> None:
    """Paint the coronary vessels into ``image``, sharp, over the way they move."""
    spacing = np.array(settings.spacing_zyx_mm)
    # Motion smears more than sub-voxels resolve, so it is worth fewer of them.
    sub = np.maximum(1, np.ceil(spacing / (0.26 if settings.motion else 0.17))).astype(np.int64)
    phases = np.linspace(-1, 1, 4) if settings.motion else np.zeros(1)
    paint_tubes(scene, image, origin_zyx_mm, spacing, sub, phases)


def acquire(
    chest: Chest,
    scene: Scene,
    shape_zyx: tuple[int, int, int],
    origin_zyx_mm: NDArray[np.float64],
    settings: ScanSettings,
    rng: np.random.Generator,
) -> NDArray[np.int16]:
    """One reconstructed scan, int16 HU ``(z, y, x)``."""
    image = paint_chest(chest, shape_zyx, origin_zyx_mm, settings.spacing_zyx_mm)
    paint_vessels(scene, image, origin_zyx_mm, settings)
    image = blur(image, settings)
    out = np.empty(shape_zyx, np.int16)
    tile = noise_tile(settings, rng)
    _add_noise(image, tile, rng.integers(0, tile.shape[0], 3), settings.noise_hu, out)
    return out
