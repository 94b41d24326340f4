"""Beam hardening and scatter: dark bands between dense things, cupping, streaks from metal.

A scanner corrects for water; what is denser hardens the beam further, and rays through much of
it read too low. To first order the missing attenuation of a ray grows with the square of its
line integral ``p`` of the excess over soft tissue (bone and iodine alike: Joseph and Ruth 1997,
doi 10.1118/1.597970), and scatter adds the share ``sigma`` of an unattenuated
ray's signal behind dense things: ``e(p) = -beta p^2 - log((1 + sigma exp(p)) / (1 + sigma))``.
Filtered back-projection of ``e`` is the artefact. It is smooth but for metal, so it is
computed at about 1.2 mm, in parallel rays.
"""

# mypy: disallow-untyped-decorators=False
from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit, prange

if TYPE_CHECKING:
    from numpy.typing import NDArray

WATER_PER_MM = 0.02
"""Attenuation of water at 65-70 keV (NIST XCOM)."""
SOFT_HU = 120.0
"""What lies above counts as dense: contrast, calcium, bone, metal."""
METAL_HU = 20000.0
"""No ray is hardened beyond this: detectors run dry before."""
COARSE_MM = (2.5, 1.2)
"""Size of the coarse grid's voxels across and in the plane."""


def coarse_steps(spacing_zyx_mm: tuple[float, float, float]) -> tuple[int, int]:
    """Voxels of the image in one voxel of the coarse grid: along z, and in the plane."""
    return (
        max(1, round(COARSE_MM[0] / spacing_zyx_mm[0])),
        max(1, round(COARSE_MM[1] / spacing_zyx_mm[1])),
    )


def pool(image: NDArray[np.float32], steps: tuple[int, int]) -> NDArray[np.float32]:
    """Mean over blocks of ``(steps[0], steps[1], steps[1])`` voxels; leftovers are dropped."""
    z, p = steps
    n = [max(1, s // k) for s, k in zip(image.shape, (z, p, p), strict=True)]
    part = image[: n[0] * z, : n[1] * p, : n[2] * p]
    return np.asarray(
        part.reshape(n[0], min(z, part.shape[0]), n[1], p, n[2], p).mean((1, 3, 5)), np.float32
    )


def hardening_hu(
    coarse_hu: NDArray[np.float32], pixel_mm: float, beta: float, sigma: float, views: int = 120
) -> NDArray[np.float32]:
    """HU to add to each voxel of a coarse sharp image ``(z, n, n)`` of a true scene."""
    dense = np.clip(coarse_hu, SOFT_HU, METAL_HU).astype(np.float32) - np.float32(SOFT_HU)
    dense *= np.float32(WATER_PER_MM / 1000)
    rays = project(dense, pixel_mm, views)
    error = -beta * rays**2 - np.log((1 + sigma * np.exp(rays)) / (1 + sigma))
    filtered = _ramp(error, pixel_mm).astype(np.float32)
    return np.asarray(
        back_project(filtered, dense.shape[1:]) * np.float32(1000 / WATER_PER_MM), np.float32
    )


@njit(cache=True, parallel=True)
def project(image: Any, pixel_mm: float, views: int) -> Any:
    """Line integrals ``(z, views, detectors)`` of ``image`` (z, y, x) along parallel rays."""
    nz, ny, nx = image.shape
    n = math.ceil(math.sqrt(ny * ny + nx * nx))
    out = np.zeros((nz, views, n), np.float32)
    for z in prange(nz):
        for v in range(views):
            c, s = math.cos(math.pi * v / views), math.sin(math.pi * v / views)
            for d in range(n):
                t = d - 0.5 * (n - 1)
                total = 0.0
                for k in range(n):
                    u = k - 0.5 * (n - 1)
                    x = t * c - u * s + 0.5 * (nx - 1)
                    y = t * s + u * c + 0.5 * (ny - 1)
                    if x < 0 or y < 0 or x >= nx - 1 or y >= ny - 1:
                        continue
                    x0, y0 = int(x), int(y)
                    a, b = x - x0, y - y0
                    total += (image[z, y0, x0] * (1 - a) + image[z, y0, x0 + 1] * a) * (1 - b) + (
                        image[z, y0 + 1, x0] * (1 - a) + image[z, y0 + 1, x0 + 1] * a
                    ) * b
                out[z, v, d] = total * pixel_mm
    return out


def _ramp(rays: NDArray[np.floating[Any]], pixel_mm: float) -> NDArray[np.float64]:
    """Ramp filter of Ram and Lakshminarayanan, along the detector."""
    n = rays.shape[-1]
    size = 1 << int(np.ceil(np.log2(2 * n)))
    at = np.fft.fftfreq(size, 1 / size)
    kernel = np.zeros(size)
    kernel[0] = 0.25
    odd = at % 2 == 1
    kernel[odd] = -1 / (np.pi * at[odd]) ** 2
    response = np.fft.rfft(kernel).real
    spectrum = np.fft.rfft(rays, size, axis=-1) * response
    return np.asarray(np.fft.irfft(spectrum, size, axis=-1)[..., :n] / pixel_mm)


@njit(cache=True, parallel=True)
def back_project(rays: Any, shape: Any) -> Any:
    """Mean over views, times pi, of filtered ``rays`` at each pixel."""
    nz, views, n = rays.shape
    ny, nx = shape
    out = np.zeros((nz, ny, nx), np.float32)
    for z in prange(nz):
        for v in range(views):
            c, s = math.cos(math.pi * v / views), math.sin(math.pi * v / views)
            for y in range(ny):
                t = (y - 0.5 * (ny - 1)) * s - 0.5 * (nx - 1) * c + 0.5 * (n - 1)
                for x in range(nx):
                    at = t + x * c
                    k = int(at)
                    if k < 0 or k >= n - 1:
                        continue
                    w = at - k
                    out[z, y, x] += rays[z, v, k] * (1 - w) + rays[z, v, k + 1] * w
        for y in range(ny):
            for x in range(nx):
                out[z, y, x] *= math.pi / views
    return out
