"""Curved reformats and cross-sections: CT and labels sampled along lines through the scan.

Straightened: every column is one cross-section's line. Stretched: the surface swept by a fixed
direction along the centerline, unrolled, so that lengths along the vessel and across are true
(Kanitsar et al. 2002, doi:10.1109/VISUAL.2002.1183754).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.quantify.jit import jit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plaque_edge.export.overlay import Stack
    from plaque_edge.show.branches import BranchView

AIR_HU = -1024
EDGE = 1e-6
"""The outermost voxel is inside, whatever rounding says."""
LABELS = 6
"""Label codes 0 to 5 of the view's ``labels`` (see :mod:`plaque_edge.export.overlay`)."""


@dataclass(frozen=True, slots=True)
class Reformat:
    """A picture along a branch: ``hu`` int16 and ``labels`` uint8, both ``(across, along)``.

    Column k lies at step ``step[k]`` (fractional) of the branch and crosses its centerline in
    row ``row[k]``; a pixel is ``pixel_mm`` on both sides. ``direction`` ``(columns, 3)`` is the
    unit vector (z, y, x) along growing rows.
    """

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    step: NDArray[np.float64]
    row: NDArray[np.float64]
    direction: NDArray[np.float64]
    pixel_mm: float


def sample_lines(
    stack: Stack, base_mm: NDArray[np.float64], advance_mm: NDArray[np.float64], count: int
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Sample ``count`` points on each line ``base + i * advance``, both ``(lines, 3)`` (z, y, x).

    Returns trilinear HU and the label with the largest trilinear weight, each
    ``(lines, count)``; outside the scan :data:`AIR_HU` and 0.
    """
    origin, spacing = np.array(stack.origin_zyx_mm), np.array(stack.spacing_zyx_mm)
    base = np.ascontiguousarray((base_mm - origin) / spacing)
    advance = np.ascontiguousarray(advance_mm / spacing)
    hu = np.empty((len(base), count), np.int16)
    labels = np.empty((len(base), count), np.uint8)
    _sample(stack.hu, stack.labels, base, advance, hu, labels)
    return hu, labels


@jit()
def _sample(
    volume: Any, marks: Any, base: Any, advance: Any, hu: Any, labels: Any
) -> None:  # pragma: no cover - compiled
    depth, rows, columns = volume.shape
    vote = np.zeros(LABELS)
    for line in range(hu.shape[0]):
        for i in range(hu.shape[1]):
            z = base[line, 0] + i * advance[line, 0]
            y = base[line, 1] + i * advance[line, 1]
            x = base[line, 2] + i * advance[line, 2]
            inside = (
                -EDGE <= z <= depth - 1 + EDGE
                and -EDGE <= y <= rows - 1 + EDGE
                and -EDGE <= x <= columns - 1 + EDGE
            )
            if not inside:
                hu[line, i] = AIR_HU
                labels[line, i] = 0
                continue
            k, r, c = min(int(z), depth - 2), min(int(y), rows - 2), min(int(x), columns - 2)
            fz, fy, fx = z - k, y - r, x - c
            total = 0.0
            first = marks[k, r, c]
            mixed = False
            for a in range(2):
                wz = fz if a else 1.0 - fz
                for b in range(2):
                    wzy = wz * (fy if b else 1.0 - fy)
                    total += wzy * (
                        (1.0 - fx) * volume[k + a, r + b, c] + fx * volume[k + a, r + b, c + 1]
                    )
                    if marks[k + a, r + b, c] != first or marks[k + a, r + b, c + 1] != first:
                        mixed = True
            hu[line, i] = np.int16(math.floor(total + 0.5))
            labels[line, i] = first
            if mixed:
                vote[:] = 0.0
                for a in range(2):
                    for b in range(2):
                        w = (fz if a else 1.0 - fz) * (fy if b else 1.0 - fy)
                        vote[marks[k + a, r + b, c]] += w * (1.0 - fx)
                        vote[marks[k + a, r + b, c + 1]] += w * fx
                best = 0
                for label in range(1, LABELS):
                    if vote[label] > vote[best]:
                        best = label
                labels[line, i] = best


def straightened(
    stack: Stack, branch: BranchView, angle: float, half_mm: float = 8.0, pixel_mm: float = 0.2
) -> Reformat:
    """Reformat with the vessel as a straight line, cut at ``angle`` radians from ``u``.

    One column per ``pixel_mm`` along the vessel, ``half_mm`` to each side of it.
    """
    along = np.arange(0.0, branch.length_mm + 1e-9, pixel_mm) / branch.step_mm
    direction = _at(math.cos(angle) * branch.u + math.sin(angle) * branch.v, along)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    half = round(half_mm / pixel_mm)
    base = _at(branch.centers_mm, along) - half * pixel_mm * direction
    hu, labels = sample_lines(stack, base, pixel_mm * direction, 2 * half + 1)
    row = np.full(len(along), float(half))
    return Reformat(_turn(hu), _turn(labels), along, row, direction, pixel_mm)


def stretched(
    stack: Stack, branch: BranchView, angle: float, margin_mm: float = 14.0, pixel_mm: float = 0.3
) -> Reformat:
    """Reformat on the surface swept by one direction along the vessel, unrolled to a plane.

    The direction is perpendicular to the vessel's chord; ``angle`` in radians turns it about
    the chord. ``margin_mm`` is shown beyond the vessel on both sides.
    """
    first, second = chord_axes(branch.centers_mm)
    line = math.cos(angle) * first + math.sin(angle) * second
    across = branch.centers_mm @ line
    delta = np.diff(branch.centers_mm, axis=0)
    flat = delta - (delta @ line)[:, None] * line
    unrolled = np.r_[0.0, np.cumsum(np.maximum(np.linalg.norm(flat, axis=1), 1e-6))]
    even = np.arange(0.0, unrolled[-1] + 1e-9, pixel_mm)
    along = np.interp(even, unrolled, np.arange(len(branch), dtype=float))
    low = float(across.min()) - margin_mm
    count = math.ceil((float(across.max()) + margin_mm - low) / pixel_mm) + 1
    centre = np.interp(along, np.arange(len(branch)), across)
    base = _at(branch.centers_mm, along) + (low - centre)[:, None] * line
    direction = np.broadcast_to(line, base.shape)
    hu, labels = sample_lines(stack, base, pixel_mm * direction, count)
    return Reformat(_turn(hu), _turn(labels), along, (centre - low) / pixel_mm, direction, pixel_mm)


def cross_section(
    stack: Stack, branch: BranchView, step: float, half_mm: float = 6.0, pixel_mm: float = 0.15
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """CT and labels of one cross-section, square ``(pixels, pixels)``, ``u`` down, ``v`` right."""
    at = np.array([step])
    half = round(half_mm / pixel_mm)
    centre, u, v = _at(branch.centers_mm, at)[0], _at(branch.u, at)[0], _at(branch.v, at)[0]
    offset = (np.arange(2 * half + 1) - half) * pixel_mm
    base = centre + offset[:, None] * u - half * pixel_mm * v
    return sample_lines(stack, base, np.tile(pixel_mm * v, (len(base), 1)), len(base))


def chord_axes(
    centers_mm: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two unit vectors perpendicular to the line from the first point to the last."""
    chord = centers_mm[-1] - centers_mm[0]
    chord = chord / max(float(np.linalg.norm(chord)), 1e-9)
    helper = np.eye(3)[int(np.argmin(np.abs(chord)))]
    first = np.cross(chord, helper)
    first /= np.linalg.norm(first)
    return first, np.cross(chord, first)


def _at(values: NDArray[np.float64], along: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values ``(n, 3)`` at fractional steps, linear in between."""
    steps = np.arange(len(values), dtype=float)
    return np.stack([np.interp(along, steps, values[:, k]) for k in range(3)], axis=1)


def _turn(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array.T)
