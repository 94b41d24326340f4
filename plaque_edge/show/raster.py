"""A software rasteriser for vessel trees: spheres along the centerlines, z-buffer, shading.

No OpenGL: it runs on any workstation, over remote desktop and in tests. Sections lie closer
together than their radius, so the spheres merge into tubes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.quantify.jit import jit

if TYPE_CHECKING:
    from numpy.typing import NDArray

AMBIENT, DIFFUSE, SHINE = 0.32, 0.62, 0.28
LIGHT = (-0.38, -0.48, 0.79)
"""Unit vector towards the light: from the left, above and the front (x right, y down)."""


@dataclass(frozen=True, slots=True)
class Tubes:
    """N spheres: centres ``(N, 3)`` (z, y, x), radii ``(N,)``, colours ``(N,)`` 0xFFRRGGBB."""

    centers_mm: NDArray[np.float64]
    radius_mm: NDArray[np.float64]
    color: NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Camera:
    """Parallel projection. At yaw and pitch 0 one looks from the front: patient's left is right.

    ``yaw`` turns about the head-foot axis, ``pitch`` nods; radians. ``centre_mm`` (z, y, x) is
    in the middle of the picture.
    """

    centre_mm: tuple[float, float, float]
    pixels_per_mm: float
    yaw: float = 0.0
    pitch: float = 0.0

    def matrix(self) -> NDArray[np.float64]:
        """Rows: screen x (right), y (down), depth (towards the viewer), over (z, y, x) mm."""
        cy, sy = math.cos(self.yaw), math.sin(self.yaw)
        cp, sp = math.cos(self.pitch), math.sin(self.pitch)
        right = np.array([0.0, -sy, cy])
        towards = np.array([0.0, -cy, -sy])
        down = np.array([-1.0, 0.0, 0.0])
        return np.stack([right, cp * down - sp * towards, sp * down + cp * towards])

    def project(self, points_mm: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
        """Pixels (x, y, depth) ``(n, 3)`` of points ``(n, 3)`` in a picture of (rows, columns)."""
        seen: NDArray[np.float64] = (
            (points_mm - np.array(self.centre_mm)) @ self.matrix().T * self.pixels_per_mm
        )
        seen[:, :2] += 0.5 * np.array([size[1], size[0]])
        return seen


@dataclass(frozen=True, slots=True)
class Picture:
    """``pixels`` 0xFFRRGGBB and ``sphere`` (index, -1: nothing there), both ``(rows, columns)``."""

    pixels: NDArray[np.uint32]
    sphere: NDArray[np.int32]


def draw_tubes(tubes: Tubes, camera: Camera, size: tuple[int, int], ground: int) -> Picture:
    """Draw ``tubes`` on a plain ``ground`` 0xFFRRGGBB; ``size`` is (rows, columns)."""
    seen = camera.project(tubes.centers_mm, size)
    radius = np.maximum(tubes.radius_mm * camera.pixels_per_mm, 0.8)
    depth = np.full(size, -np.inf, np.float32)
    sphere = np.full(size, -1, np.int32)
    pixels = np.full(size, ground, np.uint32)
    _bury(seen, radius, depth, sphere)
    _shade(seen, radius, tubes.color.astype(np.uint32), sphere, pixels)
    return Picture(pixels, sphere)


@jit()
def _bury(seen: Any, radius: Any, depth: Any, sphere: Any) -> None:  # pragma: no cover
    rows, columns = depth.shape
    for i in range(seen.shape[0]):
        x, y, z, r = seen[i, 0], seen[i, 1], seen[i, 2], radius[i]
        for row in range(max(0, math.ceil(y - r)), min(rows - 1, math.floor(y + r)) + 1):
            dy = row - y
            reach = r * r - dy * dy
            if reach < 0.0:
                continue
            wide = math.sqrt(reach)
            for col in range(
                max(0, math.ceil(x - wide)), min(columns - 1, math.floor(x + wide)) + 1
            ):
                dx = col - x
                near = np.float32(z + math.sqrt(max(0.0, reach - dx * dx)))
                if near > depth[row, col]:
                    depth[row, col] = near
                    sphere[row, col] = i


@jit()
def _shade(
    seen: Any, radius: Any, color: Any, sphere: Any, pixels: Any
) -> None:  # pragma: no cover
    rows, columns = sphere.shape
    half = math.sqrt(LIGHT[0] ** 2 + LIGHT[1] ** 2 + (LIGHT[2] + 1.0) ** 2)
    for row in range(rows):
        for col in range(columns):
            i = sphere[row, col]
            if i < 0:
                continue
            nx, ny = (col - seen[i, 0]) / radius[i], (row - seen[i, 1]) / radius[i]
            nz = math.sqrt(max(0.0, 1.0 - nx * nx - ny * ny))
            lit = max(0.0, nx * LIGHT[0] + ny * LIGHT[1] + nz * LIGHT[2])
            towards = max(0.0, (nx * LIGHT[0] + ny * LIGHT[1] + nz * (LIGHT[2] + 1.0)) / half)
            body = AMBIENT + DIFFUSE * lit
            gloss = 255.0 * SHINE * towards**24
            out = np.uint32(0xFF000000)
            for shift in (16, 8, 0):
                channel = (color[i] >> np.uint32(shift)) & np.uint32(0xFF)
                value = np.uint32(min(255.0, channel * body + gloss))
                out |= value << np.uint32(shift)
            pixels[row, col] = out
