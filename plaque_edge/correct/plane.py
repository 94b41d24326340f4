"""One cross-section: moved in its plane, seen from a pole, and given anew by drawn contours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.correct import contours
from plaque_edge.correct.edits import MIN_RADIUS_MM
from plaque_edge.quantify import sections
from plaque_edge.quantify.pack import MAX_EXCESS_MM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plaque_edge.types import HuRule

Pole = tuple[float, float]
BACKGROUND, OTHER, LUMEN, WALL, SOFT, LOW, CALCIUM = range(7)
"""Channels of the fractions (:data:`plaque_edge.types.WALL_CLASSES`)."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A contour as it holds in one section: ``weight`` 1 where it was drawn, less beside it.

    ``network_mm`` is the curve the network's own outline makes, seen from the same pole.
    """

    radii_mm: NDArray[np.float64]
    network_mm: NDArray[np.float64]
    pole_mm: Pole
    weight: float

    def share(self, network: NDArray[np.float64], pixel_mm: float) -> NDArray[np.float64]:
        """Share of each pixel inside: what was drawn, or the network's with the change added."""
        size = (network.shape[0], network.shape[1])
        drawn = contours.coverage(self.radii_mm, self.pole_mm, size, pixel_mm)
        if self.weight >= 1.0:
            return drawn
        before = contours.coverage(self.network_mm, self.pole_mm, size, pixel_mm)
        changed = np.clip(network + drawn - before, 0.0, 1.0)
        return (1.0 - self.weight) * changed + self.weight * drawn


@dataclass(frozen=True, slots=True)
class Tissue:
    """What the wall is made of where the network saw none: see :func:`redrawn`."""

    normal_wall_mm: float
    rule: HuRule


def displaced(
    images: NDArray[np.float32], offset_mm: Pole, pixel_mm: float, fill: float
) -> NDArray[np.float32]:
    """Images ``(k, h, w)`` as seen by a window moved by (u, v) mm; bilinear, ``fill`` outside."""
    row, column = (o / pixel_mm for o in offset_mm)
    reach = math.ceil(max(abs(row), abs(column))) + 1
    wide = np.pad(images, ((0, 0), (reach, reach), (reach, reach)), constant_values=fill)
    h, w = images.shape[1:]
    j, k = math.floor(row), math.floor(column)
    p, q = np.float32(row - j), np.float32(column - k)
    j, k = j + reach, k + reach
    above = (1 - q) * wide[:, j : j + h, k : k + w] + q * wide[:, j : j + h, k + 1 : k + 1 + w]
    below = (1 - q) * wide[:, j + 1 : j + 1 + h, k : k + w]
    below += q * wide[:, j + 1 : j + 1 + h, k + 1 : k + 1 + w]
    return np.asarray((1 - p) * above + p * below, np.float32)


def network_curves(
    fractions: NDArray[np.float32], pole_mm: Pole, pixel_mm: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lumen and outer wall of one section ``(7, h, w)`` as radii about a pole, in mm."""
    both = np.stack([fractions[LUMEN], fractions[LUMEN:].sum(axis=0)])
    seen = displaced(both, pole_mm, pixel_mm, 0.0)
    lumen, wall = sections.ray_lengths(np.ascontiguousarray(seen), pixel_mm)
    wall = np.minimum(wall, np.median(wall) + MAX_EXCESS_MM)
    lumen = np.minimum(lumen, wall)
    return np.maximum(lumen, MIN_RADIUS_MM), np.maximum(wall, MIN_RADIUS_MM)


def redrawn(
    fractions: NDArray[np.float32],
    hu: NDArray[np.float32],
    pixel_mm: float,
    lumen: Drawn | None,
    wall: Drawn | None,
    tissue: Tissue,
) -> NDArray[np.float32]:
    """Fractions ``(7, h, w)`` of a section whose lumen, outer wall or both were drawn.

    Lumen is what the lumen's curve holds, the vessel what the wall's holds. Between the two the
    network's composition stays wherever it saw wall or plaque. What it saw as something else is
    gained tissue: the outermost part of it becomes wall as far as the network's own wall there is
    thinner than a normal one, the rest plaque, of the kind its HU says. What is cut off becomes
    background, or the other vessel the network saw there.
    """
    f = fractions.astype(np.float64)
    vessel, inner = f[LUMEN:].sum(axis=0), f[LUMEN]
    pole = wall.pole_mm if wall is not None else lumen.pole_mm if lumen is not None else (0.0, 0.0)
    outer_mm = wall.radii_mm if wall is not None else network_curves(fractions, pole, pixel_mm)[1]
    if wall is not None:
        vessel = wall.share(vessel, pixel_mm)
    if lumen is not None:
        size = (hu.shape[0], hu.shape[1])
        drawn = lumen.share(inner, pixel_mm)
        # A side branch's lumen beyond this vessel's wall is no part of what was drawn.
        here = np.maximum(contours.coverage(outer_mm, pole, size, pixel_mm), drawn)
        inner = np.clip(drawn + (1.0 - here) * inner, 0.0, 1.0)
        if wall is None:
            vessel = np.maximum(vessel, inner)
    inner = np.minimum(inner, vessel)
    out = _ring(f, vessel - inner, hu, _need(f, outer_mm, pole, pixel_mm, tissue), tissue.rule)
    out[LUMEN] = inner
    outside, seen = 1.0 - vessel, f[BACKGROUND] + f[OTHER]
    other = np.divide(f[OTHER], seen, out=np.zeros_like(seen), where=seen > 0)
    out[OTHER] = outside * other
    out[BACKGROUND] = outside - out[OTHER]
    return out.astype(np.float32)


def _ring(
    f: NDArray[np.float64],
    ring: NDArray[np.float64],
    hu: NDArray[np.float32],
    wall_share: NDArray[np.float64],
    rule: HuRule,
) -> NDArray[np.float64]:
    """Fill what lies between lumen and outer wall, ``ring`` ``(h, w)``, with wall and plaque."""
    out = np.zeros_like(f)
    seen = f[WALL:].sum(axis=0)
    kept = np.minimum(seen, ring)
    scale = np.divide(kept, seen, out=np.zeros_like(seen), where=seen > 0)
    out[WALL:] = f[WALL:] * scale
    gained = ring - kept
    out[WALL] += gained * wall_share
    plaque = gained * (1.0 - wall_share)
    low, hard = hu < rule.low_attenuation_below, hu >= rule.calcified_from
    out[LOW] += np.where(low, plaque, 0.0)
    out[CALCIUM] += np.where(hard, plaque, 0.0)
    out[SOFT] += np.where(low | hard, 0.0, plaque)
    return out


def _need(
    f: NDArray[np.float64],
    outer_mm: NDArray[np.float64],
    pole_mm: Pole,
    pixel_mm: float,
    tissue: Tissue,
) -> NDArray[np.float64]:
    """Share ``(h, w)`` of gained tissue that is wall: the outermost, up to a normal wall."""
    h, w = f.shape[1:]
    angle = 2.0 * np.pi * np.arange(len(outer_mm)) / len(outer_mm)
    wall = displaced(f[WALL][None].astype(np.float32), pole_mm, pixel_mm, 0.0)[0]
    along = np.arange(0.0, float(outer_mm.max()) + pixel_mm, 0.5 * pixel_mm)
    rows = np.clip(np.rint(np.outer(np.cos(angle), along) / pixel_mm + 0.5 * (h - 1)), 0, h - 1)
    columns = np.clip(np.rint(np.outer(np.sin(angle), along) / pixel_mm + 0.5 * (w - 1)), 0, w - 1)
    there = wall[rows.astype(int), columns.astype(int)] * (along[None, :] <= outer_mm[:, None])
    missing = np.maximum(tissue.normal_wall_mm - there.sum(axis=1) * 0.5 * pixel_mm, 0.0)
    a = (np.arange(h) - 0.5 * (h - 1))[:, None] * pixel_mm - pole_mm[0]
    b = (np.arange(w) - 0.5 * (w - 1))[None, :] * pixel_mm - pole_mm[1]
    at = np.arctan2(b, a)
    depth = contours.radius_at(outer_mm, at) - np.hypot(a, b)
    closed = np.r_[missing, missing[0]]
    need = np.interp(at % (2.0 * np.pi), np.r_[angle, 2.0 * np.pi], closed)
    share = np.clip((need - depth) / pixel_mm + 0.5, 0.0, 1.0)
    return np.where(need > 0, share, 0.0)
