"""Signs of a bypass operation: wires round the breastbone, and clips at the heart.

The grafts themselves are not looked for: they leave the aorta above the height at which most
coronary scans end. Without the breastbone in the scan nothing can be said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.types import QcCheck

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plaque_edge.quality.blocks import Blocks
    from plaque_edge.quality.metal import Piece

LEAST_WIRES, LEAST_CLIPS = 2, 3
_BONE_HU = 170.0
_BONE_MM2 = 40.0
"""Bone in front of the heart, in at least half of the slices."""


def grafts(blocks: Blocks, found: Sequence[Piece], heart_front_mm: float) -> QcCheck:
    """Return the line on bypass grafts; ``heart_front_mm`` is the heart's foremost y."""
    said = f"pass with fewer than {LEAST_WIRES} wires and {LEAST_CLIPS} clips; else warn"
    wires = sum(p.kind == "wire" for p in found)
    clips = sum(p.kind == "clip" for p in found)
    if wires >= LEAST_WIRES or clips >= LEAST_CLIPS:
        text = f"Like after an operation: {wires} wires in front of the heart, {clips} clips."
        next_step = "Ask for the history; plaque is not measured in grafts."
        return QcCheck("QC_GRAFT", "warn", float(wires + clips), said, text, next_step)
    if not _breastbone(blocks, heart_front_mm):
        text = "Whether there are bypass grafts is not known: the breastbone is not in the scan."
        return QcCheck("QC_GRAFT_UNKNOWN", "warn", None, said, text, "Ask for the history.")
    text = "No wires or clips of an operation were seen; grafts themselves are not looked for."
    return QcCheck("QC_GRAFT", "pass", float(wires + clips), said, text)


def _breastbone(blocks: Blocks, heart_front_mm: float) -> bool:
    rows = int((heart_front_mm - blocks.origin_mm[1]) / blocks.size_mm[1])
    if rows < 1:
        return False
    bone = (blocks.mean[:, :rows] > _BONE_HU).sum((1, 2)) * blocks.size_mm[1] * blocks.size_mm[2]
    return bool(np.median(bone) >= _BONE_MM2)
