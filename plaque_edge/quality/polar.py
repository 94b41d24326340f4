"""Straightened cross-sections seen from the middle of the lumen: rays, their edges, their peaks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.quantify.jit import jit, prange

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plaque_edge.types import StraightBranch

RAYS = 24
RAY_STEP_MM = 0.25
RAY_STEPS = 21
"""Rays of 5 mm: beyond lies what no longer belongs to the vessel."""
_CENTER_STEPS = 3
"""The first 0.5 mm is lumen."""
_EDGE = 0.85, 0.65
_CALCIUM_HU = 120.0
"""Brighter than the lumen by this, a ray meets calcium or a stent."""
_SOFT_HU = 185.0
"""Brighter than plaque without calcium (up to 155 HU) and its noise: where blood is dark, 65 % of
its height lies below, and plaque would be taken for a smeared edge."""
_LEAST_FALL_HU = 15.0
"""Between the two heights; less is noise."""
_AS_WIDE = 1.3
"""Makes a sharp edge as wide by its steepest fall as by the way between its two heights."""
_LEAST_HEIGHT_HU = 250.0
"""Between lumen and surroundings; less is no edge that could be judged."""


@dataclass(frozen=True, slots=True)
class Polar:
    """What the rays of one branch show; ``n`` sections, :data:`RAYS` rays.

    ``center_hu`` is float32 ``(n,)``; ``line_hu`` ``(n, rays, steps)`` each ray from the middle
    outwards; ``edge_mm`` ``(n, rays)`` how wide the edge of the lumen is, NaN where there is none
    or calcium lies beside it. It is the narrower of two: the way from 85 to 65 % of the lumen's
    height over the darkest point of the ray (not below :data:`_SOFT_HU`), and that share of the
    height at the ray's steepest fall. A smeared edge is wide by both; plaque beside the lumen
    puts a foot to the edge but leaves one of its two falls steep.
    """

    center_hu: NDArray[np.float32]
    line_hu: NDArray[np.float32]
    edge_mm: NDArray[np.float32]


def look_round(branch: StraightBranch) -> Polar:
    """Send rays from the middle of every cross-section."""
    n = len(branch.hu)
    center = np.empty(n, np.float32)
    lines = np.empty((n, RAYS, RAY_STEPS), np.float32)
    edge = np.empty((n, RAYS), np.float32)
    _rays(branch.hu, RAY_STEP_MM / branch.pixel_mm, center, lines, edge)
    return Polar(center, lines, edge)


def ray_heights(branch: StraightBranch) -> NDArray[np.float64]:
    """How much each ray points along the body, 0..1: ``(n, rays)``."""
    angle = 2 * np.pi * np.arange(RAYS) / RAYS
    along = np.cos(angle) * branch.u[:, :1] + np.sin(angle) * branch.v[:, :1]
    return np.abs(np.asarray(along, np.float64))


@jit(parallel=True)
def _rays(hu: Any, step: float, center: Any, lines: Any, edge: Any) -> None:
    n, height, width = hu.shape
    for i in prange(n):
        line = lines[i]
        middle = 0.0
        for r in range(RAYS):
            angle = 2 * math.pi * r / RAYS
            for k in range(RAY_STEPS):
                y = 0.5 * (height - 1) + math.cos(angle) * k * step
                x = 0.5 * (width - 1) + math.sin(angle) * k * step
                y0 = min(max(int(y), 0), height - 2)
                x0 = min(max(int(x), 0), width - 2)
                fy, fx = y - y0, x - x0
                line[r, k] = (hu[i, y0, x0] * (1 - fx) + hu[i, y0, x0 + 1] * fx) * (1 - fy) + (
                    hu[i, y0 + 1, x0] * (1 - fx) + hu[i, y0 + 1, x0 + 1] * fx
                ) * fy
            for k in range(_CENTER_STEPS):
                middle += line[r, k]
        middle /= RAYS * _CENTER_STEPS
        center[i] = middle
        for r in range(RAYS):
            edge[i, r] = _edge(line[r], middle)


@jit()
def _edge(line: Any, middle: float) -> float:
    """Way in mm between the two heights; NaN without an edge."""
    low = top = line[4]
    for k in range(2, RAY_STEPS):
        top = max(top, line[k])
        if k >= 4:
            low = min(low, line[k])
    height = middle - low
    if height < _LEAST_HEIGHT_HU or top > middle + _CALCIUM_HU:
        return math.nan
    share = _EDGE[0] - _EDGE[1]
    steep = _AS_WIDE * share * height / _steepest(line)
    above = low + _EDGE[0] * height
    below = max(low + _EDGE[1] * height, _SOFT_HU)
    if above - below < _LEAST_FALL_HU:
        return float(steep)
    way = (_crossing(line, below) - _crossing(line, above)) * share * height / (above - below)
    return float(min(way, steep))


@jit()
def _steepest(line: Any) -> float:
    """Steepest fall over two steps, HU per mm; 1 where nothing falls."""
    most = 1.0
    for k in range(1, RAY_STEPS - 2):
        most = max(most, (line[k] - line[k + 2]) / (2 * RAY_STEP_MM))
    return most


@jit()
def _crossing(line: Any, level: float) -> float:
    """Way in mm to where the ray first falls below a level; NaN where it doesn't."""
    for k in range(1, RAY_STEPS):
        if line[k] < level:
            before = line[k - 1]
            if before <= level:
                return (k - 1) * RAY_STEP_MM
            return float((k - 1 + (before - level) / (before - line[k])) * RAY_STEP_MM)
    return math.nan
