"""Metal by brightness and shape: leads, wires round the breastbone, clips, other large pieces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import ndimage

from plaque_edge.types import QcCheck

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plaque_edge.quality.blocks import Blocks
    from plaque_edge.quality.limits import Limits

Kind = Literal["lead", "wire", "clip", "other"]
_LEAD_MM = 50.0
"""A lead runs from a vein to the heart's wall; nothing else of metal in a chest is as long."""
_WIRE_MM = 8.0, 60.0
"""Width from left to right of a loop round the breastbone, or of what is seen of one."""
_FLAT = 0.7
"""A loop's height is at most this share of its width."""
_CLIP_MM = 9.0
_LEAST_BLOCKS = 2
"""A single bright voxel is noise or a calcification."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of metal: its middle and size (z, y, x) in mm, and what its shape says."""

    middle_mm: NDArray[np.float64]
    size_mm: NDArray[np.float64]
    kind: Kind


def pieces(blocks: Blocks, heart_front_mm: float, limits: Limits) -> tuple[Piece, ...]:
    """Return every piece of metal; wires are those in front of ``heart_front_mm`` (y)."""
    bright = blocks.top >= limits.metal_hu
    if not bright.any():
        return ()
    labels, _ = ndimage.label(bright, np.ones((3, 3, 3)))
    found = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if int((labels[box] == number).sum()) < _LEAST_BLOCKS:
            continue
        low = np.array([s.start for s in box]) * blocks.size_mm
        high = np.array([s.stop for s in box]) * blocks.size_mm
        middle = blocks.origin_mm + 0.5 * (low + high - np.array(blocks.size_mm))
        size = high - low
        found.append(Piece(middle, size, _kind(size, middle[1] < heart_front_mm)))
    return tuple(found)


def _kind(size_mm: NDArray[np.float64], in_front: bool) -> Kind:
    height, _, width = (float(v) for v in size_mm)
    length = float(np.linalg.norm(size_mm))
    if in_front and _WIRE_MM[0] <= width <= _WIRE_MM[1] and height <= max(12.0, _FLAT * width):
        return "wire"
    if length >= _LEAD_MM:
        return "lead"
    return "clip" if length <= _CLIP_MM else "other"


def metal(
    found: Sequence[Piece], low_mm: NDArray[np.float64], high_mm: NDArray[np.float64], least: float
) -> QcCheck:
    """Return the line on metal in or at the heart, whose box is given (z, y, x in mm)."""
    said = f"pass without metal (above {least:g} HU, larger than a clip) at the heart"
    near = [
        p
        for p in found
        if p.kind in ("lead", "other")
        and bool(((p.middle_mm > low_mm) & (p.middle_mm < high_mm)).all())
    ]
    if not near:
        return QcCheck("QC_METAL", "pass", 0.0, said, "No metal was seen at the heart.")
    leads = sum(p.kind == "lead" for p in near)
    what = [f"{leads} like a pacing lead"] if leads else []
    if len(near) > leads:
        what.append(f"{len(near) - leads} of another shape (valve, stent, device)")
    text = f"Metal at the heart: {', '.join(what)}. Its streaks falsify HU near it."
    next_step = "Look at the vessels near it; read their volumes with care."
    return QcCheck("QC_METAL", "warn", float(len(near)), said, text, next_step)
