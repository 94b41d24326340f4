"""How undecided the network is about what it measures: one feature of the intervals.

A pixel that is plaque with probability p adds p (1 - p) of its volume: nothing where the network
is sure, a quarter where it can't tell. Summed where a volume counts (``inside``) and, of plaque,
along the rest of the vessels (``outside``), with the plaque that is seen there and not counted
(``left_out``). Cross-sections are summed as they are, so that bends and forks count about right,
which is enough for a feature that is calibrated.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.quantify.jit import jit, prange
from plaque_edge.quantify.kernels import CLEAR, LUMEN, OTHER, PLAQUE, angle_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plaque_edge.quantify.grading import Profile
    from plaque_edge.quantify.pack import Packed
    from plaque_edge.types import Softness

PARTS = ("plaque", "calcified", "noncalcified", "low_attenuation", "lumen", "vessel")
"""Volumes that have an interval, in the order of the columns here; the first four are gated."""
GATED = PARTS[:4]
_VOLUME_COLUMNS = {
    "plaque": (2, 3, 4),
    "calcified": (4,),
    "noncalcified": (2, 3),
    "low_attenuation": (3,),
}
"""Columns of a profile's volumes that make up each gated part (:data:`kernels.COLUMNS`)."""


@jit(parallel=True)
def undecided(tree: Any) -> NDArray[np.float64]:
    """Sum of p (1 - p) over each cross-section in mm², float64 ``(N, 6)`` by :data:`PARTS`.

    Only pixels within the vessel's reach that don't mainly belong to another vessel count.
    """
    out = np.zeros((tree.centers.shape[0], 6))
    for i in prange(tree.centers.shape[0]):
        n = tree.branch[i]
        h, w = tree.size[n, 0], tree.size[n, 1]
        channel = (tree.first[n + 1] - tree.first[n]) * h * w
        base = tree.offset[n] + (i - tree.first[n]) * h * w
        pixel = tree.pixel_mm[n]
        p = np.empty(7)
        for j in range(h):
            a = (j - 0.5 * (h - 1)) * pixel
            for k in range(w):
                b = (k - 0.5 * (w - 1)) * pixel
                if math.sqrt(a * a + b * b) > tree.reach[i, angle_index(a, b, tree.reach.shape[1])]:
                    continue
                total = 0.0
                for c in range(7):
                    p[c] = tree.weights[c, tree.fractions[base + c * channel + j * w + k]]
                    total += p[c]
                if total <= 0.0:
                    continue
                p /= total
                if p[OTHER] > CLEAR:
                    continue
                soft = p[PLAQUE] + p[PLAQUE + 1]
                plaque = soft + p[PLAQUE + 2]
                vessel = plaque + p[LUMEN] + p[LUMEN + 1]
                area = pixel * pixel
                out[i, 0] += area * plaque * (1.0 - plaque)
                out[i, 1] += area * p[PLAQUE + 2] * (1.0 - p[PLAQUE + 2])
                out[i, 2] += area * soft * (1.0 - soft)
                out[i, 3] += area * p[PLAQUE + 1] * (1.0 - p[PLAQUE + 1])
                out[i, 4] += area * p[LUMEN] * (1.0 - p[LUMEN])
                out[i, 5] += area * vessel * (1.0 - vessel)
    return out


def along(packed: Packed) -> tuple[NDArray[np.float64], ...]:
    """Return each branch's undecided volume in mm³ per step, ``(n, 6)``; 0 inside its parent."""
    area = undecided(packed.tree)
    found = []
    for i, item in enumerate(packed.branches):
        volume = area[packed.steps(i)] * item.step_mm
        volume[: int(packed.take_off[i])] = 0.0
        found.append(volume)
    return tuple(found)


def summed(
    profiles: Sequence[Profile],
    gated: Sequence[NDArray[np.bool_]],
    spread: Sequence[NDArray[np.float64]],
) -> Softness:
    """Sum up some branches, by part and place in mm³; see the head of this module."""
    out: Softness = {}
    for column, part in enumerate(PARTS):
        inside = outside = left_out = 0.0
        for profile, gate, soft in zip(profiles, gated, spread, strict=True):
            counts = gate if part in GATED else np.ones(len(gate), bool)
            inside += float(soft[counts, column].sum())
            outside += float(soft[~counts, column].sum())
            if part in GATED:
                left_out += float(profile.volume_mm3[~counts][:, _VOLUME_COLUMNS[part]].sum())
        out[f"{part}_inside_mm3"] = inside
        if part in GATED:
            out[f"{part}_outside_mm3"] = outside
            out[f"{part}_left_out_mm3"] = left_out
    return out
