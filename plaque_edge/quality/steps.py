"""Step artefacts: neighbouring slices that don't fit each other, between slabs of heartbeats.

From slice to slice the image changes slowly. A step is one change that stands out against
those a few slices above and below. Divided by how steep the slice itself is, the change is a
displacement in mm: the one that would explain it. It is an estimate, too small for large
steps, and says nothing of a shift that lasts over many slices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.quality.lines import REPEAT
from plaque_edge.types import Level, QcCheck

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plaque_edge.quality.blocks import Blocks
    from plaque_edge.quality.limits import Limits

_STANDS_OUT = 1.4
"""How much larger than the changes near it a step is."""
_LEAST_SLICES = 12


def steps(
    blocks: Blocks, low_mm: NDArray[np.float64], high_mm: NDArray[np.float64], limits: Limits
) -> QcCheck:
    """Return the line on steps inside the box of the heart (z, y, x in mm)."""
    warn, refuse = limits.step_warn_mm, limits.step_refuse_mm
    said = f"pass up to {warn:g} mm between neighbouring slices, refused above {refuse:g} mm"
    first = np.floor((low_mm - blocks.origin_mm) / blocks.size_mm).astype(int).clip(0)
    last = np.ceil((high_mm - blocks.origin_mm) / blocks.size_mm).astype(int) + 1
    part = blocks.mean[tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))]
    if len(part) < _LEAST_SLICES or min(part.shape[1:]) < _LEAST_SLICES:
        text = "Whether there are steps is not known: too little of the heart is in the scan."
        return QcCheck("QC_STEPS", "warn", None, said, text, "Look for steps in the vessels.")
    found = displacements_mm(part, blocks.size_mm[1])
    worst = int(np.argmax(found))
    value = round(float(found[worst]), 2)
    count = int((found > warn).sum())
    if count == 0:
        return QcCheck("QC_STEPS", "pass", value, said, "No step between slices was seen.")
    z_mm = blocks.origin_mm[0] + (first[0] + worst + 0.5) * blocks.size_mm[0]
    level: Level = "refuse" if value > refuse else "warn"
    many = f"{count} steps" if count > 1 else "A step"
    text = f"{many} between slices, the largest about {value:.1f} mm at z {z_mm:.0f} mm."
    return QcCheck("QC_STEPS", level, value, said, text, REPEAT)


def displacements_mm(part: NDArray[np.float32], pixel_mm: float) -> NDArray[np.float64]:
    """Return the displacement behind each change from slice to slice, 0 where none stands out.

    ``part`` is ``(z, y, x)`` HU; the result ``(z - 1,)``. Slabs of another brightness are
    allowed for: each slice is fitted to the next by a factor and an offset.
    """
    change = _changes(part)
    usual = _around(change)
    gy, gx = np.gradient(part, pixel_mm, axis=(1, 2))
    steep = np.sqrt(np.mean(gy * gy + gx * gx, axis=(1, 2), dtype=np.float64))
    steep = 0.5 * (steep[:-1] + steep[1:])
    # In a random direction a shift d changes the image by d * gradient / sqrt(2).
    excess = np.sqrt(np.maximum(0.0, change**2 - usual**2))
    moved = np.sqrt(2.0) * excess / np.maximum(steep, 1e-6)
    return np.where(change > _STANDS_OUT * usual, moved, 0.0)


def _changes(part: NDArray[np.float32]) -> NDArray[np.float64]:
    """Root mean square of what remains when each slice is fitted to the next, in HU."""
    flat = part.reshape(len(part), -1)
    flat = flat - flat.mean(1, keepdims=True)
    own = np.einsum("zi,zi->z", flat, flat, dtype=np.float64)
    both = np.einsum("zi,zi->z", flat[:-1], flat[1:], dtype=np.float64)
    rest = own[1:] - both**2 / np.maximum(own[:-1], 1e-6)
    return np.asarray(np.sqrt(np.maximum(rest, 0.0) / flat.shape[1]))


def _around(change: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the largest change two to four slices away on either side."""
    padded = np.pad(change, 4)
    shifted = [padded[4 + k : 4 + k + len(change)] for k in (-4, -3, -2, 2, 3, 4)]
    return np.asarray(np.max(shifted, axis=0))
